//! The tables of this room. Each file reads and writes the tables it is named after; nobody else does.

mod budgets;
mod closing;
mod credits;
mod marks;
mod rates;
mod seller;

use purser_db::Migrations;

/// Accounts and the movements between them, which are never changed.
const LEDGER: &str = "create table ledger_account (
    id {text} primary key, currency {text} not null, balance {int} not null
){strict};
create table ledger_transfer (
    id {text} primary key, reason {text} not null, source {text} not null, target {text} not null,
    amount {int} not null check (amount > 0), currency {text} not null, subject {text} not null, at {int} not null
){strict};
create index ledger_transfer_subject on ledger_transfer (subject)";

/// Ceilings that persons set, and the book of each agent, provider and month that they open.
const CAPS: &str = "create table spend_cap (
    agent {text} not null, provider {text} not null, organisation {text} not null,
    amount {int} not null check (amount >= 0), currency {text} not null, set_by {text} not null, set_at {int} not null,
    primary key (agent, provider)
){strict};
create table spend_book (
    agent {text} not null, provider {text} not null, month {text} not null, organisation {text} not null,
    currency {text} not null, cap {int} not null,
    primary key (agent, provider, month)
){strict};
create index spend_book_organisation on spend_book (organisation, month);
create table spend_alert (
    agent {text} not null, provider {text} not null, month {text} not null, threshold {int} not null, cap {int} not null,
    at {int} not null,
    primary key (agent, provider, month, threshold, cap)
){strict};
create table spend_freeze (agent {text} primary key, since {int} not null){strict}";

/// Payment methods: what the rail knows them by, never a number.
const METHODS: &str = "create table payment_method (
    id {text} primary key, organisation {text} not null, rail {text} not null, reference {text} not null,
    brand {text} not null, last4 {text} not null, state {text} not null, added_by {text} not null, added_at {int} not null
){strict};
create index payment_method_organisation on payment_method (organisation, added_at)";

/// Holds with their lines, payment tokens, charges, disputes and what comes again.
const PURCHASES: &str = "create table spend_hold (
    id {text} primary key, organisation {text} not null, agent {text} not null, grant_id {text} not null,
    provider {text} not null, project {text} not null, resource {text} not null, payment_method {text} not null,
    currency {text} not null, amount {int} not null, quote_id {text} not null, quote_digest {text} not null,
    state {text} not null, request_key {text} not null, request_digest {text} not null,
    created_at {int} not null, expires_at {int} not null,
    unique (agent, request_key)
){strict};
create index spend_hold_open on spend_hold (state, expires_at);
create index spend_hold_resource on spend_hold (resource);
create table spend_hold_line (
    hold {text} not null, line {text} not null, period {text} not null, month {text} not null,
    description {text} not null, amount {int} not null, recurs {text} not null, state {text} not null, charge {text},
    primary key (hold, line, period)
){strict};
create table payment_token (
    id {text} primary key, hash {text} not null unique, prefix {text} not null, hold {text} not null unique,
    organisation {text} not null, agent {text} not null, provider {text} not null, state {text} not null,
    created_at {int} not null, expires_at {int} not null
){strict};
create index payment_token_prefix on payment_token (prefix);
create table spend_charge (
    id {text} primary key, provider {text} not null, request_key {text} not null, request_digest {text} not null,
    organisation {text}, agent {text}, hold {text}, line {text}, period {text}, token {text},
    amount {int} not null, currency {text} not null, remote_resource {text}, state {text} not null,
    code {text}, message {text}, rail_reference {text}, begun_at {int} not null, ended_at {int},
    unique (provider, request_key)
){strict};
create index spend_charge_hold on spend_charge (hold);
create index spend_charge_organisation on spend_charge (organisation, begun_at);
create index spend_charge_state on spend_charge (state, begun_at);
create table spend_dispute (
    charge {text} primary key, provider {text} not null, organisation {text}, code {text} not null, at {int} not null
){strict};
create table spend_renewal (
    hold {text} not null, line {text} not null, next_at {int} not null, state {text} not null,
    primary key (hold, line)
){strict};
create index spend_renewal_due on spend_renewal (state, next_at)";

