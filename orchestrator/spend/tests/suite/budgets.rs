//! Budgets, the alerts that they raise, and charges that stand out, on both engines.

use crate::world::{TABLES, World, usd};
use purser_authority::action::{BudgetSet as Plan, SpendRead};
use purser_authority::{Denied, Facts, Role, authorise};
use purser_db::testing::each_engine;
use purser_spend::Percent;
use purser_spend::alert::{self, Alert, Cause};
use purser_spend::budget::{self, Action, Budget, BudgetError, BudgetSet, BudgetView};
use purser_spend::calendar::Period;
use purser_spend::ceiling::Scope;
use purser_spend::quote::Recurs;
use purser_spend::refund::RefundAsk;
use purser_values::id::AgentId;
use purser_values::{Currency, Money};

impl World {
    fn plan(&self, scope: Scope, subject: &str, minor: i64) -> BudgetSet {
        BudgetSet {
            organisation: self.spender.organisation.clone(),
            scope,
            subject: subject.to_owned(),
            period: Period::Month,
            amount: usd(minor),
            thresholds: [50, 80, 100].map(Percent::whole).to_vec(),
            action: Action::Notify,
            act_at: Percent::whole(100),
            unusual: false,
        }
    }

    async fn budget(&self, plan: BudgetSet) -> Result<Budget, BudgetError> {
        let world = self.clone();
        let write = self.db.write(move |tx| budget::set(tx, &world.env, &world.person_permit::<Plan>(Role::Billing), &plan));
        write.await.map(|done| done.value)
    }

    async fn alerts(&self) -> Vec<Alert> {
        let world = self.clone();
        let read = self.db.read(move |tx| {
            let permit = world.person_permit::<SpendRead>(Role::Auditor);
            alert::list(tx, &permit, &world.spender.organisation, None, 200)
        });
        let mut all = read.await.unwrap();
        all.reverse();
        all
    }

    /// The thresholds of budgets that were told, the lowest first: the clock stands still.
    async fn told(&self) -> Vec<i64> {
        let percent = |alert: Alert| {
            if let Cause::BudgetThreshold { threshold_percent, .. } = alert.cause {
                Some(threshold_percent.basis_points() / 100)
            } else {
                None
            }
        };
        let mut told: Vec<i64> = self.alerts().await.into_iter().filter_map(percent).collect();
        told.sort_unstable();
        told
    }

    async fn kinds(&self) -> Vec<&'static str> {
        self.alerts().await.iter().map(|alert| alert.cause.kind()).filter(|kind| *kind != "cap_threshold").collect()
    }

    async fn views(&self) -> Vec<BudgetView> {
        let world = self.clone();
        let read = self.db.read(move |tx| budget::all(tx, &world.env, &world.person_permit(Role::Auditor), &world.spender.organisation));
        read.await.unwrap()
    }

    /// What a purchase by the agent of so much in its project waits for.
    async fn gate(&self, minor: i64) -> Option<budget::Spent> {
        let (env, purchase) = (self.env.clone(), self.one("gate", minor));
        self.db.read(move |tx| budget::gate(tx, &env, &purchase)).await.unwrap()
    }

    async fn look_ahead(&self) -> usize {
        let env = self.env.clone();
        self.db.write(move |tx| budget::look_ahead(tx, &env)).await.unwrap().value
    }

    async fn buys(&self, key: &str, minor: i64) {
        let (hold, plain) = self.held(key, minor).await;
        self.charge(World::ask(key, &plain, &hold, "a", minor)).await;
    }
}

