//! What banks and cardholders do to a charge: a person who has to be there, a dispute afterwards, a card set up on the rail's page.

use crate::world::{TABLES, World, usd};
use purser_authority::Role;
use purser_authority::action::{ChargebackLift, PaymentMethodSet};
use purser_db::testing::each_engine;
use purser_db::{DbError, Tx, params};
use purser_spend::charge::{self, ChargeState, ChargeStep, Receipt};
use purser_spend::hold::{Hold, HoldError};
use purser_spend::method::{self, MethodError, MethodState, setup};
use purser_spend::rail::sandbox::{SandboxCard, SandboxRail, bank_answer, bank_question, choose};
use purser_spend::rail::{
    ChargebackState, Confirmation, EVENT_JOB, Rail as _, RailEvent, RailNews, RailOrder, RailOutcome, SetupOrder, take,
};
use purser_spend::{chargeback, limits};
use purser_values::Secret;
use purser_values::id::ChargeId;

fn rail(world: &World) -> SandboxRail {
    SandboxRail::new(world.db.clone(), world.env.clone(), "https://purser.test")
}

/// A charge on a card whose bank wants to see the person at every payment.
async fn waiting(world: &World) -> (Hold, Secret<String>, Receipt, RailOrder) {
    world.clock.advance_secs(1);
    world.card(SandboxCard::AlwaysAuthenticates).await;
    let (hold, plain) = world.held("a", 5_00).await;
    let receipt = world.charge(World::ask("k", &plain, &hold, "a", 5_00)).await;
    let id = receipt.id.clone();
    let order = world.db.read(move |tx| charge::order(tx, &id)).await.unwrap().unwrap();
    (hold, plain, receipt, order)
}

async fn answer(world: &World, charge: &ChargeId, yes: bool) {
    let charge = charge.clone();
    world.db.write::<_, DbError, _>(move |tx| bank_answer(tx, &charge, yes)).await.unwrap();
}

/// The kinds of the jobs that wait, one for each.
async fn jobs(world: &World) -> Vec<String> {
    let read = |tx: &mut Tx<'_>| tx.query("select kind from job order by kind", params![])?.iter().map(|row| row.get("kind")).collect();
    world.db.read::<Vec<String>, DbError, _>(read).await.unwrap()
}

#[tokio::test]
async fn a_charge_waits_for_its_person_at_the_bank_and_the_same_charge_goes_on() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 100_00).await;
        let (hold, plain, receipt, order) = waiting(&world).await;
        assert_eq!((receipt.state, receipt.code.as_deref()), (ChargeState::RequiresAction, Some("requires_action")));
        assert_eq!(world.position("slipway").await, (100_00, 0, 5_00, 95_00), "the money stays held");
        let again = world.charge(World::ask("k", &plain, &hold, "a", 5_00)).await;
        assert_eq!(again, receipt, "the provider that asks again learns that it is still pending");
        let rival = world.charge(World::ask("k2", &plain, &hold, "a", 5_00)).await;
        assert_eq!(rival.code.as_deref(), Some("line_busy"), "nothing slips in between");
        let told = world.statement().await.waiting;
        assert_eq!((told.len(), told[0].amount, told[0].until), (1, usd(5_00), world.env.now().plus_secs(limits::CONFIRM_PATIENCE_S)));

        let page = rail(&world).confirm(&order, "https://purser.test/back").await.unwrap();
        assert!(matches!(&page, Confirmation::Page { url } if url.ends_with(order.charge.as_str())), "{page:?}");
        let asked = order.charge.clone();
        let question = world.db.read(move |tx| bank_question(tx, &asked)).await.unwrap().unwrap();
        assert_eq!((question.amount, question.last4.as_str()), (usd(5_00), "3184"));
        // Hours later: neither the hold nor its token has run out meanwhile.
        world.clock.advance_secs(limits::HOLD_LIFE_S * 3);
        assert_eq!(world.expire().await, 0);
        answer(&world, &order.charge, true).await;
        let outcome = rail(&world).capture(&order).await.unwrap();
        assert!(matches!(outcome, RailOutcome::Captured { .. }));
        assert_eq!(world.finish(&order.charge, outcome.clone()).await.value.state, ChargeState::Succeeded);
        assert!(world.finish(&order.charge, outcome).await.events.is_empty(), "the page and the rail's message both come; one counts");
        let learned = world.charge(World::ask("k", &plain, &hold, "a", 5_00)).await;
        assert_eq!((learned.state, learned.id), (ChargeState::Succeeded, receipt.id));
        assert!(world.statement().await.waiting.is_empty());
        assert_eq!(world.position("slipway").await, (100_00, 5_00, 0, 95_00));
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn a_no_at_the_bank_and_a_person_who_never_comes_both_give_the_money_back() {
    for person_says_no in [true, false] {
        each_engine(TABLES, |db| async move {
            let world = World::new(db, 100_00).await;
            let (_, _, _, order) = waiting(&world).await;
            let code = if person_says_no {
                answer(&world, &order.charge, false).await;
                "authentication_failed"
            } else {
                world.clock.advance_secs(limits::CONFIRM_PATIENCE_S);
                "confirmation_expired"
            };
            let outcome = rail(&world).cancel(&order).await.unwrap();
            let receipt = world.finish(&order.charge, outcome).await.value;
            assert_eq!((receipt.state, receipt.code.as_deref()), (ChargeState::Declined, Some(code)));
            answer(&world, &order.charge, true).await;
            assert!(matches!(rail(&world).capture(&order).await.unwrap(), RailOutcome::Declined { .. }), "the first answer stands");
            world.clock.advance_secs(limits::CONFIRM_PATIENCE_S);
            world.expire().await;
            assert_eq!(world.position("slipway").await, (100_00, 0, 0, 100_00));
            world.is_sound().await;
        })
        .await;
    }
}

