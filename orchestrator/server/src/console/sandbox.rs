//! `/sandbox/…`: the pages of the sandbox's processor and of its bank. They stand for other people's pages, and exist in the sandbox only.

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use http::StatusCode;
use purser_authority::action::{ChargeConfirm, PaymentMethodSet};
use purser_authority::{Facts, authorise};
use purser_db::DbError;
use purser_identity::session::Session;
use purser_spend::charge;
use purser_spend::method::setup;
use purser_spend::rail::sandbox::{BankQuestion, SandboxCard, bank_answer, bank_question, choose};
use purser_values::id::{ChargeId, PaymentSetupId};
use serde::Deserialize;

use super::failure::PageError;
use super::form::SignedForm;
use super::page::{Page, PageContext};
use super::session::SignedIn;
use crate::front::Front;

pub fn routes() -> Router<Front> {
    Router::new().route("/sandbox/cards/{reference}", get(cards).post(card)).route("/sandbox/bank/{charge}", get(bank).post(bank_said))
}

#[derive(Template)]
#[template(path = "sandbox_cards.html")]
pub struct Cards {
    ctx: PageContext,
    reference: String,
    cards: &'static [SandboxCard],
}

pub async fn cards(
    State(front): State<Front>,
    Path(reference): Path<String>,
    SignedIn(session): SignedIn,
) -> Result<Page<Cards>, PageError> {
    own_setup(&front, &session, &reference).await?;
    let ctx = PageContext::of(&front, &session, "Choose a sandbox card");
    Ok(Page::ok(Cards { ctx, reference, cards: &SandboxCard::ALL }))
}

#[derive(Deserialize)]
pub struct Chosen {
    card: String,
}

pub async fn card(State(front): State<Front>, Path(reference): Path<String>, signed: SignedForm<Chosen>) -> Result<Response, PageError> {
    let SignedForm { session, form } = signed;
    own_setup(&front, &session, &reference).await?;
    authorise::<PaymentMethodSet>(&session.caller(), &Facts::new(front.realm.env.now(), &reference)).map(drop)?;
    let card = SandboxCard::from_last4(&form.card)
        .ok_or_else(|| PageError::new(StatusCode::BAD_REQUEST, "card_unknown", "the card is none of those on the page"))?;
    let env = front.realm.env.clone();
    let back = front.core.db.write::<_, DbError, _>(move |tx| choose(tx, &env, &reference, card)).await?;
    let back = back.ok_or_else(PageError::not_found)?;
    Ok(Redirect::to(back.strip_prefix(&*front.realm.issuer).unwrap_or("/card")).into_response())
}

/// The setup that the page is for is one of the person's organisation.
async fn own_setup(front: &Front, session: &Session, reference: &str) -> Result<(), PageError> {
    let id = reference.strip_prefix("sbx_").and_then(|id| id.parse::<PaymentSetupId>().ok()).filter(|_| front.sandbox);
    let id = id.ok_or_else(PageError::not_found)?;
    let found = front.core.db.read(move |tx| setup::find(tx, &id)).await?;
    if found.is_some_and(|found| found.organisation == session.member.organisation.id) { Ok(()) } else { Err(PageError::not_found()) }
}

#[derive(Template)]
#[template(path = "sandbox_bank.html")]
pub struct Bank {
    ctx: PageContext,
    charge: String,
    question: BankQuestion,
}

pub async fn bank(State(front): State<Front>, Path(id): Path<String>, SignedIn(session): SignedIn) -> Result<Response, PageError> {
    let id = own_charge(&front, &session, &id).await?;
    let of = id.clone();
    match front.core.db.read(move |tx| bank_question(tx, &of)).await? {
        Some(question) => {
            let ctx = PageContext::of(&front, &session, "Your bank");
            Ok(Page::ok(Bank { ctx, charge: id.to_string(), question }).into_response())
        }
        None => Ok(back(&id)),
    }
}

#[derive(Deserialize)]
pub struct Said {
    answer: String,
}

pub async fn bank_said(State(front): State<Front>, Path(id): Path<String>, signed: SignedForm<Said>) -> Result<Response, PageError> {
    let SignedForm { session, form } = signed;
    let id = own_charge(&front, &session, &id).await?;
    authorise::<ChargeConfirm>(&session.caller(), &Facts::new(front.realm.env.now(), id.as_str())).map(drop)?;
    let yes = match form.answer.as_str() {
        "yes" => true,
        "no" => false,
        _ => return Err(PageError::new(StatusCode::BAD_REQUEST, "no_decision", "press Yes or No")),
    };
    let of = id.clone();
    front.core.db.write::<_, DbError, _>(move |tx| bank_answer(tx, &of, yes)).await?;
    Ok(back(&id))
}

async fn own_charge(front: &Front, session: &Session, id: &str) -> Result<ChargeId, PageError> {
    let id: ChargeId = id.parse().ok().filter(|_| front.sandbox).ok_or_else(PageError::not_found)?;
    let (of, organisation) = (id.clone(), session.member.organisation.id.clone());
    let found = front.core.db.read(move |tx| charge::find_own(tx, &organisation, &of)).await?;
    found.map(|_| id).ok_or_else(PageError::not_found)
}

fn back(id: &ChargeId) -> Response {
    Redirect::to(&format!("/confirm/{id}/back")).into_response()
}
