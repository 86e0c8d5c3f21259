//! Who served what: one access-log line per request, counters per site, and the bound on requests under way.
//!
//! The line has the path but never the query, the headers or the body: those may hold secrets.

use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use crate::body::Payload;
use crate::limits;
use crate::route::{BodyError, SiteLabel};

/// The counters of all sites since the start.
#[derive(Default)]
pub struct Traffic {
    sites: Mutex<HashMap<Key, Arc<Counters>>>,
    accounts: Mutex<HashMap<Arc<str>, Arc<Allowance>>>,
}

/// How many requests of an account were taken since the start, and how many may be.
struct Allowance {
    taken: AtomicU64,
    most: AtomicU64,
}

/// Why a request finds no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPlace {
    /// As many requests as may be are under way at the site.
    Busy,
    /// The account has used what is set aside for it.
    Spent,
}

/// Account and script.
type Key = (Arc<str>, Arc<str>);

#[derive(Default)]
struct Counters {
    allowance: Option<Arc<Allowance>>,
    requests: AtomicU64,
    failures: AtomicU64,
    bytes_out: AtomicU64,
    under_way: AtomicU64,
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
}

/// A place among the requests under way at one site.
pub struct Place(Arc<Counters>);

impl Traffic {
    /// Takes a place at the site. What is refused is not counted: it costs nobody anything.
    ///
    /// # Errors
    /// When all places are taken, or the account has used what is set aside for it.
    pub fn enter(&self, label: &SiteLabel) -> Result<Place, NoPlace> {
        let counters = self.counters(label);
        if let Some(allowance) = &counters.allowance {
            let take = |taken: u64| (taken < allowance.most.load(Ordering::Relaxed)).then_some(taken + 1);
            allowance.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).map_err(|_| NoPlace::Spent)?;
        }
        let place = Place(counters);
        if place.0.under_way.fetch_add(1, Ordering::Relaxed) < limits::SITE_REQUESTS {
            place.0.requests.fetch_add(1, Ordering::Relaxed);
            return Ok(place);
        }
        if let Some(allowance) = &place.0.allowance {
            allowance.taken.fetch_sub(1, Ordering::Relaxed);
        }
        Err(NoPlace::Busy)
    }

    /// How many requests of the account may be taken, counted from the start of this process.
    pub fn set_limit(&self, account: &str, most: u64) {
        self.allowance(&Arc::from(account)).most.store(most, Ordering::Relaxed);
    }

    fn counters(&self, label: &SiteLabel) -> Arc<Counters> {
        let key = (label.account.clone(), label.script.clone());
        let mut sites = self.sites.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || Arc::new(Counters { allowance: Some(self.allowance(&label.account)), ..Counters::default() });
        sites.entry(key).or_insert_with(fresh).clone()
    }

    fn allowance(&self, account: &Arc<str>) -> Arc<Allowance> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || Arc::new(Allowance { taken: AtomicU64::new(0), most: AtomicU64::new(u64::MAX) });
        accounts.entry(account.clone()).or_insert_with(fresh).clone()
    }

    /// Every site's counters.
    #[must_use]
    pub fn counts(&self) -> Vec<Count> {
        let sites = self.sites.lock().unwrap_or_else(PoisonError::into_inner);
        let count = |((account, script), c): (&Key, &Arc<Counters>)| Count {
            account: account.clone(),
            script: script.clone(),
            requests: c.requests.load(Ordering::Relaxed),
            failures: c.failures.load(Ordering::Relaxed),
            bytes_out: c.bytes_out.load(Ordering::Relaxed),
        };
        sites.iter().map(count).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One request, from its arrival until the last byte of its answer; logged when dropped.
pub struct Visit {
    pub ray: String,
    pub remote: IpAddr,
    pub method: Method,
    pub host: String,
    pub path: String,
    pub label: Option<SiteLabel>,
    pub place: Option<Place>,
    pub status: StatusCode,
    pub bytes: u64,
    pub started: Instant,
}

impl Drop for Visit {
    fn drop(&mut self) {
        if let Some(Place(counters)) = &self.place {
            counters.bytes_out.fetch_add(self.bytes, Ordering::Relaxed);
            counters.failures.fetch_add(u64::from(self.status.is_server_error()), Ordering::Relaxed);
        }
        let name = |part: fn(&SiteLabel) -> &str| self.label.as_ref().map_or("-", part);
        tracing::info!(
            target: "slipway_edge::access",
            ray = %self.ray, remote = %self.remote, host = %self.host, method = %self.method, path = %self.path,
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

    fn label(account: &str, script: &str) -> SiteLabel {
        SiteLabel { account: account.into(), script: script.into(), version: "v".into() }
    }

    #[test]
    fn an_account_is_served_to_the_request_that_its_limit_names_over_all_its_scripts() {
        let traffic = Traffic::default();
        assert!(traffic.enter(&label("a", "one")).is_ok(), "nobody has set a limit yet");
        traffic.set_limit("a", 100);
        let served = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|i| {
                    let (traffic, script) = (&traffic, if i % 2 == 0 { "one" } else { "two" });
                    scope.spawn(move || (0..60).filter(|_| traffic.enter(&label("a", script)).is_ok()).count())
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
        });
        assert_eq!(served, 99);
        assert_eq!(traffic.enter(&label("a", "three")).err(), Some(NoPlace::Spent));
        assert!(traffic.enter(&label("b", "one")).is_ok(), "a neighbour is served");
        let counted: u64 = traffic.counts().iter().filter(|count| &*count.account == "a").map(|count| count.requests).sum();
        assert_eq!(counted, 100, "what was refused is not counted");
        traffic.set_limit("a", 101);
        assert!(traffic.enter(&label("a", "one")).is_ok());
        assert!(traffic.enter(&label("a", "one")).is_err());
    }
}
