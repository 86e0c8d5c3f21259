//! Every bound of the registry, in one place.

use std::time::Duration;

/// Longest frame that is read, header included. The longest sensible command is a domain with 13 hosts and 8 DS records, below 16 KiB.
pub const FRAME_BYTES: usize = 64 * 1024;
/// Deepest nesting of a command.
pub const DEPTH: usize = 16;
/// Most elements of a command.
pub const ELEMENTS: usize = 1_000;
/// Most attributes of an element.
pub const ATTRIBUTES: usize = 16;

/// Connections at a time, all clients together.
pub const CONNECTIONS: usize = 256;
/// Sessions that one registrar holds at a time.
pub const SESSIONS_EACH: usize = 16;
/// Connections of one address at a time.
pub const ADDRESS_CONNECTIONS: usize = 64;
/// Wrong passwords of one address before it has to wait between two tries.
pub const ADDRESS_TRIES: u32 = 5;
/// Wrong passwords for one registrar, from wherever it has not signed in before.
pub const CLIENT_TRIES: u32 = 20;
/// The longest wait between two tries; each wrong one doubles it up to there.
pub const WAIT_MAX_S: i64 = 900;
/// After so long without a try, wrong ones are forgotten.
pub const FORGET_S: i64 = 3_600;
/// Addresses and names that are watched at a time.
pub const DOORS: usize = 20_000;
/// Addresses at which a registrar is known.
pub const KNOWN_ADDRESSES: usize = 16;
/// Wrong passwords on a connection before it is closed.
pub const TRIES: u32 = 3;
/// How long a connection may take to shake hands.
pub const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a connection has to sign in, from its beginning and whatever it says meanwhile.
pub const SIGN_IN: Duration = Duration::from_secs(30);
/// How long a session may say nothing.
pub const IDLE: Duration = Duration::from_secs(600);
/// How long a frame may take from its first byte to its last, and an answer to be taken.
pub const TRANSFER: Duration = Duration::from_secs(30);

/// Objects that one check asks about.
pub const CHECKED: usize = 64;
/// Name servers of a domain.
pub const NAME_SERVERS: usize = 13;
/// Addresses of a host.
pub const ADDRESSES: usize = 13;
/// Contacts of a domain.
pub const CONTACTS: usize = 16;
/// DS records of a domain.
pub const DS: usize = 8;
/// Most years that a name is registered for, counted from now.
pub const YEARS: i32 = 10;

const DAY_S: i64 = 86_400;
/// After an order, a renewal or a transfer: how long it is listed as fresh, and how long a deleted new name costs nothing.
pub const GRACE_S: i64 = 5 * DAY_S;
/// How long a deleted name can be had back (RFC 3915 redemptionPeriod).
pub const REDEMPTION_S: i64 = 30 * DAY_S;
/// How long the registry waits for the report of a restored name (pendingRestore).
pub const REPORT_S: i64 = 7 * DAY_S;
/// How long a name is locked before it is free again (pendingDelete).
pub const PENDING_DELETE_S: i64 = 5 * DAY_S;
/// How long a losing registrar has to answer a transfer.
pub const TRANSFER_S: i64 = 5 * DAY_S;
/// How long the answer to a command is kept for a client that lost it.
pub const ANSWER_S: i64 = DAY_S;
/// Things that one round of the clock ends.
pub const ROUND: u32 = 100;
/// How long a name that was not renewed can still be renewed before it is deleted.
pub const LATE_S: i64 = 30 * DAY_S;
