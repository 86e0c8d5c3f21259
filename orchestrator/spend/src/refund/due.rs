//! What a provider should give back, because the order that it charged for was undone.
//!
//! [`expect`] writes it down when the order is undone. Until the deadline it is awaited; then [`overdue`] turns it into a dispute, which
//! people are told of and which stays on their page until the money has come back, however late.

use std::str::FromStr;

use purser_authority::{Caller, Done, Event, Outcome};
use purser_db::jobs::NewJob;
use purser_db::{DbError, Row, Tx, params};
use purser_values::id::{AgentId, ChargeId, OrganisationId, ResourceId};
use purser_values::name::ProviderName;
use purser_values::{Env, Money, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::read;
use crate::charge::{self, Charge, ChargeState};
use crate::hold::Hold;
use crate::limits;
use crate::under::under;

/// The kind of job that tells people of a dispute; its payload is a [`Missing`].
pub const JOB: &str = "refund_missing";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DueState {
    Awaited,
    /// The deadline passed: the provider owes it to the person.
    Disputed,
    /// It came back, or nothing was taken after all.
    Settled,
}

/// Money that is owed to an organisation.
#[derive(Clone, Debug, Serialize)]
pub struct Due {
    pub charge: ChargeId,
    pub provider: ProviderName,
    pub agent: AgentId,
    pub resource: ResourceId,
    /// What is still missing.
    pub amount: Money,
    pub state: DueState,
    pub since: Timestamp,
    /// Until when it should have come back; after that it is a dispute.
    pub until: Timestamp,
    /// Why it is owed.
    pub reason: &'static str,
}

/// The one reason for which money is owed without anybody asking: nobody got what was paid for.
const UNDONE: &str = "order_undone";

/// What people are told. The handler of the job knows the people of the organisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    pub organisation: OrganisationId,
    pub agent: AgentId,
    pub provider: ProviderName,
    pub resource: ResourceId,
    pub charge: ChargeId,
    pub amount: Money,
}

impl Missing {
    #[must_use]
    pub fn subject(&self) -> String {
        format!("{} has not given back {}", self.provider, self.amount)
    }

    /// The text, for an agent that people know by a name.
    #[must_use]
    pub fn text(&self, agent_name: &str, spend_url: &str) -> String {
        format!(
            "The agent \"{agent_name}\" ordered something at {} that was undone. {} was charged for it and has not come back.\n\n\
             The charge is {} and stays listed until the money is back: {spend_url}\n\nAsk {} for a refund and name the charge.\n",
            self.provider, self.amount, self.charge, self.provider
        )
    }
}

/// Writes down that whatever was charged of the hold is to come back. Charges under way count too: the rail may still say yes. Doing it
/// again does nothing; the first deadline stands.
///
/// # Errors
/// When the store fails.
pub fn expect(tx: &mut Tx<'_>, env: &Env, hold: &Hold, until: Timestamp) -> Result<Done<()>, DbError> {
    let mut done = Done::quiet(());
    for charge in charge::of_hold(tx, &hold.id)? {
        if !(charge.state.is_open() || charge.state == ChargeState::Succeeded) || missing(tx, &charge)?.is_zero() {
            continue;
        }
        let insert = "insert into spend_refund_due (charge, organisation, agent, provider, resource, state, since, until)
                      values ($1, $2, $3, $4, $5, 'awaited', $6, $7) on conflict (charge) do nothing";
        let (organisation, agent) = (&hold.spender.organisation, &hold.spender.agent);
        let values = params![charge.id, organisation, agent, hold.provider, hold.resource, env.now(), until];
        if tx.execute(insert, values)? == 1 {
            let event = Event::new("refund_expect", Outcome::Intended, &Caller::System, charge.id.as_str())
                .in_organisation(organisation)
                .related([hold.id.as_str(), hold.resource.as_str(), agent.as_str()])
                .with(json!({"amount": charge.amount, "provider": hold.provider, "until": until}));
            done = done.and_event(under(tx, hold, event)?);
        }
    }
    Ok(done)
}

/// Until when the refunds of a resource are awaited; nothing when none is.
///
/// # Errors
/// When the store fails.
pub fn awaited_until(tx: &mut Tx<'_>, resource: &ResourceId) -> Result<Option<Timestamp>, DbError> {
    let select = "select until from spend_refund_due where resource = $1 and state = 'awaited' order by until desc limit 1";
    tx.query_opt(select, params![resource])?.map(|row| row.get("until")).transpose()
}

