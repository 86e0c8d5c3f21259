//! The caps that an agent gives a helper that it lets in.

use std::collections::BTreeMap;

use purser_authority::action::AgentDelegate;
use purser_authority::{Denied, Done, Permit};
use purser_db::{Tx, params};
use purser_values::name::ProviderName;
use purser_values::{Env, Money};

use super::set::write;
use super::{CapError, CapSet, stored};
use crate::spender::{self, Spender};

/// Sets the helper's caps to those of its grant, in the write that derives it. Each purchase of the helper also takes room at
/// the agents above it, so no amount here can widen anything.
///
/// # Errors
/// As [`super::set`]; also when the helper is the agent itself.
pub fn delegate(
    tx: &mut Tx<'_>,
    env: &Env,
    permit: &Permit<AgentDelegate>,
    helper: &Spender,
    cap: Money,
    caps: &BTreeMap<ProviderName, Money>,
) -> Result<Done<()>, CapError> {
    spender::same_organisation(permit.caller(), &helper.organisation)?;
    if permit.caller().agent().is_none_or(|own| *own == helper.agent) {
        return Err(Denied::NotFound.into());
    }
    let mut amounts: BTreeMap<Option<ProviderName>, Money> = caps.iter().map(|(name, amount)| (Some(name.clone()), *amount)).collect();
    amounts.insert(None, cap);
    // A provider whose own cap an earlier grant set follows this one.
    let known = "select provider from spend_cap where agent = $1 and organisation = $2 and provider <> ''";
    for row in tx.query(known, params![helper.agent, helper.organisation])? {
        amounts.entry(Some(row.parse("provider")?)).or_insert(cap);
    }
    let mut done = Done::quiet(());
    for (provider, amount) in amounts {
        if stored(tx, helper, provider.as_ref())? != Some(amount) {
            let set = CapSet { spender: helper.clone(), provider, amount };
            let part = write(tx, env, "cap_set", permit.caller(), &set)?;
            done.absorb(part);
        }
    }
    Ok(done)
}
