//! What a caller may look at, of what it can name.
//!
//! To a person of the organisation all of it is visible; to an agent only what lies in the projects and at the providers of its
//! grant. Whatever is not visible does not exist, so that a guessed id tells nothing.

use purser_authority::action::ResourceRead;
use purser_db::{DbError, Tx};
use purser_flow::Record;
use purser_identity::CallContext;
use purser_values::Timestamp;
use purser_values::id::ResourceId;
use serde_json::Value;

use crate::account_link;
use crate::resource::permit_on;
use crate::store::resource::{self, Resource};

/// The resource, if the caller may look at it.
///
/// # Errors
/// When the store fails.
pub fn resource_visible(tx: &mut Tx<'_>, context: &CallContext, now: Timestamp, id: &ResourceId) -> Result<Option<Resource>, DbError> {
    let Some(row) = resource::get(tx, id)? else { return Ok(None) };
    let may = permit_on::<ResourceRead>(context, &row, now).is_ok();
    Ok(may.then_some(row))
}

/// Whether the caller may follow the saga: it is the organisation's, and to an agent it is about a resource that it may look at,
/// or about an account that it asked for itself.
///
/// # Errors
/// When the store fails.
pub fn saga_visible(tx: &mut Tx<'_>, context: &CallContext, now: Timestamp, record: &Record) -> Result<bool, DbError> {
    if context.caller.organisation().is_none_or(|own| own.as_str() != record.owner) {
        return Ok(false);
    }
    if context.caller.agent().is_none() || account_link::is_of(record, &context.caller) {
        return Ok(true);
    }
    let state: Value = serde_json::from_str(&record.state).unwrap_or_default();
    match state["resource"].as_str().and_then(|id| id.parse().ok()) {
        Some(id) => Ok(resource_visible(tx, context, now, &id)?.is_some()),
        None => Ok(false),
    }
}
