//! Every limit of people and links, by name.

/// Tokens that may descend from one token, itself counted, at a time.
pub const TOKENS_OF_A_TOKEN: i64 = 100;
/// Longest name of a token.
pub const TOKEN_NAME_CHARS: usize = 120;
/// How long a client may repeat the making of a token whose answer it did not get, in seconds.
pub const TOKEN_RETRY_S: i64 = 120;

/// Window in which unused sign-in codes are counted, in seconds.
pub const SIGN_IN_WINDOW_S: i64 = 900;
/// Unused codes in a window that one peer may ask for, and that it may ask for one address.
pub const SIGN_IN_CODES_PER_PEER: i64 = 30;
pub const SIGN_IN_CODES_PER_PEER_AND_ADDRESS: i64 = 5;
/// Unused codes in a window that a browser may ask for that signed in with the address before.
pub const SIGN_IN_CODES_PER_BROWSER: i64 = 5;
/// Unused codes of one address in a window, and in a day, from which on codes are rare and long.
pub const SIGN_IN_CODES_PER_ADDRESS: i64 = 5;
pub const SIGN_IN_CODES_PER_ADDRESS_DAY: i64 = 20;
/// Time between two mails with a code to an address that is asked for too often, in seconds.
pub const SIGN_IN_RARE_S: i64 = 60;
/// Digits of a code, and of one to an address that is asked for too often.
pub const SIGN_IN_DIGITS: usize = 6;
pub const SIGN_IN_DIGITS_LONG: usize = 10;
/// How long a sign-in code is remembered after its life, for the counts above, in seconds.
pub const SIGN_IN_KEPT_S: i64 = 86_400;
/// Time for which a browser is known after it signed in, in seconds.
pub const KNOWN_BROWSER_LIFE_S: i64 = 365 * 86_400;
/// A sign-in older than this is asked for anew before a connection is accepted or cut, in seconds.
pub const STEP_UP_S: i64 = 300;
/// How long nobody may have shown that a mailbox is still the same person's before it counts as somebody else's, in seconds.
pub const MAILBOX_TRUST_S: i64 = 365 * 86_400;
/// Life of a request to connect, in seconds (section 5.4 of the protocol's reference).
pub const LINK_REQUEST_LIFE_S: i64 = 600;
/// Requests to connect for one address in an hour; each is a mail at most.
pub const LINK_REQUESTS_PER_ADDRESS_HOUR: i64 = 10;
/// Requests to connect of one subject in an hour, whatever the addresses.
pub const LINK_REQUESTS_PER_SUBJECT_HOUR: i64 = 20;
/// How long a request to connect is remembered, in seconds.
pub const LINK_REQUEST_KEPT_S: i64 = 86_400;
/// Length of a state that an orchestrator chooses, in characters. A shorter one could be guessed, and we mint our own.
pub const STATE_CHARS: std::ops::RangeInclusive<usize> = 22..=256;
/// Most characters of an organisation's name that are kept.
pub const ORGANISATION_CHARS: usize = 120;
/// Steps in which the last use of a connection is written down, in seconds: looking a token up is a read.
pub const LINK_USED_STEP_S: i64 = 300;
