//! An edge with some sites behind it.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use http::header::{CONNECTION, UPGRADE};
use http::{Request, Response, StatusCode, request};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use purser_values::Env;
use purser_values::name::HostName;
use slipway_edge::edge::{Certificates, Edge, EdgeConfig, EdgeError, EdgeHandle};
use slipway_edge::page::whole;
use slipway_edge::route::{Answer, Pending, RouteTarget, Router, Site, SiteLabel, Unavailable, Upstream};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixListener;
use tokio::sync::Notify;

use crate::curl::{self, Reply};

pub struct World {
    pub folder: TempDir,
    pub edge: EdgeHandle,
    pub drip: Arc<Notify>,
    sites: Arc<Sites>,
}

struct Sites {
    socket: Arc<Path>,
    generation: AtomicU64,
    connections: AtomicUsize,
}

struct OneSite {
    label: SiteLabel,
    sites: Arc<Sites>,
}

struct Table(Arc<Sites>);

impl Router for Table {
    fn route(&self, host: &HostName) -> RouteTarget {
        match host.as_str() {
            "closed.test" => RouteTarget::Suspended,
            "shop.test" | "other.test" | "static.test" | "absent.test" | "broken.test" | "heavy.test" => {
                let script = host.as_str().trim_end_matches(".test");
                let label = SiteLabel { account: "acct".into(), script: script.into(), version: "v1".into() };
                RouteTarget::Site(Arc::new(OneSite { label, sites: self.0.clone() }))
            }
            _ => RouteTarget::Unknown,
        }
    }
}

impl Site for OneSite {
    fn label(&self) -> &SiteLabel {
        &self.label
    }

    fn answer<'a>(&'a self, _: &'a request::Parts) -> Pending<'a, Result<Answer, Unavailable>> {
        Box::pin(async move {
            let generation = self.sites.generation.load(Ordering::SeqCst);
            match &*self.label.script {
                "static" => Ok(Answer::Respond(Response::new(whole("a file")))),
                "absent" => {
                    Ok(Answer::Forward(Upstream { socket: Path::new("/nonexistent/socket").into(), generation, hold: Default::default() }))
                }
                "broken" => Err(Unavailable::Broken("it does not start".to_owned())),
                "heavy" => Err(Unavailable::OverLimits("too much memory".to_owned())),
                _ => Ok(Answer::Forward(Upstream { socket: self.sites.socket.clone(), generation, hold: Default::default() })),
            }
        })
    }
}

impl World {
    pub async fn start() -> Self {
        Self::with(|folder| Certificates::LocalCa { keys: folder.to_owned(), public: folder.join("ca.pem") }).await.unwrap()
    }

    pub async fn with(certificates: impl FnOnce(&Path) -> Certificates) -> Result<Self, EdgeError> {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("worker.sock").into();
        let sites = Arc::new(Sites { socket, generation: AtomicU64::new(0), connections: AtomicUsize::new(0) });
        let config = EdgeConfig {
            listen_https: "127.0.0.1:0".parse().unwrap(),
            listen_http: "127.0.0.1:0".parse().unwrap(),
            certificates: certificates(folder.path()),
        };
        let edge = Edge::start(config, Arc::new(Table(sites.clone())), Env::system()).await?;
        let world = Self { folder, edge, drip: Arc::new(Notify::new()), sites };
        world.deploy("one").await;
        Ok(world)
    }

    /// Another process takes the socket over; the one before keeps its connections.
    pub async fn deploy(&self, name: &'static str) {
        let _ = std::fs::remove_file(&self.sites.socket);
        let listener = UnixListener::bind(&self.sites.socket).unwrap();
        self.sites.generation.fetch_add(1, Ordering::SeqCst);
        let (sites, drip) = (self.sites.clone(), self.drip.clone());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                sites.connections.fetch_add(1, Ordering::SeqCst);
                let drip = drip.clone();
                let service = service_fn(move |request| work(name, request, drip.clone()));
                let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades();
                tokio::spawn(connection);
            }
        });
    }

    pub fn connections(&self) -> usize {
        self.sites.connections.load(Ordering::SeqCst)
    }

    pub fn drip_on(&self) {
        self.drip.notify_one();
    }

    pub async fn stop(self) {
        self.edge.stop().await;
    }

    /// Asks over TLS, trusting the edge's own authority; `PORT` in an argument is the edge's port.
    pub async fn https(&self, host: &str, args: &[&str]) -> Reply {
        let port = self.edge.https_addr.port().to_string();
        let ca = self.folder.path().join("ca.pem").display().to_string();
        let mut all = vec!["--cacert".to_owned(), ca, "--resolve".to_owned(), format!("{host}:{port}:127.0.0.1")];
        all.extend(args.iter().map(|a| a.replace("PORT", &port)));
        tokio::task::spawn_blocking(move || curl::run(&all)).await.unwrap()
    }

    pub async fn http(&self, args: &[&str]) -> Reply {
        let mut all = vec!["--resolve".to_owned(), "*:80:127.0.0.1".to_owned()];
        all.extend(args.iter().map(|a| (*a).to_owned()));
        tokio::task::spawn_blocking(move || curl::run(&all)).await.unwrap()
    }
}

type Sent = Response<UnsyncBoxBody<Bytes, hyper::Error>>;

/// The Worker: tells what it was asked, or does what the path says.
async fn work(name: &'static str, mut request: Request<Incoming>, drip: Arc<Notify>) -> Result<Sent, std::io::Error> {
    let full = |text: String| Full::new(Bytes::from(text)).map_err(|never: Infallible| match never {}).boxed_unsync();
    match request.uri().path() {
        "/echo" => Ok(Response::new(request.into_body().boxed_unsync())),
        "/drain" => {
            let mut body = request.into_body();
            while let Some(frame) = body.frame().await {
                frame.map_err(std::io::Error::other)?;
            }
            Ok(Response::new(full("drained".to_owned())))
        }
        "/hang-up" => Err(std::io::Error::other("hanging up")),
        "/drip" => {
            let parts = futures_util::stream::unfold(0, move |n| {
                let drip = drip.clone();
                async move {
                    let text = match n {
                        0 => "first",
                        1 => {
                            drip.notified().await;
                            "last"
                        }
                        _ => return None,
                    };
                    Some((Ok(Frame::data(Bytes::from_static(text.as_bytes()))), n + 1))
                }
            });
            Ok(Response::new(StreamBody::new(parts).boxed_unsync()))
        }
        "/socket" => {
            let upgraded = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                let mut io = TokioIo::new(upgraded.await.unwrap());
                let mut buffer = [0; 64];
                while let Ok(size @ 1..) = tokio::io::AsyncReadExt::read(&mut io, &mut buffer).await {
                    io.write_all(&buffer[..size]).await.unwrap();
                }
            });
            let response =
                Response::builder().status(StatusCode::SWITCHING_PROTOCOLS).header(CONNECTION, "Upgrade").header(UPGRADE, "websocket");
            Ok(response.body(full(String::new())).unwrap())
        }
        _ => {
            let headers: serde_json::Map<_, _> =
                request.headers().iter().map(|(k, v)| (k.to_string(), v.to_str().unwrap_or("?").into())).collect();
            let seen = serde_json::json!({"worker": name, "target": request.uri().to_string(), "headers": headers});
            let response = Response::builder().header(CONNECTION, "keep-alive, x-hop").header("x-hop", "1").header("x-end", "1");
            Ok(response.body(full(seen.to_string())).unwrap())
        }
    }
}
