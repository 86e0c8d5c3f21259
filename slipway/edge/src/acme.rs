//! Certificates from an authority (ACME, RFC 8555): issued when a name that routes is first asked for, kept sealed, renewed in time.
//!
//! One loop owns every order, so that no name is ordered twice. What it does next is in the table `edge_certificate`: a crash leaves at
//! most an order at the authority, which is taken up again under the same key.
//!
//! INVARIANT (routes-first): nothing is ordered for a name that does not route to a site at that moment; whoever points a name at us
//! cannot spend our orders, nor make us vouch for a name of nobody.

mod order;
mod proof;
mod schedule;
pub mod store;
mod transport;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use instant_acme::Account;
use purser_crypto::seal::Keyring;
use purser_db::{Db, DbError};
use purser_http::Fetcher;
use purser_values::name::{Email, HostName};
use purser_values::{Env, Secret, Timestamp};
use rustls::sign::CertifiedKey;
use tokio::sync::{OnceCell, mpsc};
use tokio::task::JoinSet;
use url::Url;

use self::order::OrderError;
use self::proof::Proofs;
use self::store::Due;
use crate::limits;
use crate::route::{Pending, RouteTarget, Router};

/// What the edge asks of whoever gets certificates. Both read memory.
pub trait Issuer: fmt::Debug + Send + Sync + 'static {
    /// The certificate of a name that routes. Nothing where there is none yet; then one is ordered.
    fn certificate(&self, host: &HostName) -> Option<Arc<CertifiedKey>>;

    /// What the authority must find at `/.well-known/acme-challenge/{token}` of the name (RFC 8555, 8.3).
    fn answer(&self, host: &HostName, token: &str) -> Option<String>;
}

/// Who writes texts into the zones that are served here.
pub trait ZoneWriter: Send + Sync + 'static {
    /// Whether the name lies in a zone of the account.
    fn covers<'a>(&'a self, account: &'a str, host: &'a HostName) -> Pending<'a, bool>;

    /// Publishes a text at `_acme-challenge.{host}`. Once it returns, our name servers answer with it.
    fn publish<'a>(&'a self, account: &'a str, host: &'a HostName, text: &'a str) -> Pending<'a, Result<(), String>>;

    fn withdraw<'a>(&'a self, account: &'a str, host: &'a HostName, text: &'a str) -> Pending<'a, ()>;
}

/// The authority and our account at it.
#[derive(Clone, Debug)]
pub struct AcmeConfig {
    pub directory: Url,
    pub email: Option<Email>,
    /// The account at the authority that ours is bound to: its name and its key.
    pub external_account: Option<(String, Secret<Vec<u8>>)>,
    /// Prove names in our own zones by a record.
    pub prove_by_dns: bool,
}

/// What getting certificates needs of the rest of slipway.
pub struct Surroundings {
    pub db: Db,
    pub keyring: Keyring,
    pub env: Env,
    pub fetcher: Fetcher,
    pub router: Arc<dyn Router>,
    pub zones: Arc<dyn ZoneWriter>,
}

/// Gets certificates while it lives. Cheap to clone.
#[derive(Clone)]
pub struct Acme(Arc<Inner>);

struct Inner {
    config: AcmeConfig,
    around: Surroundings,
    account: OnceCell<Account>,
    certificates: RwLock<HashMap<HostName, Held>>,
    proofs: Proofs,
    wanted: mpsc::Sender<HostName>,
    /// Until when the authority wants to be left alone, in microseconds.
    quiet_until: Arc<AtomicI64>,
}

/// A certificate in use.
#[derive(Clone)]
struct Held {
    key: Arc<CertifiedKey>,
    not_after: Timestamp,
}

impl Acme {
    /// Loads what was issued and starts the loop. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn start(config: AcmeConfig, around: Surroundings) -> Result<Self, DbError> {
        let (wanted, asked) = mpsc::channel(limits::WANTED_CERTIFICATES);
        let kept = around.db.read(store::issued).await?;
        let mut certificates = HashMap::new();
        for row in kept {
            match order::open(&around.keyring, &row) {
                Ok(held) => drop(certificates.insert(row.host, held)),
                // it is ordered anew when the name is asked for
                Err(e) => tracing::error!(host = %row.host, error = %e, "a kept certificate cannot be used"),
            }
        }
        let quiet_until = Arc::new(AtomicI64::new(0));
        let acme = Self(Arc::new(Inner {
            config,
            around,
            account: OnceCell::new(),
            certificates: RwLock::new(certificates),
            proofs: Proofs::default(),
            wanted,
            quiet_until,
        }));
        tokio::spawn(run(Arc::downgrade(&acme.0), asked));
        Ok(acme)
    }

    /// Orders a certificate for a name before the first visitor asks for it.
    pub fn want(&self, host: &HostName) {
        self.0.want(host);
    }
}

impl fmt::Debug for Acme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acme").field("directory", &self.0.config.directory.as_str()).finish_non_exhaustive()
    }
}

impl Issuer for Acme {
    fn certificate(&self, host: &HostName) -> Option<Arc<CertifiedKey>> {
        let held = self.0.certificates.read().unwrap_or_else(PoisonError::into_inner).get(host).cloned();
        let Some(held) = held else {
            self.0.want(host);
            return None;
        };
        (self.0.around.env.now() < held.not_after).then_some(held.key)
    }

    fn answer(&self, host: &HostName, token: &str) -> Option<String> {
        self.0.proofs.answer(host, token)
    }
}

impl Inner {
    fn want(&self, host: &HostName) {
        // when the queue is full the next visitor asks again
        let _ = self.wanted.try_send(host.clone());
    }

