//! Months on a credit, right to the cent: it pays before the token, ends, and what was forecast is what is charged.

use purser_db::DbError;
use purser_db::testing::each_engine;
use purser_values::Sha256Digest;
use purser_wire::credit::{Cover, CreditAttestation, CreditEnd, CreditState, Credits};
use slipway_billing::credit::get::credits;
use slipway_billing::credit::programme::Offer;
use slipway_billing::credit::redeem::{RedeemError, credit_redeem};
use slipway_billing::invoice::Kind as Sort;
use slipway_billing::price::Meter;
use slipway_billing::request_log::{Answer, refund_request};
use slipway_billing::subscription::State;

use crate::shop::{PAID, Shop, TABLES, TEAM};
use crate::world::usd;

pub fn offer(id: &str, minor: i64, months: u32, total: i64) -> Offer {
    let programme = purser_wire::credit::Programme {
        id: id.to_owned(),
        title: "Start-up".to_owned(),
        description: String::new(),
        amount: usd(minor),
        months,
        covers: vec![Cover::Plans, Cover::Usage],
    };
    Offer { programme, total: usd(total) }
}

/// What an orchestrator says of an organisation and those who own it.
pub fn attested(sub: &str, application: &str, names: &[&str]) -> CreditAttestation {
    CreditAttestation {
        iss: "https://purser.test".to_owned(),
        aud: "https://cloud.test/".to_owned(),
        sub: sub.to_owned(),
        programme: "start-up".to_owned(),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        evidence: Sha256Digest::of(b"a letter"),
        application: application.to_owned(),
        approved_at: 0,
        jti: "j".to_owned(),
        iat: 0,
        exp: 0,
    }
}

impl Shop {
    pub async fn redeem(&self, offer: Offer, said: CreditAttestation) -> Result<(), RedeemError> {
        let (realm, account) = (self.billing.realm.clone(), self.account.clone());
        self.world.db.write(move |tx| credit_redeem(tx, &realm, std::slice::from_ref(&offer), &account, &said).map(drop)).await
    }

    /// The shop's own account has a credit of so much for so many months.
    async fn credited(&mut self, minor: i64, months: u32) {
        self.account = self.account_of("pw", "grace@example.test").await;
        self.redeem(offer("start-up", minor, months, 1_000_000_00), attested("pw", "cra_1", &["org"])).await.unwrap();
    }

    pub async fn credits(&self) -> Credits {
        let (account, now) = (self.account.clone(), self.env().now());
        self.world.db.read::<_, DbError, _>(move |tx| credits(tx, &account, now)).await.unwrap()
    }

    async fn left(&self) -> i64 {
        self.credits().await.credits.iter().map(|credit| credit.left.minor()).sum()
    }
}

#[tokio::test]
async fn a_credit_pays_until_its_last_cent_and_then_the_token_pays_what_was_forecast() {
    each_engine(TABLES, |db| async move {
        let mut shop = Shop::new(db, "2027-01-31T10:00:00Z", 60_00).await;
        shop.credited(12_00, 12).await;
        let plan = shop.order_on_credit(PAID).await;
        assert_eq!((shop.ledger().await, shop.left().await), ((0, 0), 7_00), "the first month is paid, and nobody was charged");
        let forecast = shop.credits().await.forecast.unwrap();
        let first = forecast.first_payment.unwrap();
        assert_eq!((forecast.why, first.at.to_string().as_str()), (CreditEnd::Exhausted, "2027-03-31T10:00:00Z"));
        assert_eq!((first.amount, forecast.monthly), (usd(3_00), usd(5_00)));

        shop.until("2027-03-31T09:00:00Z").await;
        assert_eq!((shop.ledger().await, shop.left().await), ((0, 0), 2_00), "February's renewal too");
        shop.until("2027-03-31T11:00:00Z").await;
        assert_eq!((shop.ledger().await, shop.left().await), ((first.amount.minor(), 0), 0), "two of the five dollars were left");
        assert!(shop.credits().await.forecast.is_none());
        shop.until("2027-04-30T11:00:00Z").await;
        shop.until("2027-05-31T11:00:00Z").await;
        assert_eq!(shop.ledger().await, (3_00 + 2 * forecast.monthly.minor(), 0));
        assert_eq!(shop.get(&plan).await.state, State::Active);
        // every invoice says what the credit paid
        let documents = shop.documents().await;
        let lines: Vec<Vec<i64>> = documents.iter().map(|d| d.lines.iter().map(|line| line.amount_minor).collect()).collect();
        assert_eq!(lines, [vec![5_00, -5_00], vec![5_00, -5_00], vec![5_00, -2_00], vec![5_00], vec![5_00]]);
        assert_eq!(shop.totals(Sort::Invoice).await, [0, 0, 3_00, 5_00, 5_00]);
        shop.reconcile().await;
    })
    .await;
}

