//! Who a client is, at the endpoints that clients call themselves (RFC 6749, 2.3; RFC 7523).
//!
//! A client proves itself in the kind of way that it is registered for; a secret may come in the header or in the body, whichever of
//! the two was registered: many clients send it the other way, and it is the same secret. Two ways at once are refused, and an unknown client
//! looks like one with a wrong secret.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, header};
use purser_identity::client::assertion::{self, ASSERTION_TYPE, Assertion, AssertionError};
use purser_identity::client::{AuthMethod, Client, ClientId};
use purser_identity::parameters::Parameters;
use purser_values::Secret;

use super::clients::ClientError;
use super::error::OAuthError;
use crate::front::Front;

/// A client that has proved itself. Its assertion counts once it is consumed, in the write that follows.
#[derive(Clone, Debug)]
pub struct Authenticated {
    pub client: Arc<Client>,
    pub assertion: Option<Assertion>,
}

/// Whether a request says in any way which client it comes from.
pub fn is_named(headers: &HeaderMap, parameters: &Parameters) -> bool {
    let named = ["client_id", "client_secret", "client_assertion"].into_iter().any(|name| parameters.has(name));
    named || headers.contains_key(header::AUTHORIZATION)
}

/// What a request brings to prove its client with.
enum Proof {
    None,
    Basic(Secret<String>),
    Post(Secret<String>),
    Assertion(Secret<String>),
}

/// The client of a request to `path`, which must say who it is.
pub async fn required(front: &Front, headers: &HeaderMap, parameters: &Parameters, path: &str) -> Result<Authenticated, OAuthError> {
    let found = optional(front, headers, parameters, path).await?;
    found.ok_or_else(|| OAuthError::invalid_client("the request does not say which client it comes from", false))
}

/// The client of a request, if it says one: an agent is known by its key and needs no client.
pub async fn optional(
    front: &Front,
    headers: &HeaderMap,
    parameters: &Parameters,
    path: &str,
) -> Result<Option<Authenticated>, OAuthError> {
    let Some((id, proof)) = read(headers, parameters)? else { return Ok(None) };
    let basic = matches!(proof, Proof::Basic(_));
    let now = front.realm.env.now();
    let client = match front.clients.find(&front.core.db, now, &id).await {
        Ok(client) => client,
        Err(ClientError::Unknown) => return Err(unproven(basic)),
        Err(ClientError::Document(e)) => return Err(OAuthError::invalid_client(&e.to_string(), basic)),
        Err(e) => return Err(e.into()),
    };
    let assertion = match (client.metadata.token_endpoint_auth_method, &proof) {
        (AuthMethod::None, Proof::None) => None,
        (AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost, Proof::Basic(secret) | Proof::Post(secret)) => {
            if !client.has_secret(secret) {
                return Err(unproven(basic));
            }
            None
        }
        (AuthMethod::PrivateKeyJwt, Proof::Assertion(text)) => {
            let (issuer, endpoint, token) = (front.realm.url(""), front.realm.url(path), front.realm.url("/oauth/token"));
            let audiences = [issuer.as_str(), endpoint.as_str(), token.as_str()];
            Some(front.clients.check_assertion(&client, text.expose(), &audiences, now).await.map_err(refused)?)
        }
        _ => return Err(OAuthError::invalid_client("the client is registered for another way to prove itself", basic)),
    };
    Ok(Some(Authenticated { client, assertion }))
}

fn refused(e: AssertionError) -> OAuthError {
    match e {
        AssertionError::Db(e) => e.into(),
        e => OAuthError::invalid_client(&e.to_string(), false),
    }
}

fn unproven(basic: bool) -> OAuthError {
    OAuthError::invalid_client("the client is not known, or did not prove itself", basic)
}

