//! The programmes that providers offer, as their manifests last said.

use purser_db::{DbError, Row, Tx, params};
use purser_values::name::ProviderName;
use purser_values::{Money, Timestamp};
use serde::Serialize;
use serde_json::json;

use crate::limits::TEXT_CHARS;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Programme {
    pub provider: ProviderName,
    pub id: String,
    pub title: String,
    pub description: String,
    pub amount: Money,
    pub months: u32,
    /// What it pays for, in the provider's words.
    pub covers: Vec<String>,
}

/// Replaces what is known of a provider's programmes.
///
/// # Errors
/// When the store fails.
pub fn keep(tx: &mut Tx<'_>, provider: &ProviderName, all: &[Programme], now: Timestamp) -> Result<(), DbError> {
    tx.execute("delete from credit_programme where provider = $1", params![provider])?;
    for one in all {
        let cut = |text: &str| text.chars().filter(|c| !c.is_control()).take(TEXT_CHARS).collect::<String>();
        let insert = "insert into credit_programme (provider, id, title, description, amount, currency, months, covers, read_at)
                      values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict do nothing";
        let what = params![
            provider,
            one.id,
            cut(&one.title),
            cut(&one.description),
            one.amount.minor(),
            one.amount.currency(),
            i64::from(one.months),
            json!(one.covers),
            now
        ];
        tx.execute(insert, what)?;
    }
    Ok(())
}

/// # Errors
/// When the store fails.
pub fn list(tx: &mut Tx<'_>) -> Result<Vec<Programme>, DbError> {
    tx.query("select * from credit_programme order by provider, id", params![])?.iter().map(read).collect()
}

pub(super) fn find(tx: &mut Tx<'_>, provider: &ProviderName, id: &str) -> Result<Option<Programme>, DbError> {
    tx.query_opt("select * from credit_programme where provider = $1 and id = $2", params![provider, id])?.as_ref().map(read).transpose()
}

fn read(row: &Row) -> Result<Programme, DbError> {
    Ok(Programme {
        provider: row.parse("provider")?,
        id: row.get("id")?,
        title: row.get("title")?,
        description: row.get("description")?,
        amount: Money::from_minor(row.get("amount")?, row.parse("currency")?),
        months: row.get("months")?,
        covers: row.json("covers")?,
    })
}
