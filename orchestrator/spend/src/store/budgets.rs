//! Alerts that were raised, budgets, and what counts in the periods of each.

/// When housekeeping last looked at each budget, the holds of an organisation, which gates look at, and hundredths of a percent.
pub(super) const BUDGETS_LOOKED_AT: &str = "update spend_budget set act_at = act_at * 100;
alter table spend_budget add column looked_at {int} not null default 0;
create index spend_budget_looked_at on spend_budget (looked_at);
create index spend_hold_organisation on spend_hold (organisation) where state = 'open'";

pub(super) const BUDGETS: &str = "create table alert (
    id {text} primary key, organisation {text} not null, agent {text}, kind {text} not null, dedupe {text} not null unique,
    cause {text} not null, at {int} not null
){strict};
create index alert_organisation on alert (organisation, at);
create table spend_budget (
    id {text} primary key, organisation {text} not null, scope {text} not null, subject {text} not null, period {text} not null,
    amount {int} not null check (amount > 0), currency {text} not null, thresholds {text} not null, action {text} not null,
    act_at {int} not null, unusual {int} not null, set_by {text} not null, set_at {int} not null,
    unique (organisation, scope, subject, period)
){strict};
create table spend_budget_span (
    budget {text} not null, span {text} not null, spent {int} not null, primary key (budget, span)
){strict};
create table spend_budget_charge (
    budget {text} not null, charge {text} not null, span {text} not null, at {int} not null, amount {int} not null,
    recurring {int} not null, hold {text} not null, line {text} not null, primary key (budget, charge)
){strict};
create index spend_budget_charge_charge on spend_budget_charge (charge);
create index spend_budget_charge_at on spend_budget_charge (budget, at);
create index spend_budget_charge_recurring on spend_budget_charge (budget, recurring, at);
create index spend_charge_payee on spend_charge (organisation, provider, state, begun_at)";
