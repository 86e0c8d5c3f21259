//! Connections: over TLS for the world, over a pipe for a registrar in the same process.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::DuplexStream;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;

use crate::doors::Net;
use crate::limits::{CONNECTIONS, FRAME_BYTES, HANDSHAKE, SIGN_IN};
use crate::registry::Registry;
use crate::session::Peer;
use crate::{session, tls};

/// Between two rounds of the clock.
const ROUND: Duration = Duration::from_secs(60);
/// After the system has no descriptor for another connection.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop` is ready.
pub async fn listen(registry: Registry, listener: TcpListener, config: Arc<ServerConfig>, stop: impl Future<Output = ()> + Send) {
    let (acceptor, places) = (TlsAcceptor::from(config), Arc::new(Semaphore::new(CONNECTIONS)));
    let clock = tokio::spawn(rounds(registry.clone()));
    let accepting = async {
        loop {
            let (stream, address) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(e) => {
                    tracing::warn!(error = %e, "a connection was not accepted");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            // Whoever comes when all places are taken is turned away, and is not kept waiting.
            let Ok(place) = places.clone().try_acquire_owned() else { continue };
            let from = Net::of(address.ip());
            let Some(own) = registry.doors.place(from) else {
                tracing::debug!(%address, "an address holds too many connections");
                continue;
            };
            let (registry, acceptor) = (registry.clone(), acceptor.clone());
            tokio::spawn(async move {
                let ended = connection(&registry, stream, from, &acceptor).await;
                if let Err(e) = ended {
                    tracing::debug!(error = %e, "a connection broke");
                }
                drop((place, own));
            });
        }
    };
    tokio::select! {
        () = accepting => {}
        () = stop => {}
    }
    clock.abort();
}

/// Runs the clock; spawn it beside a registry that nobody listens for.
pub async fn rounds(registry: Registry) {
    loop {
        tokio::time::sleep(ROUND).await;
        if let Err(e) = registry.round().await {
            tracing::error!(error = %e, "what is due at the registry was not ended");
        }
    }
}

/// A connection in this process: the registrar's end of a pipe, whose other end is served.
#[must_use]
pub fn pipe(registry: &Registry) -> DuplexStream {
    let (theirs, mut ours) = tokio::io::duplex(FRAME_BYTES);
    let registry = registry.clone();
    tokio::spawn(async move {
        if let Err(e) = session::run(&registry, &mut ours, Peer::here()).await {
            tracing::debug!(error = %e, "a connection in the process broke");
        }
    });
    theirs
}

async fn connection(registry: &Registry, stream: TcpStream, from: Net, acceptor: &TlsAcceptor) -> io::Result<()> {
    let until = Instant::now() + SIGN_IN;
    stream.set_nodelay(true)?;
    let mut stream = timeout(HANDSHAKE, acceptor.accept(stream)).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    let certificate = stream.get_ref().1.peer_certificates().and_then(|all| all.first()).map(tls::fingerprint);
    session::run(registry, &mut stream, Peer { certificate, from: Some(from), until }).await
}
