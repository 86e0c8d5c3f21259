//! What is on a queue.

use purser_db::{Tx, params};
use purser_values::Timestamp;
use purser_values::id::CloudAccountId;

use super::manage::find_named;
use crate::error::StoreError;
use crate::stores::Stores;

/// What is on a queue, with what somebody works on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    pub messages: i64,
    pub bytes: i64,
    /// When the message was sent that is due first.
    pub oldest: Option<Timestamp>,
}

impl Stores {
    /// # Errors
    /// When the account has no such queue.
    pub async fn queue_metrics(&self, account: &CloudAccountId, name: &str) -> Result<Metrics, StoreError> {
        let (account, name) = (account.clone(), name.to_owned());
        self.look(move |tx| {
            let queue = find_named(tx, &account, &name)?;
            of(tx, &queue.id)
        })
        .await
    }
}

pub(super) fn of(tx: &mut Tx<'_>, queue: &str) -> Result<Metrics, StoreError> {
    let row = tx.query_one("select messages, bytes from queue where id = $1", params![queue])?;
    let first = tx.query_opt("select sent_at from queue_message where queue = $1 order by visible_at limit 1", params![queue])?;
    let oldest = first.map(|row| row.get("sent_at")).transpose()?;
    Ok(Metrics { messages: row.get("messages")?, bytes: row.get("bytes")?, oldest })
}
