//! A charge that waits for its person at the bank (3-D Secure).
//!
//! The line stays held, and the hold and its token live as long as the wait, so that what else the provider charges of the same order can
//! follow. Time is up after [`limits::CONFIRM_PATIENCE_S`]; undoing the order ends it at once. Either way the rail has the last word: a
//! person who was faster has paid.

use purser_authority::{Caller, Done, Event, Outcome};
use purser_db::jobs::NewJob;
use purser_db::{DbError, Row, Tx, params};
use purser_values::id::{AgentId, ChargeId, HoldId, OrganisationId};
use purser_values::name::ProviderName;
use purser_values::{Env, Money, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Charge, ChargeError, ChargeState, RESUME_JOB, Receipt, read};
use crate::hold::{self, HeldLine, Hold};
use crate::{limits, seller};

/// The kind of job that tells people that a payment waits for them; its payload is a [`Waiting`].
pub const CONFIRM_JOB: &str = "charge_confirmation";

/// A payment that waits for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    pub charge: ChargeId,
    pub organisation: OrganisationId,
    pub agent: AgentId,
    pub provider: ProviderName,
    pub amount: Money,
    pub since: Timestamp,
    pub until: Timestamp,
}

impl Waiting {
    #[must_use]
    pub fn subject(&self) -> String {
        format!("Your bank wants you to confirm {} to {}", self.amount, self.provider)
    }

    /// The text, for an agent that people know by a name.
    #[must_use]
    pub fn text(&self, agent_name: &str, url: &str) -> String {
        format!(
            "The agent \"{agent_name}\" buys something at {} for {}, within what you allowed. Your bank wants to see you before it pays.\n\n\
             Confirm it here until {}: {url}\n\nThe agent goes on by itself after that. If you do nothing, nothing is paid.\n",
            self.provider,
            self.amount,
            self.until.for_people()
        )
    }
}

/// The charge waits, its provider learns that it is pending, and people are told once.
pub(super) fn wait(tx: &mut Tx<'_>, env: &Env, charge: &Charge, hold: &Hold) -> Result<Done<Receipt>, ChargeError> {
    let receipt =
        Receipt { id: charge.id.clone(), state: ChargeState::RequiresAction, code: Some(CODE.to_owned()), message: Some(SAID.to_owned()) };
    if charge.state == ChargeState::RequiresAction {
        return Ok(Done::quiet(receipt));
    }
    let now = env.now();
    // An order that was undone while the rail was asked has nobody to wait for.
    let is_wanted = hold.state.pays();
    let until = if is_wanted { now.plus_secs(limits::CONFIRM_PATIENCE_S) } else { now };
    let update = "update spend_charge set state = $2, code = $3, message = $4 where id = $1 and state = 'begun'";
    tx.execute(update, params![charge.id, ChargeState::RequiresAction.name(), CODE, SAID])?;
    let insert = "insert into spend_charge_confirmation (charge, organisation, agent, since, until) values ($1, $2, $3, $4, $5)";
    let (organisation, agent) = (&hold.spender.organisation, &hold.spender.agent);
    tx.execute(insert, params![charge.id, organisation, agent, now, until])?;
    let longer = "update spend_hold set expires_at = $2 where id = $1 and state in ('open', 'closing') and expires_at < $2";
    tx.execute(longer, params![hold.id, until])?;
    let token = "update payment_token set expires_at = $2 where hold = $1 and state = 'active' and expires_at < $2";
    tx.execute(token, params![hold.id, until])?;
    let waiting = Waiting {
        charge: charge.id.clone(),
        organisation: organisation.clone(),
        agent: agent.clone(),
        provider: charge.provider.clone(),
        amount: charge.amount,
        since: now,
        until,
    };
    let event = Event::new("charge_confirm", Outcome::Intended, &Caller::System, charge.id.as_str())
        .in_organisation(organisation)
        .related([hold.id.as_str(), hold.resource.as_str(), agent.as_str()])
        .with(json!({"amount": charge.amount, "provider": charge.provider, "until": until}));
    let over = NewJob { run_at: until, dedupe: Some(format!("{RESUME_JOB}_until:{}", charge.id)), ..resume(env, &charge.id) };
    let done = Done::with_event(receipt, event).and_job(over);
    if !is_wanted {
        return Ok(done);
    }
    let tell = NewJob { dedupe: Some(format!("{CONFIRM_JOB}:{}", charge.id)), ..NewJob::now(env, CONFIRM_JOB, json!(waiting)) };
    Ok(done.and_job(tell))
}

