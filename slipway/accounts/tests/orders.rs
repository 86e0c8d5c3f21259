//! The life of an order over all of its tables, on both engines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use purser_crypto::seal::Keyring;
use purser_db::testing::{START, each_engine};
use purser_db::{Db, DbError, Tx, params};
use purser_values::id::{CloudAccountId, CloudLinkId, QuoteId};
use purser_values::{Currency, Env, Money, Secret};
use purser_wire::catalog::Period;
use purser_wire::error::ErrorBody;
use purser_wire::quote::{Quote, QuoteLine, QuoteRequest, QuoteTerms};
use purser_wire::refund::RefundReason;
use serde_json::json;
use slipway_accounts::account::Owner;
use slipway_accounts::account::freeze::account_freeze;
use slipway_accounts::account::open::{AccountOpened, AccountOpening, account_open};
use slipway_accounts::agent::agent_stop;
use slipway_accounts::charge::{ChargeLine, ChargeOutcome, ChargeState, charge_begin, charge_list, charge_settle};
use slipway_accounts::link::scope::Scopes;
use slipway_accounts::quote::{QuoteAcceptError, quote_accept, quote_of, quote_put};
use slipway_accounts::realm::{CodeKey, Realm};
use slipway_accounts::refund::{RefundOutcome, RefundState, refund_begin, refund_resume, refund_settle};
use slipway_accounts::resource::ResourceState;
use slipway_accounts::resource::begin::{Order, ResourceBeginError, resource_begin};
use slipway_accounts::resource::end::{resource_complete, resource_fail, resource_remove};
use slipway_accounts::resource::get::{resource_get, resource_list, resource_pending};
use slipway_accounts::service::Service;
use slipway_accounts::store::MIGRATIONS;
use slipway_accounts::subscription::{SubscriptionCancelError, subscription_cancel, subscription_start};
use slipway_accounts::suspension::{Calling, Mark, call_is_suspended, marked, suspend};

