//! One request: find the site, ask it, forward or answer, and count.

use std::sync::Arc;

use http::header::{CONTENT_LENGTH, HOST, HeaderValue};
use http::uri::{PathAndQuery, Uri};
use http::{Method, Request, Response, StatusCode, Version, request};
use hyper::body::Incoming;
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::acme::Issuer;
use crate::body::{Payload, Progress, Upload};
use crate::connection::Connection;
use crate::headers::{self, Facts};
use crate::host::{self, Entrance, Target};
use crate::limits;
use crate::page::Page;
use crate::pool::{Pool, SendError};
use crate::ray::Rays;
use crate::route::{Answer, Body, RouteTarget, Router, Site, Unavailable, Upstream};
use crate::traffic::{Metered, Traffic, Visit};
use crate::tunnel::{self, Tunnels};

/// What all requests share.
pub struct Shared {
    pub router: Arc<dyn Router>,
    /// What Workers ask of Workers goes over these connections.
    pub pool: Arc<Pool>,
    pub traffic: Arc<Traffic>,
    pub rays: Rays,
    pub tunnels: Tunnels,
    /// The port that plain HTTP sends visitors to.
    pub https_port: u16,
    /// Who answers the authority's questions, where there is one.
    pub issuer: Option<Arc<dyn Issuer>>,
    /// Where what a site starts goes on after the visitor's thread has ended.
    pub main: Handle,
}

/// Where an authority looks for proofs.
const PROOF: &str = "/.well-known/acme-challenge/";

type Reply = Response<Payload>;

/// Answers one request.
pub async fn serve(shared: Arc<Shared>, connection: Arc<Connection>, request: Request<Incoming>) -> Response<Metered> {
    let (parts, body) = request.into_parts();
    let mut visit = Visit {
        ray: shared.rays.next(),
        remote: connection.remote,
        method: parts.method.clone(),
        host: None,
        path: parts.uri.path_and_query().cloned(),
        label: None,
        place: None,
        status: StatusCode::OK,
        bytes: 0,
        started: Instant::now(),
    };
    let response = answer(&shared, &connection, &mut visit, parts, body).await.unwrap_or_else(local);
    visit.status = response.status();
    let (mut parts, inner) = response.into_parts();
    headers::to_visitor(&mut parts.headers, &visit.ray, parts.status == StatusCode::SWITCHING_PROTOCOLS);
    Response::from_parts(parts, Metered { inner, visit })
}

fn local(page: Page) -> Reply {
    page.response().map(Payload::Own)
}

async fn answer(shared: &Shared, connection: &Connection, visit: &mut Visit, parts: request::Parts, body: Incoming) -> Result<Reply, Page> {
    let entrance = &connection.entrance;
    if matches!(parts.method, Method::CONNECT | Method::TRACE) {
        return Err(Page::METHOD);
    }
    let target = host::of_request(&parts, entrance).map_err(|e| Page::from(&e))?;
    visit.host = Some(target.name.clone());
    if !parts.uri.path().starts_with('/') {
        return Err(Page::BAD_REQUEST);
    }
    let site = match shared.router.find(&target.name, parts.uri.path()) {
        RouteTarget::Unknown => return Err(Page::UNKNOWN),
        RouteTarget::Suspended => return Err(Page::SUSPENDED),
        RouteTarget::Site(site) => site,
    };
    if let Some(proof) = proof(shared, entrance, &parts, &target) {
        return Ok(proof.map(Payload::Own));
    }
    if let Some(redirect) = to_https(&parts, entrance, &target, shared.https_port) {
        return Ok(redirect.map(Payload::Own));
    }
    visit.label = Some(site.label().clone());
    visit.place = Some(shared.traffic.enter(site.label(), visit.remote)?);
    if declared_length(&parts).is_some_and(|length| length > limits::BODY_BYTES) {
        return Err(Page::TOO_LARGE);
    }
    ask(shared, connection, visit, site.as_ref(), parts, body).await
}

/// What the certificate authority looks for over plain HTTP (RFC 8555, 8.3). Any other path below, and any other token, is the site's.
fn proof(shared: &Shared, entrance: &Entrance, parts: &request::Parts, target: &Target) -> Option<Response<Body>> {
    let issuer = shared.issuer.as_ref().filter(|_| matches!(entrance, Entrance::Http) && parts.method == Method::GET)?;
    let answer = issuer.answer(&target.name, parts.uri.path().strip_prefix(PROOF)?)?;
    let mut response = Response::new(crate::page::whole(answer));
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    Some(response)
}

