//! An orchestrator in this process: a temporary database, a clock that stands still, mail in a folder, browsers with cookies and
//! agents with keys.
#![allow(dead_code, reason = "each suite uses a part")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod api;
pub mod client;
pub mod company;
pub mod helper;
pub mod key;
pub mod provider;
pub mod publisher;
pub mod purchase;
pub mod scene;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use http::{HeaderMap, Method, Request, StatusCode, header};
use purser_authority::action::BootstrapMint;
use purser_authority::{Attempt, Caller, Facts, authorise};
use purser_crypto::encoding::b64url;
use purser_crypto::jose::{Algorithm, SigningKey};
use purser_crypto::seal::Keyring;
use purser_db::Db;
use purser_db::jobs::Runner;
use purser_db::testing::START;
use purser_identity::authorization::sign_on::LOGOUT_JOB;
use purser_identity::bootstrap::{BootstrapError, bootstrap_mint};
use purser_identity::terms::{TermsDocument, terms_keep};
use purser_identity::{CallContext, CallerError, Keys, Presented, Realm, SignUp, caller_of};
use purser_notify::Transport;
use purser_provisioning::charges::Rails;
use purser_provisioning::{Core, client_logout, perform};
use purser_server::front::{Front, Parts};
use purser_server::oidc::{Clients, Decisions, Introspected, Registration, Rules};
use purser_server::peer::TrustedProxies;
use purser_server::sso::Sso;
use purser_server::{console, oidc, unknown};
use purser_spend::rail::sandbox::SandboxRail;
use purser_values::env::TestClock;
use purser_values::{Env, Secret, Sha256Digest};
use serde_json::{Value, json};
use tower::ServiceExt as _;

pub struct World {
    pub front: Front,
    pub router: Router,
    api: Router,
    pub clock: Arc<TestClock>,
    pub env: Env,
    runner: Runner,
    folder: tempfile::TempDir,
}

impl World {
    /// A sandbox on http.
    pub async fn new() -> Self {
        Self::with("http://localhost:4000", true, SignUp::Open).await
    }

    pub async fn with(url: &str, sandbox: bool, sign_up: SignUp) -> Self {
        let fetcher = purser_http::Fetcher::new(vec![]).unwrap();
        Self::with_clients(url, sandbox, sign_up, clients(sandbox, vec![]), fetcher).await
    }

    /// With clients of its own, and a fetcher for what they want to hear.
    pub async fn with_clients(url: &str, sandbox: bool, sign_up: SignUp, clients: Clients, fetcher: purser_http::Fetcher) -> Self {
        let (env, clock) = Env::test(START, 7);
        let db: Db = purser_db::testing::sqlite(purser_server::TABLES).await;
        Self::made_of(db, (env, clock), url, sandbox, sign_up, clients, fetcher).await
    }

    /// A sandbox whose fetcher may go to these origins on this machine.
    pub async fn fetching(allow: Vec<purser_http::fetch::Origin>) -> Self {
        let (env, clock) = Env::test(START, 7);
        let db: Db = purser_db::testing::sqlite(purser_server::TABLES).await;
        let fetcher = purser_http::Fetcher::new(allow.clone()).unwrap();
        Self::made_of(db, (env, clock), "http://localhost:4000", true, SignUp::Open, clients(true, allow), fetcher).await
    }

    /// A sandbox on this database.
    pub async fn on(db: Db) -> Self {
        let (env, clock) = Env::test(START, 7);
        let fetcher = purser_http::Fetcher::new(vec![]).unwrap();
        Self::made_of(db, (env, clock), "http://localhost:4000", true, SignUp::Open, clients(true, vec![]), fetcher).await
    }

    /// Another node on the same database, with nothing else in common but the time.
    pub async fn beside(&self) -> Self {
        self.beside_fetching(vec![]).await
    }

    /// The same, and it may go to these origins on this machine.
    pub async fn beside_fetching(&self, allow: Vec<purser_http::fetch::Origin>) -> Self {
        let db = self.front.core.db.clone();
        let (sandbox, fetcher) = (self.front.sandbox, purser_http::Fetcher::new(allow.clone()).unwrap());
        let time = (self.env.clone(), self.clock.clone());
        Self::made_of(db, time, &self.front.realm.issuer, sandbox, SignUp::Open, clients(sandbox, allow), fetcher).await
    }

