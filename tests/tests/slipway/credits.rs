//! Credits over the wire: what the orchestrator attests is given once, pays before the token, and comes back as credit.

use crate::support::{Customer, World, order, paid, permanent};
use purser_conformance::options::Payment as _;
use purser_crypto::jose::{Algorithm, SigningKey};
use purser_db::{DbError, params};
use purser_values::{Env, Secret, Sha256Digest};
use purser_wire::credit::{CreditAttestation, CreditState, RedeemCredit};
use purser_wire::resource::ResourceState;
use serde_json::json;

/// What slipway gives in these tests, in cents.
const GIVES: i64 = 8_00;

impl World {
    fn attested(&self, subject: &str, application: &str, jti: &str) -> CreditAttestation {
        let (now, attestor) = (Env::system().now(), self.stub.attestor());
        CreditAttestation {
            iss: attestor.issuer.to_string(),
            aud: self.config.public_url.to_string(),
            sub: subject.to_owned(),
            programme: "start-up".to_owned(),
            names: vec![format!("name of {subject}")],
            evidence: Sha256Digest::of(b"a letter"),
            application: application.to_owned(),
            approved_at: now.as_secs(),
            jti: jti.to_owned(),
            iat: now.as_secs(),
            exp: now.as_secs() + 120,
        }
    }

    /// The code of the refusal, or nothing.
    async fn credit(&self, customer: &Customer, attestation: Secret<String>) -> Option<String> {
        let redeemed = self.client.credit_redeem(&customer.access, &RedeemCredit { attestation }).await;
        redeemed.err().map(|e| permanent(e).code)
    }

    async fn left(&self, customer: &Customer) -> i64 {
        let said = self.client.credits(&customer.access).await.unwrap();
        said.credits.iter().map(|credit| credit.left.minor()).sum()
    }

    async fn store_number(&self, sql: &'static str) -> i64 {
        self.cloud.db.read::<_, DbError, _>(move |tx| tx.query_one(sql, params![])?.get("n")).await.unwrap()
    }
}

#[tokio::test]
async fn an_attestation_gives_once_and_only_what_the_orchestrator_signed_for_this_account() {
    let Some(world) = World::start().await else { return };
    let (ada, key) = (world.customer("pw_ada").await, world.stub.attestor().key);
    let eve = world.customer("pw_eve").await;
    let good = world.attested("pw_ada", "cra_1", "j1");
    let token = good.sign(&key).unwrap();
    assert_eq!(world.credit(&eve, token).await.as_deref(), Some("invalid_attestation"), "it is for another account");
    // it was used up by that: whoever stole it has spoilt it and got nothing
    let token = world.attested("pw_ada", "cra_1", "j2").sign(&key).unwrap();
    assert_eq!(world.credit(&ada, Secret::new(token.expose().clone())).await, None);
    assert_eq!(world.credit(&ada, token).await.as_deref(), Some("invalid_attestation"), "a replay");
    assert_eq!(world.left(&ada).await, GIVES);
    // the answer was lost: the same application, freshly attested
    assert_eq!(world.credit(&ada, world.attested("pw_ada", "cra_1", "j3").sign(&key).unwrap()).await, None);
    assert_eq!(world.left(&ada).await, GIVES);
    let refused = [
        ("credit_given_before", world.attested("pw_ada", "cra_2", "j4")),
        ("credit_programme_unknown", CreditAttestation { programme: "lunch".into(), ..world.attested("pw_ada", "cra_3", "j5") }),
        ("invalid_attestation", CreditAttestation { aud: "https://elsewhere.test/".into(), ..world.attested("pw_ada", "cra_4", "j6") }),
        ("invalid_attestation", CreditAttestation { exp: good.iat + 86_400, ..world.attested("pw_ada", "cra_5", "j7") }),
        ("invalid_attestation", CreditAttestation { names: vec![], ..world.attested("pw_ada", "cra_6", "j8") }),
    ];
    for (code, claims) in refused {
        assert_eq!(world.credit(&ada, claims.sign(&key).unwrap()).await.as_deref(), Some(code), "{claims:?}");
    }
    let stranger = SigningKey::generate(Algorithm::EdDsa).unwrap();
    let forged = world.attested("pw_eve", "cra_7", "j9").sign(&stranger).unwrap();
    assert_eq!(world.credit(&eve, forged).await.as_deref(), Some("invalid_attestation"));
    let identity = Secret::new(key.sign("identity-assertion+jwt", &world.attested("pw_eve", "cra_8", "j10")).unwrap());
    assert_eq!(world.credit(&eve, identity).await.as_deref(), Some("invalid_attestation"), "signed for something else");
    assert_eq!((world.left(&eve).await, world.store_number("select count(*) as n from bill_credit").await), (0, 1));
}

