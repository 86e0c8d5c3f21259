//! How names end: against our registry over TLS, with another registrar beside ours, and with answers that are lost.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use purser_db::testing::{START, each_engine};
use purser_db::{Db, DbError};
use purser_values::env::TestClock;
use purser_values::id::{CloudAccountId, CloudResourceId, DomainId};
use purser_values::name::DomainName;
use purser_values::{Env, Secret};
use slipway_registrar::domain::change::{Change, change_resume, domain_change};
use slipway_registrar::domain::delete::{DeleteError, FREE_S, domain_delete};
use slipway_registrar::domain::get::{domain_get, domain_list};
use slipway_registrar::domain::look::{PATIENCE_S, domain_look};
use slipway_registrar::domain::news::{News, domain_cleared, domain_ending, news_open, news_told};
use slipway_registrar::domain::poll::registry_poll;
use slipway_registrar::domain::quote::domain_quote;
use slipway_registrar::domain::register::{Register, domain_register};
use slipway_registrar::domain::renew::domain_renew;
use slipway_registrar::domain::{Ending, State};
use slipway_registrar::registrar::Registrar;
use slipway_registrar::registry::epp::{Account, EppRegistry, over_tls};
use slipway_registrar::registry::{Order, Registry as _, YEARLY};
use slipway_registry::config::{Config, Registrar as Known};
use slipway_registry::serve;
use tokio::net::TcpListener;

use crate::support::{PASSWORD, TABLES, keyring};

const DAY_S: i64 = 86_400;

/// Our registrar and another one, each with a line of its own to the registry.
struct Life {
    ours: Registrar,
    theirs: EppRegistry,
    account: CloudAccountId,
    clock: Arc<TestClock>,
    served: tokio::task::JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl Drop for Life {
    fn drop(&mut self) {
        self.served.abort();
    }
}

async fn life(db: Db) -> Life {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("password"), PASSWORD).unwrap();
    fs::set_permissions(at("password"), fs::Permissions::from_mode(0o600)).unwrap();
    let known = |id: &str| Known { id: id.to_owned(), password_file: at("password"), certificate: None };
    let config = Config {
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
        registrars: vec![known("ours"), known("theirs")],
    };
    let (env, clock) = Env::test(START, 9);
    let (registry, tls) = config.open(&env).await.unwrap();
    let listener = TcpListener::bind(config.listen).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = tokio::spawn(serve::listen(registry, listener, tls, std::future::pending()));
    let line = |id: &str| {
        let dial = over_tls("localhost", port, &at("keys").join("registry.pem"), None).unwrap();
        let account = Account { id: id.to_owned(), password: Secret::new(PASSWORD.to_owned()) };
        EppRegistry::new(vec!["test".to_owned()], YEARLY, account, dial, Secret::new(vec![1; 32]), env.clone())
    };
    let name_servers = ["ns1.dns.example", "ns2.dns.example"].iter().map(|it| it.parse().unwrap()).collect();
    let ours = Registrar { db, registry: Arc::new(line("ours")), env: env.clone(), name_servers, keyring: keyring(), wants_holder: false };
    Life { ours, theirs: line("theirs"), account: CloudAccountId::mint(&env), clock, served, _folder: folder }
}

impl Life {
    /// A name that our account has bought.
    async fn bought(&self, name: &str) -> (DomainName, CloudResourceId) {
        let (name, request): (DomainName, _) = (name.parse().unwrap(), CloudResourceId::mint(&self.ours.env));
        let order = Register {
            account: self.account.clone(),
            request: request.clone(),
            name: name.clone(),
            years: 1,
            price: YEARLY,
            stated: false,
        };
        domain_register(&self.ours, order).await.unwrap();
        (name, request)
    }
    fn days(&self, days: i64) {
        self.clock.advance_secs(days * DAY_S);
    }
    /// What our registrar does by itself.
    async fn round(&self) {
        registry_poll(&self.ours).await.unwrap();
        domain_look(&self.ours).await.unwrap();
        change_resume(&self.ours).await.unwrap();
    }
    async fn told(&self) -> Vec<News> {
        let written = self.ours.db.write(|tx| -> Result<Vec<News>, DbError> {
            let open = news_open(tx)?;
            open.iter().filter_map(|item| news_told(tx, item).map(|told| told.then_some(item.news)).transpose()).collect()
        });
        written.await.unwrap()
    }
    /// How registrations ended that were not cleared away, and clears them away.
    async fn ended(&self) -> Vec<Ending> {
        let written = self.ours.db.write(|tx| -> Result<Vec<Ending>, DbError> {
            let mut all = Vec::new();
            for domain in domain_ending(tx)? {
                let State::Ended { why, .. } = domain.state else { continue };
                all.push(why);
                domain_cleared(tx, &domain.id)?;
            }
            Ok(all)
        });
        written.await.unwrap()
    }
    async fn holds(&self, name: &DomainName) -> bool {
        let (account, name) = (self.account.clone(), name.clone());
        self.ours
            .db
            .read(move |tx| domain_get(tx, &account, &name))
            .await
            .unwrap()
            .is_some_and(|it| matches!(it.state, State::Registered { .. }))
    }
}

