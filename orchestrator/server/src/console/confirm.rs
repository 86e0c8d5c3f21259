//! `/confirm/{charge}`: a payment waits for its person at their bank.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use purser_authority::action::SpendRead;
use purser_authority::{Facts, authorise};
use purser_db::{DbError, Tx};
use purser_identity::agent;
use purser_identity::session::Session;
use purser_provisioning::charges::{charge_confirm, charge_settle};
use purser_spend::charge::{self, Charge, ChargeState};
use purser_spend::rail::Confirmation;
use purser_spend::{hold, method};
use purser_values::id::ChargeId;
use purser_values::{Money, Timestamp};

use super::card::Nothing;
use super::failure::PageError;
use super::form::SignedForm;
use super::page::{Page, PageContext};
use super::session::SignedIn;
use crate::front::Front;

#[derive(Template)]
#[template(path = "confirm.html")]
pub struct Confirm {
    ctx: PageContext,
    charge: String,
    amount: Money,
    provider: String,
    agent: String,
    card: String,
    until: String,
    /// The bank's page, once it was asked for.
    url: Option<String>,
    /// What there is to know when nothing waits any more.
    said: Option<String>,
}

struct Known {
    charge: Charge,
    agent: String,
    card: String,
    until: Option<Timestamp>,
}

pub async fn get(State(front): State<Front>, Path(id): Path<String>, SignedIn(session): SignedIn) -> Result<Page<Confirm>, PageError> {
    let known = known(&front, &session, &id).await?;
    Ok(Page::ok(page(PageContext::of(&front, &session, "Confirm a payment"), known, None)))
}

/// Asks for the bank's page. The sandbox's is one of ours; to all others the person goes by a link.
pub async fn post(State(front): State<Front>, Path(id): Path<String>, signed: SignedForm<Nothing>) -> Result<Response, PageError> {
    let session = signed.session;
    let known = known(&front, &session, &id).await?;
    let id = known.charge.id.clone();
    let back = front.realm.url(&format!("/confirm/{id}/back"));
    match charge_confirm(&front.core, &front.rails, &session.caller(), &id, &back).await? {
        Confirmation::Ended(_) => Ok(Redirect::to(&format!("/confirm/{id}")).into_response()),
        Confirmation::Page { url } => match url.strip_prefix(&*front.realm.issuer).filter(|path| path.starts_with('/')) {
            Some(path) => Ok(Redirect::to(path).into_response()),
            None => Ok(Page::ok(page(PageContext::of(&front, &session, "Confirm a payment"), known, Some(url))).into_response()),
        },
    }
}

/// The person comes back from the bank. What became of it, the rail says.
pub async fn back(State(front): State<Front>, Path(id): Path<String>, SignedIn(session): SignedIn) -> Result<Response, PageError> {
    let known = known(&front, &session, &id).await?;
    charge_settle(&front.core, &front.rails, &known.charge.id).await?;
    Ok(Redirect::to(&format!("/confirm/{}", known.charge.id)).into_response())
}

async fn known(front: &Front, session: &Session, id: &str) -> Result<Known, PageError> {
    let id: ChargeId = id.parse().map_err(|_| PageError::not_found())?;
    authorise::<SpendRead>(&session.caller(), &Facts::new(front.realm.env.now(), id.as_str())).map(drop)?;
    let organisation = session.member.organisation.id.clone();
    let read = move |tx: &mut Tx<'_>| -> Result<Option<Known>, DbError> {
        let Some(charge) = charge::find_own(tx, &organisation, &id)? else { return Ok(None) };
        let agent = charge.spender.as_ref().map(|spender| agent::find(tx, &spender.agent)).transpose()?.flatten();
        let hold = charge.hold.as_ref().map(|hold| hold::find(tx, hold)).transpose()?.flatten();
        let card = hold.map(|hold| method::find(tx, &hold.payment_method)).transpose()?.flatten();
        Ok(Some(Known {
            agent: agent.map(|agent| agent.name.to_string()).unwrap_or_default(),
            card: card.map(|card| format!("{} ending in {}", card.brand, card.last4)).unwrap_or_default(),
            until: charge::waits_until(tx, &charge.id)?,
            charge,
        }))
    };
    front.core.db.read(read).await?.ok_or_else(PageError::not_found)
}

fn page(ctx: PageContext, known: Known, url: Option<String>) -> Confirm {
    let said = match known.charge.state {
        ChargeState::RequiresAction => None,
        ChargeState::Begun => Some("The payment is under way. Load this page again in a moment.".to_owned()),
        ChargeState::Succeeded => Some("It is paid. The agent goes on by itself; you can close this page.".to_owned()),
        ChargeState::Declined | ChargeState::Refused => {
            Some(format!("Nothing was paid: {}.", known.charge.message.as_deref().unwrap_or("no reason was given")))
        }
    };
    Confirm {
        ctx,
        charge: known.charge.id.to_string(),
        amount: known.charge.amount,
        provider: known.charge.provider.to_string(),
        agent: known.agent,
        card: known.card,
        until: known.until.map(Timestamp::for_people).unwrap_or_default(),
        url,
        said,
    }
}
