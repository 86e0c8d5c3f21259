//! Who served what: one access-log line per request, counters per site, and the bound on requests under way.
//!
//! The line has the path but never the query, the headers or the body: those may hold secrets.

use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{Method, StatusCode};
use http_body::{Body, Frame, SizeHint};
use purser_http::crowd::{self, Crowd, Seat};
use purser_values::name::HostName;
use tokio::time::Instant;

use crate::body::Payload;
use crate::limits;
use crate::route::{BodyError, SiteLabel};

/// The counters of all sites since the start.
#[derive(Default)]
pub struct Traffic {
    /// By account and script.
    sites: RwLock<HashMap<Arc<str>, HashMap<Arc<str>, Arc<Counters>>>>,
    accounts: Mutex<HashMap<Arc<str>, Arc<Allowance>>>,
    rates: OnceLock<RatesOf>,
    clock: Clock,
}

/// Microseconds since the start of this process.
struct Clock(Instant);

impl Default for Clock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock {
    fn us(&self) -> i64 {
        i64::try_from(self.0.elapsed().as_micros()).unwrap_or(i64::MAX)
    }
}

/// Requests that an account may be asked in a second, by its plan. Asked about once a second for each account that is visited.
pub type RatesOf = Arc<dyn Fn(&str) -> u32 + Send + Sync>;

/// How old the knowledge of an account's rate may be.
const RATE_LIFE: Duration = Duration::from_secs(1);

/// How many requests of an account were taken since the start, and how many may be.
struct Allowance {
    taken: AtomicU64,
    most: AtomicU64,
    /// Nothing where no rates are known.
    pace: Mutex<Option<Pace>>,
}

/// A bucket that fills evenly and holds some seconds' worth: one page can be a hundred requests.
struct Pace {
    per_s: u32,
    /// Requests that may be taken at once, and since when that is so.
    tokens: f64,
    since: Instant,
    asked: Instant,
}

impl Pace {
    fn new(per_s: u32, now: Instant) -> Self {
        Self { per_s, tokens: f64::from(per_s) * limits::BURST_S, since: now, asked: now }
    }

    fn take(&mut self, now: Instant) -> bool {
        let per_s = f64::from(self.per_s);
        let gained = now.duration_since(self.since).as_secs_f64() * per_s;
        (self.tokens, self.since) = ((self.tokens + gained).min(per_s * limits::BURST_S), now);
        let taken = self.tokens >= 1.0;
        if taken {
            self.tokens -= 1.0;
        }
        taken
    }
}

/// Why a request finds no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPlace {
    /// As many requests as may be are under way at the site.
    Busy,
    /// The account has used what is set aside for it.
    Spent,
    /// The account is asked more often in a second than its plan serves.
    TooFast,
}

struct Counters {
    allowance: Arc<Allowance>,
    /// Who holds how many of the second half of the places.
    crowd: Crowd,
    tunnels: AtomicU64,
    requests: AtomicU64,
    failures: AtomicU64,
    bytes_out: AtomicU64,
    under_way: AtomicU64,
    /// The moments at which requests ended less those at which they began: with the requests under way, each counted up to now, that is
    /// the time that all of them took together.
    flight_us: AtomicI64,
}

/// What one script did since the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    pub account: Arc<str>,
    pub script: Arc<str>,
    pub requests: u64,
    /// Answers of 500 and above.
    pub failures: u64,
    /// Bytes of bodies.
    pub bytes_out: u64,
    /// Time that its requests were under way, those side by side added up, in microseconds.
    pub in_flight_us: u64,
}

impl Counters {
    fn new(allowance: Arc<Allowance>) -> Self {
        let crowd = Crowd::new(limits::SITE_REQUESTS_PER_ADDRESS, crowd::this_machine());
        let [tunnels, requests, failures, bytes_out, under_way] = Default::default();
        Self { allowance, crowd, tunnels, requests, failures, bytes_out, under_way, flight_us: AtomicI64::new(0) }
    }
}

impl Counters {
    /// Two counters are read one after the other, so a request that begins or ends just then may be counted a moment short or long.
    fn in_flight_us(&self, now: i64) -> u64 {
        let open = i64::try_from(self.under_way.load(Ordering::Relaxed)).unwrap_or(0);
        u64::try_from(self.flight_us.load(Ordering::Relaxed).saturating_add(open.saturating_mul(now))).unwrap_or(0)
    }
}

/// A place among the requests under way at one site.
pub struct Place {
    counters: Arc<Counters>,
    /// When it was taken, and what tells when it is given back.
    since_us: i64,
    clock: Instant,
    _seat: Option<Seat>,
}

