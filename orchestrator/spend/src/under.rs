//! Under which grants money moves when nobody of ours calls: a provider that charges, a date that falls due. The log says it as it
//! says it of an agent's own calls.

use purser_authority::Event;
use purser_db::{DbError, Tx};
use serde_json::{Value, json};

use crate::hold::Hold;
use crate::share;

/// The event with the agent and grant that bought, and those that it acts through, nearest first.
pub(crate) fn under(tx: &mut Tx<'_>, hold: &Hold, event: Event) -> Result<Event, DbError> {
    let shares = share::of_hold(tx, &hold.id)?;
    let chain: Vec<Value> = shares.iter().map(|share| json!({ "agent": share.agent, "grant": share.grant })).collect();
    let mut event = event;
    let ids = shares.iter().flat_map(|share| [share.agent.to_string(), share.grant.to_string()]);
    let fresh: Vec<String> = ids.filter(|id| !event.related.contains(id)).collect();
    event = event.related(fresh);
    let mut data = match std::mem::take(&mut event.data) {
        Value::Object(data) => data,
        _ => serde_json::Map::new(),
    };
    data.insert("under".to_owned(), chain.into());
    Ok(event.with(data.into()))
}
