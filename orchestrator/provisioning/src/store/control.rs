//! What we want providers to do with an agent's credentials, and what they have confirmed.

use purser_db::{DbError, Tx, params};
use purser_values::Timestamp;
use purser_values::id::{AgentId, OrganisationId};
use purser_values::name::ProviderName;

/// `disabled` or `enabled`, wanted and confirmed.
#[derive(Clone, Debug)]
pub struct Control {
    pub provider: ProviderName,
    pub wanted: String,
    pub confirmed: Option<String>,
    pub last_error: Option<String>,
}

impl Control {
    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        self.confirmed.as_deref() == Some(self.wanted.as_str())
    }
}

pub fn want(tx: &mut Tx<'_>, agent: &AgentId, provider: &ProviderName, wanted: &str, now: Timestamp) -> Result<(), DbError> {
    let upsert = "insert into agent_control (agent, provider, wanted, changed_at) values ($1, $2, $3, $4)
                  on conflict (agent, provider) do update set wanted = excluded.wanted, changed_at = excluded.changed_at,
                  confirmed = null, confirmed_at = null, last_error = null";
    tx.execute(upsert, params![agent, provider, wanted, now]).map(drop)
}

/// Notes the provider's answer; an answer to an older wish does not count.
pub fn confirmed(tx: &mut Tx<'_>, agent: &AgentId, provider: &ProviderName, what: &str, now: Timestamp) -> Result<(), DbError> {
    let update = "update agent_control set confirmed = $3, confirmed_at = $4, last_error = null where agent = $1 and provider = $2";
    tx.execute(update, params![agent, provider, what, now]).map(drop)
}

pub fn failed(tx: &mut Tx<'_>, agent: &AgentId, provider: &ProviderName, why: &str) -> Result<(), DbError> {
    tx.execute("update agent_control set last_error = $3 where agent = $1 and provider = $2", params![agent, provider, why]).map(drop)
}

pub fn of_agent(tx: &mut Tx<'_>, agent: &AgentId) -> Result<Vec<Control>, DbError> {
    let rows =
        tx.query("select provider, wanted, confirmed, last_error from agent_control where agent = $1 order by provider", params![agent])?;
    rows.iter()
        .map(|row| {
            Ok(Control {
                provider: row.parse("provider")?,
                wanted: row.get("wanted")?,
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