/// A place among the open WebSockets of one site.
pub struct SiteTunnel(Arc<Counters>);

impl Place {
    /// Nothing when the site has as many WebSockets as it may.
    #[must_use]
    pub fn tunnel(&self) -> Option<SiteTunnel> {
        let tunnel = SiteTunnel(self.counters.clone());
        (self.counters.tunnels.fetch_add(1, Ordering::Relaxed) < limits::SITE_WEBSOCKETS).then_some(tunnel)
    }
}

impl Drop for SiteTunnel {
    fn drop(&mut self) {
        self.0.tunnels.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Traffic {
    /// Takes a place at the site. What is refused is not counted: it costs nobody anything.
    ///
    /// # Errors
    /// When all places are taken, the visitor has too many of them, or the account has used what is set aside for it or its plan's rate.
    pub fn enter(&self, label: &SiteLabel, remote: IpAddr) -> Result<Place, NoPlace> {
        let counters = self.counters(label);
        let allowance = &counters.allowance;
        if !self.in_time(&label.account, allowance) {
            return Err(NoPlace::TooFast);
        }
        let take = |taken: u64| (taken < allowance.most.load(Ordering::Relaxed)).then_some(taken + 1);
        allowance.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).map_err(|_| NoPlace::Spent)?;
        let before = counters.under_way.fetch_add(1, Ordering::Relaxed);
        let crowded = before >= limits::SITE_REQUESTS / 2;
        let seat = if crowded { counters.crowd.enter(remote) } else { None };
        let fits = before < limits::SITE_REQUESTS && (!crowded || seat.is_some());
        let since_us = self.clock.us();
        counters.flight_us.fetch_sub(since_us, Ordering::Relaxed);
        let place = Place { counters, since_us, clock: self.clock.0, _seat: seat };
        let counters = &place.counters;
        if fits {
            counters.requests.fetch_add(1, Ordering::Relaxed);
            return Ok(place);
        }
        counters.allowance.taken.fetch_sub(1, Ordering::Relaxed);
        Err(NoPlace::Busy)
    }

    /// Takes a place for something that no visitor asked for. It counts as a request does and takes from the same allowance; how many there
    /// are at a time is for whoever calls.
    ///
    /// # Errors
    /// When the account has used what is set aside for it.
    pub fn begin(&self, label: &SiteLabel) -> Result<Place, NoPlace> {
        let counters = self.counters(label);
        let take = |taken: u64| (taken < counters.allowance.most.load(Ordering::Relaxed)).then_some(taken + 1);
        counters.allowance.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).map_err(|_| NoPlace::Spent)?;
        counters.under_way.fetch_add(1, Ordering::Relaxed);
        counters.requests.fetch_add(1, Ordering::Relaxed);
        let since_us = self.clock.us();
        counters.flight_us.fetch_sub(since_us, Ordering::Relaxed);
        Ok(Place { counters, since_us, clock: self.clock.0, _seat: None })
    }

    /// Whether the account has anything left of what is set aside for it.
    #[must_use]
    pub fn has_left(&self, account: &str) -> bool {
        let allowance = self.allowance(&Arc::from(account));
        allowance.taken.load(Ordering::Relaxed) < allowance.most.load(Ordering::Relaxed)
    }

    /// From now on no account is served faster than its plan says. Said once, before the first visitor.
    pub fn follow_rates(&self, rates: RatesOf) {
        let _ = self.rates.set(rates);
    }

    fn in_time(&self, account: &Arc<str>, allowance: &Allowance) -> bool {
        let Some(rates) = self.rates.get() else { return true };
        let now = Instant::now();
        let mut pace = allowance.pace.lock().unwrap_or_else(PoisonError::into_inner);
        let pace = pace.get_or_insert_with(|| Pace::new(rates(account), now));
        if now.duration_since(pace.asked) >= RATE_LIFE {
            (pace.per_s, pace.asked) = (rates(account), now);
        }
        pace.take(now)
    }

    /// How many requests of the account may be taken, counted from the start of this process.
    pub fn set_limit(&self, account: &str, most: u64) {
        self.allowance(&Arc::from(account)).most.store(most, Ordering::Relaxed);
    }

    fn counters(&self, label: &SiteLabel) -> Arc<Counters> {
        let known = self.sites.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(counters) = known.get(&label.account).and_then(|scripts| scripts.get(&label.script)) {
            return counters.clone();
        }
        drop(known);
        let mut sites = self.sites.write().unwrap_or_else(PoisonError::into_inner);
        let scripts = sites.entry(label.account.clone()).or_default();
        scripts.entry(label.script.clone()).or_insert_with(|| Arc::new(Counters::new(self.allowance(&label.account)))).clone()
    }

