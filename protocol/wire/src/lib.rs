//! purser-wire
