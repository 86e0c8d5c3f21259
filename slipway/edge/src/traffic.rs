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
}

/// Account and script.
type Key = (Arc<str>, Arc<str>);

#[derive(Default)]
struct Counters {
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
    /// Takes a place at the site, or `None` when all are taken.
    #[must_use]
    pub fn enter(&self, label: &SiteLabel) -> Option<Place> {
        let key = (label.account.clone(), label.script.clone());
        let counters = self.sites.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default().clone();
        counters.requests.fetch_add(1, Ordering::Relaxed);
        let place = Place(counters);
        (place.0.under_way.fetch_add(1, Ordering::Relaxed) < limits::SITE_REQUESTS).then_some(place)
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
