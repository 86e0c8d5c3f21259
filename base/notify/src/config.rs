//! The table `[mail]` of a configuration, the same for both sides.

use std::path::PathBuf;

use purser_values::Secret;
use purser_values::name::{Email, HostName};
use serde::Deserialize;

use crate::transport::{Encryption, Relay, Transport, TransportError};

/// How mail leaves.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "MailTable")]
pub enum MailConfig {
    /// Development: one file per message.
    Folder {
        folder: PathBuf,
    },
    Smtp(SmtpConfig),
}

/// A mail server that takes our messages. The password comes from a file.
#[derive(Clone, Debug)]
pub struct SmtpConfig {
    pub host: HostName,
    pub port: Option<u16>,
    pub tls: SmtpTls,
    pub user: Option<String>,
    pub password_file: Option<PathBuf>,
    /// The certificate authority of a server of one's own.
    pub ca_file: Option<PathBuf>,
    pub from: Email,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SmtpTls {
    #[default]
    Starttls,
    Implicit,
}

impl SmtpConfig {
    /// What sends with this; the password was read from its file.
    ///
    /// # Errors
    /// When the file of the certificate authority cannot be read or is none.
    pub fn transport(&self, password: Option<Secret<String>>) -> Result<Transport, TransportError> {
        let relay = Relay {
            host: self.host.clone(),
            port: self.port(),
            encryption: match self.tls {
                SmtpTls::Starttls => Encryption::StartTls,
                SmtpTls::Implicit => Encryption::Implicit,
            },
            authority: self.ca_file.as_deref().map(std::fs::read).transpose().map_err(TransportError::Authority)?,
            login: self.user.clone().zip(password),
        };
        Transport::smtp(&relay, self.from.clone())
    }

    /// The one given, or the usual one.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(match self.tls {
            SmtpTls::Starttls => 587,
            SmtpTls::Implicit => 465,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MailTable {
    folder: Option<PathBuf>,
    host: Option<HostName>,
    port: Option<u16>,
    tls: Option<SmtpTls>,
    user: Option<String>,
    password_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    from: Option<Email>,
}

impl TryFrom<MailTable> for MailConfig {
    type Error = &'static str;
    fn try_from(table: MailTable) -> Result<Self, Self::Error> {
        let MailTable { folder, host, port, tls, user, password_file, ca_file, from } = table;
        match (folder, host, from) {
            (Some(folder), None, None) if port.is_none() && tls.is_none() && user.is_none() => Ok(Self::Folder { folder }),
            (None, Some(_), Some(_)) if user.is_some() != password_file.is_some() => {
                Err("`mail` takes `user` and `password_file` together, or neither")
            }
            (None, Some(host), Some(from)) => {
                Ok(Self::Smtp(SmtpConfig { host, port, tls: tls.unwrap_or_default(), user, password_file, ca_file, from }))
            }
            _ => Err("`mail` takes `host` and `from`; in the sandbox, `folder` alone"),
        }
    }
}
