//! Steps two and three of an order: ask the orchestrator for the money and record what it said.

use purser_db::{DbError, Tx};
use purser_provider::{Answer, OrchestratorError, ProviderError};
use purser_values::{Env, Money, Secret};
use purser_wire::charge::{ChargeRequest, ChargeResponse, ChargeStatus};
use purser_wire::error::ErrorBody;
use purser_wire::id::{IdempotencyKey, ParseWireIdError};
use purser_wire::refund::RefundReason;
use purser_wire::text::excerpt;
use slipway_accounts::charge::{Charge, ChargeOutcome, ChargeState, charge_list, charge_settle, seal_purpose};
use slipway_accounts::resource::Resource;
use slipway_accounts::resource::end::{resource_complete, resource_fail};
use slipway_accounts::subscription::subscription_start;
use slipway_billing::credit::spend;

use super::refusal;
use crate::billing;
use crate::cloud::Cloud;

/// Most characters of the orchestrator's words that are kept.
const WORDS: usize = 300;

/// Collects every open charge of an order. After an error that is not transient the order has failed and nothing was bought.
pub async fn collect(cloud: &Cloud, resource: &Resource) -> Answer<()> {
    let id = resource.id.clone();
    let charges = cloud.db.read(move |tx| charge_list(tx, &id)).await.map_err(|e| refusal::store(&e))?;
    for charge in charges {
        match charge.state {
            ChargeState::Intended => ask(cloud, resource, charge).await?,
            ChargeState::Succeeded | ChargeState::Owed | ChargeState::Refunded => {}
            ChargeState::Refused => return Err(ProviderError::payment_declined("the payment was not made")),
        }
    }
    Ok(())
}

async fn ask(cloud: &Cloud, resource: &Resource, charge: Charge) -> Answer<()> {
    let (request, key) = message(cloud, &charge)?;
    let outcome = match cloud.orchestrator.charge(&request, &key).await {
        // A person has to be at their bank first, or it is a status that we do not know: either way nothing is decided.
        Ok(answer) if !is_final(&answer.status) => {
            tracing::info!(charge = %charge.id, status = %answer.status, "a charge waits");
            return Err(ProviderError::unavailable("the payment waits for its person; repeat with the same `Idempotency-Key`", 2));
        }
        Ok(answer) => answered(answer),
        Err(OrchestratorError::Refused(body)) => refused(&body),
        Err(e @ (OrchestratorError::Unknown(_) | OrchestratorError::Message(_))) => {
            tracing::warn!(charge = %charge.id, error = %e, "the outcome of a charge is not known yet");
            return Err(ProviderError::unavailable("the orchestrator does not answer a charge; repeat with the same `Idempotency-Key`", 2));
        }
    };
    record(cloud, resource, charge, outcome).await
}

fn message(cloud: &Cloud, charge: &Charge) -> Answer<(ChargeRequest, IdempotencyKey)> {
    let wrong = |e: ParseWireIdError| ProviderError::internal(&e);
    let sealed = charge.payment_token.as_deref().unwrap_or_default();
    let token = cloud.keyring.open_text(&seal_purpose(&charge.resource), sealed).map_err(|e| ProviderError::internal(&e))?;
    let request = ChargeRequest {
        payment_token: Secret::new(token.expose().clone()),
        quote_id: charge.quote.parse().map_err(wrong)?,
        quote_line_id: charge.line.parse().map_err(wrong)?,
        amount: charge.amount,
        resource_id: Some((&charge.resource).into()),
        period: (!charge.period.is_empty()).then(|| charge.period.clone()),
    };
    Ok((request, charge.id.as_str().parse().map_err(wrong)?))
}

const fn is_final(status: &ChargeStatus) -> bool {
    matches!(status, ChargeStatus::Succeeded | ChargeStatus::Declined | ChargeStatus::Refused)
}

fn answered(answer: ChargeResponse) -> ChargeOutcome {
    let cut = |text: Option<String>| text.map(|t| excerpt(&t, WORDS));
    ChargeOutcome {
        succeeded: answer.status == ChargeStatus::Succeeded,
        charge: answer.id.to_string(),
        code: cut(answer.code),
        message: cut(answer.message),
    }
}

fn refused(body: &ErrorBody) -> ChargeOutcome {
    let cut = |text: &str| Some(excerpt(text, WORDS));
    ChargeOutcome { succeeded: false, charge: String::new(), code: cut(&body.code), message: cut(&body.message) }
}

/// What was paid is had: a plan is bought by that, a domain's registration begins with it.
fn bought(tx: &mut Tx<'_>, env: &Env, resource: &Resource, charge: &Charge, outcome: &ChargeOutcome) -> Result<(), DbError> {
    if resource.service.is_plan() {
        let price = charge.amount.minor().saturating_add(spend::held(tx, charge.id.as_str())?);
        subscription_start(tx, env, resource, Money::from_minor(price, charge.amount.currency()))?;
        resource_complete(tx, &resource.id, env.now())?;
    }
    billing::paid(tx, env, resource, charge, outcome)
}

/// A line that a credit pays in whole: nobody is asked, and it is paid with the order.
pub fn paid_by_credit(tx: &mut Tx<'_>, env: &Env, resource: &Resource, charge: &Charge) -> Result<(), DbError> {
    let outcome = ChargeOutcome { succeeded: true, charge: String::new(), code: None, message: None };
    match charge_settle(tx, &charge.id, &outcome, env.now())? {
        ChargeState::Succeeded => bought(tx, env, resource, charge, &outcome),
        _ => Err(DbError::Contention),
    }
}

/// One write: the charge's outcome and what follows from it. A plan is bought by being paid.
async fn record(cloud: &Cloud, resource: &Resource, charge: Charge, outcome: ChargeOutcome) -> Answer<()> {
    let why = outcome.message.as_deref().or(outcome.code.as_deref()).unwrap_or("no reason was given");
    let failure = ProviderError::payment_declined(format!("the payment was not made: {why}"));
    let (env, resource, body) = (cloud.env.clone(), resource.clone(), failure.body.clone());
    let written = cloud.db.write(move |tx| -> Result<ChargeState, DbError> {
        let state = charge_settle(tx, &charge.id, &outcome, env.now())?;
        match state {
            ChargeState::Succeeded => bought(tx, &env, &resource, &charge, &outcome)?,
            ChargeState::Refused => {
                spend::settle(tx, &env, charge.id.as_str(), 0)?;
                resource_fail(tx, &resource.id, &body, env.now())?;
                // Another line of the same order may have been paid.
                billing::give_back(tx, &env, &resource.id, &RefundReason::NotDelivered)?;
            }
            ChargeState::Owed | ChargeState::Refunded | ChargeState::Intended => {}
        }
        Ok(state)
    });
    match written.await.map_err(|e| refusal::store(&e))? {
        ChargeState::Refused => Err(failure),
        ChargeState::Succeeded | ChargeState::Owed | ChargeState::Refunded | ChargeState::Intended => Ok(()),
    }
}
