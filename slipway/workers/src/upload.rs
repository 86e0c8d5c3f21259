//! From the bytes of an upload to a version that can be validated.

pub mod digest;
pub mod draft;
pub mod load;
pub mod metadata;
pub mod migration;
