//! The seam for everything that wants out.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::net::UnixStream;

use crate::tenant::Tenant;

/// Tells what was refused, for the operator: the origin only, no path.
pub type Refused = Arc<dyn Fn(&str) + Send + Sync>;

/// Ready when the connection is over.
pub type Carried = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Carries one connection of a tenant's process to the outside, which speaks HTTP as to a proxy: absolute targets, and `CONNECT`.
pub trait Egress: Send + Sync + 'static {
    fn carry(&self, tenant: Tenant, stream: UnixStream, refused: Refused) -> Carried;
}
