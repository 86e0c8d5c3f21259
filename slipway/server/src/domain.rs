//! What happens around a domain: buying it for an order, and the records of host names that are served here.

pub mod registry;
pub mod upkeep;

use std::collections::BTreeSet;

use http::StatusCode;
use purser_db::DbError;
use purser_provider::{Answer, ProviderError};
use purser_values::Money;
use purser_values::error::PublicError;
use purser_values::id::CloudAccountId;
use purser_values::name::{DomainName, HostName};
use purser_wire::error::ErrorBody;
use purser_wire::refund::RefundReason;
use slipway_accounts::quote::quote_of;
use slipway_accounts::resource::Resource;
use slipway_accounts::resource::end::{resource_complete, resource_fail};
use slipway_dns::zone::create::zone_create;
use slipway_dns::zone::get::{zone_list, zone_of_host};
use slipway_dns::zone::record_delete::record_delete;
use slipway_dns::zone::record_put::{Existing, edge_record, record_put};
use slipway_dns::zone::{Zone, ZoneError};
use slipway_registrar::domain::register::{Register, RegisterError, domain_register};
use slipway_workers::Condition;
use slipway_workers::view::{CustomDomain, OwnedHost};

use crate::api::envelope::Failure;
use crate::billing;
use crate::cloud::Cloud;
use crate::provider::quote::{domain_of, premium_of};

/// The code by which clients know that a name has another record and may ask whether to replace it.
const RECORD_EXISTS: u32 = 100_117;

/// Registers the paid domain of an order, makes its zone, and completes the order.
pub async fn buy(cloud: &Cloud, resource: &Resource) -> Answer<()> {
    let registrar = cloud.registrar.as_ref().ok_or_else(|| ProviderError::not_supported("domains"))?;
    let name = domain_of(&resource.configuration)?;
    let wanted = Register {
        account: resource.account.clone(),
        request: resource.id.clone(),
        name: name.clone(),
        years: 1,
        price: paid(cloud, resource).await?,
        stated: premium_of(&resource.configuration)?.is_some(),
    };
    match domain_register(registrar, wanted).await {
        Ok(_) => finish(cloud, resource, &name).await,
        Err(e) if e.is_final() => Err(fail(cloud, resource, &e).await?),
        Err(e) => {
            tracing::warn!(resource = %resource.id, error = %e, "a registration is open");
            Err(ProviderError::unavailable("the registry gives no answer; repeat with the same key", 2))
        }
    }
}

/// What the order's quote said the name costs.
async fn paid(cloud: &Cloud, resource: &Resource) -> Answer<Money> {
    let id = resource.id.clone();
    let quote = cloud.db.read(move |tx| quote_of(tx, &id)).await.map_err(|e| store(&e))?;
    quote.map(|quote| quote.total()).ok_or_else(|| ProviderError::internal(&DbError::NoRow))
}

async fn finish(cloud: &Cloud, resource: &Resource, name: &DomainName) -> Answer<()> {
    let (account, zone) = (resource.account.clone(), name.clone());
    let there = cloud.db.read(move |tx| zone_list(tx, &account)).await.map_err(|e| store(&e))?.into_iter().find(|one| one.name == zone);
    let cleared = cloud.workers.zone_clear(name.as_str(), there.as_ref().map(|one| one.id.as_str())).await;
    cleared.map_err(|e| ProviderError { retry_after: Some(1), ..ProviderError::internal(&e) })?;
    let (env, resource, zone) = (cloud.env.clone(), resource.clone(), name.clone());
    let written = cloud
        .db
        .write(move |tx| -> Result<(), ZoneError> {
            zone_create(tx, &env, &resource.account, &zone)?;
            resource_complete(tx, &resource.id, env.now())?;
            Ok(())
        })
        .await;
    written.map_err(|e| ProviderError { retry_after: Some(1), ..ProviderError::internal(&e) })?;
    follow(cloud, name).await;
    Ok(())
}

/// The registry said no after the money moved: the order fails, and what was paid is given back.
async fn fail(cloud: &Cloud, resource: &Resource, e: &RegisterError) -> Answer<ProviderError> {
    let body = ErrorBody::new(e.code(), e.to_string());
    let (env, id, why) = (cloud.env.clone(), resource.id.clone(), body.clone());
    let (realm, failed) = (cloud.realm.clone(), resource.clone());
    let written = cloud.db.write(move |tx| -> Result<_, DbError> {
        resource_fail(tx, &id, &why, env.now())?;
        billing::ended(tx, &realm, &failed)?;
        billing::give_back(tx, &env, &id, &RefundReason::NotDelivered)
    });
    if written.await.map_err(|e| store(&e))? {
        tracing::warn!(resource = %resource.id, "a paid order failed; it is given back");
    }
    cloud.wake_jobs.notify_one();
    let status = StatusCode::from_u16(e.kind().http_status()).unwrap_or(StatusCode::BAD_REQUEST);
    Ok(ProviderError::new(status, &body.code, body.message))
}

