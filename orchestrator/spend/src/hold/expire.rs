//! Holds that nobody charged in time go back.

use purser_authority::{Caller, Done, Event};
use purser_db::{DbError, Tx, params};
use purser_values::Env;
use purser_values::id::HoldId;
use serde_json::json;

use super::find;
use super::release::give_back;
use crate::{limits, renewal, token};

/// Releases holds whose time is over, a batch at a time. Answers how many; call again until it is none.
///
/// # Errors
/// When the store fails.
pub fn expire(tx: &mut Tx<'_>, env: &Env) -> Result<Done<usize>, DbError> {
    let due = "select id, expires_at from spend_hold where state = 'open' and expires_at <= $1
               union all select id, expires_at from spend_hold where state = 'closing' and expires_at <= $1
               order by expires_at limit $2";
    let rows = tx.query(due, params![env.now(), limits::BATCH])?;
    let mut done = Done::quiet(rows.len());
    for row in rows {
        let id: HoldId = row.parse("id")?;
        let hold = find(tx, &id)?.ok_or(DbError::NoRow)?;
        let given_back = give_back(tx, env, &hold)?;
        // What comes again can be paid later, once a person has made room: then the money is set aside anew, and not before.
        if !renewal::lapse(tx, &hold.id)? {
            token::end_of_hold(tx, &hold.id)?;
        }
        done = done.and_event(
            Event::done("hold_expire", &Caller::System, id.as_str())
                .in_organisation(&hold.spender.organisation)
                .related([hold.resource.as_str(), hold.spender.agent.as_str()])
                .with(json!({"released": given_back, "provider": hold.provider})),
        );
    }
    Ok(done)
}
