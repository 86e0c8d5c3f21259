//! purser-http
