//! Applications for credit: who may ask, who decides, what is kept; and what people are told before a credit ends.

use crate::world::{TABLES, World, usd};
use purser_authority::action::{CreditApply, CreditDecide};
use purser_authority::{Caller, Done, Facts, Permit, Role, authorise};
use purser_crypto::seal::Keyring;
use purser_db::testing::each_engine;
use purser_db::{DbError, params};
use purser_spend::credit::{
    self, Application, Asked, Balance, CreditError, Decider, Forecast, Programme, Redeemed, Standing, State, programmes_keep, redeemed,
};
use purser_spend::quote::Recurs;
use purser_values::id::{CreditApplicationId, OrganisationId, PersonId};
use purser_values::{Secret, Sha256Digest, Timestamp};

const EVIDENCE: &str = "founded last month\nsee the register";
const OPERATOR: Decider = Decider { is_named: true, is_member: false };

fn keyring() -> Keyring {
    Keyring::from_bytes(&Secret::new([7; 32])).unwrap()
}

struct Desk(World);

impl Desk {
    async fn new(db: purser_db::Db) -> Self {
        let world = World::new(db, 100_00).await;
        let programme = Programme {
            provider: "slipway".parse().unwrap(),
            id: "start-up".to_owned(),
            title: "Start-up".to_owned(),
            description: String::new(),
            amount: usd(100_000_00),
            months: 12,
            covers: vec!["plans".to_owned()],
        };
        let now = world.env.now();
        let keep = move |tx: &mut purser_db::Tx<'_>| programmes_keep(tx, &programme.provider, std::slice::from_ref(&programme), now);
        world.db.write::<_, DbError, _>(keep).await.unwrap();
        Self(world)
    }

    async fn apply_as(
        &self,
        permit: fn(&World) -> Permit<CreditApply>,
        programme: &str,
        evidence: &str,
    ) -> Result<Done<Application>, CreditError> {
        let (world, asked) =
            (self.0.clone(), Asked { provider: "slipway".parse().unwrap(), programme: programme.into(), evidence: evidence.into() });
        self.0.db.write(move |tx| credit::apply(tx, &world.env, &keyring(), &permit(&world), &asked)).await
    }

    async fn apply(&self) -> Result<Done<Application>, CreditError> {
        self.apply_as(World::agent_permit, "start-up", EVIDENCE).await
    }

    /// A person of another organisation, who was there just now.
    async fn decide(
        &self,
        id: &CreditApplicationId,
        by: Decider,
        yes: bool,
        shown: &str,
        reason: &str,
    ) -> Result<Done<Application>, CreditError> {
        let (env, id, shown, reason) = (self.0.env.clone(), id.clone(), Sha256Digest::of(shown.as_bytes()), reason.to_owned());
        let caller = Caller::Person {
            person: PersonId::mint(&env),
            organisation: OrganisationId::mint(&env),
            role: Role::Auditor,
            present_at: Some(env.now()),
        };
        let write = self.0.db.write(move |tx| {
            let permit = authorise::<CreditDecide>(&caller, &Facts::new(env.now(), id.as_str()))?;
            credit::decide(tx, &env, &permit, by, yes, &shown, &reason)
        });
        write.await
    }

    async fn state(&self, id: &CreditApplicationId) -> State {
        let id = id.clone();
        self.0.db.read(move |tx| credit::find(tx, &id)).await.unwrap().unwrap().state
    }

    async fn say(&self, left: i64, ends_at: Timestamp, state: &str) -> usize {
        let (env, organisation) = (self.0.env.clone(), self.0.spender.organisation.clone());
        let one = Standing {
            id: "crd_1".into(),
            programme: "start-up".into(),
            state: state.into(),
            given: usd(100_00),
            left: usd(left),
            held: None,
            redeemed_at: env.now(),
            expires_at: "2028-01-01T00:00:00Z".parse().unwrap(),
            covers: vec![],
        };
        let forecast = Forecast { ends_at, why: "exhausted".into(), first_payment: None, monthly: usd(5_00) };
        let balance = Balance { provider: "slipway".parse().unwrap(), credits: vec![one], forecast: Some(forecast), read_at: env.now() };
        self.0.db.write(move |tx| credit::record(tx, &env, &organisation, &balance)).await.unwrap().jobs.len()
    }
}

