//! Asking a company's OpenID provider: its metadata and keys, the way of a person to it, and the exchange of what they bring back.
//! What it says is judged in `purser_identity::sso`.
//!
//! All of it goes through the guarded fetcher, which may speak to the issuer's own origin because the operator named it.

mod ask;
mod logout;
mod metadata;

use std::collections::HashMap;
use std::sync::Arc;

use purser_http::Fetcher;
use purser_identity::Realm;
use purser_identity::limits::SSO_MAX_AGE_S;
use purser_identity::sso::{Begun, Connection, SsoError};
use purser_values::Secret;
use purser_values::name::ConnectionName;
use url::Url;

use self::metadata::Known;
use crate::oidc::Kept;

const AUTH_TIME: &str = r#"{"id_token":{"auth_time":{"essential":true}}}"#;

/// How we prove to a company that it is we who ask.
#[derive(Clone, Debug)]
pub enum ClientAuth {
    Secret(Secret<String>),
    /// An assertion signed with our own key, which the company finds in our key set (RFC 7523).
    OwnKey,
}

/// What the operator says of how to ask one company.
#[derive(Clone, Debug)]
pub struct SsoClient {
    pub auth: ClientAuth,
    /// Scopes besides `openid email`.
    pub scopes: Vec<String>,
}

/// As whom somebody means to come back.
#[derive(Clone, Copy, Debug)]
pub enum Account<'a> {
    /// The one that the company knows them by already.
    Usual,
    /// The one with this address, which they typed.
    Of(&'a str),
    /// Another one than before: the company asks.
    Another,
}

/// Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Sso(Arc<Inner>);

struct Inner {
    fetcher: Fetcher,
    /// Whether plain http is spoken to origins that the operator lists: in a sandbox.
    sandbox: bool,
    clients: HashMap<ConnectionName, SsoClient>,
    known: Kept<ConnectionName, Result<Arc<Known>, ()>>,
}

impl std::fmt::Debug for Sso {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sso").field("connections", &self.0.clients.keys()).finish_non_exhaustive()
    }
}

impl Sso {
    #[must_use]
    pub fn new(fetcher: Fetcher, sandbox: bool, clients: impl IntoIterator<Item = (ConnectionName, SsoClient)>) -> Self {
        let clients: HashMap<_, _> = clients.into_iter().collect();
        let known = Kept::new(clients.len().max(1));
        Self(Arc::new(Inner { fetcher, sandbox, clients, known }))
    }

    fn client(&self, connection: &Connection) -> Result<&SsoClient, SsoError> {
        self.0.clients.get(&connection.name).ok_or(SsoError::Unknown)
    }

    /// Where the person's browser goes (OpenID Connect Core 1.0, 3.1.2.1). `account` is as whom they mean to come back.
    ///
    /// # Errors
    /// [`SsoError::Unavailable`].
    pub async fn authorization_url(
        &self,
        realm: &Realm,
        connection: &Connection,
        begun: &Begun,
        account: Account<'_>,
    ) -> Result<Url, SsoError> {
        let known = self.known(connection, realm.env.now()).await?;
        let scope = ["openid", "email"].into_iter().chain(self.client(connection)?.scopes.iter().map(String::as_str));
        let mut url = known.authorization_endpoint.clone();
        let mut query = url.query_pairs_mut();
        query.append_pair("response_type", "code").append_pair("client_id", &connection.client_id);
        query.append_pair("redirect_uri", &redirect_uri(realm, connection));
        query.append_pair("scope", &scope.collect::<Vec<_>>().join(" "));
        query.append_pair("state", begun.state.expose()).append_pair("nonce", &begun.nonce);
        query.append_pair("code_challenge", &begun.challenge).append_pair("code_challenge_method", "S256");
        // With `max_age` it must say when it asked who it is (2); some say it only where it is asked for by name (5.5).
        if begun.anew {
            query.append_pair("prompt", "login").append_pair("max_age", "0").append_pair("claims", AUTH_TIME);
        } else {
            query.append_pair("max_age", &SSO_MAX_AGE_S.to_string());
        }
        match account {
            // a company that cannot let somebody choose an account can ask who it is
            Account::Another if !begun.anew => {
                query.append_pair("prompt", if known.lets_choose { "select_account" } else { "login" });
            }
            Account::Of(address) => {
                query.append_pair("login_hint", address);
            }
            Account::Usual | Account::Another => {}
        }
        drop(query);
        Ok(url)
    }

    /// Whether an answer comes from the issuer that was asked (RFC 9207): what it names must be it, and it must name itself where
    /// its metadata promise that.
    ///
    /// # Errors
    /// [`SsoError::Answer`].
    pub async fn check_issuer(&self, realm: &Realm, connection: &Connection, iss: Option<&str>) -> Result<(), SsoError> {
        match iss {
            Some(iss) if iss == connection.issuer => Ok(()),
            Some(_) => Err(SsoError::Answer("it comes from another issuer")),
            None if self.known(connection, realm.env.now()).await?.names_itself => {
                Err(SsoError::Answer("it does not say from which issuer it comes"))
            }
            None => Ok(()),
        }
    }
}

/// Each company has its own address to come back to, so that one cannot answer for another.
fn redirect_uri(realm: &Realm, connection: &Connection) -> String {
    realm.url(&format!("/sign-in/sso/{}/callback", connection.name))
}
