//! Sealed credentials: what providers give us for a resource, kept so that nobody reads it by accident.
//!
//! A credential is sealed under the process's key-encryption key, bound to its resource and name. Its variable name is chosen
//! once, when it is first delivered, and stays the same when a second resource joins the environment.
//! Plain text leaves only through [`open`], which a use case calls with a permit for exactly that.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod deliver;
mod open;
mod store;

pub use deliver::{DeliverError, Delivery, deliver, forget};
pub use open::{OpenError, Opened, find_by_prefix, names, open, open_one};
pub use store::{Credential, MIGRATIONS};
