//! What the edge counted, brought to the books every second; and how much more each account may be served.
//!
//! Processor time is the kernel's count of an account's processes, whatever they ran for, divided among its Workers ([`super::cpu`]);
//! storage is what it keeps, once an hour. Calls by triggers and queues are requests ([`crate::calls`]).
//!
//! Counts leave memory under the id of their batch, so that one that was written and not heard of is not written twice. What a crash takes
//! along was served and is not billed. The edge stops an account at the number that its room allows, to the request; one whose processor time
//! or storage is beyond what is set aside is served nothing more.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use purser_db::DbError;
use purser_values::id::CloudAccountId;
use slipway_accounts::account::get::account_list;
use slipway_billing::driver::RunError;
use slipway_billing::price::{Meter, Use};
use slipway_billing::usage::record::{Count, usage_record};
use slipway_edge::traffic::Traffic;

use crate::billing::cpu::divided;
use crate::cloud::Cloud;

/// Time between two batches.
const ROUND: Duration = Duration::from_secs(1);
/// Money is set aside for what the last rounds make likely in so many rounds to come, and for this much at least.
const ROUNDS_AHEAD: u64 = 30;
const REQUESTS_AHEAD: u64 = 1_000;

const HOUR_S: i64 = 3_600;

/// The meter of this process.
pub struct EdgeMeter {
    cloud: Arc<Cloud>,
    traffic: Arc<Traffic>,
    /// What was written of each account and script.
    written: HashMap<(Arc<str>, Arc<str>), u64>,
    /// Time that the requests of each account and script had been under way, when it was last looked.
    flown: HashMap<(Arc<str>, Arc<str>), u64>,
    /// A batch that may or may not have been written.
    open: Option<Batch>,
    /// The processor time of each account that was counted, in milliseconds.
    taken: HashMap<CloudAccountId, u64>,
    /// Accounts that are near what they may use, with what a round took of each meter: looked at in every round, so that they go on when
    /// there is room.
    near: BTreeMap<CloudAccountId, Use>,
    /// The hour whose storage was counted.
    hour: i64,
}

#[derive(Clone)]
struct Batch {
    id: String,
    counts: Vec<Count>,
    seen: HashMap<(Arc<str>, Arc<str>), u64>,
}

impl EdgeMeter {
    #[must_use]
    pub fn new(cloud: Arc<Cloud>, traffic: Arc<Traffic>) -> Self {
        Self {
            cloud,
            traffic,
            written: HashMap::new(),
            flown: HashMap::new(),
            open: None,
            taken: HashMap::new(),
            near: BTreeMap::new(),
            hour: 0,
        }
    }

    /// Runs for ever; spawn it.
    pub async fn run(mut self) {
        // What an account had used up before a start is used up after it.
        match self.cloud.db.read(account_list).await {
            Ok(all) => self.near = all.into_iter().map(|account| (account.id, Use::new())).collect(),
            Err(e) => tracing::error!(error = %e, "the accounts' limits are not set yet"),
        }
        loop {
            if let Err(e) = self.round().await {
                tracing::error!(error = %e, "what was served is not in the books yet");
            }
            tokio::time::sleep(ROUND).await;
        }
    }

    /// Writes what was counted since the last round, and sets each account's limit.
    ///
    /// # Errors
    /// When the store fails; the counts stay here until it works.
    pub async fn round(&mut self) -> Result<(), DbError> {
        let batch = match self.open.take() {
            Some(batch) => batch,
            None => self.take().await,
        };
        if !batch.counts.is_empty() {
            self.open = Some(batch.clone());
            let (env, id, counts) = (self.cloud.env.clone(), batch.id.clone(), batch.counts.clone());
            self.cloud.db.write(move |tx| usage_record(tx, &env, &id, &counts)).await?;
            self.open = None;
            self.written = batch.seen;
        }
        let stored = self.storage().await;
        let mut served = std::mem::take(&mut self.near);
        for rates in served.values_mut() {
            for meter in [Meter::Requests, Meter::CpuMs] {
                rates.entry(meter).and_modify(|rate| *rate /= 2);
            }
        }
        for count in &batch.counts {
            let rate = served.entry(count.account.clone()).or_default().entry(count.meter).or_default();
            *rate = rate.saturating_add(count.quantity);
        }
        for (account, rate) in served {
            match self.limit(&account, &rate).await {
                Ok(true) => {}
                Ok(false) => {
                    self.near.insert(account, rate);
                }
                Err(e) => {
                    tracing::warn!(%account, error = %e, "no more is set aside for an account at present");
                    self.near.insert(account, rate);
                }
            }
        }
        stored
    }

