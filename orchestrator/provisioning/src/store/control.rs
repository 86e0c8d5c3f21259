//! What we want providers to do with an agent's credentials, and what they have confirmed.

use purser_db::{DbError, Tx, params};
use purser_values::Timestamp;
use purser_values::id::{AgentId, OrganisationId};
use purser_values::name::ProviderName;
use purser_wire::control::ControlOrder;

/// The number of every wish, so that a provider can tell which came later.
pub(super) const ORDER: &str = "alter table agent_control add column control_order {int} not null default 1;
    create index agent_control_by_order on agent_control (control_order)";

/// `disabled` or `enabled`, wanted and confirmed.
#[derive(Clone, Debug)]
pub struct Control {
    pub provider: ProviderName,
    pub wanted: String,
    /// Higher than that of every wish before it, of any agent: accounts are shared.
    pub order: ControlOrder,
    pub confirmed: Option<String>,
    pub last_error: Option<String>,
}

impl Control {
    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        self.confirmed.as_deref() == Some(self.wanted.as_str())
    }
}

/// Notes a new wish under the next number.
pub fn want(tx: &mut Tx<'_>, agent: &AgentId, provider: &ProviderName, wanted: &str, now: Timestamp) -> Result<(), DbError> {
    let order = next(tx, now, 0)?;
    let upsert = "insert into agent_control (agent, provider, wanted, changed_at, control_order) values ($1, $2, $3, $4, $5)
                  on conflict (agent, provider) do update set wanted = excluded.wanted, changed_at = excluded.changed_at,
                  control_order = excluded.control_order, confirmed = null, confirmed_at = null, last_error = null";
    tx.execute(upsert, params![agent, provider, wanted, now, order]).map(drop)
}

/// The next number: the time in microseconds, or one more than the last. The time, because an installation that was put back from a
/// backup has forgotten its last numbers, and providers have not.
fn next(tx: &mut Tx<'_>, now: Timestamp, seen: i64) -> Result<i64, DbError> {
    let last: Option<i64> = tx.query_one("select max(control_order) as last from agent_control", params![])?.get("last")?;
    Ok(now.as_micros().max(last.unwrap_or(0) + 1).max(seen + 1))
}

/// The provider has seen a higher number than that of this wish, though nothing newer is wanted here: the wish gets a number beyond it.
/// Where something newer is wanted, nothing changes.
pub fn outrun(
    tx: &mut Tx<'_>,
    agent: &AgentId,
    provider: &ProviderName,
    sent: ControlOrder,
    seen: Option<ControlOrder>,
    now: Timestamp,
) -> Result<(), DbError> {
    let order = next(tx, now, seen.map_or(0, number))?;
    let update = "update agent_control set control_order = $4 where agent = $1 and provider = $2 and control_order = $3";
    tx.execute(update, params![agent, provider, number(sent), order]).map(drop)
}

/// Notes the provider's answer; an answer to an older wish does not count.
pub fn confirmed(tx: &mut Tx<'_>, agent: &AgentId, provider: &ProviderName, wish: &Control, now: Timestamp) -> Result<(), DbError> {
    let update = "update agent_control set confirmed = $3, confirmed_at = $4, last_error = null
                  where agent = $1 and provider = $2 and control_order = $5";
    tx.execute(update, params![agent, provider, wish.wanted.as_str(), now, number(wish.order)]).map(drop)
}

/// A column of 64 bits holds every order number.
fn number(order: ControlOrder) -> i64 {
    i64::try_from(order.get()).unwrap_or(i64::MAX)
}

pub fn failed(tx: &mut Tx<'_>, agent: &AgentId, provider: &ProviderName, why: &str) -> Result<(), DbError> {
    tx.execute("update agent_control set last_error = $3 where agent = $1 and provider = $2", params![agent, provider, why]).map(drop)
}

fn order(number: i64) -> Result<ControlOrder, DbError> {
    let order = u64::try_from(number).ok().and_then(|number| ControlOrder::try_from(number).ok());
    order.ok_or_else(|| DbError::Corrupt(format!("`control_order` is `{number}`, which is no order number")))
}

pub fn of_agent(tx: &mut Tx<'_>, agent: &AgentId) -> Result<Vec<Control>, DbError> {
    let select = "select provider, wanted, control_order, confirmed, last_error from agent_control where agent = $1 order by provider";
    let rows = tx.query(select, params![agent])?;
    rows.iter()
        .map(|row| {
            Ok(Control {
                provider: row.parse("provider")?,
                wanted: row.get("wanted")?,
                order: order(row.get("control_order")?)?,
                confirmed: row.get("confirmed")?,
                last_error: row.get("last_error")?,
            })
        })
        .collect()
}

/// Whether other agents of the organisation have something at the provider, so that the account is not this agent's alone.
pub fn is_shared(tx: &mut Tx<'_>, organisation: &OrganisationId, provider: &ProviderName, agent: &AgentId) -> Result<bool, DbError> {
    let select = "select id from resource where organisation = $1 and provider = $2 and agent <> $3 and removed_at is null limit 1";
    Ok(tx.query_opt(select, params![organisation, provider, agent])?.is_some())
}

/// The providers at which an agent has or is getting resources, and so credentials.
pub fn providers_of(tx: &mut Tx<'_>, agent: &AgentId) -> Result<Vec<ProviderName>, DbError> {
    let rows = tx.query(
        "select distinct provider from resource where agent = $1 and (provider_resource is not null or removed_at is null)",
        params![agent],
    )?;
    rows.iter().map(|row| row.parse("provider")).collect()
}

#[cfg(test)]
mod tests {
    use purser_db::testing::each_engine;
    use purser_values::Env;

    use super::*;
    use crate::store::MIGRATIONS;

    #[tokio::test]
    async fn every_wish_has_a_higher_number_and_only_an_answer_to_the_last_one_counts() {
        each_engine(&[MIGRATIONS], |db| async move {
            let (env, agent, provider) = (Env::system(), AgentId::mint(&Env::system()), "slipway".parse::<ProviderName>().unwrap());
            let now = env.now();
            db.write::<_, DbError, _>(move |tx| {
                let mut wish = |what: &str| {
                    // the same moment each time, as on a clock that stands still
                    want(tx, &agent, &provider, what, now)?;
                    Ok::<_, DbError>(of_agent(tx, &agent)?.remove(0))
                };
                let (first, second, third) = (wish("disabled")?, wish("enabled")?, wish("disabled")?);
                assert!(first.order < second.order && second.order < third.order);
                confirmed(tx, &agent, &provider, &first, now)?;
                assert!(!of_agent(tx, &agent)?[0].is_confirmed(), "a late answer to the first wish was taken for one to the third");
                outrun(tx, &agent, &provider, second.order, Some(third.order), now)?;
                assert_eq!(of_agent(tx, &agent)?[0].order, third.order, "an old call's answer changed the number of the newest wish");
                let far = ControlOrder::try_from(third.order.get() + 1_000_000_000).unwrap();
                outrun(tx, &agent, &provider, third.order, Some(far), now)?;
                let renumbered = of_agent(tx, &agent)?.remove(0);
                assert!(renumbered.order > far, "the provider will not listen");
                confirmed(tx, &agent, &provider, &renumbered, now)?;
                assert!(of_agent(tx, &agent)?[0].is_confirmed());
                Ok(())
            })
            .await
            .unwrap();
        })
        .await;
    }
}