/// Turns what was awaited for too long into disputes, a batch at a time. Answers how many were looked at; call again until it is none.
///
/// # Errors
/// When the store fails.
pub fn overdue(tx: &mut Tx<'_>, env: &Env) -> Result<Done<usize>, DbError> {
    let select = "select * from spend_refund_due where state = 'awaited' and until <= $1 order by until limit $2";
    let rows = tx.query(select, params![env.now(), limits::BATCH])?;
    let mut done = Done::quiet(rows.len());
    for row in rows {
        let id: ChargeId = row.parse("charge")?;
        let charge = charge::find(tx, &id)?.ok_or(DbError::NoRow)?;
        if charge.state.is_open() {
            // The rail has not said yet whether anything was taken.
            let wait = "update spend_refund_due set until = $2 where charge = $1";
            tx.execute(wait, params![id, env.now().plus_secs(limits::CHARGE_RESUME_S)])?;
            continue;
        }
        if settle(tx, &charge)? {
            continue;
        }
        tx.execute("update spend_refund_due set state = 'disputed', disputed_at = $2 where charge = $1", params![id, env.now()])?;
        let told = Missing {
            organisation: row.parse("organisation")?,
            agent: row.parse("agent")?,
            provider: row.parse("provider")?,
            resource: row.parse("resource")?,
            amount: missing(tx, &charge)?,
            charge: id.clone(),
        };
        let event = Event::new("refund_dispute", Outcome::Failed(JOB.to_owned()), &Caller::System, id.as_str())
            .in_organisation(&told.organisation)
            .related([told.resource.as_str(), told.agent.as_str()])
            .with(json!({"amount": told.amount, "provider": told.provider}));
        done = done.and_event(event).and_job(NewJob { dedupe: Some(format!("{JOB}:{id}")), ..NewJob::now(env, JOB, json!(told)) });
    }
    Ok(done)
}

/// What is owed to an organisation (or for one agent of it) and has not come back, of whatever month, oldest first.
///
/// # Errors
/// When the store fails.
pub fn open(tx: &mut Tx<'_>, organisation: &OrganisationId, only: Option<&AgentId>) -> Result<Vec<Due>, DbError> {
    let select = "select * from spend_refund_due where organisation = $1 and state in ('awaited', 'disputed') and (agent = $2 or $2 = '')
                  order by since, charge limit $3";
    let only = only.map_or("", AgentId::as_str);
    let rows = tx.query(select, params![organisation, only, crate::limits::OWED])?;
    rows.iter().map(|row| due(tx, row)).collect()
}

/// What is or was owed of one charge.
///
/// # Errors
/// When the store fails.
pub fn of_charge(tx: &mut Tx<'_>, charge: &ChargeId) -> Result<Option<Due>, DbError> {
    let row = tx.query_opt("select * from spend_refund_due where charge = $1", params![charge])?;
    row.map(|row| due(tx, &row)).transpose()
}

/// Ends what is owed of the charge if nothing is missing any more. Tells whether that is so.
pub(crate) fn settle(tx: &mut Tx<'_>, charge: &Charge) -> Result<bool, DbError> {
    if !missing(tx, charge)?.is_zero() {
        return Ok(false);
    }
    tx.execute("update spend_refund_due set state = 'settled' where charge = $1", params![charge.id])?;
    Ok(true)
}

/// What the charge took and did not give back.
fn missing(tx: &mut Tx<'_>, charge: &Charge) -> Result<Money, DbError> {
    if matches!(charge.state, ChargeState::Declined | ChargeState::Refused) {
        return Ok(Money::zero(charge.amount.currency()));
    }
    let given = read::given(tx, charge)?;
    charge.amount.checked_sub(given).map_err(|e| DbError::Corrupt(e.to_string()))
}

fn due(tx: &mut Tx<'_>, row: &Row) -> Result<Due, DbError> {
    let id: ChargeId = row.parse("charge")?;
    let charge = charge::find(tx, &id)?.ok_or(DbError::NoRow)?;
    Ok(Due {
        charge: id,
        provider: row.parse("provider")?,
        agent: row.parse("agent")?,
        resource: row.parse("resource")?,
        amount: missing(tx, &charge)?,
        state: row.parse("state")?,
        since: row.get("since")?,
        until: row.get("until")?,
        reason: UNDONE,
    })
}

impl DueState {
    const ALL: [Self; 3] = [Self::Awaited, Self::Disputed, Self::Settled];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Awaited => "awaited",
            Self::Disputed => "disputed",
            Self::Settled => "settled",
        }
    }
}

impl FromStr for DueState {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|state| state.name() == s).ok_or_else(|| format!("`{s}` is not a state"))
    }
}
