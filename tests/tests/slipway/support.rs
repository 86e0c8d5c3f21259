//! A whole slipway with the real workerd, an orchestrator that takes its charges, and a client of each of its surfaces.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use http::{Method, Request, StatusCode};
use purser_client::{Identity, ProviderClient, ProviderEndpoint, Signer};
use purser_conformance::StubOrchestrator;
use purser_conformance::options::Payment as _;
use purser_db::DbConfig;
use purser_http::peer::TrustedProxies;
use purser_http::{Fetcher, Origin};
use purser_notify::MailConfig;
use purser_tests::binaries::missing;
use purser_values::{Currency, Env, Money, Secret};
use purser_wire::account::{AccountAnswer, AccountRequest, Orchestrator};
use purser_wire::assertion::IdentityAssertion;
use purser_wire::credit::{Cover, Programme};
use purser_wire::error::ErrorBody;
use purser_wire::id::IdempotencyKey;
use purser_wire::quote::{Quote, QuoteRequest};
use purser_wire::resource::{AccessConfiguration, AgentRef, CreateResource, PaymentCredentials, ResourceEnvelope, ResourceState};
use purser_wire::token::TokenGrant;
use serde_json::{Map, Value, json};
use slipway::cloud::Shared;
use slipway::config::{self, Config, Names, Profile, Sandbox};
use slipway::serve::{Running, start};
use slipway_billing::credit::programme::Offer;
use slipway_workers::runtime::process::JailProgram;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tower::ServiceExt as _;
use url::Url;

pub const SECRET: &str = "whsec_for_tests";
/// The one date that every test's Worker is written for.
pub const DATE: &str = "2026-11-01";

static COUNTER: AtomicU64 = AtomicU64::new(0);

pub struct World {
    pub folder: tempfile::TempDir,
    pub config: Config,
    pub stub: Arc<StubOrchestrator>,
    pub cloud: Shared,
    pub app: Router,
    pub client: ProviderClient,
    pub edge_http: SocketAddr,
    pub edge_https: SocketAddr,
    /// Held for its drop.
    running: Option<slipway_edge::edge::EdgeHandle>,
    server: JoinHandle<()>,
}

/// A signed-in customer, as an orchestrator holds it.
pub struct Customer {
    pub access: Secret<String>,
    pub account: String,
}

/// What `workers` gave.
pub struct Workers {
    pub resource: String,
    pub token: String,
    pub account: String,
}

/// A port that was free for the blink of a restart may be the near end of another test's call until that call ends.
async fn listen(address: SocketAddr) -> TcpListener {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        match TcpListener::bind(address).await {
            Err(e) if e.kind() == std::io::ErrorKind::AddrInUse && Instant::now() < until => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            bound => return bound.unwrap(),
        }
    }
}

impl World {
    /// Nothing when there is no workerd to test with, and it says so.
    pub async fn start() -> Option<Self> {
        Self::configured(|_| {}).await
    }

    /// With a configuration that differs from the usual one.
    pub async fn configured(change: impl FnOnce(&mut Config)) -> Option<Self> {
        let (workerd, jail) = (need("PURSER_WORKERD")?, need("SLIPWAY_BIN")?);
        let env = Env::system();
        let stub = Arc::new(StubOrchestrator::start(env, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap());
        let folder = tempfile::tempdir().unwrap();
        let mut config = configure(folder.path(), workerd, jail, stub.url());
        change(&mut config);
        Some(Self::run(folder, config, stub).await)
    }

    async fn run(folder: tempfile::TempDir, mut config: Config, stub: Arc<StubOrchestrator>) -> Self {
        let listener = listen(config.listen_api).await;
        config.listen_api = listener.local_addr().unwrap();
        config.public_url = Url::parse(&format!("http://{}/", config.listen_api)).unwrap();
        let Running { app, cloud, edge } = start(&config, Env::system()).await.unwrap();
        let served = app.clone();
        let server = tokio::spawn(async move { axum::serve(listener, served).await.unwrap() });
        stub.trust(cloud.manifest.keys.iter().map(|key| serde_json::from_value(key.clone()).unwrap()).collect());
        let fetcher = Fetcher::new(vec![Origin::of(&config.public_url).unwrap()]).unwrap();
        let signer = Signer {
            identity: Identity::Secret(SECRET.to_owned().into()),
            keys: std::sync::Arc::new(stub.attestor().key),
            env: Env::system(),
        };
        let client = ProviderClient::new(fetcher, ProviderEndpoint::from(&cloud.manifest), signer);
        let (edge_http, edge_https) = (edge.http_addr, edge.https_addr);
        Self { folder, config, stub, cloud, app, client, edge_http, edge_https, running: Some(edge), server }
    }

    /// Stops everything but the orchestrator and starts it again over the same data.
    pub async fn restart(mut self) -> Self {
        self.server.abort();
        let _ = (&mut self.server).await;
        if let Some(edge) = self.running.take() {
            edge.stop().await;
        }
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap());
        let (config, stub) = (self.config.clone(), self.stub.clone());
        drop(self);
        Self::run(folder, config, stub).await
    }

