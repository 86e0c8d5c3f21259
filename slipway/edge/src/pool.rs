//! Kept connections to the Workers' Unix sockets.
//!
//! A connection carries one request at a time (HTTP/1.1), is kept for a moment after its answer was read to the end, and is never
//! reused across generations of a socket: after a deployment the old process may still hold old connections, and a request
//! over one of them would see the old code.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Context;

use http::{Request, Response};
use tokio::time::Instant;

use crate::body::{Download, Upload};
use crate::limits;
use crate::route::Upstream;
use crate::socket::Socket;
use crate::wire::Wire;

/// The kept connections.
#[derive(Default)]
pub struct Pool {
    kept: Mutex<HashMap<Arc<Path>, Kept>>,
}

#[derive(Default)]
struct Kept {
    generation: u64,
    idle: Vec<(Wire, Instant)>,
}

/// A connection in use.
pub struct Lease {
    wire: Wire,
    upstream: Upstream,
    pool: Arc<Pool>,
}

/// Why a Worker gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    #[error("cannot connect to the worker: {0}")]
    Connect(#[source] io::Error),
    #[error("the worker's answer broke off: {0}")]
    Broken(#[source] hyper::Error),
}

impl Pool {
    /// Sends one request and waits for the head of its answer.
    ///
    /// A request that meets a connection that was closed meanwhile, and was not written, is sent once more over another; a
    /// request of which a part was written is never repeated.
    ///
    /// # Errors
    /// When the Worker cannot be reached or breaks off.
    pub async fn send(self: &Arc<Self>, upstream: &Upstream, mut request: Request<Upload>) -> Result<Response<Download>, SendError> {
        loop {
            let (mut wire, reused) = match self.take(upstream) {
                Some(wire) => (wire, true),
                None => (connect(&upstream.socket).await?, false),
            };
            match wire.ready().await {
                Err(_) if reused => continue,
                ready => ready.map_err(SendError::Broken)?,
            }
            match wire.send(request).await {
                Ok(response) => {
                    let lease = Lease { wire, upstream: upstream.clone(), pool: self.clone() };
                    return Ok(response.map(|body| Download::new(body, lease)));
                }
                Err(mut e) => match e.take_message() {
                    Some(unsent) if reused => request = unsent,
                    _ => return Err(SendError::Broken(e.into_error())),
                },
            }
        }
    }

    fn take(&self, upstream: &Upstream) -> Option<Wire> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = kept.get_mut(&upstream.socket)?;
        kept.advance(upstream.generation);
        if kept.generation != upstream.generation {
            return None;
        }
        while let Some((wire, since)) = kept.idle.pop() {
            if since.elapsed() > limits::KEPT_FOR {
                // The newest is too old, so all are.
                kept.idle.clear();
                return None;
            }
            if !wire.is_closed() {
                return Some(wire);
            }
        }
        None
    }

    /// Forgets sockets that nobody used lately, so that removed Workers leave nothing behind.
    pub fn sweep(&self) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, kept| {
            kept.idle.retain(|(wire, since)| !wire.is_closed() && since.elapsed() <= limits::KEPT_FOR);
            !kept.idle.is_empty()
        });
    }
}

impl Kept {
    fn advance(&mut self, generation: u64) {
        if generation > self.generation {
            self.generation = generation;
            self.idle.clear();
        }
    }
}

impl Lease {
    /// Moves what can be moved over the connection.
    pub fn drive(&mut self, cx: &mut Context<'_>) {
        self.wire.drive(cx);
    }

    /// Keeps the connection for the next request.
    pub fn give_back(self) {
        if self.wire.is_closed() {
            return;
        }
        let mut kept = self.pool.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = kept.entry(self.upstream.socket.clone()).or_default();
        kept.advance(self.upstream.generation);
        if kept.generation == self.upstream.generation && kept.idle.len() < limits::KEPT {
            kept.idle.push((self.wire, Instant::now()));
        }
    }
}

async fn connect(socket: &Path) -> Result<Wire, SendError> {
    let socket = tokio::time::timeout(limits::CONNECT, Socket::connect(socket))
        .await
        .map_err(|_| SendError::Connect(io::ErrorKind::TimedOut.into()))?
        .map_err(SendError::Connect)?;
    Wire::over(socket).await.map_err(SendError::Broken)
}
