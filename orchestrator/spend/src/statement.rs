//! What was spent in a month: each charge, what came back, what is owed, and the position of each agent at each provider.
//!
//! The month is that of a zone, the organisation's unless another is asked for; the books of caps keep their own.

use std::collections::{BTreeMap, BTreeSet};

use purser_authority::action::SpendRead;
use purser_authority::{Denied, Permit};
use purser_db::{DbError, Row, Tx, params};
use purser_values::error::{Kind, PublicError};
use purser_values::id::{AgentId, ChargeId, GrantId, OrganisationId, ResourceId};
use purser_values::name::{ProjectName, ProviderName};
use purser_values::{Currency, Money, Month, Timestamp};
use serde::Serialize;

use crate::book;
use crate::calendar::Zone;
use crate::cap::CapView;
use crate::charge::{self, ChargeState, Waiting};
use crate::chargeback::{self, Chargeback};
use crate::refund::due::{self, Due};
use crate::refund::{self, Refund, RefundState};
use crate::spender;

#[derive(Clone, Debug, Serialize)]
pub struct Statement {
    pub month: Month,
    /// Where its days begin and end.
    pub zone: String,
    /// What the lines below add up to, in each currency.
    pub totals: Vec<Total>,
    /// One line per agent and provider with a book in this month.
    pub positions: Vec<CapView>,
    /// Charges that were begun in this month and belong to the organisation, oldest first.
    pub charges: Vec<StatementLine>,
    /// What was given back in this month, of charges of any month, oldest first.
    pub refunds: Vec<Refund>,
    /// For which projects the charges were that anything here is about.
    #[serde(skip)]
    pub projects: BTreeMap<ChargeId, ProjectName>,
    /// What providers took for orders that were undone and have not given back, of any month.
    pub owed: Vec<Due>,
    /// Payments that the cardholder disputes, of any month.
    pub chargebacks: Vec<Chargeback>,
    /// Payments that wait for a person at their bank.
    pub waiting: Vec<Waiting>,
}

/// What succeeded of a statement's charges and refunds, in one currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Total {
    pub charged: Money,
    pub refunded: Money,
    /// What was paid, less what came back in the same time: below zero when more came back.
    pub paid: Money,
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
    zone: &Zone,
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
    let span = zone.month(month)?;
    let mut found = Statement {
        month,
        zone: zone.name().to_owned(),
        totals: Vec::new(),
        positions,
        charges: charges(tx, organisation, only, span)?,
        refunds: refund::within(tx, organisation, only, span)?,
        projects: BTreeMap::new(),
        owed: due::open(tx, organisation, only)?,
        chargebacks: chargeback::list(tx, organisation, only)?,
        waiting: charge::waiting(tx, organisation)?.into_iter().filter(|w| only.is_none_or(|only| *only == w.agent)).collect(),
    };
    found.projects = projects(tx, &found)?;
    found.add_up()?;
    Ok(found)
}

impl Statement {
    /// Leaves what belongs to one project, at one provider, or both. The positions of caps are over all projects, so they are of none.
    ///
    /// # Errors
    /// When a sum is out of range.
    pub fn narrow(&mut self, project: Option<&ProjectName>, provider: Option<&ProviderName>) -> Result<(), DbError> {
        let projects = std::mem::take(&mut self.projects);
        let of = |charge: &ChargeId, at: &ProviderName| {
            provider.is_none_or(|provider| provider == at) && project.is_none_or(|project| projects.get(charge) == Some(project))
        };
        self.positions.retain(|position| project.is_none() && provider.is_none_or(|provider| *provider == position.provider));
        self.charges.retain(|charge| {
            provider.is_none_or(|provider| *provider == charge.provider) && project.is_none_or(|project| *project == charge.project)
        });
        self.refunds.retain(|refund| of(&refund.charge, &refund.provider));
        self.owed.retain(|due| of(&due.charge, &due.provider));
        self.chargebacks.retain(|dispute| of(&dispute.charge, &dispute.provider));
        self.waiting.retain(|waiting| of(&waiting.charge, &waiting.provider));
        self.projects = projects;
        self.add_up()
    }

    fn add_up(&mut self) -> Result<(), DbError> {
        let mut sums: BTreeMap<Currency, (i64, i64)> = BTreeMap::new();
        let wide = || DbError::Other("a sum is out of range".to_owned());
        for charge in self.charges.iter().filter(|charge| charge.state == ChargeState::Succeeded) {
            let sum = sums.entry(charge.amount.currency()).or_default();
            sum.0 = sum.0.checked_add(charge.amount.minor()).ok_or_else(wide)?;
        }
        for refund in self.refunds.iter().filter(|refund| refund.state == RefundState::Succeeded) {
            let sum = sums.entry(refund.amount.currency()).or_default();
            sum.1 = sum.1.checked_add(refund.amount.minor()).ok_or_else(wide)?;
        }
        self.totals.clear();
        for (currency, (charged, refunded)) in sums {
            let money = |minor| Money::from_minor(minor, currency);
            let paid = charged.checked_sub(refunded).ok_or_else(wide)?;
            self.totals.push(Total { charged: money(charged), refunded: money(refunded), paid: money(paid) });
        }
        Ok(())
    }
}

fn charges(
    tx: &mut Tx<'_>,
    organisation: &OrganisationId,
    only: Option<&AgentId>,
    (since, until): (Timestamp, Timestamp),
) -> Result<Vec<StatementLine>, DbError> {
    let select =
        "select c.id, c.begun_at, c.amount, c.currency, c.provider, c.state, c.code, c.line, h.agent, h.grant_id, h.project, h.resource, h.irreversible,
                      coalesce(l.description, c.line, '') as description, cast(coalesce((select sum(r.amount) from spend_refund r
                          where r.charge = c.id and r.state = 'succeeded'), 0) as bigint) as refunded
                  from spend_charge c join spend_hold h on h.id = c.hold
                  left join spend_hold_line l on l.hold = c.hold and l.line = c.line and l.period = coalesce(c.period, '')
                  where c.organisation = $1 and c.begun_at >= $2 and c.begun_at < $3 and (h.agent = $4 or $4 = '')
                  order by c.begun_at, c.id";
    let only = only.map_or("", AgentId::as_str);
    tx.query(select, params![organisation, since, until, only])?.iter().map(line).collect()
}

/// The projects of what came back, is owed, disputed or waits; lines of charges say their own.
fn projects(tx: &mut Tx<'_>, found: &Statement) -> Result<BTreeMap<ChargeId, ProjectName>, DbError> {
    let of = found.refunds.iter().map(|refund| &refund.charge);
    let of = of.chain(found.owed.iter().map(|due| &due.charge)).chain(found.chargebacks.iter().map(|dispute| &dispute.charge));
    let of: BTreeSet<&ChargeId> = of.chain(found.waiting.iter().map(|waiting| &waiting.charge)).collect();
    let rows: Vec<_> = of.into_iter().map(|charge| params![charge].to_vec()).collect();
    let select = "select c.id as id, h.project as project from {rows:text} join spend_charge c on c.id = r.c1
                  join spend_hold h on h.id = c.hold";
    tx.query_rows(select, &rows)?.iter().map(|row| Ok((row.parse("id")?, row.parse("project")?))).collect()
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
