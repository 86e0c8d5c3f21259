//! purser-catalogue
