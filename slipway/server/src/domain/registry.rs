//! The registry that domains are bought at: the one that the file names, over TLS; in the sandbox, one of our own in this same process,
//! spoken to in EPP over a pipe like any other.

use std::io;
use std::sync::Arc;

use purser_crypto::encoding::b64url;
use purser_crypto::seal::Keyring;
use purser_db::Db;
use purser_values::{Env, Money, Secret};
use slipway_registrar::registrar::Registrar;
use slipway_registrar::registry::YEARLY;
use slipway_registrar::registry::epp::{Account, Dial, EppRegistry, Wire, over_tls};
use slipway_registry::client::{Client, Pepper};
use slipway_registry::config::{ConfigError, PEPPER_FILE, secret_file};
use slipway_registry::registry::{Registry, Seed};
use slipway_registry::rules::{Quirks, Rules};
use slipway_registry::serve;
use slipway_registry::store::TAKEN_OVER;

use crate::config::{Config, RegistryTable};
use crate::keys::{KeysError, secret_text};

/// What the secrets of names are derived from, in the folder of keys.
const AUTH_INFO_FILE: &str = "registrar-authinfo.key";
const ZONE: &str = "test";
const PREMIUM_YEARLY: Money = Money::from_minor(1_500_00, purser_values::Currency::USD);

#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("the sandbox's registry does not start: {0}")]
    Sandbox(#[from] ConfigError),
    #[error("`registry`: {0}")]
    Keys(#[from] KeysError),
    #[error("`registry`: what its connections need cannot be used: {0}")]
    Tls(#[from] io::Error),
    #[error(transparent)]
    Table(#[from] crate::config::ConfigError),
}

/// How to reach the registry that the file names, and as whom.
///
/// # Errors
/// When a file cannot be used, or is readable by others.
pub fn line(table: &RegistryTable) -> Result<(Dial, Account), ConnectError> {
    let password = secret_text(&table.password_file)?;
    let shown = table.certificate.as_ref();
    if let Some(shown) = shown {
        secret_text(&shown.key)?;
    }
    let identity = shown.map(|shown| (shown.chain.as_path(), shown.key.as_path()));
    let dial = over_tls(&table.host, table.port, &table.ca_file, identity)?;
    Ok((dial, Account { id: table.account.clone(), password }))
}

/// The registrar, where a registry is connected. One that does not answer now is asked when it is needed.
///
/// # Errors
/// When the sandbox's registry does not start, or a file that the other needs cannot be used.
pub async fn registrar(config: &Config, db: &Db, env: &Env, keyring: &Keyring) -> Result<Option<Registrar>, ConnectError> {
    let open = |epp: EppRegistry, wants_holder: bool| Registrar {
        db: db.clone(),
        registry: Arc::new(epp),
        env: env.clone(),
        name_servers: config.names.servers.clone().into(),
        keyring: keyring.clone(),
        wants_holder,
    };
    if let Some(table) = &config.registry {
        let (dial, account) = line(table)?;
        let secret = secret_file(&config.keys.join(AUTH_INFO_FILE), env)?;
        let epp = EppRegistry::new(table.suffixes.clone(), table.price()?, account, dial, secret, env.clone());
        return Ok(Some(open(epp, table.contacts)));
    }
    if !config.sandbox.is_some_and(|sandbox| sandbox.registry) {
        return Ok(None);
    }
    let pepper = Pepper::new(secret_file(&config.keys.join(PEPPER_FILE), env)?);
    let registry = Registry::new(db.clone(), env.clone(), rules(), pepper);
    // Known to this process alone, and to the next one another.
    let password = Secret::new(b64url(&env.bytes::<12>()));
    let client = Client { id: TAKEN_OVER.to_owned(), password: password.clone(), certificate: None };
    registry.prepare(vec![client], true, seeds(config)).await.map_err(ConfigError::from)?;
    tokio::spawn(serve::rounds(registry.clone()));
    let secret = secret_file(&config.keys.join(AUTH_INFO_FILE), env)?;
    let account = Account { id: TAKEN_OVER.to_owned(), password };
    let epp = EppRegistry::new(vec![ZONE.to_owned()], YEARLY, account, dial(registry), secret, env.clone());
    Ok(Some(open(epp, config.sandbox.is_some_and(|sandbox| sandbox.contacts))))
}

/// Connections to a registry in this process.
fn dial(registry: Registry) -> Dial {
    Arc::new(move || {
        let wire: Box<dyn Wire> = Box::new(serve::pipe(&registry));
        Box::pin(std::future::ready(Ok(wire)))
    })
}

/// Some names behave specially, so that every path can be walked: `premium.test` and names of one or two characters have a special price,
/// names that begin with `sniped` are free when asked for and taken when ordered, and `unavailable.test` never gets an answer.
fn rules() -> Rules {
    Rules {
        server: "slipway sandbox registry of .test".to_owned(),
        zones: vec![ZONE.to_owned()],
        yearly: YEARLY,
        premium_yearly: PREMIUM_YEARLY,
        premium: vec!["premium".to_owned()],
        premium_length: 2,
        quirks: Quirks { sniped: Some("sniped".to_owned()), silent: Some("unavailable".to_owned()) },
    }
}

/// `taken.test` is somebody else's, and the name that our name servers lie below is ours.
fn seeds(config: &Config) -> Vec<Seed> {
    let mut seeds = vec![Seed { name: format!("taken.{ZONE}"), client: "another".to_owned() }];
    for server in &config.names.servers {
        let labels: Vec<&str> = server.as_str().rsplit('.').collect();
        if let [ZONE, label, ..] = labels.as_slice() {
            seeds.push(Seed { name: format!("{label}.{ZONE}"), client: TAKEN_OVER.to_owned() });
        }
    }
    seeds
}
