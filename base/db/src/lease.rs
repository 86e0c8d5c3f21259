//! One node at a time, for what must not be done twice at once outside the database.
//!
//! A lease is a row with a name, a holder and an end. It keeps several nodes on one PostgreSQL out of each other's way; SQLite has one
//! process, which needs no row for that. INVARIANT (lease-ends): a holder that dies holds nothing longer than the lease lasts, so a lease
//! saves work and never stands for a right: what must hold for money or access is in the rows that the work writes.

use std::time::Duration;

use purser_values::Env;

use crate::db::Db;
use crate::error::DbError;
use crate::params;
use crate::tx::Engine;

pub(crate) const TABLE: &str = "create table lease (name {text} primary key, holder {text} not null, until {int} not null){strict}";

/// How often one who waits looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A held lease; dropping it gives it back.
#[derive(Debug)]
pub struct Lease {
    held: Option<(Db, String, String)>,
}

impl Lease {
    /// Waits for the lease `name` and holds it for `seconds` at most.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn take(db: &Db, env: &Env, name: &str, seconds: i64) -> Result<Self, DbError> {
        if db.engine() == Engine::Sqlite {
            return Ok(Self { held: None });
        }
        let holder: String = env.bytes::<16>().iter().map(|b| format!("{b:02x}")).collect();
        loop {
            let (now, name_in, holder_in) = (env.now(), name.to_owned(), holder.clone());
            let taken = db.write::<_, DbError, _>(move |tx| {
                let take = "insert into lease (name, holder, until) values ($1, $2, $3) on conflict (name)
                            do update set holder = excluded.holder, until = excluded.until where lease.until <= $4";
                tx.execute(take, params![name_in, holder_in, now.plus_secs(seconds), now])
            });
            match taken.await {
                Ok(0) | Err(DbError::Contention) => tokio::time::sleep(LOOK_AGAIN).await,
                Ok(_) => return Ok(Self { held: Some((db.clone(), name.to_owned(), holder)) }),
                Err(e) => return Err(e),
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let (Some((db, name, holder)), Ok(runtime)) = (self.held.take(), tokio::runtime::Handle::try_current()) else { return };
        runtime.spawn(async move {
            let give_back =
                move |tx: &mut crate::tx::Tx<'_>| tx.execute("delete from lease where name = $1 and holder = $2", params![name, holder]);
            // what cannot be given back now ends by itself
            let _ = db.write::<_, DbError, _>(give_back).await;
        });
    }
}
