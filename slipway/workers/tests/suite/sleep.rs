//! Processes that sleep, Durable Objects that last, and events that wake.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::service::{self, Service};
use crate::support::{World, eventually};
use bytes::Bytes;
use purser_db::{Db, DbConfig};
use purser_values::{Env, Timestamp};
use slipway_workers::plan::{Bound, ObjectClass, Unit};
use slipway_workers::runtime::Live;
use slipway_workers::runtime::backend::Nothing;
use slipway_workers::runtime::event::{Backlog, Content, Event, QueueMessage};

pub const HELLO: &str = "export default { fetch() { return new Response('hello') } }";

pub const COUNTER: &str = "import { DurableObject } from 'cloudflare:workers';
    export class Counter extends DurableObject {
        async add() {
            this.ctx.storage.sql.exec('create table if not exists n (v integer)');
            this.ctx.storage.sql.exec('insert into n values (1)');
            return this.ctx.storage.sql.exec('select count(*) as n from n').one().n;
        }
        async alarm() { await this.add(); }
        async soon() { await this.ctx.storage.setAlarm(Date.now() + 1500); }
    }
    export default { async fetch(request, env) {
        const one = env.COUNTER.get(env.COUNTER.idFromName('one'));
        if (new URL(request.url).pathname === '/soon') { await one.soon(); return new Response('ok'); }
        return new Response(String(await one.add()));
    } }";

pub fn objects(live: Live) -> Live {
    let unit = live.unit.unwrap();
    let unit = Unit {
        script: unit.script.clone(),
        version: unit.version.clone(),
        compatibility_date: unit.compatibility_date.clone(),
        compatibility_flags: vec![],
        source: slipway_workers::plan::Source::Modules(vec![slipway_workers::plan::Module {
            name: "index.js".into(),
            kind: slipway_workers::plan::ModuleKind::EsModule,
            bytes: COUNTER.as_bytes().into(),
        }]),
        bindings: vec![("COUNTER".parse().unwrap(), Bound::Objects { class: "Counter".into(), script: None })],
        objects: vec![ObjectClass { class: "Counter".into(), key: "0123456789abcdef".into() }],
    };
    Live { unit: Some(Arc::new(unit)), ..live }
}

#[tokio::test]
async fn a_process_that_nobody_needs_ends_and_the_next_request_starts_it() {
    let Some(world) = World::resting(false, Arc::new(Nothing), Duration::from_millis(300)).await else { return };
    let account = world.account();
    let host = world.serve(&account, 1, world.live("hello", HELLO)).await;
    let mut wakes = Vec::new();
    for _ in 0..5 {
        eventually(10, "it sleeps", async || world.runtime.pid(&account).await.is_none()).await;
        let begun = Instant::now();
        assert_eq!(world.get(&host, "/").await.unwrap(), (200, "hello".to_owned()));
        wakes.push(begun.elapsed());
    }
    wakes.sort();
    println!("wake: p50 {} ms, worst {} ms", wakes[2].as_millis(), wakes[4].as_millis());
}

