//! Serving a router on a listener, with a limit on everything that a stranger can hold open.
//!
//! What a client must do in time: send the head of a request (also the next one on a kept connection), and go on with a body that it
//! has begun. How long a handler thinks is the handler's affair: some wait for a person. HTTP/1.1 only; a proxy in front may speak more.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use ipnet::IpNet;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tower::{Layer as _, ServiceExt as _};
use tower_http::timeout::RequestBodyTimeoutLayer;

use crate::crowd::{self, Crowd};

/// How much a client may hold, and for how long.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at a time; more wait in the system's queue.
    pub connections: usize,
    /// Connections at a time from one address (from one /64 in IPv6); one more is closed at once.
    pub connections_per_address: usize,
    /// Addresses that many visitors share, our own proxies above all: only `connections` holds for them.
    pub shared_addresses: Vec<IpNet>,
    /// From the connection, or the answer before, to the end of a request's head.
    pub head: Duration,
    /// Between two parts of a body.
    pub body: Duration,
    /// Time that requests under way get when we stop.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let (head, body, drain) = (Duration::from_secs(15), Duration::from_secs(15), Duration::from_secs(5));
        Self { connections: 512, connections_per_address: 64, shared_addresses: crowd::this_machine(), head, body, drain }
    }
}

/// Serves until `stop` is ready, then lets requests under way finish. Handlers may ask for `ConnectInfo<SocketAddr>`.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, stop: impl Future<Output = ()>) {
    // Around the router and not a layer of it, which would be cloned with all that lies within for every request.
    let service = RequestBodyTimeoutLayer::new(limits.body).layer(router);
    let places = Arc::new(Semaphore::new(limits.connections));
    let crowd = Crowd::new(limits.connections_per_address, limits.shared_addresses);
    let (stopping, _) = watch::channel(());
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            () = stop.as_mut() => break,
        };
        let Some((stream, peer, place)) = accepted else { continue };
        let Some(seat) = crowd.enter(peer.ip()) else {
            tracing::debug!(%peer, "one address asks for too many connections");
            continue;
        };
        let service = service.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            service.clone().oneshot(request)
        });
        let mut http = http1::Builder::new();
        // what becomes a WebSocket is bounded by whoever takes it over
        let connection = http.timer(TokioTimer::new()).header_read_timeout(limits.head).serve_connection(TokioIo::new(stream), service);
        let (connection, mut told) = (connection.with_upgrades(), stopping.subscribe());
        tokio::spawn(async move {
            let mut connection = std::pin::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                _ = told.changed() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(e) = ended {
                tracing::debug!(%peer, error = %e, "a connection ended");
            }
            drop((place, seat, told));
        });
    }
    drop(listener);
    stopping.send_replace(());
    // each connection holds a receiver until it ends
    if tokio::time::timeout(limits.drain, stopping.closed()).await.is_err() {
        tracing::warn!("requests under way were cut off");
    }
}

async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => {
            if let Err(e) = stream.set_nodelay(true) {
                tracing::debug!(error = %e, "cannot turn delays off");
            }
            Some((stream, peer, place))
        }
        Err(e) => {
            // out of file descriptors, most likely: trying again at once would only burn the processor
            tracing::warn!(error = %e, "cannot accept a connection");
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::{get, post};
    use bytes::Bytes;
    use std::time::Instant;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::oneshot;
    use tokio::task::JoinHandle;

    const SHORT: Duration = Duration::from_millis(150);
    const PATIENCE: Duration = Duration::from_secs(10);

    struct Server {
        address: SocketAddr,
        stop: oneshot::Sender<()>,
        task: JoinHandle<()>,
    }

    async fn start(limits: Limits) -> Server {
        let router = Router::new()
            .route("/peer", get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.to_string() }))
            .route("/slow", get(|| async { tokio::time::sleep(SHORT * 4).await }))
            .route("/body", post(|body: Bytes| async move { body }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(serve(listener, router, limits, async { drop(stopped.await) }));
        Server { address, stop, task }
    }

    fn limits() -> Limits {
        Limits { connections: 2, head: SHORT, body: SHORT, drain: PATIENCE, ..Limits::default() }
    }

    /// What comes back until the server closes.
    async fn talk(address: SocketAddr, text: &str) -> (TcpStream, String) {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
        assert!(read.is_ok(), "the server keeps a connection open after: {text}");
        (stream, String::from_utf8_lossy(&answer).into_owned())
    }

    #[tokio::test]
    async fn whoever_does_not_go_on_is_cut_off_and_others_take_the_place() {
        let server = start(limits()).await;
        let begin = Instant::now();
        let half = "GET /peer HTTP/1.1\r\nHost: x\r\n";
        let silent = ["", "P", half].map(|text| tokio::spawn(talk(server.address, text)));
        for connection in silent {
            connection.await.unwrap();
        }
        let (_, stuck) = talk(server.address, "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n1").await;
        assert!(stuck.is_empty() || stuck.starts_with("HTTP/1.1 4"), "{stuck}");
        let (_, kept) = talk(server.address, &format!("{half}\r\n")).await;
        assert!(kept.starts_with("HTTP/1.1 200"), "{kept}");
        assert!(begin.elapsed() < PATIENCE);
    }

    #[tokio::test]
    async fn one_address_cannot_take_every_place() {
        let crowded = Limits { connections: 8, connections_per_address: 2, shared_addresses: Vec::new(), head: PATIENCE, ..limits() };
        let server = start(crowded).await;
        let held = [TcpStream::connect(server.address).await.unwrap(), TcpStream::connect(server.address).await.unwrap()];
        let (_, third) = talk(server.address, "").await;
        assert!(third.is_empty(), "{third}");
        drop(held);
        let ask = "GET /peer HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let begin = Instant::now();
        while !talk(server.address, ask).await.1.starts_with("HTTP/1.1 200") {
            assert!(begin.elapsed() < PATIENCE, "whoever leaves makes room");
        }
    }

    #[tokio::test]
    async fn a_handler_may_think_and_knows_its_peer() {
        let server = start(limits()).await;
        let (_, slow) = talk(server.address, "GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        assert!(slow.starts_with("HTTP/1.1 200"), "{slow}");
        let (stream, peer) = talk(server.address, "GET /peer HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        assert!(peer.ends_with(&stream.local_addr().unwrap().to_string()), "{peer}");
    }

    #[tokio::test]
    async fn a_stop_lets_what_is_under_way_finish_and_no_longer_than_the_drain() {
        for (drain, finishes) in [(PATIENCE, true), (Duration::ZERO, false)] {
            let server = start(Limits { drain, head: PATIENCE, ..limits() }).await;
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            stream.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            tokio::time::sleep(SHORT).await;
            let begin = Instant::now();
            server.stop.send(()).unwrap();
            server.task.await.unwrap();
            assert_eq!(begin.elapsed() >= SHORT, finishes, "{drain:?}");
            if finishes {
                let mut answer = String::new();
                stream.read_to_string(&mut answer).await.unwrap();
                assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            }
        }
    }
}
