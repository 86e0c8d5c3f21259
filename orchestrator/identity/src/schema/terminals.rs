//! Terminals that a person let in: since when and from where, and when that person had proved that they were there.

pub const TERMINALS: &str = "
alter table grant_request add column present_at {int};
alter table person_token add column issued_at {int};
alter table person_token add column peer {text};
create index person_token_person on person_token (person, expires_at)";