#[tokio::test]
async fn nobody_is_lost_while_a_process_falls_asleep() {
    let Some(world) = World::resting(false, Arc::new(Nothing), Duration::ZERO).await else { return };
    let account = world.account();
    let host = world.serve(&account, 1, world.live("hello", HELLO)).await;
    // It falls asleep at every chance it gets.
    let until = Instant::now() + Duration::from_secs(6);
    let mut answered = 0;
    while Instant::now() < until {
        assert_eq!(world.get(&host, "/").await.unwrap().0, 200, "after {answered}");
        answered += 1;
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    assert!(answered > 20, "{answered}");
}

#[tokio::test]
async fn an_object_loses_no_increment_over_deployments_sleep_and_sudden_ends() {
    let Some(world) = World::resting(false, Arc::new(Nothing), Duration::from_millis(300)).await else { return };
    let account = world.account();
    let host = world.serve(&account, 1, objects(world.live("count", HELLO))).await;
    let mut expected = 0;
    for round in 0..12 {
        for _ in 0..3 {
            expected += 1;
            assert_eq!(world.get(&host, "/").await.unwrap(), (200, expected.to_string()), "round {round}");
        }
        match round % 3 {
            0 => world.runtime.deploy(&account, 1, objects(world.live("count", HELLO))).await.unwrap(),
            1 => eventually(10, "it sleeps", async || world.runtime.pid(&account).await.is_none()).await,
            _ => {
                let pid = i32::try_from(world.runtime.pid(&account).await.unwrap()).unwrap();
                nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
                eventually(5, "its end is noticed", async || world.runtime.pid(&account).await != u32::try_from(pid).ok()).await;
            }
        }
    }
}

#[tokio::test]
async fn an_event_is_handed_in_and_what_becomes_of_it_comes_back() {
    let Some(world) = World::new().await else { return };
    let account = world.account();
    let code = "let seen = [];
        export default {
            async fetch() { return new Response(seen.join()) },
            async scheduled(controller) { seen.push(controller.cron + '@' + controller.scheduledTime) },
            async queue(batch) {
                for (const m of batch.messages) {
                    seen.push(batch.queue + ':' + (typeof m.body === 'object' ? JSON.stringify(m.body) : m.body) + ':' + m.attempts);
                    if (m.id === 'b') m.retry({ delaySeconds: 7 }); else m.ack();
                }
            },
        }";
    let host = world.serve(&account, 1, world.live("jobs", code)).await;
    let script = "jobs".parse().unwrap();
    let at = Timestamp::from_micros(1_000_000_000);
    let cron = Event::Scheduled { cron: "*/5 * * * *".into(), at };
    let handled = world.runtime.dispatch(&account.account, &script, &cron).await.unwrap();
    assert_eq!(handled.outcome, "ok");
    let message = |id: &str, content, body: &'static str| QueueMessage {
        id: id.into(),
        at,
        attempts: 2,
        content,
        body: Bytes::from_static(body.as_bytes()),
    };
    let messages = vec![message("a", Content::Text, "hi"), message("b", Content::Json, "{\"n\":1}")];
    let batch = Event::Queue { queue: "q".into(), messages, backlog: Backlog::default() };
    let handled = world.runtime.dispatch(&account.account, &script, &batch).await.unwrap();
    assert_eq!(handled.acked, ["a"]);
    assert_eq!(handled.retried, [("b".to_owned(), Some(7))]);
    assert_eq!(world.get(&host, "/").await.unwrap().1, "*/5 * * * *@1000000,q:hi:2,q:{\"n\":1}:2");
    let missing = world.runtime.dispatch(&account.account, &"nobody".parse().unwrap(), &cron).await;
    assert!(missing.is_err());
}

#[tokio::test]
async fn code_that_nobody_may_visit_does_not_go_on_by_its_triggers() {
    let Some(world) = World::new().await else { return };
    let account = world.account();
    let code = "export default { async fetch() { return new Response('hello') }, async scheduled() {} }";
    let host = world.serve(&account, 1, world.live("jobs", code)).await;
    let script = "jobs".parse().unwrap();
    let cron = Event::Scheduled { cron: "* * * * *".into(), at: Timestamp::from_micros(1_000_000_000) };
    assert_eq!(world.runtime.dispatch(&account.account, &script, &cron).await.unwrap().outcome, "ok");
    let pid = world.runtime.pid(&account).await.unwrap();

    world.runtime.set_suspended(&account.account, true).await.unwrap();
    assert!(world.runtime.dispatch(&account.account, &script, &cron).await.is_err(), "a trigger reached code that is stopped");
    let here = std::path::PathBuf::from(format!("/proc/{pid}"));
    eventually(30, "its process ends", async || !here.exists()).await;
    // nor does what is deployed meanwhile start
    world.runtime.deploy(&account, 1, world.live("jobs", &code.replace("hello", "again"))).await.unwrap();
    assert!(world.runtime.dispatch(&account.account, &script, &cron).await.is_err());
    assert_eq!(world.runtime.pid(&account).await, None);

    world.runtime.set_suspended(&account.account, false).await.unwrap();
    assert_eq!(world.get(&host, "/").await.unwrap().1, "again");
    assert_eq!(world.runtime.dispatch(&account.account, &script, &cron).await.unwrap().outcome, "ok");
}