    fn hold(&self, host: HostName, held: Held) {
        self.certificates.write().unwrap_or_else(PoisonError::into_inner).insert(host, held);
    }
}

/// What one round of the loop woke up for.
enum Woken {
    Wanted(HostName),
    Ended(Option<HostName>),
    Due,
    Over,
}

/// Until nobody holds the authority any more.
async fn run(acme: std::sync::Weak<Inner>, mut asked: mpsc::Receiver<HostName>) {
    let mut orders: JoinSet<HostName> = JoinSet::new();
    let under_way: Mutex<HashSet<HostName>> = Mutex::default();
    let running = |host: &HostName| under_way.lock().unwrap_or_else(PoisonError::into_inner).contains(host);
    loop {
        let wait = match acme.upgrade() {
            Some(acme) => begin_due(&acme, &mut orders, &under_way).await,
            None => return,
        };
        let woken = tokio::select! {
            host = asked.recv() => host.map_or(Woken::Over, Woken::Wanted),
            Some(ended) = orders.join_next(), if !orders.is_empty() => Woken::Ended(ended.ok()),
            () = tokio::time::sleep(wait) => Woken::Due,
        };
        match woken {
            Woken::Over => return,
            Woken::Due => {}
            Woken::Ended(Some(host)) => drop(under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&host)),
            // which one is not known: all others will tell themselves, and a name that stays is freed with the next start
            Woken::Ended(None) => tracing::error!("an order of a certificate ended badly"),
            Woken::Wanted(host) if running(&host) => {}
            Woken::Wanted(host) => {
                if let Some(acme) = acme.upgrade() {
                    note(&acme, host).await;
                }
            }
        }
    }
}

/// Writes a wanted name down, if it routes.
async fn note(acme: &Inner, host: HostName) {
    let RouteTarget::Site(site) = acme.around.router.route(&host) else { return };
    let account = site.label().account.clone();
    let (name, now) = (host.clone(), acme.around.env.now());
    if let Err(e) = acme.around.db.write(move |tx| store::want(tx, &name, &account, now)).await {
        tracing::error!(%host, error = %e, "a wanted certificate is not written down; the next visitor asks again");
    }
}

/// Begins what is due, as far as there are places; how long to wait for the next.
async fn begin_due(acme: &Arc<Inner>, orders: &mut JoinSet<HostName>, under_way: &Mutex<HashSet<HostName>>) -> Duration {
    let now = acme.around.env.now();
    let quiet = Timestamp::from_micros(acme.quiet_until.load(Ordering::Relaxed));
    if now < quiet {
        return until(now, quiet);
    }
    let due = match acme.around.db.read(move |tx| store::due(tx, limits::ORDERS as u32 * 2)).await {
        Ok(due) => due,
        Err(e) => {
            tracing::error!(error = %e, "what certificates are due is not known");
            return limits::ORDER_LOOK;
        }
    };
    let mut wait = limits::ORDER_LOOK;
    for next in due {
        if now < next.next_at {
            return wait.min(until(now, next.next_at));
        }
        let mut under_way = under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if orders.len() >= limits::ORDERS || !under_way.insert(next.host.clone()) {
            continue;
        }
        wait = Duration::ZERO;
        let (acme, host) = (acme.clone(), next.host.clone());
        orders.spawn(async move {
            one(&acme, next).await;
            host
        });
    }
    wait.max(limits::ORDER_PAUSE)
}

fn until(now: Timestamp, then: Timestamp) -> Duration {
    let micros = u64::try_from(then.micros_since(now)).unwrap_or(0);
    Duration::from_micros(micros).clamp(limits::ORDER_PAUSE, limits::ORDER_LOOK)
}

/// One order from its beginning to what is written down about it.
async fn one(acme: &Inner, due: Due) {
    let (host, now) = (due.host.clone(), acme.around.env.now());
    let account = match acme.around.router.route(&host) {
        RouteTarget::Site(site) => site.label().account.clone(),
        RouteTarget::Suspended => return later(acme, host, schedule::SUSPENDED_S).await,
        RouteTarget::Unknown => {
            acme.certificates.write().unwrap_or_else(PoisonError::into_inner).remove(&host);
            let gone = acme.around.db.write(move |tx| store::forget(tx, &due.host)).await;
            return gone.unwrap_or_else(|e| tracing::error!(%host, error = %e, "a name that routes no more is not forgotten"));
        }
    };
    let ended = tokio::time::timeout(limits::ORDER_TIME, order::run(acme, &due, &account)).await.unwrap_or(Err(OrderError::Slow));
    acme.proofs.withdraw(&host, acme.around.zones.as_ref()).await;
    match ended {
        Ok(held) => {
            tracing::info!(%host, not_after = %held.not_after, "a certificate was issued");
            acme.hold(host, held);
        }
        Err(e) => {
            let failures = due.failures.saturating_add(1);
            let next = now.plus_secs(schedule::retry_after_s(failures));
            tracing::warn!(%host, error = %e, failures, %next, "no certificate was issued");
            let (name, why) = (host.clone(), e.to_string());
            let written = acme.around.db.write(move |tx| store::failed(tx, &name, failures, next, &why)).await;
            written.unwrap_or_else(|e| tracing::error!(%host, error = %e, "a failed order is not written down"));
        }
    }
}

async fn later(acme: &Inner, host: HostName, seconds: i64) {
    let (name, next) = (host.clone(), acme.around.env.now().plus_secs(seconds));
    let written = acme.around.db.write(move |tx| store::put_off(tx, &name, next)).await;
    written.unwrap_or_else(|e| tracing::error!(%host, error = %e, "a certificate is not put off"));
}
