//! The table `[registry]`: the registry that domains are bought at, in EPP over TLS.

use std::path::PathBuf;

use purser_values::name::HostName;
use purser_values::{Currency, Money};
use serde::Deserialize;

use super::{Certificate, ConfigError};

/// The port of EPP over TCP (RFC 5734).
const PORT: u16 = 700;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryTable {
    /// The name that the registry's certificate bears.
    pub host: String,
    #[serde(default = "port")]
    pub port: u16,
    /// The authorities that may vouch for the registry: its password goes to nobody else.
    pub ca_file: PathBuf,
    /// As whom we sign in.
    pub account: String,
    /// Mode 0600.
    pub password_file: PathBuf,
    /// What we show in the handshake, where the registry asks for it.
    #[serde(default)]
    pub certificate: Option<Certificate>,
    /// The suffixes whose names are sold, without a leading dot.
    pub suffixes: Vec<String>,
    /// What a year of a name costs where the registry tells no prices (RFC 8748), in US dollars.
    pub yearly: String,
    /// Whether a name is registered only for somebody: a person is asked once for each account. Nearly every registry wants it.
    #[serde(default = "yes")]
    pub contacts: bool,
}

const fn yes() -> bool {
    true
}

const fn port() -> u16 {
    PORT
}

impl RegistryTable {
    /// # Errors
    /// When there is another registry, or something in here cannot be what it is said to be.
    pub(super) fn check(self, other: bool) -> Result<Self, ConfigError> {
        let wrong = |key, why: &str| Err(ConfigError::Registry(key, why.to_owned()));
        if other {
            return Err(ConfigError::TwoRegistries);
        }
        if self.host.parse::<HostName>().is_err() && self.host != "localhost" {
            return wrong("host", "name the host that its certificate bears");
        }
        if !(3..=16).contains(&self.account.len()) {
            return wrong("account", "EPP knows accounts of 3 to 16 characters");
        }
        if self.suffixes.is_empty() || self.suffixes.iter().any(|it| it.parse::<HostName>().is_err() && !is_label(it)) {
            return wrong("suffixes", "name suffixes in small letters, without a leading dot");
        }
        self.price()?;
        Ok(self)
    }

    /// # Errors
    /// When it is no amount.
    pub fn price(&self) -> Result<Money, ConfigError> {
        match Money::parse_decimal(&self.yearly, Currency::USD) {
            Ok(price) if price.is_positive() => Ok(price),
            _ => Err(ConfigError::Registry("yearly", format!("`{}` is no price in US dollars", self.yearly))),
        }
    }
}

/// A suffix of one label, which is no host name.
fn is_label(text: &str) -> bool {
    !text.is_empty() && text.len() <= 63 && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}
