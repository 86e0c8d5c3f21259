//! The only way out for the code of strangers: requests and raw connections of Workers, checked, counted and carried.
//!
//! workerd sends everything outbound to one socket of its account as if to a proxy: `GET https://host/path` for `fetch`, `CONNECT
//! host:port` for sockets. The name is resolved here, by us.
//!
//! INVARIANT (public-only): a connection is made to an address that was itself found public in the very answer that gave it, never
//! to a name: what the name means a moment later (DNS rebinding) does not matter. A name with one address that is not public is refused
//! whole. Redirects are the Worker's business and come back here as requests of their own.
//! Of the host's own addresses, which may be public, only the edge's ports are reached ([`Own`]).
//! A host that we serve ourselves is answered by our own edge without a connection, so that nothing listens to it from inside.

mod destination;
mod own;
mod quota;
mod tls;

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, OnceLock, Weak};

use http::header::{CONNECTION, HOST, HeaderValue, UPGRADE};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use purser_http::Origin;
use slipway_workers::runtime::backend::Body;
use slipway_workers::runtime::egress::{Carried, Egress, Refused};
use slipway_workers::tenant::Tenant;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;

use crate::cf::Facts;
use crate::connection::Connection;
use crate::egress::destination::{Destination, Forbidden};
pub use crate::egress::own::Own;
use crate::egress::quota::{Place, Quotas};
use crate::host::Entrance;
use crate::limits;
use crate::route::RouteTarget;
use crate::serve::{self, Shared};
use crate::watched::Watched;

/// Whom our own sites see as the visitor when a Worker calls: an address that nobody has (RFC 6666), so that nobody trusts it.
const WORKER: IpAddr = IpAddr::V6(Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 1));

/// Where code may go, beyond what is public, and where it may not.
#[derive(Clone, Debug, Default)]
pub struct Allowed {
    /// Origins that are allowed though they are not public; tests name some.
    pub origins: Vec<Origin>,
    /// This host's own addresses.
    pub own: Own,
}

/// The way out, cheap to clone.
#[derive(Clone)]
pub struct EgressProxy(Arc<Inner>);

struct Inner {
    allowed: Allowed,
    quotas: Quotas,
    tls: tokio_rustls::TlsConnector,
    /// Our own edge, from when it serves.
    edge: OnceLock<Weak<Shared>>,
}

impl EgressProxy {
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(allowed: Allowed) -> Result<Self, rustls::Error> {
        Ok(Self(Arc::new(Inner { allowed, quotas: Quotas::default(), tls: tls::connector()?, edge: OnceLock::new() })))
    }

    /// From now on, hosts that this edge serves are answered by it.
    pub(crate) fn serve_with(&self, edge: &Arc<Shared>) {
        // A second edge would be the same routing table again.
        let _ = self.0.edge.set(Arc::downgrade(edge));
    }
}

impl Egress for EgressProxy {
    fn carry(&self, tenant: Tenant, stream: UnixStream, refused: Refused) -> Carried {
        let inner = self.0.clone();
        Box::pin(async move {
            let Some(place) = inner.quotas.connection(&tenant.account).map(Arc::new) else {
                return refused("too many connections at a time");
            };
            let service = service_fn(move |request| {
                let (inner, tenant, refused, place) = (inner.clone(), tenant.clone(), refused.clone(), place.clone());
                async move { inner.answer(&tenant, request, &refused, place).await }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(limits::EGRESS_IDLE)
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            if let Err(e) = connection.await {
                tracing::debug!(error = %e, "a connection of a Worker to the outside ended");
            }
        })
    }
}

/// Hung up on: code sees a lost connection, as it would of a host that is not there.
#[derive(Debug, thiserror::Error)]
#[error("the connection is refused")]
struct HungUp;

impl Inner {
    async fn answer(
        self: Arc<Self>,
        tenant: &Tenant,
        request: Request<Incoming>,
        refused: &Refused,
        place: Arc<Place>,
    ) -> Result<Response<Body>, HungUp> {
        let asked = origin(request.method(), request.uri());
        match self.go(tenant, request, place).await {
            Ok(response) => {
                tracing::info!(account = %tenant, request = %asked, status = response.status().as_u16(), "outbound request");
                Ok(response)
            }
            Err(Failure::Forbidden(why)) => {
                refused(&format!("{asked}: {why}"));
                Err(HungUp)
            }
            Err(Failure::Broken(why)) => {
                tracing::info!(account = %tenant, request = %asked, error = %why, "outbound request failed");
                Err(HungUp)
            }
        }
    }

    async fn go(self: &Arc<Self>, tenant: &Tenant, request: Request<Incoming>, place: Arc<Place>) -> Result<Response<Body>, Failure> {
        if !self.quotas.request(&tenant.account) {
            return Err(Failure::Forbidden(Forbidden::TooMany));
        }
        let destination = Destination::of(request.method(), request.uri())?;
        if request.method() == Method::CONNECT {
            return self.connect(&destination, request, place).await;
        }
        if let Some(edge) = self.edge.get().and_then(Weak::upgrade)
            && destination.usual_port()
            && !matches!(edge.router.route(destination.name()?), RouteTarget::Unknown)
        {
            return Ok(inside(edge, &destination, request).await);
        }
        let stream = destination.reach(&self.allowed).await?;
        if destination.https {
            let stream = self.tls.connect(destination.server_name()?, stream).await.map_err(Failure::broken)?;
            exchange(stream, &destination, request, place).await
        } else {
            exchange(stream, &destination, request, place).await
        }
    }

    /// A raw connection. It has left the one that it was asked for on, so it keeps that one's place until it ends.
    async fn connect(&self, destination: &Destination, request: Request<Incoming>, place: Arc<Place>) -> Result<Response<Body>, Failure> {
        let mut outside = destination.reach(&self.allowed).await?;
        tokio::spawn(async move {
            let _place = place;
            let Ok(inside) = hyper::upgrade::on(request).await else { return };
            let (mut inside, activity) = Watched::new(TokioIo::new(inside));
            tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut inside, &mut outside) => {}
                () = activity.idle(limits::EGRESS_IDLE) => {}
            }
        });
        Ok(empty(StatusCode::OK))
    }
}