#[tokio::test]
async fn a_credit_pays_for_orders_before_the_token_is_charged_and_gets_back_what_is_undone() {
    let Some(world) = World::start().await else { return };
    let ada = world.customer("pw_ada").await;
    let key = world.stub.attestor().key;
    assert_eq!(world.credit(&ada, world.attested("pw_ada", "cra_1", "j1").sign(&key).unwrap()).await, None);
    // 5.00, all of it on the credit
    let quote = world.quote(&ada, "workers:paid", json!({})).await.unwrap();
    assert_eq!((quote.total_minor, quote.charged().minor(), quote.lines[0].credit_minor), (500, 0, 500));
    let token = world.stub.good_token();
    let asked = paid(order("workers:paid", json!({}), "agt_1"), &quote, Secret::new(token.expose().clone()));
    let first = world.create(&ada, &asked, "k1").await.unwrap();
    assert!(matches!(first.state, ResourceState::Complete { .. }), "{first:?}");
    assert!(world.stub.captured(&token).is_empty(), "nobody was charged");
    assert_eq!(world.left(&ada).await, GIVES - 5_00);
    assert_eq!(world.create(&ada, &asked, "k1").await.unwrap().id, first.id);
    assert_eq!(world.left(&ada).await, GIVES - 5_00, "a repeat takes nothing");
    // 5.00 more, of which 3.00 are left
    let quote = world.quote(&ada, "workers:paid", json!({})).await.unwrap();
    assert_eq!((quote.charged().minor(), quote.lines[0].credit_minor), (200, 300));
    let stale = world.quote(&ada, "workers:paid", json!({})).await.unwrap();
    let token = world.stub.good_token();
    let asked = paid(order("workers:paid", json!({}), "agt_1"), &quote, Secret::new(token.expose().clone()));
    let second = world.create(&ada, &asked, "k2").await.unwrap();
    let took: Vec<i64> = world.stub.captured(&token).iter().map(|money| money.minor()).collect();
    assert_eq!((took, world.left(&ada).await), (vec![200], 0));
    // the credit is gone between another quote and its order: the order is refused, and nothing is taken instead
    let token = world.stub.good_token();
    let late = paid(order("workers:paid", json!({}), "agt_1"), &stale, Secret::new(token.expose().clone()));
    assert_eq!(world.create(&ada, &late, "k3").await.unwrap_err().code, "credit_changed");
    assert!(world.stub.captured(&token).is_empty());
    // a declined token gives the credit back
    let id = first.id.clone().unwrap();
    world.client.resource_cancel(&ada.access, &id, &"undo-1".parse().unwrap()).await.unwrap();
    assert_eq!(world.left(&ada).await, 5_00, "what only the credit paid comes back at once");
    let quote = world.quote(&ada, "registrar:domain", json!({"domain": "on-credit.test"})).await.unwrap();
    assert_eq!(quote.lines[0].credit_minor, 0, "the programme does not pay for names");
    // what both paid comes back to both
    let id = second.id.clone().unwrap();
    world.client.resource_cancel(&ada.access, &id, &"undo-2".parse().unwrap()).await.unwrap();
    purser_tests::processes::until("the refund", std::time::Duration::from_secs(20), async || {
        (world.left(&ada).await == GIVES).then_some(())
    })
    .await;
    assert_eq!(world.stub.refunded().iter().map(|money| money.minor()).collect::<Vec<_>>(), [200]);
    let off = world.cloud.db.read(slipway_billing::credit::book::differences).await.unwrap();
    assert!(off.is_empty(), "{off:?}");
    assert_eq!(world.client.credits(&ada.access).await.unwrap().credits[0].state, CreditState::Active);
}

#[tokio::test]
async fn a_declined_rest_gives_the_credit_back_and_sells_nothing() {
    let Some(world) = World::start().await else { return };
    let ada = world.customer("pw_ada").await;
    let key = world.stub.attestor().key;
    assert_eq!(world.credit(&ada, world.attested("pw_ada", "cra_1", "j1").sign(&key).unwrap()).await, None);
    let quote = world.quote(&ada, "workers:paid", json!({})).await.unwrap();
    let asked = paid(order("workers:paid", json!({}), "agt_1"), &quote, world.stub.good_token());
    world.create(&ada, &asked, "k1").await.unwrap();
    let quote = world.quote(&ada, "workers:paid", json!({})).await.unwrap();
    assert_eq!(quote.charged().minor(), 200);
    let asked = paid(order("workers:paid", json!({}), "agt_1"), &quote, world.stub.declined_token());
    assert_eq!(world.create(&ada, &asked, "k2").await.unwrap_err().code, "payment_declined");
    assert_eq!(world.left(&ada).await, 3_00);
    assert_eq!(world.store_number("select cast(coalesce(sum(held_minor), 0) as bigint) as n from bill_credit_hold").await, 0);
}
