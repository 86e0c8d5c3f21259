//! The unmodified clients of the Cloudflare API against the `slipway` binary and the real workerd: the current wrangler and the last
//! one for Node 20, each with the token that `workers` delivers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use purser_client::{Identity, ProviderClient, ProviderEndpoint, Signer};
use purser_conformance::StubOrchestrator;
use purser_conformance::options::Payment as _;
use purser_http::{Fetcher, Origin};
use purser_tests::binaries::missing;
use purser_values::Env;
use purser_wire::account::{AccountAnswer, AccountRequest, Orchestrator};
use purser_wire::assertion::IdentityAssertion;
use purser_wire::quote::QuoteRequest;
use purser_wire::resource::{CreateResource, PaymentCredentials, ResourceEnvelope, ResourceState};
use purser_wire::token::TokenGrant;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};
use url::Url;

const SECRET: &str = "whsec_for_wrangler";

/// A running slipway with one customer.
struct Cloud {
    /// Held for its drop.
    _process: Child,
    _stub: StubOrchestrator,
    folder: tempfile::TempDir,
    edge_http: SocketAddr,
    /// What the customer's agent has in its environment.
    variables: Vec<(String, String)>,
}

/// What the environment must name, or the reason why nothing is tested.
fn need(name: &str) -> Option<PathBuf> {
    let found = std::env::var_os(name).map(PathBuf::from);
    if found.is_none() {
        missing(name);
    }
    found
}

impl Cloud {
    async fn start(domain: &str) -> Option<Self> {
        let (slipway, workerd) = (need("SLIPWAY_BIN")?, need("PURSER_WORKERD")?);
        let stub = StubOrchestrator::start(Env::system(), here(0)).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let [api, https, http, dns] = free_ports();
        let secret = folder.path().join("secret");
        fs::write(&secret, SECRET).unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
        let config = format!(
            "profile = \"sandbox\"\nlisten_api = \"{}\"\nlisten_edge_https = \"{}\"\nlisten_edge_http = \"{}\"\nlisten_dns = \"{}\"\n\
             database = \"sqlite:{dir}/slipway.db\"\ndata = \"{dir}\"\nworkerd = \"{}\"\nkeys = \"{dir}/keys\"\n\
             [orchestrator]\nurl = \"{}\"\nsigning_secret_file = \"{dir}/secret\"\n[sandbox]\nregistry = true\nlocal_ca = true\n",
            here(api),
            here(https),
            here(http),
            here(dns),
            workerd.display(),
            stub.url(),
            dir = folder.path().display(),
        );
        let file = folder.path().join("slipway.toml");
        fs::write(&file, config).unwrap();
        let log = fs::File::create(folder.path().join("slipway.log")).unwrap();
        let mut command = Command::new(slipway);
        command.arg("serve").arg("--config").arg(&file).stdin(Stdio::null()).stderr(log).kill_on_drop(true);
        let process = command.spawn().unwrap();
        let base = Url::parse(&format!("http://{}/", here(api))).unwrap();
        wait_for(&base, folder.path()).await;
        let variables = customer(&base, &stub, domain).await;
        Some(Self { _process: process, _stub: stub, folder, edge_http: here(http), variables })
    }

    /// Runs wrangler in a folder of the project; its output when it succeeds.
    async fn wrangler(&self, wrangler: &Path, at: &Path, arguments: &[&str], input: &str) -> String {
        let mut command = Command::new(wrangler);
        command.args(arguments).current_dir(at).env("HOME", self.folder.path()).env("XDG_CONFIG_HOME", self.folder.path());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.env("CI", "true").env("WRANGLER_SEND_METRICS", "false").env("WRANGLER_HIDE_BANNER", "true").env("NO_COLOR", "1");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).await.unwrap();
        drop(stdin);
        let ended = tokio::time::timeout(Duration::from_secs(120), child.wait_with_output()).await.expect("wrangler hangs").unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
        assert!(ended.status.success(), "wrangler {arguments:?} failed:\n{text}");
        text
    }

    /// What a visitor gets from a host name over the edge's plain listener.
    async fn visit(&self, host: &str, path: &str) -> (u16, String) {
        let client = reqwest::Client::builder().resolve(&format!("{host}.localhost"), self.edge_http).no_proxy().build().unwrap();
        let url = format!("http://{host}.localhost:{}{path}", self.edge_http.port());
        let answer = client.get(url).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
}

