//! A slipway as its binary, and customers of it.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Arc;
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
/// Longer than any command of wrangler takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running slipway.
pub struct Cloud {
    process: Child,
    config: PathBuf,
    stub: StubOrchestrator,
    pub folder: tempfile::TempDir,
    pub api: Url,
    pub edge_http: SocketAddr,
    client: ProviderClient,
    terms: Vec<purser_values::Sha256Digest>,
}

/// What a customer's agent has in its environment: account, token, address.
#[derive(Clone)]
pub struct Customer {
    pub variables: Vec<(String, String)>,
    pub domain: String,
}

/// What the environment must name, or the reason why nothing is tested.
pub fn need(name: &str) -> Option<PathBuf> {
    let found = std::env::var_os(name).map(PathBuf::from);
    if found.is_none() {
        missing(name);
    }
    found
}

impl Customer {
    pub fn variable(&self, name: &str) -> &str {
        &self.variables.iter().find(|(known, _)| known == name).unwrap_or_else(|| panic!("no {name}")).1
    }
}

impl Cloud {
    pub async fn start() -> Option<Self> {
        let (slipway, workerd) = (need("SLIPWAY_BIN")?, need("PURSER_WORKERD")?);
        let stub = StubOrchestrator::start(Env::system(), here(0)).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let [api, https, http, dns] = free_ports();
        let secret = folder.path().join("secret");
        fs::write(&secret, SECRET).unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
        let config = format!(
            "profile = \"sandbox\"\nlisten_api = \"{}\"\nlisten_edge_https = \"{}\"\nlisten_edge_http = \"{}\"\nlisten_dns = \"{}\"\n\
             database = \"sqlite:{dir}/slipway.db\"\ndata = \"{dir}\"\nworkerd = \"{}\"\nkeys = \"{dir}/keys\"\npace = 20\n\
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
        let process = spawn(&slipway, &file);
        let base = Url::parse(&format!("http://{}/", here(api))).unwrap();
        wait_for(&base, folder.path()).await;
        let fetcher = Fetcher::new(vec![Origin::of(&base).unwrap()]).unwrap();
        let manifest = purser_client::Discovery::new(fetcher.clone()).manifest(&base).await.unwrap();
        stub.trust(manifest.keys.iter().map(|key| serde_json::from_value(key.clone()).unwrap()).collect());
        let signer =
            Signer { identity: Identity::Secret(SECRET.to_owned().into()), keys: Arc::new(stub.attestor().key), env: Env::system() };
        let client = ProviderClient::new(fetcher, ProviderEndpoint::from(&manifest), signer);
        let terms = manifest.terms.iter().map(|t| t.sha256).collect();
        Some(Self { process, config: file, stub, folder, api: base, edge_http: here(http), client, terms })
    }

    /// Kills it as a power cut would, and starts it again.
    pub async fn kill_and_restart(&mut self) {
        self.process.kill().await.unwrap();
        self.process = spawn(&need("SLIPWAY_BIN").unwrap(), &self.config);
        wait_for(&self.api, self.folder.path()).await;
    }

    /// Opens an account and orders what a deployment on an own domain needs.
    pub async fn customer(&self, subject: &str, domain: &str) -> Customer {
        let email = format!("{subject}@example.test");
        let (env, attestor) = (Env::system(), self.stub.attestor());
        let mut request = AccountRequest::new(
            format!("ar_{subject}").parse().unwrap(),
            email.parse().unwrap(),
            Orchestrator::new("acct_test", "Test"),
            "confirm".to_owned().into(),
            env.now().plus_secs(300),
        );
        let now = env.now().as_secs();
        let assertion = IdentityAssertion {
            iss: attestor.issuer.to_string(),
            aud: self.api.to_string(),
            sub: subject.to_owned(),
            email: email.parse().unwrap(),
            email_verified: true,
            agent_jkt: None,
            terms: self.terms.clone(),
            jti: format!("wrangler-{subject}"),
            iat: now,
            exp: now + 120,
        };
        request.identity_assertion = Some(assertion.sign(&attestor.key).unwrap());
        let AccountAnswer::OAuth { code } = self.client.account_request(&request).await.unwrap() else { panic!("no code") };
        let access = self.client.token(&TokenGrant::AuthorizationCode { code, code_verifier: None }).await.unwrap().access_token;
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
        let quote = self.client.quote_create(&access, &asked).await.unwrap();
        let mut bought = create("registrar:domain", configuration);
        bought.quote_id = Some(quote.id);
        bought.payment_credentials = Some(PaymentCredentials::StripePaymentToken(self.stub.good_token()));
        self.client.resource_create(&access, &bought, &"domain".parse().unwrap()).await.unwrap();
        self.client.resource_create(&access, &create("workers:free", json!({})), &"plan".parse().unwrap()).await.unwrap();
        let made = self.client.resource_create(&access, &create("workers", json!({})), &"workers".parse().unwrap()).await.unwrap();
        Customer { variables: variables(&made), domain: domain.to_owned() }
    }

    /// What a visitor gets from a host name over the edge's plain listener.
    pub async fn visit(&self, host: &str, path: &str) -> (u16, String) {
        let answer = self.answer(host, path).await;
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// The same with its headers; redirects are not followed.
    pub async fn answer(&self, host: &str, path: &str) -> reqwest::Response {
        let client = reqwest::Client::builder()
            .resolve(&format!("{host}.localhost"), self.edge_http)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        client.get(format!("http://{host}.localhost:{}{path}", self.edge_http.port())).send().await.unwrap()
    }
}

fn spawn(slipway: &Path, config: &Path) -> Child {
    let log = config.with_file_name("slipway.log");
    let log = fs::File::options().create(true).append(true).open(log).unwrap();
    let mut command = Command::new(slipway);
    command.arg("serve").arg("--config").arg(config).stdin(Stdio::null()).stderr(log).kill_on_drop(true);
    command.spawn().unwrap()
}

/// Runs a client as a customer's agent would, with a home of its own.
pub async fn run(program: &Path, at: &Path, home: &Path, arguments: &[&str], variables: &[(String, String)], input: &str) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(at).env("HOME", home).env("XDG_CONFIG_HOME", home);
    command.env("CI", "true").env("WRANGLER_SEND_METRICS", "false").env("WRANGLER_HIDE_BANNER", "true").env("FORCE_COLOR", "0");
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // a client that reads nothing may be gone before it is written to
    drop(stdin.write_all(input.as_bytes()).await);
    drop(stdin);
    tokio::time::timeout(PATIENCE, child.wait_with_output()).await.expect("a client hangs").unwrap()
}

/// Everything that a program said.
pub fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A project folder of wrangler.
pub fn project(parent: &Path, name: &str, config: &Value, files: &[(&str, &[u8])]) -> PathBuf {
    let at = parent.join(name);
    let config = config.to_string();
    for (path, bytes) in files.iter().copied().chain([("wrangler.json", config.as_bytes())]) {
        let path = at.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    at
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
