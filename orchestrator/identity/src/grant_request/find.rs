//! Reading requests.

use purser_db::{DbError, Row, Tx, params};
use purser_values::Timestamp;
use purser_values::id::GrantRequestId;

use super::{Asker, GrantRequest, State, UserCode};

/// One request, as it stands at `now`.
///
/// # Errors
/// When the store fails.
pub fn by_id(tx: &mut Tx<'_>, id: &GrantRequestId, now: Timestamp) -> Result<Option<GrantRequest>, DbError> {
    tx.query_opt("select * from grant_request where id = $1", params![id])?.map(|row| read(&row, now)).transpose()
}

/// The request that a person has the code of.
///
/// # Errors
/// When the store fails.
pub fn by_user_code(tx: &mut Tx<'_>, code: &UserCode, now: Timestamp) -> Result<Option<GrantRequest>, DbError> {
    tx.query_opt("select * from grant_request where user_code = $1", params![code.as_str()])?.map(|row| read(&row, now)).transpose()
}

/// Whether time has run out is derived and never written.
pub(crate) fn read(row: &Row, now: Timestamp) -> Result<GrantRequest, DbError> {
    let expires_at: Timestamp = row.get("expires_at")?;
    let state = match row.get::<String>("state")?.as_str() {
        "pending" if now >= expires_at => State::Expired,
        "pending" => State::Pending,
        "granted" => State::Granted { grant: row.parse("grant_id")? },
        "let_in" => State::LetIn { person: row.parse("person")?, organisation: row.parse("organisation")? },
        "denied" => State::Denied,
        other => return Err(DbError::Corrupt(format!("`{other}` is not a state of a grant request"))),
    };
    let asker = match row.get::<String>("kind")?.as_str() {
        "agent" => Asker::Agent(row.json("asked")?),
        "person" => Asker::Person,
        other => return Err(DbError::Corrupt(format!("`{other}` is not a kind of grant request"))),
    };
    Ok(GrantRequest {
        id: row.parse("id")?,
        user_code: row.parse("user_code")?,
        asker,
        name: row.parse("name")?,
        key: row.json("jwk")?,
        jkt: row.get("jkt")?,
        peer: row.get("peer")?,
        created_at: row.get("created_at")?,
        expires_at,
        state,
    })
}