/// Answered by our own edge, as if over the network.
async fn inside(edge: Arc<Shared>, destination: &Destination, request: Request<Incoming>) -> Response<Body> {
    let entrance = match destination.name() {
        Ok(name) if destination.https => Entrance::Https { server_name: Some(name.clone()) },
        _ => Entrance::Http,
    };
    let connection = Connection::new(entrance, WORKER, edge.pool.clone(), Facts::default(), request.version());
    serve::serve(edge, Arc::new(connection), request).await.map(|body| body.map_err(io::Error::other).boxed_unsync())
}

/// One request over a fresh connection. One that becomes a WebSocket keeps its place until it ends.
async fn exchange<S>(
    stream: S,
    destination: &Destination,
    mut request: Request<Incoming>,
    place: Arc<Place>,
) -> Result<Response<Body>, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let websocket = crate::headers::is_websocket(request.headers());
    let inner = websocket.then(|| hyper::upgrade::on(&mut request));
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = Uri::try_from(path).map_err(Failure::broken)?;
    crate::headers::drop_hop_by_hop(request.headers_mut());
    request.headers_mut().insert(HOST, HeaderValue::try_from(destination.authority()).map_err(Failure::broken)?);
    if websocket {
        request.headers_mut().insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        request.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
    }
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(Failure::broken)?;
    tokio::spawn(connection.with_upgrades());
    let sent = tokio::time::timeout(limits::EGRESS_SILENCE, sender.send_request(request)).await;
    let mut response = sent.map_err(Failure::broken)?.map_err(Failure::broken)?;
    let upgraded = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    if let Some(inner) = inner.filter(|_| upgraded) {
        crate::tunnel::join(inner, hyper::upgrade::on(&mut response), String::new(), place);
        return Ok(response.map(|_| Empty::new().map_err(|never: Infallible| match never {}).boxed_unsync()));
    }
    if upgraded {
        return Err(Failure::Broken("an upgrade that nobody asked for".to_owned()));
    }
    crate::headers::drop_hop_by_hop(response.headers_mut());
    Ok(response.map(|body| body.map_err(io::Error::other).boxed_unsync()))
}

#[derive(Debug)]
enum Failure {
    /// Nobody may go there.
    Forbidden(Forbidden),
    /// It was not reached, or broke off.
    Broken(String),
}

impl Failure {
    fn broken(cause: impl std::fmt::Display) -> Self {
        Self::Broken(cause.to_string())
    }
}

impl From<Forbidden> for Failure {
    fn from(why: Forbidden) -> Self {
        Self::Forbidden(why)
    }
}

/// Method and origin only: paths and queries can hold secrets.
fn origin(method: &Method, uri: &Uri) -> String {
    let scheme = uri.scheme_str().map(|scheme| format!("{scheme}://")).unwrap_or_default();
    format!("{method} {scheme}{}:{}", uri.host().unwrap_or_default(), uri.port_u16().unwrap_or_default())
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Empty::new().map_err(|never: Infallible| match never {}).boxed_unsync());
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use purser_values::id::CloudAccountId;
    use purser_values::{Env, Timestamp};
    use slipway_workers::tenant::Environment;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn raw_connections_keep_their_places_as_long_as_they_are_open() {
        let outside = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = outside.local_addr().unwrap().port();
        tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((stream, _)) = outside.accept().await {
                held.push(stream);
            }
        });
        let proxy =
            EgressProxy::new(Allowed { origins: vec![format!("127.0.0.1:{port}").parse().unwrap()], ..Allowed::default() }).unwrap();
        let account = CloudAccountId::mint(&Env::test(Timestamp::EPOCH, 1).0);
        let open = async || {
            let (mut inside, stream) = UnixStream::pair().unwrap();
            let tenant = Tenant { account: account.clone(), environment: Environment::default() };
            let carried = tokio::spawn(proxy.carry(tenant, stream, Arc::new(|_| {})));
            let asked = format!("CONNECT 127.0.0.1:{port} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n\r\n");
            // one that is refused is hung up on before it has said anything
            let _ = inside.write_all(asked.as_bytes()).await;
            let mut answer = [0; 12];
            let read = inside.read(&mut answer).await.unwrap_or(0);
            let taken = answer[..read].starts_with(b"HTTP/1.1 200");
            carried.await.unwrap();
            (inside, taken)
        };
        let mut held = Vec::new();
        for _ in 0..limits::EGRESS_CONNECTIONS {
            let (stream, taken) = open().await;
            assert!(taken);
            held.push(stream);
        }
        assert!(!open().await.1, "one more than the account may have");
        held.pop();
        for _ in 0..100 {
            if open().await.1 {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("the place of a connection that ended is not given back");
    }
}
