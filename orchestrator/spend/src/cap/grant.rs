//! The cap that a person agrees to while giving a grant.

use purser_authority::action::GrantDecide;
use purser_authority::{Caller, Done, Permit, Role};
use purser_db::Tx;
use purser_values::{Env, Money};

use super::set::write;
use super::{CapError, CapSet, stored};
use crate::spender::{self, Spender};

/// Sets the agent's cap to what the person agreed to on the consent page, in the write that makes the grant.
///
/// An agent's first cap may be set by whoever may give a grant. Raising an existing one is for those who may set caps, so
/// from others a higher amount leaves it as it is. Answers the cap that holds afterwards.
///
/// # Errors
/// As [`super::set`].
pub fn grant(tx: &mut Tx<'_>, env: &Env, permit: &Permit<GrantDecide>, spender: &Spender, agreed: Money) -> Result<Done<Money>, CapError> {
    spender::allowed(permit.caller(), spender, None)?;
    let leads = matches!(permit.caller(), Caller::Person { role: Role::Owner | Role::Admin, .. });
    match stored(tx, spender, None)? {
        Some(cap) if cap == agreed => Ok(Done::quiet(cap)),
        Some(cap) if !leads && (cap.currency() != agreed.currency() || cap.minor() < agreed.minor()) => Ok(Done::quiet(cap)),
        _ => {
            let cap = CapSet { spender: spender.clone(), provider: None, amount: agreed };
            Ok(write(tx, env, "cap_set", permit.caller(), &cap)?.map(|()| agreed))
        }
    }
}