    /// An account request with the assertion of its subject.
    pub async fn account_request(&self, email: &str, subject: &str) -> AccountRequest {
        let now = Env::system().now();
        let attestor = self.stub.attestor();
        let id = format!("ar_{}", COUNTER.fetch_add(1, Ordering::SeqCst));
        let mut request = AccountRequest::new(
            id.parse().unwrap(),
            email.parse().unwrap(),
            Orchestrator::new("acct_test", "Test & Co"),
            "confirm".to_owned().into(),
            now.plus_secs(300),
        );
        let assertion = IdentityAssertion {
            iss: attestor.issuer.to_string(),
            aud: self.config.public_url.to_string(),
            sub: subject.to_owned(),
            email: email.parse().unwrap(),
            email_verified: true,
            agent_jkt: None,
            terms: self.cloud.manifest.terms.iter().map(|t| t.sha256).collect(),
            jti: format!("{subject}-{}", COUNTER.fetch_add(1, Ordering::SeqCst)),
            iat: now.as_secs(),
            exp: now.as_secs() + 120,
        };
        request.identity_assertion = Some(assertion.sign(&attestor.key).unwrap());
        request
    }

    /// Opens the account of a subject and redeems its code.
    pub async fn customer(&self, subject: &str) -> Customer {
        let request = self.account_request(&format!("{subject}@example.test"), subject).await;
        self.redeem(&request).await
    }

    pub async fn redeem(&self, request: &AccountRequest) -> Customer {
        let AccountAnswer::OAuth { code } = self.client.account_request(request).await.unwrap() else { panic!("no code") };
        let tokens = self.client.token(&TokenGrant::AuthorizationCode { code, code_verifier: None }).await.unwrap();
        Customer { access: tokens.access_token, account: tokens.account.unwrap().id.to_string() }
    }

    pub async fn quote(&self, customer: &Customer, service: &str, configuration: Value) -> Result<Quote, ErrorBody> {
        let request = QuoteRequest {
            service_id: service.parse().unwrap(),
            configuration: map(configuration),
            project_id: None,
            resource_id: None,
            parties: None,
        };
        self.client.quote_create(&customer.access, &request).await.map_err(permanent)
    }

    pub async fn create(&self, customer: &Customer, request: &CreateResource, key: &str) -> Result<ResourceEnvelope, ErrorBody> {
        let key: IdempotencyKey = key.parse().unwrap();
        self.client.resource_create(&customer.access, request, &key).await.map_err(permanent)
    }

    /// A plan and access to the runtime, for one agent.
    pub async fn workers(&self, customer: &Customer, agent: &str) -> Workers {
        let unique = COUNTER.fetch_add(1, Ordering::SeqCst);
        self.create(customer, &order("workers:free", json!({}), agent), &format!("plan-{unique}")).await.unwrap();
        let made = self.create(customer, &order("workers", json!({}), agent), &format!("workers-{unique}")).await.unwrap();
        let access = access(&made);
        Workers {
            resource: made.id.as_ref().unwrap().to_string(),
            token: access.0["CLOUDFLARE_API_TOKEN"].expose().clone(),
            account: access.0["CLOUDFLARE_ACCOUNT_ID"].expose().clone(),
        }
    }

    /// A paid domain.
    pub async fn domain(&self, customer: &Customer, name: &str, agent: &str) -> ResourceEnvelope {
        let configuration = json!({"domain": name});
        let quote = self.quote(customer, "registrar:domain", configuration.clone()).await.unwrap();
        let request = paid(order("registrar:domain", configuration, agent), &quote, self.stub.good_token());
        self.create(customer, &request, &format!("domain-{name}")).await.unwrap()
    }

    /// One call of the Cloudflare API: status and body.
    pub async fn api(&self, token: &str, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let bytes = body.map(|b| b.to_string().into_bytes()).unwrap_or_default();
        self.api_raw(token, method, path, "application/json", bytes).await
    }

