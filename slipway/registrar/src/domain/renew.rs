//! `domain_renew`: another year at the registry, for a domain that was paid for until then.

use purser_db::{DbError, params};
use purser_values::id::CloudResourceId;
use purser_values::name::DomainName;
use purser_values::{Money, Timestamp};

use super::look::first;
use super::{Domain, MAX_YEARS, State};
use crate::registrar::Registrar;
use crate::registry::{RegistryError, Renewal};
use crate::store;

#[derive(Debug, thiserror::Error)]
pub enum RenewError {
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error("the registry does not move the end of `{name}`, {expires_at}")]
    Stuck { name: DomainName, expires_at: Timestamp },
    #[error(transparent)]
    Store(#[from] DbError),
}

/// Renews year by year until the registry holds the name at least until then. Repeating it changes nothing: each order names the end that it
/// starts from, and a registry that has moved on says so. What the registry answers counts, also where we believed in a later end.
///
/// # Errors
/// When the registry or the store fails; repeat it.
pub async fn domain_renew(registrar: &Registrar, request: &CloudResourceId, until: Timestamp) -> Result<(), RenewError> {
    let id = request.clone();
    let Some(domain) = registrar.db.read(move |tx| store::by_request(tx, &id)).await? else { return Ok(()) };
    let State::Registered { mut expires_at, .. } = domain.state else { return Ok(()) };
    // The registry's year and ours may begin some seconds apart.
    for _ in 0..=MAX_YEARS {
        if expires_at.plus_secs(86_400) >= until {
            return Ok(());
        }
        let price = domain.special.then(|| yearly(&domain));
        let renewal = Renewal { name: domain.name.clone(), from: expires_at, years: 1, price };
        let now = registrar.registry.renew(&renewal).await?.expires_at;
        // A registry that moves nothing is not asked the same again and again, each time for another year's price.
        if now == expires_at {
            break;
        }
        expires_at = now;
        let id = domain.id.clone();
        // One that had run out is looked at again, and put back into the world.
        let update = "update domain set expires_at = $2, look_at = case when phase = 'live' then $3 else registered_at end
                      where id = $1 and state = 'registered'";
        registrar.db.write::<_, DbError, _>(move |tx| tx.execute(update, params![id, expires_at, first(expires_at)])).await?;
        tracing::info!(domain = %domain.name, %expires_at, "a domain is renewed");
    }
    if expires_at.plus_secs(86_400) >= until { Ok(()) } else { Err(RenewError::Stuck { name: domain.name, expires_at }) }
}

/// The price of a year at which the name was bought.
fn yearly(domain: &Domain) -> Money {
    Money::from_minor(domain.price.minor() / i64::from(domain.years.max(1)), domain.price.currency())
}
