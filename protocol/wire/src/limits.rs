//! Limits of the protocol that both sides rely on, by name. Limits of whole programs are in `purser_values::limits`.

/// Life of an authorization code, in seconds (section 6 of the reference).
pub const CODE_LIFE_S: i64 = 300;
/// Longest life of a `Stripe-Signature-V2` token, in seconds.
pub const SIGNATURE_V2_LIFE_S: i64 = 60;
/// Longest life of an identity assertion, in seconds.
pub const ASSERTION_LIFE_S: i64 = 300;
/// Longest life of a signed message from provider to orchestrator, in seconds.
pub const MESSAGE_LIFE_S: i64 = 60;
/// Clock difference that is forgiven on tokens that carry their own expiry, in seconds.
pub const CLOCK_SKEW_S: i64 = 30;
/// Longest identifier, in characters.
pub const ID_CHARS: usize = 255;
/// Longest `Idempotency-Key`, in characters.
pub const IDEMPOTENCY_KEY_CHARS: usize = 255;
/// Longest signature header, in bytes.
pub const SIGNATURE_HEADER_BYTES: usize = 4096;
/// Most signatures in one `Stripe-Signature` header.
pub const SIGNATURES_PER_HEADER: usize = 8;
/// Most services that a reader takes from one provider.
pub const SERVICES: usize = 2_000;
/// Most pages of a catalog that a reader follows.
pub const CATALOG_PAGES: usize = 50;
/// Most entries of one access configuration.
pub const CREDENTIALS_PER_RESOURCE: usize = 64;
/// Longest value of one credential, in bytes.
pub const CREDENTIAL_BYTES: usize = 64 * 1024;
/// Most programmes of credit that a reader takes from one provider.
pub const CREDIT_PROGRAMMES: usize = 32;
/// Longest life of a credit, in months.
pub const CREDIT_MONTHS: u32 = 120;
/// Most names that one credit attestation carries.
pub const CREDIT_NAMES: usize = 128;
/// Longest reason for asking money back, in characters.
pub const REFUND_REASON_CHARS: usize = 300;
/// Most lines of one quote.
pub const LINES_PER_QUOTE: usize = 32;
/// The only line of the quote that an orchestrator makes for a provider that quotes nothing and whose price is prose.
pub const APPROVED_LINE: &str = "approved";
