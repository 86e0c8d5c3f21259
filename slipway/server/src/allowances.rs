//! What an account's Workers may use, by its plan: asked at every start of a process and every second of its life, so it is kept in memory
//! and looked up anew every few seconds.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use purser_db::{Db, DbError, Tx};
use purser_values::id::CloudAccountId;
use slipway_accounts::resource::get::resource_accounts;
use slipway_accounts::service::Service;
use slipway_edge::traffic::RatesOf;
use slipway_stores::RoomOf;
use slipway_workers::limits::Allowances;
use slipway_workers::seams::AllowancesOf;
use slipway_workers::storage::kept;

/// How old the knowledge of who pays may be.
const EVERY: Duration = Duration::from_secs(1);

/// Without a plan that costs something: one stage to try things in, and one that others see.
const FREE: Allowances = Allowances { scripts: 100, cpu_ms: 2_000, memory: 512 << 20, requests_per_s: 100, storage: 1 << 30, processes: 2 };
/// With `workers:paid`.
const PAID: Allowances =
    Allowances { scripts: 500, cpu_ms: 15_000, memory: 1 << 30, requests_per_s: 1_000, storage: 10 << 30, processes: 4 };

struct Plans {
    paying: RwLock<HashSet<CloudAccountId>>,
}

/// Follows who pays, for as long as the answer is held. `requests_per_s` is the operator's word on the paid plan.
///
/// # Errors
/// When the store cannot be read.
pub async fn follow(db: &Db, requests_per_s: Option<u32>) -> Result<AllowancesOf, DbError> {
    let paid = Allowances { requests_per_s: requests_per_s.unwrap_or(PAID.requests_per_s), ..PAID };
    let plans = Arc::new(Plans { paying: RwLock::new(paying(db).await?) });
    tokio::spawn(keep(Arc::downgrade(&plans), db.clone()));
    Ok(Arc::new(move |account| {
        let paying = plans.paying.read().unwrap_or_else(PoisonError::into_inner);
        if paying.contains(account) { paid } else { FREE }
    }))
}

/// What an account's stores have room for: its plan's storage, less what it keeps as code, assets and Durable Objects.
#[must_use]
pub fn room(allowances: &AllowancesOf) -> RoomOf {
    let allowances = allowances.clone();
    Arc::new(move |tx: &mut Tx<'_>, account: &CloudAccountId| Ok(allowances(account).storage.saturating_sub(kept(tx, account)?)))
}

/// How fast an account is served.
#[must_use]
pub fn rates(allowances: &AllowancesOf) -> RatesOf {
    let allowances = allowances.clone();
    // a label that is no account's id is no account's site
    Arc::new(move |account: &str| account.parse::<CloudAccountId>().map_or(0, |account| allowances(&account).requests_per_s))
}

async fn keep(plans: Weak<Plans>, db: Db) {
    loop {
        tokio::time::sleep(EVERY).await;
        let Some(plans) = plans.upgrade() else { return };
        match paying(&db).await {
            Ok(found) => *plans.paying.write().unwrap_or_else(PoisonError::into_inner) = found,
            Err(e) => tracing::warn!(error = %e, "who pays could not be looked up; what was known holds"),
        }
    }
}

async fn paying(db: &Db) -> Result<HashSet<CloudAccountId>, DbError> {
    Ok(db.read(|tx| resource_accounts(tx, Service::Paid)).await?.into_iter().collect())
}
