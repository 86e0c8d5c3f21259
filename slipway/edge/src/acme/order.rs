//! One order at the authority: prove the name, have a key of ours signed, look at what came back.

use std::sync::Arc;

use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeType, ExternalAccountKey, Identifier, NewAccount, NewOrder, Order,
    OrderStatus, RetryPolicy,
};
use purser_crypto::seal::{Keyring, SealError};
use purser_db::DbError;
use purser_values::name::HostName;
use purser_values::{Secret, Timestamp};
use rcgen::{CertificateParams, DistinguishedName, KeyPair, SanType};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::store::{self, Due, Issued};
use super::transport::Transport;
use super::{Held, Inner, schedule};
use crate::limits;

/// Why no certificate came of an order.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    #[error("the authority: {0}")]
    Authority(#[from] instant_acme::Error),
    #[error("the authority offers no proof that can be given here")]
    NoProof,
    #[error("the authority did not accept the proof")]
    Refused,
    #[error("the name cannot be proved by a record: {0}")]
    Record(String),
    #[error("the order took too long")]
    Slow,
    #[error("what the authority sent is no certificate for this name and key: {0}")]
    Wrong(&'static str),
    #[error("the key cannot be used: {0}")]
    Key(String),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Store(#[from] DbError),
}

/// Gets a certificate and keeps it.
pub async fn run(acme: &Inner, due: &Due, account_of_site: &str) -> Result<Held, OrderError> {
    let account = acme.account.get_or_try_init(|| account(acme)).await?;
    if let Some((url, sealed_key)) = &due.open_order
        && let Some(found) = take_up(acme, account, &due.host, url, sealed_key).await?
    {
        return keep(acme, &due.host, found).await;
    }
    let names = [Identifier::Dns(due.host.to_string())];
    let mut order = account.new_order(&NewOrder::new(&names)).await?;
    prove(acme, &mut order, due, account_of_site).await?;
    let patience = RetryPolicy::new().timeout(limits::ORDER_TIME);
    if order.poll_ready(&patience).await? != OrderStatus::Ready {
        return Err(OrderError::Refused);
    }
    let key = KeyPair::generate().map_err(|e| OrderError::Key(e.to_string()))?;
    let der = Secret::new(key.serialize_der());
    let sealed = acme.around.keyring.seal(&acme.around.env, &order_purpose(&due.host), der.expose())?;
    let (host, url) = (due.host.clone(), order.url().to_owned());
    acme.around.db.write(move |tx| store::ordered(tx, &host, &url, &sealed)).await?;
    order.finalize_csr(&request(&due.host, &key)?).await?;
    let chain = order.poll_certificate(&patience).await?;
    keep(acme, &due.host, (chain, der)).await
}

/// An order from before a crash. One that is of no use any more is left to the authority.
async fn take_up(
    acme: &Inner,
    account: &Account,
    host: &HostName,
    url: &str,
    sealed: &[u8],
) -> Result<Option<(String, Secret<Vec<u8>>)>, OrderError> {
    let Ok(mut order) = account.order(url.to_owned()).await else { return Ok(None) };
    if !matches!(order.state().status, OrderStatus::Valid | OrderStatus::Processing) {
        return Ok(None);
    }
    let key = acme.around.keyring.open(&order_purpose(host), sealed)?;
    Ok(Some((order.poll_certificate(&RetryPolicy::new()).await?, key)))
}

/// Shows the authority that the name is ours. Where a record was tried in vain, the next try goes over HTTP.
async fn prove(acme: &Inner, order: &mut Order, due: &Due, account: &str) -> Result<(), OrderError> {
    let host = &due.host;
    let by_record = acme.config.prove_by_dns && due.failures.is_multiple_of(2) && acme.around.zones.covers(account, host).await;
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        match authorization.status {
            AuthorizationStatus::Valid => continue,
            AuthorizationStatus::Pending => {}
            _ => return Err(OrderError::Refused),
        }
        let kind = if by_record { ChallengeType::Dns01 } else { ChallengeType::Http01 };
        let mut challenge = authorization.challenge(kind).ok_or(OrderError::NoProof)?;
        let answer = challenge.key_authorization();
        if by_record {
            let text = answer.dns_value();
            acme.proofs.by_record(host, account, &text);
            acme.around.zones.publish(account, host, &text).await.map_err(OrderError::Record)?;
        } else {
            acme.proofs.over_http(host, &challenge.token, answer.as_str());
        }
        challenge.set_ready().await?;
    }
    Ok(())
}

fn request(host: &HostName, key: &KeyPair) -> Result<Vec<u8>, OrderError> {
    let bad = |e: rcgen::Error| OrderError::Key(e.to_string());
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::DnsName(host.as_str().try_into().map_err(bad)?)];
    params.distinguished_name = DistinguishedName::new();
    Ok(params.serialize_request(key).map_err(bad)?.der().to_vec())
}

