//! slipway's DNS: zones and their records in the database, and an authoritative name server that answers from memory.
//!
//! Use cases change the tables within the caller's write; the caller then calls [`server::Nameserver::refresh`] and the next query
//! sees the change. The server answers for its own zones alone: it never recurses, gives whole zones to named secondaries only, and
//! refuses foreign names. Zones can be signed.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod dnssec;
pub mod record;
pub mod server;
pub mod store;
pub mod zone;

mod answer;
mod fast;
mod rate;
mod respond;
mod snapshot;
mod tcp;
mod transfer;
mod turns;
mod udp;
