//! What a client says of itself (RFC 7591, 2; OpenID Connect Dynamic Client Registration 1.0, 2), checked once.

use purser_values::error::{Kind, PublicError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::{KeySet, RedirectUri, Trust};
use crate::agent::AgentName;
use crate::scope::Scope;

/// Most addresses of one kind.
const ADDRESSES: usize = 10;
/// Longest address other than a redirect URI, in characters.
const ADDRESS_CHARS: usize = 1_024;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    /// A public client: the code's PKCE verifier is all that ties its requests together.
    None,
    ClientSecretBasic,
    ClientSecretPost,
    PrivateKeyJwt,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GrantType {
    #[serde(rename = "authorization_code")]
    AuthorizationCode,
    #[serde(rename = "refresh_token")]
    RefreshToken,
    #[serde(rename = "client_credentials")]
    ClientCredentials,
    #[serde(rename = "urn:ietf:params:oauth:grant-type:device_code")]
    DeviceCode,
    #[serde(rename = "urn:ietf:params:oauth:grant-type:token-exchange")]
    TokenExchange,
}

/// How its ID tokens are signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenAlgorithm {
    #[default]
    #[serde(rename = "ES256")]
    Es256,
    #[serde(rename = "EdDSA")]
    EdDsa,
}

/// Checked metadata, which is also how they are kept and told back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientMetadata {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_uri: Option<String>,
    pub redirect_uris: Vec<RedirectUri>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub post_logout_redirect_uris: Vec<RedirectUri>,
    pub grant_types: Vec<GrantType>,
    pub response_types: Vec<String>,
    pub token_endpoint_auth_method: AuthMethod,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<KeySet>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<Url>,
    pub scope: Scope,
    pub id_token_signed_response_alg: TokenAlgorithm,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_max_age: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backchannel_logout_uri: Option<Url>,
    pub backchannel_logout_session_required: bool,
    pub require_pushed_authorization_requests: bool,
    pub dpop_bound_access_tokens: bool,
}

/// Metadata as they come. What is not known is ignored, as RFC 7591 asks.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct RawMetadata {
    pub client_id: Option<String>,
    pub client_secret: Option<purser_values::Secret<String>>,
    pub client_name: Option<String>,
    pub client_uri: Option<String>,
    pub application_type: Option<String>,
    /// Not kept; read so that a wrong shape is refused.
    pub contacts: Option<Vec<String>>,
    pub redirect_uris: Option<Vec<String>>,
    pub post_logout_redirect_uris: Option<Vec<String>>,
    pub grant_types: Option<Vec<String>>,
    pub response_types: Option<Vec<String>>,
    pub token_endpoint_auth_method: Option<String>,
    pub token_endpoint_auth_signing_alg: Option<String>,
    pub jwks: Option<Value>,
    pub jwks_uri: Option<String>,
    pub scope: Option<String>,
    pub subject_type: Option<String>,
    pub id_token_signed_response_alg: Option<String>,
    pub id_token_encrypted_response_alg: Option<String>,
    pub userinfo_signed_response_alg: Option<String>,
    pub userinfo_encrypted_response_alg: Option<String>,
    pub request_object_signing_alg: Option<String>,
    pub default_max_age: Option<i64>,
    pub backchannel_logout_uri: Option<String>,
    pub backchannel_logout_session_required: Option<bool>,
    pub require_pushed_authorization_requests: Option<bool>,
    pub dpop_bound_access_tokens: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    #[error("`redirect_uris`: {0}")]
    RedirectUri(String),
    #[error("`{what}`: {why}")]
    Metadata { what: &'static str, why: String },
}

impl PublicError for MetadataError {
    fn code(&self) -> &'static str {
        match self {
            Self::RedirectUri(_) => "invalid_redirect_uri",
            Self::Metadata { .. } => "invalid_client_metadata",
        }
    }
    fn kind(&self) -> Kind {
        Kind::Invalid
    }
}

fn wrong(what: &'static str, why: impl Into<String>) -> MetadataError {
    MetadataError::Metadata { what, why: why.into() }
}