/// Opens an account and orders what a deployment on an own domain needs.
async fn customer(base: &Url, stub: &StubOrchestrator, domain: &str) -> Vec<(String, String)> {
    let fetcher = Fetcher::new(vec![Origin::of(base).unwrap()]).unwrap();
    let manifest = purser_client::Discovery::new(fetcher.clone()).manifest(base).await.unwrap();
    stub.trust(manifest.keys.iter().map(|key| serde_json::from_value(key.clone()).unwrap()).collect());
    let signer =
        Signer { identity: Identity::Secret(SECRET.to_owned().into()), keys: std::sync::Arc::new(stub.attestor().key), env: Env::system() };
    let client = ProviderClient::new(fetcher, ProviderEndpoint::from(&manifest), signer);
    let mut request = AccountRequest::new(
        "ar_1".parse().unwrap(),
        "ada@example.test".parse().unwrap(),
        Orchestrator::new("acct_test", "Test"),
        "confirm".to_owned().into(),
        Env::system().now().plus_secs(300),
    );
    let attestor = stub.attestor();
    let now = Env::system().now().as_secs();
    let assertion = IdentityAssertion {
        iss: attestor.issuer.to_string(),
        aud: manifest.base_url.to_string(),
        sub: "ada".to_owned(),
        email: "ada@example.test".parse().unwrap(),
        email_verified: true,
        agent_jkt: None,
        terms: manifest.terms.iter().map(|t| t.sha256).collect(),
        jti: format!("wrangler-{domain}"),
        iat: now,
        exp: now + 120,
    };
    request.identity_assertion = Some(assertion.sign(&attestor.key).unwrap());
    let AccountAnswer::OAuth { code } = client.account_request(&request).await.unwrap() else { panic!("no code") };
    let access = client.token(&TokenGrant::AuthorizationCode { code, code_verifier: None }).await.unwrap().access_token;
    let create =
        |service: &str, configuration: Value| CreateResource::new(service.parse().unwrap(), configuration.as_object().unwrap().clone());
    let configuration = json!({"domain": domain});
    let asked = QuoteRequest {
        service_id: "registrar:domain".parse().unwrap(),
        configuration: configuration.as_object().unwrap().clone(),
        project_id: None,
        resource_id: None,
        parties: None,
    };
    let quote = client.quote_create(&access, &asked).await.unwrap();
    let mut bought = create("registrar:domain", configuration);
    bought.quote_id = Some(quote.id);
    bought.payment_credentials = Some(PaymentCredentials::StripePaymentToken(stub.good_token()));
    client.resource_create(&access, &bought, &"domain".parse().unwrap()).await.unwrap();
    client.resource_create(&access, &create("workers:free", json!({})), &"plan".parse().unwrap()).await.unwrap();
    let made = client.resource_create(&access, &create("workers", json!({})), &"workers".parse().unwrap()).await.unwrap();
    variables(&made)
}

fn variables(envelope: &ResourceEnvelope) -> Vec<(String, String)> {
    let ResourceState::Complete { access_configuration: Some(access), .. } = &envelope.state else { panic!("not complete") };
    access.0.iter().map(|(name, value)| (name.clone(), value.expose().clone())).collect()
}

