//! The payment token of a resource that is being made, sealed.
//!
//! Its text exists once, in the write that issues it, so its sealed form goes down with that write.

use purser_db::{DbError, Tx, params};
use purser_values::id::ResourceId;

pub fn keep(tx: &mut Tx<'_>, resource: &ResourceId, sealed: &str) -> Result<(), DbError> {
    let upsert =
        "insert into resource_payment (resource, sealed) values ($1, $2) on conflict (resource) do update set sealed = excluded.sealed";
    tx.execute(upsert, params![resource, sealed]).map(drop)
}

pub fn text(tx: &mut Tx<'_>, resource: &ResourceId) -> Result<Option<String>, DbError> {
    tx.query_opt("select sealed from resource_payment where resource = $1", params![resource])?.map(|row| row.get("sealed")).transpose()
}

/// Once the resource is live, nobody needs it again: renewals are charged by the provider, which has it.
pub fn forget(tx: &mut Tx<'_>, resource: &ResourceId) -> Result<(), DbError> {
    tx.execute("delete from resource_payment where resource = $1", params![resource]).map(drop)
}
