//! What the edge asks of the rest of slipway: who serves this host name, and how.
//!
//! The two traits are the whole seam. [`Router::find`] is called once per request and must not wait: it reads a table in
//! memory. [`Site::answer`] may wait (a process may have to start) and says where the request goes.

use std::fmt;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{Response, request};
use http_body_util::combinators::UnsyncBoxBody;
use purser_values::name::HostName;

/// A body that the edge sends: whole bytes or a stream.
pub type Body = UnsyncBoxBody<Bytes, BodyError>;
/// Why a body broke off; only ever logged.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct BodyError(Box<dyn std::error::Error + Send + Sync>);

impl BodyError {
    pub fn new(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }
}

/// A boxed future, so that the traits can be used as objects.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The routing table.
pub trait Router: Send + Sync + 'static {
    /// Who serves `host`. Called once per TLS handshake: no I/O, no waiting.
    fn route(&self, host: &HostName) -> RouteTarget;

    /// Who serves one URL of `host`, where its paths are not all served alike. Called once per request, as [`Router::route`].
    fn find(&self, host: &HostName, path: &str) -> RouteTarget {
        let _ = path;
        self.route(host)
    }
}

/// Who serves a host name.
#[derive(Clone)]
pub enum RouteTarget {
    /// Nobody: 404, and no certificate is made for the name.
    Unknown,
    /// The account or the site was suspended: 403.
    Suspended,
    /// This site.
    Site(Arc<dyn Site>),
}

/// One deployed site.
pub trait Site: Send + Sync + 'static {
    /// The names under which its requests are logged and counted.
    fn label(&self) -> &SiteLabel;

    /// Where this request goes. A static file is answered without looking at the body.
    fn answer<'a>(&'a self, request: &'a request::Parts) -> Pending<'a, Result<Answer, Unavailable>>;
}

/// Whose traffic it is. The names appear in the access log and key the counters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SiteLabel {
    pub account: Arc<str>,
    pub script: Arc<str>,
    pub version: Arc<str>,
}

/// What a site wants done with a request.
pub enum Answer {
    /// Send this: a static file, a redirect.
    Respond(Response<Body>),
    /// Hand the request to the Worker behind this socket.
    Forward(Upstream),
}

/// The Unix socket of a Worker. Its path names this Worker as long as the [`Site`] that gave it is alive, and the edge holds on to
/// the site until the answer has begun.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Upstream {
    pub socket: Arc<Path>,
    /// Rises whenever another process is behind this path, of whatever account. Kept connections of an older generation are never
    /// reused, so that a deployment is visible to the first request after it and a path can be given to another Worker.
    pub generation: u64,
    pub hold: Hold,
}

/// Kept until the answer was read to its end, tunnels included, and then dropped: a site learns by it that nothing is under way any
/// more. It is no part of what an upstream is: two that differ in nothing else are equal.
#[derive(Clone, Default)]
pub struct Hold(Option<Arc<dyn std::any::Any + Send + Sync>>);

impl Hold {
    pub fn new(held: impl std::any::Any + Send + Sync) -> Self {
        Self(Some(Arc::new(held)))
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Hold" } else { "Hold(nothing)" })
    }
}

impl PartialEq for Hold {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Hold {}

impl std::hash::Hash for Hold {
    fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
}

/// Why a site cannot answer now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// The Worker does not start or keeps failing: 502, code 1101.
    #[error("the worker does not run: {0}")]
    Broken(String),
    /// The Worker passed one of its limits and was stopped: 503, code 1102.
    #[error("the worker passed its limits: {0}")]
    OverLimits(String),
}

impl fmt::Debug for RouteTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("Unknown"),
            Self::Suspended => f.write_str("Suspended"),
            Self::Site(site) => f.debug_tuple("Site").field(site.label()).finish(),
        }
    }
}
