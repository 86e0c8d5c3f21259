//! purser-authority
