//! The exchange of a code for what the company says of the person (OpenID Connect Core 1.0, 3.1.3).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use purser_crypto::encoding::b64url;
use purser_crypto::jose::Algorithm;
use purser_identity::Realm;
use purser_identity::sso::{Connection, Expected, Returned, SsoError, Statement, Vouched};
use purser_values::Secret;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::metadata::Known;
use super::{ClientAuth, Sso, redirect_uri};

/// Life of our assertion, in seconds.
const ASSERTION_LIFE_S: i64 = 60;
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

#[derive(Deserialize)]
struct Tokens {
    access_token: Secret<String>,
    token_type: String,
    id_token: Secret<String>,
}

impl Sso {
    /// What the company says of the person who came back with this code. Its tokens are not kept.
    ///
    /// # Errors
    /// See [`SsoError`].
    pub async fn vouched(
        &self,
        realm: &Realm,
        connection: &Connection,
        code: &Secret<String>,
        returned: &Returned,
    ) -> Result<Vouched, SsoError> {
        let known = self.known(connection, realm.env.now()).await?;
        let tokens = self.redeem(realm, connection, &known, code, returned).await?;
        // after the exchange: the token was made meanwhile
        let now = realm.env.now();
        let expected =
            Expected { connection, nonce: &returned.nonce, access_token: tokens.access_token.expose(), since: returned.began_at };
        let checked = match Statement::check(tokens.id_token.expose(), expected, &known.keys, now) {
            Err(SsoError::NoKey) => match self.known_anew(connection, now).await {
                Some(newer) => Statement::check(tokens.id_token.expose(), expected, &newer.keys, now),
                None => Err(SsoError::NoKey),
            },
            checked => checked,
        };
        let mut statement = checked?;
        if statement.is_thin(connection)
            && let Some(url) = &known.userinfo_endpoint
        {
            let mut bearer = HeaderValue::try_from(format!("Bearer {}", tokens.access_token.expose())).map_err(|_| unusable())?;
            bearer.set_sensitive(true);
            let claims: Map<String, Value> = self.json(url, HeaderMap::from_iter([(header::AUTHORIZATION, bearer)])).await?;
            statement = statement.with_userinfo(claims)?;
        }
        statement.vouched(connection)
    }

    async fn redeem(
        &self,
        realm: &Realm,
        connection: &Connection,
        known: &Known,
        code: &Secret<String>,
        returned: &Returned,
    ) -> Result<Tokens, SsoError> {
        let (headers, body) = self.request(realm, connection, known, code, returned)?;
        let found = self.send(Method::POST, &known.token_endpoint, headers, body).await?;
        match found.status {
            StatusCode::OK => {}
            status if status.is_client_error() => {
                tracing::warn!(connection = %connection.name, %status, "a company took back its code, or does not know us");
                return Err(SsoError::Refused);
            }
            status => {
                tracing::warn!(connection = %connection.name, %status, "a company's token endpoint fails");
                return Err(SsoError::Unavailable);
            }
        }
        let tokens: Tokens = serde_json::from_slice(&found.body).map_err(|_| unusable())?;
        if tokens.token_type.eq_ignore_ascii_case("bearer") { Ok(tokens) } else { Err(unusable()) }
    }

    fn request(
        &self,
        realm: &Realm,
        connection: &Connection,
        known: &Known,
        code: &Secret<String>,
        returned: &Returned,
    ) -> Result<(HeaderMap, Bytes), SsoError> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code").append_pair("code", code.expose());
        form.append_pair("redirect_uri", &redirect_uri(realm, connection)).append_pair("code_verifier", returned.verifier.expose());
        let mut headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"))]);
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        match &self.client(connection)?.auth {
            ClientAuth::Secret(secret) if known.secret_in_body => {
                form.append_pair("client_id", &connection.client_id).append_pair("client_secret", secret.expose());
            }
            ClientAuth::Secret(secret) => {
                headers.insert(header::AUTHORIZATION, basic(&connection.client_id, secret)?);
            }
            ClientAuth::OwnKey => {
                let assertion = assertion(realm, connection)?;
                form.append_pair("client_id", &connection.client_id).append_pair("client_assertion_type", ASSERTION_TYPE);
                form.append_pair("client_assertion", assertion.expose());
            }
        }
        Ok((headers, Bytes::from(form.finish())))
    }
}

const fn unusable() -> SsoError {
    SsoError::Answer("its tokens cannot be read")
}

/// RFC 6749, 2.3.1: both halves are form-encoded first.
fn basic(id: &str, secret: &Secret<String>) -> Result<HeaderValue, SsoError> {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = Secret::new(format!("{}:{}", encode(id), encode(secret.expose())));
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair.expose()))).map_err(|_| SsoError::Unavailable)?;
    value.set_sensitive(true);
    Ok(value)
}

fn assertion(realm: &Realm, connection: &Connection) -> Result<Secret<String>, SsoError> {
    let (id, now) = (&connection.client_id, realm.env.now().as_secs());
    let claims = json!({
        "iss": id, "sub": id, "aud": connection.issuer, "jti": b64url(&realm.env.bytes::<16>()), "iat": now,
        "exp": now + ASSERTION_LIFE_S,
    });
    realm.keys.sign_with(Algorithm::Es256, "JWT", &claims).map(Secret::new).map_err(SsoError::Signature)
}
