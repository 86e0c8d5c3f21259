//! DNSSEC: a zone that is signed, and how it is proved that something is not in it.
//!
//! Each signed zone has one key at a time that does everything (a combined signing key, ECDSA P-256, RFC 6605). Signatures are made when
//! they are first asked for and kept with the record set; denials are NSEC3 with no extra iterations, no salt and no opt-out (RFC 9276).

pub mod keys;
pub mod roll;

pub(crate) mod chain;
pub(crate) mod signer;

/// How long resolvers keep the keys of a zone.
pub const KEY_TTL_S: u32 = 3_600;
/// How long resolvers may keep the parent's word on our keys, with an hour for the registry to publish a change of it.
pub const PARENT_S: i64 = 90_000;
