//! What happens to domains by itself: messages of the registry, names that run out, registrations that end. Owners are told by mail, once.
//!
//! INVARIANT (cleared-first): a name whose registration is over is nobody else's here until its sites are disconnected; its zone, its order
//! and what is given back for it are settled in the write that frees it.

use purser_db::{DbError, Tx};
use purser_wire::refund::RefundReason;
use slipway_accounts::account::get::account_get;
use slipway_accounts::realm::{MailError, Realm};
use slipway_accounts::resource::end::resource_remove;
use slipway_accounts::resource::get::resource_get;
use slipway_dns::zone::ZoneError;
use slipway_dns::zone::remove::zone_remove;
use slipway_registrar::domain::look::domain_look;
use slipway_registrar::domain::news::{Item, News, domain_cleared, domain_ending, news_open, news_told};
use slipway_registrar::domain::poll::registry_poll;
use slipway_registrar::domain::{Domain, Ending, State};
use slipway_workers::WorkersError;

use super::follow;
use crate::cloud::Shared;
use crate::{billing, release};

/// Why the order of a name that was given back in its first days is refunded.
const GIVEN_BACK: &str = "returned";

#[derive(Debug, thiserror::Error)]
pub enum UpkeepError {
    #[error(transparent)]
    Store(#[from] DbError),
    #[error(transparent)]
    Workers(#[from] WorkersError),
    #[error(transparent)]
    Zone(#[from] ZoneError),
}

/// One round; what fails is done by the next.
pub async fn round(cloud: &Shared) {
    let Some(registrar) = &cloud.registrar else { return };
    if let Err(e) = registry_poll(registrar).await {
        tracing::warn!(error = %e, "the registry's messages were not read");
    }
    if let Err(e) = domain_look(registrar).await {
        tracing::error!(error = %e, "domains that run out were not looked at");
    }
    if let Err(e) = clear(cloud).await {
        tracing::error!(error = %e, "what stood on names that are gone was not cleared away");
    }
    if let Err(e) = tell(cloud).await {
        tracing::error!(error = %e, "owners were not told what happened to their domains");
    }
}

/// Clears away what stood on names whose registration is over.
///
/// # Errors
/// When a part does not answer; a repeat goes on.
pub async fn clear(cloud: &Shared) -> Result<(), UpkeepError> {
    for domain in cloud.db.read(domain_ending).await? {
        release::hosts(cloud, &domain.account, &domain.name).await?;
        let (realm, env, over) = (cloud.realm.clone(), cloud.env.clone(), domain.clone());
        let written = cloud.db.write(move |tx| -> Result<(), UpkeepError> {
            // Another round may have done all of it meanwhile.
            if !domain_cleared(tx, &over.id)? {
                return Ok(());
            }
            zone_remove(tx, &over.account, &over.name)?;
            if let Some(resource) = resource_get(tx, &over.account, &over.request)? {
                billing::ended(tx, &realm, &resource)?;
                resource_remove(tx, &resource.id, env.now())?;
            }
            let State::Ended { why, cleared: false } = over.state else { return Ok(()) };
            let refunded =
                why == Ending::Deleted && billing::give_back(tx, &env, &over.request, &RefundReason::from(GIVEN_BACK.to_owned()))?;
            let (subject, text) = goodbye(&over, why, refunded);
            Ok(mail(tx, &realm, &over, &subject, text)?)
        });
        written.await?;
        cloud.wake_jobs.notify_one();
        follow(cloud, &domain.name).await;
        tracing::info!(domain = %domain.name, "a domain is not the account's any more");
    }
    Ok(())
}

async fn tell(cloud: &Shared) -> Result<(), DbError> {
    let open = cloud.db.read(news_open).await?;
    let any = !open.is_empty();
    for item in open {
        let realm = cloud.realm.clone();
        let written = cloud.db.write(move |tx| -> Result<(), DbError> {
            // Another process may have told it meanwhile.
            if !news_told(tx, &item)? {
                return Ok(());
            }
            let (subject, text) = words(&item);
            mail(tx, &realm, &item.domain, &subject, text)
        });
        written.await?;
    }
    if any {
        cloud.wake_jobs.notify_one();
    }
    Ok(())
}

/// Puts a mail to the owner into the queue. An account that is gone is told nothing.
fn mail(tx: &mut Tx<'_>, realm: &Realm, domain: &Domain, subject: &str, text: String) -> Result<(), DbError> {
    let Some(account) = account_get(tx, &domain.account)? else { return Ok(()) };
    let text = format!("{text}\n\nYour subscriptions: {}billing\n", realm.public_url);
    realm.mail(tx, &account.email, subject, text).map_err(|e| match e {
        MailError::Store(e) => e,
        MailError::Seal(e) => DbError::Other(e.to_string()),
    })
}

fn goodbye(domain: &Domain, why: Ending, refunded: bool) -> (String, String) {
    let name = &domain.name;
    match why {
        Ending::Deleted => {
            let money = if refunded { " What was paid for it is given back." } else { "" };
            (format!("{name} was given back"), format!("`{name}` was given back to the registry, and anybody can register it.{money}"))
        }
        Ending::Expired => {
            (format!("{name} is gone"), format!("`{name}` was not renewed, and the registry has freed it. Anybody can register it."))
        }
        Ending::Moved => (
            format!("{name} is kept by another registrar"),
            format!("`{name}` was transferred to another registrar. Its zone is not served here any more."),
        ),
    }
}

fn words(item: &Item) -> (String, String) {
    let name = &item.domain.name;
    match item.news {
        News::Expired => (
            format!("{name} has run out"),
            format!("`{name}` was not renewed and is out of the world. It can be renewed for a while; then the registry deletes it."),
        ),
        News::Redemption => (
            format!("{name} was deleted by the registry"),
            format!("`{name}` was not renewed, and the registry has deleted it. In a month it is free for anybody."),
        ),
        News::Back => (format!("{name} is back"), format!("`{name}` was renewed and is in the world again.")),
        News::TransferAsked => (
            format!("Another registrar asks for {name}"),
            format!(
                "Another registrar asks for `{name}`, and knows its secret. If that is your wish, nothing has to be done: it goes there in \
                 some days. If it is not, refuse it now (`POST …/registrar/registrations/{name}/transfer-out` with `{{\"agreed\": false}}`) \
                 and lock the name."
            ),
        ),
    }
}
