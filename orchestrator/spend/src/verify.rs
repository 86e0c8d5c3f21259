//! Recomputes the invariants from the rows: for tests, for operators, after a crash, and once an hour ([`crate::reconcile`]).

use std::collections::BTreeMap;

use purser_db::{DbError, Tx, params};
use purser_values::Money;
use purser_values::id::HoldId;
use serde::Serialize;

/// One way in which the books do not add up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Difference {
    /// The currency in which nothing may be set aside until somebody has looked; empty for all, `-` for none.
    pub currency: String,
    /// The invariant, and the account, book or hold that breaks it.
    pub place: String,
    /// By how much, in minor units; nought where it is not an amount.
    pub off_minor: i64,
    /// The same for people.
    pub what: String,
}

/// Stands in the place of a currency where nothing is stopped: a budget stops nobody, so a wrong one is told and no more.
const NOTHING: &str = "-";

impl Difference {
    /// One that stops nothing.
    pub(crate) fn soft(place: String, off_minor: i64, what: String) -> Self {
        Self::new(NOTHING, place, off_minor, what)
    }

    fn new(currency: &str, place: String, off_minor: i64, what: String) -> Self {
        Self { currency: currency.to_owned(), place, off_minor, what }
    }
}

use crate::{budget, rate};

/// Every way in which the books do not add up; empty when all is well.
///
/// # Errors
/// When the store fails.
pub fn check(tx: &mut Tx<'_>) -> Result<Vec<Difference>, DbError> {
    let mut found = Vec::new();
    sum_zero(tx, &mut found)?;
    balances_follow_from_transfers(tx, &mut found)?;
    cap(tx, &mut found)?;
    held_is_held(tx, &mut found)?;
    captured_is_charged(tx, &mut found)?;
    refund_within_charge(tx, &mut found)?;
    kept_by_rate(tx, &mut found)?;
    token_is_hold(tx, &mut found)?;
    budget::check(tx, &mut found)?;
    Ok(found)
}

fn sum_zero(tx: &mut Tx<'_>, found: &mut Vec<Difference>) -> Result<(), DbError> {
    let sql = "select currency, cast(sum(balance) as bigint) as total from ledger_account group by currency";
    for row in tx.query(sql, params![])? {
        let (currency, total): (String, i64) = (row.get("currency")?, row.get("total")?);
        if total != 0 {
            let what = format!("the balances in {currency} add up to {total}");
            found.push(Difference::new(&currency, "sum-zero".to_owned(), total, what));
        }
    }
    Ok(())
}

fn balances_follow_from_transfers(tx: &mut Tx<'_>, found: &mut Vec<Difference>) -> Result<(), DbError> {
    let sql =
        "select a.id, a.currency, a.balance, cast(coalesce(i.amount, 0) as bigint) as got, cast(coalesce(o.amount, 0) as bigint) as gave
               from ledger_account a
               left join (select target, sum(amount) as amount from ledger_transfer group by target) i on i.target = a.id
               left join (select source, sum(amount) as amount from ledger_transfer group by source) o on o.source = a.id";
    for row in tx.query(sql, params![])? {
        let (balance, got, gave): (i64, i64, i64) = (row.get("balance")?, row.get("got")?, row.get("gave")?);
        if balance != got - gave {
            let (id, said): (String, i64) = (row.get("id")?, got - gave);
            let what = format!("`{id}` holds {balance}, its movements say {said}");
            found.push(Difference::new(&row.get::<String>("currency")?, format!("balance {id}"), balance - said, what));
        }
    }
    Ok(())
}

/// room + held + captured is the ceiling of every book, total and ceiling; and room is negative only where the cap was lowered below what was used.
fn cap(tx: &mut Tx<'_>, found: &mut Vec<Difference>) -> Result<(), DbError> {
    for Book { name, currency, room, held, captured, cap } in books(tx)? {
        if room + held + captured != cap || held < 0 || captured < 0 {
            let what = format!("`{name}` has room {room}, held {held}, captured {captured} under a cap of {cap}");
            found.push(Difference::new(&currency, format!("cap {name}"), room + held + captured - cap, what));
        }
    }
    Ok(())
}

struct Book {
    name: String,
    currency: String,
    room: i64,
    held: i64,
    captured: i64,
    cap: i64,
}

