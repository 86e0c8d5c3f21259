//! People, their browsers, and what connects orchestrators with accounts. Accounts that were there before get their owner, and
//! their orchestrator's connection, from what was recorded when they were opened; ids are derived from the account's.

pub const PEOPLE: &str = "create table cloud_person (
    id {text} primary key, email {text} not null, created_at {int} not null, claimed_at {int}, trusted_at {int} not null, retired_at {int}
){strict};
create unique index cloud_person_living on cloud_person (email) where retired_at is null;
insert into cloud_person (id, email, created_at, claimed_at, trusted_at, retired_at)
    select 'cpr' || substr(min(id), 4), email, min(created_at), null, max(created_at), null from cloud_account group by email;
create table cloud_membership (
    account {text} not null, person {text} not null, role {text} not null, added_at {int} not null,
    primary key (account, person)
){strict};
create index cloud_membership_person on cloud_membership (person);
insert into cloud_membership (account, person, role, added_at)
    select m.account, p.id, m.role, m.added_at from cloud_member m join cloud_person p on p.email = m.email;
drop table cloud_member;
create table cloud_session (
    id {text} primary key, token_hash {text} not null unique, person {text} not null,
    signed_in_at {int} not null, expires_at {int} not null, ended_at {int}
){strict};
create index cloud_session_person on cloud_session (person);
create table cloud_sign_in (
    attempt {text} primary key, email {text} not null, peer {text} not null, code_mac {blob} not null, tries {int} not null,
    created_at {int} not null, expires_at {int} not null, browser {text}, mailed_at {int}, used_at {int}
){strict};
create index cloud_sign_in_email on cloud_sign_in (email, created_at);
create index cloud_sign_in_peer on cloud_sign_in (peer, created_at);
create table cloud_link (
    id {text} primary key, account {text} not null, issuer {text} not null, subject {text} not null, attested {int} not null,
    organisation {text} not null, person {text}, state {text} not null, scopes {text} not null,
    created_at {int} not null, since {int}, used_at {int}, cut_at {int},
    unique (issuer, subject, attested, account)
){strict};
create unique index cloud_link_subject on cloud_link (issuer, subject, attested) where state = 'active';
create unique index cloud_link_account on cloud_link (issuer, account) where state = 'active';
create index cloud_link_of_account on cloud_link (account);
insert into cloud_link (id, account, issuer, subject, attested, organisation, person, state, scopes, created_at, since, used_at, cut_at)
    select 'lnk' || substr(id, 4), id, issuer, subject, attested, organisation, null, 'active',
        'resources:read resources:write purchases agents:control', created_at, created_at, null, null from cloud_account;
create table cloud_link_request (
    id {text} primary key, state {text} not null unique, issuer {text} not null, subject {text} not null, attested {int} not null,
    email {text} not null, organisation {text} not null, agent {text}, scopes {text} not null, request {text}, challenge {text},
    created_at {int} not null, expires_at {int} not null, mailed_at {int}, session {text}, outcome {text}, decided_at {int}
){strict};
create index cloud_link_request_email on cloud_link_request (email, created_at);
create index cloud_link_request_subject on cloud_link_request (issuer, subject, created_at);
alter table account_request add column subject {text};
update account_request set subject = (select subject from cloud_account a where a.id = account_request.account);
alter table provisioning_code add column link {text};
update provisioning_code set link = 'lnk' || substr(account, 4);
alter table provisioning_pair add column link {text};
update provisioning_pair set link = 'lnk' || substr(account, 4);
create index provisioning_pair_link on provisioning_pair (link);
update provisioning_answer set answer_key = 'lnk' || substr(scope, 4) || '/' || answer_key;
alter table cloud_resource add column link {text};
update cloud_resource set link = 'lnk' || substr(account, 4);
update cloud_resource set order_key = link || '/' || order_key where order_key is not null;
alter table api_token add column link {text};
update api_token set link = 'lnk' || substr(account, 4);
create index api_token_link on api_token (link)";

/// By which key an orchestrator asked.
pub const KEYS: &str = "alter table cloud_link_request add column key {text}";
