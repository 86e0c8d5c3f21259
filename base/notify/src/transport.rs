//! How a message leaves.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lettre::transport::smtp::AsyncSmtpTransport;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::response::{Category, Severity};
use lettre::{AsyncTransport as _, Tokio1Executor};
use purser_values::name::{Email, HostName};
use purser_values::{Secret, Timestamp};

use crate::mail::Mail;

/// Time that one step of the talk with the server may take.
const PATIENCE: Duration = Duration::from_secs(15);

#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    #[error("the message cannot be written down: {0}")]
    Form(#[from] lettre::error::Error),
    #[error("the mail folder cannot be written: {0}")]
    Folder(#[from] std::io::Error),
    #[error("the certificate authority of the mail server cannot be read: {0}")]
    Authority(std::io::Error),
    #[error("the mail server did not take the message: {0}")]
    Smtp(#[from] lettre::transport::smtp::Error),
}

impl TransportError {
    /// Whether the server said for good that this message goes nowhere: no such mailbox, or not from us. A server that does not let us
    /// in is the operator's to mend, and the message waits.
    #[must_use]
    pub fn is_final(&self) -> bool {
        let Self::Smtp(e) = self else { return false };
        e.status().is_some_and(|code| code.severity == Severity::PermanentNegativeCompletion && code.category == Category::MailSystem)
    }
}

/// How the connection to the server is closed to others. There is no way to send in the clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// In the clear until the server agrees to STARTTLS; nothing is said before that, and a server that does not agree gets no mail.
    StartTls,
    /// From the first byte on.
    Implicit,
}

/// A mail server that takes our messages.
#[derive(Debug)]
pub struct Relay {
    pub host: HostName,
    pub port: u16,
    pub encryption: Encryption,
    /// The PEM of a certificate authority of one's own, besides the public ones.
    pub authority: Option<Vec<u8>>,
    pub login: Option<(String, Secret<String>)>,
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

    /// A mail server.
    ///
    /// # Errors
    /// When the certificate authority is none.
    pub fn smtp(relay: &Relay, from: Email) -> Result<Self, TransportError> {
        let mut parameters = TlsParameters::builder(relay.host.as_str().to_owned());
        if let Some(pem) = &relay.authority {
            parameters = parameters.add_root_certificate(Certificate::from_pem(pem)?);
        }
        let parameters = parameters.build_rustls()?;
        let tls = match relay.encryption {
            Encryption::StartTls => Tls::Required(parameters),
            Encryption::Implicit => Tls::Wrapper(parameters),
        };
        let mut builder =
            AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(relay.host.as_str()).port(relay.port).timeout(Some(PATIENCE)).tls(tls);
        if let Some((user, password)) = &relay.login {
            builder = builder.credentials(Credentials::new(user.clone(), password.expose().clone()));
        }
        Ok(Self { from, way: Way::Smtp(builder.build()) })
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
