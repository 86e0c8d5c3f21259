//! Quotes: a price for one exact request, kept until it is accepted by an order or over.

use purser_db::{DbError, Tx, params};
use purser_values::Timestamp;
use purser_values::id::{CloudAccountId, CloudResourceId, QuoteId};
use purser_wire::error::code;
use purser_wire::quote::{Quote, QuoteError, QuoteRequest};
use serde_json::json;

/// How long a quote can be accepted, in seconds.
pub const LIFE_S: i64 = 15 * 60;

/// Keeps a quote that is about to be given to an account.
///
/// # Errors
/// When the store fails.
pub fn quote_put(tx: &mut Tx<'_>, account: &CloudAccountId, request: &QuoteRequest, quote: &Quote) -> Result<(), DbError> {
    let insert = "insert into cloud_quote (id, account, request, body, digest, expires_at) values ($1, $2, $3, $4, $5, $6)";
    let values = params![quote.id.as_str(), account, json!(request), json!(quote), quote.digest, quote.expires_at];
    tx.execute(insert, values).map(drop)
}

#[derive(Debug, thiserror::Error)]
pub enum QuoteAcceptError {
    #[error("there is no such quote; ask for one")]
    NotFound,
    #[error("the quote is for another request; ask for a new one")]
    Mismatch,
    #[error("the quote is over; ask for a new one")]
    Expired,
    #[error("the quote was accepted by another order; ask for a new one")]
    Used,
    #[error(transparent)]
    Store(#[from] DbError),
}

impl QuoteAcceptError {
    /// The code on the wire.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Expired => code::QUOTE_EXPIRED,
            Self::NotFound | Self::Mismatch | Self::Used => code::QUOTE_MISMATCH,
            Self::Store(_) => code::SERVER_ERROR,
        }
    }
}

/// Binds a quote to the one order that accepts it. An order that has accepted it before gets it again, expired or not.
///
/// # Errors
/// When the quote is another account's, for another request, over, or accepted by another order.
pub fn quote_accept(
    tx: &mut Tx<'_>,
    account: &CloudAccountId,
    id: &QuoteId,
    request: &QuoteRequest,
    resource: &CloudResourceId,
    now: Timestamp,
) -> Result<Quote, QuoteAcceptError> {
    let select = "select body, request, resource from cloud_quote where id = $1 and account = $2";
    let row = tx.query_opt(select, params![id, account])?.ok_or(QuoteAcceptError::NotFound)?;
    let quote: Quote = row.json("body")?;
    match row.parse_opt::<CloudResourceId>("resource")? {
        Some(first) if first == *resource => return Ok(quote),
        Some(_) => return Err(QuoteAcceptError::Used),
        None => {}
    }
    // Between whom it is was checked when it was asked for; the account is the one that it was kept for.
    let asked: QuoteRequest = row.json("request")?;
    quote.verify(&QuoteRequest { parties: asked.parties, ..request.clone() }, now).map_err(|e| match e {
        QuoteError::Expired(_) => QuoteAcceptError::Expired,
        _ => QuoteAcceptError::Mismatch,
    })?;
    tx.execute("update cloud_quote set resource = $2 where id = $1", params![id, resource])?;
    Ok(quote)
}

/// The quote that an order accepted.
///
/// # Errors
/// When the store fails.
pub fn quote_of(tx: &mut Tx<'_>, resource: &CloudResourceId) -> Result<Option<Quote>, DbError> {
    let select = "select body from cloud_quote where resource = $1";
    tx.query_opt(select, params![resource])?.map(|row| row.json("body")).transpose()
}
