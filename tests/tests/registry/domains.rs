//! The life of a domain, on both engines, with a registry that loses answers.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use purser_db::params;
use purser_db::testing::{START, each_engine};
use purser_values::id::{CloudAccountId, CloudResourceId};
use purser_values::name::DomainName;
use purser_values::{Currency, Money};
use slipway_registrar::contact::{self, ContactError, contact_erase, contact_open, contact_put};
use slipway_registrar::domain::Paid;
use slipway_registrar::domain::get::{domain_get, domain_list};
use slipway_registrar::domain::quote::{QuoteError, domain_quote};
use slipway_registrar::domain::register::{Register, RegisterError, domain_register};
use slipway_registrar::domain::remove::{RemoveError, domain_remove};
use slipway_registrar::domain::renew::{RenewError, domain_renew};
use slipway_registrar::domain::resume::domain_resume;
use slipway_registrar::domain::{Domain, Refusal, State};
use slipway_registrar::registry::{Registry as _, YEARLY};

use crate::support::{TABLES, World, keyring, world};

impl World {
    pub fn order(&self, name: &str) -> Register {
        Register {
            account: self.account.clone(),
            request: CloudResourceId::mint(&self.env),
            name: name.parse().unwrap(),
            years: 1,
            price: YEARLY,
            stated: false,
        }
    }
    pub async fn register(&self, order: &Register) -> Result<Domain, RegisterError> {
        domain_register(&self.registrar, order.clone()).await
    }
    pub async fn remove(&self, name: &str) -> Result<Domain, RemoveError> {
        let (account, name) = (self.account.clone(), name.parse().unwrap());
        self.registrar.db.write(move |tx| domain_remove(tx, &account, &name, Paid::Yes)).await
    }
    pub async fn listed(&self) -> Vec<String> {
        let account = self.account.clone();
        let all = self.registrar.db.read(move |tx| domain_list(tx, &account)).await.unwrap();
        all.iter().map(|d| d.name.to_string()).collect()
    }
}

