//! `kill -9` of either half at many moments of the story, and of everything at once: what was begun is finished or undone, nothing
//! is paid twice, nothing is orphaned, and what was live is live again.

use std::time::Duration;

use purser_tests::system::Half;
use purser_tests::{Agent, Ask, Choice, Envelope, Person, System, World, processes, site, store};
use serde_json::Value;

/// Stories that are told, each by a new person; and the operations of each, one kill for every one of them.
const ROUNDS: usize = 6;
const OPERATIONS: usize = 7;
/// Tries until an operation must have succeeded.
const TRIES: usize = 15;
/// What one story costs: a plan and two domains, in cents.
const PAID: i64 = 500 + 2 * 915;

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_every_operation_ends_once_and_what_was_live_is_live_again() {
    let Some(mut world) = World::start().await else { return };
    let mut kills = 0;
    for round in 0..ROUNDS {
        let mut ada = world.person(&format!("ada{round}"));
        let agent = world.agent(&format!("wreck{round}"));
        login_through_a_crash(&world, &agent, &mut ada).await;
        let mut story = Story { world: &world, agent: &agent, round, kills: 0 };
        story.tell().await;
        kills += story.kills;
        settle(&world).await;
        the_books_say_once(&world, &agent, round + 1).await;
        world = everything_dies_and_comes_back(world, &agent, round).await;
    }
    assert!(kills >= 40, "only {kills} kills hit a running process");
}

/// The orchestrator dies while the agent waits for its person, and again right after the person has accepted.
async fn login_through_a_crash(world: &World, agent: &Agent, ada: &mut Person) {
    ada.open("/agents").await;
    let killer = async {
        let waiting = agent.home.join("login.json");
        processes::until("the request", Duration::from_secs(20), async || waiting.exists().then_some(())).await;
        assert!(world.system.kill(Half::Orchestrator));
    };
    let choice = Choice::USUAL;
    let login = agent.login_when(ada, Ask::ALL, &choice, async || {
        tokio::time::sleep(Duration::from_millis(50)).await;
        world.system.await_healthy().await;
    });
    let (granted, ()) = tokio::join!(login, killer);
    assert!(granted["grant"]["id"].is_string(), "{granted}");
}

struct Story<'a> {
    world: &'a World,
    agent: &'a Agent,
    round: usize,
    kills: usize,
}