    pub async fn api_raw(&self, token: &str, method: Method, path: &str, kind: &str, body: Vec<u8>) -> (StatusCode, Value) {
        let request = Request::builder()
            .method(method)
            .uri(format!("/client/v4{path}"))
            .header("authorization", format!("Bearer {token}"))
            .header("user-agent", "wrangler/4.164.0")
            .header("content-type", kind)
            .body(Body::from(body))
            .unwrap();
        let response = self.app.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 1 << 24).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_else(|_| panic!("no JSON: {}", String::from_utf8_lossy(&body))))
    }

    /// Uploads one module, which deploys it.
    pub async fn upload(&self, workers: &Workers, script: &str, code: &str) -> (StatusCode, Value) {
        let metadata = json!({"main_module": "index.js", "compatibility_date": DATE, "bindings": []});
        let (kind, body) = multipart(&[("metadata", None, metadata.to_string().as_bytes()), ("index.js", Some(ESM), code.as_bytes())]);
        let path = format!("/accounts/{}/workers/scripts/{script}", workers.account);
        self.api_raw(&workers.token, Method::PUT, &path, &kind, body).await
    }

    /// What a visitor of a host name gets, over the edge's plain listener.
    pub async fn visit(&self, host: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.edge_http).await.unwrap();
        let port = self.edge_http.port();
        let request = format!("GET / HTTP/1.1\r\nHost: {host}.localhost:{port}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let text = String::from_utf8_lossy(&answer).into_owned();
        let status = text.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or_else(|| panic!("no HTTP: {text}"));
        (status, text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The content type of a module.
pub const ESM: &str = "application/javascript+module";

/// A form: name, content type of a file part, bytes.
pub fn multipart(parts: &[(&str, Option<&str>, &[u8])]) -> (String, Vec<u8>) {
    let boundary = "----tests-7d1f0c";
    let mut body = Vec::new();
    for (name, kind, bytes) in parts {
        body.extend_from_slice(format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"").as_bytes());
        if let Some(kind) = kind {
            body.extend_from_slice(format!("; filename=\"{name}\"\r\nContent-Type: {kind}").as_bytes());
        }
        body.extend_from_slice(b"\r\n\r\n");
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    (format!("multipart/form-data; boundary={boundary}"), body)
}

pub fn order(service: &str, configuration: Value, agent: &str) -> CreateResource {
    let mut request = CreateResource::new(service.parse().unwrap(), map(configuration));
    request.agent = Some(AgentRef { id: agent.parse().unwrap(), jkt: None, grant: None });
    request
}

pub fn paid(mut request: CreateResource, quote: &Quote, token: Secret<String>) -> CreateResource {
    request.quote_id = Some(quote.id.clone());
    request.payment_credentials = Some(PaymentCredentials::StripePaymentToken(token));
    request
}

pub fn access(envelope: &ResourceEnvelope) -> &AccessConfiguration {
    match &envelope.state {
        ResourceState::Complete { access_configuration: Some(access), .. } => access,
        other => panic!("not complete: {other:?}"),
    }
}

/// What the provider said, of a refusal that is no failure of the line.
pub fn permanent(e: purser_client::CallError) -> ErrorBody {
    match e {
        purser_client::CallError::Permanent { error, .. } => error,
        other => panic!("no answer of the provider: {other:?}"),
    }
}

fn map(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// What the environment must name, or the reason why nothing is tested.
fn need(name: &str) -> Option<PathBuf> {
    let found = std::env::var_os(name).map(PathBuf::from);
    if found.is_none() {
        missing(name);
    }
    found
}

/// The one programme of credit that these tests know.
fn start_up() -> Offer {
    let programme = Programme {
        id: "start-up".to_owned(),
        title: "Start-up programme".to_owned(),
        description: String::new(),
        amount: Money::from_minor(8_00, Currency::USD),
        months: 12,
        covers: vec![Cover::Plans, Cover::Usage],
    };
    Offer { programme, total: Money::from_minor(800_00, Currency::USD) }
}

/// `jail` is the binary that builds jails: the test itself has no such subcommand.
fn configure(folder: &Path, workerd: PathBuf, jail: PathBuf, orchestrator: &Url) -> Config {
    let secret = folder.join("secret");
    std::fs::write(&secret, SECRET).unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Config {
        profile: Profile::Sandbox,
        listen_api: any,
        listen_edge_https: any,
        listen_edge_http: any,
        listen_dns: any,
        database: DbConfig::Sqlite { path: folder.join("slipway.db") },
        data: folder.to_owned(),
        workerd,
        keys: folder.join("keys"),
        public_url: Url::parse("http://127.0.0.1/").unwrap(),
        orchestrator: config::Orchestrator {
            url: orchestrator.clone(),
            callback_url: orchestrator.join("link/callback/slipway").unwrap(),
            signing_secret_file: secret,
            require_v2: true,
            require_assertion: true,
        },
        mail: MailConfig::Folder { folder: folder.join("mail") },
        trusted_proxies: TrustedProxies::default(),
        sandbox: Some(Sandbox { registry: true, contacts: false, local_ca: true }),
        certificate: None,
        log: purser_http::log::LogFormat::Text,
        offers: vec![start_up()],
        requests_per_s: None,
        pace: 1,
        unconfined: false,
        acme: None,
        registry: None,
        objects: None,
        names: Names::sandbox().unwrap(),
        jail: JailProgram { program: jail, args: vec!["jail".to_owned()] },
    }
}