fn refused(outcome: &Result<Domain, RegisterError>) -> Refusal {
    match outcome {
        Err(RegisterError::Refused(refusal)) => *refusal,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[tokio::test]
async fn a_name_is_bought_once_and_delegated_to_our_name_servers() {
    each_engine(TABLES, |db| async {
        let w = world(db, 0).await;
        let order = w.order("shop.test");
        let first = w.register(&order).await.unwrap();
        assert!(matches!(first.state, State::Registered { expires_at, .. } if expires_at == START.plus_months(12)));
        assert_eq!(w.register(&order).await.unwrap(), first);
        assert_eq!(w.registry.orders.load(Ordering::SeqCst), 1);
        let held = w.registry.info(&order.name).await.unwrap().unwrap();
        assert_eq!(held.name_servers.len(), 2);
        assert_eq!(refused(&w.register(&w.order("shop.test")).await), Refusal::Taken);
    })
    .await;
}

#[tokio::test]
async fn a_lost_answer_leaves_an_intent_that_the_same_request_finishes() {
    each_engine(TABLES, |db| async {
        let w = world(db, 1).await;
        let order = w.order("shop.test");
        let lost = w.register(&order).await.unwrap_err();
        assert!(matches!(&lost, RegisterError::Unavailable(_)) && !lost.is_final());
        assert_eq!(refused(&w.register(&w.order("shop.test")).await), Refusal::Taken);
        assert!(matches!(w.remove("shop.test").await, Err(RemoveError::Pending)));
        let done = w.register(&order).await.unwrap();
        assert!(matches!(done.state, State::Registered { .. }));
    })
    .await;
}

#[tokio::test]
async fn a_restart_finishes_what_was_open() {
    each_engine(TABLES, |db| async {
        let w = world(db, 2).await;
        let order = w.order("shop.test");
        assert!(w.register(&order).await.is_err());
        assert!(domain_resume(&w.registrar).await.unwrap().is_empty());
        let settled = domain_resume(&w.registrar).await.unwrap();
        assert_eq!(settled.len(), 1);
        assert_eq!(w.listed().await, ["shop.test"]);
        assert!(domain_resume(&w.registrar).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn twenty_accounts_that_want_one_name_get_it_once() {
    each_engine(TABLES, |db| async {
        let w = Arc::new(world(db, 0).await);
        let mut tries = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let (w, mut order) = (w.clone(), w.order("shop.test"));
            order.account = CloudAccountId::mint(&w.env);
            tries.spawn(async move { w.register(&order).await });
        }
        let outcomes = tries.join_all().await;
        assert_eq!(outcomes.iter().filter(|o| o.is_ok()).count(), 1);
        assert!(outcomes.iter().filter(|o| o.is_err()).all(|o| refused(o) == Refusal::Taken));
    })
    .await;
}

#[tokio::test]
async fn names_that_cannot_be_had_are_refused_before_anything_is_recorded() {
    each_engine(TABLES, |db| async {
        let w = world(db, 0).await;
        for (name, expected) in [
            ("taken.test", Refusal::Taken),
            ("slipway.test", Refusal::Taken),
            ("premium.test", Refusal::Premium),
            ("ab.test", Refusal::Premium),
            ("www.shop.test", Refusal::Invalid),
            ("shop.example", Refusal::UnsupportedSuffix),
        ] {
            assert_eq!(refused(&w.register(&w.order(name)).await), expected, "{name}");
        }
        assert!(matches!(w.register(&w.order("unavailable.test")).await, Err(RegisterError::Unavailable(_))));
        let dear = Register { price: Money::from_minor(10_00, Currency::USD), ..w.order("shop.test") };
        assert!(matches!(w.register(&dear).await, Err(RegisterError::PriceChanged { now: YEARLY, .. })));
        let long = Register { years: 11, ..w.order("shop.test") };
        assert!(matches!(w.register(&long).await, Err(RegisterError::Years)));
        assert_eq!(w.registry.orders.load(Ordering::SeqCst), 0);
    })
    .await;
}

#[tokio::test]
async fn a_removed_domain_stays_paid_and_comes_back_for_nothing_to_its_account_alone() {
    each_engine(TABLES, |db| async {
        let w = world(db, 0).await;
        w.register(&w.order("shop.test")).await.unwrap();
        w.remove("shop.test").await.unwrap();
        w.remove("shop.test").await.unwrap();
        assert!(w.listed().await.is_empty());

        let name: DomainName = "shop.test".parse().unwrap();
        let stranger = CloudAccountId::mint(&w.env);
        let quote = domain_quote(&w.registrar, &stranger, &name, 1, None).await;
        assert!(matches!(quote, Err(QuoteError::Refused(Refusal::Taken))));
        assert!(domain_quote(&w.registrar, &w.account, &name, 1, None).await.unwrap().price.is_zero());

        assert!(matches!(w.register(&w.order("shop.test")).await, Err(RegisterError::PriceChanged { .. })));
        let free = Register { price: Money::zero(Currency::USD), ..w.order("shop.test") };
        let back = w.register(&free).await.unwrap();
        assert_eq!(back.request, free.request);
        assert_eq!(w.listed().await, ["shop.test"]);
        assert_eq!(w.registry.orders.load(Ordering::SeqCst), 1);
    })
    .await;
}

#[tokio::test]
async fn a_domain_whose_price_was_given_back_costs_it_again() {
    each_engine(TABLES, |db| async {
        let w = world(db, 0).await;
        let order = w.order("shop.test");
        let first = w.register(&order).await.unwrap();
        for paid in [Paid::GivenBack, Paid::Yes] {
            let (account, name) = (w.account.clone(), order.name.clone());
            w.registrar.db.write(move |tx| domain_remove(tx, &account, &name, paid)).await.unwrap();
        }
        assert_eq!(domain_quote(&w.registrar, &w.account, &order.name, 1, None).await.unwrap().price, first.price, "it is free for good");
        let free = Register { price: Money::zero(Currency::USD), ..w.order("shop.test") };
        assert!(matches!(w.register(&free).await, Err(RegisterError::PriceChanged { .. })));
        let again = w.register(&w.order("shop.test")).await.unwrap();
        assert_eq!((again.id, w.registry.orders.load(Ordering::SeqCst)), (first.id, 1), "the registry was asked for what is held");
        w.remove("shop.test").await.unwrap();
        assert!(domain_quote(&w.registrar, &w.account, &order.name, 1, None).await.unwrap().price.is_zero(), "it was paid and costs again");
    })
    .await;
}

#[tokio::test]
async fn nothing_is_free_that_was_never_paid() {
    each_engine(TABLES, |db| async {
        let w = world(db, 0).await;
        let free = Register { price: Money::zero(Currency::USD), ..w.order("shop.test") };
        assert!(matches!(w.register(&free).await, Err(RegisterError::PriceChanged { .. })));
    })
    .await;
}

#[tokio::test]
async fn another_account_sees_and_removes_nothing() {
    each_engine(TABLES, |db| async {
        let w = world(db, 0).await;
        let order = w.order("shop.test");
        w.register(&order).await.unwrap();
        let stranger = CloudAccountId::mint(&w.env);
        let (account, name) = (stranger.clone(), order.name.clone());
        assert!(w.registrar.db.read(move |tx| domain_get(tx, &account, &name)).await.unwrap().is_none());
        let (account, name) = (stranger.clone(), order.name.clone());
        let outcome = w.registrar.db.write(move |tx| domain_remove(tx, &account, &name, Paid::Yes)).await;
        assert!(matches!(outcome, Err(RemoveError::NotFound)));
        let stolen = Register { account: stranger, ..order };
        assert!(matches!(w.register(&stolen).await, Err(RegisterError::Conflict)));
    })
    .await;
}

#[tokio::test]
async fn a_domain_is_renewed_to_the_day_that_was_paid_though_answers_are_lost() {
    each_engine(TABLES, |db| async {
        let w = world(db, 0).await;
        let order = w.order("shop.test");
        w.register(&order).await.unwrap();
        w.registry.lose.store(1, Ordering::SeqCst);
        let until = START.plus_months(24);
        assert!(domain_renew(&w.registrar, &order.request, until).await.is_err());
        for _ in 0..3 {
            domain_renew(&w.registrar, &order.request, until).await.unwrap();
        }
        assert_eq!(w.registry.info(&order.name).await.unwrap().unwrap().expires_at, until, "one year, not more");
        let (account, name) = (w.account.clone(), order.name.clone());
        let held = w.registrar.db.read(move |tx| domain_get(tx, &account, &name)).await.unwrap().unwrap();
        assert!(matches!(held.state, State::Registered { expires_at, .. } if expires_at == until));
    })
    .await;
}

#[tokio::test]
async fn a_premium_name_is_bought_and_renewed_at_the_price_that_was_stated_and_at_no_other() {
    each_engine(TABLES, |db| async {
        let w = world(db, 0).await;
        let premium = Money::from_minor(1_500_00, Currency::USD);
        let order = |price: Money, stated| Register { price, stated, ..w.order("premium.test") };
        assert_eq!(refused(&w.register(&order(premium, false)).await), Refusal::Premium, "a special price was paid by accident");
        for other in [1_499_99, 1_500_01] {
            let outcome = w.register(&order(Money::from_minor(other, Currency::USD), true)).await;
            assert!(matches!(outcome, Err(RegisterError::PriceChanged { now, .. }) if now == premium), "{other}");
        }
        assert_eq!(w.registry.orders.load(Ordering::SeqCst), 0);
        let right = order(premium, true);
        w.register(&right).await.unwrap();
        let until = START.plus_months(24);
        domain_renew(&w.registrar, &right.request, until).await.unwrap();
        assert_eq!(w.registry.info(&right.name).await.unwrap().unwrap().expires_at, until);
    })
    .await;
}

#[tokio::test]
async fn a_name_for_nobody_is_not_registered_and_its_holder_is_at_the_registry() {
    each_engine(TABLES, |db| async {
        let mut w = world(db, 1).await;
        w.registrar.wants_holder = true;
        assert_eq!(refused(&w.register(&w.order("nobodys.test")).await), Refusal::NoHolder);
        assert_eq!(w.registry.orders.load(Ordering::SeqCst), 0, "the registry was asked for a name without a holder");

        let said = serde_json::json!({"name": "Ada", "email": "ada@example.test", "phone": "+47.22334455", "street": "Storgata 1",
            "city": "Oslo", "postal_code": "0155", "country": "NO"});
        let holder = contact::read(said.as_object().unwrap()).unwrap();
        let (env, account, kept) = (w.env.clone(), w.account.clone(), holder.clone());
        w.registrar.db.write(move |tx| contact_put(tx, &env, &keyring(), &account, &kept)).await.unwrap();
        let order = w.order("adas.test");
        // The first answer is lost: while the outcome is open, what the registry may have to be told again is kept.
        assert!(matches!(w.register(&order).await, Err(RegisterError::Unavailable(_))));
        let (account, other) = (w.account.clone(), CloudAccountId::mint(&w.env));
        assert!(matches!(w.registrar.db.write(move |tx| contact_erase(tx, &account)).await, Err(ContactError::InUse)));
        w.register(&order).await.unwrap();
        let (account, mine) = (w.account.clone(), w.account.clone());
        let opened = w.registrar.db.read(move |tx| contact_open(tx, &keyring(), &account)).await.unwrap();
        assert_eq!(opened.as_ref(), Some(&holder));
        assert!(w.registrar.db.read(move |tx| contact_open(tx, &keyring(), &other)).await.unwrap().is_none());
        assert!(w.registrar.db.write(move |tx| contact_erase(tx, &mine)).await.unwrap());
        let kept = w.registrar.db.read(|tx| tx.query("select registrant from epp_domain where name = 'adas.test'", params![])).await;
        let registrant: Option<String> = kept.unwrap()[0].get("registrant").unwrap();
        assert!(registrant.is_some_and(|id| id.starts_with('C')), "the registry does not know the holder");
    })
    .await;
}

#[tokio::test]
async fn a_registry_that_moves_nothing_is_not_asked_for_year_after_year() {
    each_engine(TABLES, |db| async {
        let w = world(db, 0).await;
        let order = w.order("shop.test");
        w.register(&order).await.unwrap();
        let until = START.plus_months(36);
        w.registry.still.store(true, Ordering::SeqCst);
        assert!(matches!(domain_renew(&w.registrar, &order.request, until).await, Err(RenewError::Stuck { .. })));
        assert_eq!(w.registry.renewals.load(Ordering::SeqCst), 1, "it was asked again at once");
        w.registry.still.store(false, Ordering::SeqCst);
        domain_renew(&w.registrar, &order.request, until).await.unwrap();
        assert_eq!(w.registry.info(&order.name).await.unwrap().unwrap().expires_at, until);
    })
    .await;
}
