//! Messages to people: mail into a folder (development) or over SMTP; and signed messages to programs (Standard Webhooks).
//!
//! A mail is enqueued in the write that causes it, as a job whose payload is sealed, because a body may hold a sign-in code
//! or a revoke link. The handler opens it and hands it to the transport; delivering the same job twice leaves one file.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod config;
mod mail;
mod queue;
mod transport;
pub mod webhook;

pub use config::{MailConfig, SmtpConfig, SmtpTls};
pub use mail::{Mail, Subject};
pub use queue::{JOB_KIND, handler, mail_job};
pub use transport::{Encryption, Relay, Transport, TransportError};