#[tokio::test]
async fn a_name_is_given_back_in_its_first_days_and_is_free_once_it_is_cleared_away() {
    each_engine(TABLES, |db| async {
        let life = life(db).await;
        let (name, _) = life.bought("shop.test").await;
        let stranger = CloudAccountId::mint(&life.ours.env);
        assert!(domain_delete(&life.ours, &stranger, &name).await.is_err());
        domain_delete(&life.ours, &life.account, &name).await.unwrap();
        assert_eq!(life.ours.registry.info(&name).await, Ok(None));
        assert!(domain_quote(&life.ours, &stranger, &name, 1, None).await.is_err(), "sold again before its sites are gone");
        assert_eq!((life.ended().await, life.ended().await), (vec![Ending::Deleted], vec![]));
        assert_eq!(domain_quote(&life.ours, &stranger, &name, 1, None).await.unwrap().price, YEARLY);
        assert!(domain_delete(&life.ours, &life.account, &name).await.is_err(), "there is nothing to give back");

        let (late, _) = life.bought("late.test").await;
        life.clock.advance_secs(FREE_S);
        assert!(matches!(domain_delete(&life.ours, &life.account, &late).await, Err(DeleteError::TooLate)));
        assert!(life.holds(&late).await && life.ours.registry.info(&late).await.unwrap().is_some());
    })
    .await;
}

#[tokio::test]
async fn a_return_whose_answer_was_lost_is_finished_though_a_stranger_has_the_name_by_then() {
    each_engine(TABLES, |db| async {
        let life = life(db).await;
        let (name, _) = life.bought("shop.test").await;
        // The registry took it away, and the process died before it knew.
        life.ours.registry.delete(&name).await.unwrap();
        let theirs = Order {
            transaction: DomainId::mint(&life.ours.env),
            name: name.clone(),
            years: 1,
            price: YEARLY,
            holder: None,
            name_servers: life.ours.name_servers.to_vec(),
        };
        life.theirs.register(&theirs).await.unwrap();
        domain_delete(&life.ours, &life.account, &name).await.unwrap();
        assert_eq!(life.ended().await, [Ending::Deleted], "it is refunded");
        assert!(life.theirs.info(&name).await.unwrap().is_some(), "a stranger's name was deleted");
    })
    .await;
}

#[tokio::test]
async fn a_name_that_nobody_renews_leaves_the_world_is_deleted_and_is_free_at_last() {
    each_engine(TABLES, |db| async {
        let life = life(db).await;
        let (name, request) = life.bought("shop.test").await;
        life.days(366);
        life.round().await;
        assert!(life.told().await.is_empty() && !life.ours.registry.info(&name).await.unwrap().unwrap().held, "a late bill has time");
        life.clock.advance_secs(PATIENCE_S);
        for _ in 0..2 {
            life.round().await;
        }
        assert_eq!(life.told().await, [News::Expired]);
        assert!(life.ours.registry.info(&name).await.unwrap().unwrap().held);

        // It is paid after all, and comes back.
        domain_renew(&life.ours, &request, START.plus_months(24)).await.unwrap();
        life.round().await;
        assert_eq!(life.told().await, [News::Back]);
        assert!(!life.ours.registry.info(&name).await.unwrap().unwrap().held);

        life.days(365 + 9);
        life.round().await;
        assert_eq!(life.told().await, [News::Expired]);
        life.days(25);
        life.round().await;
        assert_eq!(life.told().await, [News::Redemption]);
        assert!(life.holds(&name).await && life.ended().await.is_empty());
        life.days(36);
        life.round().await;
        assert_eq!(life.ended().await, [Ending::Expired]);
        assert!(!life.holds(&name).await);
    })
    .await;
}

#[tokio::test]
async fn a_message_that_comes_again_has_no_second_consequence() {
    each_engine(TABLES, |db| async {
        let life = life(db).await;
        life.bought("shop.test").await;
        life.days(366 + 30);
        // The registry deletes it and says so; we read that, and die before we say that we did.
        let said = life.ours.registry.poll().await.unwrap().unwrap();
        assert_eq!(said.about, ["shop.test".parse().unwrap()]);
        life.round().await;
        assert_eq!(life.told().await, [News::Redemption]);
        assert_eq!(life.ours.registry.poll().await.unwrap(), None);
        life.ours.registry.acknowledge(&said.id).await.unwrap();
        life.round().await;
        assert!(life.told().await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_name_goes_to_another_registrar_only_unlocked_with_its_secret_and_not_refused() {
    each_engine(TABLES, |db| async {
        let life = life(db).await;
        let (name, request) = life.bought("shop.test").await;
        let id = {
            let (account, name) = (life.account.clone(), name.clone());
            life.ours.db.read(move |tx| domain_get(tx, &account, &name)).await.unwrap().unwrap().id
        };
        let change = async |change| domain_change(&life.ours, &life.account, &name, change).await.unwrap();
        let secret = life.ours.registry.transfer_secret(&id);
        let ask = async |secret: &Secret<String>| life.theirs.request_transfer(&name, secret).await;

        change(Change::Lock(true)).await;
        assert!(ask(&secret).await.is_err(), "a locked name was asked for");
        change(Change::Lock(false)).await;
        assert!(ask(&Secret::new("wrong-secret".to_owned())).await.is_err(), "a name was asked for without its secret");

        ask(&secret).await.unwrap();
        life.round().await;
        assert_eq!(life.told().await, [News::TransferAsked]);
        for _ in 0..2 {
            change(Change::HandOver(false)).await;
        }
        life.round().await;
        assert!(life.holds(&name).await, "refused, and gone");

        ask(&secret).await.unwrap();
        life.days(6);
        life.round().await;
        assert_eq!((life.told().await, life.ended().await), (vec![News::TransferAsked], vec![Ending::Moved]));
        let account = life.account.clone();
        assert!(life.ours.db.read(move |tx| domain_list(tx, &account)).await.unwrap().is_empty());
        domain_renew(&life.ours, &request, START.plus_months(36)).await.unwrap();
        assert!(life.theirs.info(&name).await.unwrap().unwrap().expires_at < START.plus_months(30), "a name of another was renewed");
    })
    .await;
}
