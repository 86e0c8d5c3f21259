//! Payment tokens, as they stand. Their text is never here.

use purser_crypto::token;
use purser_db::{DbError, Row, Tx, params};
use purser_values::Secret;
use purser_values::id::{HoldId, OrganisationId, PaymentTokenId};

use super::{PREFIX, PaymentToken};
use crate::spender::Spender;

/// # Errors
/// When the store fails.
pub fn find(tx: &mut Tx<'_>, id: &PaymentTokenId) -> Result<Option<PaymentToken>, DbError> {
    one(tx.query_opt("select * from payment_token where id = $1", params![id])?)
}

/// The hold's token, whatever its state.
///
/// # Errors
/// When the store fails.
pub fn of_hold(tx: &mut Tx<'_>, hold: &HoldId) -> Result<Option<PaymentToken>, DbError> {
    one(tx.query_opt("select * from payment_token where hold = $1", params![hold])?)
}

/// The agent's tokens that still work, newest first.
///
/// # Errors
/// When the store fails.
pub fn of_agent(tx: &mut Tx<'_>, spender: &Spender) -> Result<Vec<PaymentToken>, DbError> {
    let select =
        "select * from payment_token where agent = $1 and organisation = $2 and state = 'active' order by created_at desc, id desc";
    tx.query(select, params![spender.agent, spender.organisation])?.iter().map(token_row).collect()
}

/// The organisation's tokens whose shown part is this one, for a trace. More than one is possible and unlikely.
///
/// # Errors
/// When the store fails.
pub fn by_prefix(tx: &mut Tx<'_>, organisation: &OrganisationId, prefix: &str) -> Result<Vec<PaymentToken>, DbError> {
    let select = "select * from payment_token where prefix = $1 and organisation = $2 order by created_at, id";
    tx.query(select, params![prefix, organisation])?.iter().map(token_row).collect()
}

/// The token whose text this is. A mistyped text is refused before any look-up.
pub(crate) fn by_plain(tx: &mut Tx<'_>, plain: &Secret<String>) -> Result<Option<PaymentToken>, DbError> {
    if !token::is_well_formed(plain.expose(), PREFIX) {
        return Ok(None);
    }
    one(tx.query_opt("select * from payment_token where hash = $1", params![token::hash(plain.expose())])?)
}

fn one(row: Option<Row>) -> Result<Option<PaymentToken>, DbError> {
    row.as_ref().map(token_row).transpose()
}

fn token_row(row: &Row) -> Result<PaymentToken, DbError> {
    Ok(PaymentToken {
        id: row.parse("id")?,
        prefix: row.get("prefix")?,
        hold: row.parse("hold")?,
        spender: Spender { organisation: row.parse("organisation")?, agent: row.parse("agent")? },
        provider: row.parse("provider")?,
        state: row.parse("state")?,
        created_at: row.get("created_at")?,
        expires_at: row.get("expires_at")?,
    })
}
