//! When each signing key does what. Keys that were there sign since they were made; one that was retired stays for the life of a grant.

pub const KEYS: &str = "
alter table signing_key add column signs_from {int};
alter table signing_key add column leaves_at {int};
alter table signing_key add column begun_at {int};
alter table signing_key add column left_at {int};
update signing_key set signs_from = created_at, begun_at = created_at;
update signing_key set leaves_at = retired_at + 7776000000000 where retired_at is not null";
