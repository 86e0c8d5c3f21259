//! `/`: where to go.

use askama::Template;
use axum::extract::State;

use super::page::{Page, PageContext};
use super::session::SignedIn;
use crate::front::Front;

#[derive(Template)]
#[template(path = "home.html")]
pub struct Home {
    ctx: PageContext,
}

pub async fn get(State(front): State<Front>, SignedIn(session): SignedIn) -> Page<Home> {
    Page::ok(Home { ctx: PageContext::of(&front, &session, "Home") })
}