/// Who the request says it comes from, and with what proof.
fn read(headers: &HeaderMap, parameters: &Parameters) -> Result<Option<(ClientId, Proof)>, OAuthError> {
    let named: Option<ClientId> = parameters.parsed("client_id").map_err(|e| OAuthError::invalid_request(e.to_string()))?;
    let (secret, asserted) = (parameters.secret("client_secret"), parameters.secret("client_assertion"));
    let basic = basic(headers)?;
    if [basic.is_some(), secret.is_some(), asserted.is_some()].into_iter().filter(|there| *there).count() > 1 {
        return Err(OAuthError::invalid_request("the client proves itself in more than one way"));
    }
    let (id, proof) = match (basic, secret, asserted) {
        (Some((id, secret)), _, _) => (Some(id), Proof::Basic(secret)),
        (_, Some(secret), _) => (None, Proof::Post(secret)),
        (_, _, Some(text)) => {
            if parameters.get("client_assertion_type") != Some(ASSERTION_TYPE) {
                return Err(OAuthError::invalid_request(format!("`client_assertion_type` must be `{ASSERTION_TYPE}`")));
            }
            (Some(assertion::claimed_client(text.expose()).map_err(refused)?), Proof::Assertion(text))
        }
        _ => (None, Proof::None),
    };
    match (named, id) {
        (Some(named), Some(id)) if named != id => Err(OAuthError::invalid_request("the request names two clients")),
        (named, id) => match (id.or(named), proof) {
            (Some(id), proof) => Ok(Some((id, proof))),
            (None, Proof::None) => Ok(None),
            (None, _) => Err(OAuthError::invalid_request("`client_id` is missing")),
        },
    }
}

/// The two halves of an `Authorization: Basic`, each percent-encoded before they were joined (RFC 6749, 2.3.1).
fn basic(headers: &HeaderMap) -> Result<Option<(ClientId, Secret<String>)>, OAuthError> {
    let wrong = || OAuthError::invalid_client("the `Authorization` header is not one of a client", true);
    let mut found = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (found.next(), found.next()) else { return Err(wrong()) };
    let Some(value) = value else { return Ok(None) };
    let text = value.to_str().map_err(|_| wrong())?;
    let (scheme, encoded) = text.split_once(' ').ok_or_else(wrong)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(wrong());
    }
    let bytes = Secret::new(STANDARD.decode(encoded.trim()).map_err(|_| wrong())?);
    let pair = std::str::from_utf8(bytes.expose()).map_err(|_| wrong())?;
    let (id, secret) = pair.split_once(':').ok_or_else(wrong)?;
    let (id, secret) = (decoded(id).ok_or_else(wrong)?, decoded(secret).ok_or_else(wrong)?);
    Ok(Some((id.parse().map_err(|_| wrong())?, Secret::new(secret))))
}

fn decoded(text: &str) -> Option<String> {
    // `form_urlencoded` reads a bare word as a name without a value
    let one = text.replace('&', "%26").replace('=', "%3D");
    let (name, _) = url::form_urlencoded::parse(one.as_bytes()).next()?;
    (!name.contains('\u{fffd}')).then(|| name.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pair: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, format!("Basic {}", STANDARD.encode(pair)).parse().unwrap())])
    }

    #[test]
    fn basic_halves_are_percent_decoded_one_by_one() {
        let (id, secret) = basic(&headers("cli%3Aa:p%26q+r%3D%25")).unwrap().unwrap();
        assert_eq!((id.as_str(), secret.expose().as_str()), ("cli:a", "p&q r=%"));
        let (_, secret) = basic(&headers("cli:a=b&c:d")).unwrap().unwrap();
        assert_eq!(secret.expose(), "a=b&c:d");
        for bad in ["no colon", ":", "cli:%ff"] {
            assert!(basic(&headers(bad)).is_err(), "{bad}");
        }
        let bearer = HeaderMap::from_iter([(header::AUTHORIZATION, "Bearer x".parse().unwrap())]);
        assert!(basic(&bearer).is_err() && basic(&HeaderMap::new()).unwrap().is_none());
    }

    #[test]
    fn two_proofs_or_two_names_at_once_are_refused() {
        let parameters = |text: &str| Parameters::parse(text.as_bytes()).unwrap();
        assert!(read(&headers("a:s"), &parameters("client_id=a&client_secret=s")).is_err());
        assert!(read(&headers("a:s"), &parameters("client_id=b")).is_err());
        assert!(read(&headers("a:s"), &parameters("client_id=a")).unwrap().is_some());
        assert!(read(&HeaderMap::new(), &parameters("client_secret=s")).is_err());
        assert!(read(&HeaderMap::new(), &parameters("client_id=a&client_secret=s&client_assertion=x")).is_err());
        assert!(read(&HeaderMap::new(), &parameters("grant_type=refresh_token")).unwrap().is_none());
    }
}
