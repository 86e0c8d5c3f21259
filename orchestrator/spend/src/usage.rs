//! Metered use: a provider sets money aside in blocks before the use accrues, and charges the blocks afterwards.
//!
//! A block is a line of the hold, under the period `2026-12/3`; a charge names that period and takes at most the block. It counts in the
//! books and ceilings of the moment in which it was set aside, so no cap is passed however late it is charged.
//!
//! INVARIANT (use-is-held): use is charged from blocks only. Where no ceiling has room there is no block, and the provider stops.

mod release;

use purser_authority::action::UsageHold;
use purser_authority::{Caller, Denied, Done, Event, Outcome, Permit};
use purser_db::{DbError, Tx, params};
use purser_values::{Env, Money, Month, Secret};
use serde_json::json;

use crate::ceiling::Note;
use crate::charge::{ChargeError, Refusal};
use crate::hold::{self, Hold, HoldState, LineState};
use crate::method::{self, MethodState};
use crate::quote::Recurs;
use crate::rate::{self, Kept};
use crate::renewal::keep_open;
use crate::room::{Ceiling, Full};
use crate::token::{self, PaymentToken, TokenState};
use crate::under::under;
use crate::{ceiling, freeze, ledger, limits, share};

pub use release::{UsageBlock, release, release_old};

/// One block that a provider asks for. The provider itself is the permit's caller.
#[derive(Debug)]
pub struct UsageAsk {
    pub token: Secret<String>,
    pub quote: String,
    pub line: String,
    /// The provider's billing period.
    pub period: Month,
    pub block: u32,
    pub amount: Money,
}

/// What the provider is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsageReceipt {
    Reserved,
    Refused(UsageRefusal),
}

/// Why a block is not set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsageRefusal {
    #[error(transparent)]
    Charge(Refusal),
    #[error("the block was set aside with another amount")]
    BlockDiffers,
    #[error("a period has at most {} blocks", limits::USAGE_BLOCKS)]
    TooManyBlocks,
    #[error("nobody has set a cap for this agent, so it may not spend")]
    NoCap,
    #[error("the books do not add up, and nothing is set aside until the operator has looked")]
    LedgerStopped,
    #[error("it counts at a stated rate that is not in force")]
    RateNotInForce,
    #[error("the grant's total has no room for it")]
    TotalReached,
}

impl UsageRefusal {
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Charge(refusal) => refusal.code(),
            Self::BlockDiffers => "usage_block_differs",
            Self::TooManyBlocks => "usage_blocks_too_many",
            Self::NoCap => "cap_missing",
            Self::LedgerStopped => "ledger_stopped",
            Self::RateNotInForce => "rate_not_in_force",
            Self::TotalReached => "total_reached",
        }
    }
}

enum Stop {
    Refused(UsageRefusal),
    Store(DbError),
}

impl From<DbError> for Stop {
    fn from(e: DbError) -> Self {
        Self::Store(e)
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(UsageRefusal::Charge(refusal))
    }
}

/// Sets the block aside within every ceiling, or refuses. A block that is there is answered again; a refusal is not remembered.
///
/// # Errors
/// When the caller is not a provider, or the store fails. A refusal is a value, because it is recorded.
pub fn hold(tx: &mut Tx<'_>, env: &Env, permit: &Permit<UsageHold>, ask: &UsageAsk) -> Result<Done<UsageReceipt>, ChargeError> {
    let env = &env.still();
    let Caller::Provider { provider } = permit.caller() else { return Err(Denied::NotFound.into()) };
    let token = token::by_plain(tx, &ask.token)?.filter(|token| token.provider == *provider);
    let found = match &token {
        Some(token) => hold::find(tx, &token.hold)?,
        None => None,
    };
    let period = format!("{}/{}", ask.period, ask.block);
    // What the first ceilings gave must not stay when a later one refuses.
    let outcome = tx.savepoint(|tx| reserve(tx, env, token.as_ref(), found.as_ref(), ask, &period));
    let refusal = match outcome {
        Ok(Block::There) => return Ok(Done::quiet(UsageReceipt::Reserved)),
        Ok(Block::New) => None,
        Err(Stop::Refused(refusal)) => Some(refusal),
        Err(Stop::Store(e)) => return Err(e.into()),
    };
    let outcome = refusal.map_or(Outcome::Done, |refusal| Outcome::Refused(refusal.code().to_owned()));
    let subject = found.as_ref().map_or(ask.quote.as_str(), |hold| hold.id.as_str());
    let mut event = Event::new(permit.verb(), outcome, permit.caller(), subject)
        .with(json!({"amount": ask.amount, "quote": ask.quote, "line": ask.line, "period": period}));
    if let (Some(hold), Some(token)) = (&found, &token) {
        event = event.in_organisation(&hold.spender.organisation).related([
            hold.resource.as_str(),
            hold.spender.agent.as_str(),
            token.prefix.as_str(),
        ]);
        event = under(tx, hold, event)?;
    }
    Ok(Done::with_event(refusal.map_or(UsageReceipt::Reserved, UsageReceipt::Refused), event))
}

