//! Whose session at their company a session here followed from, so that the company can end it.

pub const COMPANY_LOGOUT: &str = "
alter table session add column sso_subject {text};
alter table session add column sso_sid {text};
create index session_sso_subject on session (sso_subject) where sso_subject is not null;
create index session_sso_sid on session (sso_sid) where sso_sid is not null";
