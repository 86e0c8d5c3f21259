//! The tables of OAuth clients, of what they ask for, and of the sign-ons that follow.

pub const CLIENTS: &str = "
create table client (
    id {text} primary key, organisation {text}, trust {text} not null, metadata {text} not null, secret_hash {text},
    registration_token_hash {text}, peer {text} not null, created_at {int} not null, changed_at {int} not null, removed_at {int}
){strict};
create index client_peer on client (peer, created_at);
create index client_organisation on client (organisation, created_at);
create table client_assertion (replay {text} primary key, expires_at {int} not null){strict};
create index client_assertion_expires on client_assertion (expires_at);
create table authorization_request (
    id {text} primary key, handle {text} unique, client {text} not null, asked {text} not null, peer {text} not null,
    browser {text}, grant_request {text} unique, created_at {int} not null, expires_at {int} not null, answered_at {int}
){strict};
create index authorization_request_peer on authorization_request (peer, created_at);
create table authorization_code (
    code_hash {text} primary key, request {text} not null, client {text} not null, issue {text} not null,
    created_at {int} not null, expires_at {int} not null, used_at {int}, sign_on {text}, family {text}
){strict};
create index authorization_code_expires on authorization_code (expires_at);
create table client_consent (
    person {text} not null, client {text} not null, redirect {text} not null, scope {text} not null, accepted_at {int} not null,
    primary key (person, client, redirect)
){strict};
create table sign_on (
    id {text} primary key, client {text} not null, person {text} not null, organisation {text} not null, session {text} not null,
    facts {text} not null, jkt {text}, started_at {int} not null, expires_at {int} not null, ended_at {int}, ended_why {text},
    logged_out_at {int}
){strict};
create index sign_on_session on sign_on (session);
create index sign_on_person on sign_on (person, client);
create table sign_on_refresh (
    token_hash {text} primary key, sign_on {text} not null, issued_at {int} not null, expires_at {int} not null, used_at {int}
){strict};
create index sign_on_refresh_expires on sign_on_refresh (expires_at)";
