//! `/oauth/logout` (OpenID Connect RP-Initiated Logout 1.0): a client sends the person here to sign out.
//!
//! A link alone signs nobody out: the person says yes on a page. The browser goes back only to an address that the client
//! registered for this, character by character, and only when we know which client asks.

use askama::Template;
use axum::extract::{FromRequest as _, RawQuery, Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderMap, StatusCode, header};
use purser_identity::client::{ClientId, RedirectUri};
use purser_identity::parameters::{Parameters, ParametersError};
use purser_identity::token::id_token_hint;
use serde::Deserialize;

use super::consent::with_form_target;
use super::form::Form;
use crate::console::page::{Page, PageContext};
use crate::console::{PageError, SignedForm, cookie, session, signed_out};
use crate::front::Front;

#[derive(Template)]
#[template(path = "logout.html")]
struct LogoutPage {
    ctx: PageContext,
    client: Option<String>,
    /// The parameters of the request, to be checked again with the answer.
    query: String,
}

/// What a client asks for, as far as it can be believed.
struct Asked {
    /// The client's name, when the request shows which one it is.
    client: Option<String>,
    back: Option<(RedirectUri, Option<String>)>,
}

pub async fn get(State(front): State<Front>, headers: HeaderMap, RawQuery(query): RawQuery) -> Result<Response, PageError> {
    let query = query.unwrap_or_default();
    ask(&front, &headers, &query, &Parameters::parse(query.as_bytes()).map_err(unreadable)?).await
}

/// A form of another site comes without the session's cookie, so it is turned into the address of the page.
pub async fn post(request: Request) -> Result<Response, PageError> {
    let form = Form::from_request(request, &()).await;
    let Form { parameters, .. } = form.map_err(|e| PageError::new(StatusCode::BAD_REQUEST, "invalid_request", e.description()))?;
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for name in ["id_token_hint", "client_id", "post_logout_redirect_uri", "state"] {
        if let Some(value) = parameters.get(name) {
            query.append_pair(name, value);
        }
    }
    Ok(Redirect::to(&format!("/oauth/logout?{}", query.finish())).into_response())
}

async fn ask(front: &Front, headers: &HeaderMap, query: &str, parameters: &Parameters) -> Result<Response, PageError> {
    let asked = read(front, parameters).await?;
    let Some(session) = session::find(front, headers).await? else { return Ok(done(front, &asked, None)) };
    let ctx = PageContext::of(front, &session, "Sign out?");
    let page = Page::ok(LogoutPage { ctx, client: asked.client, query: query.to_owned() }).into_response();
    Ok(match asked.back {
        Some((uri, _)) => with_form_target(page, &uri),
        None => page,
    })
}

#[derive(Deserialize)]
pub struct Confirm {
    #[serde(default)]
    query: String,
}

/// `POST /oauth/logout/confirm`: the person says yes.
pub async fn confirm(State(front): State<Front>, signed: SignedForm<Confirm>) -> Result<Response, PageError> {
    let SignedForm { session, form } = signed;
    let parameters = Parameters::parse(form.query.as_bytes()).map_err(unreadable)?;
    let asked = read(&front, &parameters).await?;
    let company = signed_out::end(&front, session).await?;
    let mut response = done(&front, &asked, company);
    if let Some(cookie) = cookie::clear(&front, cookie::SESSION) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Back to the client, or to a page that says that it is over.
fn done(front: &Front, asked: &Asked, company: Option<signed_out::Company>) -> Response {
    match &asked.back {
        Some((uri, state)) => {
            let state: Vec<_> = state.iter().map(|state| ("state", state.as_str())).collect();
            let to = if state.is_empty() { uri.to_string() } else { uri.with(&state) };
            Redirect::to(&to).into_response()
        }
        None => signed_out::page(front, company),
    }
}

async fn read(front: &Front, parameters: &Parameters) -> Result<Asked, PageError> {
    let named: Option<ClientId> = parameters.parsed("client_id").map_err(unreadable)?;
    let hinted = parameters
        .get("id_token_hint")
        .map(|hint| id_token_hint(&front.realm, hint).ok_or_else(|| wrong("`id_token_hint` is not an ID token of ours")));
    let hinted: Option<ClientId> = match hinted.transpose()? {
        Some(claims) => Some(claims.aud.parse().map_err(|_| wrong("`id_token_hint` is not an ID token of ours"))?),
        None => None,
    };
    let id = match (named, hinted) {
        (Some(named), Some(hinted)) if named != hinted => return Err(wrong("the ID token is another client's")),
        (named, hinted) => hinted.or(named),
    };
    let back = parameters.get("post_logout_redirect_uri");
    let Some(id) = id else {
        return if back.is_none() {
            Ok(Asked { client: None, back: None })
        } else {
            Err(wrong("the request does not say which client it comes from"))
        };
    };
    let client = front.clients.find(&front.core.db, front.realm.env.now(), &id).await?;
    let uri = match back {
        None => None,
        Some(text) => {
            let known = |uri: &RedirectUri| client.metadata.post_logout_redirect_uris.contains(uri);
            let uri =
                text.parse().ok().filter(known).ok_or_else(|| wrong("`post_logout_redirect_uri` is not one that the client registered"))?;
            Some((uri, parameters.get("state").map(str::to_owned)))
        }
    };
    Ok(Asked { client: Some(client.name().to_owned()), back: uri })
}

fn wrong(why: &str) -> PageError {
    PageError::new(StatusCode::BAD_REQUEST, "invalid_request", why)
}

fn unreadable(e: ParametersError) -> PageError {
    wrong(&e.to_string())
}
