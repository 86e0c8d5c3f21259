//! What environments of one account share, which is nothing; and what an account's code is called and may keep when it has used up what it has.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use crate::sleep::{COUNTER, HELLO, objects};
use crate::support::service::{MIGRATIONS, Service, author, module, open, owned, upload};
use crate::support::{World, eventually, inmate, workerd};
use purser_db::testing::{each_engine, sqlite};
use purser_values::Timestamp;
use purser_values::id::CloudAccountId;
use slipway_workers::limits::Allowances;
use slipway_workers::name::ScriptName;
use slipway_workers::runtime::event::Event;
use slipway_workers::runtime::incident::Kind;
use slipway_workers::seams::Events;
use slipway_workers::tenant::{Environment, Tenant};
use slipway_workers::{Seams, Workers};

fn staging(tenant: &Tenant) -> Tenant {
    Tenant { account: tenant.account.clone(), environment: Environment::called(Some("staging")) }
}

#[tokio::test]
async fn two_environments_of_an_account_share_no_process_no_object_and_no_end() {
    let Some(world) = World::new().await else { return };
    let production = world.account();
    let staging = staging(&production);
    for (number, tenant, script) in [(1, &production, "live"), (2, &staging, "tried")] {
        world.runtime.deploy(tenant, number, objects(world.live(script, HELLO))).await.unwrap();
    }
    let hosts = [("live", "live.test"), ("tried", "tried.test")];
    world.runtime.set_hosts(&production.account, hosts.map(|(script, host)| (host.parse().unwrap(), script.parse().unwrap())).into());
    // the class has the same key in both: what keeps them apart is where they lie
    for expected in ["1", "2", "3"] {
        assert_eq!(world.get("live.test", "/").await.unwrap(), (200, expected.to_owned()));
    }
    assert_eq!(world.get("tried.test", "/").await.unwrap(), (200, "1".to_owned()), "two environments met in one object");
    let (one, other) = (world.runtime.pid(&production).await.unwrap(), world.runtime.pid(&staging).await.unwrap());
    for namespace in ["user", "net", "pid", "mnt", "ipc"] {
        let link = |keeper| std::fs::read_link(format!("/proc/{}/ns/{namespace}", inmate(keeper))).unwrap();
        assert_ne!(link(one), link(other), "two environments share the {namespace} namespace");
    }
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(i32::try_from(other).unwrap()), nix::sys::signal::Signal::SIGKILL).unwrap();
    eventually(5, "its end is noticed", async || world.runtime.pid(&staging).await != Some(other)).await;
    assert_eq!(world.runtime.pid(&production).await, Some(one), "the end of one environment's process ended the other's");
    assert_eq!(world.get("live.test", "/").await.unwrap().1, "4");
    assert_eq!(world.get("tried.test", "/").await.unwrap().1, "2");

    // suspended is the whole account, with environments that it does not have yet
    world.runtime.set_suspended(&production.account, true).await.unwrap();
    let third = Tenant { environment: "third".parse().unwrap(), ..staging.clone() };
    world.runtime.deploy(&third, 3, world.live("third", HELLO)).await.unwrap();
    for tenant in [&production, &staging, &third] {
        assert_eq!(world.runtime.pid(tenant).await, None, "{tenant} runs");
    }
    world.runtime.set_suspended(&production.account, false).await.unwrap();
    assert_eq!(world.get("live.test", "/").await.unwrap().1, "5");
    assert_eq!(world.get("tried.test", "/").await.unwrap().1, "3");
}

fn within(most: impl Fn() -> Allowances + Send + Sync + 'static) -> Seams {
    Seams { allowances: Arc::new(move |_| most()), ..Seams::default() }
}

fn says(text: &str) -> String {
    format!("export default {{ fetch() {{ return new Response('{text}') }} }}")
}

