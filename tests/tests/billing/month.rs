//! Months of simulated time, right to the cent. What is expected is computed here from dates and fractions, apart from the code under test.

use purser_db::testing::each_engine;
use slipway_billing::invoice::Kind as Sort;
use slipway_billing::price::Meter;
use slipway_billing::subscription::State;
use slipway_billing::subscription::cancel::When;

use crate::shop::{PAID, Shop, TABLES, TEAM};

/// `minor × part ÷ whole` as a fraction, rounded half up.
fn share(minor: i128, part: i128, whole: i128) -> i64 {
    let (floor, rest) = ((minor * part) / whole, (minor * part) % whole);
    i64::try_from(floor + i128::from(2 * rest >= whole)).unwrap()
}

const DAY: i128 = 86_400;

#[tokio::test]
async fn plan_use_and_domain_with_a_change_in_the_middle_and_a_refused_renewal_are_right_to_the_cent() {
    each_engine(TABLES, |db| async move {
        // 31 January, 10:00. The cap is 60.00 a month.
        let shop = Shop::new(db, "2027-01-31T10:00:00Z", 60_00).await;
        let plan = shop.order(PAID).await;
        shop.domain("shop.test", false).await;
        assert_eq!(shop.totals(Sort::Invoice).await, [5_00, 9_15]);

        // February: 3,456,789 requests, of which a million is included; 0.30 for each million beyond.
        shop.until("2027-02-05T00:00:00Z").await;
        assert_eq!(shop.serve("feb-1", 3_456_789).await, 3_456_789);
        assert!(!shop.count("feb-1", Meter::Requests, 3_456_789).await, "a batch counts once");
        let use_of_paid = share(30, 2_456_789, 1_000_000);
        assert_eq!(use_of_paid, 74);

        // 14 February, 12:34:56: a plan of 20.00. The old period is 31 January 10:00 to 28 February 10:00, 28 days.
        shop.until("2027-02-14T12:34:56Z").await;
        shop.upgrade(&plan, TEAM).await.unwrap();
        shop.settle_down().await;
        let left = 13 * DAY + 21 * 3600 + 25 * 60 + 4;
        let credit = share(5_00, left, 28 * DAY);
        assert_eq!(credit, 2_48);
        assert_eq!(shop.totals(Sort::Invoice).await, [5_00, 9_15, 20_00 - credit, use_of_paid]);
        let change = &shop.documents().await[2];
        assert_eq!(change.lines.iter().map(|line| line.amount_minor).collect::<Vec<_>>(), [20_00, -credit]);

        // Use under the new plan: 0.20 for each million beyond the first.
        assert_eq!(shop.serve("feb-2", 4_000_001).await, 4_000_001);
        shop.count("feb-3", Meter::CpuMs, 1_750_000).await;
        let use_of_team = share(20, 3_000_001, 1_000_000) + share(2, 1_750_000, 1_000_000);
        assert_eq!(use_of_team, 64, "60 cents, and 3.5 cents that go up");

        // 14 March: a person lowered the cap to 10.00, so the renewal of 20.00 is refused. The use of February's blocks is still charged.
        shop.until("2027-03-05T00:00:00Z").await;
        shop.world.set_cap(None, 10_00).await;
        shop.until("2027-03-14T12:34:56Z").await;
        assert!(matches!(shop.get(&plan).await.state, State::PastDue { .. }));
        assert_eq!(shop.totals(Sort::Invoice).await, [5_00, 9_15, 20_00 - credit, use_of_paid, use_of_team]);
        assert_eq!(shop.mails().await, 1);
        shop.until("2027-03-16T12:00:00Z").await;
        assert_eq!(shop.mails().await, 1, "the owner was told once");

        // Two days later there is room again. The next try pays, and the days of the period stay.
        shop.world.set_cap(None, 60_00).await;
        shop.until("2027-03-17T13:00:00Z").await;
        let paid = shop.get(&plan).await;
        assert_eq!((paid.state, paid.period().start.to_string().as_str()), (State::Active, "2027-03-14T12:34:56Z"));
        assert_eq!(shop.totals(Sort::Invoice).await[5..], [20_00]);

        // 20 March, 00:00: back to the small plan at once. What is left of 31 days costs less; the difference comes back.
        shop.until("2027-03-20T00:00:00Z").await;
        shop.downgrade(&plan, PAID, When::Now).await.unwrap();
        shop.settle_down().await;
        let left = 25 * DAY + 12 * 3600 + 34 * 60 + 56;
        let (unused, rest) = (share(20_00, left, 31 * DAY), share(5_00, left, 31 * DAY));
        assert_eq!(shop.totals(Sort::CreditNote).await, [unused - rest]);
        let note = shop.documents().await.into_iter().find(|document| document.kind == Sort::CreditNote).unwrap();
        assert_eq!(note.lines.iter().map(|line| line.amount_minor).collect::<Vec<_>>(), [unused, -rest]);
        assert_eq!(note.of.as_deref(), Some("INV-000006"));

        // 14 April: the small plan's price. The domain goes on for a year and is not renewed.
        shop.until("2027-04-15T00:00:00Z").await;
        assert_eq!(shop.totals(Sort::Invoice).await[6..], [5_00]);
        shop.reconcile().await;
        let invoiced = 5_00 + 9_15 + 20_00 - credit + use_of_paid + use_of_team + 20_00 + 5_00;
        assert_eq!(shop.ledger().await, (invoiced, unused - rest));
    })
    .await;
}

#[tokio::test]
async fn a_year_of_the_31st_is_twelve_payments_on_the_right_days() {
    each_engine(TABLES, |db| async move {
        let shop = Shop::new(db, "2027-10-31T22:00:00Z", 60_00).await;
        let plan = shop.order(PAID).await;
        shop.until("2028-10-31T23:00:00Z").await;
        let days: Vec<String> = shop.documents().await.iter().map(|d| d.lines[0].start.unwrap().to_string()[..10].to_owned()).collect();
        let expected = [
            "2027-10-31",
            "2027-11-30",
            "2027-12-31",
            "2028-01-31",
            "2028-02-29",
            "2028-03-31",
            "2028-04-30",
            "2028-05-31",
            "2028-06-30",
            "2028-07-31",
            "2028-08-31",
            "2028-09-30",
            "2028-10-31",
        ];
        assert_eq!(days, expected);
        assert_eq!(shop.get(&plan).await.number, 12);
        shop.reconcile().await;
    })
    .await;
}

#[tokio::test]
async fn a_cheaper_plan_at_the_periods_end_is_charged_its_own_price_with_the_old_token() {
    each_engine(TABLES, |db| async move {
        let shop = Shop::new(db, "2027-03-01T00:00:00Z", 60_00).await;
        let plan = shop.order(TEAM).await;
        shop.downgrade(&plan, PAID, When::PeriodEnd).await.unwrap();
        shop.until("2027-05-02T00:00:00Z").await;
        assert_eq!(shop.totals(Sort::Invoice).await, [20_00, 5_00, 5_00]);
        shop.reconcile().await;
    })
    .await;
}
