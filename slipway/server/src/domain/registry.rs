//! The registry that domains are bought at: in the sandbox, one of our own in this same process, spoken to in EPP over a pipe like any other.

use std::sync::Arc;

use purser_crypto::encoding::b64url;
use purser_db::Db;
use purser_values::{Env, Money, Secret};
use slipway_registrar::registrar::Registrar;
use slipway_registrar::registry::YEARLY;
use slipway_registrar::registry::epp::{Account, Dial, EppRegistry, Wire};
use slipway_registry::client::{Client, Pepper};
use slipway_registry::config::{ConfigError, PEPPER_FILE, secret_file};
use slipway_registry::registry::{Registry, Seed};
use slipway_registry::rules::{Quirks, Rules};
use slipway_registry::serve;
use slipway_registry::store::TAKEN_OVER;

use crate::config::Config;

/// What the secrets of names are derived from, in the folder of keys.
const AUTH_INFO_FILE: &str = "registrar-authinfo.key";
const ZONE: &str = "test";
const PREMIUM_YEARLY: Money = Money::from_minor(1_500_00, purser_values::Currency::USD);

/// The registrar, where a registry is connected.
///
/// # Errors
/// When the sandbox's registry does not start.
pub async fn registrar(config: &Config, db: &Db, env: &Env) -> Result<Option<Registrar>, ConfigError> {
    if !config.sandbox.is_some_and(|sandbox| sandbox.registry) {
        return Ok(None);
    }
    let pepper = Pepper::new(secret_file(&config.keys.join(PEPPER_FILE), env)?);
    let registry = Registry::new(db.clone(), env.clone(), rules(), pepper);
    // Known to this process alone, and to the next one another.
    let password = Secret::new(b64url(&env.bytes::<12>()));
    let client = Client { id: TAKEN_OVER.to_owned(), password: password.clone(), certificate: None };
    registry.prepare(vec![client], true, seeds(config)).await?;
    tokio::spawn(serve::rounds(registry.clone()));
    let secret = secret_file(&config.keys.join(AUTH_INFO_FILE), env)?;
    let account = Account { id: TAKEN_OVER.to_owned(), password };
    let epp = EppRegistry::new(vec![ZONE.to_owned()], YEARLY, account, dial(registry), secret, env.clone());
    let name_servers = config.names.servers.clone().into();
    Ok(Some(Registrar { db: db.clone(), registry: Arc::new(epp), env: env.clone(), name_servers }))
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
