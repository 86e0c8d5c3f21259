//! How a message leaves.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use lettre::transport::smtp::AsyncSmtpTransport;
use lettre::{AsyncTransport as _, Tokio1Executor};
use purser_values::name::Email;
use purser_values::{Secret, Timestamp};

use crate::mail::Mail;

#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    #[error("the message cannot be written down: {0}")]
    Form(#[from] lettre::error::Error),
    #[error("the mail folder cannot be written: {0}")]
    Folder(#[from] std::io::Error),
    #[error("the mail server did not take the message: {0}")]
    Smtp(#[from] lettre::transport::smtp::Error),
}

/// A way to send, with the address that messages come from.
#[derive(Debug)]
pub struct Transport {
    from: Email,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Folder(PathBuf),
    Smtp(AsyncSmtpTransport<Tokio1Executor>),
}

impl Transport {
    /// One `.eml` file per message, mode 0600, named so that names sort by time. For development.
    #[must_use]
    pub const fn folder(folder: PathBuf, from: Email) -> Self {
        Self { from, way: Way::Folder(folder) }
    }

    /// An SMTP server as an URL: `smtps://user:password@host` or `smtp://host:587?tls=required`.
    ///
    /// # Errors
    /// When the URL is not one.
    pub fn smtp(url: &Secret<String>, from: Email) -> Result<Self, TransportError> {
        Ok(Self { from, way: Way::Smtp(AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose())?.build()) })
    }

    /// Sends one message. The same `id` sent again to a folder replaces its own file.
    ///
    /// # Errors
    /// When the folder or the server does not take it.
    pub async fn send(&self, mail: &Mail, id: &str, at: Timestamp) -> Result<(), TransportError> {
        let message = mail.message(&self.from, id, at)?;
        match &self.way {
            Way::Folder(folder) => Ok(write(folder, &format!("{:020}-{id}.eml", at.as_micros()), &message.formatted())?),
            Way::Smtp(server) => Ok(server.send(message).await.map(drop)?),
        }
    }
}

/// Readers of the folder never see half a message: it is written under another name and then renamed.
fn write(folder: &Path, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let part = folder.join(format!(".{name}.part"));
    match fs::remove_file(&part) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
    file.write_all(bytes)?;
    fs::rename(part, folder.join(name))
}
