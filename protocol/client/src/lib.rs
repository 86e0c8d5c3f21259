//! purser-client