    fn allowance(&self, account: &Arc<str>) -> Arc<Allowance> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || Arc::new(Allowance { taken: AtomicU64::new(0), most: AtomicU64::new(u64::MAX), pace: Mutex::default() });
        accounts.entry(account.clone()).or_insert_with(fresh).clone()
    }

    /// Every site's counters.
    #[must_use]
    pub fn counts(&self) -> Vec<Count> {
        let sites = self.sites.read().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.us();
        let count = |account: &Arc<str>, script: &Arc<str>, c: &Counters| Count {
            account: account.clone(),
            script: script.clone(),
            requests: c.requests.load(Ordering::Relaxed),
            failures: c.failures.load(Ordering::Relaxed),
            bytes_out: c.bytes_out.load(Ordering::Relaxed),
            in_flight_us: c.in_flight_us(now),
        };
        sites.iter().flat_map(|(account, scripts)| scripts.iter().map(move |(script, c)| count(account, script, c))).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let now = Clock(self.clock).us().max(self.since_us);
        self.counters.flight_us.fetch_add(now, Ordering::Relaxed);
        self.counters.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One request, from its arrival until the last byte of its answer; logged when dropped.
pub struct Visit {
    pub ray: String,
    pub remote: IpAddr,
    pub method: Method,
    pub host: Option<HostName>,
    /// Its query is never shown.
    pub path: Option<PathAndQuery>,
    pub label: Option<SiteLabel>,
    pub place: Option<Place>,
    pub status: StatusCode,
    pub bytes: u64,
    pub started: Instant,
}

impl Visit {
    /// The host, as far as the request named one.
    #[must_use]
    pub fn host_text(&self) -> &str {
        self.host.as_ref().map_or("", HostName::as_str)
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if let Some(Place { counters, .. }) = &self.place {
            counters.bytes_out.fetch_add(self.bytes, Ordering::Relaxed);
            counters.failures.fetch_add(u64::from(self.status.is_server_error()), Ordering::Relaxed);
        }
        let name = |part: fn(&SiteLabel) -> &str| self.label.as_ref().map_or("-", part);
        tracing::info!(
            target: "slipway_edge::access",
            ray = %self.ray, remote = %self.remote, host = self.host_text(), method = %self.method,
            path = self.path.as_ref().map_or("", PathAndQuery::path),
            status = self.status.as_u16(), bytes = self.bytes, us = self.started.elapsed().as_micros(),
            account = name(|l| &l.account), script = name(|l| &l.script), version = name(|l| &l.version),
        );
    }
}

/// An answer's body that carries its visit along.
pub struct Metered {
    pub inner: Payload,
    pub visit: Visit,
}

impl Body for Metered {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let poll = Pin::new(&mut self.inner).poll_frame(cx);
        match &poll {
            Poll::Ready(Some(Ok(frame))) => self.visit.bytes += frame.data_ref().map_or(0, |data| data.len() as u64),
            Poll::Ready(Some(Err(e))) => tracing::warn!(ray = %self.visit.ray, error = %e, "the answer broke off"),
            Poll::Ready(None) | Poll::Pending => {}
        }
        poll
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn label(account: &str, script: &str) -> SiteLabel {
        SiteLabel { account: account.into(), script: script.into(), version: "v".into() }
    }

    #[test]
    fn an_account_is_served_to_the_request_that_its_limit_names_over_all_its_scripts() {
        let traffic = Traffic::default();
        assert!(traffic.enter(&label("a", "one"), HERE).is_ok(), "nobody has set a limit yet");
        traffic.set_limit("a", 100);
        let served = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|i| {
                    let (traffic, script) = (&traffic, if i % 2 == 0 { "one" } else { "two" });
                    scope.spawn(move || (0..60).filter(|_| traffic.enter(&label("a", script), HERE).is_ok()).count())
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
        });
        assert_eq!(served, 99);
        assert_eq!(traffic.enter(&label("a", "three"), HERE).err(), Some(NoPlace::Spent));
        assert!(traffic.enter(&label("b", "one"), HERE).is_ok(), "a neighbour is served");
        let counted: u64 = traffic.counts().iter().filter(|count| &*count.account == "a").map(|count| count.requests).sum();
        assert_eq!(counted, 100, "what was refused is not counted");
        traffic.set_limit("a", 101);
        assert!(traffic.enter(&label("a", "one"), HERE).is_ok());
        assert!(traffic.enter(&label("a", "one"), HERE).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn an_account_is_served_as_fast_as_its_plan_says_over_all_its_scripts_and_faster_with_the_next_plan() {
        let traffic = Traffic::default();
        let plan = Arc::new(AtomicU64::new(10));
        let read = plan.clone();
        let rate = move |account: &str| if account == "a" { u32::try_from(read.load(Ordering::Relaxed)).unwrap() } else { 1_000 };
        traffic.follow_rates(Arc::new(rate));
        let served = |tries: usize| (0..tries).filter(|i| traffic.enter(&label("a", ["one", "two"][i % 2]), HERE).is_ok()).count();
        assert_eq!(served(500), 100, "ten seconds' worth at once");
        assert_eq!(traffic.enter(&label("a", "one"), HERE).err(), Some(NoPlace::TooFast));
        assert!(traffic.enter(&label("b", "one"), HERE).is_ok(), "a neighbour is served");
        tokio::time::advance(Duration::from_millis(500)).await;
        assert_eq!(served(500), 5, "half a second later half a second's worth");
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!(served(500), 100, "what was not used in an hour is not saved up");
        plan.store(40, Ordering::Relaxed);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(served(500), 40);
        let counted: u64 = traffic.counts().iter().filter(|count| &*count.account == "a").map(|count| count.requests).sum();
        assert_eq!(counted, 245, "what was refused is not counted");
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_of_requests_side_by_side_adds_up_while_they_last_and_afterwards() {
        let traffic = Traffic::default();
        let flown = |script: &str| traffic.counts().iter().find(|c| &*c.script == script).map(|c| c.in_flight_us);
        let (first, second) = (traffic.enter(&label("a", "one"), HERE).unwrap(), traffic.enter(&label("a", "one"), HERE).unwrap());
        tokio::time::advance(Duration::from_millis(30)).await;
        assert_eq!(flown("one"), Some(60_000));
        drop(first);
        tokio::time::advance(Duration::from_millis(30)).await;
        drop(second);
        let other = traffic.enter(&label("a", "two"), HERE).unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        drop(other);
        assert_eq!((flown("one"), flown("two")), (Some(90_000), Some(1_000_000)));
    }

    #[test]
    fn a_visitor_who_never_ends_a_request_leaves_room_for_others() {
        let traffic = Traffic::default();
        let from = |last: u8| IpAddr::from([192, 0, 2, last]);
        let mut held: Vec<Place> = Vec::new();
        while let Ok(place) = traffic.enter(&label("a", "one"), from(1)) {
            held.push(place);
        }
        assert_eq!(held.len() as u64, limits::SITE_REQUESTS / 2 + limits::SITE_REQUESTS_PER_ADDRESS as u64);
        assert!(traffic.enter(&label("a", "one"), from(2)).is_ok(), "a neighbour of the visitor is served");
        let counted = traffic.counts()[0].requests;
        assert_eq!(counted, held.len() as u64 + 1, "what was refused is not counted");
        drop(held);
        assert!(traffic.enter(&label("a", "one"), from(1)).is_ok());
    }

    #[test]
    fn what_nobody_visited_for_takes_from_the_same_allowance_and_is_counted() {
        let traffic = Traffic::default();
        traffic.set_limit("a", 3);
        assert!(traffic.enter(&label("a", "one"), HERE).is_ok());
        let place = traffic.begin(&label("a", "cron")).ok().unwrap();
        assert!(traffic.has_left("a"));
        drop(traffic.begin(&label("a", "cron")).ok().unwrap());
        assert_eq!(traffic.begin(&label("a", "cron")).err(), Some(NoPlace::Spent));
        assert_eq!(traffic.enter(&label("a", "one"), HERE).err(), Some(NoPlace::Spent));
        assert!(!traffic.has_left("a") && traffic.has_left("b"));
        drop(place);
        let cron = traffic.counts().into_iter().find(|count| &*count.script == "cron").unwrap();
        assert_eq!(cron.requests, 2);
    }

    #[test]
    fn a_site_has_a_bounded_number_of_websockets() {
        let traffic = Traffic::default();
        let place = traffic.enter(&label("a", "one"), HERE).unwrap();
        let open: Vec<_> = std::iter::from_fn(|| place.tunnel()).collect();
        assert_eq!(open.len() as u64, limits::SITE_WEBSOCKETS);
        drop(open);
        assert!(place.tunnel().is_some(), "places are given back, also those that were refused");
    }
}
