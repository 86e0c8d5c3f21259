//! `/card`: what pays. In the sandbox the cards are choices; no page of ours ever takes a card number.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use purser_authority::action::{PaymentMethodRead, PaymentMethodRemove, PaymentMethodSet};
use purser_authority::{Attempt, Caller, Facts, Role, authorise};
use purser_provisioning::perform;
use purser_spend::method::{self, MethodError, MethodState, PaymentMethod};
use purser_spend::rail::sandbox::{self, SandboxCard};
use purser_values::id::PaymentMethodId;
use serde::Deserialize;

use super::failure::PageError;
use super::form::SignedForm;
use super::page::{Page, PageContext};
use super::session::SignedIn;
use crate::front::Front;

#[derive(Template)]
#[template(path = "card.html")]
pub struct Card {
    ctx: PageContext,
    methods: Vec<MethodView>,
    cards: &'static [SandboxCard],
    may_change: bool,
}

struct MethodView {
    id: String,
    label: String,
    added_at: String,
    waits: bool,
    /// The one that purchases are charged to.
    current: bool,
}

pub async fn get(State(front): State<Front>, SignedIn(session): SignedIn) -> Result<Page<Card>, PageError> {
    let caller = session.caller();
    authorise::<PaymentMethodRead>(&caller, &Facts::new(front.realm.env.now(), "card")).map(drop)?;
    let organisation = session.member.organisation.id.clone();
    let methods = front.core.db.read(move |tx| method::list(tx, &organisation)).await?;
    let methods = methods.iter().enumerate().map(|(i, method)| view(method, i == 0)).collect();
    let may_change = matches!(caller, Caller::Person { role: Role::Owner | Role::Admin | Role::Billing, .. });
    let cards: &[SandboxCard] = if front.sandbox { &SandboxCard::ALL } else { &[] };
    Ok(Page::ok(Card { ctx: PageContext::of(&front, &session, "Card"), methods, cards, may_change }))
}

fn view(method: &PaymentMethod, current: bool) -> MethodView {
    MethodView {
        id: method.id.to_string(),
        label: format!("{} ending in {}", method.brand, method.last4),
        added_at: method.added_at.for_people(),
        waits: method.state == MethodState::NeedsAuthentication,
        current,
    }
}

#[derive(Deserialize)]
pub struct Add {
    card: String,
}

pub async fn add(State(front): State<Front>, signed: SignedForm<Add>) -> Result<Response, PageError> {
    let SignedForm { session, form } = signed;
    if !front.sandbox {
        return Err(PageError::new(StatusCode::FORBIDDEN, "sandbox_only", "these cards exist in the sandbox only"));
    }
    let card = SandboxCard::from_last4(&form.card)
        .ok_or_else(|| PageError::new(StatusCode::BAD_REQUEST, "card_unknown", "the card is none of those on the page"))?;
    let (caller, env, organisation) = (session.caller(), front.realm.env.clone(), session.member.organisation.id.clone());
    perform(&front.core, Attempt::new("payment_method_set", &caller, organisation.as_str()), move |tx| {
        let facts = Facts { owner: Some(&organisation), ..Facts::new(env.now(), organisation.as_str()) };
        let permit = authorise::<PaymentMethodSet>(&caller, &facts)?;
        let set_up = sandbox::set_up(tx, &env, card)?;
        method::add(tx, &env, &permit, &organisation, &set_up)
    })
    .await?;
    Ok(back())
}

#[derive(Deserialize)]
pub struct Nothing {}

/// Stands for the bank's page, where the person confirms.
pub async fn confirm(State(front): State<Front>, Path(id): Path<String>, signed: SignedForm<Nothing>) -> Result<Response, PageError> {
    let id: PaymentMethodId = id.parse().map_err(|_| PageError::not_found())?;
    if !front.sandbox {
        return Err(PageError::not_found());
    }
    let (caller, now) = (signed.session.caller(), front.realm.env.now());
    perform(&front.core, Attempt::new("payment_method_set", &caller, id.as_str()), move |tx| {
        let permit = authorise::<PaymentMethodSet>(&caller, &Facts::new(now, id.as_str()))?;
        let confirmed = method::confirm(tx, &permit, &id)?;
        sandbox::authenticate(tx, &confirmed.value.reference)?;
        Ok::<_, MethodError>(confirmed)
    })
    .await?;
    Ok(back())
}

pub async fn remove(State(front): State<Front>, Path(id): Path<String>, signed: SignedForm<Nothing>) -> Result<Response, PageError> {
    let id: PaymentMethodId = id.parse().map_err(|_| PageError::not_found())?;
    let (caller, now) = (signed.session.caller(), front.realm.env.now());
    perform(&front.core, Attempt::new("payment_method_remove", &caller, id.as_str()), move |tx| {
        let permit = authorise::<PaymentMethodRemove>(&caller, &Facts::new(now, id.as_str()))?;
        method::remove(tx, &permit, &id)
    })
    .await?;
    Ok(back())
}

fn back() -> Response {
    Redirect::to("/card").into_response()
}
