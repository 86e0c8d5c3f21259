//! Signing keys as a node that serves sees them: changes of others are picked up while it runs, and what time makes due is recorded.

use std::time::Duration;

use purser_authority::{Attempt, Caller};
use purser_db::{Db, DbError};
use purser_identity::keys::{KeysError, signing_key_sweep};
use purser_identity::{Keys, Realm, limits};

use crate::core::Core;
use crate::perform::perform;

/// Time between two looks at the stored keys. New ones sign no sooner than [`limits::KEY_SETTLE_S`] after they were written.
const LOOK_EVERY: Duration = Duration::from_millis(500);
const _: () = assert!(LOOK_EVERY.as_secs() < limits::KEY_SETTLE_S.unsigned_abs(), "a node would meet a key that it does not know");

/// Keeps `keys` as the store has them. Runs for ever; spawn it.
pub async fn follow_keys(db: Db, keys: Keys) {
    let mut failed = false;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let reloading = keys.clone();
        match db.read::<_, KeysError, _>(move |tx| reloading.reload(tx)).await {
            Ok(changed) => {
                failed = false;
                if changed {
                    tracing::info!(signs = ?keys, "the signing keys changed");
                }
            }
            // One line for the first failure, not two a second.
            Err(e) if !failed => {
                failed = true;
                tracing::error!(error = %e, "the signing keys cannot be read; those that are known go on");
            }
            Err(_) => {}
        }
    }
}

/// Records which keys began to sign and which left.
pub(crate) async fn sweep_keys(core: &Core, realm: &Realm) -> Result<(), DbError> {
    let sweeping = realm.clone();
    perform(core, Attempt::new("signing_key_sweep", &Caller::System, "signing keys"), move |tx| signing_key_sweep(tx, &sweeping)).await?;
    Ok(())
}
