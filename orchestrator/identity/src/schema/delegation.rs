//! Grants that are derived from other grants, and the agents that were let in that way.

pub const DELEGATION: &str = "
alter table agent add column parent {text};
create index agent_parent on agent (parent) where parent is not null;
alter table agent_grant add column parent {text};
create index agent_grant_parent on agent_grant (parent) where parent is not null";
