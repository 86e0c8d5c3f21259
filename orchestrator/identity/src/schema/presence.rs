//! When a person last proved that they are there, how and where a session began, and the codes for a second proof.

pub const PRESENCE: &str = "
alter table session add column present_at {int};
alter table session add column method {text};
alter table session add column peer {text};
alter table session add column browser {text};
update session set present_at = signed_in_at;
create index session_person on session (person, expires_at);
alter table person_token add column present_at {int};
create table presence_code (
    id {text} primary key, person {text} not null, session {text} not null, purpose {text} not null, email {text} not null,
    code_mac {blob} not null, tries {int} not null, created_at {int} not null, expires_at {int} not null, used_at {int}
){strict};
create index presence_code_person on presence_code (person, created_at);
create index presence_code_session on presence_code (session, purpose, created_at)";
