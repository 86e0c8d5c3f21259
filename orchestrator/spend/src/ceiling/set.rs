//! A person sets, raises, lowers or takes away a ceiling.

use purser_authority::action::{CapRaise, CapSet};
use purser_authority::{Done, Event, Facts, Permit, authorise};
use purser_db::{Tx, params};
use purser_values::id::OrganisationId;
use purser_values::limits::cap_max;
use purser_values::{Env, Money};
use serde_json::json;

use super::{CeilingError, Rule, Scope, before, read, window};
use crate::calendar::Period;
use crate::spender;

/// Which ceiling, and how high.
#[derive(Clone, Debug)]
pub struct CeilingSet {
    pub organisation: OrganisationId,
    pub scope: Scope,
    /// Which one; nothing for the organisation.
    pub subject: String,
    pub period: Period,
    /// Absent: no ceiling any more.
    pub amount: Option<Money>,
}

/// Sets the ceiling, for the running period too, with what was spent in it and is set aside already. Below what it counts it just
/// leaves no room. Raising it, or taking it away, wants a person who was there just now; lowering does not wait.
///
/// # Errors
/// When the amount is out of range or in another currency than what is counted already, or there is no such subject.
pub fn set(tx: &mut Tx<'_>, env: &Env, permit: &Permit<CapSet>, ceiling: &CeilingSet) -> Result<Done<()>, CeilingError> {
    let CeilingSet { organisation, scope, period, amount, .. } = ceiling;
    let env = &env.still();
    spender::same_organisation(permit.caller(), organisation)?;
    let subject = subject(organisation, *scope, &ceiling.subject)?;
    let was = read::find(tx, organisation, *scope, &subject, *period)?;
    let widens = match (&was, amount) {
        (Some(rule), Some(amount)) => amount.currency() != rule.amount.currency() || amount.minor() > rule.amount.minor(),
        (Some(_), None) => true,
        (None, _) => false,
    };
    if widens {
        authorise::<CapRaise>(permit.caller(), &Facts::new(env.now(), permit.subject())).map(drop)?;
    }
    match amount {
        Some(amount) => {
            if amount.minor() < 0 || amount.minor() > cap_max(amount.currency()).minor() {
                return Err(CeilingError::Amount(*amount));
            }
            let rule =
                Rule { organisation: organisation.clone(), scope: *scope, subject: subject.clone(), period: *period, amount: *amount };
            window::follow(tx, env, &rule)?;
            let by = permit.caller().person().map(ToString::to_string).unwrap_or_default();
            let upsert = "insert into spend_ceiling (organisation, scope, subject, period, amount, currency, set_by, set_at)
                          values ($1, $2, $3, $4, $5, $6, $7, $8)
                          on conflict (organisation, scope, subject, period) do update
                          set amount = $5, currency = $6, set_by = $7, set_at = $8";
            let which = params![organisation, scope.name(), subject, period.name()];
            tx.execute(upsert, &[which, params![amount.minor(), amount.currency(), by, env.now()]].concat())?;
            if was.is_none() {
                before::take_over(tx, env, &rule)?;
            }
        }
        None => {
            let delete = "delete from spend_ceiling where organisation = $1 and scope = $2 and subject = $3 and period = $4";
            tx.execute(delete, params![organisation, scope.name(), subject, period.name()])?;
        }
    }
    let event = Event::done(permit.verb(), permit.caller(), &subject).in_organisation(organisation).with(json!({
        "ceiling": {"scope": scope, "subject": subject, "period": period},
        "before": was.map(|rule| rule.amount), "after": amount,
    }));
    Ok(Done::with_event((), event))
}

/// The subject in the one form in which purchases name it.
pub(crate) fn subject(organisation: &OrganisationId, scope: Scope, given: &str) -> Result<String, CeilingError> {
    use purser_values::id::{AgentId, GrantId};
    use purser_values::name::{EnvironmentName, ProjectName, ProviderName};
    let given = given.trim();
    let known = match scope {
        Scope::Organisation => return Ok(organisation.to_string()),
        Scope::Project => given.parse::<ProjectName>().is_ok(),
        Scope::Environment => given
            .split_once('/')
            .is_some_and(|(project, name)| project.parse::<ProjectName>().is_ok() && name.parse::<EnvironmentName>().is_ok()),
        Scope::Agent => given.parse::<AgentId>().is_ok(),
        Scope::Grant => given.parse::<GrantId>().is_ok(),
        Scope::Provider => given.parse::<ProviderName>().is_ok(),
        Scope::Category => {
            (1..=crate::limits::CATEGORY_CHARS).contains(&given.len())
                && given.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b))
        }
    };
    if known { Ok(given.to_owned()) } else { Err(CeilingError::Subject(given.chars().take(crate::limits::CATEGORY_CHARS).collect())) }
}
