//! Every limit of the edge, by name. A tenant's visitor can pass none of them.

use std::time::Duration;

/// Open client connections over both listeners; more wait in the kernel's queue.
pub const CONNECTIONS: usize = 8_192;
/// Of these, from one address; one more is closed at once. Room for a household or an office behind one address.
pub const CONNECTIONS_PER_ADDRESS: usize = 1_024;
/// Time for a TLS handshake.
pub const HANDSHAKE: Duration = Duration::from_secs(10);
/// Time for a request's header to arrive.
pub const HEADER_READ: Duration = Duration::from_secs(15);
/// Largest HTTP/1 header block, in bytes.
pub const HEADER_BYTES: usize = 64 * 1024;
/// Largest HTTP/2 header list, in bytes.
pub const HEADER_LIST_BYTES: u32 = 64 * 1024;
/// Most header fields of a request.
pub const HEADER_FIELDS: usize = 128;
/// Requests under way in one HTTP/2 connection.
pub const STREAMS: u32 = 128;
/// A connection over which nothing moves for this long is closed: an idle browser, a reader that stopped reading.
pub const CONNECTION_IDLE: Duration = Duration::from_secs(120);
/// Largest request body, in bytes.
pub const BODY_BYTES: u64 = 100 * 1024 * 1024;
/// Time to reach a Worker's socket, a cold start included.
pub const CONNECT: Duration = Duration::from_secs(10);
/// Time that a Worker may stay silent after the last byte it was sent, and between two parts of its answer.
pub const UPSTREAM_SILENCE: Duration = Duration::from_secs(100);
/// Requests under way at one site; more are answered 503.
pub const SITE_REQUESTS: u64 = 1_024;
/// Of these, from one address as soon as half of them are taken: one visitor who never ends a request leaves room for others.
pub const SITE_REQUESTS_PER_ADDRESS: usize = 128;
/// An account's rate by its plan, saved up for so many seconds: what visitors may ask at once.
pub const BURST_S: f64 = 10.0;
/// Open WebSockets of all sites, of one site, and from one address.
pub const WEBSOCKETS: usize = 4_096;
pub const SITE_WEBSOCKETS: u64 = 512;
pub const WEBSOCKETS_PER_ADDRESS: usize = 256;
/// Kept connections per Worker socket.
pub const KEPT: usize = 64;
/// How long a connection to a Worker is kept: workerd closes an idle one after five seconds, and a request must not meet that.
pub const KEPT_FOR: Duration = Duration::from_secs(3);
/// Certificates in memory.
pub const CERTIFICATES: usize = 4_096;
/// Names that wait to be written down because a visitor asked for their certificate; more ask again.
pub const WANTED_CERTIFICATES: usize = 256;
/// Certificates of names directly below one name.
pub const SIBLING_CERTIFICATES: i64 = 200;
/// Names of one account that get their first certificate in a day (UTC). Authorities count the orders of our one account, and then refuse all.
pub const NEW_CERTIFICATES_A_DAY: i64 = 50;
/// Orders at the certificate authority under way at a time.
pub const ORDERS: usize = 8;
/// Time for one order, its proofs included.
pub const ORDER_TIME: Duration = Duration::from_secs(180);
/// Longest and shortest time between two looks at which certificates are due.
pub const ORDER_LOOK: Duration = Duration::from_secs(60);
pub const ORDER_PAUSE: Duration = Duration::from_millis(100);
/// Time for one answer of the authority.
pub const AUTHORITY_ANSWERS: Duration = Duration::from_secs(20);
/// How long an authority that is busy is left alone if it does not say, and at most, in seconds.
pub const AUTHORITY_QUIET_S: i64 = 60;
pub const AUTHORITY_QUIET_MOST_S: i64 = 24 * 3600;
/// Time that requests under way get when the edge stops.
pub const DRAIN: Duration = Duration::from_secs(5);

/// Connections to the outside of one account, and requests: at once, and in a second.
pub const EGRESS_CONNECTIONS: usize = 64;
pub const EGRESS_BURST: f64 = 200.0;
pub const EGRESS_PER_S: f64 = 50.0;
/// Time to resolve a name or to reach one of its addresses, and how many of those are tried.
pub const EGRESS_CONNECT: Duration = Duration::from_secs(10);
pub const EGRESS_ADDRESSES: usize = 4;
/// Time for the head of an answer from outside.
pub const EGRESS_SILENCE: Duration = Duration::from_secs(100);
/// A connection to the outside on which nothing moves ends after this.
pub const EGRESS_IDLE: Duration = Duration::from_secs(120);
