//! `/card`: what pays. A card is put on file on a page of the rail's; no page of ours ever takes a card number.

mod setup;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use purser_authority::action::{ChargebackLift, PaymentMethodRead, PaymentMethodRemove, PaymentMethodSet};
use purser_authority::{Attempt, Caller, Facts, Role, authorise};
use purser_db::{DbError, Tx};
use purser_provisioning::perform;
use purser_spend::charge::{self, Waiting};
use purser_spend::chargeback::{self, Chargeback};
use purser_spend::method::{self, MethodError, MethodState, PaymentMethod};
use purser_spend::rail::{ChargebackState, sandbox};
use purser_values::Money;
use purser_values::id::PaymentMethodId;
use purser_values::name::ProviderName;
use serde::Deserialize;

use super::failure::PageError;
use super::form::SignedForm;
use super::page::{Page, PageContext};
use super::session::SignedIn;
use crate::front::Front;

pub use setup::{back, begin};

#[derive(Template)]
#[template(path = "card.html")]
pub struct Card {
    ctx: PageContext,
    methods: Vec<MethodView>,
    waiting: Vec<WaitingView>,
    disputes: Vec<DisputeView>,
    /// Whether there is a rail on whose page a card can be set up.
    has_rail: bool,
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

struct WaitingView {
    charge: String,
    amount: Money,
    provider: String,
    until: String,
}

struct DisputeView {
    method: String,
    provider: String,
    amount: Money,
    at: String,
    state: &'static str,
    stops: bool,
    charge: String,
}

pub async fn get(State(front): State<Front>, SignedIn(session): SignedIn) -> Result<Page<Card>, PageError> {
    let caller = session.caller();
    authorise::<PaymentMethodRead>(&caller, &Facts::new(front.realm.env.now(), "card")).map(drop)?;
    let organisation = session.member.organisation.id.clone();
    let read = move |tx: &mut Tx<'_>| -> Result<_, DbError> {
        Ok((method::list(tx, &organisation)?, charge::waiting(tx, &organisation)?, chargeback::list(tx, &organisation, None)?))
    };
    let (methods, waiting, disputes) = front.core.db.read(read).await?;
    Ok(Page::ok(Card {
        ctx: PageContext::of(&front, &session, "Card"),
        methods: methods.iter().enumerate().map(|(i, method)| view(method, i == 0)).collect(),
        waiting: waiting.iter().map(waiting_view).collect(),
        disputes: disputes.iter().map(dispute_view).collect(),
        has_rail: front.rails.main().is_some(),
        may_change: matches!(caller, Caller::Person { role: Role::Owner | Role::Admin | Role::Billing, .. }),
    }))
}

fn view(method: &PaymentMethod, current: bool) -> MethodView {
    MethodView {
        id: method.id.to_string(),
        label: format!("{} ending in {}", method.brand, method.last4),
        added_at: method.added_at.for_people(),
        waits: method.rail == sandbox::NAME && method.state == MethodState::NeedsAuthentication,
        current,
    }
}

fn waiting_view(waiting: &Waiting) -> WaitingView {
    WaitingView {
        charge: waiting.charge.to_string(),
        amount: waiting.amount,
        provider: waiting.provider.to_string(),
        until: waiting.until.for_people(),
    }
}

fn dispute_view(dispute: &Chargeback) -> DisputeView {
    DisputeView {
        method: dispute.payment_method.to_string(),
        provider: dispute.provider.to_string(),
        amount: dispute.amount,
        at: dispute.since.for_people(),
        state: match dispute.state {
            ChargebackState::Open => "the bank decides",
            ChargebackState::Won => "the payment stands",
            ChargebackState::Lost => "the bank gave the money back",
        },
        stops: dispute.stops,
        charge: dispute.charge.to_string(),
    }
}

#[derive(Deserialize)]
pub struct Nothing {}

/// The sandbox's bank sees the person before there is anything to pay.
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
    Ok(to_card())
}

pub async fn remove(State(front): State<Front>, Path(id): Path<String>, signed: SignedForm<Nothing>) -> Result<Response, PageError> {
    let id: PaymentMethodId = id.parse().map_err(|_| PageError::not_found())?;
    let (caller, env) = (signed.session.caller(), front.realm.env.clone());
    perform(&front.core, Attempt::new("payment_method_remove", &caller, id.as_str()), move |tx| {
        let permit = authorise::<PaymentMethodRemove>(&caller, &Facts::new(env.now(), id.as_str()))?;
        method::remove(tx, &env, &permit, &id)
    })
    .await?;
    Ok(to_card())
}

#[derive(Deserialize)]
pub struct Lift {
    provider: ProviderName,
}

/// Charges go on although a payment is disputed.
pub async fn lift(State(front): State<Front>, Path(id): Path<String>, signed: SignedForm<Lift>) -> Result<Response, PageError> {
    let SignedForm { session, form } = signed;
    let id: PaymentMethodId = id.parse().map_err(|_| PageError::not_found())?;
    let (caller, env) = (session.caller(), front.realm.env.clone());
    perform(&front.core, Attempt::new("chargeback_lift", &caller, id.as_str()), move |tx| {
        let permit = authorise::<ChargebackLift>(&caller, &Facts::new(env.now(), id.as_str()))?;
        chargeback::lift(tx, &env, &permit, &id, &form.provider)
    })
    .await?;
    Ok(to_card())
}

fn to_card() -> Response {
    Redirect::to("/card").into_response()
}