#[tokio::test]
async fn each_threshold_is_told_once_when_it_is_reached_and_not_a_cent_before() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 1_000_00).await;
        world.budget(world.plan(Scope::Organisation, "", 100_00)).await.unwrap();
        let steps: [(&str, i64, &[i64]); 6] = [
            ("a", 49_99, &[]),
            ("b", 1, &[50]),
            ("c", 29_99, &[50]),
            ("d", 1, &[50, 80]),
            ("e", 40_00, &[50, 80, 100]),
            ("f", 40_00, &[50, 80, 100]),
        ];
        for (key, minor, told) in steps {
            world.buys(key, minor).await;
            assert_eq!(world.told().await, told, "after {key}");
        }
        assert_eq!(world.views().await[0].spent, usd(160_00));
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn charges_at_the_same_time_tell_each_threshold_once() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 1_000_00).await;
        world.budget(world.plan(Scope::Provider, "slipway", 12_00)).await.unwrap();
        let mut charges = tokio::task::JoinSet::new();
        for n in 0..12 {
            let (world, key) = (world.clone(), format!("k{n}"));
            let (hold, plain) = world.held(&key, 1_00).await;
            charges.spawn(async move { world.charge(World::ask(&key, &plain, &hold, "a", 1_00)).await });
        }
        while let Some(done) = charges.join_next().await {
            done.unwrap();
        }
        assert_eq!(world.told().await, [50, 80, 100]);
        assert_eq!(world.views().await[0].spent_percent, 100);
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn a_budget_counts_what_it_is_over_and_nothing_else() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 1_000_00).await;
        let stranger = AgentId::mint(&world.env);
        let table: Vec<(Scope, String, bool)> = vec![
            (Scope::Organisation, String::new(), true),
            (Scope::Project, "shop".to_owned(), true),
            (Scope::Project, "blog".to_owned(), false),
            (Scope::Environment, "shop/production".to_owned(), true),
            (Scope::Environment, "shop/development".to_owned(), false),
            (Scope::Agent, world.spender.agent.to_string(), true),
            (Scope::Agent, stranger.to_string(), false),
            (Scope::Grant, world.grant.to_string(), true),
            (Scope::Provider, "slipway".to_owned(), true),
            (Scope::Provider, "other".to_owned(), false),
            (Scope::Category, "hosting".to_owned(), true),
            (Scope::Category, "host".to_owned(), false),
        ];
        for (scope, subject, _) in &table {
            world.budget(world.plan(*scope, subject, 100_00)).await.unwrap();
        }
        let mut euros = world.plan(Scope::Project, "shop", 100_00);
        (euros.amount, euros.period) = (Money::from_minor(100_00, Currency::EUR), Period::Day);
        world.budget(euros).await.unwrap();
        world.buys("a", 7_00).await;
        for view in world.views().await {
            let counts = view.budget.amount.currency() == Currency::USD
                && table.iter().any(|(scope, subject, counts)| {
                    *counts && *scope == view.budget.scope && (*scope == Scope::Organisation || *subject == view.budget.subject)
                });
            assert_eq!(view.spent.minor(), if counts { 7_00 } else { 0 }, "{:?} {}", view.budget.scope, view.budget.subject);
        }
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn money_that_comes_back_leaves_the_budget_and_nothing_is_told_again() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 1_000_00).await;
        world.budget(world.plan(Scope::Organisation, "", 10_00)).await.unwrap();
        let (hold, plain) = world.held("a", 9_00).await;
        let receipt = world.charge(World::ask("a", &plain, &hold, "a", 9_00)).await;
        assert_eq!(world.told().await, [50, 80]);
        let ask = RefundAsk { key: "r".to_owned(), charge: receipt.id, amount: usd(4_00), reason: "undone".to_owned() };
        world.refund(ask).await.unwrap();
        assert_eq!(world.views().await[0].spent, usd(5_00));
        world.buys("b", 4_00).await;
        assert_eq!(world.told().await, [50, 80]);
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn a_budget_that_is_set_counts_what_was_charged_and_a_changed_one_is_told_anew() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 1_000_00).await;
        world.buys("a", 9_00).await;
        world.clock.advance_secs(40 * 86_400);
        world.buys("b", 6_00).await;
        let budget = world.budget(world.plan(Scope::Agent, world.spender.agent.as_str(), 10_00)).await.unwrap();
        assert_eq!((world.views().await[0].spent, world.told().await), (usd(6_00), vec![50]), "another month's charge does not count");
        world.budget(world.plan(Scope::Agent, world.spender.agent.as_str(), 10_00)).await.unwrap();
        assert_eq!(world.told().await, [50], "the same budget again");
        let lower = world.budget(world.plan(Scope::Agent, world.spender.agent.as_str(), 6_00)).await.unwrap();
        assert_eq!((lower.id == budget.id, world.told().await), (true, vec![50, 50, 80, 100]));
        world.clock.advance_secs(31 * 86_400);
        assert_eq!(world.views().await[0].spent, usd(0), "a new month begins at nothing");
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn what_is_no_budget_is_refused_by_its_code() {
    each_engine(TABLES, |db| async move {
        use purser_values::error::PublicError as _;
        let world = World::new(db, 100_00).await;
        let good = world.plan(Scope::Organisation, "", 10_00);
        let cases = [
            (BudgetSet { amount: usd(0), ..good.clone() }, "budget_amount"),
            (BudgetSet { amount: usd(-1), ..good.clone() }, "budget_amount"),
            (BudgetSet { amount: usd(i64::MAX), ..good.clone() }, "budget_amount"),
            (BudgetSet { period: Period::Transaction, ..good.clone() }, "budget_period"),
            (BudgetSet { thresholds: vec![], ..good.clone() }, "budget_thresholds"),
            (BudgetSet { thresholds: vec![Percent::whole(0)], ..good.clone() }, "budget_thresholds"),
            (BudgetSet { thresholds: (1..=11).map(Percent::whole).collect(), ..good.clone() }, "budget_thresholds"),
            (BudgetSet { act_at: Percent::from_basis_points(1_000_01), ..good.clone() }, "budget_thresholds"),
            (BudgetSet { scope: Scope::Project, subject: "no such name!".to_owned(), ..good.clone() }, "ceiling_subject"),
        ];
        for (plan, code) in cases {
            assert_eq!(world.budget(plan).await.unwrap_err().code(), code);
        }
        assert!(world.views().await.is_empty());
        let agent = world.agent();
        let refused = authorise::<Plan>(&agent, &Facts::new(world.env.now(), "x")).unwrap_err();
        assert!(matches!(refused, Denied::AgentNever { .. }), "{refused:?}");
    })
    .await;
}

