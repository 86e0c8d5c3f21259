//! A processor keeps its own count of what it gave back, and never gives more than it took.

use purser_db::{DbError, Tx, params};

use super::{CAPTURED, SandboxCard};
use crate::rail::{RefundOrder, RefundOutcome};

pub fn give_back(tx: &mut Tx<'_>, order: &RefundOrder) -> Result<RefundOutcome, DbError> {
    let select = "select outcome, reference from rail_sandbox_refund where request_key = $1";
    if let Some(row) = tx.query_opt(select, params![order.refund])? {
        return Ok(refund_of(row.get("outcome")?, row.get("reference")?));
    }
    let select = "select c.amount, k.card, cast(coalesce((select sum(r.amount) from rail_sandbox_refund r
                      where r.charge = c.request_key and r.outcome = 'refunded'), 0) as bigint) as given
                  from rail_sandbox_charge c left join rail_sandbox_card k on k.reference = c.card
                  where c.request_key = $1 and c.reference = $2 and c.currency = $3 and c.outcome = $4";
    let (minor, currency) = (order.amount.minor(), order.amount.currency());
    let refusal = match tx.query_opt(select, params![order.charge, order.capture, currency, CAPTURED])? {
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