async fn wait_for(base: &Url, folder: &Path) {
    let (health, begun) = (base.join("health").unwrap(), Instant::now());
    while reqwest::get(health.clone()).await.is_err() {
        let log = || fs::read_to_string(folder.join("slipway.log")).unwrap_or_default();
        assert!(begun.elapsed() < Duration::from_secs(20), "slipway does not start:\n{}", log());
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

fn here(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Ports that were free a moment ago, all different.
fn free_ports() -> [u16; 4] {
    let listeners: [_; 4] = std::array::from_fn(|_| std::net::TcpListener::bind(here(0)).unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

/// A project folder of wrangler.
fn project(parent: &Path, name: &str, config: &Value, files: &[(&str, &str)]) -> PathBuf {
    let at = parent.join(name);
    for (path, text) in files.iter().map(|(path, text)| (*path, (*text).to_owned())).chain([("wrangler.json", config.to_string())]) {
        let path = at.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    at
}

fn answering(text: &str) -> String {
    format!("export default {{ fetch(request, env) {{ return new Response('{text} ' + (env.KEY ?? env.COLOUR)) }} }}")
}

/// Everything that an agent does with wrangler, in one life of a Worker.
async fn story(wrangler: &Path) {
    let domain = "wrangler-site.test";
    let Some(cloud) = Cloud::start(domain).await else { return };
    let config = json!({
        "name": "hello", "main": "index.js", "compatibility_date": "2026-04-01", "vars": {"COLOUR": "blue"},
        "routes": [{"pattern": domain, "custom_domain": true}], "workers_dev": true,
    });
    let at = project(cloud.folder.path(), "hello", &config, &[("index.js", &answering("one"))]);
    let run = |arguments: &'static [&'static str]| cloud.wrangler(wrangler, &at, arguments, "");

    let said = run(&["whoami"]).await;
    assert!(said.contains(&cloud.variables[0].1), "whoami does not know the account:\n{said}");
    let said = run(&["deploy"]).await;
    assert!(said.contains(domain), "the domain is not told:\n{said}");
    assert_eq!(cloud.visit(domain, "/").await, (200, "one blue".to_owned()));

    fs::write(at.join("index.js"), answering("two")).unwrap();
    run(&["deploy", "--message", "second"]).await;
    assert_eq!(cloud.visit(domain, "/").await.1, "two blue");

    cloud.wrangler(wrangler, &at, &["secret", "put", "KEY"], "hunter2\n").await;
    assert_eq!(cloud.visit(domain, "/").await.1, "two hunter2");
    fs::write(at.join("index.js"), answering("three")).unwrap();
    run(&["deploy"]).await;
    assert_eq!(cloud.visit(domain, "/").await.1, "three hunter2", "a redeployment lost the secret");
    assert!(run(&["secret", "list"]).await.contains("KEY"));

    assert!(run(&["versions", "list"]).await.contains("second"));
    run(&["deployments", "list"]).await;
    run(&["rollback", "--yes", "--message", "back"]).await;
    assert!(cloud.visit(domain, "/").await.1.starts_with("two"), "a rollback changed nothing");

    let files = json!({"name": "files", "compatibility_date": "2026-04-01", "assets": {"directory": "public"}});
    let site = project(cloud.folder.path(), "files", &files, &[("public/index.html", "<p>static</p>"), ("public/a/b.txt", "deep")]);
    let said = cloud.wrangler(wrangler, &site, &["deploy"], "").await;
    let host = said.split_whitespace().find_map(|word| word.strip_prefix("https://files.")).map(|rest| format!("files.{rest}"));
    if let Some(host) = host.filter(|host| host.ends_with(".test")) {
        assert_eq!(cloud.visit(&host, "/a/b.txt").await, (200, "deep".to_owned()));
        assert_eq!(cloud.visit(&host, "/").await, (200, "<p>static</p>".to_owned()));
    }
    fs::write(site.join("public/index.html"), "<p>changed</p>").unwrap();
    cloud.wrangler(wrangler, &site, &["deploy"], "").await;

    run(&["delete", "--force"]).await;
    assert_eq!(cloud.visit(domain, "/").await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_current_wrangler_deploys_redeploys_and_deletes() {
    if let Some(wrangler) = need("PURSER_WRANGLER_NEW") {
        story(&wrangler).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wrangler_for_node_20_deploys_redeploys_and_deletes() {
    if let Some(wrangler) = need("PURSER_WRANGLER_OLD") {
        story(&wrangler).await;
    }
}