fn books(tx: &mut Tx<'_>) -> Result<Vec<Book>, DbError> {
    let sql = "select k.agent, k.provider, k.month, k.cap, k.currency,
                   (select balance from ledger_account where id = 'cap/' || k.agent || '/' || k.provider || '/' || k.month || '/room') as room,
                   (select balance from ledger_account where id = 'cap/' || k.agent || '/' || k.provider || '/' || k.month || '/held') as held,
                   (select balance from ledger_account where id = 'cap/' || k.agent || '/' || k.provider || '/' || k.month || '/captured') as captured
               from spend_book k
               union all select 'total', t.grant_id, '', t.amount, t.currency,
                   (select balance from ledger_account where id = 'total/' || t.grant_id || '/room') as room,
                   (select balance from ledger_account where id = 'total/' || t.grant_id || '/held') as held,
                   (select balance from ledger_account where id = 'total/' || t.grant_id || '/captured') as captured
               from spend_total t
               union all select 'ceiling', w.id, '', w.amount, w.currency,
                   (select balance from ledger_account where id = 'ceiling/' || w.id || '/room') as room,
                   (select balance from ledger_account where id = 'ceiling/' || w.id || '/held') as held,
                   (select balance from ledger_account where id = 'ceiling/' || w.id || '/captured') as captured
               from spend_ceiling_window w";
    let rows = tx.query(sql, params![])?;
    rows.iter()
        .map(|row| {
            let parts: [String; 3] = [row.get("agent")?, row.get("provider")?, row.get("month")?];
            let name = parts.join("/").trim_end_matches('/').to_owned();
            let (room, held, captured) = (row.get("room")?, row.get("held")?, row.get("captured")?);
            Ok(Book { name, currency: row.get("currency")?, room, held, captured, cap: row.get("cap")? })
        })
        .collect()
}

/// What a book holds is the sum of the lines that are open or being charged; what counts by a rate, of what that rate says.
fn held_is_held(tx: &mut Tx<'_>, found: &mut Vec<Difference>) -> Result<(), DbError> {
    let sql = "select s.agent || '/' || h.provider || '/' || l.month as book, cast(sum(coalesce(k.held, l.amount)) as bigint) as total
               from spend_hold_line l join spend_hold h on h.id = l.hold
               join (select hold, agent from spend_hold_share union all select id, agent from spend_hold where alone = 1) s on s.hold = h.id
               left join spend_book b on b.agent = s.agent and b.provider = h.provider and b.month = l.month
               left join spend_line_rate k on k.hold = l.hold and k.line = l.line and k.period = l.period and k.target_currency = b.currency
               where l.state in ('open', 'charging') group by s.agent, h.provider, l.month
               union all select 'total/' || s.grant_id as book, cast(sum(coalesce(k.held, l.amount)) as bigint) as total
               from spend_hold_line l join spend_hold_share s on s.hold = l.hold
               left join spend_total b on b.grant_id = s.grant_id
               left join spend_line_rate k on k.hold = l.hold and k.line = l.line and k.period = l.period and k.target_currency = b.currency
               where l.state in ('open', 'charging') and s.total is not null group by s.grant_id
               union all select 'ceiling/' || w.ceiling as book, cast(sum(coalesce(k.held, l.amount)) as bigint) as total
               from spend_hold_line l join spend_line_window w on w.hold = l.hold and w.line = l.line and w.period = l.period
               left join spend_ceiling_window b on b.id = w.ceiling
               left join spend_line_rate k on k.hold = l.hold and k.line = l.line and k.period = l.period and k.target_currency = b.currency
               where l.state in ('open', 'charging') group by w.ceiling";
    compare(tx, sql, found, "held", |book| book.held)
}

/// What a book has captured is the sum of its charges that succeeded, less what came back of them.
fn captured_is_charged(tx: &mut Tx<'_>, found: &mut Vec<Difference>) -> Result<(), DbError> {
    let sql = "select s.agent || '/' || h.provider || '/' || l.month as book,
                   cast(sum(coalesce(k.captured, c.amount - coalesce(r.given, 0))) as bigint) as total
               from spend_charge c
               left join (select charge, sum(amount) as given from spend_refund where state = 'succeeded' group by charge) r
                   on r.charge = c.id join spend_hold h on h.id = c.hold
               join (select hold, agent from spend_hold_share union all select id, agent from spend_hold where alone = 1) s on s.hold = h.id
               join spend_hold_line l on l.hold = c.hold and l.charge = c.id
               left join spend_book b on b.agent = s.agent and b.provider = h.provider and b.month = l.month
               left join spend_line_rate k on k.hold = l.hold and k.line = l.line and k.period = l.period and k.target_currency = b.currency
               where c.state = 'succeeded' group by s.agent, h.provider, l.month
               union all select 'total/' || s.grant_id as book,
                   cast(sum(coalesce(k.captured, c.amount - coalesce(r.given, 0))) as bigint) as total
               from spend_charge c
               left join (select charge, sum(amount) as given from spend_refund where state = 'succeeded' group by charge) r
                   on r.charge = c.id join spend_hold_share s on s.hold = c.hold
               left join spend_hold_line l on l.hold = c.hold and l.charge = c.id
               left join spend_total b on b.grant_id = s.grant_id
               left join spend_line_rate k on k.hold = l.hold and k.line = l.line and k.period = l.period and k.target_currency = b.currency
               where c.state = 'succeeded' and s.total is not null group by s.grant_id
               union all select 'ceiling/' || w.ceiling as book,
                   cast(sum(coalesce(k.captured, c.amount - coalesce(r.given, 0))) as bigint) as total
               from spend_charge c
               left join (select charge, sum(amount) as given from spend_refund where state = 'succeeded' group by charge) r
                   on r.charge = c.id join spend_hold_line l on l.hold = c.hold and l.charge = c.id
               join spend_line_window w on w.hold = l.hold and w.line = l.line and w.period = l.period
               left join spend_ceiling_window b on b.id = w.ceiling
               left join spend_line_rate k on k.hold = l.hold and k.line = l.line and k.period = l.period and k.target_currency = b.currency
               where c.state = 'succeeded' group by w.ceiling";
    compare(tx, sql, found, "captured", |book| book.captured)
}

