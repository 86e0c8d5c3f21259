//! purser-audit
