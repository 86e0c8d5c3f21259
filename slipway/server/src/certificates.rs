//! Certificates of the edge: where they come from, and how names in our own zones are proved to the authority.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use purser_crypto::seal::Keyring;
use purser_db::Db;
use purser_http::{Fetcher, Origin};
use purser_values::id::CloudAccountId;
use purser_values::name::HostName;
use purser_values::{Env, Secret};
use slipway_dns::record::{Data, Owner, Record, TTL_MIN_S};
use slipway_dns::server::Nameserver;
use slipway_dns::zone::ZoneError;
use slipway_dns::zone::get::zone_of_host;
use slipway_dns::zone::record_delete::record_delete;
use slipway_dns::zone::record_put::{Existing, record_put};
use slipway_edge::acme::{Acme, AcmeConfig, Surroundings, ZoneWriter};
use slipway_edge::route::{Pending, Router};

use crate::config::{self, ProveBy};
use crate::keys::secret_text;
use crate::serve::ServeError;

/// Begins to get certificates from the authority that the operator named.
///
/// # Errors
/// When a file cannot be read or the store fails.
pub async fn authority(
    table: &config::Acme,
    (db, keyring, env): (Db, Keyring, Env),
    router: Arc<dyn Router>,
    nameserver: Arc<Nameserver>,
) -> Result<Acme, ServeError> {
    let external_account = match &table.external_account {
        Some(account) => Some((account.key_id.clone(), decoded(&secret_text(&account.key_file)?)?)),
        None => None,
    };
    let trusted: Vec<Origin> = Origin::of(&table.directory).into_iter().collect();
    let fetcher = match &table.ca_file {
        Some(file) => Fetcher::with_authorities(trusted, &std::fs::read(file)?)?,
        None => Fetcher::new(trusted)?,
    };
    let zones = Arc::new(Zones { db: db.clone(), env: env.clone(), nameserver });
    let config = AcmeConfig {
        directory: table.directory.clone(),
        email: table.email.clone(),
        external_account,
        prove_by_dns: table.prove_by == ProveBy::Dns,
    };
    Ok(Acme::start(config, Surroundings { db, keyring, env, fetcher, router, zones }).await?)
}

fn decoded(key: &Secret<String>) -> Result<Secret<Vec<u8>>, ServeError> {
    URL_SAFE_NO_PAD.decode(key.expose().trim_end_matches('=')).map(Secret::new).map_err(|_| ServeError::ExternalAccount)
}

/// The zones that our name server answers for.
struct Zones {
    db: Db,
    env: Env,
    nameserver: Arc<Nameserver>,
}

impl ZoneWriter for Zones {
    fn covers<'a>(&'a self, account: &'a str, host: &'a HostName) -> Pending<'a, bool> {
        Box::pin(async move {
            let Ok(account) = account.parse() else { return false };
            let host = host.clone();
            // one that is not known is proved over HTTP
            self.db.read(move |tx| zone_of_host(tx, &account, &host)).await.is_ok_and(|zone| zone.is_some())
        })
    }

    fn publish<'a>(&'a self, account: &'a str, host: &'a HostName, text: &'a str) -> Pending<'a, Result<(), String>> {
        Box::pin(async move { self.change(account, host, text, true).await.map_err(|e| e.to_string()) })
    }

    fn withdraw<'a>(&'a self, account: &'a str, host: &'a HostName, text: &'a str) -> Pending<'a, ()> {
        Box::pin(async move {
            if let Err(e) = self.change(account, host, text, false).await {
                tracing::warn!(%host, error = %e, "the proof of a name stays in its zone");
            }
        })
    }
}

impl Zones {
    /// Lets the innermost zone of the name say a text, or say it no more.
    async fn change(&self, account: &str, host: &HostName, text: &str, publish: bool) -> Result<(), ZoneChangeError> {
        let account: CloudAccountId = account.parse().map_err(|_| ZoneError::NotFound)?;
        let record = Record { owner: owner(host)?, ttl_s: TTL_MIN_S, data: Data::Txt { text: text.to_owned() } };
        let (host, now) = (host.clone(), self.env.now());
        let written = self.db.write(move |tx| -> Result<_, ZoneError> {
            let zone = zone_of_host(tx, &account, &host)?.ok_or(ZoneError::NotFound)?;
            if publish {
                record_put(tx, now, &account, &zone.name, &record, Existing::Keep)?;
            } else {
                record_delete(tx, now, &account, &zone.name, &record.owner, &record.data)?;
            }
            Ok(zone.name)
        });
        Ok(self.nameserver.refresh(&written.await?).await?)
    }
}

#[derive(Debug, thiserror::Error)]
enum ZoneChangeError {
    #[error(transparent)]
    Record(#[from] slipway_dns::record::RecordError),
    #[error(transparent)]
    Zone(#[from] ZoneError),
    #[error(transparent)]
    Follow(#[from] slipway_dns::server::DnsError),
}

fn owner(host: &HostName) -> Result<Owner, slipway_dns::record::RecordError> {
    format!("_acme-challenge.{host}").parse()
}