async fn within(db: Db, test: impl Fn(&mut Tx<'_>, &Env, &CloudAccountId) + Send + 'static) {
    db.write(move |tx| -> Result<(), DbError> {
        let (env, _) = Env::test(START, 9);
        let opening = AccountOpening {
            owner: Owner { issuer: "o".into(), subject: "s".into(), attested: true },
            email: "a@b.test".parse().unwrap(),
            organisation: "A".into(),
            scopes: Scopes::ALL,
            request: None,
        };
        let realm = Realm {
            env: env.clone(),
            key: CodeKey::new(Secret::new(vec![3; 32])),
            keyring: Keyring::from_bytes(&Secret::new([7; 32])).unwrap(),
            public_url: "https://cloud.test/".into(),
        };
        let AccountOpened::Account(opened) = account_open(tx, &realm, &opening).unwrap() else { panic!("no account") };
        let account = opened.account.id;
        test(tx, &env, &account);
        Ok(())
    })
    .await
    .unwrap();
}

fn order(account: &CloudAccountId, service: Service, key: &str) -> Order {
    Order {
        account: account.clone(),
        link: None,
        service,
        agent: Some("agt_1".parse().unwrap()),
        grant: None,
        configuration: serde_json::Map::new(),
        orchestrator_resource: None,
        project: None,
        environment: None,
        quote: None,
        key: Some(key.to_owned()),
        claim: None,
    }
}

#[tokio::test]
async fn a_repeated_order_is_the_first_one_and_a_key_is_bound_to_it() {
    each_engine(&[purser_db::MIGRATIONS, MIGRATIONS], |db| {
        within(db, |tx, env, account| {
            let first = resource_begin(tx, env, &order(account, Service::Paid, "k")).unwrap();
            let again = resource_begin(tx, env, &order(account, Service::Paid, "k")).unwrap();
            assert!(first.is_new && !again.is_new);
            assert_eq!(first.resource.id, again.resource.id);
            let other = resource_begin(tx, env, &order(account, Service::Free, "k"));
            assert!(matches!(other, Err(ResourceBeginError::KeyConflict)));
            assert_eq!(resource_pending(tx, START.plus_secs(1), 10).unwrap().len(), 1);
            let stranger = CloudAccountId::mint(env);
            assert_eq!(resource_get(tx, &stranger, &first.resource.id).unwrap(), None);
        })
    })
    .await;
}

#[tokio::test]
async fn the_runtime_needs_a_plan_and_the_last_plan_stays_while_it_is_used() {
    each_engine(&[purser_db::MIGRATIONS, MIGRATIONS], |db| {
        within(db, |tx, env, account| {
            let none = resource_begin(tx, env, &order(account, Service::Workers, "w"));
            assert!(matches!(none, Err(ResourceBeginError::PlanNeeded)));
            let plan = resource_begin(tx, env, &order(account, Service::Paid, "p")).unwrap().resource;
            subscription_start(tx, env, &plan, Service::Paid.monthly().unwrap()).unwrap();
            resource_complete(tx, &plan.id, START).unwrap();
            let workers = resource_begin(tx, env, &order(account, Service::Workers, "w")).unwrap().resource;
            resource_complete(tx, &workers.id, START).unwrap();
            let refused = tx.savepoint(|tx| subscription_cancel(tx, &plan, START));
            assert!(matches!(refused, Err(SubscriptionCancelError::InUse(id)) if id == workers.id));
            resource_remove(tx, &workers.id, START).unwrap();
            subscription_cancel(tx, &plan, START).unwrap();
            resource_remove(tx, &plan.id, START).unwrap();
            assert!(resource_list(tx, account).unwrap().is_empty());
        })
    })
    .await;
}

#[tokio::test]
async fn one_name_is_claimed_by_one_order_until_it_fails_or_is_removed() {
    each_engine(&[purser_db::MIGRATIONS, MIGRATIONS], |db| {
        within(db, |tx, env, account| {
            let claim = |key: &str| Order { claim: Some("domain/a.test".into()), ..order(account, Service::Domain, key) };
            let first = resource_begin(tx, env, &claim("1")).unwrap().resource;
            assert!(matches!(resource_begin(tx, env, &claim("2")), Err(ResourceBeginError::Claimed)));
            resource_fail(tx, &first.id, &ErrorBody::new("x", "y"), START).unwrap();
            let state = resource_get(tx, account, &first.id).unwrap().unwrap().state;
            assert_eq!(state, ResourceState::Failed(ErrorBody::new("x", "y")));
            assert!(resource_begin(tx, env, &claim("2")).is_ok());
        })
    })
    .await;
}

#[tokio::test]
async fn a_stopped_agent_and_a_frozen_account_order_nothing() {
    each_engine(&[purser_db::MIGRATIONS, MIGRATIONS], |db| {
        within(db, |tx, env, account| {
            agent_stop(tx, account, None, &"agt_1".parse().unwrap(), START).unwrap();
            let stopped = resource_begin(tx, env, &order(account, Service::Free, "1"));
            assert!(matches!(stopped, Err(ResourceBeginError::AgentStopped)));
            let other = Order { agent: Some("agt_2".parse().unwrap()), ..order(account, Service::Free, "2") };
            assert!(resource_begin(tx, env, &other).is_ok());
            account_freeze(tx, account, None, false, START).unwrap();
            let frozen = resource_begin(tx, env, &Order { key: Some("3".into()), ..other });
            assert!(matches!(frozen, Err(ResourceBeginError::AccountFrozen)));
        })
    })
    .await;
}

#[tokio::test]
async fn a_suspended_orchestrator_orders_nothing_in_an_account_that_another_opened() {
    each_engine(&[purser_db::MIGRATIONS, MIGRATIONS], |db| {
        within(db, |tx, env, account| {
            let link = CloudLinkId::mint(env);
            let insert = "insert into cloud_link (id, account, issuer, subject, attested, organisation, state, scopes, created_at)
                          values ($1, $2, 'https://two.test', 's', 1, 'B', 'active', 'resources:write', 1)";
            tx.execute(insert, params![link, account]).unwrap();
            let over = |key: &str| Order { link: Some(link.clone()), ..order(account, Service::Free, key) };
            let before = resource_begin(tx, env, &over("before")).unwrap().resource;
            let mark: Mark = "orchestrator=https://two.test".parse().unwrap();
            suspend(tx, env, &mark, "phishing").unwrap();
            assert!(matches!(resource_begin(tx, env, &over("after")), Err(ResourceBeginError::Suspended)));
            assert!(!resource_begin(tx, env, &over("before")).unwrap().is_new, "a repeat is told what became of it");
            assert!(resource_begin(tx, env, &order(account, Service::Free, "own")).is_ok(), "its neighbour's orders stopped");
            let calling = Calling { account, link: Some(&link), grant: None, agent: None };
            assert!(call_is_suspended(tx, calling).unwrap() && !call_is_suspended(tx, Calling { link: None, ..calling }).unwrap());
            let found = marked(tx, &mark).unwrap();
            assert!(found.iter().any(|m| m.id == before.id.as_str() && m.orchestrator == "https://two.test"), "{found:?}");
        })
    })
    .await;
}

#[tokio::test]
async fn a_quote_is_accepted_once_by_the_order_it_was_made_for() {
    each_engine(&[purser_db::MIGRATIONS, MIGRATIONS], |db| {
        within(db, |tx, env, account| {
            let request = QuoteRequest {
                service_id: Service::Paid.id().parse().unwrap(),
                configuration: serde_json::Map::new(),
                project_id: None,
                resource_id: None,
                parties: None,
            };
            let price = Money::from_minor(500, Currency::USD);
            let id = QuoteId::mint(env);
            let line =
                QuoteLine { id: "plan".parse().unwrap(), description: "x".into(), amount: price, period: Period::Month, credit_minor: 0 };
            let terms = QuoteTerms { irreversible: false, refundable: false, expires_at: START.plus_secs(900) };
            let quote = Quote::new((&id).into(), &request, Currency::USD, vec![line], terms).unwrap();
            quote_put(tx, account, &request, &quote).unwrap();
            let one = resource_begin(tx, env, &order(account, Service::Paid, "1")).unwrap().resource;
            let two = resource_begin(tx, env, &order(account, Service::Paid, "2")).unwrap().resource;
            let other = QuoteRequest { configuration: json!({"a": 1}).as_object().unwrap().clone(), ..request.clone() };
            let accept = |tx: &mut Tx<'_>, account, request: &QuoteRequest, resource, after| {
                quote_accept(tx, account, &id, request, resource, START.plus_secs(after))
            };
            assert!(matches!(accept(tx, account, &other, &one.id, 0), Err(QuoteAcceptError::Mismatch)));
            assert!(matches!(accept(tx, account, &request, &one.id, 900), Err(QuoteAcceptError::Expired)));
            let stranger = CloudAccountId::mint(env);
            assert!(matches!(accept(tx, &stranger, &request, &one.id, 0), Err(QuoteAcceptError::NotFound)));
            assert_eq!(accept(tx, account, &request, &one.id, 0).unwrap(), quote);
            assert_eq!(accept(tx, account, &request, &one.id, 901).unwrap(), quote, "the first order lost its quote");
            assert!(matches!(accept(tx, account, &request, &two.id, 0), Err(QuoteAcceptError::Used)));
            assert_eq!(quote_of(tx, &one.id).unwrap(), Some(quote));
        })
    })
    .await;
}

