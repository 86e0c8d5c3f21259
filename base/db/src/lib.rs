//! purser-db
