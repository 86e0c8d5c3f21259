//! Store and processes brought together: what the store says is live runs, and nothing else.
//!
//! A deployment is committed before it is started, and a Worker is deleted before it is taken off line. Where the second does not happen (a
//! start that failed, an error in between), whoever repeats the call brings it about, or this, which looks every minute.
//! INVARIANT (store-decides): what runs is what the last commit says, or becomes so within a minute.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Weak;

use crate::error::WorkersError;
use crate::limits;
use crate::name::{ScriptName, VersionId};
use crate::rollout::refused;
use crate::runtime::Live;
use crate::runtime::running::Present;
use crate::store::account::{self, AccountRow};
use crate::store::version::{self, LiveRow};
use crate::tenant::{Environment, Tenant};
use crate::view::Share;
use crate::workers::{Inner, Workers};

/// What the store says that is live in each environment.
type Wanted = BTreeMap<Environment, Vec<LiveRow>>;

/// Looks now and then, until the service is dropped.
pub(crate) async fn follow(inner: Weak<Inner>) {
    let mut ticks = tokio::time::interval(limits::SETTLE_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // what there is at the start was restored a moment ago
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let Some(inner) = inner.upgrade() else { return };
        if let Err(e) = Workers::of(inner).reconcile().await {
            tracing::error!(error = %e, "what runs could not be compared with what is deployed");
        }
    }
}

impl Workers {
    /// Brings together what differs; how many accounts did. What cannot be started is tried again the next time.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn reconcile(&self) -> Result<usize, WorkersError> {
        let mut settled = 0;
        for row in self.0.db.read(account::all).await? {
            // Seldom anything is found, so it is looked without the lock first.
            if self.differing(&row).await?.is_empty() {
                continue;
            }
            let _lock = self.lock(&row.account).await?;
            match self.settle(&row).await {
                Ok(true) => settled += 1,
                Ok(false) => {}
                Err(e) => tracing::error!(account = %row.account, error = %e, "what is deployed does not run; it is tried again"),
            }
        }
        Ok(settled)
    }

    /// The same for one account, whose lock the caller holds; whether anything was different.
    ///
    /// # Errors
    /// When the store fails, or something does not start.
    pub(crate) async fn settle(&self, row: &AccountRow) -> Result<bool, WorkersError> {
        let differing = self.differing(row).await?;
        if differing.is_empty() {
            return Ok(false);
        }
        // read anew: the row may be older than the lock
        let suspended = self.account(&row.account).await?.suspended;
        self.0.runtime.set_suspended(&row.account, suspended).await.map_err(refused)?;
        for (environment, rows) in differing {
            let home = self.number(row, environment).await?;
            tracing::warn!(tenant = %home.tenant, "what runs was not what is deployed");
            let mut live = Vec::new();
            for LiveRow { version, share, .. } in rows {
                live.push(Live { share, ..self.load(version).await?.live });
            }
            self.0.runtime.replace(&home.tenant, home.number, live).await.map_err(refused)?;
        }
        self.publish_hosts(&row.account).await?;
        Ok(true)
    }

    /// The environments of an account in which something else runs than should, with what should.
    async fn differing(&self, row: &AccountRow) -> Result<Wanted, WorkersError> {
        let id = row.account.clone();
        let (found, rows) = self.0.db.read(move |tx| Ok::<_, WorkersError>((account::get(tx, &id)?, version::deployed(tx, &id)?))).await?;
        let suspended = found.is_some_and(|found| found.suspended);
        let mut wanted = Wanted::new();
        for live in rows {
            wanted.entry(live.environment.clone()).or_default().push(live);
        }
        let present = self.0.runtime.present(&row.account).await;
        for tenant in present.keys() {
            wanted.entry(tenant.environment.clone()).or_default();
        }
        wanted.retain(|environment, rows| {
            let tenant = Tenant { account: row.account.clone(), environment: environment.clone() };
            !present.get(&tenant).is_some_and(|present| agrees(present, rows, suspended))
        });
        Ok(wanted)
    }
}

fn agrees(present: &Present, wanted: &[LiveRow], suspended: bool) -> bool {
    let wanted: BTreeSet<(&ScriptName, &VersionId, Share)> =
        wanted.iter().map(|live| (&live.version.script, &live.version.id, live.share)).collect();
    let live: BTreeSet<_> = present.live.iter().map(|(script, version, share)| (script, version, *share)).collect();
    live == wanted && present.stopped == suspended && !present.lacking
}
