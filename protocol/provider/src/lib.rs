//! purser-provider
