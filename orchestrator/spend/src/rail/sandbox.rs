//! The embedded rail of the sandbox: well-known cards, no money. Never part of production.
//!
//! It stands for a processor: it has tables of its own, answers an order once and for good, and knows nothing of holds.

use purser_db::{Db, DbError, Tx, params};
use purser_values::Env;

use super::{Rail, RailError, RailFuture, RailOrder, RailOutcome, RefundOrder, RefundOutcome};
use crate::method::RailMethod;

const NAME: &str = "sandbox";

/// The cards that there are, by what they do. Their numbers are the ones that processors publish for tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SandboxCard {
    Pays,
    /// Pays, and takes nothing back.
    KeepsRefunds,
    Declines,
    LacksFunds,
    WantsAuthentication,
    Expired,
}

impl SandboxCard {
    pub const ALL: [Self; 6] = [Self::Pays, Self::KeepsRefunds, Self::Declines, Self::LacksFunds, Self::WantsAuthentication, Self::Expired];

    /// The last four digits, which also name the card on forms and in the table.
    #[must_use]
    pub const fn last4(self) -> &'static str {
        match self {
            Self::Pays => "4242",
            Self::KeepsRefunds => "5126",
            Self::Declines => "0002",
            Self::LacksFunds => "9995",
            Self::WantsAuthentication => "3155",
            Self::Expired => "0069",
        }
    }

    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::Pays => "pays every charge",
            Self::KeepsRefunds => "pays every charge, refuses every refund",
            Self::Declines => "declines every charge",
            Self::LacksFunds => "declines for lack of funds",
            Self::WantsAuthentication => "pays after you confirm once with your bank",
            Self::Expired => "declines as expired",
        }
    }

    #[must_use]
    pub fn from_last4(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|card| card.last4() == text)
    }

    /// Why the card refuses a charge, if it does.
    const fn refusal(self, authenticated: bool) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Pays | Self::KeepsRefunds => None,
            Self::Declines => Some(("card_declined", "the card was declined")),
            Self::LacksFunds => Some(("insufficient_funds", "the card has not enough funds")),
            Self::Expired => Some(("expired_card", "the card has expired")),
            Self::WantsAuthentication if authenticated => None,
            Self::WantsAuthentication => Some(("authentication_required", "the bank wants the person to confirm")),
        }
    }
}

/// Sets a card up at the rail, which the caller then adds as a payment method in the same write.
///
/// # Errors
/// When the store fails.
pub fn set_up(tx: &mut Tx<'_>, env: &Env, card: SandboxCard) -> Result<RailMethod, DbError> {
    let random: String = env.bytes::<12>().iter().map(|b| format!("{b:02x}")).collect();
    let reference = format!("sbx_card_{random}");
    let insert = "insert into rail_sandbox_card (reference, card, authenticated) values ($1, $2, 0)";
    tx.execute(insert, params![reference, card.last4()])?;
    Ok(RailMethod {
        rail: NAME.to_owned(),
        reference,
        brand: "visa".to_owned(),
        last4: card.last4().to_owned(),
        needs_authentication: card == SandboxCard::WantsAuthentication,
    })
}

/// Stands for the bank's page, where the person confirms.
///
/// # Errors
/// When the store fails.
pub fn authenticate(tx: &mut Tx<'_>, reference: &str) -> Result<(), DbError> {
    tx.execute("update rail_sandbox_card set authenticated = 1 where reference = $1", params![reference]).map(drop)
}

/// The rail as a [`Rail`], on tables in the orchestrator's own database.
#[derive(Clone, Debug)]
pub struct SandboxRail {
    db: Db,
}

impl SandboxRail {
    #[must_use]
    pub const fn new(db: Db) -> Self {
        Self { db }
    }
}

impl Rail for SandboxRail {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capture<'a>(&'a self, order: &'a RailOrder) -> RailFuture<'a> {
        let order = order.clone();
        Box::pin(async move { self.db.write(move |tx| answer(tx, &order)).await.map_err(|e: DbError| RailError(e.to_string())) })
    }

    fn refund<'a>(&'a self, order: &'a RefundOrder) -> RailFuture<'a, RefundOutcome> {
        let order = order.clone();
        Box::pin(async move { self.db.write(move |tx| give_back(tx, &order)).await.map_err(|e: DbError| RailError(e.to_string())) })
    }
}

