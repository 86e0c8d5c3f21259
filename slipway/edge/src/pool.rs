//! Kept connections to the Workers' Unix sockets.
//!
//! A connection carries one request at a time (HTTP/1.1), is kept for a moment after its answer was read to the end, and is never
//! reused across generations of a socket: after a deployment the old process may still hold old connections, and a request
//! over one of them would see the old code.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use http::{Request, Response};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::time::Instant;

use crate::body::{Download, Upload};
use crate::limits;
use crate::route::Upstream;

/// The kept connections.
#[derive(Default)]
pub struct Pool {
    kept: Mutex<HashMap<Arc<Path>, Kept>>,
}

#[derive(Default)]
struct Kept {
    generation: u64,
    idle: Vec<(SendRequest<Upload>, Instant)>,
}

/// A connection in use.
pub struct Lease {
    sender: SendRequest<Upload>,
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
            let (mut sender, reused) = match self.take(upstream) {
                Some(sender) => (sender, true),
                None => (connect(&upstream.socket).await?, false),
            };
            match sender.ready().await {
                Err(_) if reused => continue,
                ready => ready.map_err(SendError::Broken)?,
            }
            match sender.try_send_request(request).await {
                Ok(response) => {
                    let lease = Lease { sender, upstream: upstream.clone(), pool: self.clone() };
                    return Ok(response.map(|body| Download::new(body, lease)));
                }
                Err(mut e) => match e.take_message() {
                    Some(unsent) if reused => request = unsent,
                    _ => return Err(SendError::Broken(e.into_error())),
                },
            }
        }
    }

    fn take(&self, upstream: &Upstream) -> Option<SendRequest<Upload>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = kept.get_mut(&upstream.socket)?;
        kept.advance(upstream.generation);
        if kept.generation != upstream.generation {
            return None;
        }
        while let Some((sender, since)) = kept.idle.pop() {
            if since.elapsed() > limits::KEPT_FOR {
                // The newest is too old, so all are.
                kept.idle.clear();
                return None;
            }
            if !sender.is_closed() {
                return Some(sender);
            }
        }
        None
    }

    /// Forgets sockets that nobody used lately, so that removed Workers leave nothing behind.
    pub fn sweep(&self) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, kept| {
            kept.idle.retain(|(sender, since)| !sender.is_closed() && since.elapsed() <= limits::KEPT_FOR);
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
    /// Keeps the connection for the next request.
    pub fn give_back(self) {
        if self.sender.is_closed() {
            return;
        }
        let mut kept = self.pool.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = kept.entry(self.upstream.socket.clone()).or_default();
        kept.advance(self.upstream.generation);
        if kept.generation == self.upstream.generation && kept.idle.len() < limits::KEPT {
            kept.idle.push((self.sender, Instant::now()));
        }
    }
}

async fn connect(socket: &Path) -> Result<SendRequest<Upload>, SendError> {
    let stream = tokio::time::timeout(limits::CONNECT, reach(socket))
        .await
        .map_err(|_| SendError::Connect(io::ErrorKind::TimedOut.into()))?
        .map_err(SendError::Connect)?;
    let (sender, connection) =
        http1::Builder::new().max_headers(limits::HEADER_FIELDS * 2).handshake(TokioIo::new(stream)).await.map_err(SendError::Broken)?;
    tokio::spawn(async move {
        if let Err(e) = connection.with_upgrades().await {
            tracing::debug!(error = %e, "connection to a worker ended");
        }
    });
    Ok(sender)
}

/// A full queue at a Unix socket is reported at once instead of waited for, so the waiting is done here.
async fn reach(socket: &Path) -> io::Result<UnixStream> {
    loop {
        match UnixStream::connect(socket).await {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => tokio::time::sleep(std::time::Duration::from_millis(2)).await,
            other => return other,
        }
    }
}
