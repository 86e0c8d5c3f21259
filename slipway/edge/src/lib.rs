//! slipway's edge: TLS, routing by host name, and the way of a request to a Worker or a static file.
//!
//! A connection arrives at one of two listeners (HTTPS, or plain HTTP for `NAME.test.localhost`), the host name is looked up
//! in a [`route::Router`], and the request is answered from static files, proxied to the account's workerd socket, or refused
//! with a small honest page. The edge knows nothing of accounts and plans, and of the database only its certificates ([`acme`]).
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod acme;
pub mod edge;
pub mod egress;
pub mod page;
pub mod route;
pub mod traffic;
pub mod workers;

mod body;
mod ca;
mod certificates;
mod cf;
mod connection;
mod headers;
mod host;
mod lanes;
mod limits;
mod listen;
mod pool;
mod ray;
mod serve;
mod socket;
mod tunnel;
mod watched;
mod wire;