/// A processor keeps its own count of what it gave back, and never gives more than it took.
fn give_back(tx: &mut Tx<'_>, order: &RefundOrder) -> Result<RefundOutcome, DbError> {
    let select = "select outcome, reference from rail_sandbox_refund where request_key = $1";
    if let Some(row) = tx.query_opt(select, params![order.refund])? {
        return Ok(refund_of(row.get("outcome")?, row.get("reference")?));
    }
    let select = "select c.amount, k.card, cast(coalesce((select sum(r.amount) from rail_sandbox_refund r
                      where r.charge = c.request_key and r.outcome = 'refunded'), 0) as bigint) as given
                  from rail_sandbox_charge c left join rail_sandbox_card k on k.reference = c.card
                  where c.request_key = $1 and c.reference = $2 and c.currency = $3 and c.outcome = 'captured'";
    let (minor, currency) = (order.amount.minor(), order.amount.currency());
    let refusal = match tx.query_opt(select, params![order.charge, order.capture, currency])? {
        None => Some(("charge_unknown", "the rail does not know this charge")),
        Some(row) if row.get::<Option<String>>("card")?.as_deref() == Some(SandboxCard::KeepsRefunds.last4()) => {
            Some(("refund_declined", "the card takes nothing back"))
        }
        Some(row) if row.get::<i64>("given")?.saturating_add(minor) > row.get::<i64>("amount")? => {
            Some(("refund_over_charge", "it is more than was taken"))
        }
        Some(_) => None,
    };
    let (outcome, reference) = match refusal {
        None => ("refunded", format!("sbx_{}", order.refund)),
        Some((code, message)) => (code, message.to_owned()),
    };
    let insert =
        "insert into rail_sandbox_refund (request_key, charge, amount, currency, outcome, reference) values ($1, $2, $3, $4, $5, $6)";
    tx.execute(insert, params![order.refund, order.charge, minor, currency, outcome, reference])?;
    Ok(refund_of(outcome.to_owned(), reference))
}

fn refund_of(outcome: String, reference: String) -> RefundOutcome {
    if outcome == "refunded" {
        RefundOutcome::Refunded { reference }
    } else {
        RefundOutcome::Declined { code: outcome, message: reference }
    }
}

fn answer(tx: &mut Tx<'_>, order: &RailOrder) -> Result<RailOutcome, DbError> {
    if let Some(first) = first_answer(tx, order)? {
        return Ok(first);
    }
    let select = "select card, authenticated from rail_sandbox_card where reference = $1";
    let row = tx.query_opt(select, params![order.method])?;
    let card = row.map(|row| Ok::<_, DbError>((row.get::<String>("card")?, row.get::<bool>("authenticated")?))).transpose()?;
    let refusal = match card.as_ref().and_then(|(last4, done)| Some((SandboxCard::from_last4(last4)?, *done))) {
        Some((card, authenticated)) => card.refusal(authenticated),
        None => Some(("card_unknown", "the rail does not know this card")),
    };
    let (outcome, reference) = match refusal {
        None => ("captured", format!("sbx_{}", order.charge)),
        Some((code, message)) => (code, message.to_owned()),
    };
    let insert =
        "insert into rail_sandbox_charge (request_key, card, amount, currency, outcome, reference) values ($1, $2, $3, $4, $5, $6)";
    let (minor, currency) = (order.amount.minor(), order.amount.currency());
    tx.execute(insert, params![order.charge, order.method, minor, currency, outcome, reference])?;
    Ok(outcome_of(outcome.to_owned(), reference))
}

fn first_answer(tx: &mut Tx<'_>, order: &RailOrder) -> Result<Option<RailOutcome>, DbError> {
    let select = "select outcome, reference from rail_sandbox_charge where request_key = $1";
    let row = tx.query_opt(select, params![order.charge])?;
    row.map(|row| Ok(outcome_of(row.get("outcome")?, row.get("reference")?))).transpose()
}

fn outcome_of(outcome: String, reference: String) -> RailOutcome {
    if outcome == "captured" { RailOutcome::Captured { reference } } else { RailOutcome::Declined { code: outcome, message: reference } }
}
