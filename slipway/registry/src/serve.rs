//! Connections: over TLS for the world, over a pipe for a registrar in the same process.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::DuplexStream;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::limits::{CONNECTIONS, FRAME_BYTES, HANDSHAKE};
use crate::registry::Registry;
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
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(e) => {
                    tracing::warn!(error = %e, "a connection was not accepted");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            // Whoever comes when all places are taken is turned away, and is not kept waiting.
            let Ok(place) = places.clone().try_acquire_owned() else { continue };
            let (registry, acceptor) = (registry.clone(), acceptor.clone());
            tokio::spawn(async move {
                let ended = connection(&registry, stream, &acceptor).await;
                if let Err(e) = ended {
                    tracing::debug!(error = %e, "a connection broke");
                }
                drop(place);
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
        if let Err(e) = session::run(&registry, &mut ours, None).await {
            tracing::debug!(error = %e, "a connection in the process broke");
        }
    });
    theirs
}

async fn connection(registry: &Registry, stream: TcpStream, acceptor: &TlsAcceptor) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = timeout(HANDSHAKE, acceptor.accept(stream)).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    let certificate = stream.get_ref().1.peer_certificates().and_then(|all| all.first()).map(tls::fingerprint);
    session::run(registry, &mut stream, certificate).await
}
