//! purser-flow
