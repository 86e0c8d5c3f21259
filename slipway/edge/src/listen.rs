//! Accepting connections: places, TLS, HTTP/1.1 and HTTP/2, and an orderly end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Version;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use purser_http::crowd::Crowd;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::cf::Facts;
use crate::connection::Connection;
use crate::host::Entrance;
use crate::lanes::Lanes;
use crate::limits;
use crate::pool::Pool;
use crate::serve::{Shared, serve};
use crate::watched::Watched;

/// One of the two listeners.
pub struct Listener {
    pub socket: TcpListener,
    pub tls: Option<TlsAcceptor>,
    pub shared: Arc<Shared>,
    pub lanes: Arc<Lanes>,
    pub places: Arc<Semaphore>,
    pub crowd: Crowd,
    pub stopped: watch::Receiver<bool>,
}

/// Accepts until told to stop, then lets the connections finish.
pub async fn run(listener: Listener) {
    let mut connections = JoinSet::new();
    let mut stopped = listener.stopped.clone();
    loop {
        tokio::select! {
            accepted = accept(&listener) => {
                let Some((stream, remote, place)) = accepted else { continue };
                let Some(seat) = listener.crowd.enter(remote.ip()) else { continue };
                let Some(lane) = listener.lanes.place() else { continue };
                let (tls, shared, stopped) = (listener.tls.clone(), listener.shared.clone(), listener.stopped.clone());
                let handle = lane.handle.clone();
                let serving = async move {
                    match moved(stream) {
                        Ok(stream) => connection(stream, remote, lane.pool.clone(), tls, shared, stopped).await,
                        Err(e) => tracing::warn!(%remote, error = %e, "a connection could not be taken to its thread"),
                    }
                    drop((place, seat, lane));
                };
                connections.spawn_on(serving, &handle);
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            () = told_to_stop(&mut stopped) => break,
        }
    }
    drop(listener.socket);
    // Whoever is not done then is cut off with the set.
    let _ = tokio::time::timeout(limits::DRAIN, async { while connections.join_next().await.is_some() {} }).await;
}

async fn accept(listener: &Listener) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = listener.places.clone().acquire_owned().await.ok()?;
    match listener.socket.accept().await {
        Ok((stream, remote)) => Some((stream, remote, place)),
        Err(e) => {
            // Out of file descriptors, most likely: trying again at once would only burn the processor.
            tracing::warn!(error = %e, "cannot accept a connection");
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

/// The stream for the thread that this runs on.
fn moved(stream: TcpStream) -> std::io::Result<TcpStream> {
    TcpStream::from_std(stream.into_std()?)
}

async fn connection(
    stream: TcpStream,
    remote: SocketAddr,
    pool: Arc<Pool>,
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared>,
    stopped: watch::Receiver<bool>,
) {
    if let Err(e) = stream.set_nodelay(true) {
        tracing::debug!(error = %e, "cannot turn delays off");
    }
    let (stream, activity) = Watched::new(stream);
    let serving = async {
        let Some(tls) = tls else {
            let connection = Connection::new(Entrance::Http, remote.ip(), pool, Facts::default(), Version::HTTP_11);
            return http(stream, connection, shared, stopped).await;
        };
        match tokio::time::timeout(limits::HANDSHAKE, tls.accept(stream)).await {
            Ok(Ok(stream)) => {
                let session = stream.get_ref().1;
                let server_name = session.server_name().and_then(|name| name.parse().ok());
                let version = if session.alpn_protocol() == Some(b"h2") { Version::HTTP_2 } else { Version::HTTP_11 };
                let connection = Connection::new(Entrance::Https { server_name }, remote.ip(), pool, Facts::of(session), version);
                http(stream, connection, shared, stopped).await;
            }
            Ok(Err(e)) => tracing::debug!(%remote, error = %e, "a TLS handshake failed"),
            Err(_) => tracing::debug!(%remote, "a TLS handshake took too long"),
        }
    };
    tokio::select! {
        () = serving => {}
        () = activity.idle(limits::CONNECTION_IDLE) => tracing::debug!(%remote, "an idle connection was closed"),
    }
}

async fn http<T>(stream: T, visitor: Connection, shared: Arc<Shared>, mut stopped: watch::Receiver<bool>)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HEADER_READ)
        .max_buf_size(limits::HEADER_BYTES)
        .max_headers(limits::HEADER_FIELDS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits::STREAMS)
        .max_header_list_size(limits::HEADER_LIST_BYTES)
        .keep_alive_interval(limits::CONNECTION_IDLE / 4)
        .keep_alive_timeout(limits::HANDSHAKE);
    let remote = visitor.remote;
    let visitor = Arc::new(visitor);
    let service = service_fn(move |request| {
        let answer = serve(shared.clone(), visitor.clone(), request);
        async { Ok::<_, Infallible>(answer.await) }
    });
    let mut connection = std::pin::pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = told_to_stop(&mut stopped) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(e) = ended {
        tracing::debug!(%remote, error = %e, "a connection ended");
    }
}

/// Returns when the edge stops: it was told to, or its handle is gone.
pub async fn told_to_stop(stopped: &mut watch::Receiver<bool>) {
    drop(stopped.wait_for(|s| *s).await);
}
