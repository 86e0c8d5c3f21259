//! How a text was accepted, and which agent had asked.

pub const TERMS_LEDGER: &str = "
alter table terms_acceptance add column method {text} not null default 'consent page';
alter table terms_acceptance add column agent {text}";