/// Plain HTTP serves nothing but `NAME.test.localhost`; other names are sent to HTTPS.
fn to_https(parts: &request::Parts, entrance: &Entrance, target: &Target, port: u16) -> Option<Response<Body>> {
    if !matches!(entrance, Entrance::Http) || target.local {
        return None;
    }
    let port = if port == 443 { String::new() } else { format!(":{port}") };
    let path = parts.uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let location = HeaderValue::try_from(format!("https://{}{port}{path}", target.name)).ok()?;
    let mut response = Response::new(crate::page::whole(""));
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    response.headers_mut().insert(http::header::LOCATION, location);
    Some(response)
}

fn declared_length(parts: &request::Parts) -> Option<u64> {
    parts.headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn ask(
    shared: &Shared,
    connection: &Connection,
    visit: &Visit,
    site: &dyn Site,
    mut parts: request::Parts,
    body: Incoming,
) -> Result<Reply, Page> {
    let websocket = parts.version <= Version::HTTP_11 && headers::is_websocket(&parts.headers);
    name_host(&mut parts);
    let facts = Facts { connection, cf: connection.cf(parts.version), ray: &visit.ray, websocket };
    headers::to_worker(&mut parts.headers, &facts);
    match asked(shared, site, &parts).await {
        Ok(Answer::Respond(response)) => Ok(response.map(Payload::Own)),
        Ok(Answer::Forward(upstream)) => forward(shared, connection, visit, &upstream, parts, body, websocket).await,
        Err(e) => {
            tracing::warn!(ray = %visit.ray, host = visit.host_text(), error = %e, "the site is unavailable");
            Err(Page::from(&e))
        }
    }
}

async fn asked(shared: &Shared, site: &dyn Site, parts: &request::Parts) -> Result<Answer, Unavailable> {
    let mut answer = site.answer(parts);
    std::future::poll_fn(|cx| {
        let _main = shared.main.enter();
        answer.as_mut().poll(cx)
    })
    .await
}

/// Workers read the host from the `Host` field, which HTTP/2 and absolute targets do not carry.
fn name_host(parts: &mut request::Parts) {
    if let Some(host) = parts.uri.authority().and_then(|a| HeaderValue::try_from(a.as_str()).ok()) {
        parts.headers.insert(HOST, host);
    }
}

async fn forward(
    shared: &Shared,
    connection: &Connection,
    visit: &Visit,
    upstream: &Upstream,
    mut parts: request::Parts,
    body: Incoming,
    websocket: bool,
) -> Result<Reply, Page> {
    let visitor = parts.extensions.remove::<hyper::upgrade::OnUpgrade>().filter(|_| websocket);
    // taken before the Worker is asked: a flood of handshakes ends here
    let held = if websocket { Some(shared.tunnels.enter(visit.remote, visit.place.as_ref())?) } else { None };
    let path = parts.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    let (upload, progress) = Upload::new(body);
    let mut request = Request::new(upload);
    *request.method_mut() = parts.method;
    *request.uri_mut() = Uri::from(path);
    *request.headers_mut() = parts.headers;

    let mut response = bounded(connection.pool.send(upstream, request), &progress).await.map_err(|e| refusal(&e, &progress, visit))?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(response.map(Payload::Worker));
    }
    // An upgrade that nobody asked for would turn the visitor's connection into a raw pipe.
    let (Some(visitor), Some(held)) = (visitor, held) else { return Err(Page::BROKEN) };
    tunnel::join(visitor, hyper::upgrade::on(&mut response), visit.ray.clone(), (held, upstream.hold.clone()));
    Ok(response.map(|body| Payload::Worker(body.discard_connection())))
}

enum Failure {
    Silent,
    Send(SendError),
}

/// Waits for the head of the answer as long as the upload moves, and a bounded time after.
async fn bounded<T>(sending: impl Future<Output = Result<T, SendError>>, progress: &Progress) -> Result<T, Failure> {
    let mut sending = std::pin::pin!(sending);
    loop {
        let deadline = progress.last() + limits::UPSTREAM_SILENCE;
        match tokio::time::timeout_at(deadline, sending.as_mut()).await {
            Ok(result) => return result.map_err(Failure::Send),
            Err(_) if progress.last() + limits::UPSTREAM_SILENCE > Instant::now() => {}
            Err(_) => return Err(Failure::Silent),
        }
    }
}

fn refusal(failure: &Failure, progress: &Progress, visit: &Visit) -> Page {
    match failure {
        Failure::Send(_) if progress.over() => Page::TOO_LARGE,
        Failure::Send(e) => {
            tracing::warn!(ray = %visit.ray, host = visit.host_text(), error = %e, "the worker gave no answer");
            Page::BROKEN
        }
        Failure::Silent => Page::SILENT,
    }
}
