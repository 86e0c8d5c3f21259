//! What was spent in a month: each charge, what came back, what is owed, and the position of each agent at each provider.

use std::collections::BTreeMap;

use purser_authority::action::SpendRead;
use purser_authority::{Denied, Permit};
use purser_db::{DbError, Row, Tx, params};
use purser_values::error::{Kind, PublicError};
use purser_values::id::{AgentId, ChargeId, GrantId, OrganisationId, RefundId, ResourceId};
use purser_values::name::{ProjectName, ProviderName};
use purser_values::{Money, Month, Timestamp};
use serde::Serialize;

use crate::book;
use crate::cap::CapView;
use crate::charge::{self, ChargeState, Waiting};
use crate::chargeback::{self, Chargeback};
use crate::refund::due::{self, Due};
use crate::refund::{self, Refund};
use crate::spender;

#[derive(Clone, Debug, Serialize)]
pub struct Statement {
    pub month: Month,
    /// One line per agent and provider with a book in this month.
    pub positions: Vec<CapView>,
    /// Charges that were begun in this month and belong to the organisation, oldest first.
    pub charges: Vec<StatementLine>,
    /// What was given back in this month, of charges of any month, oldest first.
    pub refunds: Vec<Refund>,
    /// For which projects that was.
    #[serde(skip)]
    pub refund_projects: BTreeMap<RefundId, ProjectName>,
    /// What providers took for orders that were undone and have not given back, of any month.
    pub owed: Vec<Due>,
    /// Payments that the cardholder disputes, of any month.
    pub chargebacks: Vec<Chargeback>,
    /// Payments that wait for a person at their bank.
    pub waiting: Vec<Waiting>,
}

#[derive(Clone, Debug, Serialize)]
pub struct StatementLine {
    pub id: ChargeId,
    pub at: Timestamp,
    pub agent: AgentId,
    pub grant: GrantId,
    pub provider: ProviderName,
    pub project: ProjectName,
    pub resource: ResourceId,
    pub description: String,
    pub amount: Money,
    /// Whether what was bought cannot be undone.
    pub irreversible: bool,
    /// How much of it came back, whenever that was.
    pub refunded: Money,
    pub state: ChargeState,
    pub code: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(transparent)]
    Store(#[from] DbError),
}

impl PublicError for StatementError {
    fn code(&self) -> &'static str {
        match self {
            Self::Denied(e) => e.code(),
            Self::Store(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::Denied(e) => e.kind(),
            Self::Store(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Denied(e) => e.hint(),
            Self::Store(e) => e.hint(),
        }
    }
}

/// The organisation's month; an agent sees its own lines only, a person may ask for one agent's.
///
/// # Errors
/// When the organisation is not the caller's, or the store fails.
pub fn statement(
    tx: &mut Tx<'_>,
    permit: &Permit<SpendRead>,
    organisation: &OrganisationId,
    agent: Option<&AgentId>,
    month: Month,
) -> Result<Statement, StatementError> {
    spender::same_organisation(permit.caller(), organisation)?;
    let only = permit.caller().agent().or(agent);
    if let (Some(only), Some(asked)) = (only, agent)
        && only != asked
    {
        return Err(Denied::NotFound.into());
    }
    let mut positions = Vec::new();
    for book in book::of_month(tx, organisation, month)? {
        if only.is_some_and(|only| *only != book.spender.agent) {
            continue;
        }
        positions.extend(crate::cap::at(tx, &book.spender, &book.provider, month)?);
    }
    Ok(Statement {
        month,
        positions,
        charges: charges(tx, organisation, only, month)?,
        refunds: refund::of_month(tx, organisation, only, month)?,
        refund_projects: refund_projects(tx, organisation, month)?,
        owed: due::open(tx, organisation, only)?,
        chargebacks: chargeback::list(tx, organisation, only)?,
        waiting: charge::waiting(tx, organisation)?.into_iter().filter(|w| only.is_none_or(|only| *only == w.agent)).collect(),
    })
}

fn charges(tx: &mut Tx<'_>, organisation: &OrganisationId, only: Option<&AgentId>, month: Month) -> Result<Vec<StatementLine>, DbError> {
    let select =
        "select c.id, c.begun_at, c.amount, c.currency, c.provider, c.state, c.code, c.line, h.agent, h.grant_id, h.project, h.resource, h.irreversible,
                      coalesce(l.description, c.line, '') as description, cast(coalesce((select sum(r.amount) from spend_refund r
                          where r.charge = c.id and r.state = 'succeeded'), 0) as bigint) as refunded
                  from spend_charge c join spend_hold h on h.id = c.hold
                  left join spend_hold_line l on l.hold = c.hold and l.line = c.line and l.period = coalesce(c.period, '')
                  where c.organisation = $1 and c.begun_at >= $2 and c.begun_at < $3 and (h.agent = $4 or $4 = '')
                  order by c.begun_at, c.id";
    let only = only.map_or("", AgentId::as_str);
    tx.query(select, params![organisation, month.start(), month.end(), only])?.iter().map(line).collect()
}

fn refund_projects(tx: &mut Tx<'_>, organisation: &OrganisationId, month: Month) -> Result<BTreeMap<RefundId, ProjectName>, DbError> {
    let select = "select r.id, h.project from spend_refund r join spend_charge c on c.id = r.charge join spend_hold h on h.id = c.hold
                  where r.organisation = $1 and r.begun_at >= $2 and r.begun_at < $3";
    let rows = tx.query(select, params![organisation, month.start(), month.end()])?;
    rows.iter().map(|row| Ok((row.parse("id")?, row.parse("project")?))).collect()
}

fn line(row: &Row) -> Result<StatementLine, DbError> {
    let currency = row.parse("currency")?;
    Ok(StatementLine {
        id: row.parse("id")?,
        at: row.get("begun_at")?,
        agent: row.parse("agent")?,
        grant: row.parse("grant_id")?,
        provider: row.parse("provider")?,
        project: row.parse("project")?,
        resource: row.parse("resource")?,
        description: row.get("description")?,
        amount: Money::from_minor(row.get("amount")?, currency),
        irreversible: row.get("irreversible")?,
        refunded: Money::from_minor(row.get("refunded")?, currency),
        state: row.parse("state")?,
        code: row.get("code")?,
    })
}