#[tokio::test]
async fn a_spent_budget_stops_new_purchases_it_covers_and_loosening_it_wants_the_person() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 1_000_00).await;
        let plan = BudgetSet { action: Action::RequireApproval, act_at: Percent::whole(80), ..world.plan(Scope::Project, "shop", 10_00) };
        world.budget(plan.clone()).await.unwrap();
        world.buys("a", 7_99).await;
        assert!(world.gate(1).await.is_none());
        let spent = world.gate(2).await.expect("it would pass the budget");
        assert_eq!((spent.spent, spent.passing), (usd(7_99), Some(usd(2))));
        world.buys("b", 1).await;
        let spent = world.gate(1).await.expect("it acts");
        assert_eq!((spent.spent, spent.budget.act_at), (usd(8_00), Percent::whole(80)));
        world.clock.advance_secs(600);
        let stale = world.clone();
        let loosen = |plan: BudgetSet| {
            let world = stale.clone();
            async move {
                let role = purser_authority::Caller::Person {
                    person: world.person.clone(),
                    organisation: world.spender.organisation.clone(),
                    role: Role::Owner,
                    present_at: None,
                };
                let env = world.env.clone();
                world
                    .db
                    .write(move |tx| budget::set(tx, &env, &authorise::<Plan>(&role, &Facts::new(env.now(), "x")).unwrap(), &plan))
                    .await
                    .map(|done| done.value)
            }
        };
        for looser in [
            BudgetSet { amount: usd(10_01), ..plan.clone() },
            BudgetSet { act_at: Percent::whole(81), ..plan.clone() },
            BudgetSet { action: Action::Notify, ..plan.clone() },
            BudgetSet { amount: Money::from_minor(10_00, Currency::EUR), ..plan.clone() },
        ] {
            assert!(matches!(loosen(looser).await, Err(BudgetError::Denied(Denied::StepUpRequired { .. }))));
        }
        loosen(BudgetSet { amount: usd(9_00), action: Action::Freeze, act_at: Percent::whole(50), ..plan.clone() }).await.unwrap();
        world.budget(BudgetSet { action: Action::Notify, ..plan }).await.unwrap();
        assert!(world.gate(1).await.is_none());
    })
    .await;
}

