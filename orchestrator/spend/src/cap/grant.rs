//! The caps that a person agrees to while giving a grant.

use std::collections::BTreeMap;

use purser_authority::action::GrantDecide;
use purser_authority::{Caller, Done, Permit, Role};
use purser_db::Tx;
use purser_values::name::ProviderName;
use purser_values::{Env, Money};

use super::set::write;
use super::{CapError, CapSet, stored};
use crate::spender::{self, Spender};

/// Sets the agent's caps to what the person agreed to on the consent page, in the write that makes the grant: `agreed`
/// everywhere, `caps` at single providers.
///
/// An agent's first cap may be set by whoever may give a grant. Raising an existing one is for those who may set caps, so
/// from others a higher amount leaves it as it is. Answers the cap that holds afterwards.
///
/// # Errors
/// As [`super::set`].
pub fn grant(
    tx: &mut Tx<'_>,
    env: &Env,
    permit: &Permit<GrantDecide>,
    spender: &Spender,
    agreed: Money,
    caps: &BTreeMap<ProviderName, Money>,
) -> Result<Done<Money>, CapError> {
    spender::allowed(permit.caller(), spender, None)?;
    let leads = matches!(permit.caller(), Caller::Person { role: Role::Owner | Role::Admin, .. });
    let before = stored(tx, spender, None)?;
    let mut done = Done::quiet(agreed);
    let all = std::iter::once((None, agreed)).chain(caps.iter().map(|(name, amount)| (Some(name.clone()), *amount)));
    for (provider, amount) in all {
        // What held there until now; for a provider without a cap of its own, the agent's from before this grant.
        let held = stored(tx, spender, provider.as_ref())?.or(before);
        match held {
            Some(cap) if cap == amount && stored(tx, spender, provider.as_ref())?.is_some() => {}
            Some(cap) if !leads && (cap.currency() != amount.currency() || cap.minor() < amount.minor()) => {
                if provider.is_none() {
                    done.value = cap;
                }
            }
            _ => {
                let set = CapSet { spender: spender.clone(), provider, amount };
                let part = write(tx, env, "cap_set", permit.caller(), &set)?;
                done.absorb(part);
            }
        }
    }
    Ok(done)
}
