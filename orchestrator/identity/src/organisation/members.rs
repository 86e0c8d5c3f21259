//! The members of an organisation.

use purser_authority::action::MembershipRead;
use purser_authority::{Permit, Role};
use purser_db::{DbError, Tx, params};
use purser_values::Timestamp;
use purser_values::id::PersonId;
use purser_values::name::Email;
use serde::Serialize;

#[derive(Clone, Debug, Serialize)]
pub struct MemberRow {
    pub person: PersonId,
    pub email: Email,
    pub role: Role,
    pub since: Timestamp,
    /// Stopped by the operator: cannot sign in, and no agent acts for them.
    pub disabled: bool,
}

/// Every member of the caller's organisation, owners first.
///
/// # Errors
/// When the store fails.
pub fn members_list(tx: &mut Tx<'_>, permit: &Permit<MembershipRead>) -> Result<Vec<MemberRow>, DbError> {
    let select = "select p.id as person, p.email as email, m.role as role, m.created_at as since,
            case when p.disabled_at is null then 0 else 1 end as disabled
        from membership m join person p on p.id = m.person where m.organisation = $1 order by m.created_at, p.id";
    let rows = tx.query(select, params![permit.caller().organisation()])?;
    let read = rows.iter().map(|row| {
        Ok(MemberRow {
            person: row.parse("person")?,
            email: row.parse("email")?,
            role: row.parse("role")?,
            since: row.get("since")?,
            disabled: row.get("disabled")?,
        })
    });
    let mut members = read.collect::<Result<Vec<_>, DbError>>()?;
    members.sort_by_key(|member| Role::ALL.iter().position(|role| *role == member.role));
    Ok(members)
}