/// The agents and grants that a purchase counts against, and the ceilings of grants over their whole life. What was held before
/// there were any counts against its own agent.
const SHARES: &str = "create table spend_hold_share (
    hold {text} not null, depth {int} not null, agent {text} not null, grant_id {text} not null, total {int}, currency {text},
    primary key (hold, depth)
){strict};
create index spend_hold_share_agent on spend_hold_share (agent);
create table spend_total (
    grant_id {text} primary key, organisation {text} not null, currency {text} not null, amount {int} not null check (amount >= 0)
){strict};
insert into spend_hold_share (hold, depth, agent, grant_id) select id, 0, agent, grant_id from spend_hold";

/// The embedded sandbox rail's own memory; a real processor keeps this at its side.
const SANDBOX_RAIL: &str = "create table rail_sandbox_card (
    reference {text} primary key, card {text} not null, authenticated {int} not null
){strict};
create table rail_sandbox_charge (
    request_key {text} primary key, card {text} not null, amount {int} not null, currency {text} not null,
    outcome {text} not null, reference {text} not null
){strict}";

/// What providers give back, and what they should have.
const REFUNDS: &str = "create table spend_refund (
    id {text} primary key, charge {text} not null, provider {text} not null, request_key {text} not null,
    request_digest {text} not null, organisation {text} not null, agent {text} not null,
    amount {int} not null check (amount > 0), currency {text} not null, reason {text} not null, state {text} not null,
    code {text}, message {text}, rail_reference {text}, begun_at {int} not null, ended_at {int},
    unique (provider, request_key)
){strict};
create index spend_refund_charge on spend_refund (charge);
create index spend_refund_organisation on spend_refund (organisation, begun_at);
create index spend_refund_state on spend_refund (state, begun_at);
create table spend_refund_due (
    charge {text} primary key, organisation {text} not null, agent {text} not null, provider {text} not null,
    resource {text} not null, state {text} not null, since {int} not null, until {int} not null, disputed_at {int}
){strict};
create index spend_refund_due_until on spend_refund_due (state, until);
create index spend_refund_due_organisation on spend_refund_due (organisation, state);
create table rail_sandbox_refund (
    request_key {text} primary key, charge {text} not null, amount {int} not null, currency {text} not null,
    outcome {text} not null, reference {text} not null
){strict};
create index rail_sandbox_refund_charge on rail_sandbox_refund (charge)";

/// Ceilings over anything a purchase belongs to, the periods they were used in, and which lines count there.
const CEILINGS: &str = "create table spend_ceiling (
    organisation {text} not null, scope {text} not null, subject {text} not null, period {text} not null,
    amount {int} not null check (amount >= 0), currency {text} not null, set_by {text} not null, set_at {int} not null,
    primary key (organisation, scope, subject, period)
){strict};
create table spend_ceiling_window (
    id {text} primary key, organisation {text} not null, scope {text} not null, subject {text} not null, period {text} not null,
    amount {int} not null, currency {text} not null, ends {int}
){strict};
create index spend_ceiling_window_rule on spend_ceiling_window (organisation, scope, subject, period);
create table spend_line_window (
    hold {text} not null, line {text} not null, period {text} not null, ceiling {text} not null,
    primary key (hold, line, period, ceiling)
){strict};
create index spend_line_window_ceiling on spend_line_window (ceiling);
create table spend_zone (organisation {text} primary key, zone {text} not null){strict};
alter table spend_hold add column environment {text};
alter table spend_hold add column categories {text} not null default '[]'";

/// Due dates are counted from the first charge of a line.
const RENEWALS: &str = "alter table spend_renewal add column anchor {int};
alter table spend_renewal add column number {int} not null default 0;
update spend_renewal set anchor = next_at";

/// The rows that every hold writes, in the trees they are looked up by and no others: a movement by what it is for, a line and a share
/// by their hold; and the holds that are still open, by when they end.
const LEAN: &str = "create table ledger_movement (
    subject {text} not null, id {text} not null, reason {text} not null, source {text} not null, target {text} not null,
    amount {int} not null check (amount > 0), currency {text} not null, at {int} not null,
    primary key (subject, id)
){clustered};
insert into ledger_movement (subject, id, reason, source, target, amount, currency, at)
    select subject, id, reason, source, target, amount, currency, at from ledger_transfer;