/// Looks at what was issued, seals the key, and writes both down before anybody is served with them.
async fn keep(acme: &Inner, host: &HostName, (chain, der): (String, Secret<Vec<u8>>)) -> Result<Held, OrderError> {
    let (key, not_before, not_after) = usable(host, &chain, &der)?;
    let sealed_key = acme.around.keyring.seal(&acme.around.env, &purpose(host), der.expose())?;
    let renew_at = schedule::renew_at(not_before, not_after, &acme.around.env);
    let issued = Issued { host: host.clone(), chain, sealed_key, not_after };
    acme.around.db.write(move |tx| store::done(tx, &issued, renew_at)).await?;
    Ok(Held { key: Arc::new(key), not_after })
}

/// A certificate from the store.
pub fn open(keyring: &Keyring, row: &Issued) -> Result<Held, OrderError> {
    let der = keyring.open(&purpose(&row.host), &row.sealed_key)?;
    let (key, _, not_after) = usable(&row.host, &row.chain, &der)?;
    Ok(Held { key: Arc::new(key), not_after })
}

/// The pair and its life, if the certificate is for this name and this key: an authority is a stranger, too.
fn usable(host: &HostName, chain: &str, der: &Secret<Vec<u8>>) -> Result<(CertifiedKey, Timestamp, Timestamp), OrderError> {
    let certificates: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<_, _>>().map_err(|_| OrderError::Wrong("not PEM"))?;
    let leaf = certificates.first().ok_or(OrderError::Wrong("empty"))?.clone();
    let (_, parsed) = X509Certificate::from_der(&leaf).map_err(|_| OrderError::Wrong("not X.509"))?;
    let names = parsed.subject_alternative_name().ok().flatten().ok_or(OrderError::Wrong("it names nobody"))?;
    let named =
        names.value.general_names.iter().any(|name| matches!(name, GeneralName::DNSName(n) if n.eq_ignore_ascii_case(host.as_str())));
    if !named {
        return Err(OrderError::Wrong("it names somebody else"));
    }
    let life = parsed.validity();
    let (not_before, not_after) = (Timestamp::from_secs(life.not_before.timestamp()), Timestamp::from_secs(life.not_after.timestamp()));
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der.expose().clone()));
    let signing = any_supported_type(&private).map_err(|e| OrderError::Key(e.to_string()))?;
    let pair = CertifiedKey::new(certificates, signing);
    pair.keys_match().map_err(|_| OrderError::Wrong("it is for another key"))?;
    Ok((pair, not_before, not_after))
}

/// Our account at the authority: the one from before, or a new one.
async fn account(acme: &Inner) -> Result<Account, OrderError> {
    let directory = acme.config.directory.to_string();
    let purpose = format!("authority/{directory}");
    let transport = || {
        let (fetcher, env) = (acme.around.fetcher.clone(), acme.around.env.clone());
        Account::builder_with_http(Box::new(Transport { fetcher, env, quiet_until: acme.quiet_until.clone() }))
    };
    let name = directory.clone();
    if let Some(sealed) = acme.around.db.read(move |tx| store::account(tx, &name)).await? {
        let opened = acme.around.keyring.open(&purpose, &sealed)?;
        let credentials: AccountCredentials = serde_json::from_slice(opened.expose()).map_err(instant_acme::Error::from)?;
        return Ok(transport().from_credentials(credentials).await?);
    }
    let contact = acme.config.email.as_ref().map(|email| format!("mailto:{email}"));
    let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
    let new = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
    let external = acme.config.external_account.as_ref().map(|(id, key)| ExternalAccountKey::new(id.clone(), key.expose()));
    let (account, credentials) = transport().create(&new, directory.clone(), external.as_ref()).await?;
    let text = Secret::new(serde_json::to_vec(&credentials).map_err(instant_acme::Error::from)?);
    let sealed = acme.around.keyring.seal(&acme.around.env, &purpose, text.expose())?;
    let now = acme.around.env.now();
    acme.around.db.write(move |tx| store::put_account(tx, &directory, &sealed, now)).await?;
    Ok(account)
}

fn purpose(host: &HostName) -> String {
    format!("certificate/{host}")
}

fn order_purpose(host: &HostName) -> String {
    format!("certificate-order/{host}")
}