    /// Lets the OAuth endpoints and the API treat nonces by this rule.
    pub fn demand_nonces(&mut self, rule: purser_identity::NonceRule) {
        self.front.realm.proof_nonces = rule;
        self.router = console::router(self.front.clone()).merge(oidc::router(self.front.clone()));
        self.api = api::router(&self.front, self.folder.path());
    }

    /// Lets people sign in through these companies, from now on.
    pub fn sign_in_through(&mut self, companies: &[&company::Company]) {
        let allow = companies.iter().map(|one| one.origin()).collect();
        let clients = companies.iter().map(|one| (one.connection().name, one.client()));
        self.front.sso = Sso::new(purser_http::Fetcher::new(allow).unwrap(), true, clients);
        self.front.realm.sso = companies.iter().map(|one| one.connection()).collect();
        self.router = console::router(self.front.clone()).merge(oidc::router(self.front.clone()));
        self.api = api::router(&self.front, self.folder.path());
    }

    async fn made_of(
        db: Db,
        (env, clock): (Env, Arc<TestClock>),
        url: &str,
        sandbox: bool,
        sign_up: SignUp,
        clients: Clients,
        fetcher: purser_http::Fetcher,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keyring = Keyring::from_bytes(&Secret::new([9; 32])).unwrap();
        let (e, k) = (env.clone(), keyring.clone());
        let keys = db.write(move |tx| Keys::load(tx, &e, &k)).await.unwrap();
        let audit = purser_audit::Log::start(db.clone(), env.clone(), folder.path().join("audit"), Arc::new(keys.clone())).await.unwrap();
        tokio::spawn(purser_provisioning::follow_keys(db.clone(), keys.clone()));
        let realm = Realm::new(env.clone(), keyring.clone(), keys, url, sign_up);
        let core = Core { db: db.clone(), env: env.clone(), keyring: keyring.clone(), audit, jobs: Arc::default() };
        let mail = folder.path().join("mail");
        std::fs::create_dir(&mail).unwrap();
        let transport = Transport::folder(mail, "purser@localhost".parse().unwrap());
        let rail = || Rails::new(vec![Arc::new(SandboxRail::new(core.db.clone(), env.clone(), url))]);
        let rails = if sandbox { rail() } else { Rails::default() };
        let front = Front::new(Parts {
            core: core.clone(),
            realm: realm.clone(),
            sandbox,
            decisions: Decisions::default(),
            clients,
            configured: Vec::new(),
            proxies: TrustedProxies::default(),
            sso: no_companies(),
            rails,
            introspected: Introspected::default(),
        });
        let mut handlers = HashMap::from([
            (purser_notify::JOB_KIND, purser_notify::handler(keyring, transport)),
            (LOGOUT_JOB, client_logout::handler(realm.clone(), fetcher)),
        ]);
        handlers.extend(purser_provisioning::alerts::handlers(&api::app(&front, folder.path())));
        let runner = Runner::new(db, env.clone(), handlers, core.jobs.clone());
        let router = console::router(front.clone()).merge(oidc::router(front.clone())).merge(unknown::router(front.clone()));
        let api = api::router(&front, folder.path());
        let world = Self { front, router, api, clock, env, runner, folder };
        world.publish_terms("1").await;
        world
    }

    /// The provider `slipway` with one terms document.
    pub async fn publish_terms(&self, version: &str) {
        let (env, version) = (self.env.clone(), version.to_owned());
        self.front
            .core
            .db
            .write(move |tx| {
                let slipway = "slipway".parse().unwrap();
                purser_catalogue::keep(tx, &env, &slipway, "Slipway Cloud", &services())?;
                let document = TermsDocument {
                    url: "https://slipway.test/terms".to_owned(),
                    version: version.clone(),
                    title: "Terms of service".to_owned(),
                    body: format!("be good, version {version}").into_bytes(),
                };
                terms_keep(tx, &env, &slipway, &[document])
            })
            .await
            .unwrap();
    }

    pub fn browser(&self) -> Browser {
        Browser {
            router: self.router.clone(),
            cookies: BTreeMap::new(),
            peer: "203.0.113.7:5000".parse().unwrap(),
            headers: HeaderMap::new(),
        }
    }

    pub fn agent(&self) -> Agent {
        Agent {
            router: self.router.clone(),
            key: SigningKey::generate(Algorithm::EdDsa).unwrap(),
            env: self.env.clone(),
            issuer: self.front.realm.issuer.to_string(),
        }
    }

