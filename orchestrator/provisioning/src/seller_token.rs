//! Purchases from a provider that takes the money at the rail itself, with a token that the rail made for it alone.
//!
//! The provider is given that token instead of ours, never both: the line that it can take is being charged from before the token
//! exists, so nobody else can charge it, and until its end is known nobody gets it back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use purser_authority::{Attempt, Caller, Done};
use purser_flow::StepError;
use purser_spend::charge::{ChargeError, ChargeState};
use purser_spend::rail::{Rail, RailError, SellerToken, SellerTokenOrder};
use purser_spend::seller::{self, Out};
use purser_values::Secret;
use purser_values::error::Kind;
use purser_values::id::HoldId;

use crate::app::App;
use crate::charges::{ChargingError, Rails};
use crate::core::Core;
use crate::error::PayError;
use crate::fault::permanent;
use crate::perform;
use crate::resource::bought::{permit, token_aad};
use crate::store::resource::Resource;

/// The rail's token for the seller, sealed as ours would be; nothing where ours is to be used.
pub async fn instead(app: &App, caller: &Caller, row: &Resource, hold: &HoldId, seller: Option<&str>) -> Result<Option<String>, StepError> {
    let offers = app.rails.main().and_then(|name| app.rails.find(name)).is_some_and(|rail| rail.has_seller_tokens());
    let Some(seller) = seller.filter(|_| offers) else { return Ok(None) };
    let attempt = Attempt::new("seller_token_issue", caller, row.id.as_str());
    let (of, who, of_row, hold, seller) = (app.clone(), caller.clone(), row.clone(), hold.clone(), seller.to_owned());
    let ordered = perform(&app.core, attempt, move |tx| -> Result<Done<_>, PayError> {
        let (permit, _) = permit(tx, &of, &who, &of_row)?;
        Ok(seller::offer(tx, &of.core.env, &permit, &hold, &seller)?)
    });
    let Some(order) = ordered.await.map_err(|e| StepError::of(&e))? else { return Ok(None) };
    let Some(rail) = app.rails.find(&order.rail) else { return Err(StepError::transient(ChargingError::RailUnknown(order.rail))) };
    match rail.seller_token(&order).await.map_err(StepError::transient)? {
        SellerToken::Issued { reference, plain } => {
            let out = issued(&app.core, &order, reference).await.map_err(StepError::transient)?;
            if !out.is_wanted {
                return Err(permanent("hold_ended", Kind::Conflict, "the purchase was stopped before its provider could be paid", None));
            }
            Ok(Some(sealed(app, row, &plain)?))
        }
        SellerToken::NotOffered => not_offered(app, order).await.map(|()| None),
        SellerToken::Refused { code, message } => {
            not_offered(app, order).await?;
            let text = format!("the payment processor makes no token for this provider: {message} ({code})");
            Err(permanent("seller_token_refused", Kind::Provider, text, Some("tell the provider, or whoever runs this installation")))
        }
    }
}

async fn issued(core: &Core, order: &SellerTokenOrder, reference: String) -> Result<Out, purser_db::DbError> {
    let (env, charge) = (core.env.clone(), order.charge.clone());
    let attempt = Attempt::new("seller_token_issue", &Caller::System, charge.as_str());
    perform(core, attempt, move |tx| seller::issued(tx, &env, &charge, &reference)).await
}

async fn dropped(core: &Core, order: &SellerTokenOrder) -> Result<(), ChargeError> {
    let (env, charge) = (core.env.clone(), order.charge.clone());
    let attempt = Attempt::new("seller_token_issue", &Caller::System, charge.as_str());
    perform(core, attempt, move |tx| seller::not_offered(tx, &env, &charge)).await
}

async fn not_offered(app: &App, order: SellerTokenOrder) -> Result<(), StepError> {
    dropped(&app.core, &order).await.map_err(StepError::transient)
}

fn sealed(app: &App, row: &Resource, plain: &Secret<String>) -> Result<String, StepError> {
    let sealed = app.core.keyring.seal(&app.core.env, &token_aad(&row.id), plain.expose().as_bytes());
    let sealed = sealed.map_err(|e| permanent("request_unusable", Kind::Internal, e.to_string(), None))?;
    Ok(STANDARD.encode(sealed))
}

/// Asks the rail what was taken with a seller's token, after revoking one that is not wanted any more. Answers how the charge stands.
///
/// # Errors
/// When the rail gives no answer, or one that cannot be.
pub async fn settle(core: &Core, rails: &Rails, out: &Out) -> Result<ChargeState, ChargingError> {
    let rail = rails.named(&out.order.rail)?;
    let reference = match &out.reference {
        Some(reference) => reference.clone(),
        // The answer was lost, or the purchase is between two writes: the same order tells which token it made.
        None if out.is_wanted => return Ok(ChargeState::Begun),
        None => match found(core, &*rail, &out.order).await? {
            Some(reference) => reference,
            None => return Ok(ChargeState::Declined),
        },
    };
    if !out.is_wanted && out.ended_at.is_none() {
        rail.seller_token_revoke(&reference).await.map_err(|e| no_answer(out, &e))?;
    }
    let used = rail.seller_token_use(&reference).await.map_err(|e| no_answer(out, &e))?;
    let (env, charge) = (core.env.clone(), out.order.charge.clone());
    let attempt = Attempt::new("charge_create", &Caller::System, charge.as_str());
    let settled = perform(core, attempt, move |tx| seller::settle(tx, &env, &charge, &used)).await;
    if let Err(e) = &settled {
        tracing::error!(charge = %out.order.charge, error = %e, "what a seller took is not what it may");
    }
    Ok(settled?)
}

/// The token that an order made whose answer was lost. None that is made only now is ever handed over.
async fn found(core: &Core, rail: &dyn Rail, order: &SellerTokenOrder) -> Result<Option<String>, ChargingError> {
    match rail.seller_token(order).await.map_err(|e| lost(order, &e))? {
        SellerToken::Issued { reference, .. } => {
            issued(core, order, reference.clone()).await.map_err(ChargeError::from)?;
            Ok(Some(reference))
        }
        SellerToken::NotOffered | SellerToken::Refused { .. } => {
            dropped(core, order).await?;
            Ok(None)
        }
    }
}

fn no_answer(out: &Out, e: &RailError) -> ChargingError {
    lost(&out.order, e)
}

fn lost(order: &SellerTokenOrder, e: &RailError) -> ChargingError {
    tracing::warn!(charge = %order.charge, error = %e, "the rail does not say how a seller's token stands; it is asked again");
    ChargingError::Rail
}
