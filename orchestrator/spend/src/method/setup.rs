//! A person on the way to put a payment method on file, through a page of the rail's.
//!
//! Three writes with the rail between them: [`open`] names the setup, which is the rail's idempotency key; [`opened`] keeps what the rail
//! calls it; [`finish`] adds the method once the rail says that the person has done it. The person's proof that they are there is
//! asked for at the beginning; what comes back later, by the person's browser or by the rail's message, adds what that person began.

use purser_authority::action::PaymentMethodSet;
use purser_authority::{Caller, Denied, Done, Event, Permit};
use purser_db::{DbError, Row, Tx, params};
use purser_values::id::{OrganisationId, PaymentSetupId, PersonId};
use purser_values::{Env, Timestamp};
use serde_json::json;

use super::{MethodError, PaymentMethod, RailMethod, add};
use crate::rail::SetupOutcome;
use crate::{limits, spender};

/// A setup as it is kept.
#[derive(Clone, Debug)]
pub struct Setup {
    pub id: PaymentSetupId,
    pub organisation: OrganisationId,
    pub person: PersonId,
    pub rail: String,
    /// The rail's own name of it, once it has been asked.
    pub reference: Option<String>,
    pub state: SetupState,
    pub expires_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetupState {
    Open,
    Done,
    Failed,
}

/// Begins a setup.
///
/// # Errors
/// When too many are open.
pub fn open(
    tx: &mut Tx<'_>,
    env: &Env,
    permit: &Permit<PaymentMethodSet>,
    organisation: &OrganisationId,
    rail: &str,
) -> Result<Done<PaymentSetupId>, MethodError> {
    spender::same_organisation(permit.caller(), organisation)?;
    let person = permit.caller().person().ok_or(Denied::NotFound)?;
    let now = env.now();
    let count = "select count(*) as n from payment_setup where organisation = $1 and state = 'open' and expires_at > $2";
    if tx.query_one(count, params![organisation, now])?.get::<i64>("n")? >= limits::OPEN_SETUPS {
        return Err(MethodError::TooManySetups);
    }
    let id = PaymentSetupId::mint(env);
    let insert = "insert into payment_setup (id, organisation, person, rail, state, opened_at, expires_at)
                  values ($1, $2, $3, $4, 'open', $5, $6)";
    tx.execute(insert, params![id, organisation, person, rail, now, now.plus_secs(limits::SETUP_LIFE_S)])?;
    let event = Event::new(permit.verb(), purser_authority::Outcome::Intended, permit.caller(), id.as_str())
        .in_organisation(organisation)
        .with(json!({"rail": rail}));
    Ok(Done::with_event(id, event))
}

/// Keeps the rail's own name of the setup.
///
/// # Errors
/// When the store fails.
pub fn opened(tx: &mut Tx<'_>, id: &PaymentSetupId, reference: &str) -> Result<(), DbError> {
    tx.execute("update payment_setup set reference = $2 where id = $1 and reference is null", params![id, reference]).map(drop)
}

/// # Errors
/// When the store fails.
pub fn find(tx: &mut Tx<'_>, id: &PaymentSetupId) -> Result<Option<Setup>, DbError> {
    tx.query_opt("select * from payment_setup where id = $1", params![id])?.as_ref().map(row).transpose()
}

/// Records what the rail says of the setup. Finishing twice adds one method.
///
/// # Errors
/// When there is no such setup, or the rail's answer is not usable.
pub fn finish(tx: &mut Tx<'_>, env: &Env, id: &PaymentSetupId, outcome: &SetupOutcome) -> Result<Done<Option<PaymentMethod>>, MethodError> {
    let setup = find(tx, id)?.ok_or(Denied::NotFound)?;
    match outcome {
        _ if setup.state != SetupState::Open => Ok(Done::quiet(None)),
        SetupOutcome::Open => Ok(Done::quiet(None)),
        SetupOutcome::Failed => {
            tx.execute("update payment_setup set state = 'failed' where id = $1", params![id])?;
            let outcome = purser_authority::Outcome::Failed("payment_method_unusable".to_owned());
            let event = Event::new("payment_method_set", outcome, &Caller::System, id.as_str()).in_organisation(&setup.organisation);
            Ok(Done::with_event(None, event))
        }
        SetupOutcome::Done(at_rail) => done(tx, env, &setup, at_rail),
    }
}

fn done(tx: &mut Tx<'_>, env: &Env, setup: &Setup, at_rail: &RailMethod) -> Result<Done<Option<PaymentMethod>>, MethodError> {
    let added = add::keep(tx, env, &Caller::System, &setup.person, &setup.organisation, at_rail)?;
    let method = &added.value.id;
    tx.execute("update payment_setup set state = 'done', payment_method = $2 where id = $1", params![setup.id, method])?;
    Ok(added.map(Some))
}

fn row(row: &Row) -> Result<Setup, DbError> {
    let state = match row.get::<String>("state")?.as_str() {
        "open" => SetupState::Open,
        "done" => SetupState::Done,
        "failed" => SetupState::Failed,
        other => return Err(DbError::Corrupt(format!("`{other}` is no state of a setup"))),
    };
    Ok(Setup {
        id: row.parse("id")?,
        organisation: row.parse("organisation")?,
        person: row.parse("person")?,
        rail: row.get("rail")?,
        reference: row.get("reference")?,
        state,
        expires_at: row.get("expires_at")?,
    })
}