#[tokio::test]
async fn a_line_is_charged_once_per_period_under_one_key_and_its_first_outcome_stands() {
    each_engine(&[purser_db::MIGRATIONS, MIGRATIONS], |db| {
        within(db, |tx, env, account| {
            let resource = resource_begin(tx, env, &order(account, Service::Paid, "1")).unwrap().resource;
            let amount = Money::from_minor(500, Currency::USD);
            let line = |period| ChargeLine { resource: &resource.id, quote: "q", line: "plan", period, amount, payment_token: b"sealed" };
            let first = charge_begin(tx, env, &line("2026-11")).unwrap();
            assert_eq!(charge_begin(tx, env, &line("2026-11")).unwrap(), first);
            assert_ne!(charge_begin(tx, env, &line("2026-12")).unwrap().id, first.id);
            let outcome = |succeeded| ChargeOutcome { succeeded, charge: "chg_o".into(), code: None, message: None };
            assert_eq!(charge_settle(tx, &first.id, &outcome(true), START).unwrap(), ChargeState::Succeeded);
            assert_eq!(charge_settle(tx, &first.id, &outcome(false), START).unwrap(), ChargeState::Succeeded);
        })
    })
    .await;
}

#[tokio::test]
async fn what_was_charged_for_an_order_is_given_back_whole_and_once_and_its_first_outcome_stands() {
    each_engine(&[purser_db::MIGRATIONS, MIGRATIONS], |db| {
        within(db, |tx, env, account| {
            let resource = resource_begin(tx, env, &order(account, Service::Paid, "1")).unwrap().resource;
            let amount = Money::from_minor(500, Currency::USD);
            let charged = |tx: &mut Tx<'_>, name: &str, succeeded: bool| {
                let line = ChargeLine { resource: &resource.id, quote: "q", line: name, period: "", amount, payment_token: b"sealed" };
                let charge = charge_begin(tx, env, &line).unwrap();
                let outcome = ChargeOutcome { succeeded, charge: format!("chg_{name}"), code: None, message: None };
                charge_settle(tx, &charge.id, &outcome, START).unwrap();
            };
            charged(tx, "plan", true);
            charged(tx, "declined", false);
            let begun = refund_begin(tx, env, &resource.id, &RefundReason::Undone).unwrap();
            assert_eq!(begun.len(), 1, "what took nothing is given back");
            assert_eq!((begun[0].amount, begun[0].orchestrator_charge.as_str()), (amount, "chg_plan"));
            assert_eq!(refund_begin(tx, env, &resource.id, &RefundReason::NotDelivered).unwrap(), begun);
            let jobs = |tx: &mut Tx<'_>| tx.query("select id from job where kind = 'refund'", params![]).unwrap().len();
            assert_eq!(jobs(tx), 1);
            assert_eq!((refund_resume(tx, env).unwrap(), jobs(tx)), (1, 2), "a start finds nothing to do");

            let outcome = |succeeded| RefundOutcome { succeeded, refund: "rfd_o".into(), code: None, message: None };
            assert_eq!(refund_settle(tx, &begun[0].id, &outcome(true), START).unwrap(), RefundState::Succeeded);
            assert_eq!(refund_settle(tx, &begun[0].id, &outcome(false), START).unwrap(), RefundState::Succeeded);
            assert_eq!(refund_begin(tx, env, &resource.id, &RefundReason::Undone).unwrap().len(), 1);
            assert_eq!(refund_resume(tx, env).unwrap(), 0);
            let states: Vec<_> = charge_list(tx, &resource.id).unwrap().into_iter().map(|charge| charge.state).collect();
            assert!(states.contains(&ChargeState::Refunded) && states.contains(&ChargeState::Refused), "{states:?}");
        })
    })
    .await;
}
