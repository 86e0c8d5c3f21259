//! Several organisations for each person: invitations, the first owner's link, and who was stopped as a whole.

pub const ORGANISATIONS: &str = "
alter table person add column disabled_at {int};
alter table organisation add column disabled_at {int};
create table invitation (
    id {text} primary key, organisation {text} not null references organisation (id), email {text} not null, role {text} not null,
    token_hash {text} not null unique, invited_by {text} not null references person (id), created_at {int} not null,
    expires_at {int} not null, accepted_at {int}, accepted_by {text}, revoked_at {int}
){strict};
create index invitation_organisation on invitation (organisation, created_at);
create index invitation_email on invitation (email, created_at);
create table bootstrap_link (
    token_hash {text} primary key, created_at {int} not null, expires_at {int} not null, used_at {int}, used_by {text}
){strict}";
