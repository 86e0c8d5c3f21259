//! A network of its own with our name server in it, and programs of others.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use purser_crypto::seal::Keyring;
use purser_db::testing::sqlite;
use purser_db::{Db, Migrations};
use purser_values::Env;
use purser_values::id::CloudAccountId;
use slipway_dns::dnssec::keys::{keys, zone_sign};
use slipway_dns::server::{DnsConfig, Nameserver};
use slipway_dns::store;
use slipway_dns::zone::Zone;
use slipway_dns::zone::change::{Author, Change, zone_change};
use slipway_dns::zone::create::zone_create;
use slipway_dns::zone::entry::Written;

const TABLES: &[Migrations] = &[store::MIGRATIONS];
/// Documentation addresses (RFC 5737): ours, the private root's, the resolver's, and the secondaries'.
pub const OURS: &str = "192.0.2.1";
pub const ROOT: &str = "192.0.2.2";
pub const RESOLVER: &str = "192.0.2.3";
pub const SECONDARY: &str = "192.0.2.4";
const DEADLINE: Duration = Duration::from_secs(60);

/// What a test has.
pub struct Scene {
    pub peers: PathBuf,
    pub folder: tempfile::TempDir,
    pub server: Nameserver,
    keyring: Keyring,
    db: Db,
    env: Env,
    zone: Zone,
    /// The parent's line about our zone: tag, algorithm, digest type, digest.
    pub ds: String,
}

/// A program of somebody else's; it ends with the test.
pub struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a test in a network of its own.
pub fn alone<F: Future<Output = ()>>(test: impl FnOnce(Scene) -> F + Send + 'static) {
    let Some(peers) = std::env::var_os("PURSER_DNS_PEERS").map(PathBuf::from) else {
        assert!(std::env::var("PURSER_PEERS").is_err(), "PURSER_DNS_PEERS is not set");
        eprintln!("not tested: PURSER_DNS_PEERS is not set");
        return;
    };
    let thread = std::thread::spawn(move || {
        if let Err(e) = unshare(CloneFlags::CLONE_NEWNET) {
            eprintln!("not tested: no network of its own can be made: {e}");
            return;
        }
        ip(&["link", "set", "lo", "up"]);
        for address in [OURS, ROOT, RESOLVER, SECONDARY] {
            ip(&["addr", "add", &format!("{address}/32"), "dev", "lo"]);
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async { test(Scene::new(peers).await).await });
    });
    if let Err(e) = thread.join() {
        std::panic::resume_unwind(e);
    }
}

fn ip(args: &[&str]) {
    assert!(Command::new("ip").args(args).status().expect("`ip` starts").success(), "ip {args:?}");
}

impl Scene {
    async fn new(peers: PathBuf) -> Self {
        let db = sqlite(TABLES).await;
        let env = Env::system();
        let keyring = Keyring::from_hex(&Keyring::generate_hex(&env)).unwrap();
        let (e, k, account) = (env.clone(), keyring.clone(), CloudAccountId::mint(&env));
        let (zone, ds) = db
            .write(move |tx| {
                let zone = zone_create(tx, &e, &account, &"shop.test".parse().unwrap())?;
                zone_change(tx, &e, &zone, &Author { token: "t", common: None }, records())?;
                zone_sign(tx, &e, &k, &zone)?;
                let ds = keys(tx, &zone)?[0].ds(&zone.name)?;
                Ok::<_, slipway_dns::dnssec::keys::KeysError>((zone, ds))
            })
            .await
            .unwrap();
        let server = Nameserver::start(config(OURS), db.clone(), env.clone(), keyring.clone()).await.unwrap();
        let ds = format!("{} {} {} {}", ds.key_tag, ds.algorithm, ds.digest_type, ds.digest);
        Self { peers, folder: tempfile::tempdir().unwrap(), server, keyring, db, env, zone, ds }
    }

    /// A second name server of ours on the same database.
    pub async fn second(&self, address: &str) -> Nameserver {
        Nameserver::start(config(address), self.db.clone(), self.env.clone(), self.keyring.clone()).await.unwrap()
    }