    /// The path of a new link for the first owner.
    pub async fn bootstrap(&self) -> String {
        self.try_bootstrap().await.unwrap()
    }

    pub async fn try_bootstrap(&self) -> Result<String, BootstrapError> {
        let realm = self.front.realm.clone();
        let attempt = Attempt::new("bootstrap_mint", &Caller::Operator, "first owner");
        let minted = perform(&self.front.core, attempt, move |tx| {
            let permit = authorise::<BootstrapMint>(&Caller::Operator, &Facts::new(realm.env.now(), "first owner")).unwrap();
            bootstrap_mint(tx, &realm, &permit)
        });
        let url = minted.await?.url;
        Ok(url.expose().strip_prefix(&*self.front.realm.issuer).unwrap().to_owned())
    }

    /// A browser that is signed in.
    pub async fn person(&self, email: &str) -> Browser {
        let mut browser = self.browser();
        browser.sign_in(self, email).await;
        browser
    }

    /// Runs what is due until nothing is.
    pub async fn run_jobs(&self) {
        while self.runner.run_due().await.unwrap() > 0 {}
    }

    /// All mail so far to an address, oldest first, as text with soft line breaks undone.
    pub async fn mail_to(&self, address: &str) -> Vec<String> {
        self.run_jobs().await;
        let mut files: Vec<_> = std::fs::read_dir(self.folder.path().join("mail")).unwrap().map(|f| f.unwrap().path()).collect();
        files.sort();
        let texts = files.iter().map(|f| std::fs::read_to_string(f).unwrap().replace("=\r\n", "").replace("=3D", "="));
        texts.filter(|text| text.contains(&format!("To: {address}"))).collect()
    }

    pub async fn last_code(&self, address: &str) -> String {
        let mail = self.mail_to(address).await.pop().expect("a mail with a code");
        let body = mail.split_once("\r\n\r\n").unwrap().1;
        body.lines().map(str::trim).find(|l| l.len() == 6 && l.bytes().all(|b| b.is_ascii_digit())).unwrap().to_owned()
    }

    /// What the orchestrator thinks of a call with this token by this agent.
    pub async fn call(&self, agent: &Agent, token: &str) -> Result<CallContext, CallerError> {
        let url = self.front.realm.url("/v1/whoami");
        let proof = agent.proof("GET", &url, Some(token));
        self.call_with(token, &proof).await
    }

    pub async fn call_with(&self, token: &str, proof: &str) -> Result<CallContext, CallerError> {
        let url = self.front.realm.url("/v1/whoami");
        let presented = Presented::check(&self.front.realm, token, proof, "GET", &url)?;
        let now = self.env.now();
        self.front.core.db.write(move |tx| caller_of(tx, now, &presented)).await
    }

    /// An agent with tokens under a grant that the person gave.
    pub async fn granted(&self, person: &mut Browser) -> (Agent, Value) {
        self.granted_in(person, "shop").await
    }

    /// The same for another project.
    pub async fn granted_in(&self, person: &mut Browser, project: &str) -> (Agent, Value) {
        let agent = self.agent();
        let tokens = self.grant(person, &agent, project).await;
        (agent, tokens)
    }

    /// The tokens of a new grant for this agent.
    pub async fn grant(&self, person: &mut Browser, agent: &Agent, project: &str) -> Value {
        let asked = agent.ask(&[("project", project), ("providers", "slipway")]).await;
        let page = person.get(&format!("/device?user_code={}", asked["user_code"].as_str().unwrap())).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        let mut after = person.submit(&page, 1, &[], Some(("decision", "accept"))).await;
        if after.body.contains("Accept without a signature") {
            after = person.submit(&after, 2, &[], Some(("decision", "accept"))).await;
        }
        assert_eq!(after.status, StatusCode::SEE_OTHER, "{}", after.body);
        let (status, tokens) = agent.poll(&asked).await;
        assert_eq!(status, StatusCode::OK, "{tokens}");
        tokens
    }
}

/// What `slipway` offers: names, and nothing that could be bought.
fn services() -> Vec<purser_catalogue::Listing> {
    let listing = |name: &str| purser_catalogue::Listing {
        service: format!("slipway/{name}").parse().unwrap(),
        description: name.to_owned(),
        kind: "deployable".to_owned(),
        categories: vec![],
        price: purser_catalogue::Price::Free,
        parents: vec![],
        configuration_schema: None,
        credentials: BTreeMap::new(),
    };
    ["workers", "zones"].map(listing).to_vec()
}