const CODE: &str = "requires_action";
const SAID: &str = "the bank wants to see the person first; ask again with the same key";

fn resume(env: &Env, charge: &ChargeId) -> NewJob {
    NewJob::now(env, RESUME_JOB, json!({ "charge": charge }))
}

/// Ends the wait of a hold's charges: the job that follows tells the rail.
pub(crate) fn give_up(tx: &mut Tx<'_>, env: &Env, hold: &HoldId) -> Result<Done<()>, DbError> {
    give_up_but(tx, env, hold, &[])
}

/// The same, but what was used may still be confirmed.
pub(crate) fn give_up_but_use(tx: &mut Tx<'_>, env: &Env, hold: &Hold) -> Result<Done<()>, DbError> {
    let blocks: Vec<String> = hold::lines(tx, hold)?.into_iter().filter(HeldLine::is_block).map(|line| line.period).collect();
    give_up_but(tx, env, &hold.id, &blocks)
}

fn give_up_but(tx: &mut Tx<'_>, env: &Env, hold: &HoldId, periods: &[String]) -> Result<Done<()>, DbError> {
    let mut done = Done::quiet(());
    let kept = |charge: &Charge| charge.period.as_ref().is_some_and(|period| periods.contains(period));
    let waiting = |charge: &Charge| charge.state == ChargeState::RequiresAction && !kept(charge);
    for charge in read::of_hold(tx, hold)?.into_iter().filter(waiting) {
        let update = "update spend_charge_confirmation set until = $2 where charge = $1 and until > $2";
        tx.execute(update, params![charge.id, env.now()])?;
        let over = NewJob { dedupe: Some(format!("{RESUME_JOB}_given_up:{}", charge.id)), ..resume(env, &charge.id) };
        done = done.and_job(over);
    }
    if let Some(look) = seller::look_again_at(tx, env, hold)? {
        done = done.and_job(look);
    }
    Ok(done)
}

/// The rail has said what became of it.
pub(super) fn over(tx: &mut Tx<'_>, charge: &ChargeId) -> Result<(), DbError> {
    tx.execute("delete from spend_charge_confirmation where charge = $1", params![charge]).map(drop)
}

/// Until when the charge waits; nothing when it does not.
///
/// # Errors
/// When the store fails.
pub fn waits_until(tx: &mut Tx<'_>, charge: &ChargeId) -> Result<Option<Timestamp>, DbError> {
    let row = tx.query_opt("select until from spend_charge_confirmation where charge = $1", params![charge])?;
    row.map(|row| row.get("until")).transpose()
}

/// The organisation's payments that wait for a person, the oldest first.
///
/// # Errors
/// When the store fails.
pub fn waiting(tx: &mut Tx<'_>, organisation: &OrganisationId) -> Result<Vec<Waiting>, DbError> {
    let select = "select w.*, c.provider, c.amount, c.currency from spend_charge_confirmation w join spend_charge c on c.id = w.charge
                  where w.organisation = $1 order by w.since, w.charge limit $2";
    tx.query(select, params![organisation, limits::BATCH])?.iter().map(waiting_row).collect()
}

/// The first payment of a hold that waits for a person.
///
/// # Errors
/// When the store fails.
pub fn waiting_of_hold(tx: &mut Tx<'_>, hold: &HoldId) -> Result<Option<Waiting>, DbError> {
    let select = "select w.*, c.provider, c.amount, c.currency from spend_charge_confirmation w join spend_charge c on c.id = w.charge
                  where c.hold = $1 order by w.since, w.charge limit 1";
    tx.query_opt(select, params![hold])?.as_ref().map(waiting_row).transpose()
}

fn waiting_row(row: &Row) -> Result<Waiting, DbError> {
    Ok(Waiting {
        charge: row.parse("charge")?,
        organisation: row.parse("organisation")?,
        agent: row.parse("agent")?,
        provider: row.parse("provider")?,
        amount: Money::from_minor(row.get("amount")?, row.parse("currency")?),
        since: row.get("since")?,
        until: row.get("until")?,
    })
}
