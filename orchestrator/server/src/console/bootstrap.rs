//! `/bootstrap`: the page behind the link that the operator was shown. It leads to the sign-in that makes the first owner.

use askama::Template;
use axum::extract::State;
use purser_http::extract::Query;
use purser_identity::bootstrap::{BootstrapError, bootstrap_is_open};
use purser_values::Secret;
use serde::Deserialize;

use super::failure::PageError;
use super::page::{Page, PageContext};
use crate::front::Front;

#[derive(Deserialize)]
pub struct Link {
    token: Secret<String>,
}

#[derive(Template)]
#[template(path = "bootstrap.html")]
pub struct BootstrapPage {
    ctx: PageContext,
    sign_in: String,
}

pub async fn get(State(front): State<Front>, Query(link): Query<Link>) -> Result<Page<BootstrapPage>, PageError> {
    let (now, look) = (front.realm.env.now(), link.token.clone());
    if !front.core.db.read(move |tx| bootstrap_is_open(tx, now, look.expose())).await? {
        return Err(BootstrapError::Unknown.into());
    }
    let sign_in = super::next::sign_in_for(&format!("/bootstrap?token={}", link.token.expose()));
    Ok(Page::ok(BootstrapPage { ctx: PageContext::anonymous(&front, "First owner"), sign_in }))
}
