//! `domain_look`: what the registry says of a name that ran out, or that a message told of. Its word is what we go by; our own clock only
//! says when to ask.

use purser_db::{DbError, Tx, params};
use purser_values::Timestamp;
use purser_values::id::DomainId;

use super::change::{Change, is_given_back, wish};
use super::news::{News, add};
use super::{Domain, Ending, State};
use crate::registrar::Registrar;
use crate::registry::RegistryError;
use crate::store;

/// The most names that one run asks for.
const BATCH: u32 = 100;
/// How long after a look a name that has run out is looked at again, in seconds.
pub const AGAIN_S: i64 = 6 * 3_600;

/// How long a name that has run out stays in the world, in seconds: as long as its bill may be late.
pub const PATIENCE_S: i64 = 8 * 86_400;

/// When a name that ends then is first looked at.
pub(crate) const fn first(expires_at: Timestamp) -> Timestamp {
    expires_at.plus_secs(PATIENCE_S)
}

/// What the registry says.
enum Seen {
    /// It is ours.
    Held {
        expires_at: Timestamp,
        deleted: bool,
    },
    Gone(Ending),
}

/// Asks for every name that is due. Run now and then.
///
/// # Errors
/// When the store fails; a registry without an answer is logged and asked by the next run.
pub async fn domain_look(registrar: &Registrar) -> Result<(), DbError> {
    let now = registrar.env.now();
    for domain in registrar.db.read(move |tx| store::to_look_at(tx, now, BATCH)).await? {
        let seen = match registrar.registry.info(&domain.name).await {
            Ok(Some(held)) => Seen::Held { expires_at: held.expires_at, deleted: held.deleted },
            Ok(None) => Seen::Gone(Ending::Expired),
            Err(RegistryError::Taken) => Seen::Gone(Ending::Moved),
            Err(e) => {
                tracing::warn!(domain = %domain.name, error = %e, "the registry does not say what became of a domain");
                continue;
            }
        };
        let now = registrar.env.now();
        registrar.db.write(move |tx| note(tx, &domain.id, &seen, now)).await?;
    }
    Ok(())
}

fn note(tx: &mut Tx<'_>, id: &DomainId, seen: &Seen, now: Timestamp) -> Result<(), DbError> {
    let Some(domain) = store::by_id(tx, id)? else { return Ok(()) };
    if !matches!(domain.state, State::Registered { .. } | State::Detached { .. }) {
        return Ok(());
    }
    let was: String = tx.query_one("select phase from domain where id = $1", params![id])?.get("phase")?;
    match seen {
        // An order of ours took it away, and its answer was lost.
        Seen::Gone(_) if is_given_back(tx, id)? => store::end(tx, id, Ending::Deleted),
        Seen::Gone(why) => {
            tracing::warn!(domain = %domain.name, why = why.as_str(), "a registration is over");
            store::end(tx, id, *why)
        }
        Seen::Held { deleted: true, .. } => {
            if was != "redemption" {
                add(tx, id, News::Redemption, now)?;
            }
            enter(tx, id, "redemption", now.plus_secs(AGAIN_S))
        }
        Seen::Held { expires_at, .. } if first(*expires_at) <= now => {
            if was == "live" {
                hold(tx, &domain, true, now)?;
                add(tx, id, News::Expired, now)?;
            }
            enter(tx, id, "expired", now.plus_secs(AGAIN_S))
        }
        Seen::Held { expires_at, .. } => {
            if was != "live" {
                hold(tx, &domain, false, now)?;
                add(tx, id, News::Back, now)?;
            }
            tx.execute("update domain set expires_at = $2 where id = $1", params![id, expires_at])?;
            enter(tx, id, "live", first(*expires_at))
        }
    }
}

/// A detached name is served to nobody as it is.
fn hold(tx: &mut Tx<'_>, domain: &Domain, held: bool, now: Timestamp) -> Result<(), DbError> {
    match domain.state {
        State::Registered { .. } => wish(tx, domain, &Change::Hold(held), now).map(drop),
        _ => Ok(()),
    }
}

fn enter(tx: &mut Tx<'_>, id: &DomainId, phase: &'static str, look_at: Timestamp) -> Result<(), DbError> {
    tx.execute("update domain set phase = $2, look_at = $3 where id = $1", params![id, phase, look_at]).map(drop)
}
