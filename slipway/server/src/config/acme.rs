//! The table `[acme]`: the certificate authority that vouches for our sites.

use std::path::PathBuf;

use purser_values::name::Email;
use serde::Deserialize;
use url::Url;

use super::{ConfigError, Profile};

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acme {
    /// The authority's directory (RFC 8555, 7.1.1).
    pub directory: Url,
    /// Where the authority writes to when something is wrong with a certificate.
    #[serde(default)]
    pub email: Option<Email>,
    /// The operator has read the authority's terms and agrees with them.
    #[serde(default)]
    pub terms_agreed: bool,
    /// The certificate of an authority of one's own, with which the directory's own https is checked besides the public ones.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// How a name in a zone of ours is proved; every other name is proved over HTTP.
    #[serde(default)]
    pub prove_by: ProveBy,
    /// The account at the authority that ours belongs to (RFC 8555, 7.3.4).
    #[serde(default)]
    pub external_account: Option<ExternalAccount>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProveBy {
    #[default]
    Http,
    Dns,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExternalAccount {
    pub key_id: String,
    /// The key in base64url, a file of mode 0600.
    pub key_file: PathBuf,
}

impl Acme {
    /// # Errors
    /// When the terms are not agreed with, or the authority is to be spoken to in the clear.
    pub(super) fn check(self, profile: Profile) -> Result<Self, ConfigError> {
        if !self.terms_agreed {
            return Err(ConfigError::AcmeTerms);
        }
        match self.directory.scheme() {
            "https" if self.directory.host().is_some() => Ok(self),
            "http" if profile == Profile::Sandbox => Ok(self),
            _ => Err(ConfigError::Plain("acme.directory")),
        }
    }
}