impl RawMetadata {
    /// Reads a JSON object.
    ///
    /// # Errors
    /// When the bytes are none, or a member has another shape.
    pub fn read(body: &[u8]) -> Result<Self, MetadataError> {
        // An array would be read as the members in their order.
        if body.trim_ascii_start().first() != Some(&b'{') {
            return Err(wrong("body", "it is not a JSON object"));
        }
        serde_json::from_slice(body).map_err(|e| wrong("body", format!("it is not client metadata: {e}")))
    }

    /// [`RawMetadata::well_formed`], and what we fetch for the client can be fetched, as far as the addresses tell: `reachable` says
    /// why one never can be.
    ///
    /// # Errors
    /// The first thing that is not acceptable.
    pub fn checked(
        self,
        trust: Trust,
        plain_http: bool,
        reachable: impl Fn(&Url) -> Result<(), &'static str>,
    ) -> Result<ClientMetadata, MetadataError> {
        let metadata = self.well_formed(trust, plain_http)?;
        for (what, url) in [("jwks_uri", &metadata.jwks_uri), ("backchannel_logout_uri", &metadata.backchannel_logout_uri)] {
            if let Some(why) = url.as_ref().and_then(|url| reachable(url).err()) {
                return Err(wrong(what, format!("it cannot be reached from here: {why}")));
            }
        }
        Ok(metadata)
    }

    /// Checks what it says. `plain_http` allows http addresses for the client's own endpoints, in a sandbox.
    ///
    /// # Errors
    /// The first thing that is not acceptable.
    pub fn well_formed(self, trust: Trust, plain_http: bool) -> Result<ClientMetadata, MetadataError> {
        let grant_types = grant_types(self.grant_types, trust)?;
        let by_code = grant_types.contains(&GrantType::AuthorizationCode);
        let redirect_uris = addresses(self.redirect_uris).map_err(MetadataError::RedirectUri)?;
        if by_code && redirect_uris.is_empty() {
            return Err(MetadataError::RedirectUri("at least one is needed for the authorization code grant".to_owned()));
        }
        let expected: &[&str] = if by_code { &["code"] } else { &[] };
        let response_types = self.response_types.unwrap_or_else(|| expected.iter().map(|&t| t.to_owned()).collect());
        if response_types != expected {
            return Err(wrong("response_types", "only `code` is answered, and it goes with the authorization code grant"));
        }
        let method = auth_method(self.token_endpoint_auth_method.as_deref(), trust)?;
        let (jwks, jwks_uri) = keys(self.jwks, self.jwks_uri, method, plain_http)?;
        if grant_types.contains(&GrantType::ClientCredentials) && method == AuthMethod::None {
            return Err(wrong("grant_types", "a public client cannot use `client_credentials`"));
        }
        refuse_other(&self.token_endpoint_auth_signing_alg, "token_endpoint_auth_signing_alg", &["ES256", "EdDSA", "Ed25519"])?;
        refuse_other(&self.application_type, "application_type", &["web", "native"])?;
        refuse_other(&self.subject_type, "subject_type", &["public"])?;
        refuse_other(&self.id_token_encrypted_response_alg, "id_token_encrypted_response_alg", &[])?;
        refuse_other(&self.userinfo_signed_response_alg, "userinfo_signed_response_alg", &[])?;
        refuse_other(&self.userinfo_encrypted_response_alg, "userinfo_encrypted_response_alg", &[])?;
        refuse_other(&self.request_object_signing_alg, "request_object_signing_alg", &[])?;
        let alg = match self.id_token_signed_response_alg.as_deref() {
            None | Some("ES256") => TokenAlgorithm::Es256,
            Some("EdDSA" | "Ed25519") => TokenAlgorithm::EdDsa,
            Some(_) => return Err(wrong("id_token_signed_response_alg", "ID tokens are signed with ES256 or EdDSA")),
        };
        if self.default_max_age.is_some_and(|age| age < 0) {
            return Err(wrong("default_max_age", "it is a number of seconds"));
        }
        let own = |what, text| own_address(what, text, plain_http);
        Ok(ClientMetadata {
            client_name: name(self.client_name)?,
            client_uri: own("client_uri", self.client_uri)?.map(Into::into),
            redirect_uris,
            post_logout_redirect_uris: addresses(self.post_logout_redirect_uris).map_err(|why| wrong("post_logout_redirect_uris", why))?,
            grant_types,
            response_types,
            token_endpoint_auth_method: method,
            jwks,
            jwks_uri,
            scope: scope(self.scope.as_deref(), trust)?,
            id_token_signed_response_alg: alg,
            default_max_age: self.default_max_age,
            backchannel_logout_uri: own("backchannel_logout_uri", self.backchannel_logout_uri)?,
            backchannel_logout_session_required: self.backchannel_logout_session_required.unwrap_or(false),
            require_pushed_authorization_requests: self.require_pushed_authorization_requests.unwrap_or(false),
            dpop_bound_access_tokens: self.dpop_bound_access_tokens.unwrap_or(false),
        })
    }
}

