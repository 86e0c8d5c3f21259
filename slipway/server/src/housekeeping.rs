//! What nobody waits for: finishing orders and refunds that a crash left open, and forgetting what is over.

use std::time::{Duration, Instant};

use purser_db::DbError;
use purser_values::Timestamp;
use slipway_accounts::audit::audit_sweep;
use slipway_accounts::provisioning::answer::answer_sweep;
use slipway_accounts::provisioning::nonce::nonce_sweep;
use slipway_accounts::resource::Resource;
use slipway_accounts::resource::get::resource_pending;
use slipway_accounts::sweep::people_sweep;
use slipway_billing::usage::record::usage_sweep;
use slipway_registrar::domain::change::change_resume;
use slipway_registrar::domain::resume::domain_resume;
use slipway_workers::storage::Swept;

use crate::abuse::acts::act_sweep;
use crate::abuse::incident::incident_sweep;
use crate::billing::standing;
use crate::cloud::Shared;
use crate::domain::upkeep;
use crate::provider::order;
use crate::{billing, events, parents, refunds};

/// Time between two rounds.
const ROUND: Duration = Duration::from_secs(20);
/// Time between two looks for files that nobody needs; the first comes this long after the start.
const SWEEP: Duration = Duration::from_secs(3_600);
/// An order younger than this is still in the hands of its request, in seconds.
const ORDER_AGE_S: i64 = 30;
/// Orders that one round takes up.
const ORDERS: u32 = 50;

/// Runs for ever; spawn it. The first round takes up every order that is open.
pub async fn run(cloud: Shared) {
    if let Err(e) = events::reconcile(&cloud).await {
        tracing::error!(error = %e, "what is live was not reported to the orchestrator");
    }
    if let Err(e) = refunds::resume(&cloud).await {
        tracing::error!(error = %e, "open refunds were not taken up; their jobs will be, when their leases have run out");
    }
    if let Err(e) = billing::resume(&cloud).await {
        tracing::error!(error = %e, "what is due was not taken up; the jobs will be, when their leases have run out");
    }
    let mut cutoff = cloud.env.now();
    let mut swept = Instant::now();
    loop {
        round(&cloud, cutoff).await;
        if swept.elapsed() >= SWEEP {
            swept = Instant::now();
            sweep(&cloud).await;
        }
        tokio::time::sleep(ROUND).await;
        cutoff = cloud.env.now().plus_secs(-ORDER_AGE_S);
    }
}

async fn round(cloud: &Shared, cutoff: Timestamp) {
    if let Some(registrar) = &cloud.registrar
        && let Err(e) = domain_resume(registrar).await
    {
        tracing::error!(error = %e, "open registrations were not taken up");
    }
    if let Some(registrar) = &cloud.registrar
        && let Err(e) = change_resume(registrar).await
    {
        tracing::error!(error = %e, "open changes of domains were not taken up");
    }
    upkeep::round(cloud).await;
    if let Err(e) = standing::reconcile(cloud).await {
        tracing::error!(error = %e, "which accounts are off line was not compared with what holds for them");
    }
    if let Err(e) = cloud.nameserver.maintain().await {
        tracing::error!(error = %e, "what is due for the keys of zones was not done");
    }
    if let Some(registrar) = &cloud.registrar {
        parents::follow(&cloud.db, registrar).await;
    }
    match cloud.db.read(move |tx| resource_pending(tx, cutoff, ORDERS)).await {
        Ok(open) => finish(cloud, open).await,
        Err(e) => tracing::error!(error = %e, "open orders were not taken up"),
    }
    let now = cloud.env.now();
    let swept = cloud
        .db
        .write(move |tx| -> Result<u64, DbError> {
            let over = nonce_sweep(tx, now)? + answer_sweep(tx, now)? + people_sweep(tx, now)? + usage_sweep(tx, now)?;
            Ok(over + audit_sweep(tx, now)? + act_sweep(tx, now)? + incident_sweep(tx, now)?)
        })
        .await;
    if let Err(e) = swept {
        tracing::error!(error = %e, "what is over was not forgotten");
    }
}

async fn sweep(cloud: &Shared) {
    if let Err(e) = cloud.stores.sweep().await {
        tracing::error!(error = ?e, "what is over in the stores was not cleared away");
    }
    match cloud.workers.blob_sweep().await {
        Ok(swept) if swept == Swept::default() => {}
        Ok(swept) => tracing::info!(let_go = swept.let_go, files = swept.files, "files that no Worker needs were removed"),
        Err(e) => tracing::error!(error = ?e, "files that no Worker needs were not removed"),
    }
}

async fn finish(cloud: &Shared, open: Vec<Resource>) {
    for resource in open {
        let id = resource.id.clone();
        match order::drive(cloud, resource).await {
            Ok(_) => tracing::info!(resource = %id, "an open order was finished"),
            Err(e) if e.is_transient() => tracing::warn!(resource = %id, error = %e, "an order is still open"),
            Err(e) => tracing::warn!(resource = %id, error = %e, "an open order failed"),
        }
    }
}
