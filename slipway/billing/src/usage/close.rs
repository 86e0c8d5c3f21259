//! The end of a stretch: its blocks are charged for what was used, and its invoice is issued. A charge that is refused is tried again once a
//! day, as a renewal is, and meanwhile no renewal is asked for.

use purser_db::{DbError, Tx, params};
use purser_values::id::{ChargeId, CloudResourceId};
use purser_values::{Env, Money, Timestamp};
use purser_wire::usage::block_period;

use super::release::drop_token;
use super::{Block, BlockState, CREDIT_BLOCK, Stretch, blocks, counted, read, set_block, subject, sum};
use crate::charge::{self, Charge, Purpose};
use crate::credit::spend;
use crate::invoice::{self, Draft, Line};
use crate::limits::{GRACE_S, RETRY_S};
use crate::price::Rated;
use crate::subscription::{State, Subscription};

/// Ends the stretch that is open; what is counted from now on is another's. Tells whether there was one.
pub(crate) fn close(tx: &mut Tx<'_>, resource: &CloudResourceId, at: Timestamp) -> Result<bool, DbError> {
    let update = "update bill_usage set state = 'closing', end_at = $2 where resource = $1 and state = 'open'";
    Ok(tx.execute(update, params![resource, at])? > 0)
}

/// The oldest stretch that has ended and is not paid.
pub(crate) fn closing(tx: &mut Tx<'_>, resource: &CloudResourceId) -> Result<Option<Stretch>, DbError> {
    let select = "select * from bill_usage where resource = $1 and state = 'closing' order by number limit 1";
    tx.query_opt(select, params![resource])?.as_ref().map(read).transpose()
}

/// What the stretch cost, and how much of each block that takes. A block that was asked for and not answered holds nothing of ours to take.
fn shares(tx: &mut Tx<'_>, stretch: &Stretch) -> Result<(Vec<Rated>, Vec<(Block, Money)>), DbError> {
    let rated = stretch.prices.rate(&counted(tx, stretch)?);
    let zero = Money::zero(stretch.prices.currency);
    let mut rest = sum(rated.iter().map(|rated| rated.amount), zero)?;
    let mut shares = Vec::new();
    for block in blocks(tx, stretch)? {
        if matches!(block.state, BlockState::Asked | BlockState::Refused) {
            continue;
        }
        let part = Money::from_minor(rest.minor().min(block.amount.minor()), zero.currency());
        rest = rest.checked_sub(part).map_err(|e| DbError::Corrupt(e.to_string()))?;
        shares.push((block, part));
    }
    Ok((rated, shares))
}

/// What is next of a stretch that has ended.
pub(crate) enum Next {
    Charge(Charge),
    /// A charge was refused; it is tried again in its time.
    Later,
    /// It is closed, and its invoice issued.
    Closed,
}

/// The next charge of the stretch. What is not needed is free at once, also what was asked for and not answered.
pub(crate) fn next_charge(tx: &mut Tx<'_>, env: &Env, sub: &Subscription, stretch: &Stretch) -> Result<Next, DbError> {
    for block in blocks(tx, stretch)?.iter().filter(|block| block.state == BlockState::Asked) {
        set_block(tx, stretch, block.block, BlockState::Asked, BlockState::Free)?;
    }
    let (rated, shares) = shares(tx, stretch)?;
    if let Some((_, part)) = shares.iter().find(|(block, _)| block.block == CREDIT_BLOCK && block.state == BlockState::Reserved) {
        use_credit(tx, env, sub, stretch, *part)?;
        return next_charge(tx, env, sub, stretch);
    }
    let reserved = || shares.iter().filter(|(block, _)| block.state == BlockState::Reserved);
    for (block, _) in reserved().filter(|(_, part)| !part.is_positive()) {
        set_block(tx, stretch, block.block, BlockState::Reserved, BlockState::Free)?;
    }
    if let Some((block, part)) = reserved().find(|(_, part)| part.is_positive()) {
        match turn(tx, env, sub, stretch)? {
            Turn::Now => {
                let period = block_period(&stretch.name.to_string(), block.block);
                return charge::begin(tx, env, sub, Purpose::Usage, &period, *part).map(Next::Charge);
            }
            Turn::Later => return Ok(Next::Later),
            Turn::Never => {
                for (block, _) in reserved().filter(|(_, part)| part.is_positive()) {
                    set_block(tx, stretch, block.block, BlockState::Reserved, BlockState::Unpaid)?;
                }
            }
        }
    }
    finish(tx, env, sub, stretch, &rated, &shares)?;
    Ok(Next::Closed)
}

/// So much of the credit that was set aside was used; the rest of it can be used again.
fn use_credit(tx: &mut Tx<'_>, env: &Env, sub: &Subscription, stretch: &Stretch, part: Money) -> Result<(), DbError> {
    spend::settle(tx, env, &subject(stretch), part.minor())?;
    let to = if part.is_zero() { BlockState::Free } else { BlockState::Charged };
    set_block(tx, stretch, CREDIT_BLOCK, BlockState::Reserved, to)?;
    if part.is_positive() {
        let charge = charge::by_credit(tx, env, sub, &block_period(&stretch.name.to_string(), CREDIT_BLOCK), part)?;
        tx.execute("update bill_charge set invoice = $2 where id = $1", params![charge, pending(stretch)])?;
    }
    Ok(())
}