#[tokio::test]
async fn an_agent_asks_a_person_of_the_operator_decides_once_and_what_was_said_stays_sealed() {
    each_engine(TABLES, |db| async move {
        let (desk, long) = (Desk::new(db).await, "x".repeat(4_001));
        for (programme, evidence, code) in [
            ("lunch", "x", "unknown"),
            ("start-up", "", "evidence"),
            ("start-up", "a\u{7}b", "evidence"),
            ("start-up", long.as_str(), "evidence"),
        ] {
            let refused = desk.apply_as(World::agent_permit, programme, evidence).await.unwrap_err();
            let as_told =
                matches!((code, &refused), ("unknown", CreditError::ProgrammeUnknown { .. }) | ("evidence", CreditError::Evidence));
            assert!(as_told, "{programme}: {refused}");
        }
        let asked = desk.apply().await.unwrap();
        let (id, event) = (asked.value.id.clone(), format!("{:?}", asked.events));
        assert!(event.contains("evidence_sha256") && !event.contains("register"), "{event}");
        assert!(matches!(desk.apply().await, Err(CreditError::AppliedBefore(before)) if before == id));
        let kept = "select evidence from credit_application";
        let kept: Vec<u8> = desk.0.db.read::<_, DbError, _>(move |tx| tx.query_one(kept, params![])?.get("evidence")).await.unwrap();
        assert!(!String::from_utf8_lossy(&kept).contains("register"));
        let of = id.clone();
        assert_eq!(desk.0.db.read(move |tx| credit::evidence(tx, &keyring(), &of)).await.unwrap(), EVIDENCE);

        let nobody = Decider { is_named: false, ..OPERATOR };
        assert!(matches!(desk.decide(&id, nobody, true, EVIDENCE, "").await, Err(CreditError::NotTheOperator)));
        let own = Decider { is_member: true, ..OPERATOR };
        assert!(matches!(desk.decide(&id, own, true, EVIDENCE, "").await, Err(CreditError::OwnApplication)));
        assert!(matches!(desk.decide(&id, OPERATOR, true, "something else", "").await, Err(CreditError::Unknown)));
        assert!(matches!(desk.decide(&id, OPERATOR, false, EVIDENCE, " ").await, Err(CreditError::Reason)), "a no needs a reason");
        assert_eq!(desk.state(&id).await, State::Pending);
        let decided = desk.decide(&id, OPERATOR, true, EVIDENCE, "").await.unwrap();
        assert_eq!((decided.value.state, decided.jobs.len(), decided.events.len()), (State::Approved, 1, 1));
        assert!(matches!(desk.decide(&id, OPERATOR, false, EVIDENCE, "no").await, Err(CreditError::Decided)));
        // the first answer of the provider counts
        for (answer, first) in [(Redeemed::Given, true), (Redeemed::Refused { code: "x".into(), message: "y".into() }, false)] {
            let (env, of) = (desk.0.env.clone(), id.clone());
            assert_eq!(desk.0.db.write(move |tx| redeemed(tx, &env, &of, &answer)).await.unwrap().value, first);
        }
        assert_eq!(desk.state(&id).await, State::Redeemed);
        assert!(desk.apply().await.is_err(), "what was given is not asked for again");
    })
    .await;
}

#[tokio::test]
async fn an_agent_never_decides_and_a_person_only_just_after_they_proved_that_it_is_they() {
    each_engine(TABLES, |db| async move {
        let desk = Desk::new(db).await;
        let now = desk.0.env.now();
        assert!(authorise::<CreditDecide>(&desk.0.agent(), &Facts::new(now, "x")).is_err());
        let Caller::Person { person, organisation, role, .. } = desk.0.person(Role::Owner) else { panic!("no person") };
        let long_ago = Caller::Person { person, organisation, role, present_at: Some(now.plus_secs(-301)) };
        assert!(authorise::<CreditDecide>(&long_ago, &Facts::new(now, "x")).is_err());
        // who asked as a person does not decide either, although the operator names them
        let asked = desk.apply_as(|world| world.person_permit(Role::Owner), "start-up", EVIDENCE).await.unwrap().value;
        let (world, id) = (desk.0.clone(), asked.id.clone());
        let own = desk.0.db.write(move |tx| {
            let permit = authorise::<CreditDecide>(&world.person(Role::Owner), &Facts::new(world.env.now(), id.as_str()))?;
            credit::decide(tx, &world.env, &permit, OPERATOR, true, &Sha256Digest::of(EVIDENCE.as_bytes()), "")
        });
        assert!(matches!(own.await, Err(CreditError::OwnApplication)));
        let denied = desk.decide(&asked.id, OPERATOR, false, EVIDENCE, "not a company").await.unwrap();
        assert_eq!((denied.value.state, denied.jobs.len()), (State::Denied, 0));
        assert!(desk.apply().await.is_ok(), "after a no it can be asked for anew");
        let auditor = desk.0.person(Role::Auditor);
        assert!(authorise::<CreditApply>(&auditor, &Facts::new(now, "x")).is_err(), "an auditor asks for nothing");
    })
    .await;
}

#[tokio::test]
async fn people_are_told_thirty_and_seven_days_before_a_credit_ends_and_when_it_has_each_once() {
    each_engine(TABLES, |db| async move {
        let desk = Desk::new(db).await;
        let now = desk.0.env.now();
        assert_eq!(desk.say(90_00, now.plus_secs(31 * 86_400), "active").await, 0);
        for (days, jobs) in [(30, 1), (29, 0), (8, 0), (7, 1), (1, 0), (6, 0), (31, 0)] {
            assert_eq!(desk.say(50_00, now.plus_secs(days * 86_400), "active").await, jobs, "{days} days before");
        }
        assert_eq!((desk.say(0, now, "used").await, desk.say(0, now, "used").await), (1, 0));
        let (organisation, provider) = (desk.0.spender.organisation.clone(), "slipway".parse().unwrap());
        let left = desk.0.db.read(move |tx| credit::left(tx, &organisation, &provider, purser_values::Currency::USD, now)).await;
        assert_eq!(left.unwrap(), usd(0));
    })
    .await;
}

#[tokio::test]
async fn what_a_credit_pays_in_whole_takes_no_room_and_what_nobody_credits_must_cost_something() {
    each_engine(TABLES, |db| async move {
        let desk = Desk::new(db).await;
        let world = &desk.0;
        world.set_cap(None, 1_00).await;
        let mut purchase = world.purchase("k1", vec![World::line("plan", 0, Recurs::Month)]);
        assert!(world.place(&purchase).await.is_err(), "there is nothing to pay, and nobody says why");
        purchase.by_credit.insert("plan".to_owned(), usd(5_00));
        let hold = world.place(&purchase).await.unwrap();
        assert_eq!(hold.amount, usd(0));
        let token = world.issue(&hold).await;
        // the provider charges all the same, before anything is due
        let receipt = world.charge(World::ask("c1", &token, &hold, "plan", 1)).await;
        assert_eq!(receipt.code.as_deref(), Some("line_charged"));
        world.is_sound().await;
    })
    .await;
}
