//! The browsers in which a person is signed in, and the terminals that they let in.

use purser_authority::Permit;
use purser_authority::action::SecurityRead;
use purser_db::{DbError, Tx, params};
use purser_values::Timestamp;

#[derive(Clone, Debug)]
pub struct SessionRow {
    /// A session's or a terminal's.
    pub id: String,
    pub terminal: bool,
    pub signed_in_at: Timestamp,
    pub expires_at: Timestamp,
    /// `email_code`, `passkey`, …; absent in sessions from before this was kept.
    pub method: Option<String>,
    pub peer: Option<String>,
    pub browser: Option<String>,
}

/// The caller's own sessions that are valid now, newest first.
///
/// # Errors
/// When the store fails.
pub fn sessions_list(tx: &mut Tx<'_>, permit: &Permit<SecurityRead>, now: Timestamp) -> Result<Vec<SessionRow>, DbError> {
    let Some(person) = permit.caller().person() else { return Ok(Vec::new()) };
    let select = "select id, signed_in_at, expires_at, method, peer, browser, 0 as terminal from session
                  where person = $1 and ended_at is null and expires_at > $2
                  union all
                  select id, coalesce(issued_at, 0) as signed_in_at, expires_at, null as method, peer, null as browser, 1 as terminal
                  from person_token where person = $1 and revoked_at is null and expires_at > $2
                  order by signed_in_at desc, id";
    let rows = tx.query(select, params![person, now])?;
    rows.iter()
        .map(|row| {
            Ok(SessionRow {
                id: row.get("id")?,
                terminal: row.get::<i64>("terminal")? == 1,
                signed_in_at: row.get("signed_in_at")?,
                expires_at: row.get("expires_at")?,
                method: row.get("method")?,
                peer: row.get("peer")?,
                browser: row.get("browser")?,
            })
        })
        .collect()
}
