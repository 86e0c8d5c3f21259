//! Payment methods of an organisation: what a rail knows them by, their brand and last four digits.
//!
//! No card number ever reaches this house: a rail takes it on a page of its own and answers a reference. The method used for
//! purchases is the one that was added last and not removed.

mod add;
mod confirm;
mod remove;
pub mod setup;

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use purser_authority::Denied;
use purser_db::{DbError, Row, Statement, Tx, params, values};
use purser_values::Timestamp;
use purser_values::error::{Kind, PublicError};
use purser_values::id::{OrganisationId, PaymentMethodId};
use purser_values::name::ProviderName;
use serde::Serialize;

pub use add::add;
pub use confirm::confirm;
pub use remove::{FORGET_JOB, remove};

/// What a rail answers when a method was set up there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RailMethod {
    pub rail: String,
    pub reference: String,
    pub brand: String,
    pub last4: String,
    /// Whether the bank wants to see the person before it pays.
    pub needs_authentication: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MethodState {
    Active,
    /// The bank will ask for the person at the first charge; they may confirm before that.
    NeedsAuthentication,
    Removed,
}

#[derive(Clone, Debug, Serialize)]
pub struct PaymentMethod {
    pub id: PaymentMethodId,
    #[serde(skip)]
    pub organisation: OrganisationId,
    pub rail: String,
    /// The rail's own id; of no use to anybody without the rail's key.
    #[serde(skip)]
    pub reference: String,
    pub brand: String,
    pub last4: String,
    pub state: MethodState,
    /// Providers at which a disputed payment stops it ([`crate::chargeback`]).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stopped: Vec<ProviderName>,
    pub added_at: Timestamp,
}

#[derive(Debug, thiserror::Error)]
pub enum MethodError {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error("the rail's answer is not usable: {0}")]
    Unusable(&'static str),
    #[error("too many cards are being set up at once")]
    TooManySetups,
    #[error(transparent)]
    Store(#[from] DbError),
}

impl PublicError for MethodError {
    fn code(&self) -> &'static str {
        match self {
            Self::Denied(e) => e.code(),
            Self::Unusable(_) => "payment_method_unusable",
            Self::TooManySetups => "too_many_setups",
            Self::Store(e) => e.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Denied(e) => e.kind(),
            Self::Unusable(_) => Kind::Invalid,
            Self::TooManySetups => Kind::RateLimited,
            Self::Store(e) => e.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Denied(e) => e.hint(),
            Self::Unusable(_) => Some("try another card".to_owned()),
            Self::TooManySetups => Some("finish one of them, or come back tomorrow".to_owned()),
            Self::Store(e) => e.hint(),
        }
    }
}

impl MethodState {
    const ALL: [Self; 3] = [Self::Active, Self::NeedsAuthentication, Self::Removed];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::NeedsAuthentication => "needs_authentication",
            Self::Removed => "removed",
        }
    }
}

impl FromStr for MethodState {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|state| state.name() == s).ok_or_else(|| format!("`{s}` is not a state"))
    }
}

impl PaymentMethod {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        Ok(Self {
            id: row.parse("id")?,
            organisation: row.parse("organisation")?,
            rail: row.get("rail")?,
            reference: row.get("reference")?,
            brand: row.get("brand")?,
            last4: row.get("last4")?,
            state: row.parse("state")?,
            stopped: serde_json::from_str(&row.get::<String>("stopped")?).map_err(|e| DbError::Corrupt(e.to_string()))?,
            added_at: row.get("added_at")?,
        })
    }
}

/// The method that the organisation's purchases are charged to.
///
/// # Errors
/// When the store fails.
pub fn current(tx: &mut Tx<'_>, organisation: &OrganisationId) -> Result<Option<PaymentMethod>, DbError> {
    let select = "select id, organisation, rail, reference, brand, last4, state, stopped, added_at from payment_method
                  where organisation = $1 and state <> 'removed' order by added_at desc, id desc limit 1";
    tx.query_opt(select, params![organisation])?.as_ref().map(PaymentMethod::from_row).transpose()
}

/// Asks for [`current`] of several organisations.
pub(crate) fn current_statement(organisations: &BTreeSet<&OrganisationId>) -> Statement {
    let select = "select m.id, m.organisation, m.rail, m.reference, m.brand, m.last4, m.state, m.stopped, m.added_at
                  from {rows:text} join payment_method m on m.organisation = r.c1 where m.state <> 'removed'
                  order by m.added_at desc, m.id desc";
    Statement::rows(select, organisations.iter().map(|organisation| values![organisation]).collect())
}

/// What [`current_statement`] answers.
pub(crate) fn current_from(rows: &[Row]) -> Result<BTreeMap<OrganisationId, PaymentMethod>, DbError> {
    let mut found = BTreeMap::new();
    for row in rows {
        let method = PaymentMethod::from_row(row)?;
        found.entry(method.organisation.clone()).or_insert(method);
    }
    Ok(found)
}

/// The methods that the organisation has, the newest first.
///
/// # Errors
/// When the store fails.
pub fn list(tx: &mut Tx<'_>, organisation: &OrganisationId) -> Result<Vec<PaymentMethod>, DbError> {
    let select = "select id, organisation, rail, reference, brand, last4, state, stopped, added_at from payment_method
                  where organisation = $1 and state <> 'removed' order by added_at desc, id desc";
    tx.query(select, params![organisation])?.iter().map(PaymentMethod::from_row).collect()
}

/// The method, whatever its state.
///
/// # Errors
/// When the store fails.
pub fn find(tx: &mut Tx<'_>, id: &PaymentMethodId) -> Result<Option<PaymentMethod>, DbError> {
    let select = "select id, organisation, rail, reference, brand, last4, state, stopped, added_at from payment_method where id = $1";
    tx.query_opt(select, params![id])?.as_ref().map(PaymentMethod::from_row).transpose()
}

/// The bank has let a payment through: it has seen the person.
pub(crate) fn was_confirmed(tx: &mut Tx<'_>, id: &PaymentMethodId) -> Result<(), DbError> {
    let update = "update payment_method set state = 'active' where id = $1 and state = 'needs_authentication'";
    tx.execute(update, params![id]).map(drop)
}

/// The caller's own method, or nothing at all.
fn own(tx: &mut Tx<'_>, caller: &purser_authority::Caller, id: &PaymentMethodId) -> Result<PaymentMethod, MethodError> {
    let method = find(tx, id)?.filter(|method| method.state != MethodState::Removed).ok_or(Denied::NotFound)?;
    crate::spender::same_organisation(caller, &method.organisation)?;
    Ok(method)
}