enum Block {
    There,
    New,
}

fn reserve(
    tx: &mut Tx<'_>,
    env: &Env,
    token: Option<&PaymentToken>,
    hold: Option<&Hold>,
    ask: &UsageAsk,
    period: &str,
) -> Result<Block, Stop> {
    let (Some(token), Some(hold)) = (token, hold) else { return Err(Refusal::TokenUnknown.into()) };
    may_pay(tx, env, token, hold, ask)?;
    let lines = hold::lines(tx, hold)?;
    let of_quote = lines.iter().find(|line| line.line == ask.line && line.period.is_empty() && line.recurs == Recurs::Metered);
    let of_quote = of_quote.ok_or(Refusal::LineUnknown)?;
    if let Some(there) = lines.iter().find(|line| line.line == ask.line && line.period == period) {
        return match there.state {
            LineState::Released => Err(Refusal::LineReleased.into()),
            _ if there.amount != ask.amount => Err(Stop::Refused(UsageRefusal::BlockDiffers)),
            LineState::Open | LineState::Charging | LineState::Charged => Ok(Block::There),
        };
    }
    if hold.state == HoldState::Closing {
        return Err(Refusal::LineReleased.into());
    }
    if ask.amount.currency() != hold.amount.currency() {
        return Err(Refusal::Currency.into());
    }
    if !ask.amount.is_positive() {
        return Err(Refusal::Amount.into());
    }
    if ask.block == 0 || ask.block > limits::USAGE_BLOCKS {
        return Err(Stop::Refused(UsageRefusal::TooManyBlocks));
    }
    let shares = share::of_hold(tx, &hold.id)?;
    let taken = share::reserve(tx, env, &hold.need(&shares, env.now()), ask.amount, hold.id.as_str())?;
    let taking = taken.map_err(|full| Stop::Refused(refusal(&full)))?;
    let insert = "insert into spend_hold_line (hold, line, period, month, description, amount, recurs, state)
                  values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (hold, line, period) do nothing";
    let (recurs, state) = (Recurs::Metered.name(), LineState::Open.name());
    let values = params![hold.id, ask.line, period, env.now().month(), of_quote.description, ask.amount.minor(), recurs, state];
    ledger::once(tx.execute(insert, values)?)?;
    ceiling::notes(tx, taking.windows.iter().map(|window| Note { hold: &hold.id, line: &ask.line, period, window }))?;
    rate::keep(tx, taking.rates.iter().map(|rate| Kept { hold: &hold.id, line: &ask.line, period, amount: ask.amount, rate }))?;
    keep_open(tx, &hold.id, env.now().plus_secs(limits::USAGE_LIFE_S))?;
    Ok(Block::New)
}

/// What a charge of the token would be asked, in the same order.
fn may_pay(tx: &mut Tx<'_>, env: &Env, token: &PaymentToken, hold: &Hold, ask: &UsageAsk) -> Result<(), Stop> {
    match token.state {
        TokenState::Active if token.expires_at <= env.now() => return Err(Refusal::TokenExpired.into()),
        TokenState::Active => {}
        TokenState::Spent => return Err(Refusal::TokenSpent.into()),
        TokenState::Revoked => return Err(Refusal::TokenRevoked.into()),
    }
    if freeze::is_hold_frozen(tx, &hold.id)? {
        return Err(Refusal::AgentFrozen.into());
    }
    if hold.quote_id != ask.quote {
        return Err(Refusal::QuoteMismatch.into());
    }
    let method = method::find(tx, &hold.payment_method)?.ok_or(DbError::NoRow)?;
    if method.state == MethodState::Removed {
        return Err(Refusal::PaymentMethodRemoved.into());
    }
    if method.stopped.contains(&hold.provider) {
        return Err(Refusal::PaymentDisputed.into());
    }
    Ok(())
}

const fn refusal(full: &Full) -> UsageRefusal {
    match full {
        Full::Stopped => UsageRefusal::LedgerStopped,
        Full::NoCap => UsageRefusal::NoCap,
        Full::Reached(Ceiling::Life(_), _) => UsageRefusal::TotalReached,
        Full::Rate(_) => UsageRefusal::RateNotInForce,
        Full::Currency(Ceiling::Window(_)) | Full::Reached(Ceiling::Window(_), _) | Full::Purchase(_) | Full::PurchaseCurrency(_) => {
            UsageRefusal::Charge(Refusal::CeilingReached)
        }
        Full::Currency(_) => UsageRefusal::Charge(Refusal::Currency),
        Full::Reached(..) => UsageRefusal::Charge(Refusal::CapReached),
    }
}
