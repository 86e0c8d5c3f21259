//! The accounts that a person may connect.

use purser_db::{DbError, Tx, params};
use purser_values::id::{CloudAccountId, CloudPersonId};

use crate::account::{Account, Owner, read};

/// An account of the person's, and whether it can be chosen.
#[derive(Clone, Debug)]
pub struct AccountChoice {
    pub account: Account,
    /// What another organisation of the same orchestrator that holds it is called. INVARIANT (one-tenant).
    pub held_by: Option<String>,
}

/// # Errors
/// When the store fails.
pub fn account_choices(tx: &mut Tx<'_>, person: &CloudPersonId, asker: &Owner) -> Result<Vec<AccountChoice>, DbError> {
    let select = "select a.*, l.organisation as held_by from cloud_account a join cloud_membership m on m.account = a.id
                  left join cloud_link l on l.account = a.id and l.issuer = $2 and l.state = 'active'
                      and not (l.subject = $3 and l.attested = $4)
                  where m.person = $1 and m.role = 'owner' order by a.created_at, a.id limit 100";
    let rows = tx.query(select, params![person, asker.issuer, asker.subject, asker.attested])?;
    rows.iter().map(|row| Ok(AccountChoice { account: read(row)?, held_by: row.get("held_by")? })).collect()
}

/// One of them. Somebody else's account does not exist.
pub(crate) fn choice(
    tx: &mut Tx<'_>,
    person: &CloudPersonId,
    asker: &Owner,
    account: &CloudAccountId,
) -> Result<Option<AccountChoice>, DbError> {
    Ok(account_choices(tx, person, asker)?.into_iter().find(|choice| choice.account.id == *account))
}
