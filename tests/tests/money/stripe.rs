//! The `stripe` rail against localstripe, behind a front that is as strict as the processor; the processor's own client reads what we did.

use std::time::Duration;

use purser_db::Db;
use purser_spend::rail::{Rail as _, SellerToken, SellerTokenOrder};
use purser_stripe::{Settings, StripeRail, Tokens};
use purser_tests::processes::until;
use purser_tests::{Agent, Ask, Choice, Person, store};
use purser_values::id::{ChargeId, PaymentTokenId};
use purser_values::{Currency, Env, Money, Secret};
use purser_wire::catalog::Period;
use purser_wire::charge::{ChargeResponse, ChargeStatus};
use purser_wire::refund::RefundStatus;
use serde_json::{Value, json};

use crate::alone::{Alone, STRIPE_KEY, STRIPE_WEBHOOK_SECRET};
use crate::front::{Front, no_card_number};
use crate::market::{GOLD, Market, PROFILE, Quoted, STAND, Sold};

const LIFE_S: i64 = 3_600;

struct Scene {
    front: Front,
    alone: Alone,
    shop: std::sync::Arc<Market>,
    ada: Person,
}

impl Scene {
    async fn start() -> Option<Self> {
        Self::with("shop").await
    }

    async fn with(market: &'static str) -> Option<Self> {
        let front = Front::start().await?;
        let (alone, mut markets) = Alone::among_paid_through(&[market], LIFE_S, &front.rail()).await?;
        front.tell(&alone.url, STRIPE_WEBHOOK_SECRET).await;
        let ada = alone.person("ada");
        Some(Self { front, alone, shop: markets.remove(0), ada })
    }

    /// Ada puts a card on file on the processor's page. Answers her card page afterwards.
    async fn card(&mut self, number: &str) -> String {
        let page = self.ada.open("/card").await;
        let leave = self.ada.browser.press(&page.form("/card"), "").await;
        assert!(!leave.body.contains("name=\"number\""), "a page of ours asks for a number");
        let url = link(&leave.body, "_checkout/").unwrap_or_else(|| panic!("no way to the processor: {}", leave.text()));
        let done = self.front.checkout(&url, number).await;
        let back = done["back"].as_str().unwrap_or_else(|| panic!("{done}"));
        self.ada.open(back.strip_prefix(&self.alone.url).unwrap()).await.body
    }

    async fn customer(&mut self, name: &str) -> Agent {
        let agent = self.alone.agent(name);
        agent.login(&mut self.ada, Ask::ALL, &Choice::USUAL).await;
        agent.must(&["init", name]).await;
        agent
    }

    async fn buy(&self, agent: &Agent, name: &str) -> Sold {
        agent.must(&["add", &format!("{}/gold", self.shop.name), "--name", name]).await;
        self.shop.sold.lock().unwrap().last().unwrap().clone()
    }

    /// The processor's name of a charge.
    async fn capture_of(&self, charge: &ChargeResponse) -> String {
        let copy = tempfile::tempdir().unwrap();
        self.alone.copy(copy.path());
        let all = "select id || ' ' || coalesce(rail_reference, '') as x from spend_charge";
        let found = store::texts(copy.path(), "purser.db", all).await;
        let line = found.into_iter().find(|line| line.starts_with(charge.id.as_str())).unwrap();
        line.split_once(' ').unwrap().1.to_owned()
    }

    async fn webhook(&self, header: &str, body: &str) -> u16 {
        let url = format!("{}/rails/stripe/webhook", self.alone.url);
        let sent = reqwest::Client::new().post(url).header("stripe-signature", header).body(body.to_owned()).send();
        sent.await.unwrap().status().as_u16()
    }

    /// The books add up, the processor never got an odd request, and no card number is anywhere.
    async fn is_sound(&self) {
        let copy = tempfile::tempdir().unwrap();
        self.alone.copy(copy.path());
        assert_eq!(store::ledger_faults(copy.path()).await, Vec::<String>::new());
        no_card_number(copy.path());
        let log = tempfile::tempdir().unwrap();
        std::fs::write(log.path().join("log"), self.alone.log()).unwrap();
        no_card_number(log.path());
        let odd: Vec<Value> = self.front.asked().await.into_iter().filter(|one| one["refused"].is_object()).collect();
        assert!(odd.is_empty(), "{odd:#?}");
    }
}

