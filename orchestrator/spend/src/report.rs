//! What was paid in a span of time, added up by one thing: project, agent, provider, category, resource or day.
//!
//! A charge counts when it was begun and a refund when it was given, in their own currency, as in statements. Each counts under one name
//! only, so the rows of a currency add up to what was paid: a purchase of several categories counts under all their names joined.

use std::str::FromStr;

use purser_authority::Permit;
use purser_authority::action::SpendRead;
use purser_db::{DbError, Row, Tx, params};
use purser_values::id::{AgentId, OrganisationId};
use purser_values::{Currency, Money, Timestamp};
use serde::{Deserialize, Serialize};

use crate::calendar::{self, Zone};
use crate::spender;
use crate::statement::StatementError;

/// What to add up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    Project,
    Agent,
    Provider,
    Category,
    Resource,
    /// Calendar days of the zone.
    Day,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReportRow {
    /// A name, an id, or a day such as `2026-11-23`.
    pub key: String,
    pub charges: i64,
    pub charged: Money,
    pub refunded: Money,
    /// What was paid, less what came back in that time: below zero when more came back.
    pub paid: Money,
}

impl By {
    pub const ALL: [Self; 6] = [Self::Project, Self::Agent, Self::Provider, Self::Category, Self::Resource, Self::Day];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::Agent => "agent",
            Self::Provider => "provider",
            Self::Category => "category",
            Self::Resource => "resource",
            Self::Day => "day",
        }
    }

    const fn sql(self) -> &'static str {
        macro_rules! sums {
            ($key:literal) => {
                sums!($key, $key)
            };
            ($of_charge:literal, $of_refund:literal) => {
                concat!(
                    "select key, currency, cast(sum(number) as bigint) as charges, cast(sum(charged) as bigint) as charged,
                         cast(sum(refunded) as bigint) as refunded from (
                     select ",
                    $of_charge,
                    " as key, c.currency as currency, 1 as number, c.amount as charged, 0 as refunded
                     from spend_charge c join spend_hold h on h.id = c.hold
                     where c.organisation = $1 and c.state = 'succeeded' and c.begun_at >= $2 and c.begun_at < $3
                         and (h.agent = $4 or $4 = '')
                     union all select ",
                    $of_refund,
                    ", r.currency, 0, 0, r.amount
                     from spend_refund r join spend_charge c on c.id = r.charge join spend_hold h on h.id = c.hold
                     where r.organisation = $1 and r.state = 'succeeded' and r.begun_at >= $2 and r.begun_at < $3
                         and (h.agent = $4 or $4 = '')) as moved
                     group by key, currency order by key, currency"
                )
            };
        }
        match self {
            Self::Project => sums!("h.project"),
            Self::Agent => sums!("h.agent"),
            Self::Provider => sums!("h.provider"),
            Self::Category => sums!("h.categories"),
            Self::Resource => sums!("h.resource"),
            // Quarters of an hour: no zone's day begins within one.
            Self::Day => sums!("c.begun_at / 900000000", "r.begun_at / 900000000"),
        }
    }
}

impl FromStr for By {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|by| by.name() == s).ok_or_else(|| format!("`{s}` is nothing to add up by"))
    }
}

/// The organisation's sums from `since` until before `until`; an agent's own only. Days are those of the zone. The work grows with
/// the charges of that time.
///
/// # Errors
/// When the organisation is not the caller's, or the store fails.
pub fn report(
    tx: &mut Tx<'_>,
    permit: &Permit<SpendRead>,
    organisation: &OrganisationId,
    by: By,
    (since, until): (Timestamp, Timestamp),
    zone: &Zone,
) -> Result<Vec<ReportRow>, StatementError> {
    spender::same_organisation(permit.caller(), organisation)?;
    let only = permit.caller().agent().map_or("", AgentId::as_str);
    let mut rows: Vec<ReportRow> = Vec::new();
    for row in tx.query(by.sql(), params![organisation, since, until, only])? {
        let row = read(&row, by, zone)?;
        // Only quarters of an hour fall together.
        let same = |known: &&mut ReportRow| known.key == row.key && known.paid.currency() == row.paid.currency();
        match rows.iter_mut().rev().filter(|_| by == By::Day).find(same) {
            Some(known) => known.add(&row)?,
            None => rows.push(row),
        }
    }
    Ok(rows)
}

impl ReportRow {
    /// Adds another row of the same currency.
    ///
    /// # Errors
    /// When a sum is out of range.
    pub fn add(&mut self, other: &Self) -> Result<(), DbError> {
        let add = |a: Money, b: Money| a.checked_add(b).map_err(|e| DbError::Other(e.to_string()));
        self.charges = self.charges.saturating_add(other.charges);
        self.charged = add(self.charged, other.charged)?;
        self.refunded = add(self.refunded, other.refunded)?;
        self.paid = add(self.paid, other.paid)?;
        Ok(())
    }
}

fn read(row: &Row, by: By, zone: &Zone) -> Result<ReportRow, DbError> {
    let key = match by {
        By::Day => calendar::day_of(Timestamp::from_secs(row.get::<i64>("key")?.saturating_mul(900)), zone)?,
        By::Category => joined(&row.json::<Vec<String>>("key")?),
        By::Project | By::Agent | By::Provider | By::Resource => row.get("key")?,
    };
    let currency: Currency = row.parse("currency")?;
    let (charged, refunded): (i64, i64) = (row.get("charged")?, row.get("refunded")?);
    let money = |minor| Money::from_minor(minor, currency);
    let paid = charged.checked_sub(refunded).ok_or_else(|| DbError::Other("a sum is out of range".to_owned()))?;
    Ok(ReportRow { key, charges: row.get("charges")?, charged: money(charged), refunded: money(refunded), paid: money(paid) })
}

fn joined(categories: &[String]) -> String {
    if categories.is_empty() { "none".to_owned() } else { categories.join("+") }
}
