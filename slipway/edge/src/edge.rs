//! The running edge: its configuration, its two listeners, its end.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use purser_values::env::Env;
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::acme::Issuer;
use crate::ca::{CaError, LocalCa};
use crate::certificates::{Resolver, Source, files};
use crate::egress::EgressProxy;
use crate::lanes::{self, Lanes};
use crate::limits;
use crate::listen::{self, Listener};
use crate::pool::Pool;
use crate::ray::Rays;
use crate::route::Router;
use crate::serve::Shared;
use crate::traffic::{Count, Traffic};
use crate::tunnel::Tunnels;
use purser_http::crowd::{self, Crowd};

/// Where the edge listens and which certificates it serves.
#[derive(Clone, Debug)]
pub struct EdgeConfig {
    pub listen_https: SocketAddr,
    pub listen_http: SocketAddr,
    pub certificates: Certificates,
}

/// Where certificates come from.
#[derive(Clone, Debug)]
pub enum Certificates {
    /// Sandbox: an own authority, made on first start in `keys` (a folder of mode 0700) and published as `public`.
    LocalCa { keys: PathBuf, public: PathBuf },
    /// The operator's own: one PEM file with the certificate and its chain, one with its key. Read on start; every name that
    /// routes is answered with it.
    Files { chain: PathBuf, key: PathBuf },
    /// An authority's, and the operator's own for names that have none yet.
    Issued { issuer: Arc<dyn Issuer>, meanwhile: Option<(PathBuf, PathBuf)> },
}

/// The edge.
pub struct Edge;

/// A running edge. Dropping it stops the listeners and lets requests under way finish; [`EdgeHandle::stop`] waits for them.
pub struct EdgeHandle {
    pub https_addr: SocketAddr,
    pub http_addr: SocketAddr,
    traffic: Arc<Traffic>,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

/// Why the edge did not start.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    #[error("cannot listen on `{addr}`: {source}; stop what uses the port or configure another")]
    Listen { addr: SocketAddr, source: io::Error },
    #[error("cannot start a thread for visitors: {0}")]
    Threads(#[source] io::Error),
    #[error(transparent)]
    Authority(#[from] CaError),
    #[error("cannot use the certificate in `{path}`: {why}")]
    Certificate { path: PathBuf, why: String },
    #[error("cannot set TLS up: {0}")]
    Tls(#[from] rustls::Error),
}

impl Edge {
    /// Binds both listeners and serves until the handle is dropped or stopped. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When an address is taken, or the certificates cannot be read or made.
    pub async fn start(config: EdgeConfig, router: Arc<dyn Router>, env: Env) -> Result<EdgeHandle, EdgeError> {
        Self::start_counting(config, router, env, Arc::default()).await
    }

    /// As [`Edge::start`], with counters that others count with.
    ///
    /// # Errors
    /// As [`Edge::start`].
    pub async fn start_counting(
        config: EdgeConfig,
        router: Arc<dyn Router>,
        env: Env,
        traffic: Arc<Traffic>,
    ) -> Result<EdgeHandle, EdgeError> {
        let https = bind(config.listen_https).await?;
        let http = bind(config.listen_http).await?;
        let addr = |l: &TcpListener, addr| l.local_addr().map_err(|source| EdgeError::Listen { addr, source });
        let (https_addr, http_addr) = (addr(&https, config.listen_https)?, addr(&http, config.listen_http)?);
        let issuer = match &config.certificates {
            Certificates::Issued { issuer, .. } => Some(issuer.clone()),
            Certificates::LocalCa { .. } | Certificates::Files { .. } => None,
        };
        let tls = tls(config.certificates, router.clone(), &env)?;
        let shared = Arc::new(Shared {
            router,
            pool: Arc::new(Pool::default()),
            traffic,
            rays: Rays::new(&env),
            tunnels: Tunnels::default(),
            https_port: https_addr.port(),
            issuer,
            main: Handle::current(),
        });
        let lanes = Arc::new(Lanes::start().map_err(EdgeError::Threads)?);
        let (stop, stopped) = watch::channel(false);
        let places = Arc::new(tokio::sync::Semaphore::new(limits::CONNECTIONS));
        let crowd = Crowd::new(limits::CONNECTIONS_PER_ADDRESS, crowd::this_machine());
        let listener = |socket, tls| {
            let (shared, lanes, places, crowd, stopped) = (shared.clone(), lanes.clone(), places.clone(), crowd.clone(), stopped.clone());
            Listener { socket, tls, shared, lanes, places, crowd, stopped }
        };
        let tasks = vec![
            tokio::spawn(listen::run(listener(https, Some(tls)))),
            tokio::spawn(listen::run(listener(http, None))),
            tokio::spawn(sweep(shared.pool.clone(), stopped.clone())),
        ];
        Ok(EdgeHandle { https_addr, http_addr, traffic: shared.traffic.clone(), shared, stop, tasks })
    }
}

impl EdgeHandle {
    /// From now on, what Workers ask of hosts that this edge serves is answered by it.
    pub fn answers_to(&self, egress: &EgressProxy) {
        egress.serve_with(&self.shared);
    }

    /// What is counted and limited, for whoever bills it.
    #[must_use]
    pub fn traffic(&self) -> Arc<Traffic> {
        self.traffic.clone()
    }

    /// What each script served since the start.
    #[must_use]
    pub fn counts(&self) -> Vec<Count> {
        self.traffic.counts()
    }

    /// Stops listening and waits for the requests under way, for a bounded time.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        for task in self.tasks.drain(..) {
            if let Err(e) = task.await {
                tracing::error!(error = %e, "a part of the edge ended badly");
            }
        }
    }
}

impl Drop for EdgeHandle {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

/// Whether the operator's own certificate can be served.
///
/// # Errors
/// When a file is not the PEM it should be, or the key is not the certificate's.
pub fn check_certificate(chain: &Path, key: &Path) -> Result<(), EdgeError> {
    files(chain, key).map(drop)
}

async fn bind(addr: SocketAddr) -> Result<TcpListener, EdgeError> {
    TcpListener::bind(addr).await.map_err(|source| EdgeError::Listen { addr, source })
}

fn tls(certificates: Certificates, router: Arc<dyn Router>, env: &Env) -> Result<TlsAcceptor, EdgeError> {
    let source = match certificates {
        Certificates::LocalCa { keys, public } => Source::authority(LocalCa::open(&keys, &public, env)?, env.clone())?,
        Certificates::Files { chain, key } => Source::Fixed(files(&chain, &key)?),
        Certificates::Issued { issuer, meanwhile } => {
            Source::Issued { issuer, meanwhile: meanwhile.map(|(chain, key)| files(&chain, &key)).transpose()? }
        }
    };
    let resolver = Resolver::new(source, router);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new()?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn sweep(pool: Arc<Pool>, mut stopped: watch::Receiver<bool>) {
    tokio::select! {
        () = lanes::sweep(&pool) => {}
        () = listen::told_to_stop(&mut stopped) => {}
    }
}