#[tokio::test]
async fn what_is_left_when_its_time_is_over_is_gone_and_its_owner_was_told_twice_before() {
    each_engine(TABLES, |db| async move {
        let mut shop = Shop::new(db, "2027-01-10T00:00:00Z", 60_00).await;
        shop.credited(100_00, 3).await;
        shop.order_on_credit(PAID).await;
        let forecast = shop.credits().await.forecast.unwrap();
        let first = forecast.first_payment.unwrap();
        assert_eq!((forecast.why, forecast.ends_at.to_string().as_str()), (CreditEnd::Expires, "2027-04-10T00:00:00Z"));
        assert_eq!((first.at.to_string().as_str(), first.amount), ("2027-04-10T00:00:00Z", usd(5_00)));
        let mails = shop.mails().await;
        shop.until("2027-03-10T23:00:00Z").await;
        assert_eq!(shop.mails().await, mails);
        shop.until("2027-03-11T06:00:00Z").await;
        assert_eq!(shop.mails().await, mails + 1, "thirty days before");
        shop.until("2027-04-03T06:00:00Z").await;
        assert_eq!(shop.mails().await, mails + 2, "seven days before");
        assert_eq!((shop.ledger().await, shop.left().await), ((0, 0), 85_00));
        shop.until("2027-04-10T06:00:00Z").await;
        assert_eq!((shop.mails().await, shop.left().await), (mails + 3, 0));
        assert_eq!(shop.credits().await.credits[0].state, CreditState::Expired);
        assert_eq!(shop.ledger().await, (5_00, 0), "the renewal of that very moment is charged");
        shop.reconcile().await;
    })
    .await;
}

#[tokio::test]
async fn what_a_credit_paid_comes_back_as_credit_and_never_as_money() {
    each_engine(TABLES, |db| async move {
        let mut shop = Shop::new(db, "2027-04-01T00:00:00Z", 60_00).await;
        shop.credited(12_00, 12).await;
        // 20.00, of which the credit pays 12.00
        let plan = shop.order_on_credit(TEAM).await;
        assert_eq!((shop.ledger().await, shop.left().await), ((8_00, 0), 0));
        // half of April is left: 10.00 come back, 8.00 in money as that is all that was paid in money
        shop.until("2027-04-16T00:00:00Z").await;
        let late = shop.ask(&plan).await;
        assert!(matches!(late, Answer::NotRefundable { .. }), "fourteen days are over");
        shop.account = shop.account_of("pw_2", "ada@elsewhere.test").await;
        shop.redeem(offer("start-up", 12_00, 12, 1_000_00), attested("pw_2", "cra_2", &["org_2"])).await.unwrap();
        let plan = shop.order_on_credit(TEAM).await;
        shop.until("2027-04-23T12:00:00Z").await;
        let Answer::Refunded(back) = shop.ask(&plan).await else { panic!("not refunded") };
        shop.settle_down().await;
        assert_eq!(back, usd(15_00));
        assert_eq!((shop.ledger().await, shop.left().await), ((16_00, 8_00), 7_00));
        let all = shop.documents().await;
        let note = all.iter().find(|document| document.kind == Sort::CreditNote).unwrap();
        assert_eq!(note.lines.iter().map(|line| line.amount_minor).collect::<Vec<_>>(), [15_00, -7_00]);
        let off = shop.world.db.read(slipway_billing::credit::book::differences).await.unwrap();
        assert!(off.is_empty(), "{off:?}");
    })
    .await;
}

