//! What was taken with a seller's token, as far as that is known for good.

use purser_authority::Done;
use purser_db::{DbError, Tx, params};
use purser_values::Env;
use purser_values::error::{Kind, PublicError};
use purser_values::id::ChargeId;

use super::of_charge;
use crate::charge::{self, ChargeError, ChargeState};
use crate::limits;
use crate::rail::{RailOutcome, SellerTokenUse};

#[derive(Debug, thiserror::Error)]
pub enum SellerError {
    /// The rail did not keep its own limit, or speaks of another currency. The line stays held, and an operator must look.
    #[error("the rail says that more was taken with the seller's token of `{0}` than it may be, or another currency")]
    BeyondLimit(ChargeId),
    #[error(transparent)]
    Charge(#[from] ChargeError),
    #[error(transparent)]
    Store(#[from] DbError),
}

/// Takes over what the rail says. The charge ends when the whole amount was taken; otherwise when the token has ended and so long ago
/// that no authorisation made under it is alive. Until then everything stays held.
///
/// # Errors
/// [`SellerError::BeyondLimit`]; or when the store fails.
pub fn settle(tx: &mut Tx<'_>, env: &Env, id: &ChargeId, used: &SellerTokenUse) -> Result<Done<ChargeState>, SellerError> {
    let env = &env.still();
    let Some(out) = of_charge(tx, env, id)? else {
        let state = charge::find(tx, id)?.map_or(ChargeState::Declined, |charge| charge.state);
        return Ok(Done::quiet(state));
    };
    let (taken, most) = (used.captured, out.order.most);
    if taken.currency() != most.currency() || taken.minor() < 0 || taken.minor() > most.minor() {
        return Err(SellerError::BeyondLimit(id.clone()));
    }
    if let (None, Some(at)) = (out.ended_at, used.ended_at) {
        // Our clock, not theirs: what is waited for begins when we know.
        let ended_at = at.max(env.now());
        tx.execute("update spend_seller_token set ended_at = $2 where charge = $1", params![id, ended_at])?;
    }
    let over = out.ended_at.is_some_and(|at| at.plus_secs(limits::SELLER_AUTHORISATION_S) <= env.now());
    if taken != most && !over {
        return Ok(Done::quiet(ChargeState::Begun));
    }
    let outcome = match (&out.reference, taken.is_zero()) {
        (Some(reference), false) => {
            let update = "update spend_charge set amount = $2 where id = $1 and state = 'begun'";
            tx.execute(update, params![id, taken.minor()])?;
            RailOutcome::Captured { reference: reference.clone() }
        }
        _ => RailOutcome::Declined { code: UNUSED.to_owned(), message: "the seller took nothing with its token".to_owned() },
    };
    Ok(charge::finish(tx, env, id, &outcome)?.map(|receipt| receipt.state))
}

/// Nothing was taken with the token, and nothing can be any more.
pub(super) const UNUSED: &str = "seller_token_unused";

impl PublicError for SellerError {
    fn code(&self) -> &'static str {
        match self {
            Self::BeyondLimit(_) => "internal",
            Self::Charge(e) => e.code(),
            Self::Store(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::BeyondLimit(_) => Kind::Internal,
            Self::Charge(e) => e.kind(),
            Self::Store(e) => e.kind(),
        }
    }
}
