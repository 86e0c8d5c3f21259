//! A provider charges a payment token: the intent, the rail, the outcome.

use std::sync::Arc;

use purser_authority::action::{ChargeConfirm, ChargeCreate};
use purser_authority::{Attempt, Caller, Denied, Facts, authorise};
use purser_db::DbError;
use purser_db::jobs::{Job, JobFailure};
use purser_spend::charge::{self, ChargeAsk, ChargeError, ChargeState, ChargeStep, ConfirmError, Receipt, Waiting};
use purser_spend::rail::{Confirmation, Rail, RailError, RailOrder, RailOutcome};
use purser_spend::seller::{self, SellerError};
use purser_values::Secret;
use purser_values::error::{Kind, PublicError};
use purser_values::id::ChargeId;
use purser_values::name::ProviderName;
use purser_wire::charge::{ChargeRequest, ChargeResponse, ChargeStatus};

use crate::app::App;
use crate::core::Core;
use crate::{notice, perform, seller_token};

#[derive(Debug, thiserror::Error)]
pub enum ChargingError {
    #[error(transparent)]
    Charge(#[from] ChargeError),
    #[error(transparent)]
    Confirm(#[from] ConfirmError),
    #[error(transparent)]
    Seller(#[from] SellerError),
    #[error("the payment rail gave no answer yet; repeat with the same `Idempotency-Key`")]
    Rail,
    #[error("this installation has no payment rail `{0}`")]
    RailUnknown(String),
}

impl PublicError for ChargingError {
    fn code(&self) -> &'static str {
        match self {
            Self::Charge(e) => e.code(),
            Self::Confirm(e) => e.code(),
            Self::Seller(e) => e.code(),
            Self::Rail => "rail_unavailable",
            Self::RailUnknown(_) => "rail_unknown",
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::Charge(e) => e.kind(),
            Self::Confirm(e) => e.kind(),
            Self::Seller(e) => e.kind(),
            Self::Rail => Kind::Unavailable,
            Self::RailUnknown(_) => Kind::Internal,
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Charge(e) => e.hint(),
            Self::Confirm(e) => e.hint(),
            Self::Seller(_) | Self::Rail | Self::RailUnknown(_) => None,
        }
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
        ChargeStep::Capture(order) => capture(&app.core, rails, order).await?,
    };
    response(&receipt)
}

/// Asks the rail and records what it says.
async fn capture(core: &Core, rails: &Rails, order: RailOrder) -> Result<Receipt, ChargingError> {
    let outcome = rails.of(&order)?.capture(&order).await;
    finish(core, &order, outcome.map_err(|e| no_answer(&order, &e))?).await
}

fn no_answer(order: &RailOrder, e: &RailError) -> ChargingError {
    tracing::warn!(charge = %order.charge, error = %e, "the rail gave no answer; the charge is taken up again");
    ChargingError::Rail
}

async fn finish(core: &Core, order: &RailOrder, outcome: RailOutcome) -> Result<Receipt, ChargingError> {
    let (env, id) = (core.env.clone(), order.charge.clone());
    let attempt = Attempt::new("charge_create", &Caller::System, id.as_str());
    Ok(perform(core, attempt, move |tx| charge::finish(tx, &env, &id, &outcome)).await?)
}

/// Asks the rail what became of a charge that has no end yet, and ends one whose person did not come. Answers how it stands.
///
/// # Errors
/// When the rail gives no answer.
pub async fn charge_settle(core: &Core, rails: &Rails, id: &ChargeId) -> Result<Option<ChargeState>, ChargingError> {
    let (of, env) = (id.clone(), core.env.clone());
    let read = core.db.read::<_, DbError, _>(move |tx| {
        let state = charge::find(tx, &of)?.map(|found| found.state);
        Ok((state, charge::order(tx, &of)?, charge::waits_until(tx, &of)?, seller::of_charge(tx, &env, &of)?))
    });
    let (state, order, until, at_seller) = read.await.map_err(ChargeError::from)?;
    if let Some(out) = at_seller {
        return seller_token::settle(core, rails, &out).await.map(Some);
    }
    let now = core.env.now();
    let Some(order) = order else { return Ok(state) };
    let receipt = if until.is_some_and(|until| until <= now) {
        let outcome = rails.of(&order)?.cancel(&order).await.map_err(|e| no_answer(&order, &e))?;
        finish(core, &order, outcome).await?
    } else {
        capture(core, rails, order).await?
    };
    Ok(Some(receipt.state))
}

/// Takes a person to the bank for a charge that waits there; `back` is where the bank sends them afterwards.
///
/// # Errors
/// When it does not wait for them, or the rail gives no answer.
pub async fn charge_confirm(core: &Core, rails: &Rails, caller: &Caller, id: &ChargeId, back: &str) -> Result<Confirmation, ChargingError> {
    let (env, who, of) = (core.env.clone(), caller.clone(), id.clone());
    let order = perform(core, Attempt::new("charge_confirm", caller, id.as_str()), move |tx| {
        let found = charge::find(tx, &of)?.ok_or(Denied::NotFound)?;
        let facts = Facts { owner: found.organisation.as_ref(), ..Facts::new(env.now(), of.as_str()) };
        let permit = authorise::<ChargeConfirm>(&who, &facts)?;
        charge::confirm(tx, &env, &permit, &of)
    })
    .await?;
    let confirmation = rails.of(&order)?.confirm(&order, back).await.map_err(|e| no_answer(&order, &e))?;
    if let Confirmation::Ended(outcome) = &confirmation {
        finish(core, &order, outcome.clone()).await?;
    }
    Ok(confirmation)
}

/// The job that takes up a charge which was begun and not finished. While its person is awaited it comes back by itself, later and later.
pub async fn resume(app: App, rails: Rails, id: ChargeId) -> Result<(), JobFailure> {
    let again = |why: String| JobFailure::Again { why, limit: None };
    match charge_settle(&app.core, &rails, &id).await {
        Ok(Some(ChargeState::RequiresAction)) => Err(again("it waits for its person".to_owned())),
        Ok(Some(ChargeState::Begun)) => Err(again("its seller may still take the money".to_owned())),
        Ok(_) => Ok(()),
        Err(e) => Err(again(e.to_string())),
    }
}

/// The job that tells people that a payment waits for them.
pub async fn tell_waiting(app: App, job: Job) -> Result<(), JobFailure> {
    let told: Waiting = serde_json::from_value(job.payload).map_err(|_| notice::unreadable())?;
    let (organisation, agent, url) = (told.organisation.clone(), told.agent.clone(), confirm_page(&app, &told.charge));
    notice::send(&app, job.id, organisation, agent, told.subject(), move |name| told.text(name, &url)).await
}

/// The page on which a person confirms a charge.
pub(crate) fn confirm_page(app: &App, charge: &ChargeId) -> String {
    app.page(&format!("/confirm/{charge}"))
}

fn response(receipt: &Receipt) -> Result<ChargeResponse, ChargingError> {
    let status = match receipt.state {
        ChargeState::Succeeded => ChargeStatus::Succeeded,
        ChargeState::Declined => ChargeStatus::Declined,
        ChargeState::Refused => ChargeStatus::Refused,
        ChargeState::RequiresAction => ChargeStatus::Pending,
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

    fn of(&self, order: &RailOrder) -> Result<Arc<dyn Rail>, ChargingError> {
        self.named(&order.rail)
    }

    pub(crate) fn named(&self, name: &str) -> Result<Arc<dyn Rail>, ChargingError> {
        self.find(name).ok_or_else(|| ChargingError::RailUnknown(name.to_owned()))
    }

    /// Where new payment methods are set up.
    #[must_use]
    pub fn main(&self) -> Option<&'static str> {
        self.0.first().map(|rail| rail.name())
    }
}
