//! Tokens of a client's own (RFC 6749, 4.4): nobody's rights, only the client's registered scopes.
//!
//! Nothing is written: the token is short, signed, and says all there is to say. This is the hot path of the token endpoint.

use purser_crypto::jose::{Algorithm, JoseError};
use purser_values::Secret;
use purser_values::error::{Kind, PublicError};
use purser_values::id::TokenId;
use purser_values::limits::ACCESS_TOKEN_LIFE_S;
use serde::{Deserialize, Serialize};

use super::access::{Confirmation, TYPE};
use crate::client::{Client, ClientId, GrantType};
use crate::realm::Realm;
use crate::scope::{OF_PERSONS, Scope};

#[derive(Debug, thiserror::Error)]
pub enum ClientTokenError {
    #[error("this client may not have tokens of its own")]
    Unauthorized,
    #[error("the client is not registered for all of this scope, or part of it is a person's to give")]
    Scope,
    #[error(transparent)]
    Jose(#[from] JoseError),
}

impl PublicError for ClientTokenError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized_client",
            Self::Scope => "invalid_scope",
            Self::Jose(_) => "internal",
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::Unauthorized | Self::Scope => Kind::Invalid,
            Self::Jose(_) => Kind::Internal,
        }
    }
}

/// The claims of a client's own access token (RFC 9068). It has no person and no organisation, so no route of the API takes it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClientClaims {
    pub iss: String,
    pub aud: String,
    pub sub: ClientId,
    pub client_id: ClientId,
    #[serde(default, skip_serializing_if = "Scope::is_empty")]
    pub scope: Scope,
    pub jti: TokenId,
    pub iat: i64,
    pub exp: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
}

#[derive(Debug)]
pub struct ClientToken {
    pub access_token: Secret<String>,
    pub expires_in_s: i64,
    pub scope: Scope,
}

/// A token for the authenticated client, bound to a key when it proved one. Without a scope it gets all that it is registered for.
///
/// # Errors
/// See [`ClientTokenError`].
pub fn client_token(
    realm: &Realm,
    client: &Client,
    scope: Option<Scope>,
    audience: Option<String>,
    jkt: Option<&str>,
) -> Result<ClientToken, ClientTokenError> {
    if !client.may(GrantType::ClientCredentials) || !client.is_confidential() {
        return Err(ClientTokenError::Unauthorized);
    }
    let own = client.metadata.scope.filter(|word| !OF_PERSONS.contains(&word));
    let scope = scope.unwrap_or_else(|| own.clone());
    if !scope.is_within(&own) {
        return Err(ClientTokenError::Scope);
    }
    let now = realm.env.now().as_secs();
    let claims = ClientClaims {
        iss: realm.issuer.to_string(),
        aud: audience.unwrap_or_else(|| realm.issuer.to_string()),
        sub: client.id.clone(),
        client_id: client.id.clone(),
        scope: scope.clone(),
        jti: TokenId::mint(&realm.env),
        iat: now,
        exp: now + ACCESS_TOKEN_LIFE_S,
        cnf: jkt.map(|jkt| Confirmation { jkt: jkt.to_owned() }),
    };
    let access_token = Secret::new(realm.keys.sign_with(Algorithm::Es256, TYPE, &claims)?);
    Ok(ClientToken { access_token, expires_in_s: ACCESS_TOKEN_LIFE_S, scope })
}