    /// What each account keeps counts once for each hour. The hour is the batch's id: nobody counts it twice.
    async fn storage(&mut self) -> Result<(), DbError> {
        let hour = self.cloud.env.now().as_secs().div_euclid(HOUR_S);
        if hour == self.hour {
            return Ok(());
        }
        let failed = |e: &dyn std::error::Error| DbError::Other(e.to_string());
        let mut stored: BTreeMap<CloudAccountId, u64> = self.cloud.workers.stored().await.map_err(|e| failed(&e))?.into_iter().collect();
        for kept in self.cloud.stores.stored().await.map_err(|e| failed(&e))? {
            let bytes = stored.entry(kept.account.clone()).or_default();
            *bytes = bytes.saturating_add(kept.total());
        }
        let count = |(account, bytes)| Count { account, script: String::new(), meter: Meter::StorageByteHours, quantity: bytes };
        let (env, counts): (_, Vec<Count>) = (self.cloud.env.clone(), stored.into_iter().map(count).collect());
        // Whoever keeps something is looked at, also without a visitor: the next hour is set aside before it begins.
        for count in &counts {
            self.near.entry(count.account.clone()).or_default().insert(count.meter, count.quantity);
        }
        self.cloud.db.write(move |tx| usage_record(tx, &env, &format!("storage/{hour}"), &counts)).await?;
        self.hour = hour;
        Ok(())
    }

    /// The processor time of an account's code since it was last looked at; `now` is that of its whole life here, in milliseconds.
    fn cpu(&mut self, account: &CloudAccountId, now: u64, flown: &[(Arc<str>, u64)]) -> Vec<Count> {
        let before = self.taken.insert(account.clone(), now).unwrap_or(0);
        let quantity = now.saturating_sub(before);
        if quantity == 0 {
            return Vec::new();
        }
        let count = |(script, quantity): (Arc<str>, u64)| Count {
            account: account.clone(),
            script: script.to_string(),
            meter: Meter::CpuMs,
            quantity,
        };
        divided(quantity, flown).into_iter().map(count).collect()
    }

    async fn take(&mut self) -> Batch {
        let mut batch = Batch { id: hex::encode(self.cloud.env.bytes::<16>()), counts: Vec::new(), seen: HashMap::new() };
        let mut flown: HashMap<CloudAccountId, Vec<(Arc<str>, u64)>> = HashMap::new();
        for count in self.traffic.counts() {
            let key = (count.account.clone(), count.script.clone());
            let quantity = count.requests.saturating_sub(self.written.get(&key).copied().unwrap_or(0));
            if let (Ok(account), true) = (count.account.parse(), quantity > 0) {
                batch.counts.push(Count { account, script: count.script.to_string(), meter: Meter::Requests, quantity });
            }
            let before = self.flown.insert(key.clone(), count.in_flight_us).unwrap_or(0);
            if let (Ok(account), us @ 1..) = (count.account.parse(), count.in_flight_us.saturating_sub(before)) {
                flown.entry(account).or_default().push((count.script.clone(), us));
            }
            batch.seen.insert(key, count.requests);
        }
        // Everybody's: code runs for triggers, queues and alarms too, and can go on computing after it has answered.
        for (account, now) in self.cloud.workers.cpu_ms().await {
            let flown = flown.remove(&account).unwrap_or_default();
            batch.counts.extend(self.cpu(&account, now, &flown));
        }
        batch
    }

    /// Sets the account's limit; tells whether there is ample room below it.
    async fn limit(&self, account: &CloudAccountId, rates: &Use) -> Result<bool, RunError> {
        let ahead = ahead(rates);
        let room = self.cloud.billing.make_room(account, &ahead).await?;
        let left = room.as_ref().map_or(u64::MAX, |room| room.left(Meter::Requests));
        let written: u64 = self.written.iter().filter(|((of, _), _)| **of == *account.as_str()).map(|(_, n)| *n).sum();
        self.traffic.set_limit(account.as_str(), written.saturating_add(left));
        Ok(room.is_none_or(|room| room.has(&ahead)))
    }
}

/// What is likely to be used before there is time to set more aside. Storage is counted by the hour.
fn ahead(rates: &Use) -> Use {
    let rate = |meter| rates.get(&meter).copied().unwrap_or(0);
    Use::from([
        (Meter::Requests, rate(Meter::Requests).saturating_mul(ROUNDS_AHEAD).max(REQUESTS_AHEAD)),
        (Meter::CpuMs, rate(Meter::CpuMs).saturating_mul(ROUNDS_AHEAD)),
        (Meter::StorageByteHours, rate(Meter::StorageByteHours)),
    ])
}