enum Turn {
    Now,
    Later,
    Never,
}

/// Whether the use is to be charged now. While the subscription stands it has one turn a day, with its renewal; after its end until the
/// grace is over, or the payer has said that nothing will ever come.
fn turn(tx: &mut Tx<'_>, env: &Env, sub: &Subscription, stretch: &Stretch) -> Result<Turn, DbError> {
    let now = env.now();
    Ok(match sub.state {
        State::Active => Turn::Now,
        State::PastDue { .. } | State::Suspended { .. } if now >= sub.next_at => Turn::Now,
        State::PastDue { .. } | State::Suspended { .. } => Turn::Later,
        State::Ended { .. } => match charge::use_refused(tx, &sub.resource, end_of(stretch))? {
            None => Turn::Now,
            Some((_, code)) if code.as_deref().is_some_and(|code| FOR_GOOD.contains(&code)) => Turn::Never,
            Some(_) if now >= end_of(stretch).plus_secs(GRACE_S) => Turn::Never,
            Some((last, _)) if now >= last.plus_secs(RETRY_S) => Turn::Now,
            Some(_) => Turn::Later,
        },
    })
}

/// Refusals after which nothing can be charged with the same token any more.
const FOR_GOOD: [&str; 5] = ["payment_token_unknown", "payment_token_revoked", "payment_token_spent", "line_released", "hold_expired"];

fn end_of(stretch: &Stretch) -> Timestamp {
    stretch.end.unwrap_or(stretch.start)
}

/// When a refused charge of use that has ended is looked at again.
pub(crate) fn next_try(tx: &mut Tx<'_>, charge: &Charge) -> Result<Option<Timestamp>, DbError> {
    let Some(stretch) = closing(tx, &charge.resource)? else { return Ok(None) };
    let last = charge::use_refused(tx, &charge.resource, end_of(&stretch))?;
    Ok(last.map(|(last, _)| last.plus_secs(RETRY_S).min(end_of(&stretch).plus_secs(GRACE_S)).max(last)))
}

/// A block's charge succeeded.
pub(crate) fn charged(tx: &mut Tx<'_>, charge: &Charge) -> Result<(), DbError> {
    let Some(stretch) = closing(tx, &charge.resource)? else { return Err(DbError::Corrupt(format!("`{}` is for no use", charge.id))) };
    let block = charge.period.rsplit_once('/').and_then(|(_, block)| block.parse().ok());
    let block: u32 = block.ok_or_else(|| DbError::Corrupt(format!("`{}` names no block", charge.period)))?;
    set_block(tx, &stretch, block, BlockState::Reserved, BlockState::Charged)?;
    let insert = "update bill_charge set invoice = $2 where id = $1";
    tx.execute(insert, params![charge.id, pending(&stretch)]).map(drop)
}

/// Marks the charges of a stretch until its invoice has a number.
fn pending(stretch: &Stretch) -> String {
    format!("usage/{}", stretch.number)
}

fn finish(
    tx: &mut Tx<'_>,
    env: &Env,
    sub: &Subscription,
    stretch: &Stretch,
    rated: &[Rated],
    shares: &[(Block, Money)],
) -> Result<(), DbError> {
    let zero = Money::zero(stretch.prices.currency);
    let cost = sum(rated.iter().map(|rated| rated.amount), zero)?;
    let captured = sum(shares.iter().filter(|(block, _)| block.state == BlockState::Charged).map(|(_, part)| *part), zero)?;
    if captured.is_positive() {
        let select = "select id from bill_charge where resource = $1 and invoice = $2 order by created_at, id";
        let rows = tx.query(select, params![sub.resource, pending(stretch)])?;
        let charges: Vec<ChargeId> = rows.iter().map(|row| row.parse("id")).collect::<Result<_, _>>()?;
        let mut lines: Vec<Line> = rated.iter().filter(|rated| rated.used > 0).map(|rated| line(stretch, rated)).collect();
        let free = captured.checked_sub(cost).map_err(|e| DbError::Corrupt(e.to_string()))?;
        if !free.is_zero() {
            lines.push(Line::amount("Use beyond what was set aside, not charged".to_owned(), free));
        }
        let by_credit = spend::lines(tx, &subject(stretch), zero.currency())?;
        let paid = by_credit.iter().map(|line| line.amount_minor).sum::<i64>();
        lines.extend(by_credit);
        let cash = Money::from_minor(captured.minor() + paid, zero.currency());
        invoice::issue(tx, env, &Draft::invoice(sub, lines, charges, cash))?;
    }
    tx.execute("update bill_usage set state = 'closed' where resource = $1 and number = $2", params![stretch.resource, stretch.number])?;
    drop_token(tx, &stretch.resource, stretch.number)
}

fn line(stretch: &Stretch, rated: &Rated) -> Line {
    let price = rated.price.over.map_or_else(
        || "included".to_owned(),
        |over| {
            let each = Money::from_minor(over.amount_minor, stretch.prices.currency);
            format!("{each} for each {} beyond {}", over.per, rated.price.included)
        },
    );
    Line {
        description: format!("{} ({})", rated.price.meter.words(), rated.price.meter.name()),
        start: Some(stretch.start),
        end: stretch.end,
        quantity: rated.used,
        unit_price: price,
        amount_minor: rated.amount.minor(),
        of_line: None,
    }
}
