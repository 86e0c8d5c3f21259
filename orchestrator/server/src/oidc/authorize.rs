//! `GET` and `POST /oauth/authorize`: a browser brings a client's request.
//!
//! INVARIANT (no-open-redirect): until the client and the exact address are known, whatever is wrong is said on a page of ours.

use axum::extract::{FromRequest as _, RawQuery, Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderMap, StatusCode, header};
use purser_authority::action::AuthorizationRequest;
use purser_authority::{Attempt, Caller, Facts, authorise};
use purser_identity::authorization::{
    Asked, BeginError, Pending, Refusal, answer, authorization_begin, authorization_refuse, authorization_take, redirect_of,
};
use purser_identity::client::{Client, ClientId, RedirectUri};
use purser_identity::parameters::{Parameters, ParametersError};
use purser_identity::session::Session;
use purser_provisioning::perform;
use purser_values::Sha256Digest;

use super::consent;
use super::form::Form;
use crate::console::{PageError, browser, session};
use crate::front::Front;
use crate::peer::Peer;

pub async fn get(
    State(front): State<Front>,
    Peer(peer): Peer,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes()).map_err(unreadable)?;
    begin(&front, &peer, &headers, parameters).await
}

pub async fn post(State(front): State<Front>, Peer(peer): Peer, request: Request) -> Result<Response, PageError> {
    let form = Form::from_request(request, &()).await;
    let Form { headers, parameters } = form.map_err(|e| PageError::new(StatusCode::BAD_REQUEST, "invalid_request", e.description()))?;
    begin(&front, &peer, &headers, parameters).await
}

async fn begin(front: &Front, peer: &str, headers: &HeaderMap, parameters: Parameters) -> Result<Response, PageError> {
    let id: Option<ClientId> = parameters.parsed("client_id").map_err(unreadable)?;
    let id = id.ok_or_else(|| PageError::new(StatusCode::BAD_REQUEST, "invalid_request", "`client_id` is missing"))?;
    let client = front.clients.find(&front.core.db, front.realm.env.now(), &id).await?;
    let (browser, set) = browser::of(front, headers);
    let taken = match parameters.get("request_uri") {
        Some(uri) => take(front, &id, uri, peer, &browser).await?,
        None => match read(front, &client, &parameters)? {
            Ok(asked) => keep(front, asked, peer, &browser).await?,
            Err(location) => return Ok(Redirect::to(&location).into_response()),
        },
    };
    let session = session::find(front, headers).await?;
    let mut response = go_on(front, &taken, session, &browser).await?;
    if let Some(cookie) = set {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// A request that came with the browser, or the address of the refusal.
fn read(front: &Front, client: &Client, parameters: &Parameters) -> Result<Result<Asked, String>, PageError> {
    let redirect_uri = redirect_of(parameters, client)?;
    let refused = |uri: &RedirectUri, refusal: &Refusal| {
        let error = [("error", refusal.error), ("error_description", refusal.description.as_str())];
        answer(uri, parameters.get("state"), &front.realm.issuer, &error)
    };
    if client.metadata.require_pushed_authorization_requests {
        let refusal = Refusal::new("invalid_request", "this client is registered for pushed requests only");
        return Ok(Err(refused(&redirect_uri, &refusal)));
    }
    if parameters.has("authorization_details") {
        let refusal = Refusal::new("invalid_request", "a grant is asked for in a pushed request, with a proof of the agent's key");
        return Ok(Err(refused(&redirect_uri, &refusal)));
    }
    let asked = Asked::read(parameters, client, redirect_uri.clone(), None, &front.resources());
    Ok(asked.map_err(|refusal| refused(&redirect_uri, &refusal)))
}

async fn keep(front: &Front, asked: Asked, peer: &str, browser: &Sha256Digest) -> Result<Pending, BeginError> {
    let (realm, peer, browser) = (front.realm.clone(), peer.to_owned(), *browser);
    let attempt = Attempt::new("authorization_request", &Caller::Anonymous, asked.client.as_str());
    perform(&front.core, attempt, move |tx| {
        let permit = authorise::<AuthorizationRequest>(&Caller::Anonymous, &Facts::new(realm.env.now(), asked.client.as_str()))?;
        authorization_begin(tx, &realm, permit, &asked, &peer, &browser)
    })
    .await
}

async fn take(front: &Front, client: &ClientId, uri: &str, peer: &str, browser: &Sha256Digest) -> Result<Pending, BeginError> {
    let (realm, client, uri, peer, browser) = (front.realm.clone(), client.clone(), uri.to_owned(), peer.to_owned(), *browser);
    let attempt = Attempt::new("authorization_request", &Caller::Anonymous, client.as_str());
    perform(&front.core, attempt, move |tx| {
        let permit = authorise::<AuthorizationRequest>(&Caller::Anonymous, &Facts::new(realm.env.now(), client.as_str()))?;
        authorization_take(tx, &realm, permit, &client, &uri, &peer, &browser)
    })
    .await
}

/// With `prompt=none` the answer is given here, whatever it is; else the person's page follows.
async fn go_on(front: &Front, pending: &Pending, session: Option<Session>, browser: &Sha256Digest) -> Result<Response, PageError> {
    if !pending.asked.prompt.none {
        return Ok(Redirect::to(&consent::path(&pending.id)).into_response());
    }
    let location = match consent::silently(front, pending, session, browser).await? {
        Ok(location) => location,
        Err(refusal) => {
            let (realm, id, browser) = (front.realm.clone(), pending.id.clone(), *browser);
            let attempt = Attempt::new("authorization_decide", &Caller::Anonymous, id.as_str());
            perform(&front.core, attempt, move |tx| authorization_refuse(tx, &realm, &id, &browser, &refusal)).await?.location
        }
    };
    Ok(Redirect::to(&location).into_response())
}

fn unreadable(e: ParametersError) -> PageError {
    PageError::new(StatusCode::BAD_REQUEST, "invalid_request", &e.to_string())
}
