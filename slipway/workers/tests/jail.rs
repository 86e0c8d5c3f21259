//! What the jail keeps in, proved with the real workerd and the kernel's own books.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use slipway_workers::plan::Bound;
use slipway_workers::runtime::confinement::Confinement;
use support::{World, eventually, inmate, status, visit};

const HELLO: &str = "export default { fetch() { return new Response('hello') } }";

#[tokio::test]
async fn this_host_builds_jails() {
    let Some(world) = World::new().await else { return };
    assert_eq!(*world.runtime.confinement(), Confinement::Jailed);
}

#[tokio::test]
async fn the_kernel_says_that_a_worker_has_no_rights() {
    let Some(world) = World::new().await else { return };
    let account = world.account();
    let host = world.serve(&account, 7, world.live("hello", HELLO)).await;
    assert_eq!(world.get(&host, "/").await.unwrap(), (200, "hello".to_owned()));
    let keeper = world.runtime.pid(&account).await.unwrap();
    let pid = inmate(keeper);
    for process in [keeper, pid] {
        for id in ["Uid", "Gid"] {
            let ids = status(process, id);
            let own = nix::unistd::Uid::effective().as_raw();
            let expected = if own == 0 { 100_007 } else { own };
            assert!(ids.split_whitespace().all(|i| i.parse::<u32>().unwrap() == expected), "{id} of {process}: {ids}");
        }
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert_eq!(status(process, set), "0000000000000000", "{set} of {process}");
        }
        assert_eq!(status(process, "NoNewPrivs"), "1");
    }
    assert_eq!(status(pid, "CapBnd"), "0000000000000000");
    assert_eq!(status(pid, "NSpid").split_whitespace().last(), Some("1"), "workerd is the first process of its pid namespace");
    for namespace in ["user", "net", "pid", "mnt", "ipc", "uts", "cgroup"] {
        let link = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/{namespace}")).unwrap();
        assert_ne!(link("self"), link(&pid.to_string()), "the {namespace} namespace is shared");
    }
}

#[tokio::test]
async fn the_root_holds_workerd_its_libraries_and_nothing_else() {
    let Some(world) = World::new().await else { return };
    let account = world.account();
    let live = world.live_with("hello", HELLO, vec![("TOKEN", Bound::Text("s3cret-value".to_owned().into()))]);
    world.serve(&account, 1, live).await;
    let pid = inmate(world.runtime.pid(&account).await.unwrap());
    let root = format!("/proc/{pid}/root");
    let mut names: Vec<String> = std::fs::read_dir(&root)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|n| !n.starts_with("lib"))
        .collect();
    names.sort();
    assert_eq!(names, ["dev", "run", "tmp", "workerd"]);
    let devices: Vec<_> = std::fs::read_dir(format!("{root}/dev")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(devices, ["urandom"]);
    assert!(!std::path::Path::new(&format!("{root}/etc/passwd")).exists());
    assert!(!std::path::Path::new(&format!("{root}/proc/self")).exists());
    assert_eq!(std::fs::read_dir(format!("{root}/tmp")).unwrap().count(), 0, "configuration and modules are unlinked once read");
    assert!(std::fs::write(format!("{root}/workerd"), b"x").is_err(), "the root is read-only");
    let argv = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    assert!(!String::from_utf8_lossy(&argv).contains("s3cret"), "secrets are not in arguments");
    let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
    assert!(environ.is_empty(), "the environment is cleared");
}

#[tokio::test]
async fn a_worker_cannot_reach_the_network() {
    let Some(world) = World::new().await else { return };
    let hits = Arc::new(AtomicU32::new(0));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let counted = hits.clone();
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    let code = format!(
        "import {{ connect }} from 'cloudflare:sockets';
         export default {{ async fetch(request) {{
            const said = [];
            for (const url of ['http://{address}/', 'https://{address}/', 'http://example.com/']) {{
                try {{ await fetch(url); said.push('reached'); }} catch (e) {{ said.push('refused'); }}
            }}
            try {{ const s = connect('{address}'); await s.opened; said.push('reached'); }} catch (e) {{ said.push('refused'); }}
            return new Response(said.join());
        }} }}"
    );
    let account = world.account();
    let host = world.serve(&account, 1, world.live("out", &code)).await;
    assert_eq!(world.get(&host, "/").await.unwrap(), (200, "refused,refused,refused,refused".to_owned()));
    assert_eq!(hits.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_endless_loop_is_ended_and_the_worker_comes_back() {
    let Some(world) = World::new().await else { return };
    let account = world.account();
    let code = "export default { fetch(r) { if (new URL(r.url).pathname === '/loop') while (true); return new Response('hello') } }";
    let host = world.serve(&account, 1, world.live("loop", code)).await;
    let (runtime, looping) = (world.runtime.clone(), host.clone());
    let stuck = tokio::spawn(async move { visit(&runtime, &looping, "/loop").await });
    assert!(stuck.await.unwrap().is_err(), "the stuck request breaks off");
    eventually(20, "the worker answers again", async || world.get(&host, "/").await.is_ok_and(|(s, _)| s == 200)).await;
}

#[tokio::test]
async fn memory_that_is_not_javascripts_is_bounded_too() {
    let Some(world) = World::new().await else { return };
    let account = world.account();
    let code = "const kept = [];
        export default { fetch(r) {
            if (new URL(r.url).pathname === '/eat') for (let i = 0; i < 64; i++) kept.push(new Uint8Array(64 << 20).fill(1));
            return new Response('hello ' + kept.length) } }";
    let host = world.serve(&account, 1, world.live("eat", code)).await;
    let eaten = world.get(&host, "/eat").await;
    assert!(!matches!(&eaten, Ok((200, text)) if text == "hello 64"), "4 GiB were handed out: {eaten:?}");
    eventually(20, "the worker answers again", async || world.get(&host, "/").await.is_ok_and(|(s, _)| s == 200)).await;
}

const HOST_FOR_KILL: &str = "SLIPWAY_TEST_HOST_FOR_KILL";

/// Not a test by itself: the process that `workers_die_with_slipway_on_sigkill` starts and kills.
#[tokio::test]
async fn a_host_that_waits_to_be_killed() {
    let Ok(report) = std::env::var(HOST_FOR_KILL) else { return };
    let world = World::new().await.unwrap();
    let account = world.account();
    world.serve(&account, 3, world.live("hello", HELLO)).await;
    let keeper = world.runtime.pid(&account).await.unwrap();
    std::fs::write(format!("{report}.new"), format!("{keeper} {}", inmate(keeper))).unwrap();
    std::fs::rename(format!("{report}.new"), report).unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn workers_die_with_slipway_on_sigkill() {
    if support::workerd().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("pids");
    let mut host = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_host_that_waits_to_be_killed"])
        .env(HOST_FOR_KILL, &report)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    eventually(30, "the host serves", async || report.exists()).await;
    let pids: Vec<u32> = std::fs::read_to_string(&report).unwrap().split(' ').map(|p| p.parse().unwrap()).collect();
    let alive = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|s| !s.contains(") Z "));
    assert!(pids.iter().all(|p| alive(*p)));
    host.start_kill().unwrap();
    host.wait().await.unwrap();
    eventually(5, "keeper and workerd are gone", async || pids.iter().all(|p| !alive(*p))).await;
}
