//! A client that nobody registered: its id is the address of its document. npm's oauth4webapi runs the whole code flow as that client, from a
//! TLS server with a name that looks public. Nothing of what guards a fetch is off.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use crate::world::World;
use crate::world::client::Back;
use http::StatusCode;
use purser_http::Fetcher;
use purser_http::fetch::Network;
use purser_identity::SignUp;
use purser_server::oidc::{Clients, Registration, Rules};
use purser_values::Env;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

const NAME: &str = "app.example.com";
const ID: &str = "https://app.example.com/client";
/// Public, and nobody's here: whoever connects is led to the test's own server.
const PUBLIC: IpAddr = IpAddr::V4(Ipv4Addr::new(93, 184, 215, 14));
const PATIENCE: Duration = Duration::from_secs(60);

/// The client, as a program.
struct Far {
    child: Child,
    says: Lines<BufReader<ChildStdout>>,
    hears: ChildStdin,
    authority: Vec<u8>,
    port: u16,
    _folder: tempfile::TempDir,
}

fn named(variable: &str) -> Option<PathBuf> {
    let found = std::env::var_os(variable).map(PathBuf::from).filter(|path| path.exists());
    let promised = std::env::var_os("PURSER_PEERS").is_some_and(|value| value == "all");
    assert!(found.is_some() || !promised, "{variable} names nothing, though every peer of the tests should be here");
    if found.is_none() {
        eprintln!("NOT TESTED: {variable} names nothing that is there; run `cargo xtask test`");
    }
    found
}

impl Far {
    /// Nothing, said loudly, without Node and its packages.
    async fn start() -> Option<Self> {
        let (node, modules) = (named("PURSER_NODE")?, named("PURSER_REFEREES")?);
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("client.mjs");
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/referees/client_by_url.mjs");
        std::fs::copy(scripts, &script).unwrap();
        std::os::unix::fs::symlink(modules, folder.path().join("node_modules")).unwrap();
        let mut issuer = CertificateParams::default();
        issuer.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(issuer, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([NAME.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        let mut command = Command::new(node);
        command.arg(script).env("ID", ID).env("KEY", key.serialize_pem()).env("CERTIFICATE", certificate.pem());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let (says, hears) = (BufReader::new(child.stdout.take().unwrap()).lines(), child.stdin.take().unwrap());
        let mut far = Self { child, says, hears, authority: issuer.der().to_vec(), port: 0, _folder: folder };
        far.port = u16::try_from(far.says().await["listens"].as_u64().unwrap()).unwrap();
        Some(far)
    }

    async fn says(&mut self) -> Value {
        let line = tokio::time::timeout(PATIENCE, self.says.next_line()).await.expect("the client says nothing").unwrap();
        let line = line.expect("the client ended; its last words are above");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line}"))
    }

    async fn hears(&mut self, line: &str) {
        self.hears.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    /// An orchestrator on a port of this machine, to which the client's name stands for these addresses; and its issuer.
    async fn world(&self, stands_for: IpAddr) -> (World, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let network = Network {
            names: HashMap::from([(NAME.to_owned(), vec![stands_for])]),
            leads_to: HashMap::from([(PUBLIC, SocketAddr::from(([127, 0, 0, 1], self.port)))]),
            authority: self.authority.clone(),
        };
        let fetcher = Fetcher::in_network(network, vec![]).unwrap();
        let rules = Rules { registration: Registration::Closed, resources: vec![], sandbox: false };
        let clients = Clients::new(fetcher.clone(), rules, vec![]);
        let world = World::with_clients(&issuer, true, SignUp::Open, clients, fetcher).await;
        // the client has a clock of its own
        world.clock.set(Env::system().now());
        let served = world.surface().into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, served).await });
        (world, issuer)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_only_an_address_runs_the_whole_code_flow_with_a_strict_library() {
    let Some(mut far) = Far::start().await else { return };
    let (world, issuer) = far.world(PUBLIC).await;
    let mut ada = world.person("ada@example.test").await;
    far.hears(&issuer).await;
    let page = far.says().await["go"].as_str().unwrap().strip_prefix(&issuer).unwrap().to_owned();
    let to_page = ada.get(&page).await;
    assert_eq!(to_page.status, StatusCode::SEE_OTHER, "{}", to_page.body);
    let page = ada.get(to_page.location()).await;
    assert!(page.body.contains("<q>Far away</q>") && page.body.contains(ID) && page.body.contains("not verified"), "{}", page.body);
    let answer = ada.submit(&page, 1, &[], Some(("decision", "accept"))).await;
    assert!(Back::of(&answer).to.starts_with("https://app.example.com/callback"), "{}", answer.location());
    far.hears(answer.location()).await;
    let done = far.says().await;
    assert_eq!((&done["email"], &done["active"], &done["after"]), (&"ada@example.test".into(), &true.into(), &false.into()), "{done}");
    // by its name, over TLS, each once: the document for the client, the keys for its statements
    assert_eq!(done["asked"], serde_json::json!([format!("{NAME}/client"), format!("{NAME}/keys")]), "{done}");
    assert!(far.child.wait().await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_client_is_nobody_when_its_name_stands_for_this_machine() {
    let Some(far) = Far::start().await else { return };
    let (world, _) = far.world(IpAddr::V4(Ipv4Addr::LOCALHOST)).await;
    let mut ada = world.person("ada@example.test").await;
    let refused = ada.get(&format!("/oauth/authorize?client_id={}&response_type=code", ID.replace(':', "%3A").replace('/', "%2F"))).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{}", refused.body);
    assert!(refused.body.contains("cannot be fetched") && refused.headers.get("location").is_none(), "{}", refused.body);
}
