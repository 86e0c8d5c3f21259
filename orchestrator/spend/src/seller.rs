//! Tokens that a seller redeems at the rail itself (Stripe's shared payment tokens), for providers that do not charge through us.
//!
//! Such a provider takes the money without asking us first. So nothing is left to it: the token names one seller, one currency, the
//! amount of one held line and the end of its hold, and from before it exists until its end is known that line is *being charged*. It
//! is neither free nor chargeable by anybody else in between.
//!
//! INVARIANT (seller-token-is-hold): what can still be taken with a seller's token is a held line in the state `charging`. The line
//! goes on only when the rail says that all of it was taken, or that the token ended and no authorisation made under it can be alive.
//!
//! The order: [`offer`] in a write, the rail's token, [`issued`] in a write, the provider; then [`settle`] as often as there may be
//! news, with what the rail says. Whoever is frozen, removed or over is named by [`Out::is_wanted`], and its token is revoked first.

mod offer;
mod settle;

use purser_db::jobs::NewJob;
use purser_db::{DbError, Row, Tx, params};
use purser_values::id::{AgentId, ChargeId, HoldId};
use purser_values::{Env, Money, Timestamp};
use serde_json::json;

use crate::charge::RESUME_JOB;
use crate::rail::SellerTokenOrder;
use crate::token::TokenState;
use crate::{freeze, hold};

pub use offer::{issued, not_offered, offer};
pub use settle::{SellerError, settle};

/// A token that is out, or about to be.
#[derive(Clone, Debug)]
pub struct Out {
    pub order: SellerTokenOrder,
    pub hold: HoldId,
    /// The rail's own id, once it is known.
    pub reference: Option<String>,
    /// Since when it can no longer be used.
    pub ended_at: Option<Timestamp>,
    /// Whether it may still be used, as far as we are concerned.
    pub is_wanted: bool,
}

/// The seller's token behind a charge that has no outcome yet.
///
/// # Errors
/// When the store fails.
pub fn of_charge(tx: &mut Tx<'_>, env: &Env, charge: &ChargeId) -> Result<Option<Out>, DbError> {
    let select = "select s.*, c.amount, c.currency, m.rail, m.reference as method, t.state as token_state
                  from spend_seller_token s join spend_charge c on c.id = s.charge join spend_hold h on h.id = s.hold
                  join payment_method m on m.id = h.payment_method join payment_token t on t.id = s.token
                  where s.charge = $1 and c.state = 'begun'";
    let row = tx.query_opt(select, params![charge])?;
    row.map(|row| out(tx, env, &row)).transpose()
}

/// Whether a seller may still take what is held here.
///
/// # Errors
/// When the store fails.
pub fn is_out(tx: &mut Tx<'_>, hold: &HoldId) -> Result<bool, DbError> {
    Ok(of_hold(tx, hold)?.is_some())
}

/// The jobs that look again at the tokens of an agent's purchases, and of those that count as its own: it was frozen.
///
/// # Errors
/// When the store fails.
pub fn look_again(tx: &mut Tx<'_>, env: &Env, agent: &AgentId) -> Result<Vec<NewJob>, DbError> {
    let select = "select s.charge from spend_seller_token s join spend_charge c on c.id = s.charge join spend_hold h on h.id = s.hold
                  where c.state = 'begun'
                  and (h.agent = $1 or exists (select 1 from spend_hold_share p where p.hold = s.hold and p.agent = $1))";
    let rows = tx.query(select, params![agent])?;
    rows.iter().map(|row| Ok(look(env, &row.parse("charge")?))).collect()
}

/// The same for a hold that is given back.
pub(crate) fn look_again_at(tx: &mut Tx<'_>, env: &Env, hold: &HoldId) -> Result<Option<NewJob>, DbError> {
    Ok(of_hold(tx, hold)?.map(|charge| look(env, &charge)))
}

fn look(env: &Env, charge: &ChargeId) -> NewJob {
    let dedupe = Some(format!("{RESUME_JOB}_seller:{charge}:{}", env.now().as_micros()));
    NewJob { dedupe, ..NewJob::now(env, RESUME_JOB, json!({ "charge": charge })) }
}

fn of_hold(tx: &mut Tx<'_>, hold: &HoldId) -> Result<Option<ChargeId>, DbError> {
    let select = "select s.charge from spend_seller_token s join spend_charge c on c.id = s.charge where s.hold = $1 and c.state = 'begun'";
    tx.query_opt(select, params![hold])?.map(|row| row.parse("charge")).transpose()
}

fn out(tx: &mut Tx<'_>, env: &Env, row: &Row) -> Result<Out, DbError> {
    let id: HoldId = row.parse("hold")?;
    let (expires_at, token): (Timestamp, TokenState) = (row.get("expires_at")?, row.parse("token_state")?);
    let held = hold::find(tx, &id)?.ok_or(DbError::NoRow)?;
    let stands = held.state.pays() && token == TokenState::Active && expires_at > env.now();
    Ok(Out {
        order: SellerTokenOrder {
            charge: row.parse("charge")?,
            token: row.parse("token")?,
            rail: row.get("rail")?,
            method: row.get("method")?,
            seller: row.get("seller")?,
            most: Money::from_minor(row.get("amount")?, row.parse("currency")?),
            expires_at,
        },
        reference: row.get("reference")?,
        ended_at: row.get("ended_at")?,
        is_wanted: stands && !freeze::is_hold_frozen(tx, &id)?,
        hold: id,
    })
}
