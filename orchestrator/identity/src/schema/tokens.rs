//! Access tokens that ended before their time, and statements of others that count once.

pub const TOKENS: &str = "
create table revoked_token (jti {text} primary key, expires_at {int} not null){strict};
create index revoked_token_expires on revoked_token (expires_at);
create table spent_statement (replay {text} primary key, expires_at {int} not null){strict};
create index spent_statement_expires on spent_statement (expires_at);
create index authorization_code_family on authorization_code (family) where family is not null";
