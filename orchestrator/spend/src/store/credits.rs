//! Programmes, applications, what providers say is left, and the lines of holds that a credit pays for.

pub(super) const CREDITS: &str = "create table credit_programme (
    provider {text} not null, id {text} not null, title {text} not null, description {text} not null, amount {int} not null,
    currency {text} not null, months {int} not null, covers {text} not null, read_at {int} not null, primary key (provider, id)
){strict};
create table credit_application (
    id {text} primary key, organisation {text} not null, provider {text} not null, programme {text} not null, amount {int} not null,
    currency {text} not null, months {int} not null, requester {text} not null, agent {text}, evidence {blob} not null,
    evidence_sha256 {text} not null, state {text} not null, asked_at {int} not null, decided_by {text}, decided_at {int}, reason {text},
    ended_at {int}
){strict};
create index credit_application_organisation on credit_application (organisation, provider);
create index credit_application_state on credit_application (state, asked_at);
create table credit_balance (
    organisation {text} not null, provider {text} not null, body {text} not null, read_at {int} not null,
    primary key (organisation, provider)
){strict};
create index credit_balance_read on credit_balance (read_at);
create table spend_line_credit (hold {text} not null, line {text} not null, price {int} not null, primary key (hold, line)){strict};
alter table spend_renewal add column roll_at {int}";
