//! `domain_renew`: another year at the registry, for a domain that was paid for until then.

use purser_db::{DbError, params};
use purser_values::Timestamp;
use purser_values::id::CloudResourceId;

use super::State;
use super::look::first;
use crate::registrar::Registrar;
use crate::registry::{RegistryError, Renewal};
use crate::store;

#[derive(Debug, thiserror::Error)]
pub enum RenewError {
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(transparent)]
    Store(#[from] DbError),
}

/// Renews year by year until the registry holds the name at least until then. Repeating it changes nothing: each order names the end that it
/// starts from, and a registry that has moved on says so.
///
/// # Errors
/// When the registry or the store fails; repeat it.
pub async fn domain_renew(registrar: &Registrar, request: &CloudResourceId, until: Timestamp) -> Result<(), RenewError> {
    let id = request.clone();
    let Some(domain) = registrar.db.read(move |tx| store::by_request(tx, &id)).await? else { return Ok(()) };
    let State::Registered { mut expires_at, .. } = domain.state else { return Ok(()) };
    // The registry's year and ours may begin some seconds apart.
    while expires_at.plus_secs(86_400) < until {
        let renewal = Renewal { name: domain.name.clone(), from: expires_at, years: 1 };
        expires_at = registrar.registry.renew(&renewal).await?.expires_at;
        let id = domain.id.clone();
        // One that had run out is looked at again, and put back into the world.
        let update = "update domain set expires_at = $2, look_at = case when phase = 'live' then $3 else registered_at end
                      where id = $1 and state = 'registered'";
        registrar.db.write::<_, DbError, _>(move |tx| tx.execute(update, params![id, expires_at, first(expires_at)])).await?;
        tracing::info!(domain = %domain.name, %expires_at, "a domain is renewed");
    }
    Ok(())
}
