//! A provider charges a payment token: the intent, the rail, the outcome.

use std::sync::Arc;

use purser_authority::action::ChargeCreate;
use purser_authority::{Attempt, Caller, Facts, authorise};
use purser_db::DbError;
use purser_db::jobs::JobFailure;
use purser_spend::charge::{self, ChargeAsk, ChargeError, ChargeState, ChargeStep, Receipt};
use purser_spend::rail::{Rail, RailOrder};
use purser_values::Secret;
use purser_values::error::{Kind, PublicError};
use purser_values::id::ChargeId;
use purser_values::name::ProviderName;
use purser_wire::charge::{ChargeRequest, ChargeResponse, ChargeStatus};

use crate::app::App;
use crate::perform;

#[derive(Debug, thiserror::Error)]
pub enum ChargingError {
    #[error(transparent)]
    Charge(#[from] ChargeError),
    #[error("the payment rail gave no answer yet; repeat with the same `Idempotency-Key`")]
    Rail,
    #[error("this installation has no payment rail `{0}`")]
    RailUnknown(String),
}

impl PublicError for ChargingError {
    fn code(&self) -> &'static str {
        match self {
            Self::Charge(e) => e.code(),
            Self::Rail => "rail_unavailable",
            Self::RailUnknown(_) => "rail_unknown",
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::Charge(e) => e.kind(),
            Self::Rail => Kind::Unavailable,
            Self::RailUnknown(_) => Kind::Internal,
        }
    }
    fn hint(&self) -> Option<String> {
        if let Self::Charge(e) = self { e.hint() } else { None }
    }
}

/// Takes the money that one accepted quote line allows, once for each key.
///
/// # Errors
/// When the key is another charge's, or nobody knows yet what became of it. A refusal or a declined card is an answer.
pub async fn charge_create(
    app: &App,
    rails: &Rails,
    provider: &ProviderName,
    request: &ChargeRequest,
    key: &str,
) -> Result<ChargeResponse, ChargingError> {
    let caller = Caller::Provider { provider: provider.clone() };
    let (env, begin_caller, key, request) = (app.core.env.clone(), caller.clone(), key.to_owned(), request.clone());
    let attempt = Attempt::new("charge_create", &caller, request.quote_id.to_string());
    let step = perform(&app.core, attempt, move |tx| {
        let permit =
            authorise::<ChargeCreate>(&begin_caller, &Facts::new(env.now(), request.quote_id.as_str())).map_err(ChargeError::from)?;
        let ask = ChargeAsk {
            key: key.clone(),
            token: Secret::new(request.payment_token.expose().clone()),
            quote: request.quote_id.to_string(),
            line: request.quote_line_id.to_string(),
            amount: request.amount,
            remote_resource: request.resource_id.as_ref().map(ToString::to_string),
            period: request.period.clone(),
        };
        charge::begin(tx, &env, &permit, &ask)
    })
    .await?;
    let receipt = match step {
        ChargeStep::Ended(receipt) => receipt,
        ChargeStep::Capture(order) => capture(app, rails, order).await?,
    };
    response(&receipt)
}

/// Asks the rail and records what it says.
async fn capture(app: &App, rails: &Rails, order: RailOrder) -> Result<Receipt, ChargingError> {
    let rail = rails.find(&order.rail).ok_or_else(|| ChargingError::RailUnknown(order.rail.clone()))?;
    let outcome = rail.capture(&order).await.map_err(|e| {
        tracing::warn!(charge = %order.charge, error = %e, "the rail gave no answer; the charge is taken up again");
        ChargingError::Rail
    })?;
    let (env, id) = (app.core.env.clone(), order.charge.clone());
    let attempt = Attempt::new("charge_create", &Caller::System, id.as_str());
    Ok(perform(&app.core, attempt, move |tx| charge::finish(tx, &env, &id, &outcome)).await?)
}

/// The job that takes up a charge which was begun and not finished.
pub async fn resume(app: App, rails: Rails, id: ChargeId) -> Result<(), JobFailure> {
    let again = |why: String| JobFailure::Again { why, limit: None };
    let of = id.clone();
    let state = app.core.db.read::<_, DbError, _>(move |tx| Ok((charge::find(tx, &of)?, charge::order(tx, &of)?))).await;
    match state.map_err(|e| again(e.to_string()))? {
        (Some(found), Some(order)) if found.state == ChargeState::Begun => {
            capture(&app, &rails, order).await.map(drop).map_err(|e| again(e.to_string()))
        }
        _ => Ok(()),
    }
}

fn response(receipt: &Receipt) -> Result<ChargeResponse, ChargingError> {
    let status = match receipt.state {
        ChargeState::Succeeded => ChargeStatus::Succeeded,
        ChargeState::Declined => ChargeStatus::Declined,
        ChargeState::Refused => ChargeStatus::Refused,
        ChargeState::Begun => return Err(ChargingError::Rail),
    };
    let id = receipt.id.as_str().parse().map_err(|_| ChargingError::Rail)?;
    Ok(ChargeResponse { id, status, code: receipt.code.clone(), message: receipt.message.clone() })
}

/// The payment rails of this installation, by name.
#[derive(Clone, Default)]
pub struct Rails(Arc<Vec<Arc<dyn Rail>>>);

impl Rails {
    #[must_use]
    pub fn new(rails: Vec<Arc<dyn Rail>>) -> Self {
        Self(Arc::new(rails))
    }

    pub(crate) fn find(&self, name: &str) -> Option<Arc<dyn Rail>> {
        self.0.iter().find(|rail| rail.name() == name).cloned()
    }
}