/// A name that reorders or hides text is refused, like an agent's.
fn name(text: Option<String>) -> Result<Option<String>, MetadataError> {
    text.map(|text| text.parse::<AgentName>().map(|name| name.to_string()))
        .transpose()
        .map_err(|_| wrong("client_name", "it has 1 to 80 visible characters"))
}

fn grant_types(given: Option<Vec<String>>, trust: Trust) -> Result<Vec<GrantType>, MetadataError> {
    let Some(given) = given else { return Ok(vec![GrantType::AuthorizationCode]) };
    let mut types = Vec::new();
    for text in given {
        let grant: GrantType =
            serde_json::from_value(Value::String(text)).map_err(|_| wrong("grant_types", "one of them is not supported here"))?;
        if grant == GrantType::ClientCredentials && !trust.may_act_alone() {
            return Err(wrong("grant_types", "`client_credentials` is for clients that somebody here answers for"));
        }
        if !types.contains(&grant) {
            types.push(grant);
        }
    }
    if types.is_empty() { Err(wrong("grant_types", "there is none")) } else { Ok(types) }
}

fn auth_method(text: Option<&str>, trust: Trust) -> Result<AuthMethod, MetadataError> {
    let method = match text {
        // whoever has only a document has no secret
        None if trust == Trust::Document => AuthMethod::None,
        None => AuthMethod::ClientSecretBasic,
        Some(text) => serde_json::from_value(Value::String(text.to_owned()))
            .map_err(|_| wrong("token_endpoint_auth_method", "it is none that is supported here"))?,
    };
    if trust == Trust::Document && matches!(method, AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost) {
        return Err(wrong("token_endpoint_auth_method", "a client that is known by its document alone shares no secret with us"));
    }
    Ok(method)
}

fn keys(
    jwks: Option<Value>,
    jwks_uri: Option<String>,
    method: AuthMethod,
    plain_http: bool,
) -> Result<(Option<KeySet>, Option<Url>), MetadataError> {
    let jwks: Option<KeySet> = jwks.map(serde_json::from_value).transpose().map_err(|_| wrong("jwks", "it is not a set of public keys"))?;
    let jwks_uri = own_address("jwks_uri", jwks_uri, plain_http)?;
    if jwks.is_some() && jwks_uri.is_some() {
        return Err(wrong("jwks", "give the keys or their address, and not both"));
    }
    if method == AuthMethod::PrivateKeyJwt && jwks_uri.is_none() && jwks.as_ref().is_none_or(KeySet::is_empty) {
        return Err(wrong("jwks", "`private_key_jwt` needs an Ed25519 or P-256 key"));
    }
    Ok((jwks, jwks_uri))
}

fn scope(text: Option<&str>, trust: Trust) -> Result<Scope, MetadataError> {
    let Some(text) = text else { return Ok(Scope::of_persons()) };
    let scope: Scope = text.parse().map_err(|e| wrong("scope", format!("{e}")))?;
    if trust.may_have_any_scope() { Ok(scope) } else { Ok(scope.filter(|word| crate::scope::OF_PERSONS.contains(&word))) }
}

fn addresses(given: Option<Vec<String>>) -> Result<Vec<RedirectUri>, String> {
    let given = given.unwrap_or_default();
    if given.len() > ADDRESSES {
        return Err(format!("there are more than {ADDRESSES}"));
    }
    given.iter().map(|text| text.parse().map_err(|e| format!("{e}"))).collect()
}

