//! `registry_poll`: reads what the registry says by itself.
//!
//! A message is kept in the write that draws its consequences, and acknowledged after it: one that comes again after a crash is known by
//! its id and has no second consequence. What it says is never believed of a name: it only makes us ask for it ([`super::look`]).

use purser_db::{DbError, Tx, params};
use purser_values::Timestamp;

use super::State;
use super::news::{News, add};
use crate::registrar::Registrar;
use crate::registry::{Message, RegistryError};
use crate::store;

/// The most messages that one run reads.
const BATCH: u32 = 100;
/// How long messages are kept, in seconds.
const KEPT_S: i64 = 90 * 86_400;
/// Characters that are kept of one.
const TEXT_CHARS: usize = 1_000;

#[derive(Debug, thiserror::Error)]
pub enum PollError {
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(transparent)]
    Store(#[from] DbError),
}

/// Reads messages until there are none, or enough for one run. Answers how many.
///
/// # Errors
/// When the registry or the store fails; what was not acknowledged comes again.
pub async fn registry_poll(registrar: &Registrar) -> Result<u32, PollError> {
    for read in 0..BATCH {
        let Some(message) = registrar.registry.poll().await? else { return Ok(read) };
        let (kept, now) = (message.clone(), registrar.env.now());
        registrar.db.write(move |tx| keep(tx, &kept, now)).await?;
        registrar.registry.acknowledge(&message.id).await?;
    }
    Ok(BATCH)
}

fn keep(tx: &mut Tx<'_>, message: &Message, now: Timestamp) -> Result<(), DbError> {
    let text: String = message.text.chars().filter(|c| !c.is_control()).take(TEXT_CHARS).collect();
    let insert = "insert into registry_message (id, text, received_at) values ($1, $2, $3) on conflict (id) do nothing";
    if tx.execute(insert, params![message.id, text, now])? == 0 {
        return Ok(());
    }
    tx.execute("delete from registry_message where received_at < $1", params![now.plus_secs(-KEPT_S)])?;
    for name in &message.about {
        let Some(domain) = store::live_by_name(tx, name)? else { continue };
        if !matches!(domain.state, State::Registered { .. } | State::Detached { .. }) {
            continue;
        }
        store::look_at(tx, &domain.id, now)?;
        if message.transfer_asked {
            add(tx, &domain.id, News::TransferAsked, now)?;
        }
    }
    Ok(())
}
