//! What the real server sends when a budget is reached: judged by the reference libraries, within two seconds, and once over a
//! `kill -9` between the crossing and the delivery.

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use http::{HeaderMap, StatusCode};
use purser_tests::processes::until;
use purser_tests::system::Half;
use purser_tests::{Agent, Ask, Choice, Person};
use serde_json::{Value, json};

use crate::bench::{Bench, all_well};

/// The promise: from the charge to the message.
const PROMISE: Duration = Duration::from_secs(2);
/// A restart and the first wait of a message that was not taken.
const PATIENCE: Duration = Duration::from_secs(40);

#[derive(Clone, Default)]
struct Receiver {
    got: Arc<Mutex<Vec<Message>>>,
    /// Answers that there is an error, as long as this is set.
    refuses: Arc<Mutex<bool>>,
    /// Never answers, as long as this is set.
    hangs: Arc<Mutex<bool>>,
}

#[derive(Clone)]
struct Message {
    id: String,
    headers: Value,
    body: String,
}

impl Message {
    fn said(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

impl Receiver {
    async fn start() -> (Self, String) {
        let receiver = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let take = |State(own): State<Self>, headers: HeaderMap, body: Bytes| async move {
            let text = |name: &str| headers[name].to_str().unwrap().to_owned();
            let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
            let kept = Value::Object(names.iter().map(|name| ((*name).to_owned(), json!(text(name)))).collect());
            let body = String::from_utf8(body.to_vec()).unwrap();
            own.got.lock().unwrap().push(Message { id: text("webhook-id"), headers: kept, body });
            let hangs = *own.hangs.lock().unwrap();
            if hangs {
                std::future::pending::<()>().await;
            }
            if *own.refuses.lock().unwrap() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::NO_CONTENT }
        };
        let router = Router::new().route("/hook", post(take)).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (receiver, address)
    }

    fn messages(&self) -> Vec<Message> {
        self.got.lock().unwrap().clone()
    }

    /// The thresholds that messages told, each as often as it came.
    fn thresholds(&self) -> Vec<i64> {
        let mut told: Vec<i64> =
            self.messages().iter().filter_map(|message| message.said()["data"]["threshold_percent"].as_i64()).collect();
        told.sort_unstable();
        told
    }
}

/// A person with a shell, an agent with a project, and a webhook with its secret.
async fn ready(bench: &Bench, hook: &str) -> (Person, Agent, Vec<(String, String)>, String) {
    let mut ada = Person::new(&bench.system, "ada");
    let agent = Agent::new(&bench.system, &bench.folder.path().join("agent"), "told");
    agent.login(&mut ada, Ask::ALL, &Choice::USUAL).await;
    agent.must(&["init", "told"]).await;
    let shell = agent.person_shell(&mut ada).await;
    let added = agent.run_with(&["webhook", "add", &format!("http://{hook}/hook")], &shell).await;
    assert!(added.ok(), "{} {}", added.stdout, added.stderr);
    let secret = added.data()["secret"].as_str().unwrap().to_owned();
    (ada, agent, shell, secret)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reference_libraries_verify_what_comes_within_two_seconds() {
    let (receiver, hook) = Receiver::start().await;
    let Some(bench) = Bench::start_with(&["--allow", &hook]).await else { return };
    let (ada, agent, shell, secret) = ready(&bench, &hook).await;
    let set = agent.run_with(&["budget", "set", "5.00", "--project", "told", "--threshold", "50,80,100", "--no-unusual"], &shell).await;
    assert!(set.ok(), "{} {}", set.stdout, set.stderr);
    agent.must(&["add", "slipway/workers:paid"]).await;
    let bought = Instant::now();
    until("three messages", PATIENCE, async || (receiver.messages().len() >= 3).then_some(())).await;
    assert!(bought.elapsed() < PROMISE, "the messages took {:?}", bought.elapsed());
    assert_eq!(receiver.thresholds(), [50, 80, 100]);
    until("three mails", PATIENCE, async || {
        (ada.mails().iter().filter(|mail| mail.contains("of the budget for the project told")).count() == 3).then_some(())
    })
    .await;
    let tried = agent.run_with(&["webhook", "test", &first_id(&agent, &shell).await], &shell).await;
    assert!(tried.ok(), "{}", tried.stdout);
    until("the test message", PATIENCE, async || (receiver.messages().len() >= 4).then_some(())).await;

    let lines = receiver.messages().into_iter().enumerate().map(|(n, message)| {
        let name = format!("{n} {}", message.said()["type"].as_str().unwrap());
        json!({ "name": name, "headers": message.headers, "body": message.body, "secret": secret }).to_string() + "\n"
    });
    fs::write(bench.folder.path().join("webhooks.jsonl"), lines.collect::<String>()).unwrap();
    all_well(&bench.node("webhooks.mjs", &[]).await, 20);
    all_well(&bench.python("webhooks.py").await, 20);
    assert_eq!(agent.refused(&["webhook", "list"]).await, "BROWSER_AUTH_REQUIRED");
    assert!(!bench.system.logs().contains(&secret), "the secret is in a log");
}

async fn first_id(agent: &Agent, shell: &[(String, String)]) -> String {
    let listed = agent.run_with(&["webhook", "list"], shell).await;
    listed.data()["webhooks"][0]["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_between_crossing_and_delivery_tells_each_once_under_one_id() {
    let (receiver, hook) = Receiver::start().await;
    let Some(bench) = Bench::start_with(&["--allow", &hook]).await else { return };
    let (ada, agent, shell, _) = ready(&bench, &hook).await;
    let set = agent.run_with(&["budget", "set", "5.00", "--threshold", "100", "--no-unusual"], &shell).await;
    assert!(set.ok(), "{} {}", set.stdout, set.stderr);
    *receiver.refuses.lock().unwrap() = true;
    agent.must(&["add", "slipway/workers:paid"]).await;
    until("a first try", PATIENCE, async || (!receiver.messages().is_empty()).then_some(())).await;
    assert!(bench.system.kill(Half::Orchestrator));
    // What was on its way when the process died is refused too.
    tokio::time::sleep(Duration::from_millis(300)).await;
    *receiver.refuses.lock().unwrap() = false;
    let seen = receiver.messages().len();
    bench.system.await_healthy().await;
    until("the message again", PATIENCE, async || (receiver.messages().len() > seen).then_some(())).await;
    // whatever else would come comes by now
    tokio::time::sleep(Duration::from_secs(7)).await;
    let messages = receiver.messages();
    assert_eq!(messages.len(), seen + 1, "it was taken and came again");
    assert!(messages.iter().all(|message| message.id == messages[0].id && message.body == messages[0].body), "a try differs");
    let mails = ada.mails().iter().filter(|mail| mail.contains("100 % of the budget")).count();
    assert_eq!(mails, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_under_way_when_the_server_ended_is_told_within_two_seconds_of_its_next_start() {
    let (receiver, hook) = Receiver::start().await;
    let Some(bench) = Bench::start_with(&["--allow", &hook]).await else { return };
    let (ada, agent, shell, _) = ready(&bench, &hook).await;
    let set = agent.run_with(&["budget", "set", "5.00", "--threshold", "100", "--no-unusual"], &shell).await;
    assert!(set.ok(), "{} {}", set.stdout, set.stderr);
    *receiver.hangs.lock().unwrap() = true;
    agent.must(&["add", "slipway/workers:paid"]).await;
    until("a first try", PATIENCE, async || (!receiver.messages().is_empty()).then_some(())).await;
    for signal in ["KILL", "TERM", "KILL"] {
        let (seen, before) = (receiver.messages().len(), bench.system.half(Half::Orchestrator).unwrap().pid);
        bench.system.signal(Half::Orchestrator, signal);
        until("another process", PATIENCE, async || {
            bench.system.half(Half::Orchestrator).is_some_and(|process| process.pid != before).then_some(())
        })
        .await;
        bench.system.await_healthy().await;
        let ready = Instant::now();
        until("the message again", PATIENCE, async || (receiver.messages().len() > seen).then_some(())).await;
        assert!(ready.elapsed() < PROMISE, "after {signal} it came {:?} after the start", ready.elapsed());
    }
    let messages = receiver.messages();
    assert!(messages.iter().all(|message| message.id == messages[0].id && message.body == messages[0].body), "a try differs");
    assert_eq!(ada.mails().iter().filter(|mail| mail.contains("100 % of the budget")).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_never_answer_keep_no_mail_and_nobody_elses_messages_waiting() {
    let ((slow, slow_hook), (quick, quick_hook)) = (Receiver::start().await, Receiver::start().await);
    let Some(bench) = Bench::start_with(&["--allow", &slow_hook, "--allow", &quick_hook]).await else { return };
    let (ada, agent, shell, _) = ready(&bench, &slow_hook).await;
    for n in 1..20 {
        let added = agent.run_with(&["webhook", "add", &format!("http://{slow_hook}/hook?n={n}")], &shell).await;
        assert!(added.ok(), "{} {}", added.stdout, added.stderr);
    }
    let mut bob = Person::new(&bench.system, "bob");
    let other = Agent::new(&bench.system, &bench.folder.path().join("other"), "other");
    other.login(&mut bob, Ask::ALL, &Choice::USUAL).await;
    let his = other.person_shell(&mut bob).await;
    let added = other.run_with(&["webhook", "add", &format!("http://{quick_hook}/hook")], &his).await;
    assert!(added.ok(), "{} {}", added.stdout, added.stderr);
    let id = first_id(&other, &his).await;

    *slow.hangs.lock().unwrap() = true;
    let thresholds = "10,20,30,40,50,60,70,80,90,100";
    let set = agent.run_with(&["budget", "set", "5.00", "--threshold", thresholds, "--no-unusual"], &shell).await;
    assert!(set.ok(), "{} {}", set.stdout, set.stderr);
    agent.must(&["add", "slipway/workers:paid"]).await;
    let bought = Instant::now();
    until("ten mails", PATIENCE, async || {
        (ada.mails().iter().filter(|mail| mail.contains("of the budget for the organisation")).count() == 10).then_some(())
    })
    .await;
    assert!(bought.elapsed() < PROMISE, "the mails took {:?}", bought.elapsed());
    until("every address is tried", PATIENCE, async || (slow.messages().len() >= 40).then_some(())).await;
    let tried = other.run_with(&["webhook", "test", &id], &his).await;
    assert!(tried.ok(), "{}", tried.stdout);
    let asked = Instant::now();
    until("another's message", PATIENCE, async || (!quick.messages().is_empty()).then_some(())).await;
    assert!(asked.elapsed() < PROMISE, "another's message took {:?}", asked.elapsed());
}