#[tokio::test]
async fn undoing_the_order_ends_the_wait_and_a_person_who_was_faster_has_paid() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 100_00).await;
        let (hold, _, _, order) = waiting(&world).await;
        let (env, id) = (world.env.clone(), hold.id.clone());
        let write = world.db.write(move |tx| purser_spend::hold::release(tx, &env, &purser_authority::Caller::System, &id));
        let jobs: Vec<&str> = write.await.unwrap().jobs.iter().map(|job| job.kind).collect();
        assert_eq!(jobs, [charge::RESUME_JOB], "the rail is told");
        let asked = order.charge.clone();
        let until = world.db.read(move |tx| charge::waits_until(tx, &asked)).await.unwrap().unwrap();
        assert!(until <= world.env.now());
        answer(&world, &order.charge, true).await;
        let outcome = rail(&world).cancel(&order).await.unwrap();
        assert!(matches!(outcome, RailOutcome::Captured { .. }));
        world.finish(&order.charge, outcome).await.value.state.is_open().then(|| panic!("it has ended"));
        assert_eq!(world.position("slipway").await.1, 5_00, "what was paid is in the books, to be given back as a refund");
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn a_card_that_asks_once_pays_by_itself_afterwards() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 100_00).await;
        world.clock.advance_secs(1);
        let card = world.card(SandboxCard::WantsAuthentication).await;
        let (hold, plain) = world.held("a", 5_00).await;
        let ChargeStep::Capture(order) = world.begin(World::ask("k", &plain, &hold, "a", 5_00)).await.unwrap() else { panic!() };
        assert_eq!(rail(&world).capture(&order).await.unwrap(), RailOutcome::RequiresAction);
        answer(&world, &order.charge, true).await;
        let outcome = rail(&world).capture(&order).await.unwrap();
        drop(world.finish(&order.charge, outcome).await);
        let organisation = world.spender.organisation.clone();
        let now = world.db.read(move |tx| method::current(tx, &organisation)).await.unwrap().unwrap();
        assert_eq!((now.id, now.state), (card.id, MethodState::Active));
        let (hold, plain) = world.held("b", 5_00).await;
        assert_eq!(world.charge(World::ask("k2", &plain, &hold, "a", 5_00)).await.state, ChargeState::Succeeded);
    })
    .await;
}