    /// Adds a record, as a client of the API does.
    pub async fn put(&self, name: &str, kind: &str, content: &str) {
        let (env, zone, change) = (self.env.clone(), self.zone.clone(), create(name, kind, content));
        let author = Author { token: "t", common: None };
        self.db.write(move |tx| zone_change(tx, &env, &zone, &author, vec![change.clone()])).await.unwrap();
        self.server.refresh(&self.zone.name).await.unwrap();
    }

    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub fn program(&self, group: &str, binary: &str) -> Command {
        let group = self.peers.join(group);
        let mut command = Command::new(group.join("root").join(binary));
        let libraries = group.join("libraries");
        let folders: Vec<PathBuf> = ["usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu", "usr/lib", "lib/x86_64-linux-gnu", "lib"]
            .iter()
            .flat_map(|below| [libraries.join(below), group.join("root").join(below)])
            .filter(|folder| folder.is_dir())
            .collect();
        command.env("LD_LIBRARY_PATH", std::env::join_paths(folders).unwrap());
        command
    }

    pub fn start(&self, mut command: Command) -> Running {
        Running(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("the program starts"))
    }

    /// What `kdig` says.
    pub fn kdig(&self, args: &[&str]) -> String {
        said(self.program("knot", "usr/bin/kdig").args(args))
    }

    /// Asks until the answer is as wanted.
    pub fn until(&self, args: &[&str], wanted: impl Fn(&str) -> bool) -> String {
        self.within(DEADLINE, args, wanted).unwrap_or_else(|said| panic!("kdig {args:?} still says:\n{said}"))
    }

    /// Asks until the answer is as wanted, or says what it was last.
    pub fn within(&self, time: Duration, args: &[&str], wanted: impl Fn(&str) -> bool) -> Result<String, String> {
        let deadline = Instant::now() + time;
        loop {
            let said = self.kdig(args);
            if wanted(&said) {
                return Ok(said);
            }
            if Instant::now() >= deadline {
                return Err(said);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

pub fn said(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

pub fn good(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}:\n{said}");
    said
}

pub fn shown(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn config(address: &str) -> DnsConfig {
    DnsConfig {
        listen: format!("{address}:53").parse().unwrap(),
        name_servers: vec!["ns1.slipway.test".parse().unwrap(), "ns2.slipway.test".parse().unwrap()],
        edge_v4: vec!["192.0.2.80".parse().unwrap()],
        edge_v6: Vec::new(),
        common_domain: None,
        // One that follows, and one that only takes the zone away.
        secondaries: vec![format!("{SECONDARY}:53").parse().unwrap(), format!("{OURS}:5399").parse().unwrap()],
        answers_per_second: Some(slipway_dns::server::ANSWERS_PER_SECOND),
    }
}

fn create(name: &str, kind: &str, content: &str) -> Change {
    Change::Create(Written { name: Some(name.into()), kind: Some(kind.into()), content: Some(content.into()), ..Written::default() })
}

/// One of everything that answers in a way of its own.
fn records() -> Vec<Change> {
    [
        ("@", "A", "192.0.2.10"),
        ("@", "MX", "10 mail.shop.test"),
        ("@", "TXT", "\"v=spf1 -all\""),
        ("@", "CAA", "0 issue \"ca.example\""),
        ("www", "CNAME", "shop.test"),
        ("mail", "AAAA", "2001:db8::25"),
        ("_sip._tcp", "SRV", "1 2 5060 mail.shop.test"),
        ("_443._tcp.www2", "TLSA", "3 1 1 0b9fa5a59eed715c26c1020c711b4f6ec42d58b0015e14337a39dad301c5afc3"),
        ("svc", "HTTPS", "1 . alpn=\"h2\""),
        ("n", "NAPTR", "100 10 \"S\" \"SIP+D2U\" \"\" _sip._udp.shop.test"),
        ("*.wild", "TXT", "\"any\""),
        ("a.very.deep", "A", "192.0.2.11"),
        ("sub", "NS", "ns.sub.shop.test"),
        ("ns.sub", "A", "192.0.2.12"),
        ("safe", "NS", "ns.sub.shop.test"),
        ("safe", "DS", "60485 13 2 d4b7d520e7bb5f0f67674a0cceb1e3e0614b93c4f9e99b8383f6a1e4469da50a"),
    ]
    .map(|(name, kind, content)| create(name, kind, content))
    .into()
}
