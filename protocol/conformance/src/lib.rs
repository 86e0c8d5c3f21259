//! purser-conformance
