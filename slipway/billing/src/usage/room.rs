//! Whether what will be used next is included or set aside, and asking for the next block where it is not.

use purser_db::{DbError, Tx, params};
use purser_values::id::{CloudAccountId, CloudResourceId};
use purser_values::{Env, Money};
use purser_wire::credit::Cover;

use super::{Block, BlockState, CREDIT_BLOCK, Stretch, blocks, counted, current, set_block, subject, sum};
use crate::credit::spend;
use crate::limits::{BLOCK_MINOR, BLOCK_RETRY_S};
use crate::price::{Meter, MeterPrice, Use};
use crate::subscription::get::plan_of;
use crate::till::{BlockAsk, BlockOutcome};

/// What an account may use.
#[derive(Clone, Debug)]
pub struct Room {
    pub resource: CloudResourceId,
    pub used: Use,
    pub cost: Money,
    pub set_aside: Money,
    pub stretch: Stretch,
}

/// What is to be done before so much more is used.
#[derive(Clone, Debug)]
pub enum Want {
    /// The account has no plan: nothing is metered.
    NoPlan,
    Enough(Room),
    /// Set this aside first.
    Ask(BlockAsk, i64),
    /// No more than the room that there is.
    Stop(Room),
}

impl Room {
    /// How much of a meter is left before the account stops. Nothing is left of any when one has used up what there is.
    #[must_use]
    pub fn left(&self, meter: Meter) -> u64 {
        if self.is_over() {
            return 0;
        }
        let used = self.used.get(&meter).copied().unwrap_or(0);
        self.stretch.prices.allowed(meter, &self.used, self.set_aside).saturating_sub(used)
    }
}

impl Room {
    /// Whether so much more is included or set aside.
    #[must_use]
    pub fn has(&self, ahead: &Use) -> bool {
        let then = self.and(ahead);
        !self.beyond_included(&then) && self.stretch.prices.cost(&then).is_some_and(|cost| cost.minor() <= self.set_aside.minor())
    }

    /// Whether more was used than is included and set aside, of whichever meter.
    #[must_use]
    pub fn is_over(&self) -> bool {
        !self.has(&Use::new())
    }

    /// What will have been used after so much more.
    fn and(&self, ahead: &Use) -> Use {
        let mut then = self.used.clone();
        for (meter, more) in ahead {
            let used = then.entry(*meter).or_default();
            *used = used.saturating_add(*more);
        }
        then
    }

    /// Where nothing is sold on top, what is included is all there is.
    fn beyond_included(&self, then: &Use) -> bool {
        let spent = |price: &MeterPrice| price.over.is_none() && then.get(&price.meter).copied().unwrap_or(0) > price.included;
        self.stretch.prices.meters.iter().any(spent)
    }
}

/// # Errors
/// When the store fails.
pub fn room(tx: &mut Tx<'_>, account: &CloudAccountId) -> Result<Option<Room>, DbError> {
    let Some(sub) = plan_of(tx, account)? else { return Ok(None) };
    let Some(stretch) = current(tx, &sub.resource)? else { return Ok(None) };
    let held = blocks(tx, &stretch)?;
    of(tx, stretch, &held).map(Some)
}

fn of(tx: &mut Tx<'_>, stretch: Stretch, blocks: &[Block]) -> Result<Room, DbError> {
    let used = counted(tx, &stretch)?;
    let zero = Money::zero(stretch.prices.currency);
    let set_aside = sum(blocks.iter().filter(|block| block.state == BlockState::Reserved).map(|block| block.amount), zero)?;
    let cost = stretch.prices.cost(&used).unwrap_or_else(|| Money::from_minor(i64::MAX, stretch.prices.currency));
    Ok(Room { resource: stretch.resource.clone(), used, cost, set_aside, stretch })
}

