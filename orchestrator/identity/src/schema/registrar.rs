//! Who made an OAuth client known. Earlier rows do not say.

pub const REGISTRAR: &str = "alter table client add column registered_by {text}";
