//! Sign-in through a company's OpenID provider.

pub const SSO: &str = "
create table sso_identity (
    id {text} primary key, person {text} not null, issuer {text} not null, subject {text} not null, connection {text} not null,
    email {text} not null, linked_at {int} not null, last_used_at {int}, unique (issuer, subject), unique (person, issuer)
){strict};
create table sso_attempt (
    state_hash {text} primary key, connection {text} not null, purpose {text} not null, session {text}, browser {text} not null,
    going {text} not null, peer {text} not null, created_at {int} not null, expires_at {int} not null, used_at {int}
){strict};
create index sso_attempt_peer on sso_attempt (peer, expires_at);
alter table session add column sso {text}";
