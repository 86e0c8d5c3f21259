//! Every limit that more than one room relies on, by name.

/// Largest JSON or form body that an API route reads, in bytes.
pub const JSON_BODY_BYTES: usize = 256 * 1024;
/// Largest code upload (a Worker with its modules, or one batch of assets), in bytes.
pub const UPLOAD_BODY_BYTES: usize = 30 * 1024 * 1024;
/// Largest answer that the guarded fetcher reads, in bytes.
pub const FETCH_BODY_BYTES: usize = 1024 * 1024;
/// Time the guarded fetcher gives one exchange, in milliseconds.
pub const FETCH_TIMEOUT_MS: u64 = 10_000;
/// Age at which a signed request is stale, in seconds (both ways).
pub const SIGNATURE_TOLERANCE_S: i64 = 300;
/// Life of an e-mailed sign-in code, in seconds, and the wrong tries it survives.
pub const SIGN_IN_CODE_LIFE_S: i64 = 600;
pub const SIGN_IN_CODE_TRIES: i64 = 5;
/// Life of a device authorisation that waits for a person, in seconds.
pub const DEVICE_CODE_LIFE_S: i64 = 900;
/// How long a token poll is held open for a decision, in seconds.
pub const DEVICE_POLL_HOLD_S: u64 = 20;
/// Life of an agent's access token, in seconds.
pub const ACCESS_TOKEN_LIFE_S: i64 = 600;
/// Life of a person's command-line token, in seconds.
pub const PERSON_TOKEN_LIFE_S: i64 = 600;
/// Life of a person's browser session, in seconds.
pub const SESSION_LIFE_S: i64 = 12 * 3600;
/// Longest agent name, in characters.
pub const AGENT_NAME_CHARS: usize = 80;
/// Default cap of one agent at one provider in one calendar month, in minor units of USD.
pub const DEFAULT_CAP_MINOR: i64 = 100_00;
/// Highest cap that anybody can set, on the consent page or later, in minor units.
pub const CAP_MAX_MINOR: i64 = 1_000_000_00;
/// Longest answer text of a provider that we keep, in characters.
pub const PROVIDER_MESSAGE_CHARS: usize = 500;
