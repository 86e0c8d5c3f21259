//! What was paid in a span of time, added up by one thing: project, agent, provider, category, resource or day.
//!
//! A charge counts when it was begun, with all that has come back of it since, in its own currency. It counts under one name only,
//! so the rows of a currency add up to what was paid: a purchase of several categories counts under all their names joined.

use std::str::FromStr;

use purser_authority::Permit;
use purser_authority::action::SpendRead;
use purser_db::{DbError, Row, Tx, params};
use purser_values::id::{AgentId, OrganisationId};
use purser_values::{Currency, Money, Timestamp};
use serde::{Deserialize, Serialize};

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
    /// Calendar days of UTC.
    Day,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReportRow {
    /// A name, an id, or a day such as `2026-11-23`.
    pub key: String,
    pub charges: i64,
    pub charged: Money,
    pub refunded: Money,
    /// What stays paid.
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
                concat!(
                    "select ",
                    $key,
                    " as key, c.currency as currency, count(*) as charges, cast(sum(c.amount) as bigint) as charged,
                         cast(coalesce(sum((select sum(r.amount) from spend_refund r where r.charge = c.id and r.state = 'succeeded')), 0)
                             as bigint) as refunded
                     from spend_charge c join spend_hold h on h.id = c.hold
                     where c.organisation = $1 and c.state = 'succeeded' and c.begun_at >= $2 and c.begun_at < $3
                         and (h.agent = $4 or $4 = '')
                     group by ",
                    $key,
                    ", c.currency order by ",
                    $key,
                    ", c.currency"
                )
            };
        }
        match self {
            Self::Project => sums!("h.project"),
            Self::Agent => sums!("h.agent"),
            Self::Provider => sums!("h.provider"),
            Self::Category => sums!("h.categories"),
            Self::Resource => sums!("h.resource"),
            Self::Day => sums!("c.begun_at / 86400000000"),
        }
    }
}

impl FromStr for By {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|by| by.name() == s).ok_or_else(|| format!("`{s}` is nothing to add up by"))
    }
}

/// The organisation's sums from `since` until before `until`; an agent's own only. The work grows with the charges of that time.
///
/// # Errors
/// When the organisation is not the caller's, or the store fails.
pub fn report(
    tx: &mut Tx<'_>,
    permit: &Permit<SpendRead>,
    organisation: &OrganisationId,
    by: By,
    (since, until): (Timestamp, Timestamp),
) -> Result<Vec<ReportRow>, StatementError> {
    spender::same_organisation(permit.caller(), organisation)?;
    let only = permit.caller().agent().map_or("", AgentId::as_str);
    let rows = tx.query(by.sql(), params![organisation, since, until, only])?;
    Ok(rows.iter().map(|row| read(row, by)).collect::<Result<_, DbError>>()?)
}

fn read(row: &Row, by: By) -> Result<ReportRow, DbError> {
    let key = match by {
        By::Day => day(row.get("key")?),
        By::Category => joined(&row.json::<Vec<String>>("key")?),
        By::Project | By::Agent | By::Provider | By::Resource => row.get("key")?,
    };
    let currency: Currency = row.parse("currency")?;
    let (charged, refunded): (i64, i64) = (row.get("charged")?, row.get("refunded")?);
    let money = |minor| Money::from_minor(minor, currency);
    let paid = charged.checked_sub(refunded).ok_or_else(|| DbError::Other("a sum is out of range".to_owned()))?;
    Ok(ReportRow { key, charges: row.get("charges")?, charged: money(charged), refunded: money(refunded), paid: money(paid) })
}

fn day(number: i64) -> String {
    Timestamp::from_secs(number.saturating_mul(86_400)).to_string().chars().take(10).collect()
}

fn joined(categories: &[String]) -> String {
    if categories.is_empty() { "none".to_owned() } else { categories.join("+") }
}
