//! What a provider last said of an organisation's credits there, and what people are told before they end, each once.

use purser_authority::Done;
use purser_db::{DbError, Row, Tx, params};
use purser_values::id::OrganisationId;
use purser_values::name::ProviderName;
use purser_values::{Currency, Env, Money, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::alert::{self, Cause};
use crate::limits::{BATCH, CREDIT_ALERTS_DAYS, CREDIT_FRESH_S};

/// One credit, in the provider's words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    pub id: String,
    pub programme: String,
    pub state: String,
    pub given: Money,
    pub left: Money,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Money>,
    pub redeemed_at: Timestamp,
    pub expires_at: Timestamp,
    #[serde(default)]
    pub covers: Vec<String>,
}

/// A payment to come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    pub at: Timestamp,
    #[serde(flatten)]
    pub amount: Money,
}

/// What will be paid when it has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forecast {
    pub ends_at: Timestamp,
    pub why: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_payment: Option<Payment>,
    pub monthly: Money,
}

/// All credits of an organisation at a provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    pub provider: ProviderName,
    pub credits: Vec<Standing>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<Forecast>,
    pub read_at: Timestamp,
}

impl Standing {
    fn is_active(&self, now: Timestamp) -> bool {
        self.state == "active" && now < self.expires_at
    }
}

/// Keeps what the provider said, and raises the alerts that it has earned.
///
/// # Errors
/// When the store fails.
pub fn record(tx: &mut Tx<'_>, env: &Env, organisation: &OrganisationId, balance: &Balance) -> Result<Done<()>, DbError> {
    let upsert = "insert into credit_balance (organisation, provider, body, read_at) values ($1, $2, $3, $4)
                  on conflict (organisation, provider) do update set body = $3, read_at = $4";
    tx.execute(upsert, params![organisation, balance.provider, json!(balance), balance.read_at])?;
    let mut done = Done::quiet(());
    for credit in &balance.credits {
        let Some((days, ends_at)) = earned(credit, balance, env.now()) else { continue };
        let cause = Cause::CreditEnding {
            provider: balance.provider.clone(),
            programme: credit.programme.chars().take(64).collect(),
            left: credit.left,
            ends_at,
            days,
            monthly: balance.forecast.as_ref().map(|forecast| forecast.monthly),
        };
        let key = format!("{organisation}:{}:{}:{days}", balance.provider, credit.id);
        done.absorb(alert::raise(tx, env, organisation, None, &key, &cause)?);
    }
    Ok(done)
}

/// The alert of a credit that ends, with the days before it; 0 when it has ended. Who never used it is told too.
fn earned(credit: &Standing, balance: &Balance, now: Timestamp) -> Option<(i64, Timestamp)> {
    if !credit.is_active(now) {
        return Some((0, credit.expires_at.min(now)));
    }
    let ends_at = balance.forecast.as_ref().map_or(credit.expires_at, |forecast| forecast.ends_at.min(credit.expires_at));
    let days = CREDIT_ALERTS_DAYS.into_iter().filter(|days| now >= ends_at.plus_secs(-days * 86_400)).min()?;
    Some((days, ends_at))
}

/// What is known to be left at a provider for what is due then.
///
/// # Errors
/// When the store fails.
pub fn left(
    tx: &mut Tx<'_>,
    organisation: &OrganisationId,
    provider: &ProviderName,
    currency: Currency,
    at: Timestamp,
) -> Result<Money, DbError> {
    let Some(balance) = of(tx, organisation, provider)? else { return Ok(Money::zero(currency)) };
    let usable = balance.credits.iter().filter(|credit| credit.is_active(at) && credit.left.currency() == currency);
    Ok(Money::from_minor(usable.map(|credit| credit.left.minor().max(0)).fold(0, i64::saturating_add), currency))
}

/// # Errors
/// When the store fails.
pub fn of(tx: &mut Tx<'_>, organisation: &OrganisationId, provider: &ProviderName) -> Result<Option<Balance>, DbError> {
    let select = "select body from credit_balance where organisation = $1 and provider = $2";
    tx.query_opt(select, params![organisation, provider])?.as_ref().map(|row: &Row| row.json("body")).transpose()
}

/// # Errors
/// When the store fails.
pub fn all(tx: &mut Tx<'_>, organisation: &OrganisationId) -> Result<Vec<Balance>, DbError> {
    let select = "select body from credit_balance where organisation = $1 order by provider";
    tx.query(select, params![organisation])?.iter().map(|row| row.json("body")).collect()
}

/// Whose credits were not looked at for a while.
///
/// # Errors
/// When the store fails.
pub fn stale(tx: &mut Tx<'_>, now: Timestamp) -> Result<Vec<(OrganisationId, ProviderName)>, DbError> {
    let select = "select organisation, provider from credit_balance where read_at <= $1 order by read_at limit $2";
    let rows = tx.query(select, params![now.plus_secs(-CREDIT_FRESH_S), BATCH])?;
    rows.iter().map(|row| Ok((row.parse("organisation")?, row.parse("provider")?))).collect()
}
