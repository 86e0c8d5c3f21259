//! A person goes to their bank for a charge that waits there.

use purser_authority::action::ChargeConfirm;
use purser_authority::{Denied, Done, Permit};
use purser_db::{DbError, Tx};
use purser_values::Env;
use purser_values::error::{Kind, PublicError};
use purser_values::id::ChargeId;

use super::{ChargeState, confirmation, read};
use crate::method::{self, MethodState};
use crate::rail::RailOrder;
use crate::{freeze, hold, spender};

#[derive(Debug, thiserror::Error)]
pub enum ConfirmError {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error("nothing waits for you here any more")]
    NotWaiting,
    #[error(transparent)]
    Store(#[from] DbError),
}

impl PublicError for ConfirmError {
    fn code(&self) -> &'static str {
        match self {
            Self::Denied(e) => e.code(),
            Self::NotWaiting => "charge_not_waiting",
            Self::Store(e) => e.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Denied(e) => e.kind(),
            Self::NotWaiting => Kind::Conflict,
            Self::Store(e) => e.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Denied(e) => e.hint(),
            Self::NotWaiting => Some("look at the spend page for what became of the payment".to_owned()),
            Self::Store(e) => e.hint(),
        }
    }
}

/// The order that the rail is asked to take the person to the bank for. A freeze since then stops it here, as does a card that was
/// taken away, and the end of its time.
///
/// # Errors
/// See [`ConfirmError`].
pub fn confirm(tx: &mut Tx<'_>, env: &Env, permit: &Permit<ChargeConfirm>, id: &ChargeId) -> Result<Done<RailOrder>, ConfirmError> {
    let charge = read::find(tx, id)?.ok_or(Denied::NotFound)?;
    let Some(hold) = charge.hold.as_ref().map(|hold| hold::find(tx, hold)).transpose()?.flatten() else {
        return Err(Denied::NotFound.into());
    };
    spender::same_organisation(permit.caller(), &hold.spender.organisation)?;
    let until = confirmation::waits_until(tx, id)?.filter(|until| env.now() < *until);
    if charge.state != ChargeState::RequiresAction || until.is_none() {
        return Err(ConfirmError::NotWaiting);
    }
    if freeze::is_hold_frozen(tx, &hold.id)? {
        return Err(Denied::Frozen.into());
    }
    let method = method::find(tx, &hold.payment_method)?.ok_or(DbError::NoRow)?;
    if method.state == MethodState::Removed {
        return Err(ConfirmError::NotWaiting);
    }
    let order = read::order(tx, id)?.ok_or(ConfirmError::NotWaiting)?;
    Ok(Done::quiet(order))
}