fn no_companies() -> Sso {
    Sso::new(purser_http::Fetcher::new(vec![]).unwrap(), true, [])
}

/// Everybody may register clients in the sandbox; what is on this machine is fetched there too.
fn clients(sandbox: bool, allow: Vec<purser_http::fetch::Origin>) -> Clients {
    let registration = if sandbox { Registration::Open } else { Registration::Closed };
    Clients::new(purser_http::Fetcher::new(allow).unwrap(), Rules { registration, resources: vec![], sandbox }, vec![])
}

#[derive(Clone)]
pub struct Browser {
    router: Router,
    pub cookies: BTreeMap<String, String>,
    pub peer: SocketAddr,
    /// Headers that it sends with every request.
    pub headers: HeaderMap,
}

#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn location(&self) -> &str {
        self.headers[header::LOCATION].to_str().unwrap()
    }

    /// The fields that the form at `index` would send if nothing were changed (submit buttons left out).
    pub fn form(&self, index: usize) -> (String, Vec<(String, String)>) {
        let form = self.body.split("<form").nth(index + 1).unwrap_or_else(|| panic!("no form {index} in {}", self.body));
        let form = form.split("</form").next().unwrap();
        let action = attribute(form, "action").unwrap();
        let mut fields = Vec::new();
        for input in form.split("<input").skip(1) {
            let tag = input.split('>').next().unwrap();
            let (name, kind) = (attribute(tag, "name").unwrap(), attribute(tag, "type").unwrap());
            let box_off = matches!(kind.as_str(), "checkbox" | "radio") && !tag.contains(" checked");
            if !box_off {
                fields.push((name, attribute(tag, "value").unwrap_or_default()));
            }
        }
        (action, fields)
    }
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let rest = tag.split(&format!(" {name}=\"")).nth(1)?;
    Some(rest.split('"').next()?.replace("&#38;", "&"))
}

impl Browser {
    /// Goes on with the world as it is now.
    pub fn follow(&mut self, world: &World) {
        self.router = world.router.clone();
    }

    /// A page. Where a company's answer was not taken, it is the one to which the browser is sent on, whose address has no code.
    pub async fn get(&mut self, path: &str) -> Answer {
        let answer = self.send(Method::GET, path, None).await;
        let on = answer.headers.get(header::LOCATION).and_then(|to| to.to_str().ok()).filter(|to| to.ends_with("/refused"));
        match on.map(str::to_owned) {
            Some(on) => self.send(Method::GET, &on, None).await,
            None => answer,
        }
    }

    pub async fn post(&mut self, path: &str, fields: &[(String, String)]) -> Answer {
        let body: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.send(Method::POST, path, Some(body)).await
    }

    /// Sends a form of a page: fields are replaced or, with an empty name prefix `-`, left out.
    pub async fn submit(&mut self, page: &Answer, form: usize, change: &[(&str, &str)], button: Option<(&str, &str)>) -> Answer {
        let (action, mut fields) = page.form(form);
        for (name, value) in change {
            if let Some(left_out) = name.strip_prefix('-') {
                fields.retain(|(n, _)| n != left_out);
            } else if let Some(field) = fields.iter_mut().find(|(n, _)| n == name) {
                (*value).clone_into(&mut field.1);
            } else {
                fields.push(((*name).to_owned(), (*value).to_owned()));
            }
        }
        fields.extend(button.map(|(n, v)| (n.to_owned(), v.to_owned())));
        self.post(&action, &fields).await
    }

