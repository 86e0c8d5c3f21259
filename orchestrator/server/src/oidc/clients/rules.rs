//! What the operator says of clients.

use std::collections::BTreeMap;
use std::path::PathBuf;

use purser_crypto::token;
use purser_identity::client::{AuthMethod, Client, ClientId, RawMetadata, Trust};
use purser_values::{Secret, Sha256Digest};
use serde::Deserialize;

/// Who may register clients without a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Registration {
    /// Nobody.
    #[default]
    Closed,
    /// Whoever has the operator's initial access token.
    Token(Sha256Digest),
    /// Everybody.
    Open,
}

#[derive(Clone, Debug, Default)]
pub struct Rules {
    pub registration: Registration,
    /// Audiences besides ourselves that tokens can be for.
    pub resources: Vec<String>,
    pub sandbox: bool,
}

impl Rules {
    /// The trust in a client that registers itself with this initial access token, or without one.
    #[must_use]
    pub fn admits(&self, token: Option<&Secret<String>>) -> Option<Trust> {
        match (self.registration, token) {
            (Registration::Closed, _) => None,
            (Registration::Open, _) if self.sandbox => Some(Trust::Sandbox),
            (Registration::Open, _) => Some(Trust::Open),
            (Registration::Token(expected), Some(given)) => {
                let given = token::hash(given.expose());
                purser_crypto::constant_time_eq(expected.as_bytes(), given.as_bytes()).then_some(Trust::Token)
            }
            (Registration::Token(_), None) => None,
        }
    }
}

/// A client in the configuration: `id`, `secret_file` where it has a secret, and its metadata.
#[derive(Clone, Debug, Deserialize)]
pub struct ConfiguredClient {
    pub id: ClientId,
    pub secret_file: Option<PathBuf>,
    #[serde(flatten)]
    metadata: RawMetadata,
    #[serde(flatten)]
    unknown: BTreeMap<String, toml::Value>,
}

impl ConfiguredClient {
    /// The client; `read_secret` reads its file.
    ///
    /// # Errors
    /// What is wrong with it, as text for the operator.
    pub fn client(&self, sandbox: bool, read_secret: impl Fn(&PathBuf) -> Result<Secret<String>, String>) -> Result<Client, String> {
        let fail = |why: String| format!("client `{}`: {why}", self.id);
        if let Some(unknown) = self.unknown.keys().next() {
            return Err(fail(format!("`{unknown}` is not known")));
        }
        if self.id.is_url() || self.metadata.client_id.is_some() || self.metadata.client_secret.is_some() {
            return Err(fail("it is named by `id`, which is no URL, and its secret is in a file".to_owned()));
        }
        let mut raw = self.metadata.clone();
        if raw.token_endpoint_auth_method.is_none() && self.secret_file.is_none() {
            let keys = raw.jwks.is_some() || raw.jwks_uri.is_some();
            raw.token_endpoint_auth_method = Some(if keys { "private_key_jwt" } else { "none" }.to_owned());
        }
        let metadata = raw.well_formed(Trust::Operator, sandbox).map_err(|e| fail(e.to_string()))?;
        let shares = matches!(metadata.token_endpoint_auth_method, AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost);
        let secret_hash = match &self.secret_file {
            Some(path) if shares => Some(token::hash(read_secret(path).map_err(fail)?.expose())),
            None if !shares => None,
            _ => return Err(fail("`secret_file` goes with an authentication by secret".to_owned())),
        };
        Ok(Client { id: self.id.clone(), trust: Trust::Operator, organisation: None, metadata, secret_hash })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(text: &str) -> Result<Client, String> {
        let configured: ConfiguredClient = toml::from_str(text).map_err(|e| e.to_string())?;
        configured.client(false, |_| Ok(Secret::new("a secret of the operator's".to_owned())))
    }

    #[test]
    fn a_configured_client_says_how_it_proves_itself_and_nothing_that_is_not_known() {
        let good = "id = \"ci\"\nsecret_file = \"/s\"\ngrant_types = [\"client_credentials\"]\nscope = \"introspect\"";
        let found = client(good).unwrap();
        assert!(found.has_secret(&Secret::new("a secret of the operator's".to_owned())));
        assert!(!found.has_secret(&Secret::new("another".to_owned())) && found.metadata.scope.contains("introspect"));
        let public = client("id = \"app\"\nredirect_uris = [\"https://app.test/cb\"]").unwrap();
        assert_eq!(public.metadata.token_endpoint_auth_method, AuthMethod::None);
        for bad in [
            "id = \"ci\"\nsecret_file = \"/s\"\nredirect_uri = \"https://app.test/cb\"",
            "id = \"ci\"\nsecret_file = \"/s\"\ntoken_endpoint_auth_method = \"none\"\nredirect_uris = [\"https://app.test/cb\"]",
            "id = \"ci\"\ntoken_endpoint_auth_method = \"client_secret_post\"\nredirect_uris = [\"https://app.test/cb\"]",
            "id = \"https://app.test/x\"\nredirect_uris = [\"https://app.test/cb\"]",
            "id = \"ci\"\nclient_secret = \"in the file\"\nredirect_uris = [\"https://app.test/cb\"]",
            "id = \"ci\"\ngrant_types = [\"client_credentials\"]",
        ] {
            assert!(client(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn strangers_register_only_where_the_operator_lets_them() {
        let secret = |text: &str| Some(Secret::new(text.to_owned()));
        let rules = |registration, sandbox| Rules { registration, sandbox, ..Rules::default() };
        assert_eq!(rules(Registration::Closed, true).admits(secret("t").as_ref()), None);
        let by_token = rules(Registration::Token(token::hash("t")), false);
        assert_eq!(
            (by_token.admits(secret("t").as_ref()), by_token.admits(secret("u").as_ref()), by_token.admits(None)),
            (Some(Trust::Token), None, None)
        );
        assert_eq!(rules(Registration::Open, false).admits(None), Some(Trust::Open));
        assert_eq!(rules(Registration::Open, true).admits(None), Some(Trust::Sandbox));
    }
}