/// Lets the name server see a change. When it cannot, it keeps answering from what it had, and says so in the log.
pub async fn follow(cloud: &Cloud, name: &DomainName) {
    if let Err(e) = cloud.nameserver.refresh(name).await {
        tracing::error!(zone = %name, error = %e, "the name server does not follow a change");
    }
}

fn store(e: &DbError) -> ProviderError {
    ProviderError { retry_after: Some(1), ..ProviderError::internal(e) }
}

/// Each host name with the account's zone that it lies in.
///
/// # Errors
/// When one lies in no zone of the account: nobody serves a name that is not theirs.
pub async fn owned_hosts(cloud: &Cloud, account: &CloudAccountId, hosts: Vec<HostName>) -> Result<Vec<OwnedHost>, Failure> {
    let account = account.clone();
    let found = cloud.db.read(move |tx| -> Result<Vec<(HostName, Option<Zone>)>, DbError> {
        hosts.into_iter().map(|host| Ok((host.clone(), zone_of_host(tx, &account, &host)?))).collect()
    });
    let owned = |(hostname, zone): (HostName, Option<Zone>)| match zone {
        Some(zone) => Ok(OwnedHost { hostname, zone_id: zone.id, zone_name: zone.name.to_string() }),
        None => Err(Failure::invalid(format!("`{hostname}` is in no zone of this account; register its domain first"))),
    };
    found.await?.into_iter().map(owned).collect()
}

/// Points host names to our edge, all or none.
///
/// # Errors
/// When a name has another record and that was not to be replaced, or the caller does not stand any more.
pub async fn point_hosts(
    cloud: &Cloud,
    account: &CloudAccountId,
    hosts: &[OwnedHost],
    replace: bool,
    standing: Condition,
) -> Result<(), Failure> {
    let (account, hosts, now) = (account.clone(), hosts.to_vec(), cloud.env.now());
    let existing = if replace { Existing::Replace } else { Existing::Keep };
    let zones: BTreeSet<DomainName> = hosts.iter().filter_map(|host| host.zone_name.parse().ok()).collect();
    let written = cloud.db.write(move |tx| -> Result<(), Failure> {
        standing(tx)?;
        for host in &hosts {
            let Ok(zone) = host.zone_name.parse() else { continue };
            record_put(tx, now, &account, &zone, &edge_record(&host.hostname), existing).map_err(|e| refuse(&e))?;
        }
        Ok(())
    });
    written.await?;
    for zone in zones {
        follow(cloud, &zone).await;
    }
    Ok(())
}

/// Takes the edge's records of host names that were connected before and are not any more.
///
/// # Errors
/// When the store fails; a record that stays leads to a page that says so.
pub async fn forget_hosts(cloud: &Cloud, account: &CloudAccountId, before: &[CustomDomain]) -> Result<(), Failure> {
    let after = cloud.workers.domain_list(account).await?;
    let gone: Vec<CustomDomain> = before.iter().filter(|d| !after.iter().any(|a| a.hostname == d.hostname)).cloned().collect();
    if gone.is_empty() {
        return Ok(());
    }
    let (account, now) = (account.clone(), cloud.env.now());
    let zones: BTreeSet<DomainName> = gone.iter().filter_map(|domain| domain.zone_name.parse().ok()).collect();
    let written = cloud.db.write(move |tx| -> Result<(), ZoneError> {
        for domain in &gone {
            let Ok(zone) = domain.zone_name.parse() else { continue };
            let record = edge_record(&domain.hostname);
            match record_delete(tx, now, &account, &zone, &record.owner, &record.data) {
                Ok(_) | Err(ZoneError::NotFound) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    });
    written.await.map_err(|e| refuse(&e))?;
    for zone in zones {
        follow(cloud, &zone).await;
    }
    Ok(())
}

fn refuse(e: &ZoneError) -> Failure {
    match e {
        ZoneError::Store(e) => Failure::internal(e),
        ZoneError::Conflict(_) => Failure::new(StatusCode::CONFLICT, RECORD_EXISTS, e.to_string()),
        _ => Failure::invalid(e.to_string()),
    }
}
