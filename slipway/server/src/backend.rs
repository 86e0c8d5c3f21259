//! What stands behind the bindings of Workers: the stores, asked in the name of the account whose process asks.
//!
//! The account comes from the socket. Whether it still has what a stored version was bound to is looked up on every call.

use std::sync::Arc;

use http::{Request, Response};
use purser_db::Tx;
use purser_values::id::CloudAccountId;
use slipway_stores::error::Kind;
use slipway_stores::{StoreError, Stores, d1, kv, queue, r2};
use slipway_workers::WorkersError;
use slipway_workers::binding::Binding;
use slipway_workers::runtime::backend::{Asked, Backend, Body, Pending, Resource};
use slipway_workers::seams::{Seams, not_here};

/// The stores as the runtime's backend.
pub struct StoresBackend(Stores);

impl Backend for StoresBackend {
    fn call<'a>(&'a self, asked: Asked, request: Request<Body>) -> Pending<'a, Response<Body>> {
        Box::pin(async move {
            let (stores, account) = (&self.0, &asked.tenant.account);
            match &asked.resource {
                Resource::Kv(id) => kv::binding::answer(stores, account, id.as_str(), request).await,
                Resource::R2(name) => r2::binding::answer(stores, account, name.as_str(), request).await,
                Resource::D1(id) => d1::binding::answer(stores, account, id.as_str(), request).await,
                Resource::Queue { name, delay_s } => queue::binding::answer(stores, account, name.as_str(), *delay_s, request).await,
                Resource::Cache => stores.cached(&asked.tenant.to_string(), request).await,
                Resource::RateLimit { namespace, limit } => {
                    let tenant = asked.tenant.to_string();
                    stores.rated(&[&tenant, namespace.as_str()], limit.limit, limit.period, request).await
                }
            }
        })
    }
}

/// The runtime's seams over these stores.
#[must_use]
pub fn seams(stores: &Stores) -> Seams {
    Seams { backend: Arc::new(StoresBackend(stores.clone())), bound_exists: Arc::new(bound_exists), ..Seams::default() }
}

/// Whether the account has what a binding names, in the write that stores the version.
fn bound_exists(tx: &mut Tx<'_>, account: &CloudAccountId, binding: &Binding) -> Result<(), WorkersError> {
    let found = match binding {
        Binding::KvNamespace { namespace_id, .. } => kv::namespace::find(tx, account, namespace_id.as_str()).map(drop),
        Binding::R2Bucket { bucket_name, .. } => r2::bucket::find(tx, account, bucket_name.as_str()).map(drop),
        Binding::D1 { id, .. } => d1::database::find(tx, account, id.as_str()).map(drop),
        Binding::Queue { queue_name, .. } => queue::manage::find_named(tx, account, queue_name.as_str()).map(drop),
        // a limit is made by naming it
        Binding::RateLimit { .. } => Ok(()),
        other => return Err(not_here(other)),
    };
    found.map_err(|e| match e.kind() {
        Kind::NotFound => WorkersError::Invalid(format!("the binding `{}` names something that does not exist: {e}", binding.name())),
        _ => internal(e),
    })
}

fn internal(e: StoreError) -> WorkersError {
    WorkersError::Internal(Box::new(e))
}
