//! The offers of an organisation that wait.

use purser_authority::action::MembershipRead;
use purser_authority::{Permit, Role};
use purser_db::{DbError, Tx, params};
use purser_values::Timestamp;
use purser_values::id::InvitationId;
use purser_values::name::Email;
use serde::Serialize;

#[derive(Clone, Debug, Serialize)]
pub struct InvitationRow {
    pub id: InvitationId,
    pub email: Email,
    pub role: Role,
    pub invited_by: Email,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

/// The offers of the caller's organisation that wait, newest first.
///
/// # Errors
/// When the store fails.
pub fn invitations_list(tx: &mut Tx<'_>, now: Timestamp, permit: &Permit<MembershipRead>) -> Result<Vec<InvitationRow>, DbError> {
    let select = "select i.id as id, i.email as email, i.role as role, p.email as invited_by, i.created_at as created_at,
            i.expires_at as expires_at
        from invitation i join person p on p.id = i.invited_by
        where i.organisation = $1 and i.accepted_at is null and i.revoked_at is null and i.expires_at > $2
        order by i.created_at desc, i.id";
    let rows = tx.query(select, params![permit.caller().organisation(), now])?;
    let read = rows.iter().map(|row| {
        Ok(InvitationRow {
            id: row.parse("id")?,
            email: row.parse("email")?,
            role: row.parse("role")?,
            invited_by: row.parse("invited_by")?,
            created_at: row.get("created_at")?,
            expires_at: row.get("expires_at")?,
        })
    });
    read.collect()
}
