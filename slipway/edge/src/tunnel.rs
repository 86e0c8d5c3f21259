//! A WebSocket after its handshake: bytes both ways until one side ends or both fall silent.

use std::net::IpAddr;
use std::sync::Arc;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use purser_http::crowd::{self, Crowd, Seat};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits;
use crate::traffic::{NoPlace, Place, SiteTunnel};
use crate::watched::Watched;

/// Places for open WebSockets: their connections have left the listener, which counts them no more.
pub struct Tunnels {
    places: Arc<Semaphore>,
    crowd: Crowd,
}

/// The places of one WebSocket, given back when it ends.
pub struct Held {
    _place: OwnedSemaphorePermit,
    _seat: Seat,
    _site: SiteTunnel,
}

impl Default for Tunnels {
    fn default() -> Self {
        let crowd = Crowd::new(limits::WEBSOCKETS_PER_ADDRESS, crowd::this_machine());
        Self { places: Arc::new(Semaphore::new(limits::WEBSOCKETS)), crowd }
    }
}

impl Tunnels {
    /// Takes a place at the site, of the visitor, and of all.
    ///
    /// # Errors
    /// When one of them is full.
    pub fn enter(&self, remote: IpAddr, place: Option<&Place>) -> Result<Held, NoPlace> {
        let site = place.and_then(Place::tunnel).ok_or(NoPlace::Busy)?;
        let place = self.places.clone().try_acquire_owned().map_err(|_| NoPlace::Busy)?;
        Ok(Held { _place: place, _seat: self.crowd.enter(remote).ok_or(NoPlace::Busy)?, _site: site })
    }
}

/// Joins the visitor's connection with the Worker's, once both are upgraded.
///
/// `held` is what both must keep until the end: its places, and what keeps its Worker awake.
pub fn join(visitor: OnUpgrade, worker: OnUpgrade, ray: String, held: impl Send + 'static) {
    tokio::spawn(async move {
        let _held = held;
        let (visitor, worker) = match tokio::try_join!(visitor, worker) {
            Ok(both) => both,
            Err(e) => return tracing::debug!(ray = %ray, error = %e, "a websocket was not established"),
        };
        let (mut visitor, activity) = Watched::new(TokioIo::new(visitor));
        let mut worker = TokioIo::new(worker);
        tokio::select! {
            ended = tokio::io::copy_bidirectional(&mut visitor, &mut worker) => match ended {
                Ok((up, down)) => tracing::debug!(ray = %ray, up, down, "a websocket ended"),
                Err(e) => tracing::debug!(ray = %ray, error = %e, "a websocket broke off"),
            },
            () = activity.idle(limits::CONNECTION_IDLE) => tracing::debug!(ray = %ray, "a silent websocket was closed"),
        }
    });
}