impl Story<'_> {
    async fn tell(&mut self) {
        let (name, round) = (self.agent.project.clone(), self.round);
        self.agent.must(&["init", &name]).await;
        let domain = |n: usize| format!(r#"{{"domain":"wreck{round}-{n}.test"}}"#);
        let (first, second, host) = (domain(1), domain(2), format!("wreck{round}-1.test"));
        self.survive(0, &["add", "slipway/workers:paid", "--name", "plan"]).await;
        self.survive(1, &["add", "slipway/registrar:domain", "--name", "first", "--config", &first]).await;
        self.survive(2, &["add", "slipway/workers", "--name", "workers"]).await;
        site::write_worker(&self.agent.site, &format!("round {round} one"));
        self.survive(3, &["deploy", ".", "--domain", &host]).await;
        self.survive(4, &["add", "slipway/registrar:domain", "--name", "second", "--config", &second]).await;
        site::write_worker(&self.agent.site, &format!("round {round} two"));
        self.survive(5, &["deploy", ".", "--domain", &host]).await;
        self.survive(6, &["rotate", "workers"]).await;
        site::await_live(&self.world.system.run, &host, "/", &format!("round {round} two")).await;
    }

    /// Runs a command, kills a half some milliseconds after it began, and repeats the command until it succeeds.
    async fn survive(&mut self, number: usize, arguments: &[&str]) {
        let half = if (self.round + number).is_multiple_of(2) { Half::Orchestrator } else { Half::Cloud };
        // all moments of an operation, in steps that differ from round to round
        let after = Duration::from_millis((self.round * 23 + number * 11) as u64 % 140);
        let mut key = format!("{}-{number}", self.agent.project);
        let mut said = Vec::new();
        for attempt in 0..TRIES {
            // every other round repeats by name alone, as an agent would that lost the key
            let keyed = ["--idempotency-key", &key];
            let all: Vec<&str> = if self.round.is_multiple_of(2) { [arguments, &keyed].concat() } else { arguments.to_vec() };
            let envelope = if attempt == 0 {
                let command = self.agent.run(&all);
                let kill = async {
                    tokio::time::sleep(after).await;
                    self.world.system.kill(half)
                };
                let (envelope, killed) = tokio::join!(command, kill);
                self.kills += usize::from(killed);
                envelope
            } else {
                self.agent.run(&all).await
            };
            if self.has_succeeded(&envelope).await {
                return;
            }
            if envelope.json["error"]["details"]["saga"]["state"] == "undone" {
                key = format!("{key}-again"); // the key's own answer is that it was undone
            }
            said.push(envelope.stdout);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!("`{}` never succeeded after a kill of {half:?} at {after:?}:\n{}", arguments.join(" "), said.join("\n"));
    }

    /// Done by this command, or by an earlier try of it that nobody heard the end of.
    async fn has_succeeded(&self, envelope: &Envelope) -> bool {
        if envelope.ok() {
            return envelope.data()["state"] == "done";
        }
        if envelope.code() != "resource_name_taken" {
            return false;
        }
        let status = self.agent.must(&["status"]).await;
        let wanted = |row: &Value| {
            envelope.json["error"]["message"].as_str().unwrap_or_default().contains(&format!("`{}`", row["name"].as_str().unwrap()))
        };
        status["resources"].as_array().unwrap().iter().any(|row| wanted(row) && row["state"] == "live")
    }
}

/// Waits until nothing is under way on either side.
async fn settle(world: &World) {
    world.system.await_healthy().await;
    let dir = world.system.dir.clone();
    processes::until("the end of all work", Duration::from_secs(60), async || {
        let sagas = store::number(&dir, "purser.db", "select count(*) as n from saga where status in ('running', 'undoing')").await;
        let charges = store::number(
            &dir,
            "slipway.db",
            "select count(*) as n from cloud_charge where state not in ('succeeded', 'refunded', 'refused')",
        )
        .await;
        (sagas + charges == 0).then_some(())
    })
    .await;
}

/// After so many stories: exactly so many of everything, on both sides.
async fn the_books_say_once(world: &World, agent: &Agent, stories: usize) {
    let dir = &world.system.dir;
    let stories = i64::try_from(stories).unwrap();
    let ours = async |sql| store::number(dir, "purser.db", sql).await;
    let theirs = async |sql| store::number(dir, "slipway.db", sql).await;
    assert_eq!(ours("select count(*) as n from saga where status = 'stuck'").await, 0, "a saga is stuck");
    assert_eq!(
        ours("select count(*) as n from resource where state not in ('live', 'failed')").await,
        0,
        "a resource is neither there nor gone"
    );
    assert_eq!(ours("select count(*) as n from deployment where state = 'intended'").await, 0, "a deployment has no end");
    assert_eq!(ours("select count(*) as n from account").await, stories);
    assert_eq!(theirs("select count(*) as n from cloud_account").await, stories, "an account too many at the provider");

    let live = ours("select count(*) as n from resource where state = 'live'").await;
    assert_eq!(live, 4 * stories);
    assert_eq!(
        theirs("select count(*) as n from cloud_resource where state in ('complete', 'pending')").await,
        live,
        "orphans at the provider"
    );
    assert_eq!(theirs("select count(*) as n from cloud_subscription where state = 'active'").await, stories);
    assert_eq!(theirs("select count(*) as n from domain where state = 'registered'").await, 2 * stories);
    assert_eq!(theirs("select count(*) as n from domain").await, 2 * stories);
    assert_eq!(
        theirs("select count(*) as n from api_token where revoked_at is null").await,
        stories,
        "a token that nobody has still works"
    );

    // What a kill undid after it was paid came back, whole, and was paid again.
    let kept = "select count(*) as n from spend_charge c where state = 'succeeded'
                and not exists (select 1 from spend_refund r where r.charge = c.id and r.state = 'succeeded')";
    assert_eq!(ours(kept).await, 3 * stories);
    assert_eq!(ours("select count(*) as n from spend_refund_due where state <> 'settled'").await, 0, "money is owed");
    assert_eq!(ours("select count(*) as n from spend_charge where state = 'begun'").await, 0);
    assert_eq!(
        ours(
            "select cast((select coalesce(sum(amount), 0) from rail_sandbox_charge)
                - (select coalesce(sum(amount), 0) from rail_sandbox_refund) as integer) as n",
        )
        .await,
        PAID * stories,
        "the card paid another sum"
    );
    let twice = ours(
        "select count(*) as n from (select 1 from spend_charge where state = 'succeeded' group by hold, line, period having count(*) > 1)",
    )
    .await;
    assert_eq!(twice, 0, "a quote line was paid twice");
    assert_eq!(store::ledger_faults(dir).await, Vec::<String>::new());
    let spend = agent.must(&["spend"]).await;
    let position = |what: &str| spend["providers"][0][what]["amount_minor"].as_i64().unwrap();
    assert_eq!((position("captured"), position("held")), (PAID, 0), "{spend}");
    agent.must(&["audit", "verify", "--data", dir.to_str().unwrap()]).await;
}

/// `kill -9` of the supervisor: nothing outlives it, and a new start on the same folder brings all of it back.
async fn everything_dies_and_comes_back(world: World, agent: &Agent, round: usize) -> World {
    let (binaries, dir, run) = (world.system.binaries.clone(), world.system.dir.clone(), world.system.run.clone());
    let below = world.system.processes();
    assert!(below.iter().any(|process| process.command.contains("workerd")), "no workerd runs: {below:?}");
    let (world, system) = world.without_system();
    let below = system.kill_all();
    processes::until("the end of every child and every workerd", Duration::from_secs(2), async || {
        (!below.iter().any(processes::Process::is_alive)).then_some(())
    })
    .await;
    let world = world.with(System::start(&binaries, &dir).await);
    assert_eq!(world.system.run, run, "the addresses have changed");
    for earlier in 0..=round {
        site::await_live(&run, &format!("wreck{earlier}-1.test"), "/", &format!("round {earlier} two")).await;
    }
    assert_eq!(agent.must(&["status"]).await["resources"].as_array().unwrap().iter().filter(|row| row["state"] == "live").count(), 4);
    world
}

const _: () = assert!(ROUNDS * OPERATIONS >= 40, "the suite promises forty kills");
