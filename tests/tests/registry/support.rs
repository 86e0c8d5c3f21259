//! A registry and a registrar that reaches it over a pipe, or over TLS.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use purser_crypto::seal::Keyring;
use purser_db::testing::START;
use purser_db::{Db, Migrations};
use purser_values::id::{CloudAccountId, DomainId};
use purser_values::name::{DomainName, HostName};
use purser_values::{Currency, Env, Money, Secret};
use slipway_registrar::registrar::Registrar;
use slipway_registrar::registry::epp::{Account, Dial, EppRegistry, Wire};
use slipway_registrar::registry::{
    Availability, Ds, Holder, Message, Order, Pending, Registration, Registry, RegistryError, Renewal, YEARLY,
};
use slipway_registry::client::{Client, Pepper};
use slipway_registry::config::{Config, Registrar as ConfiguredRegistrar};
use slipway_registry::registry::{Registry as Keeper, Seed};
use slipway_registry::rules::{Quirks, Rules};
use slipway_registry::serve;

pub const TABLES: &[Migrations] = &[slipway_registrar::store::MIGRATIONS, slipway_registry::store::MIGRATIONS];
pub const CLIENT: &str = "slipway";
pub const PASSWORD: &str = "s3cret-of-tests";

/// Carries the next orders out and loses the answers.
pub struct Lossy {
    inner: EppRegistry,
    pub lose: AtomicU32,
    pub orders: AtomicU32,
    pub renewals: AtomicU32,
    /// Takes renewals and moves nothing.
    pub still: AtomicBool,
}

impl Lossy {
    fn lost<T>(&self, answer: Result<T, RegistryError>) -> Result<T, RegistryError> {
        let lost = self.lose.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if lost { Err(RegistryError::Transient("the line broke".to_owned())) } else { answer }
    }
}

impl Registry for Lossy {
    fn suffixes(&self) -> &[String] {
        self.inner.suffixes()
    }
    fn check<'a>(&'a self, name: &'a DomainName) -> Pending<'a, Availability> {
        self.inner.check(name)
    }
    fn check_all<'a>(&'a self, names: &'a [DomainName]) -> Pending<'a, Vec<Availability>> {
        self.inner.check_all(names)
    }
    fn register<'a>(&'a self, order: &'a Order) -> Pending<'a, Registration> {
        Box::pin(async move {
            self.orders.fetch_add(1, Ordering::SeqCst);
            self.lost(self.inner.register(order).await)
        })
    }
    fn renew<'a>(&'a self, order: &'a Renewal) -> Pending<'a, Registration> {
        Box::pin(async move {
            self.renewals.fetch_add(1, Ordering::SeqCst);
            if self.still.load(Ordering::SeqCst) {
                let held = self.inner.info(&order.name).await?;
                return held.ok_or_else(|| RegistryError::Invalid("the name is not registered".to_owned()));
            }
            self.lost(self.inner.renew(order).await)
        })
    }
    fn info<'a>(&'a self, name: &'a DomainName) -> Pending<'a, Option<Registration>> {
        self.inner.info(name)
    }
    fn set_name_servers<'a>(&'a self, name: &'a DomainName, name_servers: &'a [HostName]) -> Pending<'a, ()> {
        self.inner.set_name_servers(name, name_servers)
    }
    fn set_ds<'a>(&'a self, name: &'a DomainName, ds: &'a [Ds]) -> Pending<'a, ()> {
        self.inner.set_ds(name, ds)
    }
    fn set_lock<'a>(&'a self, name: &'a DomainName, locked: bool) -> Pending<'a, ()> {
        self.inner.set_lock(name, locked)
    }
    fn set_hold<'a>(&'a self, name: &'a DomainName, held: bool) -> Pending<'a, ()> {
        self.inner.set_hold(name, held)
    }
    fn answer_transfer<'a>(&'a self, name: &'a DomainName, agreed: bool) -> Pending<'a, ()> {
        self.inner.answer_transfer(name, agreed)
    }
    fn transfer_secret(&self, order: &DomainId) -> Secret<String> {
        self.inner.transfer_secret(order)
    }
    fn set_holder<'a>(&'a self, name: &'a DomainName, holder: &'a Holder) -> Pending<'a, ()> {
        self.inner.set_holder(name, holder)
    }
    fn delete<'a>(&'a self, name: &'a DomainName) -> Pending<'a, ()> {
        self.inner.delete(name)
    }
    fn poll(&self) -> Pending<'_, Option<Message>> {
        self.inner.poll()
    }
    fn acknowledge<'a>(&'a self, id: &'a str) -> Pending<'a, ()> {
        self.inner.acknowledge(id)
    }
}

