//! What workloads of other issuers may do.

pub const WORKLOADS: &str = "
create table workload_trust (
    id {text} primary key, organisation {text} not null, person {text} not null, grant_id {text} not null, facts {text} not null,
    created_at {int} not null, removed_at {int}
){strict};
create index workload_trust_organisation on workload_trust (organisation, created_at)";