#[tokio::test]
async fn migrations_make_rename_and_delete_classes_and_data_follows_the_key() {
    let Some(workerd) = crate::support::workerd() else { return };
    let folder = tempfile::tempdir().unwrap();
    let db = Db::open(&DbConfig::Sqlite { path: folder.path().join("slipway.db") }).await.unwrap();
    db.migrate(&Env::system(), service::MIGRATIONS).await.unwrap();
    let service = Service::open(&db, folder.path(), &workerd).await;
    let upload = |code: &str, class: &str, migrations: &str| {
        let metadata = format!(
            r#"{{"main_module":"index.js","compatibility_date":"2026-11-01","bindings":[{{"type":"durable_object_namespace","name":"COUNTER","class_name":"{class}"}}]{migrations}}}"#
        );
        service::upload(&metadata, &[("index.js", "application/javascript+module", code.as_bytes())])
    };
    let name = "count".parse().unwrap();
    let put = async |u| service.workers.script_upload(&service.account, &name, u, &service::author()).await;
    let refused = put(upload(COUNTER, "Counter", "")).await.unwrap_err();
    assert!(refused.to_string().contains("migration"), "{refused}");
    let made =
        put(upload(COUNTER, "Counter", r#","migrations":{"new_tag":"v1","steps":[{"new_sqlite_classes":["Counter"]}]}"#)).await.unwrap();
    assert_eq!(made.script.migration_tag.as_deref(), Some("v1"));
    let host = service.connect("count").await;
    for n in 1..=3 {
        assert_eq!(service.get(&host, "/").await.unwrap(), (200, n.to_string()));
    }
    let stored = async || service.workers.stored().await.unwrap().into_iter().find(|(of, _)| *of == service.account).unwrap().1;
    let code = stored().await;
    service.workers.objects_measure().await.unwrap();
    assert!(stored().await >= code + 4_096, "what Durable Objects keep is not counted as kept");
    let renamed = COUNTER.replace("class Counter", "class Basket");
    let rename = r#","migrations":{"old_tag":"v1","new_tag":"v2","steps":[{"renamed_classes":[{"from":"Counter","to":"Basket"}]}]}"#;
    put(upload(&renamed, "Basket", rename)).await.unwrap();
    assert_eq!(service.get(&host, "/").await.unwrap(), (200, "4".to_owned()), "the data follows the class");
    put(upload(&renamed, "Basket", rename)).await.unwrap_err();
    assert_eq!(service.get(&host, "/").await.unwrap(), (200, "5".to_owned()));
}

#[tokio::test]
async fn whoever_looks_on_sees_what_a_worker_does_and_it_costs_nothing_afterwards() {
    let Some(world) = World::new().await else { return };
    let account = world.account();
    let code = "export default { async fetch(request) {
        console.log('path', new URL(request.url).pathname);
        if (request.url.endsWith('/bad')) throw new TypeError('on purpose');
        return new Response('ok');
    } }";
    let host = world.serve(&account, 1, world.live("watched", code)).await;
    let mut seen = world.runtime.tail(&account.account, &"watched".parse().unwrap()).await.unwrap();
    assert_eq!(world.get(&host, "/good").await.unwrap().0, 200);
    let next = async |seen: &mut tokio::sync::broadcast::Receiver<_>| -> Arc<serde_json::Value> {
        tokio::time::timeout(Duration::from_secs(10), seen.recv()).await.expect("something is seen").unwrap()
    };
    let good = next(&mut seen).await;
    assert_eq!((good["outcome"].as_str(), good["scriptName"].as_str()), (Some("ok"), Some("watched")), "{good}");
    assert_eq!(good["logs"][0]["message"], serde_json::json!(["path", "/good"]), "{good}");
    assert_eq!(good["event"]["response"]["status"], 200, "{good}");
    assert_eq!(world.get(&host, "/bad").await.unwrap().0, 500);
    let bad = next(&mut seen).await;
    assert_eq!((bad["outcome"].as_str(), bad["exceptions"][0]["name"].as_str()), (Some("exception"), Some("TypeError")), "{bad}");
}
