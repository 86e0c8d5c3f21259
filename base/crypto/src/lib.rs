//! purser-crypto