    pub async fn sign_in(&mut self, world: &World, email: &str) {
        // Mails are told apart by their second: this one is newer than what came before, and older than what follows.
        world.clock.advance_secs(1);
        let page = self.get("/sign-in").await;
        let sent = self.submit(&page, 0, &[("email", email)], None).await;
        assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.body);
        let page = self.get(sent.location()).await;
        let code = world.last_code(email).await;
        let done = self.submit(&page, 0, &[("code", &code)], None).await;
        assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.body);
        world.clock.advance_secs(1);
    }

    /// Proves with a code by mail that it is the person, from the page that asks for it; answers the page after it.
    pub async fn step_up(&mut self, world: &World, email: &str, asked: &Answer) -> Answer {
        world.clock.advance_secs(1);
        assert!(asked.body.contains("Is it you?"), "{}", asked.body);
        let sent = self.submit(asked, 1, &[], None).await;
        assert_eq!(sent.status, StatusCode::OK, "{}", sent.body);
        let code = world.last_code(email).await;
        self.submit(&sent, 1, &[("code", &code)], None).await
    }

    /// Signs in from this page on, which may lead somewhere.
    pub async fn sign_in_at(&mut self, world: &World, on: &str, email: &str) {
        self.ask_for_code(world, on, email).await;
        let code = world.last_code(email).await;
        let done = self.use_code(on, &code).await;
        assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.body);
        world.clock.advance_secs(1);
    }

    pub async fn ask_for_code(&mut self, world: &World, on: &str, email: &str) {
        world.clock.advance_secs(1);
        let page = self.get(on).await;
        let sent = self.submit(&page, 0, &[("email", email)], None).await;
        assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.body);
    }

    pub async fn use_code(&mut self, on: &str, code: &str) -> Answer {
        let page = self.get(&on.replacen("/sign-in", "/sign-in/code", 1)).await;
        self.submit(&page, 0, &[("code", code)], None).await
    }

    pub async fn send(&mut self, method: Method, path: &str, body: Option<String>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        let cookies: Vec<_> = self.cookies.iter().map(|(n, v)| format!("{n}={v}")).collect();
        if !cookies.is_empty() {
            request = request.header(header::COOKIE, cookies.join("; "));
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        let mut request = request.body(Body::from(body.unwrap_or_default())).unwrap();
        request.headers_mut().extend(self.headers.clone());
        request.extensions_mut().insert(ConnectInfo(self.peer));
        let answer = answer(&self.router, request).await;
        for cookie in answer.headers.get_all(header::SET_COOKIE) {
            let (pair, rest) = cookie.to_str().unwrap().split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if rest.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }
}

#[derive(Clone)]
pub struct Agent {
    router: Router,
    pub key: SigningKey,
    env: Env,
    issuer: String,
}

impl Agent {
    pub fn proof(&self, method: &str, url: &str, token: Option<&str>) -> String {
        self.proof_with(method, url, token, None)
    }

    pub fn proof_with(&self, method: &str, url: &str, token: Option<&str>, nonce: Option<&str>) -> String {
        let jti = b64url(&self.env.bytes::<16>());
        let ath = token.map(|t| b64url(Sha256Digest::of(t.as_bytes()).as_bytes()));
        let claims = json!({ "htm": method, "htu": url, "iat": self.env.now().as_secs(), "jti": jti, "ath": ath, "nonce": nonce });
        self.key.sign_with_jwk("dpop+jwt", &claims).unwrap()
    }

    /// The answer of the device authorisation endpoint.
    pub async fn ask(&self, fields: &[(&str, &str)]) -> Value {
        let (status, body) = self.post("/oauth/device_authorization", fields).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body
    }

    pub async fn poll(&self, asked: &Value) -> (StatusCode, Value) {
        let code = asked["device_code"].as_str().unwrap();
        self.post("/oauth/token", &[("grant_type", "urn:ietf:params:oauth:grant-type:device_code"), ("device_code", code)]).await
    }

    pub async fn refresh(&self, tokens: &Value) -> (StatusCode, Value) {
        let token = tokens["refresh_token"].as_str().unwrap();
        self.post("/oauth/token", &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> (StatusCode, Value) {
        let proof = self.proof("POST", &format!("{}{path}", self.issuer), None);
        self.post_with(path, fields, &[&proof]).await
    }

    pub async fn post_with(&self, path: &str, fields: &[(&str, &str)], proofs: &[&str]) -> (StatusCode, Value) {
        let mut pairs = fields.to_vec();
        if path.ends_with("device_authorization") && !fields.iter().any(|(n, _)| *n == "client_name") {
            pairs.push(("client_name", "Builder"));
        }
        let body: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        let mut request = Request::post(path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        for proof in proofs {
            request = request.header("DPoP", *proof);
        }
        let mut request = request.body(Body::from(body)).unwrap();
        request.extensions_mut().insert(ConnectInfo("198.51.100.9:1000".parse::<SocketAddr>().unwrap()));
        let answer = answer(&self.router, request).await;
        (answer.status, serde_json::from_str(&answer.body).unwrap_or(Value::Null))
    }
}

async fn answer(router: &Router, request: Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    Answer { status: parts.status, headers: parts.headers, body: String::from_utf8_lossy(&body).into_owned() }
}