#[tokio::test]
async fn a_dispute_stops_that_card_at_that_provider_until_it_is_won_or_a_person_lifts_it() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 100_00).await;
        world.clock.advance_secs(1);
        let card = world.card(SandboxCard::DisputesLater).await;
        let (hold, plain) = world.held("a", 5_00).await;
        let (second, second_plain) = world.held("b", 5_00).await;
        let paid = world.charge(World::ask("k", &plain, &hold, "a", 5_00)).await;
        assert_eq!(paid.state, ChargeState::Succeeded, "it disputes later");
        assert!(jobs(&world).await.contains(&EVENT_JOB.to_owned()), "the rail's message is on its way");

        let payload = world.db.read::<_, DbError, _>(|tx| {
            tx.query_one("select payload from job where kind = 'rail_event'", params![])?.get::<String>("payload")
        });
        let event: RailEvent = serde_json::from_str(&payload.await.unwrap()).unwrap();
        let RailNews::Chargeback(news) = event.news.clone() else { panic!("{event:?}") };
        let record = async |news: &purser_spend::rail::Chargeback| {
            let (env, news) = (world.env.clone(), news.clone());
            world.db.write(move |tx| chargeback::record(tx, &env, "sandbox", &news)).await.unwrap()
        };
        assert_eq!(record(&news).await.jobs.len(), 1, "people are told");
        assert!(record(&news).await.events.is_empty(), "twice is once");

        let refused = world.charge(World::ask("k2", &second_plain, &second, "a", 5_00)).await;
        assert_eq!((refused.state, refused.code.as_deref()), (ChargeState::Refused, Some("payment_disputed")));
        assert!(matches!(world.place(&world.one("c", 1_00)).await.unwrap_err(), HoldError::PaymentDisputed { .. }));
        let mut elsewhere = world.one("d", 1_00);
        elsewhere.provider = "other".parse().unwrap();
        world.place(&elsewhere).await.unwrap();
        let listed = world.statement().await.chargebacks;
        assert_eq!((listed.len(), listed[0].stops, listed[0].state), (1, true, ChargebackState::Open));

        // A person lifts it; another organisation's person cannot.
        let lift = async |by: &World| {
            let (env, id, by) = (world.env.clone(), card.id.clone(), by.clone());
            let provider = "slipway".parse().unwrap();
            let permit = move || by.person_permit::<ChargebackLift>(Role::Billing);
            world.db.write(move |tx| chargeback::lift(tx, &env, &permit(), &id, &provider)).await
        };
        let stranger = World::bare(world.db.clone(), 99);
        assert!(matches!(lift(&stranger).await.unwrap_err(), MethodError::Denied(_)));
        drop(lift(&world).await.unwrap());
        assert_eq!(world.charge(World::ask("k3", &second_plain, &second, "a", 5_00)).await.state, ChargeState::Succeeded);

        // Out of order: the end is never undone by a beginning that comes late.
        let (mut won, open) = (news.clone(), news.clone());
        won.state = ChargebackState::Won;
        assert_eq!(record(&won).await.jobs.len(), 1);
        assert!(record(&open).await.jobs.is_empty());
        assert_eq!(world.statement().await.chargebacks[0].state, ChargebackState::Won);
        let unknown = purser_spend::rail::Chargeback { capture: "nobody's".to_owned(), ..news };
        assert!(!record(&unknown).await.value, "what is no charge of ours is nothing to us");
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn a_message_of_the_rail_is_taken_once() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 100_00).await;
        let event = RailEvent { rail: "stripe".to_owned(), id: "evt_1".to_owned(), news: RailNews::Charge(ChargeId::mint(&world.env)) };
        for first in [true, false] {
            let (env, event) = (world.env.clone(), event.clone());
            let taken = world.db.write::<_, DbError, _>(move |tx| take(tx, &env, &event)).await.unwrap();
            assert_eq!(taken.is_some(), first);
        }
    })
    .await;
}

#[tokio::test]
async fn a_card_is_set_up_on_the_rails_page_and_added_once() {
    each_engine(TABLES, |db| async move {
        let world = World::bare(db, 7);
        let organisation = world.spender.organisation.clone();
        let opening = world.clone();
        let open = world.db.write(move |tx| {
            let permit = opening.person_permit::<PaymentMethodSet>(Role::Owner);
            setup::open(tx, &opening.env, &permit, &opening.spender.organisation, "sandbox")
        });
        let id = open.await.unwrap().value;
        let order = SetupOrder { setup: id.clone(), organisation: organisation.clone(), back: "https://purser.test/card".to_owned() };
        let page = rail(&world).set_up(&order).await.unwrap();
        assert_eq!(rail(&world).set_up(&order).await.unwrap(), page, "the same setup is one page");
        let (env, at, of) = (world.env.clone(), page.reference.clone(), id.clone());
        let choose = world.db.write::<_, DbError, _>(move |tx| {
            setup::opened(tx, &of, &at)?;
            choose(tx, &env, &at, SandboxCard::Pays)
        });
        assert_eq!(choose.await.unwrap().as_deref(), Some("https://purser.test/card"));
        for round in 0..2 {
            let outcome = rail(&world).set_up_outcome(&page.reference).await.unwrap();
            let (env, of) = (world.env.clone(), id.clone());
            let added = world.db.write(move |tx| setup::finish(tx, &env, &of, &outcome)).await.unwrap().value;
            assert_eq!(added.map(|method| method.last4), (round == 0).then(|| "4242".to_owned()));
        }
        let listed = world.db.read(move |tx| method::list(tx, &organisation)).await.unwrap();
        assert_eq!(listed.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_payment_token_after_its_time_is_refused_by_name_and_recorded() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 100_00).await;
        let (hold, plain) = world.held("a", 5_00).await;
        world.clock.advance_secs(limits::HOLD_LIFE_S);
        let late = world.charge(World::ask("k", &plain, &hold, "a", 5_00)).await;
        assert_eq!((late.state, late.code.as_deref()), (ChargeState::Refused, Some("payment_token_expired")));
        let recorded =
            world.db.read::<_, DbError, _>(|tx| tx.query_one("select code from spend_dispute", params![])?.get::<String>("code"));
        assert_eq!(recorded.await.unwrap(), "payment_token_expired");
    })
    .await;
}
