//! Time travel: telling where a database is, or was, and bringing that back.

use purser_values::Timestamp;
use purser_values::id::CloudAccountId;

use super::run::done;
use crate::error::StoreError;
use crate::stores::Stores;

/// Where a database is after a restore, and where it was before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    pub bookmark: String,
    pub previous: String,
}

/// What is to come back.
#[derive(Clone, Debug)]
pub enum To {
    Bookmark(String),
    Time(Timestamp),
}

impl Stores {
    /// The bookmark of now, or of the last commit at a time.
    ///
    /// # Errors
    /// When the account has no such database, or it was not kept for so long.
    pub async fn d1_bookmark(&self, account: &CloudAccountId, id: &str, at: Option<Timestamp>) -> Result<String, StoreError> {
        let done = self.d1_with(account, id, move |held, _| {
            let moment = at.map_or(Ok(held.history.moment()), |at| held.history.at(at))?;
            done(held, Vec::new(), moment)
        });
        Ok(done.await?.bookmark)
    }

    /// Makes a moment of the past the present; that which was the present can be brought back in the same way.
    ///
    /// # Errors
    /// When the account has no such database, or there is no such moment.
    pub async fn d1_restore(&self, account: &CloudAccountId, id: &str, to: To) -> Result<Restored, StoreError> {
        let (told, hear) = tokio::sync::oneshot::channel();
        let done = self.d1_with(account, id, move |held, call| {
            let moment = match to {
                To::Bookmark(bookmark) => held.history.find(&bookmark)?,
                To::Time(at) => held.history.at(at)?,
            };
            let previous = held.history.bookmark(held.history.moment());
            // the present becomes a part of the past, and what comes back is kept there and becomes the present
            let (present, back) = held.history.cost(moment)?;
            call.reserve_past(present.saturating_add(back), back)?;
            held.history.restore(moment)?;
            // nobody listens any more when the caller has gone
            let _ = told.send(previous);
            done(held, Vec::new(), held.history.moment())
        });
        let bookmark = done.await?.bookmark;
        Ok(Restored { bookmark, previous: hear.await.map_err(StoreError::internal)? })
    }
}