pub struct World {
    pub registrar: Registrar,
    pub registry: Arc<Lossy>,
    pub keeper: Keeper,
    pub env: Env,
    pub account: CloudAccountId,
}

/// A registry with the sandbox's odd names.
pub async fn keeper(db: Db, env: Env) -> Keeper {
    let rules = Rules {
        server: "Registry of the tests".to_owned(),
        zones: vec!["test".to_owned()],
        yearly: YEARLY,
        premium_yearly: Money::from_minor(1_500_00, Currency::USD),
        premium: vec!["premium".to_owned()],
        premium_length: 2,
        quirks: Quirks { sniped: Some("sniped".to_owned()), silent: Some("unavailable".to_owned()) },
    };
    let keeper = Keeper::new(db, env, rules, Pepper::new(Secret::new(vec![3; 32])));
    let client = |id: &str| Client { id: id.to_owned(), password: Secret::new(PASSWORD.to_owned()), certificate: None };
    let seed = |name: &str, client: &str| Seed { name: name.to_owned(), client: client.to_owned() };
    let seeds = vec![seed("taken.test", "another"), seed("slipway.test", CLIENT)];
    keeper.prepare(vec![client(CLIENT), client("another")], true, seeds).await.unwrap();
    keeper
}

/// A registrar's client of the registry over pipes.
pub fn client(keeper: &Keeper, id: &str, dial: Dial) -> EppRegistry {
    let account = Account { id: id.to_owned(), password: Secret::new(PASSWORD.to_owned()) };
    EppRegistry::new(vec!["test".to_owned()], YEARLY, account, dial, Secret::new(vec![9; 32]), keeper.env.clone())
}

pub fn pipes(keeper: &Keeper) -> Dial {
    let keeper = keeper.clone();
    Arc::new(move || {
        let wire: Box<dyn Wire> = Box::new(serve::pipe(&keeper));
        Box::pin(std::future::ready(Ok(wire)))
    })
}

pub fn keyring() -> Keyring {
    Keyring::from_bytes(&Secret::new([5; 32])).unwrap()
}

pub async fn world(db: Db, lose: u32) -> World {
    let (env, _) = Env::test(START, 9);
    let keeper = keeper(db.clone(), env.clone()).await;
    let inner = client(&keeper, CLIENT, pipes(&keeper));
    let registry = Arc::new(Lossy { inner, lose: lose.into(), orders: 0.into(), renewals: 0.into(), still: false.into() });
    let name_servers = ["ns1.slipway.test", "ns2.slipway.test"].iter().map(|n| n.parse().unwrap()).collect();
    let registrar = Registrar { db, registry: registry.clone(), env: env.clone(), name_servers, keyring: keyring(), wants_holder: false };
    let account = CloudAccountId::mint(&env);
    World { registrar, registry, keeper, env, account }
}

/// A registry of `.test` on a port of its own, which lets in one registrar, `alpha`.
pub fn over_tcp(folder: &Path, password: &str, pinned: Option<PathBuf>) -> Config {
    let at = |name: &str| folder.join(name);
    fs::write(at("password"), password).unwrap();
    fs::set_permissions(at("password"), fs::Permissions::from_mode(0o600)).unwrap();
    Config {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        database: format!("sqlite:{}", at("registry.db").display()),
        keys: at("keys"),
        server: "Registry of the tests".to_owned(),
        host: "localhost".to_owned(),
        zones: vec!["test".to_owned()],
        yearly: "9.15".to_owned(),
        premium_yearly: "1500.00".to_owned(),
        premium: Vec::new(),
        certificate: None,
        certificate_required: false,
        registrars: vec![ConfiguredRegistrar { id: "alpha".to_owned(), password_file: at("password"), certificate: pinned }],
    }
}
