//! What every use case of this domain works with besides its transaction.

use std::sync::Arc;

use purser_crypto::encoding::b64url;
use purser_crypto::seal::{Keyring, SealError};
use purser_db::jobs::NewJob;
use purser_notify::{Mail, Subject, mail_job};
use purser_values::Env;
use purser_values::id::OrganisationId;
use purser_values::name::{Email, HostName, ProviderName};

use crate::keys::Keys;
use crate::sso::Connections;

/// Who may become a person here by signing in, without an invitation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SignUp {
    /// Anybody who can read mail at an address.
    Open,
    /// Every address at these domains, and not at domains below them.
    Domains(Vec<HostName>),
    /// Nobody: who is new comes by an invitation.
    #[default]
    Invite,
}

impl SignUp {
    #[must_use]
    pub fn admits(&self, email: &Email) -> bool {
        match self {
            Self::Open => true,
            Self::Invite => false,
            Self::Domains(domains) => {
                let domain = email.as_str().rsplit('@').next().unwrap_or_default();
                domains.iter().any(|d| d.as_str() == domain)
            }
        }
    }
}

/// Whether a DPoP proof must carry a nonce of ours (RFC 9449, 8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NonceRule {
    /// It is handed out with every answer of the token endpoint, and checked where it is used.
    #[default]
    Offered,
    /// Every proof carries one: one that was made ahead of time is worth nothing.
    Required,
}

/// One orchestrator as an issuer: its keys, its public address and its rules. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Realm {
    pub env: Env,
    pub keyring: Keyring,
    pub keys: Keys,
    /// The public URL without a trailing slash; the `iss` of all we sign.
    pub issuer: Arc<str>,
    pub sign_up: Arc<SignUp>,
    pub proof_nonces: NonceRule,
    /// The companies through which people sign in.
    pub sso: Connections,
    /// Who decides over applications for credit, by address; nobody unless the operator says so.
    pub credit_approvers: Arc<[Email]>,
}

impl Realm {
    #[must_use]
    pub fn new(env: Env, keyring: Keyring, keys: Keys, public_url: &str, sign_up: SignUp) -> Self {
        Self {
            env,
            keyring,
            keys,
            issuer: public_url.trim_end_matches('/').into(),
            sign_up: Arc::new(sign_up),
            proof_nonces: NonceRule::default(),
            sso: Connections::default(),
            credit_approvers: Arc::from([]),
        }
    }

    /// The name under which one provider knows one organisation. Two providers cannot tell that they serve the same one.
    #[must_use]
    pub fn pairwise(&self, organisation: &OrganisationId, provider: &ProviderName) -> String {
        b64url(&self.keys.mac("pairwise-subject", &[organisation.as_str(), provider.as_str()]))
    }

    /// A name by which one provider recognises somebody or something that a credit was for, and learns nothing else. It never changes.
    #[must_use]
    pub fn credit_name(&self, kind: &str, value: &str, provider: &ProviderName) -> String {
        b64url(&self.keys.mac("credit-name", &[kind, value, provider.as_str()]))
    }

    /// The absolute URL of one of our paths.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.issuer)
    }

    /// Scheme, host and port of our pages, as browsers write an origin.
    #[must_use]
    pub fn origin(&self) -> &str {
        origin_of(&self.issuer)
    }

    /// The host of our pages without a port: what passkeys are for.
    #[must_use]
    pub fn host(&self) -> &str {
        host_of(&self.issuer)
    }

    /// Tells a person of a change to who can get in as them.
    pub(crate) fn notice(&self, to: &Email, subject: &str, what: &str) -> Result<NewJob, SealError> {
        let text = format!(
            "{what}\n\nAt {}, {}.\n\nIf that was not you, sign in, open {} and put it right; sign the other browsers out there.\n",
            self.issuer,
            self.env.now(),
            self.url("/security"),
        );
        self.mail(to, subject, text)
    }

    pub(crate) fn mail(&self, to: &Email, subject: &str, text: String) -> Result<NewJob, SealError> {
        mail_job(&self.keyring, &self.env, &Mail { to: to.clone(), subject: Subject::new(subject), text })
    }
}

fn origin_of(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    let end = url.get(host..).and_then(|rest| rest.find('/')).map_or(url.len(), |at| host + at);
    url.get(..end).unwrap_or(url)
}

fn host_of(url: &str) -> &str {
    let origin = origin_of(url);
    let host = origin.split_once("://").map_or(origin, |(_, host)| host);
    host.rsplit_once(':').map_or(host, |(host, _)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passkeys_are_for_the_host_of_the_pages_and_their_origin_has_no_path() {
        for (url, origin, host) in [
            ("https://purser.example", "https://purser.example", "purser.example"),
            ("https://purser.example/app", "https://purser.example", "purser.example"),
            ("http://localhost:4000", "http://localhost:4000", "localhost"),
        ] {
            assert_eq!((origin_of(url), host_of(url)), (origin, host));
        }
    }

    #[test]
    fn nobody_new_is_admitted_unless_listed() {
        let ada: Email = "ada@example.test".parse().unwrap();
        assert!(!SignUp::default().admits(&ada));
        let listed = SignUp::Domains(vec!["example.test".parse().unwrap()]);
        assert!(listed.admits(&ada));
        assert!(!listed.admits(&"ada@evil-example.test".parse().unwrap()));
        assert!(!listed.admits(&"ada@a.example.test".parse().unwrap()));
    }
}
