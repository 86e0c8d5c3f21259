//! Months, days and sums in a zone, on both engines: every surface says the same of the same time.

use crate::world::{TABLES, World, usd};
use purser_authority::Role;
use purser_authority::action::SpendRead;
use purser_db::testing::each_engine;
use purser_spend::calendar::Zone;
use purser_spend::refund::RefundAsk;
use purser_spend::report::{By, ReportRow, report};
use purser_spend::statement::{Statement, statement};
use purser_values::{Month, Timestamp};

impl World {
    async fn until(&self, moment: &str) {
        let moment: Timestamp = moment.parse().unwrap();
        self.clock.advance_secs(moment.micros_since(self.env.now()) / 1_000_000);
    }

    async fn spends(&self, key: &str, minor: i64) -> purser_values::id::ChargeId {
        let (hold, plain) = self.held(key, minor).await;
        self.charge(World::ask(key, &plain, &hold, "a", minor)).await.id
    }

    async fn of(&self, month: &str, zone: &str) -> (Statement, Vec<ReportRow>) {
        let (world, month, zone) = (self.clone(), month.parse::<Month>().unwrap(), zone.parse::<Zone>().unwrap());
        let read = self.db.read(move |tx| {
            let permit = world.person_permit::<SpendRead>(Role::Auditor);
            let organisation = &world.spender.organisation;
            let found = statement(tx, &permit, organisation, None, month, &zone)?;
            Ok::<_, purser_spend::statement::StatementError>((
                found,
                report(tx, &permit, organisation, By::Provider, zone.month(month)?, &zone)?,
            ))
        });
        read.await.unwrap()
    }

    async fn days(&self, month: &str, zone: &str) -> Vec<(String, i64)> {
        let (world, month, zone) = (self.clone(), month.parse::<Month>().unwrap(), zone.parse::<Zone>().unwrap());
        let read = self.db.read(move |tx| {
            let permit = world.person_permit::<SpendRead>(Role::Auditor);
            report(tx, &permit, &world.spender.organisation, By::Day, zone.month(month).unwrap(), &zone)
        });
        read.await.unwrap().into_iter().map(|row| (row.key, row.paid.minor())).collect()
    }
}

#[tokio::test]
async fn a_refund_of_a_later_month_counts_there_in_statements_and_sums_alike() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 1_000_00).await;
        let charge = world.spends("a", 9_00).await;
        world.clock.advance_secs(20 * 86_400);
        world.spends("b", 1_00).await;
        world.refund(RefundAsk { key: "r".to_owned(), charge, amount: usd(4_00), reason: "undone".to_owned() }).await.unwrap();
        for (month, charged, refunded) in [("2026-11", 9_00, 0), ("2026-12", 1_00, 4_00)] {
            let (found, rows) = world.of(month, "UTC").await;
            let total = &found.totals[0];
            assert_eq!((total.charged, total.refunded, total.paid), (usd(charged), usd(refunded), usd(charged - refunded)), "{month}");
            assert_eq!(rows.len(), 1);
            assert_eq!((rows[0].charged, rows[0].refunded, rows[0].paid), (total.charged, total.refunded, total.paid), "{month}");
        }
        assert_eq!(world.days("2026-12", "UTC").await, [("2026-12-13".to_owned(), -3_00)]);
    })
    .await;
}

#[tokio::test]
async fn months_and_days_are_those_of_the_zone_also_where_the_clock_changes() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 1_000_00).await;
        // 1 December in Tokyo, 30 November in New York
        world.until("2026-11-30T15:30:00Z").await;
        world.spends("edge", 5_00).await;
        for (zone, november, december) in [("UTC", 1, 0), ("America/New_York", 1, 0), ("Asia/Tokyo", 0, 1), ("Pacific/Kiritimati", 0, 1)] {
            let charges = async |month| world.of(month, zone).await.0.charges.len();
            assert_eq!((charges("2026-11").await, charges("2026-12").await), (november, december), "{zone}");
        }
        assert_eq!(world.days("2026-12", "Asia/Tokyo").await, [("2026-12-01".to_owned(), 5_00)]);
        // 14 March 2027 has 23 hours in New York: from 05:00 to 04:00 UTC
        for (at, key) in [
            ("2027-03-14T04:59:00Z", "before"),
            ("2027-03-14T05:00:00Z", "first"),
            ("2027-03-15T03:59:00Z", "last"),
            ("2027-03-15T04:00:00Z", "after"),
        ] {
            world.until(at).await;
            world.spends(key, 1_00).await;
        }
        let expected = [("2027-03-13", 1_00), ("2027-03-14", 2_00), ("2027-03-15", 1_00)].map(|(day, paid)| (day.to_owned(), paid));
        assert_eq!(world.days("2027-03", "America/New_York").await, expected);
        // India is half an hour off
        world.until("2027-03-31T18:29:00Z").await;
        world.spends("india", 1_00).await;
        world.until("2027-03-31T18:30:00Z").await;
        world.spends("april", 1_00).await;
        assert_eq!(world.of("2027-04", "Asia/Kolkata").await.0.charges.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn what_is_left_of_a_statement_is_of_one_project_at_one_provider() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 1_000_00).await;
        let charge = world.spends("a", 9_00).await;
        world.refund(RefundAsk { key: "r".to_owned(), charge, amount: usd(4_00), reason: "undone".to_owned() }).await.unwrap();
        let (whole, _) = world.of("2026-11", "UTC").await;
        for (project, provider, stays) in
            [(Some("shop"), None, true), (Some("blog"), None, false), (None, Some("slipway"), true), (None, Some("other"), false)]
        {
            let mut found = whole.clone();
            found.narrow(project.map(|name| name.parse().unwrap()).as_ref(), provider.map(|name| name.parse().unwrap()).as_ref()).unwrap();
            let counts = (found.charges.len(), found.refunds.len(), found.totals.len());
            assert_eq!(counts, if stays { (1, 1, 1) } else { (0, 0, 0) }, "{project:?} {provider:?}");
            assert_eq!(found.positions.is_empty(), project.is_some() || !stays, "{project:?} {provider:?}");
        }
    })
    .await;
}