drop table ledger_transfer;
alter table ledger_movement rename to ledger_transfer;
create table spend_share (
    hold {text} not null, depth {int} not null, agent {text} not null, grant_id {text} not null, total {int}, currency {text},
    primary key (hold, depth)
){clustered};
insert into spend_share (hold, depth, agent, grant_id, total, currency)
    select hold, depth, agent, grant_id, total, currency from spend_hold_share;
drop table spend_hold_share;
alter table spend_share rename to spend_hold_share;
create table spend_line (
    hold {text} not null, line {text} not null, period {text} not null, month {text} not null,
    description {text} not null, amount {int} not null, recurs {text} not null, state {text} not null, charge {text},
    primary key (hold, line, period)
){clustered};
insert into spend_line (hold, line, period, month, description, amount, recurs, state, charge)
    select hold, line, period, month, description, amount, recurs, state, charge from spend_hold_line;
drop table spend_hold_line;
alter table spend_line rename to spend_hold_line;
drop index spend_hold_open;
create index spend_hold_open on spend_hold (expires_at) where state = 'open'";

/// What rails ask of people and tell us: setups, charges that wait for their person, messages taken, chargebacks.
const RAILS: &str = "create table payment_setup (
    id {text} primary key, organisation {text} not null, person {text} not null, rail {text} not null, reference {text},
    state {text} not null, payment_method {text}, opened_at {int} not null, expires_at {int} not null
){strict};
create index payment_setup_organisation on payment_setup (organisation, state);
create table spend_charge_confirmation (
    charge {text} primary key, organisation {text} not null, agent {text} not null, since {int} not null, until {int} not null
){strict};
create index spend_charge_confirmation_organisation on spend_charge_confirmation (organisation);
create index spend_charge_rail_reference on spend_charge (rail_reference);
create table rail_event (rail {text} not null, id {text} not null, at {int} not null, primary key (rail, id)){strict};
create table spend_chargeback (
    rail {text} not null, reference {text} not null, charge {text} not null, organisation {text} not null, agent {text} not null,
    provider {text} not null, payment_method {text} not null, amount {int} not null, currency {text} not null,
    reason {text} not null, state {text} not null, since {int} not null, ended_at {int}, lifted_by {text}, lifted_at {int},
    primary key (rail, reference)
){strict};
create index spend_chargeback_method on spend_chargeback (payment_method, provider);
create index spend_chargeback_organisation on spend_chargeback (organisation, since);
create table rail_sandbox_setup (reference {text} primary key, back {text} not null, card {text}){strict};
alter table payment_method add column stopped {text} not null default '[]';
alter table rail_sandbox_charge add column provider {text} not null default ''";

/// What the reconciler found, and whether the operator has looked at it.
const DIFFERENCES: &str = "create table ledger_difference (
    place {text} not null, off_minor {int} not null, currency {text} not null, what {text} not null,
    found_at {int} not null, acknowledged_at {int},
    primary key (place, off_minor)
){strict}";

/// Transfers are never changed or removed, whoever writes to the database with our own rights.
const FOR_GOOD: &str = "{sqlite}create trigger ledger_transfer_stays before update on ledger_transfer
begin select raise(abort, 'a transfer is never changed'); end;
create trigger ledger_transfer_remains before delete on ledger_transfer
begin select raise(abort, 'a transfer is never removed'); end{both}{postgres}create function ledger_transfer_stays() returns trigger language plpgsql as
$$ begin raise exception 'a transfer is never changed or removed'; end $$;
create trigger ledger_transfer_stays before update or delete or truncate on ledger_transfer
for each statement execute function ledger_transfer_stays(){both}";

/// A purchase of an agent that acts through nobody and whose grant has no total says in its own row who pays, and has no row for it.
const ALONE: &str = "alter table spend_hold add column alone {int} not null default 0";

pub const MIGRATIONS: Migrations = Migrations {
    domain: "spend",
    steps: &[
        LEDGER,
        CAPS,
        METHODS,
        PURCHASES,
        SANDBOX_RAIL,
        REFUNDS,
        SHARES,
        CEILINGS,
        RENEWALS,
        LEAN,
        RAILS,
        budgets::BUDGETS,
        DIFFERENCES,
        FOR_GOOD,
        marks::MARKS,
        rates::RATES,
        credits::CREDITS,
        budgets::BUDGETS_LOOKED_AT,
        ALONE,
        closing::CLOSING,
        seller::SELLER,
    ],
};