/// An address of the client's that we fetch or link to.
fn own_address(what: &'static str, text: Option<String>, plain_http: bool) -> Result<Option<Url>, MetadataError> {
    let Some(text) = text else { return Ok(None) };
    let url = Url::parse(&text).ok().filter(|url| text.len() <= ADDRESS_CHARS && url.fragment().is_none() && url.username().is_empty());
    let fits = |url: &Url| url.has_host() && (url.scheme() == "https" || (plain_http && url.scheme() == "http"));
    url.filter(fits).map(Some).ok_or_else(|| wrong(what, "it is an https address without a fragment"))
}

fn refuse_other(given: &Option<String>, what: &'static str, taken: &[&str]) -> Result<(), MetadataError> {
    match given {
        Some(text) if !taken.contains(&text.as_str()) => Err(wrong(what, "this is not done here")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(value: Value, trust: Trust) -> Result<ClientMetadata, MetadataError> {
        serde_json::from_value::<RawMetadata>(value).unwrap().well_formed(trust, false)
    }

    #[test]
    fn a_client_that_says_little_gets_the_defaults_of_the_rfc() {
        let found = check(json!({ "redirect_uris": ["https://c.test/cb"], "unheard_of": 1 }), Trust::Open).unwrap();
        assert_eq!(found.grant_types, [GrantType::AuthorizationCode]);
        assert_eq!(found.token_endpoint_auth_method, AuthMethod::ClientSecretBasic);
        assert_eq!(found.scope, Scope::of_persons());
        let again: ClientMetadata = serde_json::from_value(json!(found)).unwrap();
        assert_eq!(again, found);
    }

    #[test]
    fn a_stranger_gets_no_scope_and_no_tokens_of_its_own() {
        let asked = json!({ "redirect_uris": ["https://c.test/cb"], "scope": "openid introspect admin" });
        assert_eq!(check(asked.clone(), Trust::Token).unwrap().scope.to_string(), "openid");
        assert_eq!(check(asked, Trust::Operator).unwrap().scope.to_string(), "openid introspect admin");
        let alone = json!({ "grant_types": ["client_credentials"] });
        assert!(check(alone.clone(), Trust::Open).is_err());
        assert!(check(alone.clone(), Trust::Document).is_err());
        assert!(check(alone, Trust::Token).is_ok());
    }

    #[test]
    fn what_contradicts_itself_or_is_not_done_here_is_refused() {
        let key = purser_crypto::jose::SigningKey::generate(purser_crypto::jose::Algorithm::EdDsa).unwrap();
        let set = json!({ "keys": [key.public()] });
        let with = |name: &str, value: Value| {
            let mut raw = json!({ "redirect_uris": ["https://c.test/cb"] });
            raw[name] = value;
            raw
        };
        for bad in [
            json!({}),
            with("redirect_uris", json!([])),
            with("redirect_uris", json!(["http://c.test/cb"])),
            with("redirect_uris", json!(vec!["https://c.test/cb"; 11])),
            with("response_types", json!(["token"])),
            with("response_types", json!(["code", "code id_token"])),
            with("grant_types", json!(["implicit"])),
            with("grant_types", json!(["password"])),
            with("grant_types", json!([])),
            with("token_endpoint_auth_method", json!("client_secret_jwt")),
            with("token_endpoint_auth_method", json!("private_key_jwt")),
            with("jwks_uri", json!("http://c.test/jwks")),
            with("jwks_uri", json!("file:///etc/passwd")),
            with("id_token_signed_response_alg", json!("none")),
            with("id_token_signed_response_alg", json!("RS256")),
            with("subject_type", json!("pairwise")),
            with("backchannel_logout_uri", json!("https://c.test/logout#x")),
            with("client_name", json!("pay\u{202e}lap")),
            json!({ "redirect_uris": ["https://c.test/cb"], "jwks": set, "jwks_uri": "https://c.test/jwks" }),
            json!({ "grant_types": ["client_credentials"], "token_endpoint_auth_method": "none" }),
        ] {
            assert!(check(bad.clone(), Trust::Organisation).is_err(), "{bad} was taken");
        }
        assert!(
            check(json!({ "redirect_uris": ["https://c.test/cb"], "token_endpoint_auth_method": "client_secret_post" }), Trust::Document)
                .is_err()
        );
    }
}
