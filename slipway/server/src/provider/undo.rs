//! Undoing the purchase of a domain: its price comes back when the registry took the name back, and not otherwise.
//!
//! INVARIANT (registry-first): nothing is refunded for a name that the registry still counts as ours. The wish is recorded before the
//! registry is asked; what stood on the name, its order and its money are settled in one write afterwards ([`crate::domain::upkeep`]), by
//! the next round if not by this call.

use purser_provider::{Answer, ProviderError};
use purser_values::error::PublicError as _;
use purser_values::name::DomainName;
use slipway_accounts::charge::{ChargeState, charge_list};
use slipway_accounts::resource::Resource;
use slipway_registrar::domain::State;
use slipway_registrar::domain::change::ChangeError;
use slipway_registrar::domain::delete::{DeleteError, domain_delete};
use slipway_registrar::domain::get::domain_get;

use super::refusal;
use crate::cloud::Shared;
use crate::domain::upkeep;
use crate::release;

/// Gives the name of an order back to its registry. Where that cannot be done any more, the name stays paid and is let go like one that is
/// removed.
///
/// # Errors
/// When the registry gives no answer, or a part of ours does not: a repeat goes on.
pub async fn domain(cloud: &Shared, resource: &Resource, name: &DomainName) -> Answer<()> {
    let Some(registrar) = &cloud.registrar else { return Ok(()) };
    let (order, account, wanted) = (resource.id.clone(), resource.account.clone(), name.clone());
    let known = cloud.db.read(move |tx| {
        let held = domain_get(tx, &account, &wanted)?.filter(|held| held.request == order);
        Ok::<_, purser_db::DbError>((held, charge_list(tx, &order)?))
    });
    let (held, charges) = known.await.map_err(|e| refusal::store(&e))?;
    // What this order did not pay for (a name taken up again) stays paid, and is the account's to take up once more.
    let paid = charges.iter().any(|charge| charge.state == ChargeState::Succeeded);
    match held.map(|held| held.state) {
        Some(State::Registered { .. }) if paid => {}
        _ => return clear(cloud).await,
    }
    // First, so that no site of this account answers under a name that is free for others.
    release::hosts(cloud, &resource.account, name).await.map_err(|e| refusal::workers(&e))?;
    match domain_delete(registrar, &resource.account, name).await {
        Ok(()) => clear(cloud).await,
        Err(DeleteError::Change(ChangeError::Store(e))) => Err(refusal::store(&e)),
        Err(e) if e.kind().is_transient() => Err(refusal::public(&e)),
        Err(e) => {
            tracing::warn!(domain = %name, error = %e, "an order was undone too late for its registry: it is not refunded");
            Ok(())
        }
    }
}

/// Settles what the registry has taken back, from a call before this one too.
async fn clear(cloud: &Shared) -> Answer<()> {
    upkeep::clear(cloud).await.map_err(|e| ProviderError { retry_after: Some(1), ..ProviderError::internal(&e) })
}
