//! `/security/email`: another address for the login.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use purser_authority::action::EmailChange;
use purser_authority::{Attempt, Facts, authorise};
use purser_identity::email_change::{Changed, EmailChangeError, email_change_begin, email_change_confirm};
use purser_identity::session::Session;
use purser_identity::sign_in::CodeUseError;
use purser_provisioning::perform;
use purser_values::name::Email;
use serde::Deserialize;

use super::back;
use crate::console::failure::PageError;
use crate::console::form::SignedForm;
use crate::console::named::capitalised;
use crate::console::page::{Page, PageContext};
use crate::console::tries::wrong_code;
use crate::front::Front;

#[derive(Template)]
#[template(path = "email_change.html")]
struct CodePage {
    ctx: PageContext,
    wrong: Option<String>,
    /// Whether the code allows no further try.
    over: bool,
}

#[derive(Deserialize)]
pub struct New {
    email: String,
}

pub async fn email_begin(State(front): State<Front>, signed: SignedForm<New>) -> Result<Response, PageError> {
    let SignedForm { session, form } = signed;
    let new: Email = form.email.trim().parse().map_err(|e| PageError::new(StatusCode::BAD_REQUEST, "invalid_email", &format!("{e}")))?;
    let (realm, of) = (front.realm.clone(), session.clone());
    perform(&front.core, attempt(&session), move |tx| {
        let permit = authorise::<EmailChange>(&of.caller(), &Facts::new(realm.env.now(), of.member.person.id.as_str()))?;
        email_change_begin(tx, &realm, &permit, &of, &new)
    })
    .await?;
    Ok(Page::ok(CodePage { ctx: PageContext::of(&front, &session, "Change the address"), wrong: None, over: false }).into_response())
}

#[derive(Deserialize)]
pub struct Code {
    code: String,
}

pub async fn email_confirm(State(front): State<Front>, signed: SignedForm<Code>) -> Result<Response, PageError> {
    let SignedForm { session, form } = signed;
    let (realm, of) = (front.realm.clone(), session.clone());
    let changed = perform(&front.core, attempt(&session), move |tx| {
        let permit = authorise::<EmailChange>(&of.caller(), &Facts::new(realm.env.now(), of.member.person.id.as_str()))?;
        email_change_confirm(tx, &realm, permit, &of, &form.code)
    });
    let (wrong, over) = match changed.await {
        Ok(Changed::To(_)) => return Ok(back()),
        Ok(Changed::Wrong { tries_left }) => (wrong_code(tries_left), tries_left <= 0),
        Err(EmailChangeError::Use(e @ CodeUseError::NotACode(_))) => (capitalised(&e.to_string()), false),
        Err(e) => return Err(e.into()),
    };
    let page = CodePage { ctx: PageContext::of(&front, &session, "Change the address"), wrong: Some(wrong), over };
    Ok(Page(StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
}

fn attempt(session: &Session) -> Attempt {
    Attempt::new("email_change", &session.caller(), session.member.person.id.as_str())
}
