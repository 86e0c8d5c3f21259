//! `/revoke`: the page behind the link of the mail that tells of a grant. It works without sign-in and for this one thing only;
//! looking at it changes nothing, so that a mail scanner that follows links revokes nothing.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, header};
use purser_authority::{Attempt, Caller};
use purser_http::extract::Query;
use purser_identity::grant::revoke_link_of;
use purser_provisioning::{grant_revoke, perform};
use purser_values::Secret;
use serde::Deserialize;

use super::failure::PageError;
use super::form::{OpenForm, browser, open_token};
use super::mailed::Mailed;
use super::page::{Page, PageContext};
use crate::front::Front;

#[derive(Deserialize)]
pub struct Link {
    token: Secret<String>,
}

#[derive(Template)]
#[template(path = "revoke.html")]
struct Revoke {
    ctx: PageContext,
    token: String,
    name: String,
    fingerprint: String,
    accepted_at: String,
    in_force: bool,
}

pub async fn get(State(front): State<Front>, Query(link): Query<Mailed>, headers: HeaderMap) -> Result<Response, PageError> {
    let token = link.token();
    let look = token.clone();
    let (_, grant, agent) = front.core.db.read(move |tx| revoke_link_of(tx, look.expose())).await?;
    let (browser, set) = browser(&front, &headers);
    let mut ctx = PageContext::anonymous(&front, "End a grant");
    ctx.csrf = open_token(&front, &browser);
    let page = Revoke {
        ctx,
        token: token.expose().clone(),
        name: agent.name.to_string(),
        fingerprint: agent.jkt,
        accepted_at: grant.accepted_at.for_people(),
        in_force: grant.is_in_force(front.realm.env.now()),
    };
    let mut response = Page::ok(page).into_response();
    if let Some(cookie) = set {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

#[derive(Template)]
#[template(path = "revoked.html")]
pub struct RevokedPage {
    ctx: PageContext,
}

/// The person of the grant is the caller: whoever can read their mail may end what was begun in their name.
pub async fn post(State(front): State<Front>, OpenForm(link): OpenForm<Link>) -> Result<Page<RevokedPage>, PageError> {
    let env = front.realm.env.clone();
    perform(&front.core, Attempt::new("grant_revoke", &Caller::Anonymous, "mailed link"), move |tx| {
        let (caller, grant, _) = revoke_link_of(tx, link.token.expose())?;
        grant_revoke(tx, &env, &caller, &grant.id, "mailed link")
    })
    .await?;
    Ok(Page::ok(RevokedPage { ctx: PageContext::anonymous(&front, "Ended") }))
}