#[tokio::test]
async fn a_worker_stays_in_the_environment_of_its_maker_and_a_plan_has_so_many() {
    let Some(workerd) = workerd() else { return };
    each_engine(MIGRATIONS, |db| async {
        let (db, folder) = (db, tempfile::tempdir().unwrap());
        let seams = within(|| Allowances { processes: 2, ..Allowances::default() });
        let s = Service::open_within(&db, folder.path(), &workerd, seams, false).await;
        let put = async |workers: &Workers, script: &str, code: &str, bindings: &str| {
            workers.script_upload(&s.account, &script.parse().unwrap(), module(code, bindings), &author()).await
        };
        let staging = s.workers.making_in(Environment::called(Some("staging")));
        put(&s.workers, "shop", &says("shop"), "[]").await.unwrap();
        put(&staging, "tried", &says("tried"), "[]").await.unwrap();
        // whoever changes it: it stays where it is
        put(&staging, "shop", &says("shop two"), "[]").await.unwrap();
        let environment = async |script: &str| s.workers.script_get(&s.account, &script.parse().unwrap()).await.unwrap().script.environment;
        assert_eq!(
            (environment("shop").await, environment("tried").await.as_str().to_owned()),
            (Environment::default(), "staging".to_owned())
        );

        let third = s.workers.making_in(Environment::called(Some("third")));
        let refused = put(&third, "more", &says("more"), "[]").await.unwrap_err();
        assert_eq!(refused.code(), 10_037);
        assert!(refused.to_string().contains("2 environments") && refused.to_string().contains("`third`"), "{refused}");
        put(&staging, "more", &says("more"), "[]").await.unwrap();

        let bound = r#"[{"type":"service","name":"SHOP","service":"shop"}]"#;
        let refused = put(&staging, "caller", &says("caller"), bound).await.unwrap_err();
        assert!(refused.code() == 10_021 && refused.to_string().contains("environment `production`"), "{refused}");

        let here = s.workers.runtime().present(&s.account).await;
        let scripts = |of: &Environment| {
            let tenant = Tenant { account: s.account.clone(), environment: of.clone() };
            here[&tenant].live.iter().map(|(script, ..)| script.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(scripts(&Environment::default()), ["shop"]);
        assert_eq!(scripts(&Environment::called(Some("staging"))), ["tried", "more"]);

        // and another start of slipway finds it so
        let host = s.connect("tried").await;
        let again = open(&db, folder.path(), &workerd, &s.env).await;
        assert_eq!(crate::support::visit(again.runtime(), &host, "/").await.unwrap().1, "tried");
        assert_eq!(again.runtime().present(&s.account).await.len(), 2);
        let one = again.runtime().home(&s.account, &"tried".parse().unwrap()).unwrap();
        assert_eq!(one.environment.as_str(), "staging");
    })
    .await;
}

/// A workerd that does not start while a file is there, when it is to take events.
fn moody(folder: &std::path::Path, workerd: &std::path::Path) -> (std::path::PathBuf, std::path::PathBuf) {
    use std::os::unix::fs::PermissionsExt as _;
    let (program, broken) = (folder.join("workerd.sh"), folder.join("broken"));
    let script = format!(
        "#!/bin/sh\nif [ -e '{}' ]; then case \"$*\" in *--experimental*) echo broken >&2; exit 1;; esac; fi\nexec '{}' \"$@\"\n",
        broken.display(),
        workerd.display()
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    (program, broken)
}

#[tokio::test]
async fn what_was_committed_and_did_not_start_runs_when_it_is_repeated_or_looked_at_again() {
    let Some(workerd) = workerd() else { return };
    let (db, folder) = (sqlite(MIGRATIONS).await, tempfile::tempdir().unwrap());
    let (program, broken) = moody(folder.path(), &workerd);
    let s = Service::open_within(&db, folder.path(), &program, Seams::default(), true).await;
    let code = |text: &str| format!("export default {{ fetch() {{ return new Response('{text}') }}, scheduled() {{}} }}");
    s.deploy("jobs", &code("one")).await.unwrap();
    let host = s.connect("jobs").await;
    let script = "jobs".parse().unwrap();
    let cron = Event::Scheduled { cron: "* * * * *".into(), at: Timestamp::EPOCH };
    s.workers.dispatch(&s.account, &script, cron).await.unwrap();
    assert_eq!(s.workers.reconcile().await.unwrap(), 0);

    // it is tried out, committed, and then does not start
    std::fs::write(&broken, "").unwrap();
    s.deploy("jobs", &code("two")).await.unwrap_err();
    assert_eq!(s.get(&host, "/").await.unwrap().1, "one", "what was live stays live");
    let stored = s.workers.deployment_list(&s.account, &script).await.unwrap();
    assert_eq!(stored.len(), 2, "the failure came before the commit: this tests nothing");
    s.deploy("jobs", &code("two")).await.unwrap_err();
    std::fs::remove_file(&broken).unwrap();
    let repeated = s.deploy("jobs", &code("two")).await.unwrap();
    assert!(repeated.repeated);
    assert_eq!(s.get(&host, "/").await.unwrap().1, "two", "a repeated upload did not become live");

    std::fs::write(&broken, "").unwrap();
    s.deploy("jobs", &code("three")).await.unwrap_err();
    s.workers.reconcile().await.unwrap();
    assert_eq!(s.get(&host, "/").await.unwrap().1, "two");
    std::fs::remove_file(&broken).unwrap();
    assert_eq!(s.workers.reconcile().await.unwrap(), 1);
    assert_eq!(s.get(&host, "/").await.unwrap().1, "three");
    assert_eq!(s.workers.reconcile().await.unwrap(), 0, "there was nothing left to do");
}

/// Accounts that have used up what they have, and what was called for the others.
#[derive(Default)]
struct Purse {
    spent: AtomicBool,
    called: Mutex<HashSet<String>>,
}

impl Events for Purse {
    fn begin(&self, _: &CloudAccountId, script: &ScriptName) -> Option<Box<dyn Send + Sync>> {
        let spent = self.spent.load(Ordering::Relaxed);
        (!spent).then(|| {
            self.called.lock().unwrap().insert(script.to_string());
            Box::new(()) as Box<dyn Send + Sync>
        })
    }

    fn may_wake(&self, _: &CloudAccountId) -> bool {
        !self.spent.load(Ordering::Relaxed)
    }
}

#[tokio::test]
async fn an_account_that_has_used_up_what_it_has_is_called_by_no_trigger_and_woken_by_no_alarm() {
    let Some(workerd) = workerd() else { return };
    let (db, folder, purse) = (sqlite(MIGRATIONS).await, tempfile::tempdir().unwrap(), Arc::new(Purse::default()));
    let seams = Seams { events: purse.clone(), next_alarm: Arc::new(|_| Some(Timestamp::EPOCH)), ..Seams::default() };
    let s = Service::open_within(&db, folder.path(), &workerd, seams, false).await;
    let script: ScriptName = "count".parse().unwrap();
    let metadata = r#"{"main_module":"index.js","compatibility_date":"2026-11-01","bindings":[{"type":"durable_object_namespace","name":"COUNTER","class_name":"Counter"}],
        "migrations":{"new_tag":"v1","steps":[{"new_sqlite_classes":["Counter"]}]}}"#;
    let code = COUNTER.replace("export default {", "export default { scheduled() {},");
    let made = upload(metadata, &[("index.js", "application/javascript+module", code.as_bytes())]);
    s.workers.script_upload(&s.account, &script, made, &author()).await.unwrap();
    s.workers.domain_put(&s.account, &script, &[owned("count.test")], false, false).await.unwrap();
    assert_eq!(s.get("count.test", "/").await.unwrap().1, "1");
    let cron = Event::Scheduled { cron: "* * * * *".into(), at: Timestamp::EPOCH };
    s.workers.dispatch(&s.account, &script, cron.clone()).await.unwrap();
    assert!(purse.called.lock().unwrap().contains("count"));
    let before = s.workers.cpu_ms().await[&s.account];
    assert!(before > 0, "what ran for a trigger was not measured");

    purse.spent.store(true, Ordering::Relaxed);
    assert_eq!(s.workers.dispatch(&s.account, &script, cron).await.unwrap_err().code(), 10_402);
    drop(s);
    // asleep after a start, with an alarm that is long due
    let spent = Arc::new(Purse::default());
    spent.spent.store(true, Ordering::Relaxed);
    let seams = Seams { events: spent.clone(), next_alarm: Arc::new(|_| Some(Timestamp::EPOCH)), ..Seams::default() };
    let s = Service::open_within(&db, folder.path(), &workerd, seams, false).await;
    let tenant = s.workers.runtime().route(&"count.test".parse().unwrap());
    let slipway_workers::runtime::site::Target::Site(site) = tenant else { panic!("no site") };
    let tenant = Tenant::of(site.account.parse().unwrap());
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert_eq!(s.workers.runtime().pid(&tenant).await, None, "an alarm woke an account that has nothing left");
    spent.spent.store(false, Ordering::Relaxed);
    eventually(15, "the alarm wakes it", async || s.workers.runtime().pid(&tenant).await.is_some()).await;
}

#[tokio::test]
async fn durable_objects_of_a_full_account_are_read_and_do_not_grow() {
    let Some(workerd) = workerd() else { return };
    let (db, folder) = (sqlite(MIGRATIONS).await, tempfile::tempdir().unwrap());
    let storage = Arc::new(AtomicI64::new(1 << 30));
    let read = storage.clone();
    let seams = within(move || Allowances { storage: read.load(Ordering::Relaxed), ..Allowances::default() });
    let s = Service::open_within(&db, folder.path(), &workerd, seams, false).await;
    let code = "import { DurableObject } from 'cloudflare:workers';
        export class Hoard extends DurableObject {
            async keep() {
                this.ctx.storage.sql.exec('create table if not exists n (v text)');
                this.ctx.storage.sql.exec('insert into n values (?)', 'x'.repeat(100000));
                return 'kept';
            }
            async count() { return this.ctx.storage.sql.exec('select count(*) as n from n').one().n; }
        }
        export default { async fetch(request, env) {
            const one = env.HOARD.get(env.HOARD.idFromName('one'));
            try { return new Response(String(new URL(request.url).pathname === '/count' ? await one.count() : await one.keep())); }
            catch (e) { return new Response(e.message, { status: 507 }); }
        } }";
    let metadata = r#"{"main_module":"index.js","compatibility_date":"2026-11-01","bindings":[{"type":"durable_object_namespace","name":"HOARD","class_name":"Hoard"}],
        "migrations":{"new_tag":"v1","steps":[{"new_sqlite_classes":["Hoard"]}]}}"#;
    let made = upload(metadata, &[("index.js", "application/javascript+module", code.as_bytes())]);
    s.workers.script_upload(&s.account, &"hoard".parse().unwrap(), made, &author()).await.unwrap();
    let host = s.connect("hoard").await;
    for _ in 0..20 {
        assert_eq!(s.get(&host, "/").await.unwrap(), (200, "kept".to_owned()));
    }
    s.workers.objects_measure().await.unwrap();
    let (_, stored) = s.workers.stored().await.unwrap().into_iter().find(|(of, _)| *of == s.account).unwrap();
    assert!(stored > 2_000_000, "what objects keep is not measured: {stored}");
    storage.store(i64::try_from(stored).unwrap(), Ordering::Relaxed);
    s.workers.objects_measure().await.unwrap();
    eventually(10, "it is refused more", async || s.get(&host, "/").await.unwrap().0 == 507).await;
    let refused = s.get(&host, "/").await.unwrap();
    assert!(refused.0 == 507 && refused.1.contains("SQLITE_IOERR_WRITE"), "{refused:?}");
    eventually(10, "what is kept can be read", async || s.get(&host, "/count").await.unwrap().0 == 200).await;
    let incidents = s.workers.runtime().incidents().list();
    assert!(incidents.iter().any(|i| i.account == s.account && i.kind == Kind::Storage), "the operator sees nothing of it: {incidents:?}");

    storage.store(1 << 30, Ordering::Relaxed);
    s.workers.objects_measure().await.unwrap();
    eventually(10, "with room there is growth", async || s.get(&host, "/").await.unwrap() == (200, "kept".to_owned())).await;
}