/// The first link on a page that has this in it.
fn link(body: &str, part: &str) -> Option<String> {
    let links = body.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    links.map(|url| url.replace("&amp;", "&").replace("&#38;", "&")).find(|url| url.contains(part))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_is_set_up_charged_given_back_and_forgotten_and_the_processors_own_client_sees_each() {
    let Some(mut scene) = Scene::start().await else { return };
    let page = scene.card("4242424242424242").await;
    assert!(page.contains("visa ending in 4242"), "{page}");
    let agent = scene.customer("buyer").await;
    let sold = scene.buy(&agent, "first").await;
    let paid = scene.shop.charge(&sold, "k1").await;
    assert_eq!(paid.status, ChargeStatus::Succeeded, "{paid:?}");
    assert_eq!(scene.shop.charge(&sold, "k1").await, paid, "a repeat gets the first answer");
    assert_eq!(scene.front.posts("/v1/payment_intents").await, 1);

    let capture = scene.capture_of(&paid).await;
    let seen = scene.front.read(&capture).await;
    assert_eq!((seen["amount"].as_i64(), seen["currency"].as_str(), seen["status"].as_str()), (Some(GOLD), Some("usd"), Some("succeeded")));
    assert_eq!(seen["metadata"], json!({"charge": paid.id, "description": "golden greetings", "provider": "shop"}));
    assert!(seen["organisation"].as_str().unwrap().starts_with("org_") && seen["last4"] == "4242", "{seen}");

    // The answer is lost on the way: the same key asks again, and one payment is made.
    let second = scene.buy(&agent, "second").await;
    scene.front.lose(1).await;
    let again = scene.shop.charge(&second, "k2").await;
    assert_eq!(again.status, ChargeStatus::Succeeded, "{again:?}");
    let of_second: Vec<Value> = scene.front.asked().await.into_iter().filter(|one| one["key"] == json!(again.id)).collect();
    assert!(of_second.len() >= 2 && of_second.iter().all(|one| one["body"] == of_second[0]["body"]), "{of_second:#?}");

    let refund = scene.shop.refund(&paid.id, 200, "r1").await;
    assert_eq!(refund.status, RefundStatus::Succeeded, "{refund:?}");
    let seen = scene.front.read(&capture).await;
    assert_eq!(seen["refunds"], json!([{"amount": 200, "status": "succeeded", "refund": refund.id}]));

    let page = scene.ada.open("/card").await;
    let remove = purser_tests::form::Form::all(&page.body).into_iter().find(|form| form.action.ends_with("/remove")).unwrap();
    scene.ada.browser.press(&remove, "").await;
    until("the processor to forget the card", Duration::from_secs(20), async || {
        let asked = scene.front.asked().await;
        asked.iter().any(|one| one["path"].as_str().is_some_and(|path| path.ends_with("/detach"))).then_some(())
    })
    .await;
    let sold = scene.shop.sold.lock().unwrap()[0].clone();
    let refused = scene.shop.charge(&sold, "k3").await;
    assert_eq!(refused.status, ChargeStatus::Refused);
    scene.is_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_is_declined_pays_nothing_and_one_that_wants_its_person_waits_for_them() {
    let Some(mut scene) = Scene::start().await else { return };
    scene.card("4000000000000341").await;
    let agent = scene.customer("buyer").await;
    let sold = scene.buy(&agent, "declined").await;
    let declined = scene.shop.charge(&sold, "k1").await;
    assert_eq!((declined.status, declined.code.as_deref()), (ChargeStatus::Declined, Some("card_declined")));

    scene.card("4000002760003184").await;
    for (name, yes) in [("yes", true), ("no", false), ("told", true)] {
        let sold = scene.buy(&agent, name).await;
        let pending = scene.shop.charge(&sold, name).await;
        assert_eq!((pending.status.clone(), pending.code.as_deref()), (ChargeStatus::Pending, Some("requires_action")), "{pending:?}");
        if name == "yes" {
            scene.alone.restart().await;
        }
        let page = scene.ada.open(&format!("/confirm/{}", pending.id)).await;
        let leave = scene.ada.browser.press(&page.form(&page.path), "").await;
        let bank = link(&leave.body, "_bank/").unwrap_or_else(|| panic!("no way to the bank: {}", leave.text()));
        let back = scene.front.bank(&bank, yes).await;
        if name == "told" {
            // The person closes the window; the processor's message brings the charge on.
            let intent = json!({"object": "payment_intent", "metadata": {"charge": pending.id}});
            let body = json!({"id": "evt_paid", "type": "payment_intent.succeeded", "data": {"object": intent}}).to_string();
            let header = scene.front.sign(STRIPE_WEBHOOK_SECRET, &body, None).await;
            assert_eq!(scene.webhook(&header, &body).await, 204);
            until("the processor's message", Duration::from_secs(20), async || {
                (scene.shop.charge(&sold, name).await.status == ChargeStatus::Succeeded).then_some(())
            })
            .await;
            continue;
        }
        let said = scene.ada.open(back.strip_prefix(&scene.alone.url).unwrap()).await.text();
        let learned = scene.shop.charge(&sold, name).await;
        if yes {
            assert!(said.contains("It is paid"), "{said}");
            assert_eq!((learned.status.clone(), &learned.id), (ChargeStatus::Succeeded, &pending.id));
            assert_eq!(scene.front.read(&scene.capture_of(&learned).await).await["status"], "succeeded");
        } else {
            assert!(said.contains("Nothing was paid"), "{said}");
            assert_eq!((learned.status, learned.code.as_deref()), (ChargeStatus::Declined, Some("authentication_failed")));
        }
    }
    scene.is_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_the_processors_own_client_signed_are_taken_once_and_all_others_are_refused() {
    let Some(mut scene) = Scene::start().await else { return };
    scene.card("4242424242424242").await;
    let agent = scene.customer("buyer").await;
    let (first, second) = (scene.buy(&agent, "first").await, scene.buy(&agent, "second").await);
    let paid = scene.shop.charge(&first, "k1").await;
    let capture = scene.capture_of(&paid).await;
    let dispute = |id: &str, status: &str| {
        json!({"id": id, "object": "event", "type": "charge.dispute.updated", "data": {"object": {"id": "dp_1", "object": "dispute",
            "amount": GOLD, "currency": "usd", "reason": "fraudulent", "status": status, "payment_intent": capture}}})
        .to_string()
    };
    let body = dispute("evt_1", "needs_response");
    let good = scene.front.sign(STRIPE_WEBHOOK_SECRET, &body, None).await;
    let now = Env::system().now().as_secs();
    let old = scene.front.sign(STRIPE_WEBHOOK_SECRET, &body, Some(now - 301)).await;
    let other = scene.front.sign("whsec_of-somebody-else", &body, None).await;
    for (header, body, what) in [
        (old.as_str(), body.clone(), "too old"),
        (other.as_str(), body.clone(), "another secret"),
        (good.as_str(), body.replace("500", "900"), "another amount"),
        (good.as_str(), format!("{body} "), "one byte more"),
        ("", body.clone(), "no signature"),
    ] {
        assert_eq!(scene.webhook(header, &body).await, 401, "{what}");
    }
    assert_eq!(scene.shop.charge(&second, "k2").await.status, ChargeStatus::Succeeded, "what was refused did something");

    let (third, fourth) = (scene.buy(&agent, "third").await, scene.buy(&agent, "fourth").await);
    for _ in 0..3 {
        assert_eq!(scene.webhook(&good, &body).await, 204);
    }
    let page = until("the dispute on the page", Duration::from_secs(20), async || {
        let page = scene.ada.open("/card").await;
        page.body.contains("Disputed payments").then_some(page)
    })
    .await;
    assert_eq!(page.body.matches("the bank decides").count(), 1, "{}", page.text());
    let refused = scene.shop.charge(&third, "k3").await;
    assert_eq!((refused.status, refused.code.as_deref()), (ChargeStatus::Refused, Some("payment_disputed")));
    assert_eq!(agent.refused(&["add", "shop/gold", "--name", "fifth"]).await, "payment_disputed");

    // The bank decides for the payment, and an old message that comes late changes nothing.
    for (body, event) in [(dispute("evt_3", "won"), "won"), (dispute("evt_2", "under_review"), "late")] {
        let header = scene.front.sign(STRIPE_WEBHOOK_SECRET, &body, None).await;
        assert_eq!(scene.webhook(&header, &body).await, 204, "{event}");
    }
    until("charges to go on", Duration::from_secs(20), async || {
        scene.ada.open("/card").await.body.contains("the payment stands").then_some(())
    })
    .await;
    assert_eq!(scene.shop.charge(&fourth, "k4").await.status, ChargeStatus::Succeeded);
    scene.is_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sellers_token_is_issued_within_its_limits_where_the_account_has_them_and_the_seller_charges_ours_where_not() {
    let Some(front) = Front::start().await else { return };
    let (env, folder) = (Env::system(), tempfile::tempdir().unwrap());
    let db: Db = Db::open(&format!("sqlite:{}", folder.path().join("rail.db").display()).parse().unwrap()).await.unwrap();
    let settings = |tokens| Settings {
        secret_key: Secret::new(STRIPE_KEY.to_owned()),
        webhook_secrets: Vec::new(),
        api_base: Some(front.url.parse().unwrap()),
        account: None,
        tokens,
    };
    let rail = StripeRail::new(db.clone(), env.clone(), settings(Tokens::Auto)).unwrap();
    let order = SellerTokenOrder {
        charge: ChargeId::mint(&env),
        token: PaymentTokenId::mint(&env),
        rail: "stripe".to_owned(),
        method: "cus_1/pm_1".to_owned(),
        seller: "profile_1".to_owned(),
        most: Money::from_minor(GOLD, Currency::USD),
        expires_at: env.now().plus_secs(60),
    };
    let before = SellerTokenOrder { charge: ChargeId::mint(&env), ..order.clone() };
    assert!(matches!(rail.seller_token(&before).await.unwrap(), SellerToken::NotOffered), "localstripe has no such tokens");
    front.has_tokens().await;
    let SellerToken::Issued { reference, plain } = rail.seller_token(&order).await.unwrap() else { panic!("it has them now") };
    assert!(plain.expose().starts_with("spt_") && *plain.expose() == reference);
    rail.seller_token_revoke(&reference).await.unwrap();
    let asked = front.asked().await;
    let body = format!(
        "payment_method=pm_1&seller_details%5Bnetwork_business_profile%5D=profile_1&usage_limits%5Bcurrency%5D=usd\
         &usage_limits%5Bmax_amount%5D={GOLD}&usage_limits%5Bexpires_at%5D={}&shared_metadata%5Bcharge%5D={}",
        order.expires_at.as_secs(),
        order.charge
    );
    assert_eq!((asked[1]["body"].as_str(), asked[1]["key"].as_str()), (Some(body.as_str()), Some(order.charge.as_str())));
    assert_eq!(asked[2]["path"], format!("/v1/shared_payment/issued_tokens/{reference}/revoke"));
    let never = StripeRail::new(db, env, settings(Tokens::Off)).unwrap();
    assert!(matches!(never.seller_token(&order).await.unwrap(), SellerToken::NotOffered));
    assert_eq!(front.asked().await.len(), 3, "an operator who wants none asks for none");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_sells_for_itself_takes_what_is_held_for_it_at_the_processor_and_no_more() {
    let Some(mut scene) = Scene::with(STAND).await else { return };
    scene.front.has_tokens().await;
    *scene.shop.quoted.lock().unwrap() = Quoted { period: Period::Once, ..Quoted::default() };
    scene.card("4242424242424242").await;
    let agent = scene.customer("buyer").await;
    let sold = scene.buy(&agent, "first").await;
    let token = sold.token.expose().clone();
    let asked = scene.front.asked().await;
    let order = asked.iter().find(|one| one["path"] == "/v1/shared_payment/issued_tokens").unwrap();
    let body = order["body"].as_str().unwrap();
    for part in [format!("profile%5D={PROFILE}&"), "max_amount%5D=500&".to_owned(), "currency%5D=usd&".to_owned()] {
        assert!(body.contains(&part), "{body}");
    }
    let spent = async |agent: &Agent| {
        let read = agent.must(&["spend"]).await;
        let position = &read["providers"][0];
        (position["captured"]["amount_minor"].as_i64(), position["held"]["amount_minor"].as_i64())
    };
    assert_eq!(spent(&agent).await, (Some(0), Some(GOLD)), "it is held until the processor says what was taken");
    // The token is the processor's: with us it is worth nothing. And the processor gives no more than is held.
    let refused = scene.shop.charge(&sold, "k1").await;
    assert_eq!((refused.status, refused.code.as_deref()), (ChargeStatus::Refused, Some("payment_token_unknown")));
    assert!(scene.front.take(&token, GOLD + 1).await.is_err());
    let taken = scene.front.take(&token, GOLD).await.unwrap();
    assert!(scene.front.take(&token, 1).await.is_err());

    let event = |id: &str, object: &Value| {
        json!({"id": id, "object": "event", "type": "shared_payment.issued_token.used", "data": {"object": object}}).to_string()
    };
    let body = event("evt_1", &taken);
    let header = scene.front.sign(STRIPE_WEBHOOK_SECRET, &body, None).await;
    assert_eq!(scene.webhook(&header, &body.replace("evt_1", "evt_2")).await, 401, "a changed message");
    assert_eq!(spent(&agent).await, (Some(0), Some(GOLD)));
    for _ in 0..2 {
        assert_eq!(scene.webhook(&header, &body).await, 204);
    }
    until("the charge", Duration::from_secs(20), async || (spent(&agent).await == (Some(GOLD), Some(0))).then_some(())).await;

    // What was not taken when the agent is frozen never is.
    let second = scene.buy(&agent, "second").await;
    let page = scene.ada.open("/agents").await;
    let freeze = purser_tests::form::Form::all(&page.body).into_iter().find(|form| form.action.ends_with("/freeze")).unwrap();
    scene.ada.browser.press(&freeze, "").await;
    until("the token to be revoked", Duration::from_secs(20), async || {
        let path = format!("/v1/shared_payment/issued_tokens/{}/revoke", second.token.expose());
        (scene.front.posts(&path).await > 0).then_some(())
    })
    .await;
    assert!(scene.front.take(second.token.expose(), GOLD).await.is_err(), "a revoked token pays");
    scene.is_sound().await;
}