#[tokio::test]
async fn a_charge_stands_out_when_it_is_the_first_or_above_five_times_the_median() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 10_000_00).await;
        world.budget(BudgetSet { unusual: true, ..world.plan(Scope::Organisation, "", 100_000_00) }).await.unwrap();
        let steps: [(i64, &[&str]); 7] = [
            (2_00, &["first_charge"]),
            (900_00, &[]), // four before it are too few
            (2_00, &[]),
            (2_00, &[]),
            (2_00, &[]),
            (10_00, &[]), // five times the median of 2.00 is not above it
            (10_01, &["unusual_charge"]),
        ];
        let mut known = 0;
        for (n, (minor, expected)) in steps.into_iter().enumerate() {
            world.clock.advance_secs(1);
            world.buys(&format!("k{n}"), minor).await;
            let kinds = world.kinds().await;
            assert_eq!(&kinds[known..], expected, "charge {n}");
            known = kinds.len();
        }
    })
    .await;
}

#[tokio::test]
async fn a_pace_that_will_not_last_and_money_that_goes_fast_are_each_told_once() {
    each_engine(TABLES, |db| async move {
        // 23 November: 22.5 of 30 days are over
        let world = World::new(db, 1_000_00).await;
        world.budget(world.plan(Scope::Organisation, "", 100_00)).await.unwrap();
        world.buys("a", 40_00).await;
        assert_eq!(world.kinds().await, Vec::<&str>::new(), "40 by now is 53.34 by the end");
        world.clock.advance_secs(3 * 86_400);
        let hold = world.place(&world.purchase("plan", vec![World::line("a", 20_00, Recurs::Month)])).await.unwrap();
        let plain = world.issue(&hold).await;
        world.charge(World::ask("plan", &plain, &hold, "a", 20_00)).await;
        assert_eq!(world.kinds().await, ["budget_threshold"], "a subscription is no pace: 60 and 40 * 4.5 / 25.5 more");
        let view = world.views().await.remove(0);
        assert_eq!((view.spent, view.forecast), (usd(60_00), Some(usd(67_06))));
        world.clock.advance_secs(2 * 86_400);
        for key in ["b", "c", "d"] {
            world.buys(key, 9_00).await;
        }
        let mut kinds = world.kinds().await.split_off(1);
        kinds.sort_unstable();
        assert_eq!(
            kinds,
            ["budget_burn", "budget_threshold"],
            "27 within a thirtieth of the period; 87 and 67 * 2.5 / 27.5 more is below 100"
        );
        world.buys("e", 12_00).await;
        let forecasts = world.kinds().await.iter().filter(|kind| **kind == "budget_forecast").count();
        assert_eq!(forecasts, 1);
        world.buys("f", 50).await;
        assert_eq!(world.kinds().await.iter().filter(|kind| **kind == "budget_forecast").count(), 1);
    })
    .await;
}

#[tokio::test]
async fn what_others_set_aside_counts_before_a_person_is_asked() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 1_000_00).await;
        let (agent, grant) = (world.spender.agent.to_string(), world.grant.to_string());
        let scopes = [
            (Scope::Organisation, ""),
            (Scope::Project, "shop"),
            (Scope::Environment, "shop/production"),
            (Scope::Agent, &agent),
            (Scope::Grant, &grant),
            (Scope::Provider, "slipway"),
            (Scope::Category, "hosting"),
        ];
        for (n, (scope, subject)) in scopes.into_iter().enumerate() {
            let asks = BudgetSet { action: Action::RequireApproval, ..world.plan(scope, subject, 10_00) };
            world.budget(asks.clone()).await.unwrap();
            let (hold, _) = world.held(&format!("a{n}"), 6_00).await;
            assert!(world.gate(4_00).await.is_none(), "{scope:?}");
            let waits = world.gate(4_01).await.expect("it would pass the budget");
            assert_eq!((waits.spent, waits.held, waits.passing), (usd(0), usd(6_00), Some(usd(4_01))), "{scope:?}");
            // one that freezes lets the purchase through that reaches it, and none after that
            world.budget(BudgetSet { action: Action::Freeze, ..asks.clone() }).await.unwrap();
            assert!(world.gate(4_01).await.is_none(), "{scope:?}");
            let (more, _) = world.held(&format!("b{n}"), 4_00).await;
            let waits = world.gate(1).await.expect("it is reached");
            assert_eq!((waits.held, waits.passing), (usd(10_00), None), "{scope:?}");
            world.release(&hold).await;
            world.release(&more).await;
            assert!(world.gate(9_00).await.is_none(), "{scope:?}");
            world.budget(BudgetSet { action: Action::Notify, ..asks }).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn a_budget_that_will_not_last_is_told_when_nothing_more_is_charged() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 1_000_00).await;
        world.clock.advance_secs(8 * 86_400); // 1 December
        world.budget(world.plan(Scope::Organisation, "", 100_00)).await.unwrap();
        world.buys("a", 40_00).await;
        assert_eq!(world.look_ahead().await, 1);
        assert_eq!(world.kinds().await, Vec::<&str>::new(), "less than a tenth of the month is over");
        world.clock.advance_secs(3 * 86_400);
        assert_eq!((world.look_ahead().await, world.look_ahead().await), (1, 0), "once in a while");
        assert_eq!(world.kinds().await, ["budget_forecast"]);
        world.clock.advance_secs(86_400);
        assert_eq!(world.look_ahead().await, 1);
        assert_eq!(world.kinds().await, ["budget_forecast"], "it is told again");
    })
    .await;
}

