//! `/bootstrap`: the page behind the link that the operator was shown. It leads to the sign-in that makes the first owner.

use askama::Template;
use axum::extract::State;
use purser_http::extract::Query;
use purser_identity::bootstrap::{BootstrapError, bootstrap_is_open};

use super::failure::PageError;
use super::mailed::Mailed;
use super::page::{Page, PageContext};
use crate::front::Front;

#[derive(Template)]
#[template(path = "bootstrap.html")]
pub struct BootstrapPage {
    ctx: PageContext,
    sign_in: String,
}

pub async fn get(State(front): State<Front>, Query(link): Query<Mailed>) -> Result<Page<BootstrapPage>, PageError> {
    let (now, token) = (front.realm.env.now(), link.token());
    let look = token.clone();
    if !front.core.db.read(move |tx| bootstrap_is_open(tx, now, look.expose())).await? {
        return Err(BootstrapError::Unknown.into());
    }
    let sign_in = super::next::sign_in_for(&format!("/bootstrap?token={}", token.expose()));
    Ok(Page::ok(BootstrapPage { ctx: PageContext::anonymous(&front, "First owner"), sign_in }))
}
