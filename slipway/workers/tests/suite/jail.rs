//! What the jail keeps in, proved with the real workerd and the kernel's own books.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::support::{World, eventually, inmate, status, visit};
use slipway_workers::plan::Bound;
use slipway_workers::runtime::confinement::Confinement;
use slipway_workers::runtime::incident::Kind;

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
    assert_eq!((status(pid, "Seccomp").as_str(), status(pid, "Seccomp_filters").as_str()), ("2", "3"), "system calls are filtered");
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
    assert_eq!(names, ["dev", "objects", "run", "tmp", "workerd"]);
    let devices: Vec<_> = std::fs::read_dir(format!("{root}/dev")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(devices, ["urandom"]);
    assert!(!std::path::Path::new(&format!("{root}/etc/passwd")).exists());
    assert!(!std::path::Path::new(&format!("{root}/proc/self")).exists());
    assert_eq!(std::fs::read_dir(format!("{root}/tmp")).unwrap().count(), 0, "configuration and modules are unlinked once read");
    assert_eq!(std::fs::read_dir(format!("{root}/objects")).unwrap().count(), 0, "nothing is bound there for who has no Durable Objects");
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
    let noted = world.runtime.incidents().list();
    assert!(noted.iter().all(|i| i.kind == Kind::Memory), "the operator is shown something else: {noted:?}");
}

#[tokio::test]
async fn a_killed_process_comes_back_and_its_visitors_wait() {
    let Some(world) = World::new().await else { return };
    let account = world.account();
    let host = world.serve(&account, 1, world.live("hello", HELLO)).await;
    for _ in 0..2 {
        let keeper = world.runtime.pid(&account).await.unwrap();
        let pid = nix::unistd::Pid::from_raw(i32::try_from(inmate(keeper)).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
        eventually(5, "its end is noticed", async || world.runtime.pid(&account).await != Some(keeper)).await;
        assert_eq!(world.get(&host, "/").await.unwrap(), (200, "hello".to_owned()));
        eventually(5, "another process serves", async || world.runtime.pid(&account).await.is_some()).await;
    }
}

#[tokio::test]
async fn accounts_do_not_share_a_process_and_no_worker_can_make_namespaces() {
    let Some(world) = World::new().await else { return };
    let (a, b) = (world.account(), world.account());
    world.serve(&a, 1, world.live("one", HELLO)).await;
    world.serve(&b, 2, world.live("two", HELLO)).await;
    let (a, b) = (inmate(world.runtime.pid(&a).await.unwrap()), inmate(world.runtime.pid(&b).await.unwrap()));
    for namespace in ["user", "net", "pid", "mnt", "ipc"] {
        let link = |pid: u32| std::fs::read_link(format!("/proc/{pid}/ns/{namespace}")).unwrap();
        assert_ne!(link(a), link(b), "two accounts share the {namespace} namespace");
    }
    if nix::unistd::Uid::effective().is_root() {
        assert_ne!(status(a, "Uid"), status(b, "Uid"));
        let user = format!("--user=/proc/{a}/ns/user");
        let said = std::process::Command::new("nsenter")
            .args([&user, "--preserve-credentials", "cat", "/proc/sys/user/max_user_namespaces"])
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&said.stdout).trim(), "0");
    }
}

#[tokio::test]
async fn the_cache_api_misses_and_never_fails() {
    let Some(world) = World::new().await else { return };
    let account = world.account();
    let code = "export default { async fetch(r) {
        const url = 'http://cached.test/x';
        await caches.default.put(url, new Response('kept', { headers: { 'cache-control': 'max-age=60' } }));
        const found = await caches.default.match(url);
        return new Response(String(found) + (await caches.default.delete(url))) } }";
    let host = world.serve(&account, 1, world.live("cache", code)).await;
    assert_eq!(world.get(&host, "/").await.unwrap(), (200, "undefinedfalse".to_owned()));
}

const WITHOUT_NAMESPACES: &str = "SLIPWAY_TEST_WITHOUT_NAMESPACES";

/// Not a test by itself: what `a_host_without_namespaces_refuses_code_unless_it_is_told_to_run_it` runs where there are none.
#[tokio::test]
async fn a_host_that_has_no_namespaces() {
    if std::env::var_os(WITHOUT_NAMESPACES).is_none() {
        return;
    }
    let world = World::new().await.unwrap();
    let Confinement::Unavailable { why } = world.runtime.confinement() else { panic!("{:?}", world.runtime.confinement()) };
    assert!(!why.is_empty());
    let refused = world.runtime.deploy(&world.account(), 1, world.live("hello", HELLO)).await;
    assert!(refused.is_err_and(|e| e.to_string() == *why));

    let world = World::with(true).await.unwrap();
    assert_eq!(*world.runtime.confinement(), Confinement::Unconfined);
    let account = world.account();
    let live = world.live_with("hello", HELLO, vec![("TOKEN", Bound::Text("s3cret-value".to_owned().into()))]);
    let host = world.serve(&account, 1, live).await;
    assert_eq!(world.get(&host, "/").await.unwrap(), (200, "hello".to_owned()));
    let mut left = Vec::new();
    let mut folders = vec![world.folder.path().join("run")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() { folders.push(entry.path()) } else { left.push(entry.path()) }
        }
    }
    let config = left.iter().find(|p| p.ends_with("config.capnp") || p.ends_with("m1"));
    assert_eq!(config, None, "the configuration, which holds secrets, is unlinked");
}

#[tokio::test]
async fn a_host_without_namespaces_refuses_code_unless_it_is_told_to_run_it() {
    if crate::support::workerd().is_none() {
        return;
    }
    let script = "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$0\" --exact jail::a_host_that_has_no_namespaces";
    let run = tokio::process::Command::new("unshare")
        .args(["--user", "--map-root-user", "sh", "-c", script])
        .arg(std::env::current_exe().unwrap())
        .env(WITHOUT_NAMESPACES, "1")
        .output();
    let output = run.await.expect("util-linux is on the machine");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
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
    if crate::support::workerd().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("pids");
    let mut host = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "jail::a_host_that_waits_to_be_killed"])
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
