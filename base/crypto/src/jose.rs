//! Compact JWS with two algorithms, and the keys for it.
//!
//! Sources: RFC 7515 (JWS), RFC 7517 and 7518 (JWK, ES256), RFC 8037 and 9864 (EdDSA), RFC 7638 (thumbprint). The parser is strict on
//! purpose: the algorithm comes from the key, never from the header alone; `crit`, an unknown algorithm, a private key in a
//! header and a wrong `typ` are refused. Times in claims are the caller's to check, against its own `Env`.

mod foreign;
mod jwk;
mod key;
mod source;
mod verify;

pub use foreign::ForeignKeys;
pub use jwk::Jwk;
pub use key::{Algorithm, SigningKey};
pub use source::KeySource;
pub use verify::{JoseError, Unverified, Verified, decode_unverified, decode_unverified_untyped, verify, verify_bytes, verify_untyped};
