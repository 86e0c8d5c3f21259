//! Where billing meets the rest of slipway: what plans cost, what an order begins, what follows from a step, and the money itself.

pub mod cpu;
pub mod meter;
pub mod plans;
pub mod standing;
pub mod till;

use purser_db::{DbError, Tx};
use purser_values::id::CloudResourceId;
use purser_values::{Env, Money};
use purser_wire::catalog::Period;
use purser_wire::quote::Quote;
use purser_wire::refund::RefundReason;
use serde_json::Value;
use slipway_accounts::charge::{Charge, ChargeOutcome};
use slipway_accounts::quote::quote_of;
use slipway_accounts::realm::Realm;
use slipway_accounts::refund::refund_begin;
use slipway_accounts::resource::Resource;
use slipway_accounts::service::Service;
use slipway_billing::charge::Paid;
use slipway_billing::credit::spend;
use slipway_billing::refund::{credit_given_back, resume as resume_refunds};
use slipway_billing::subscription::cancel::{When, subscription_cancel};
use slipway_billing::subscription::change::SubscriptionError;
use slipway_billing::subscription::get::billing_resume;
use slipway_billing::subscription::start::{Begin, subscription_begin};
use slipway_billing::subscription::{Kind, Payment, Terms};

use crate::cloud::Cloud;

/// The line that use is billed under.
pub const USAGE_LINE: &str = "usage";
/// In a domain's configuration: whether it is renewed by itself.
pub const AUTO_RENEW: &str = "auto_renew";

/// An order was paid: its subscription begins, and its invoice is issued.
pub fn paid(tx: &mut Tx<'_>, env: &Env, resource: &Resource, charge: &Charge, outcome: &ChargeOutcome) -> Result<(), DbError> {
    let quote = quote_of(tx, &resource.id)?;
    let (kind, renews) = match resource.service {
        Service::Free | Service::Paid => (Kind::Plan, true),
        Service::Domain => (Kind::Domain, renews_by_itself(resource)),
        Service::Workers => return Ok(()),
    };
    let payment = payment(charge.quote.clone(), charge.line.clone(), quote.as_ref(), charge.payment_token.clone().filter(|_| renews));
    let currency = charge.amount.currency();
    let by_credit = Money::from_minor(spend::held(tx, charge.id.as_str())?, currency);
    let amount = charge.amount.checked_add(by_credit).map_err(|e| DbError::Corrupt(e.to_string()))?;
    let terms = Terms { price: amount, payment, ..terms(resource) };
    let paid = Paid { id: charge.id.clone(), charge: outcome.charge.clone(), amount, by_credit };
    let (resource, account, at) = (resource.id.clone(), resource.account.clone(), resource.created_at);
    subscription_begin(tx, env, &Begin { resource, account, kind, terms, at, renews, paid: Some(paid) })
}

/// A plan that costs nothing begins.
pub fn free(tx: &mut Tx<'_>, env: &Env, resource: &Resource) -> Result<(), DbError> {
    let begin = Begin {
        resource: resource.id.clone(),
        account: resource.account.clone(),
        kind: Kind::Plan,
        terms: terms(resource),
        at: resource.created_at,
        renews: true,
        paid: None,
    };
    subscription_begin(tx, env, &begin)
}

/// The resource is removed or its order undone: nothing is due any more. What began before there was billing is nobody's to end.
pub fn ended(tx: &mut Tx<'_>, realm: &Realm, resource: &Resource) -> Result<(), DbError> {
    match subscription_cancel(tx, realm, &resource.account, &resource.id, When::Now) {
        Ok(()) | Err(SubscriptionError::NotFound) => Ok(()),
        Err(SubscriptionError::Store(e)) => Err(e),
        Err(e) => Err(DbError::Other(e.to_string())),
    }
}

/// Everything that was paid for an order is to be given back, in what it was paid with. Tells whether there is anything.
///
/// # Errors
/// When the store fails.
pub fn give_back(tx: &mut Tx<'_>, env: &Env, resource: &CloudResourceId, reason: &RefundReason) -> Result<bool, DbError> {
    let by_credit = credit_given_back(tx, env, resource, reason.as_str())?;
    let refunds = refund_begin(tx, env, resource, reason)?;
    Ok(by_credit || !refunds.is_empty())
}

/// The token that pays for a plan under an accepted quote.
pub fn payment(quote: String, line: String, accepted: Option<&Quote>, token: Option<Vec<u8>>) -> Payment {
    let metered = accepted.and_then(|quote| quote.lines.iter().find(|line| line.period == Period::Metered));
    Payment { quote, line, usage_line: metered.map(|line| line.id.to_string()), token }
}

fn terms(resource: &Resource) -> Terms {
    let plan = match resource.service {
        Service::Domain => resource.configuration.get("domain").and_then(Value::as_str).unwrap_or_default().to_owned(),
        service => service.id().to_owned(),
    };
    plans::terms(resource.service, plan)
}

/// Whether the buyer chose so. Nothing else makes a domain renew.
pub fn renews_by_itself(resource: &Resource) -> bool {
    resource.configuration.get(AUTO_RENEW).and_then(Value::as_bool).unwrap_or(false)
}

/// Takes the steps that are due now, without waiting for the queue; what fails is the queue's.
pub async fn hurry(cloud: &Cloud, resource: &CloudResourceId) {
    if let Err(e) = cloud.billing.run(resource).await {
        tracing::warn!(%resource, error = %e, "a step of billing is taken up again later");
    }
    if let Err(e) = standing::follow(cloud, resource).await {
        tracing::error!(%resource, error = %e, "an account does not follow its billing yet");
    }
}

/// After a start: takes up what is due, at once instead of when the leases of its jobs have run out, and puts suspended accounts off line.
///
/// # Errors
/// When the store fails.
pub async fn resume(cloud: &Cloud) -> Result<(), standing::StandingError> {
    standing::resume(cloud).await?;
    let env = cloud.env.clone();
    let found = cloud.db.write(move |tx| -> Result<usize, DbError> { Ok(billing_resume(tx, &env)? + resume_refunds(tx, &env)?) });
    if found.await? > 0 {
        cloud.wake_jobs.notify_one();
    }
    Ok(())
}
