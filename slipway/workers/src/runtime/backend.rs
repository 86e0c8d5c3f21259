//! What stands behind the bindings socket: the seam between confined code and what it keeps.
//!
//! workerd turns `env.KV.get(…)` into an HTTP request on the account's own socket, with a header that code can neither set nor
//! see. [`super::gate`] looks the header up among what the account's live versions were given, so an implementation is told
//! *which* resource is meant and never has to believe a request about it.
//!
//! INVARIANT (own-resources): `asked.tenant` comes from the socket and `asked.resource` from a stored version of that tenant. That
//! the resource is the tenant's was checked in the write that stored the version ([`crate::seams::BoundExists`]); an
//! implementation looks it up among the tenant's own again, because it may have been deleted since.

use std::future::Future;
use std::io;
use std::pin::Pin;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};

use crate::binding::RateLimit;
use crate::name::{ResourceId, ScriptName};
use crate::tenant::Tenant;

/// A stream of bytes in either direction.
pub type Body = UnsyncBoxBody<Bytes, io::Error>;

/// What a request on the bindings socket is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// A key-value namespace, by id.
    Kv(ResourceId),
    /// A bucket, by name.
    R2(ResourceId),
    /// A database, by id.
    D1(ResourceId),
    /// A queue, by name. `delay_s` is the binding's, for messages whose sender names none.
    Queue { name: ResourceId, delay_s: Option<u32> },
    /// The Cache API: `GET` and `PUT` with an absolute URL, as to a proxy.
    Cache,
    /// `POST /` with `{"key": text}`; the answer is `{"success": bool}`.
    RateLimit { namespace: ResourceId, limit: RateLimit },
}

/// Who asks, and for what.
#[derive(Clone, Debug)]
pub struct Asked {
    pub tenant: Tenant,
    pub script: ScriptName,
    pub resource: Resource,
}

/// A boxed future, so that the trait can be used as an object.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Answers requests of bindings, in the protocols that workerd speaks.
pub trait Backend: Send + Sync + 'static {
    /// Never fails: what cannot be done is a status that workerd turns into an exception.
    fn call<'a>(&'a self, asked: Asked, request: Request<Body>) -> Pending<'a, Response<Body>>;
}

/// A backend of a host that keeps nothing: the cache forgets, everything else is refused.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nothing;

impl Backend for Nothing {
    fn call<'a>(&'a self, asked: Asked, request: Request<Body>) -> Pending<'a, Response<Body>> {
        Box::pin(async move {
            match (asked.resource, request.method()) {
                (Resource::Cache, &http::Method::PUT) => {
                    // The body is read to its end, or workerd would see its store fail.
                    let mut body = request.into_body();
                    while let Some(Ok(_)) = body.frame().await {}
                    empty(StatusCode::NO_CONTENT)
                }
                (Resource::Cache, &http::Method::GET) => empty(StatusCode::GATEWAY_TIMEOUT),
                (Resource::Cache, _) => empty(StatusCode::NOT_FOUND),
                _ => empty(StatusCode::NOT_IMPLEMENTED),
            }
        })
    }
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::new()).map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = status;
    response
}
