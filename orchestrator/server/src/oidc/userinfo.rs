//! `GET` and `POST /oauth/userinfo` (OpenID Connect Core, 5.3): who the person is, as far as they allowed the client to know.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use purser_identity::scope::EMAIL;
use purser_identity::token::dpop::{Proof, ProofError};
use purser_identity::token::{PresentedSignOn, SignOnTokenError, person_of};
use purser_values::error::{Kind, PublicError as _};
use serde_json::json;

use super::error::OAuthError;
use super::resource::challenge;
use crate::front::Front;

const PATH: &str = "/oauth/userinfo";

pub async fn answer(State(front): State<Front>, method: Method, headers: HeaderMap) -> Response {
    match read(&front, &method, &headers).await {
        Ok(response) => response,
        Err(e) => refuse(&front, e),
    }
}

async fn read(front: &Front, method: &Method, headers: &HeaderMap) -> Result<Response, Option<SignOnTokenError>> {
    let (token, bound) = token(headers)?;
    let now = front.realm.env.now();
    let proof = match bound {
        true => Some(proof(front, method, headers, token)?),
        false => None,
    };
    let presented = PresentedSignOn::check(&front.realm, token, proof).map_err(Some)?;
    let scope = presented.claims.scope.clone();
    let member = match presented.has_proof() {
        true => front.core.db.write(move |tx| person_of(tx, now, &presented)).await,
        false => front.core.db.read(move |tx| person_of(tx, now, &presented)).await,
    };
    let person = member.map_err(Some)?.person;
    let mut claims = json!({ "sub": person.id });
    if scope.contains(EMAIL) {
        claims["email"] = json!(person.email);
        // every address here was proven with a code
        claims["email_verified"] = json!(true);
    }
    Ok(Json(claims).into_response())
}

/// The one token, in the header. A token in a body or a query ends up in logs, so it is not looked for there.
fn token(headers: &HeaderMap) -> Result<(&str, bool), Option<SignOnTokenError>> {
    let mut found = headers.get_all(header::AUTHORIZATION).iter();
    let value = match (found.next(), found.next()) {
        (None, _) => return Err(None),
        (Some(value), None) => value.to_str().map_err(|_| None)?,
        (Some(_), Some(_)) => return Err(Some(SignOnTokenError::InvalidToken)),
    };
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok((token.trim(), false)),
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("dpop") => Ok((token.trim(), true)),
        _ => Err(None),
    }
}

fn proof(front: &Front, method: &Method, headers: &HeaderMap, token: &str) -> Result<Proof, Option<SignOnTokenError>> {
    let mut found = headers.get_all("dpop").iter();
    let proof = match (found.next().and_then(|v| v.to_str().ok()), found.next()) {
        (Some(proof), None) => proof,
        (_, Some(_)) => return Err(Some(ProofError::Several.into())),
        (None, None) => return Err(Some(ProofError::Missing.into())),
    };
    let checked = Proof::check(proof, method.as_str(), &front.realm.url(PATH), Some(token), front.realm.env.now());
    let proof = checked.map_err(|e| Some(e.into()))?;
    proof.check_nonce(&front.realm).map_err(|e| Some(e.into()))?;
    Ok(proof)
}

/// Without a token only the challenge is said, with one also what is wrong with it (RFC 6750, 3.1).
fn refuse(front: &Front, e: Option<SignOnTokenError>) -> Response {
    let error = e.as_ref().map(purser_values::error::PublicError::code);
    let status = match e.as_ref().map(purser_values::error::PublicError::kind) {
        None | Some(Kind::Unauthenticated) => StatusCode::UNAUTHORIZED,
        Some(kind) => StatusCode::from_u16(kind.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
    };
    let mut response = match e {
        None => status.into_response(),
        Some(e) => {
            tracing::info!(code = e.code(), "the person's claims were refused");
            OAuthError::from(e).into_response()
        }
    };
    *response.status_mut() = status;
    for scheme in ["DPoP", "Bearer"] {
        if let Ok(value) = HeaderValue::try_from(challenge(&front.realm.issuer, scheme, error)) {
            response.headers_mut().append(header::WWW_AUTHENTICATE, value);
        }
    }
    response
}
