//! A person's yes to one exact request.

pub const APPROVAL: &str = "
create table approval (
    id {text} primary key, organisation {text} not null, agent {text}, grant_id {text}, requester {text} not null,
    verb {text} not null, request {text} not null, digest {text} not null, facts {text} not null, reason {text} not null,
    second_person {int} not null, state {text} not null, created_at {int} not null, expires_at {int} not null,
    decided_at {int}, decided_by {text}, used_at {int}, used_for {text}
){strict};
create index approval_organisation on approval (organisation, created_at);
create index approval_pending on approval (agent, state, expires_at)";
