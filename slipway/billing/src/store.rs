//! The tables of this crate. Each module reads and writes its own; here they stand side by side so that the whole is seen.

use purser_db::Migrations;

pub const MIGRATIONS: Migrations =
    Migrations { domain: "billing", steps: &[SUBSCRIPTIONS, MONEY, DOCUMENTS, USE, CREDITS, FOR_GOOD, RELEASES] };

/// What is due when. `change_*` is a plan that takes over at `change_at`.
const SUBSCRIPTIONS: &str = "create table bill_subscription (
    resource {text} primary key, account {text} not null, kind {text} not null, plan {text} not null,
    price_minor {int} not null, currency {text} not null, prices {text} not null,
    anchor {int} not null, months {int} not null, number {int} not null,
    state {text} not null, since {int} not null, tries {int} not null, told {int} not null,
    renews {int} not null, next_at {int} not null,
    quote {text} not null, line {text} not null, usage_line {text}, token {blob},
    change_plan {text}, change_price {int}, change_prices {text}, change_at {int},
    change_quote {text}, change_line {text}, change_usage_line {text}, change_token {blob},
    created_at {int} not null
){strict};
create index bill_subscription_account on bill_subscription (account);
create index bill_subscription_due on bill_subscription (state, next_at)";

/// What was asked of the payer, and what was given back.
const MONEY: &str = "create table bill_charge (
    id {text} primary key, resource {text} not null, account {text} not null, purpose {text} not null, period {text} not null,
    attempt {int} not null, amount_minor {int} not null, currency {text} not null, state {text} not null,
    orchestrator_charge {text}, refunded_minor {int} not null, invoice {text}, code {text}, message {text},
    created_at {int} not null, settled_at {int},
    unique (resource, purpose, period, attempt)
){strict};
create index bill_charge_open on bill_charge (resource, state);
create table bill_refund (
    id {text} primary key, charge {text} not null, resource {text} not null, account {text} not null,
    amount_minor {int} not null, currency {text} not null, reason {text} not null, description {text} not null, state {text} not null,
    code {text}, message {text}, created_at {int} not null, settled_at {int}
){strict};
create index bill_refund_resource on bill_refund (resource, state);
create index bill_refund_state on bill_refund (state);
create table bill_request (
    id {text} primary key, account {text} not null, resource {text} not null, reason {text} not null, answer {text} not null,
    deadline {int} not null, asked_at {int} not null
){strict};
create index bill_request_account on bill_request (account, asked_at)";

/// Invoices and credit notes, as they were issued, and the last number of each series.
const DOCUMENTS: &str = "create table bill_series (series {text} primary key, last {int} not null){strict};
create table bill_document (
    number {text} primary key, series {text} not null, position {int} not null, account {text} not null, resource {text} not null,
    issued_at {int} not null, total_minor {int} not null, currency {text} not null, body {text} not null, digest {text} not null,
    unique (series, position)
){strict};
create index bill_document_account on bill_document (account, issued_at)";

/// What was used, under which prices, and the blocks of money that are set aside for it.
const USE: &str = "create table bill_usage (
    resource {text} not null, number {int} not null, name {text} not null, start_at {int} not null, end_at {int},
    prices {text} not null, quote {text} not null, line {text}, token {blob}, state {text} not null,
    primary key (resource, number)
){strict};
create table bill_count (
    resource {text} not null, number {int} not null, script {text} not null, meter {text} not null, quantity {int} not null,
    primary key (resource, number, script, meter)
){strict};
create table bill_batch (id {text} primary key, at {int} not null){strict};
create index bill_batch_at on bill_batch (at);
create table bill_block (
    resource {text} not null, number {int} not null, block {int} not null, amount_minor {int} not null, currency {text} not null,
    state {text} not null, code {text}, asked_at {int} not null,
    primary key (resource, number, block)
){strict}";

/// What was given under programmes, where it is, and whom it was given to; those names stay for ever.
const CREDITS: &str = "create table bill_credit (
    id {text} primary key, account {text} not null, programme {text} not null, issuer {text} not null, application {text} not null,
    evidence {text} not null, currency {text} not null, given_minor {int} not null check (given_minor > 0), covers {text} not null,
    redeemed_at {int} not null, expires_at {int} not null, told {int} not null, state {text} not null,
    unique (issuer, application)
){strict};
create index bill_credit_account on bill_credit (account, expires_at);
create table bill_credit_name (
    programme {text} not null, name {text} not null, credit {text} not null, at {int} not null, primary key (programme, name)
){strict};
create table bill_credit_book (
    credit {text} not null, place {text} not null, balance {int} not null, primary key (credit, place)
){strict};
create table bill_credit_transfer (
    id {text} primary key, credit {text} not null, source {text} not null, target {text} not null,
    amount_minor {int} not null check (amount_minor > 0), subject {text} not null, at {int} not null
){strict};
create index bill_credit_transfer_credit on bill_credit_transfer (credit, at);
create table bill_credit_hold (
    subject {text} not null, credit {text} not null, held_minor {int} not null, spent_minor {int} not null,
    primary key (subject, credit)
){strict};
alter table bill_charge add column credit_minor {int} not null default 0;
alter table bill_refund add column credit_minor {int} not null default 0";

/// Movements of credit are never changed or removed, whoever writes to the database with our own rights.
const FOR_GOOD: &str = "{sqlite}create trigger bill_credit_transfer_stays before update on bill_credit_transfer
begin select raise(abort, 'a transfer is never changed'); end;
create trigger bill_credit_transfer_remains before delete on bill_credit_transfer
begin select raise(abort, 'a transfer is never removed'); end{both}{postgres}create function bill_credit_transfer_stays()
returns trigger language plpgsql as
$$ begin raise exception 'a transfer is never changed or removed'; end $$;
create trigger bill_credit_transfer_stays before update or delete or truncate on bill_credit_transfer
for each statement execute function bill_credit_transfer_stays(){both}";

/// When the payer was told that a block is not needed.
const RELEASES: &str = "alter table bill_block add column released_at {int}";
