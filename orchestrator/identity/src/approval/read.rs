//! Reading approvals.

use purser_authority::{Action, Caller, Denied, Facts, Permit, authorise};
use purser_db::{DbError, Row, Tx, params};
use purser_values::Timestamp;
use purser_values::id::{ApprovalId, OrganisationId};

use super::{Approval, ApprovalState};

/// Approvals on one page.
const PAGE: i64 = 100;

/// Who looks, of those who may look at all.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(pub &'a Caller);

impl Reader<'_> {
    /// The people of the organisation see all of it; an agent sees what it asked for, and what its helpers did not.
    #[must_use]
    pub fn sees(self, approval: &Approval) -> bool {
        self.0.organisation() == Some(&approval.organisation) && (self.0.agent().is_none() || self.0.agent() == approval.agent.as_ref())
    }
}

/// An approval, with the end of the grant under which it was asked for.
macro_rules! select {
    ($tail:literal) => {
        concat!(
            "select approval.*, g.revoked_at as grant_revoked_at, g.revoked_how as grant_revoked_how, g.expires_at as grant_expires_at
             from approval left join agent_grant g on g.id = approval.grant_id ",
            $tail
        )
    };
}

/// One approval as it stands at `now`.
///
/// # Errors
/// When the store fails.
pub fn find(tx: &mut Tx<'_>, id: &ApprovalId, now: Timestamp) -> Result<Option<Approval>, DbError> {
    tx.query_opt(select!("where approval.id = $1"), params![id])?.map(|row| read(&row, now)).transpose()
}

/// The newest approvals of an organisation.
///
/// # Errors
/// When the store fails.
pub fn list(tx: &mut Tx<'_>, organisation: &OrganisationId, now: Timestamp) -> Result<Vec<Approval>, DbError> {
    let select = select!("where approval.organisation = $1 order by approval.created_at desc, approval.id desc limit $2");
    tx.query(select, params![organisation, PAGE])?.iter().map(|row| read(row, now)).collect()
}

/// How many wait for somebody of the organisation.
///
/// # Errors
/// When the store fails.
pub fn waiting(tx: &mut Tx<'_>, organisation: &OrganisationId, now: Timestamp) -> Result<i64, DbError> {
    let select = "select count(*) as n from approval left join agent_grant g on g.id = approval.grant_id
                  where approval.organisation = $1 and approval.state = 'pending' and approval.expires_at > $2
                      and g.revoked_at is null and coalesce(g.expires_at, approval.expires_at) > $2";
    tx.query_one(select, params![organisation, now])?.get("n")
}

/// A permit for one action on one approval. One of another organisation, or of another agent, does not exist.
///
/// # Errors
/// [`Denied`] or a failure of the store, as the caller's error.
pub fn permit<A: Action, E: From<DbError> + From<Denied>>(
    tx: &mut Tx<'_>,
    caller: &Caller,
    id: &ApprovalId,
    now: Timestamp,
) -> Result<Permit<A>, E> {
    let found = find(tx, id, now)?.filter(|found| Reader(caller).sees(found)).ok_or(Denied::NotFound)?;
    let facts = Facts { owner: Some(&found.organisation), ..Facts::new(now, id.as_str()) };
    Ok(authorise::<A>(caller, &facts)?)
}

/// Whether time has run out, or the grant has ended, is derived and never written.
pub(super) fn read(row: &Row, now: Timestamp) -> Result<Approval, DbError> {
    let expires_at: Timestamp = row.get("expires_at")?;
    let decided = |row: &Row| match (row.parse_opt("decided_by")?, row.get::<Option<Timestamp>>("decided_at")?) {
        (Some(by), Some(at)) => Ok((by, at)),
        _ => Err(DbError::Corrupt("an approval is half decided".to_owned())),
    };
    let ended = grant_end(row, now)?;
    let state = match row.get::<String>("state")?.as_str() {
        "pending" | "approved" if now >= expires_at => ApprovalState::Expired,
        "pending" | "approved" if ended.is_some() => ApprovalState::Ended { how: ended.unwrap_or_default() },
        "pending" => ApprovalState::Pending,
        "approved" => decided(row).map(|(by, at)| ApprovalState::Approved { by, at })?,
        "denied" => decided(row).map(|(by, at)| ApprovalState::Denied { by, at })?,
        "used" => {
            let (by, _) = decided(row)?;
            let used = row.get::<Option<Timestamp>>("used_at")?.zip(row.get::<Option<String>>("used_for")?);
            let (at, subject) = used.ok_or_else(|| DbError::Corrupt("an approval is half used".to_owned()))?;
            ApprovalState::Used { by, at, subject }
        }
        other => return Err(DbError::Corrupt(format!("`{other}` is not a state of an approval"))),
    };
    Ok(Approval {
        id: row.parse("id")?,
        organisation: row.parse("organisation")?,
        agent: row.parse_opt("agent")?,
        grant: row.parse_opt("grant_id")?,
        requester: row.parse("requester")?,
        verb: row.get("verb")?,
        request: row.get("request")?,
        digest: row.get("digest")?,
        facts: row.json("facts")?,
        reason: row.get("reason")?,
        second_person: row.get("second_person")?,
        open_price: row.get("open_price")?,
        most: most(row)?,
        state,
        created_at: row.get("created_at")?,
        expires_at,
    })
}

/// How the grant ended, if it has.
fn grant_end(row: &Row, now: Timestamp) -> Result<Option<String>, DbError> {
    let how: Option<String> = row.get("grant_revoked_how")?;
    if row.get::<Option<Timestamp>>("grant_revoked_at")?.is_some() {
        return Ok(Some(format!("the grant was revoked ({})", how.unwrap_or_default())));
    }
    let until: Option<Timestamp> = row.get("grant_expires_at")?;
    Ok(until.filter(|until| now >= *until).map(|_| "the grant ran out".to_owned()))
}

fn most(row: &Row) -> Result<Option<super::Most>, DbError> {
    let text: Option<String> = row.get("most")?;
    text.map(|text| serde_json::from_str(&text).map_err(|e| DbError::Corrupt(e.to_string()))).transpose()
}
