//! Namespaces.

pub const EPP: &str = "urn:ietf:params:xml:ns:epp-1.0";
pub const DOMAIN: &str = "urn:ietf:params:xml:ns:domain-1.0";
pub const HOST: &str = "urn:ietf:params:xml:ns:host-1.0";
pub const CONTACT: &str = "urn:ietf:params:xml:ns:contact-1.0";
/// DS records (RFC 5910).
pub const SECDNS: &str = "urn:ietf:params:xml:ns:secDNS-1.1";
/// Grace periods (RFC 3915).
pub const RGP: &str = "urn:ietf:params:xml:ns:rgp-1.0";
/// Prices (RFC 8748).
pub const FEE: &str = "urn:ietf:params:xml:ns:epp:fee-1.0";

pub const OBJECTS: [&str; 3] = [DOMAIN, HOST, CONTACT];
pub const EXTENSIONS: [&str; 3] = [SECDNS, RGP, FEE];