#[tokio::test]
async fn a_budget_that_freezes_and_is_spent_when_it_is_set_freezes_whose_charges_those_were() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 1_000_00).await;
        world.buys("a", 9_00).await;
        let set = async |plan: BudgetSet| {
            let (world, db) = (world.clone(), world.db.clone());
            let write = db.write(move |tx| budget::set(tx, &world.env, &world.person_permit::<Plan>(Role::Billing), &plan));
            let jobs = write.await.unwrap().jobs;
            let freezes = jobs.into_iter().filter(|job| job.kind == budget::watch::FREEZE_JOB);
            freezes.map(|job| job.payload["agent"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let plan = BudgetSet { action: Action::Freeze, ..world.plan(Scope::Project, "shop", 9_00) };
        assert_eq!(set(BudgetSet { amount: usd(9_01), ..plan.clone() }).await, Vec::<String>::new());
        assert_eq!(set(plan.clone()).await, [world.spender.agent.to_string()]);
        assert_eq!(set(plan.clone()).await, Vec::<String>::new(), "once");
        assert_eq!(set(BudgetSet { subject: "blog".to_owned(), ..plan }).await, Vec::<String>::new());
    })
    .await;
}

#[tokio::test]
async fn a_charge_that_stands_out_is_told_where_there_is_no_budget() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 10_000_00).await;
        world.buys("first", 2_00).await;
        assert_eq!(world.kinds().await, ["first_charge"]);
        for n in 0..5 {
            world.clock.advance_secs(1);
            world.buys(&format!("k{n}"), 2_00).await;
        }
        world.clock.advance_secs(1);
        world.buys("dear", 10_01).await;
        assert_eq!(world.kinds().await, ["first_charge", "unusual_charge"]);
        world.budget(world.plan(Scope::Organisation, "", 1_000_00)).await.unwrap();
        world.clock.advance_secs(1);
        world.buys("dearer", 60_00).await;
        assert_eq!(world.kinds().await.len(), 2, "whoever does not want it is not told");
    })
    .await;
}

#[tokio::test]
async fn a_threshold_has_decimals() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 1_000_00).await;
        let plan = BudgetSet { thresholds: vec!["66.5".parse().unwrap()], ..world.plan(Scope::Organisation, "", 300_00) };
        world.budget(plan).await.unwrap();
        world.buys("a", 199_49).await;
        assert_eq!(world.kinds().await.iter().filter(|kind| **kind == "budget_threshold").count(), 0);
        world.buys("b", 1).await;
        let told = world.alerts().await.into_iter().find(|alert| alert.cause.kind() == "budget_threshold").unwrap();
        assert_eq!(told.cause.headline(), "66.5 % of the budget for the organisation is spent");
        assert_eq!(serde_json::json!(told)["threshold_percent"], serde_json::json!(66.5));
        assert_eq!(world.views().await[0].budget.thresholds, ["66.5".parse().unwrap()]);
    })
    .await;
}
