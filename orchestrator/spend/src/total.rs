//! The ceiling of a grant over its whole life, with all that is bought under grants derived from it.
//!
//! INVARIANT (total): held + captured of all purchases under a grant and those derived from it never exceed its total. The
//! total is in the signed grant; it is never changed, only a new grant has another.

use purser_db::{DbError, Row, Tx, params};
use purser_values::id::{GrantId, OrganisationId};
use purser_values::{Currency, Money};

use crate::pot::Pot;

#[derive(Clone, Debug)]
pub struct Total {
    pub grant: GrantId,
    pub organisation: OrganisationId,
    pub amount: Money,
}

impl Pot for Total {
    fn account(&self, part: &str) -> String {
        account(&self.grant, part)
    }

    fn ceiling(&self) -> Money {
        self.amount
    }
}

/// The ledger account of a part of a grant's total, opened or not.
pub fn account(grant: &GrantId, part: &str) -> String {
    format!("total/{grant}/{part}")
}

pub fn find(tx: &mut Tx<'_>, grant: &GrantId) -> Result<Option<Total>, DbError> {
    tx.query_opt("select * from spend_total where grant_id = $1", params![grant])?.as_ref().map(from_row).transpose()
}

fn from_row(row: &Row) -> Result<Total, DbError> {
    let currency: Currency = row.parse("currency")?;
    Ok(Total {
        grant: row.parse("grant_id")?,
        organisation: row.parse("organisation")?,
        amount: Money::from_minor(row.get("amount")?, currency),
    })
}
