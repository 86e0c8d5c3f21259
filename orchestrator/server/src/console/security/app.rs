//! `/security/app`: an app that shows codes.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use purser_authority::action::{TotpAdd, TotpRemove};
use purser_authority::{Attempt, Facts, authorise};
use purser_identity::session::Session;
use purser_identity::totp::{Confirm, TotpError, totp_add_begin, totp_add_confirm};
use purser_provisioning::perform;
use qrcode::QrCode;
use qrcode::render::svg;
use serde::Deserialize;

use super::{Nothing, back};
use crate::console::failure::PageError;
use crate::console::form::SignedForm;
use crate::console::page::{Page, PageContext};
use crate::front::Front;

#[derive(Template)]
#[template(path = "totp.html")]
struct Begin {
    ctx: PageContext,
    /// Absent on a second try: the app has the secret by then.
    secret: Option<SecretView>,
    wrong: Option<String>,
}

struct SecretView {
    svg: String,
    text: String,
}

#[derive(Template)]
#[template(path = "totp_done.html")]
struct Done {
    ctx: PageContext,
    codes: Vec<String>,
}

pub async fn app_begin(State(front): State<Front>, signed: SignedForm<Nothing>) -> Result<Response, PageError> {
    let (session, realm) = (signed.session, front.realm.clone());
    let of = session.clone();
    let enrolment = perform(&front.core, attempt("totp_add", &session), move |tx| {
        let permit = authorise::<TotpAdd>(&of.caller(), &Facts::new(realm.env.now(), of.member.person.id.as_str()))?;
        totp_add_begin(tx, &realm, &permit, &of)
    })
    .await?;
    let secret = SecretView { svg: svg_of(enrolment.url.expose())?, text: enrolment.text.expose().clone() };
    let ctx = PageContext::of(&front, &session, "Add an app");
    Ok(Page::ok(Begin { ctx, secret: Some(secret), wrong: None }).into_response())
}

/// The QR code as an image in the page: the secret is in no address and no other file.
fn svg_of(url: &str) -> Result<String, PageError> {
    let code = QrCode::new(url).map_err(|e| TotpError::Secret(e.to_string()))?;
    let image =
        code.render::<svg::Color<'_>>().min_dimensions(220, 220).dark_color(svg::Color("#000")).light_color(svg::Color("#fff")).build();
    Ok(image.split_once("?>").map_or(image.clone(), |(_, svg)| svg.to_owned()))
}

#[derive(Deserialize)]
pub struct Code {
    code: String,
}

pub async fn app_confirm(State(front): State<Front>, signed: SignedForm<Code>) -> Result<Response, PageError> {
    let SignedForm { session, form } = signed;
    let (realm, of) = (front.realm.clone(), session.clone());
    let confirmed = perform(&front.core, attempt("totp_add", &session), move |tx| {
        let permit = authorise::<TotpAdd>(&of.caller(), &Facts::new(realm.env.now(), of.member.person.id.as_str()))?;
        totp_add_confirm(tx, &realm, permit, &of, &form.code)
    });
    let wrong = match confirmed.await {
        Ok(Confirm::Confirmed { recovery_codes }) => {
            let codes = recovery_codes.iter().map(|code| code.expose().clone()).collect();
            return Ok(Page::ok(Done { ctx: PageContext::of(&front, &session, "Recovery codes"), codes }).into_response());
        }
        Ok(Confirm::Wrong { tries_left }) => format!("that is not what the app should show now; {tries_left} tries are left"),
        Err(e @ TotpError::NotACode(_)) => e.to_string(),
        Err(e) => return Err(e.into()),
    };
    let page = Begin { ctx: PageContext::of(&front, &session, "Add an app"), secret: None, wrong: Some(wrong) };
    Ok(Page(StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
}

pub async fn app_remove(State(front): State<Front>, signed: SignedForm<Nothing>) -> Result<Response, PageError> {
    let (session, realm) = (signed.session, front.realm.clone());
    perform(&front.core, attempt("totp_remove", &session), move |tx| {
        let permit = authorise::<TotpRemove>(&session.caller(), &Facts::new(realm.env.now(), session.member.person.id.as_str()))?;
        purser_identity::totp::totp_remove(tx, &realm, permit, &session)
    })
    .await?;
    Ok(back())
}

fn attempt(verb: &'static str, session: &Session) -> Attempt {
    Attempt::new(verb, &session.caller(), session.member.person.id.as_str())
}
