//! Which ceilings there are, which of them a purchase counts against, and where they stand.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use purser_authority::action::CapRead;
use purser_authority::{Caller, Permit};
use purser_db::{DbError, Row, Statement, Tx, params, values};
use purser_values::id::OrganisationId;
use purser_values::name::{EnvironmentName, ProjectName, ProviderName};
use purser_values::{Env, Money, Timestamp};
use serde::Serialize;

use super::{CeilingError, Rule, Scope, window, zone};
use crate::calendar::Period;
use crate::pot::{self, Position};
use crate::share::Share;
use crate::spender;

/// Where a ceiling may stand: whose it is, over what, and which one.
pub(crate) type Place<'a> = (&'a OrganisationId, Scope, Cow<'a, str>);

/// What a purchase belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts<'a> {
    pub organisation: &'a OrganisationId,
    pub project: &'a ProjectName,
    pub environment: Option<&'a EnvironmentName>,
    pub provider: &'a ProviderName,
    pub categories: &'a [String],
    pub shares: &'a [Share],
}

/// Where a ceiling stands in the running period.
#[derive(Clone, Debug, Serialize)]
pub struct CeilingView {
    #[serde(flatten)]
    pub rule: Rule,
    pub captured: Money,
    pub held: Money,
    /// Never negative, also when the ceiling was lowered below what it has counted.
    pub left: Money,
    pub resets_at: Option<Timestamp>,
}

/// All ceilings of the organisation, in the order in which they are looked at; an agent sees those over everybody, and its own.
///
/// # Errors
/// When the caller is of another organisation, or the store fails.
pub fn all(tx: &mut Tx<'_>, env: &Env, permit: &Permit<CapRead>, organisation: &OrganisationId) -> Result<Vec<CeilingView>, CeilingError> {
    spender::same_organisation(permit.caller(), organisation)?;
    let mut rules = of(tx, organisation)?;
    rules.retain(|rule| concerns(permit.caller(), rule.scope, &rule.subject));
    rules.sort_by(|a, b| a.order().cmp(&b.order()));
    let mut views = Vec::with_capacity(rules.len());
    for rule in rules {
        let (position, resets_at) = standing(tx, env, &rule)?;
        let amount = |minor| Money::from_minor(minor, rule.amount.currency());
        let (captured, held, left) = (amount(position.captured), amount(position.held), amount(position.room.max(0)));
        views.push(CeilingView { rule, captured, held, left, resets_at });
    }
    Ok(views)
}

/// Whether a caller is shown what stands over this: what is over one agent or grant alone is not shown to another.
pub(crate) fn concerns(caller: &Caller, scope: Scope, subject: &str) -> bool {
    let Caller::Agent { agent, grant, chain, .. } = caller else { return true };
    match scope {
        Scope::Agent => agent.as_str() == subject || chain.iter().any(|link| link.agent.as_str() == subject),
        Scope::Grant => grant.as_str() == subject || chain.iter().any(|link| link.grant.as_str() == subject),
        Scope::Organisation | Scope::Project | Scope::Environment | Scope::Provider | Scope::Category => true,
    }
}

/// The ceilings that stand at those places, each place by the key, so it does not slow with the number of ceilings over other things.
pub(crate) fn rules_statement(places: &BTreeSet<Place<'_>>) -> Statement {
    let select = "select s.organisation, s.scope, s.subject, s.period, s.amount, s.currency from {rows:text,text,text}
                  join spend_ceiling s on s.organisation = r.c1 and s.scope = r.c2 and s.subject = r.c3";
    Statement::rows(select, places.iter().map(|(of, scope, subject)| values![of, scope.name(), &**subject]).collect())
}

/// What [`rules_statement`] answers, by place.
pub(crate) fn rules_from(rows: &[Row]) -> Result<BTreeMap<(OrganisationId, Scope, String), Vec<Rule>>, DbError> {
    let mut all = BTreeMap::<_, Vec<Rule>>::new();
    for row in rows {
        let rule = rule(row)?;
        all.entry((rule.organisation.clone(), rule.scope, rule.subject.clone())).or_default().push(rule);
    }
    Ok(all)
}

pub(super) fn find(
    tx: &mut Tx<'_>,
    organisation: &OrganisationId,
    scope: Scope,
    subject: &str,
    period: Period,
) -> Result<Option<Rule>, DbError> {
    let select = "select organisation, scope, subject, period, amount, currency from spend_ceiling
                  where organisation = $1 and scope = $2 and subject = $3 and period = $4";
    tx.query_opt(select, params![organisation, scope.name(), subject, period.name()])?.as_ref().map(rule).transpose()
}

pub(super) fn of(tx: &mut Tx<'_>, organisation: &OrganisationId) -> Result<Vec<Rule>, DbError> {
    let select = "select organisation, scope, subject, period, amount, currency from spend_ceiling where organisation = $1";
    tx.query(select, params![organisation])?.iter().map(rule).collect()
}

fn standing(tx: &mut Tx<'_>, env: &Env, rule: &Rule) -> Result<(Position, Option<Timestamp>), DbError> {
    let empty = Position { room: rule.amount.minor(), held: 0, captured: 0 };
    let zone = zone::zone(tx, &rule.organisation)?;
    let Some(span) = rule.period.span(env.now(), &zone)? else { return Ok((empty, None)) };
    let position = match window::find(tx, &window::id(rule, &span.name))? {
        Some(window) => pot::position(tx, &window)?,
        None => empty,
    };
    Ok((position, span.ends))
}

fn rule(row: &Row) -> Result<Rule, DbError> {
    Ok(Rule {
        organisation: row.parse("organisation")?,
        scope: row.parse("scope")?,
        subject: row.get("subject")?,
        period: row.parse("period")?,
        amount: Money::from_minor(row.get("amount")?, row.parse("currency")?),
    })
}
