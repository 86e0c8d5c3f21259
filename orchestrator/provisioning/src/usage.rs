//! A provider sets money aside for use that has not accrued yet, and gives back what it does not need.

use purser_authority::action::{UsageHold, UsageRelease};
use purser_authority::{Attempt, Caller, Facts, authorise};
use purser_spend::charge::{ChargeError, Refusal};
use purser_spend::usage::{self, UsageAsk, UsageReceipt, UsageRefusal};
use purser_values::name::ProviderName;
use purser_wire::usage::{
    UsageHoldRequest, UsageHoldResponse, UsageHoldStatus, UsageReleaseRequest, UsageReleaseResponse, UsageReleaseStatus,
};

use crate::app::App;
use crate::perform;

/// Sets one block aside, once. A refusal is an answer.
///
/// # Errors
/// When the store fails.
pub async fn usage_hold(app: &App, provider: &ProviderName, request: &UsageHoldRequest) -> Result<UsageHoldResponse, ChargeError> {
    // A period that is none is a line that is not there: the provider reads its own words wrongly.
    let Ok(period) = request.period.parse() else { return Ok(refused(UsageRefusal::Charge(Refusal::LineUnknown))) };
    let caller = Caller::Provider { provider: provider.clone() };
    let (env, asking) = (app.core.env.clone(), caller.clone());
    let (quote, line) = (request.quote_id.to_string(), request.quote_line_id.to_string());
    let (token, block, amount) = (request.payment_token.clone(), request.block, request.amount);
    let receipt = perform(&app.core, Attempt::new("usage_hold", &caller, quote.clone()), move |tx| {
        let permit = authorise::<UsageHold>(&asking, &Facts::new(env.now(), quote.as_str())).map_err(ChargeError::from)?;
        let ask = UsageAsk { token: token.clone(), quote: quote.clone(), line: line.clone(), period, block, amount };
        usage::hold(tx, &env, &permit, &ask)
    })
    .await?;
    Ok(match receipt {
        UsageReceipt::Reserved => UsageHoldResponse { status: UsageHoldStatus::Reserved, code: None, message: None },
        UsageReceipt::Refused(refusal) => refused(refusal),
    })
}

fn refused(refusal: UsageRefusal) -> UsageHoldResponse {
    UsageHoldResponse { status: UsageHoldStatus::Refused, code: Some(refusal.code().to_owned()), message: Some(refusal.to_string()) }
}

/// Gives one block back. A refusal is an answer.
///
/// # Errors
/// When the store fails.
pub async fn usage_release(app: &App, provider: &ProviderName, request: &UsageReleaseRequest) -> Result<UsageReleaseResponse, ChargeError> {
    let Ok(period) = request.period.parse() else { return Ok(kept(Some(Refusal::LineUnknown))) };
    let caller = Caller::Provider { provider: provider.clone() };
    let (env, asking) = (app.core.env.clone(), caller.clone());
    let (quote, line) = (request.quote_id.to_string(), request.quote_line_id.to_string());
    let (token, block) = (request.payment_token.clone(), request.block);
    let refusal = perform(&app.core, Attempt::new("usage_release", &caller, quote.clone()), move |tx| {
        let permit = authorise::<UsageRelease>(&asking, &Facts::new(env.now(), quote.as_str())).map_err(ChargeError::from)?;
        let name = usage::UsageBlock { token: token.clone(), quote: quote.clone(), line: line.clone(), period, block };
        usage::release(tx, &env, &permit, &name)
    })
    .await?;
    Ok(kept(refusal))
}

fn kept(refusal: Option<Refusal>) -> UsageReleaseResponse {
    let status = if refusal.is_some() { UsageReleaseStatus::Refused } else { UsageReleaseStatus::Released };
    UsageReleaseResponse {
        status,
        code: refusal.map(|refusal| refusal.code().to_owned()),
        message: refusal.map(|refusal| refusal.to_string()),
    }
}
