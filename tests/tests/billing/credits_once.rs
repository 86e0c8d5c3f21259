//! A programme is given once: whoever comes again with another account, another spelling, another orchestrator or at the same moment.

use purser_db::testing::each_engine;
use slipway_billing::credit::redeem::RedeemError;
use slipway_billing::credit::redeem::credit_redeem;

use crate::credits::{attested, offer};
use crate::shop::{Shop, TABLES};
use crate::world::usd;

const GIVES: i64 = 100_00;

async fn shop(db: purser_db::Db) -> Shop {
    let mut shop = Shop::new(db, "2027-01-10T00:00:00Z", 60_00).await;
    shop.account = shop.account_of("pw", "ada@example.test").await;
    shop
}

fn start_up() -> slipway_billing::credit::programme::Offer {
    offer("start-up", GIVES, 12, 1_000_00)
}

async fn given(shop: &Shop) -> i64 {
    shop.credits().await.credits.iter().map(|credit| credit.given.minor()).sum()
}

#[tokio::test]
async fn an_account_that_was_deleted_and_made_again_gets_nothing() {
    each_engine(TABLES, |db| async move {
        let mut shop = shop(db).await;
        shop.redeem(start_up(), attested("pw", "cra_1", &["org", "person"])).await.unwrap();
        // the same organisation, linked with a new account under another address, with a new application
        shop.account = shop.account_of("pw", "eve@other.test").await;
        let again = shop.redeem(start_up(), attested("pw", "cra_2", &["org", "person"])).await;
        assert!(matches!(again, Err(RedeemError::GivenBefore(_))), "{again:?}");
        // and an attestation that names nobody else is recognised by its subject alone
        let bare = shop.redeem(start_up(), attested("pw", "cra_3", &["nobody"])).await;
        assert!(matches!(bare, Err(RedeemError::GivenBefore(_))), "{bare:?}");
        assert_eq!(given(&shop).await, 0);
    })
    .await;
}

#[tokio::test]
async fn another_spelling_of_the_address_is_the_same_mailbox() {
    each_engine(TABLES, |db| async move {
        let mut shop = shop(db).await;
        shop.redeem(start_up(), attested("pw", "cra_1", &["org"])).await.unwrap();
        for (subject, address) in [("pw_2", "ada+second@example.test"), ("pw_3", "ada@example.test"), ("pw_4", "ada+@example.test")] {
            shop.account = shop.account_of(subject, address).await;
            let again = shop.redeem(start_up(), attested(subject, subject, &["another organisation"])).await;
            assert!(matches!(again, Err(RedeemError::GivenBefore(_))), "{address}: {again:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_second_organisation_of_the_same_person_or_domain_gets_nothing() {
    each_engine(TABLES, |db| async move {
        let mut shop = shop(db).await;
        shop.redeem(start_up(), attested("pw", "cra_1", &["org", "person", "domain"])).await.unwrap();
        for (n, known) in ["person", "domain"].into_iter().enumerate() {
            let subject = format!("pw_other_{n}");
            shop.account = shop.account_of(&subject, &format!("someone{n}@elsewhere{n}.test")).await;
            let again = shop.redeem(start_up(), attested(&subject, &subject, &["a new name", known])).await;
            assert!(matches!(again, Err(RedeemError::GivenBefore(_))), "{known}: {again:?}");
            // what was refused left no name behind: who has nothing to do with it is not in the way of anybody
            let fresh = shop.redeem(start_up(), attested(&subject, &format!("{subject}/2"), &["a new name"])).await;
            assert_eq!(fresh.is_ok(), n == 0, "{known}: {fresh:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_mailbox_is_known_whichever_orchestrator_speaks_for_it() {
    each_engine(TABLES, |db| async move {
        let mut shop = shop(db).await;
        shop.redeem(start_up(), attested("pw", "cra_1", &["org"])).await.unwrap();
        shop.account = shop.account_of("pw_there", "ada@example.test").await;
        let account = shop.account.clone();
        let update = "update cloud_link set issuer = 'https://other.test' where account = $1";
        let moved = shop.world.db.write::<_, purser_db::DbError, _>(move |tx| tx.execute(update, purser_db::params![account]));
        assert_eq!(moved.await.unwrap(), 1);
        let there = purser_wire::credit::CreditAttestation { iss: "https://other.test".into(), ..attested("pw_there", "x", &["y"]) };
        let again = shop.redeem(start_up(), there).await;
        assert!(matches!(again, Err(RedeemError::GivenBefore(_))), "{again:?}");
    })
    .await;
}

#[tokio::test]
async fn a_repeat_of_the_same_application_is_answered_and_gives_nothing_more() {
    each_engine(TABLES, |db| async move {
        let mut shop = shop(db).await;
        for _ in 0..3 {
            // another agent, project or environment of the organisation brings the same application, freshly attested
            shop.redeem(start_up(), attested("pw", "cra_1", &["org"])).await.unwrap();
        }
        assert_eq!(given(&shop).await, GIVES);
        shop.account = shop.account_of("pw_2", "eve@other.test").await;
        let stolen = shop.redeem(start_up(), attested("pw_2", "cra_1", &["x"])).await;
        assert!(matches!(stolen, Err(RedeemError::OtherApplication)), "{stolen:?}");
        let foreign = shop.redeem(start_up(), attested("pw", "cra_9", &["x"])).await;
        assert!(matches!(foreign, Err(RedeemError::NotTheirs)), "an attestation for another account: {foreign:?}");
    })
    .await;
}

#[tokio::test]
async fn of_many_that_redeem_at_once_one_gets_it_and_the_programme_gives_no_more_than_it_has() {
    each_engine(TABLES, |db| async move {
        let mut shop = shop(db).await;
        let mut accounts = Vec::new();
        for n in 0..8 {
            accounts.push(shop.account_of(&format!("pw_{n}"), &format!("p{n}@e{n}.test")).await);
        }
        let race = |names: fn(usize) -> String, accounts: Vec<_>, round: usize| {
            let shop = shop.clone();
            async move {
                let tasks: Vec<_> = accounts
                    .into_iter()
                    .enumerate()
                    .map(|(n, account)| {
                        let (db, realm) = (shop.world.db.clone(), shop.billing.realm.clone());
                        // enough for three of them
                        let of = offer("start-up", GIVES, 12, 3 * GIVES + 1);
                        let said = attested(&format!("pw_{n}"), &format!("cra_{round}_{n}"), &[&names(n)]);
                        tokio::spawn(async move {
                            db.write(move |tx| credit_redeem(tx, &realm, std::slice::from_ref(&of), &account, &said).map(drop)).await
                        })
                    })
                    .collect();
                let mut won = 0;
                for task in tasks {
                    won += usize::from(task.await.unwrap().is_ok());
                }
                won
            }
        };
        assert_eq!(race(|_| "the same person".to_owned(), accounts.clone(), 1).await, 1, "eight accounts of one person");
        assert_eq!(race(|n| format!("person {n}"), accounts.clone(), 2).await, 2, "there was enough for two more");
        let mut sum = usd(0);
        for account in accounts {
            shop.account = account;
            sum = sum.checked_add(usd(given(&shop).await)).unwrap();
        }
        assert_eq!(sum, usd(3 * GIVES));
    })
    .await;
}
