//! purser-spend
