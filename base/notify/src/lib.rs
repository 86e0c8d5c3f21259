//! purser-notify
