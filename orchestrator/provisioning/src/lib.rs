//! purser-provisioning