#[tokio::test]
async fn use_is_paid_by_the_credit_first_and_by_blocks_of_the_token_after_it() {
    each_engine(TABLES, |db| async move {
        let mut shop = Shop::new(db, "2027-01-31T10:00:00Z", 60_00).await;
        shop.credited(6_00, 12).await;
        shop.order_on_credit(PAID).await;
        assert_eq!(shop.left().await, 1_00);
        // 5 million requests beyond the first cost 1.50; a dollar of credit is left
        assert_eq!(shop.serve("feb", 6_000_000).await, 6_000_000);
        assert_eq!(shop.left().await, 0, "it is set aside");
        assert!(shop.till.calls() > 0, "and a block of the token's");
        shop.until("2027-03-01T00:00:00Z").await;
        // the renewal of 5.00, and 0.50 of the use
        assert_eq!(shop.ledger().await, (5_50, 0));
        let invoice = shop.documents().await.into_iter().find(|d| d.lines.iter().any(|line| line.quantity == 6_000_000)).unwrap();
        assert_eq!((invoice.total_minor, invoice.lines.last().unwrap().amount_minor), (50, -1_00));
        shop.reconcile().await;

        // what was set aside and not used can be used again
        shop.account = shop.account_of("pw_2", "ada@elsewhere.test").await;
        shop.redeem(offer("start-up", 50_00, 12, 1_000_00), attested("pw_2", "cra_2", &["org_2"])).await.unwrap();
        shop.order_on_credit(PAID).await;
        shop.count("mar", Meter::CpuMs, 1_000_000).await;
        assert_eq!(shop.serve("mar-2", 2_000_000).await, 2_000_000);
        assert!(shop.left().await < 45_00);
        shop.until("2027-04-01T06:00:00Z").await;
        assert_eq!(shop.left().await, 50_00 - 5_00 - 5_00 - 32, "two months, 0.30 of requests and 0.02 of processor time");
        shop.reconcile_all().await;
    })
    .await;
}

#[tokio::test]
async fn a_cap_below_the_price_stops_nothing_while_the_credit_pays_and_the_first_charge_after_it() {
    each_engine(TABLES, |db| async move {
        let mut shop = Shop::new(db, "2027-01-10T00:00:00Z", 4_00).await;
        shop.credited(10_00, 12).await;
        let plan = shop.order_on_credit(PAID).await;
        shop.until("2027-02-11T00:00:00Z").await;
        assert_eq!((shop.left().await, shop.get(&plan).await.state), (0, State::Active));
        // March costs 5.00, and the cap is 4.00: nothing is taken, and nothing of it is lost
        shop.until("2027-03-10T06:00:00Z").await;
        assert!(matches!(shop.get(&plan).await.state, State::PastDue { .. }));
        assert_eq!(shop.ledger().await, (0, 0));
        // a person makes room, and the next try pays
        shop.world.set_cap(None, 60_00).await;
        shop.until("2027-03-12T06:00:00Z").await;
        assert_eq!((shop.get(&plan).await.state, shop.ledger().await), (State::Active, (5_00, 0)));
        shop.until("2027-06-10T06:00:00Z").await;
        assert_eq!(shop.ledger().await, (20_00, 0));
        shop.reconcile().await;
    })
    .await;
}

#[tokio::test]
async fn each_dollar_of_the_rest_is_charged_within_the_cap_or_not_at_all() {
    // 12.00 of credit against 5.00 a month: 3.00 are left to pay in March, and a cap of 2.99 does not take them
    for (cap, took) in [(2_99, 0), (3_00, 3_00)] {
        each_engine(TABLES, move |db| async move {
            let mut shop = Shop::new(db, "2027-01-31T10:00:00Z", cap).await;
            shop.credited(12_00, 12).await;
            let plan = shop.order_on_credit(PAID).await;
            shop.until("2027-03-31T16:00:00Z").await;
            assert_eq!((shop.ledger().await, shop.get(&plan).await.state == State::Active), ((took, 0), took > 0), "{cap}");
            shop.reconcile().await;
        })
        .await;
    }
}

impl Shop {
    async fn ask(&self, plan: &purser_values::id::CloudResourceId) -> Answer {
        let (realm, account, plan) = (self.billing.realm.clone(), self.account.clone(), plan.clone());
        self.world.db.write(move |tx| refund_request(tx, &realm, &account, &plan, "not needed")).await.unwrap()
    }

    /// The books of all accounts of the shop.
    async fn reconcile_all(&self) {
        let off = self.world.db.read(slipway_billing::credit::book::differences).await.unwrap();
        assert!(off.is_empty(), "{off:?}");
        self.world.is_sound().await;
    }
}