/// What counts by a rate is what the kept rate makes of the line, and of what its charge took and did not give back.
fn kept_by_rate(tx: &mut Tx<'_>, found: &mut Vec<Difference>) -> Result<(), DbError> {
    let sql = "select k.hold, k.line, k.period, l.amount, k.target_currency,
                   cast(coalesce((select c.amount from spend_charge c where c.id = l.charge and c.state = 'succeeded'), 0)
                      - coalesce((select sum(r.amount) from spend_refund r where r.charge = l.charge and r.state = 'succeeded'), 0) as bigint) as net
               from spend_line_rate k join spend_hold_line l on l.hold = k.hold and l.line = k.line and l.period = k.period";
    for row in tx.query(sql, params![])? {
        let (hold, line, period): (HoldId, String, String) = (row.parse("hold")?, row.get("line")?, row.get("period")?);
        let to: String = row.get("target_currency")?;
        for kept in rate::of_line(tx, &hold, &line, &period)?.iter().filter(|kept| kept.rate.to.code() == to) {
            let of = |minor: i64| kept.take(Money::from_minor(minor, kept.rate.from));
            let (held, net) = (of(row.get("amount")?)?, row.get::<i64>("net")?);
            let captured = of(net)?;
            if kept.held != held || kept.captured != captured || kept.paid.minor() != net {
                let what =
                    format!("`{hold}` counts {} and {} by its rate, and is kept with {} and {}", held, captured, kept.held, kept.captured);
                let off = kept.captured.minor() - captured.minor();
                found.push(Difference::new(&to, format!("rate {hold}/{line}/{period}/{to}"), off, what));
            }
        }
    }
    Ok(())
}

/// Nothing comes back that was not taken, or twice.
fn refund_within_charge(tx: &mut Tx<'_>, found: &mut Vec<Difference>) -> Result<(), DbError> {
    let sql = "select c.id, c.currency, r.given - c.amount as over from spend_charge c
               join (select charge, sum(amount) as given from spend_refund where state in ('begun', 'succeeded') group by charge) r
                   on r.charge = c.id
               where c.state <> 'succeeded' or r.given > c.amount";
    for row in tx.query(sql, params![])? {
        let id: String = row.get("id")?;
        let what = format!("more was given back of `{id}` than it took");
        found.push(Difference::new(&row.get::<String>("currency")?, format!("refund-within-charge {id}"), row.get("over")?, what));
    }
    Ok(())
}

fn compare(
    tx: &mut Tx<'_>,
    sql: &'static str,
    found: &mut Vec<Difference>,
    what: &str,
    pick: impl Fn(&Book) -> i64,
) -> Result<(), DbError> {
    let mut sums = BTreeMap::new();
    for row in tx.query(sql, params![])? {
        sums.insert(row.get::<String>("book")?, row.get::<i64>("total")?);
    }
    for book in books(tx)? {
        let sum = sums.remove(&book.name).unwrap_or(0);
        if pick(&book) != sum {
            let said = format!("`{}` has {what} {}, its lines say {sum}", book.name, pick(&book));
            found.push(Difference::new(&book.currency, format!("{what} {}", book.name), pick(&book) - sum, said));
        }
    }
    let lost = |(book, sum): (String, i64)| Difference::new("", format!("{what} {book}"), -sum, format!("`{book}` has lines and no book"));
    found.extend(sums.into_iter().map(lost));
    Ok(())
}

/// A line that may be charged belongs to a hold that is open or closing.
fn token_is_hold(tx: &mut Tx<'_>, found: &mut Vec<Difference>) -> Result<(), DbError> {
    let sql = "select h.id, h.currency from spend_hold h join spend_hold_line l on l.hold = h.id
                   where l.state = 'open' and h.state not in ('open', 'closing')
               union select h.id, h.currency from spend_hold h join payment_token t on t.hold = h.id where t.state = 'active' and h.state = 'released'";
    for row in tx.query(sql, params![])? {
        let id: String = row.get("id")?;
        let what = format!("`{id}` has ended and could still be charged");
        found.push(Difference::new(&row.get::<String>("currency")?, format!("token-is-hold {id}"), 0, what));
    }
    Ok(())
}
