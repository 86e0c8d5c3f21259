//! A person raises or lowers a cap.

use purser_authority::action::{CapRaise, CapSet as CapSetAction};
use purser_authority::{Caller, Denied, Done, Event, Facts, Permit, authorise};
use purser_db::{Tx, params};
use purser_values::limits::cap_max;
use purser_values::name::ProviderName;
use purser_values::{Env, Money};
use serde_json::json;

use super::{CapError, stored};
use crate::pot::Pot as _;
use crate::spender::{self, Spender};
use crate::{alert, book};

/// Which cap, and how high.
#[derive(Clone, Debug)]
pub struct CapSet {
    pub spender: Spender,
    /// Absent: the agent's cap at every provider that has none of its own.
    pub provider: Option<ProviderName>,
    pub amount: Money,
}

/// Sets the cap, for this month too. Below what is held or spent it just leaves no room. Raising it wants a person who was there
/// just now; lowering does not wait.
///
/// # Errors
/// When the amount is out of range or in another currency than this month's cap.
pub fn set(tx: &mut Tx<'_>, env: &Env, permit: &Permit<CapSetAction>, cap: &CapSet) -> Result<Done<()>, CapError> {
    let env = &env.still();
    spender::allowed(permit.caller(), &cap.spender, None)?;
    // A first cap comes with a grant; whoever has none is not known to this organisation.
    let everywhere = stored(tx, &cap.spender, None)?.ok_or(Denied::NotFound)?;
    let holds = stored(tx, &cap.spender, cap.provider.as_ref())?.unwrap_or(everywhere);
    if cap.amount.currency() != holds.currency() || cap.amount.minor() > holds.minor() {
        authorise::<CapRaise>(permit.caller(), &Facts::new(env.now(), permit.subject())).map(drop)?;
    }
    write(tx, env, permit.verb(), permit.caller(), cap)
}

/// Stores the cap and moves the room of every book that it reaches. The caller has been authorised.
pub(super) fn write(tx: &mut Tx<'_>, env: &Env, verb: &str, caller: &Caller, cap: &CapSet) -> Result<Done<()>, CapError> {
    if cap.amount.minor() < 0 || cap.amount.minor() > cap_max(cap.amount.currency()).minor() {
        return Err(CapError::Amount(cap.amount));
    }
    let Spender { organisation, agent } = &cap.spender;
    let before = stored(tx, &cap.spender, cap.provider.as_ref())?;
    let upsert =
        "insert into spend_cap (agent, provider, organisation, amount, currency, set_by, set_at) values ($1, $2, $3, $4, $5, $6, $7)
                  on conflict (agent, provider) do update set amount = $4, currency = $5, set_by = $6, set_at = $7
                  where spend_cap.organisation = $3";
    let provider = cap.provider.as_ref().map_or("", ProviderName::as_str);
    let by = caller.person().map(ToString::to_string).unwrap_or_default();
    let values = params![agent, provider, organisation, cap.amount.minor(), cap.amount.currency(), by, env.now()];
    if tx.execute(upsert, values)? != 1 {
        return Err(Denied::NotFound.into());
    }

    let event = Event::done(verb, caller, agent.as_str()).in_organisation(organisation).with(json!({
        "provider": cap.provider, "before": before, "after": cap.amount,
    }));
    let mut done = Done::with_event((), event);
    for mut open in book::open_from(tx, &cap.spender, env.now().month())? {
        let reached = match &cap.provider {
            Some(provider) => open.provider == *provider,
            None => stored(tx, &cap.spender, Some(&open.provider))?.is_none(),
        };
        if !reached {
            continue;
        }
        if open.currency() != cap.amount.currency() {
            return Err(CapError::Currency { have: open.currency(), asked: cap.amount.currency() });
        }
        book::change_cap(tx, env, &open, cap.amount, agent.as_str())?;
        open.cap = cap.amount;
        let alerts = alert::of_cap(tx, env, &open)?;
        done.absorb(alerts);
    }
    Ok(done)
}
