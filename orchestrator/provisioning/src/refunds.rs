//! A provider gives back what it charged: the intent, the rail, the outcome; and who is told when it does not.

use purser_authority::action::RefundCreate;
use purser_authority::{Attempt, Caller, Denied, Facts, authorise};
use purser_db::DbError;
use purser_db::jobs::{Job, JobFailure};
use purser_spend::rail::RefundOrder;
use purser_spend::refund::due::Missing;
use purser_spend::refund::{self, RefundAsk, RefundError, RefundReceipt, RefundState, RefundStep};
use purser_values::error::{Kind, PublicError};
use purser_values::id::{ChargeId, RefundId};
use purser_values::name::ProviderName;
use purser_wire::refund::{RefundRequest, RefundResponse, RefundStatus};

use crate::app::App;
use crate::charges::Rails;
use crate::{notice, perform};

#[derive(Debug, thiserror::Error)]
pub enum RefundingError {
    #[error(transparent)]
    Refund(#[from] RefundError),
    #[error("the payment rail gave no answer yet; repeat with the same `Idempotency-Key`")]
    Rail,
    #[error("this installation has no payment rail `{0}`")]
    RailUnknown(String),
}

impl From<DbError> for RefundingError {
    fn from(e: DbError) -> Self {
        Self::Refund(e.into())
    }
}

impl PublicError for RefundingError {
    fn code(&self) -> &'static str {
        match self {
            Self::Refund(e) => e.code(),
            Self::Rail => "rail_unavailable",
            Self::RailUnknown(_) => "rail_unknown",
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::Refund(e) => e.kind(),
            Self::Rail => Kind::Unavailable,
            Self::RailUnknown(_) => Kind::Internal,
        }
    }
    fn hint(&self) -> Option<String> {
        if let Self::Refund(e) = self { e.hint() } else { None }
    }
}

/// Gives back a part or all of a charge that the provider made, once for each key.
///
/// # Errors
/// When it may not, or nobody knows yet what became of it. A refund that the payment method does not take is an answer.
pub async fn refund_create(
    app: &App,
    rails: &Rails,
    provider: &ProviderName,
    charge: &str,
    request: &RefundRequest,
    key: &str,
) -> Result<RefundResponse, RefundingError> {
    let caller = Caller::Provider { provider: provider.clone() };
    let Ok(id) = charge.parse::<ChargeId>() else { return Err(RefundError::from(Denied::NotFound).into()) };
    let ask = RefundAsk {
        key: key.to_owned(),
        charge: id,
        amount: request.amount,
        reason: request.reason.as_ref().map(ToString::to_string).unwrap_or_default(),
    };
    let (env, begin_caller) = (app.core.env.clone(), caller.clone());
    let attempt = Attempt::new("refund_create", &caller, ask.charge.as_str());
    let step = perform(&app.core, attempt, move |tx| {
        let permit = authorise::<RefundCreate>(&begin_caller, &Facts::new(env.now(), ask.charge.as_str())).map_err(RefundError::from)?;
        refund::begin(tx, &env, &permit, &ask)
    })
    .await?;
    let receipt = match step {
        RefundStep::Ended(receipt) => receipt,
        RefundStep::Give(order) => give(app, rails, order).await?,
    };
    response(&receipt)
}

/// Asks the rail and records what it says.
async fn give(app: &App, rails: &Rails, order: RefundOrder) -> Result<RefundReceipt, RefundingError> {
    let rail = rails.find(&order.rail).ok_or_else(|| RefundingError::RailUnknown(order.rail.clone()))?;
    let outcome = rail.refund(&order).await.map_err(|e| {
        tracing::warn!(refund = %order.refund, error = %e, "the rail gave no answer; the refund is taken up again");
        RefundingError::Rail
    })?;
    let (env, id) = (app.core.env.clone(), order.refund.clone());
    let attempt = Attempt::new("refund_create", &Caller::System, id.as_str());
    Ok(perform(&app.core, attempt, move |tx| refund::finish(tx, &env, &id, &outcome)).await?)
}

/// The job that takes up a refund which was begun and not finished.
pub async fn resume(app: App, rails: Rails, id: RefundId) -> Result<(), JobFailure> {
    let again = |why: String| JobFailure::Again { why, limit: None };
    let order = app.core.db.read::<_, DbError, _>(move |tx| refund::order(tx, &id)).await;
    match order.map_err(|e| again(e.to_string()))? {
        Some(order) => give(&app, &rails, order).await.map(drop).map_err(|e| again(e.to_string())),
        None => Ok(()),
    }
}

/// The job that tells people what a provider owes them.
pub async fn tell_missing(app: App, job: Job) -> Result<(), JobFailure> {
    let told: Missing = serde_json::from_value(job.payload).map_err(|_| notice::unreadable())?;
    let (organisation, agent, url) = (told.organisation.clone(), told.agent.clone(), app.page("/spend"));
    notice::send(&app, job.id, organisation, agent, told.subject(), move |name| told.text(name, &url)).await
}

fn response(receipt: &RefundReceipt) -> Result<RefundResponse, RefundingError> {
    let status = match receipt.state {
        RefundState::Succeeded => RefundStatus::Succeeded,
        RefundState::Failed => RefundStatus::Failed,
        RefundState::Begun => return Err(RefundingError::Rail),
    };
    Ok(RefundResponse { id: (&receipt.id).into(), status, code: receipt.code.clone(), message: receipt.message.clone() })
}
