//! What a ceiling consists of: four ledger accounts that add up to zero, and the three movements between them.
//!
//! `granted` is minus the ceiling, `room` what may still be spent, `held` what is set aside, `captured` what was spent. A hold
//! moves room to held, a capture held to captured, a release held back to room,
//! a refund captured back to room.

use purser_db::{DbError, Tx};
use purser_values::{Currency, Env, Money};

use crate::ledger::{self, Guard, Movement, Reason};

/// One ceiling with its accounts.
pub trait Pot {
    /// The ledger account of one of its four parts.
    fn account(&self, part: &str) -> String;
    fn ceiling(&self) -> Money;

    fn currency(&self) -> Currency {
        self.ceiling().currency()
    }
}

/// Where a ceiling stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub room: i64,
    pub held: i64,
    pub captured: i64,
}

/// Makes the accounts of a new ceiling and gives it its room.
pub fn open(tx: &mut Tx<'_>, env: &Env, pot: &impl Pot, subject: &str) -> Result<(), DbError> {
    for part in ["granted", "room", "held", "captured"] {
        ledger::open(tx, &pot.account(part), pot.currency())?;
    }
    let (source, target) = (pot.account("granted"), pot.account("room"));
    let (reason, amount, guard) = (Reason::Cap, pot.ceiling(), Guard::Free);
    ledger::transfer(tx, env, &Movement { reason, source: &source, target: &target, amount, subject, guard }).map(drop)
}

/// Makes the ceiling higher or lower; what is held or captured stays, so the room may go below zero.
pub fn resize(tx: &mut Tx<'_>, env: &Env, pot: &impl Pot, ceiling: Money, subject: &str) -> Result<(), DbError> {
    let difference = ceiling.checked_sub(pot.ceiling()).map_err(|e| DbError::Other(e.to_string()))?.minor();
    let (granted, room) = (pot.account("granted"), pot.account("room"));
    let (source, target) = if difference >= 0 { (&granted, &room) } else { (&room, &granted) };
    let amount = Money::from_minor(difference.abs(), pot.currency());
    ledger::transfer(tx, env, &Movement { reason: Reason::Cap, source, target, amount, subject, guard: Guard::Free }).map(drop)
}

pub fn position(tx: &mut Tx<'_>, pot: &impl Pot) -> Result<Position, DbError> {
    Ok(Position {
        room: ledger::balance(tx, &pot.account("room"))?,
        held: ledger::balance(tx, &pot.account("held"))?,
        captured: ledger::balance(tx, &pot.account("captured"))?,
    })
}

/// Takes room for the amount, or tells that there is not enough.
pub fn reserve(tx: &mut Tx<'_>, env: &Env, pot: &impl Pot, amount: Money, subject: &str) -> Result<bool, DbError> {
    shift(tx, env, pot, Reason::Hold, ["room", "held"], amount, subject)
}

/// The same for what is held already elsewhere: the room may go below zero.
pub fn take(tx: &mut Tx<'_>, env: &Env, pot: &impl Pot, amount: Money, subject: &str) -> Result<(), DbError> {
    let (source, target) = (pot.account("room"), pot.account("held"));
    let (reason, guard) = (Reason::Hold, Guard::Free);
    ledger::transfer(tx, env, &Movement { reason, source: &source, target: &target, amount, subject, guard }).map(drop)
}

/// Gives held money back to the room.
pub fn release(tx: &mut Tx<'_>, env: &Env, pot: &impl Pot, amount: Money, subject: &str) -> Result<(), DbError> {
    let moved = shift(tx, env, pot, Reason::Release, ["held", "room"], amount, subject)?;
    covered(moved, pot)
}

/// Turns held money into captured money.
pub fn capture(tx: &mut Tx<'_>, env: &Env, pot: &impl Pot, amount: Money, subject: &str) -> Result<(), DbError> {
    let moved = shift(tx, env, pot, Reason::Capture, ["held", "captured"], amount, subject)?;
    covered(moved, pot)
}

/// Gives captured money back to the room.
pub fn give_back(tx: &mut Tx<'_>, env: &Env, pot: &impl Pot, amount: Money, subject: &str) -> Result<(), DbError> {
    let moved = shift(tx, env, pot, Reason::Refund, ["captured", "room"], amount, subject)?;
    covered(moved, pot)
}

fn shift(
    tx: &mut Tx<'_>,
    env: &Env,
    pot: &impl Pot,
    reason: Reason,
    [from, to]: [&str; 2],
    amount: Money,
    subject: &str,
) -> Result<bool, DbError> {
    let (source, target) = (pot.account(from), pot.account(to));
    ledger::transfer(tx, env, &Movement { reason, source: &source, target: &target, amount, subject, guard: Guard::Covered })
}

/// What is given back or captured was held or captured before; anything else is a defect and must not be written.
fn covered(moved: bool, pot: &impl Pot) -> Result<(), DbError> {
    if moved { Ok(()) } else { Err(DbError::Corrupt(format!("`{}` holds less than its holds and charges say", pot.account("…")))) }
}