/// Looks whether so much more is included or set aside. Where it is not, the next block is written down as asked for.
///
/// # Errors
/// When the store fails.
pub fn want(tx: &mut Tx<'_>, env: &Env, account: &CloudAccountId, ahead: &Use) -> Result<Want, DbError> {
    let Some(sub) = plan_of(tx, account)? else { return Ok(Want::NoPlan) };
    let Some(stretch) = current(tx, &sub.resource)? else { return Ok(Want::NoPlan) };
    let held = blocks(tx, &stretch)?;
    let room = of(tx, stretch, &held)?;
    if room.has(ahead) {
        return Ok(Want::Enough(room));
    }
    if room.beyond_included(&room.and(ahead)) {
        return Ok(Want::Stop(room));
    }
    if set_credit_aside(tx, env, account, &room, room.stretch.prices.cost(&room.and(ahead)))? {
        return want(tx, env, account, ahead);
    }
    let Some(from) = room.stretch.account() else { return Ok(Want::Stop(room)) };
    let open = held.iter().find(|block| matches!(block.state, BlockState::Asked | BlockState::Refused));
    if open.is_some_and(|block| block.state == BlockState::Refused && env.now() < block.asked_at.plus_secs(BLOCK_RETRY_S)) {
        return Ok(Want::Stop(room));
    }
    let amount = Money::from_minor(BLOCK_MINOR, room.stretch.prices.currency);
    let (block, amount) = match open {
        Some(block) => (block.block, block.amount),
        None => (next(tx, &room.stretch)?, amount),
    };
    let upsert = "insert into bill_block (resource, number, block, amount_minor, currency, state, asked_at)
                  values ($1, $2, $3, $4, $5, 'asked', $6)
                  on conflict (resource, number, block) do update set state = 'asked', asked_at = $6";
    let (resource, number) = (&room.stretch.resource, room.stretch.number);
    tx.execute(upsert, params![resource, number, i64::from(block), amount.minor(), amount.currency(), env.now()])?;
    Ok(Want::Ask(BlockAsk { from, period: room.stretch.name, block, amount }, number))
}

/// Sets aside what a credit has for it: nobody has to be asked. Tells whether there was anything.
fn set_credit_aside(tx: &mut Tx<'_>, env: &Env, account: &CloudAccountId, room: &Room, needed: Option<Money>) -> Result<bool, DbError> {
    // Where nothing is sold beyond what is included, there is nothing to set aside for.
    let (Some(needed), Some(_)) = (needed, &room.stretch.line) else { return Ok(false) };
    let short = needed.minor().saturating_sub(room.set_aside.minor()).max(BLOCK_MINOR);
    let most = Money::from_minor(short, needed.currency());
    let held = spend::hold(tx, env, account, &Cover::Usage, &subject(&room.stretch), most)?;
    if held.is_zero() {
        return Ok(false);
    }
    let upsert = "insert into bill_block (resource, number, block, amount_minor, currency, state, asked_at)
                  values ($1, $2, $3, $4, $5, 'reserved', $6)
                  on conflict (resource, number, block) do update set amount_minor = bill_block.amount_minor + $4, asked_at = $6";
    let (resource, number) = (&room.stretch.resource, room.stretch.number);
    tx.execute(upsert, params![resource, number, i64::from(CREDIT_BLOCK), held.minor(), held.currency(), env.now()])?;
    Ok(true)
}

/// Blocks are numbered within the name of a period under one quote: that is what the orchestrator knows them by.
fn next(tx: &mut Tx<'_>, stretch: &Stretch) -> Result<u32, DbError> {
    let last =
        "select coalesce(max(b.block), 0) as n from bill_block b join bill_usage u on u.resource = b.resource and u.number = b.number
                where b.resource = $1 and u.name = $2 and u.quote = $3";
    let last: u32 = tx.query_one(last, params![stretch.resource, stretch.name, stretch.quote])?.get("n")?;
    Ok(last.saturating_add(1))
}

/// What the orchestrator said to a block. The first answer to an asking counts.
///
/// # Errors
/// When the store fails.
pub fn answered(tx: &mut Tx<'_>, ask: &BlockAsk, number: i64, outcome: &BlockOutcome) -> Result<(), DbError> {
    let select = "select * from bill_usage where resource = $1 and number = $2";
    let stretch = super::read(&tx.query_one(select, params![ask.from.resource, number])?)?;
    let to = if outcome.reserved { BlockState::Reserved } else { BlockState::Refused };
    set_block(tx, &stretch, ask.block, BlockState::Asked, to)?;
    let update = "update bill_block set code = $4 where resource = $1 and number = $2 and block = $3";
    tx.execute(update, params![stretch.resource, stretch.number, i64::from(ask.block), outcome.code]).map(drop)
}
