//! The composition: what starts in which order, and how it stops.
//!
//! Keys, database, tables; then the name server, the runtime (everything that was live is live again), the edge, and the API last, so
//! that nothing is promised before it can be kept.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use purser_db::jobs::Runner;
use purser_db::{Db, DbError, Migrations};
use purser_http::listen::{self, Limits};
use purser_http::log::announce;
use purser_http::places::Places;
use purser_http::{FetchError, Fetcher, Origin, harden};
use purser_notify::{MailConfig, Transport, TransportError};
use purser_provider::{Config as Sdk, OrchestratorClient, OrchestratorKeys};
use purser_values::Env;
use purser_values::name::{HostName, ParseNameError};
use slipway_accounts::realm::Realm;
use slipway_billing::driver::Billing;
use slipway_dns::server::{ANSWERS_PER_SECOND, DnsConfig, DnsError, Nameserver};
use slipway_edge::acme::Acme;
use slipway_edge::edge::{Certificates, Edge, EdgeConfig, EdgeError, EdgeHandle};
use slipway_edge::egress::{Allowed, EgressProxy, Own};
use slipway_edge::traffic::Traffic;
use slipway_edge::workers::WorkersRouter;
use slipway_stores::{StoreError, Stores, StoresConfig};
use slipway_workers::runtime::confinement::Confinement;
use slipway_workers::{Seams, Workers, WorkersConfig, WorkersError};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use url::Url;

use crate::abuse::Guard;
use crate::abuse::report::{self, REPORT_BYTES};
use crate::api::memory::{ALL_KIB, EACH_KIB};
use crate::api::tails::Tails;
use crate::api::throttle::Throttle;
use crate::billing::meter::EdgeMeter;
use crate::billing::standing;
use crate::billing::till::OrchestratorTill;
use crate::calls::Counted;
use crate::certificates::authority;
use crate::cloud::{Cloud, Shared};
use crate::config::{Config, ConfigError, Objects, Sandbox};
use crate::keys::{Keys, KeysError, secret_text};
use crate::pages::terms::Terms;
use crate::pages::{self, dashboard, terms};
use crate::provider::Slipway;
use crate::provider::manifest::{ManifestError, manifest};
use crate::provider::store::DbStore;
use crate::{abuse, allowances, api, backend, events, host, housekeeping, rdap, refunds, unknown, whole};

/// The sender of mail in the sandbox.
const SANDBOX_SENDER: &str = "slipway@localhost";
/// Certificate of the local authority, below the data folder.
const CA_FILE: &str = "ca.pem";

/// What Workers keep, below the data folder.
const STORES_FOLDER: &str = "stores";
/// Bodies that pass through to a store at a time, and those of one account.
const STREAMS: usize = 256;
const STREAMS_EACH: usize = 8;

const MIGRATIONS: &[Migrations] = &[
    purser_db::MIGRATIONS,
    slipway_accounts::store::MIGRATIONS,
    slipway_billing::store::MIGRATIONS,
    slipway_registrar::store::MIGRATIONS,
    slipway_registry::store::MIGRATIONS,
    slipway_dns::store::MIGRATIONS,
    slipway_workers::store::MIGRATIONS,
    slipway_edge::acme::store::MIGRATIONS,
    slipway_stores::store::MIGRATIONS,
    abuse::store::MIGRATIONS,
];

#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Keys(#[from] KeysError),
    #[error("the database cannot be used: {0}")]
    Store(#[from] DbError),
    #[error("the name server does not start: {0}")]
    Dns(#[from] DnsError),
    #[error("the edge does not start: {0}")]
    Edge(#[from] EdgeError),
    #[error("the runtime does not start: {0}")]
    Workers(#[from] WorkersError),
    #[error("`acme.external_account.key_file` holds no key in base64url")]
    ExternalAccount,
    #[error("the stores do not start: {0:?}")]
    Stores(#[from] StoreError),
    #[error("the orchestrator's address cannot be used: {0}")]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Url(#[from] url::ParseError),
    #[error(transparent)]
    Name(#[from] ParseNameError),
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error("cannot listen on `{addr}`: {source}; stop what uses the port or configure another")]
    Listen { addr: std::net::SocketAddr, source: io::Error },
    #[error(transparent)]
    Registry(#[from] crate::domain::registry::ConnectError),
    #[error("mail cannot be sent as configured: {0}")]
    Mail(#[from] TransportError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Runs the cloud until `stop` is ready, then lets requests under way finish.
///
/// # Errors
/// When a part does not start.
pub async fn serve(config: Config, stop: impl Future<Output = ()> + Send + 'static) -> Result<(), ServeError> {
    let listener = TcpListener::bind(config.listen_api).await.map_err(|source| ServeError::Listen { addr: config.listen_api, source })?;
    let running = start(&config, Env::system()).await?;
    // The contract with whoever supervises us: one line, when everything answers.
    tracing::info!(api = %listener.local_addr()?, edge_https = %running.edge.https_addr, edge_http = %running.edge.http_addr,
        dns = %running.cloud.nameserver.addr, confinement = ?running.cloud.workers.confinement(), "slipway serves");
    let url = config.public_url.to_string();
    announce(config.log, Env::system().now(), &format!("ready {url}"), "ready", &[("url", url)]);
    let mut limits = Limits::default();
    limits.shared_addresses.extend(config.trusted_proxies.networks());
    listen::serve(listener, running.app, limits, stop).await;
    running.edge.stop().await;
    running.cloud.jobs.stop().await;
    Ok(())
}

/// Everything but the API listener.
pub struct Running {
    pub app: Router,
    pub cloud: Shared,
    pub edge: EdgeHandle,
}

/// Starts every part in its order. Tests call it and serve the router themselves.
///
/// # Errors
/// When a part does not start.
pub async fn start(config: &Config, env: Env) -> Result<Running, ServeError> {
    // Refused only when somebody installed a provider before us, which then is the same one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let keys = Keys::open(&config.keys, &env)?;
    let secret = secret_text(&config.orchestrator.signing_secret_file)?;
    let db = Db::open(&config.database).await?;
    db.migrate(&env, MIGRATIONS).await?;
    let nameserver = Arc::new(Nameserver::start(dns(config), db.clone(), env.clone(), keys.keyring.clone()).await?);
    let own = Own::new(&config.names.edge);
    tokio::spawn(follow_servers(own.clone(), config.names.servers.clone()));
    let egress = EgressProxy::new(Allowed { origins: Vec::new(), own }).map_err(EdgeError::from)?;
    let next_alarm = Arc::new(slipway_stores::alarm::earliest);
    let allowances = allowances::follow(&db, config.requests_per_s).await?;
    let places = StoresConfig { data: config.data.join(STORES_FOLDER), s3: config.objects.as_ref().map(Objects::open).transpose()? };
    let stores = Stores::open_within(&places, allowances::room(&allowances), db.clone(), env.clone())?;
    let rates = allowances::rates(&allowances);
    let traffic = Arc::new(Traffic::default());
    traffic.follow_rates(rates);
    let seams = Seams {
        egress: Some(Arc::new(egress.clone())),
        next_alarm,
        events: Arc::new(Counted(traffic.clone())),
        allowances,
        kept_elsewhere: Arc::new(slipway_stores::held),
        ..backend::seams(&stores)
    };
    let workers = Workers::open(runtime(config), seams, db.clone(), keys.keyring.clone(), env.clone()).await?;
    if let Confinement::Unavailable { why } = workers.confinement() {
        tracing::error!(why, "Workers do not run on this host; static sites do");
    }
    let table = workers.clone();
    let router = Arc::new(WorkersRouter::new(move |host, path: Option<&str>| match path {
        Some(path) => table.find(host, path),
        None => table.route(host),
    }));
    let acme = match &config.acme {
        Some(table) => Some(authority(table, (db.clone(), keys.keyring.clone(), env.clone()), router.clone(), nameserver.clone()).await?),
        None => None,
    };
    let edge = Edge::start_counting(edge(config, acme.clone())?, router, env.clone(), traffic).await?;
    edge.answers_to(&egress);
    let fetcher = Fetcher::new(origin(&config.orchestrator.url))?;
    let orchestrator = OrchestratorClient::new(fetcher.clone(), config.orchestrator.url.clone(), keys.signing.clone(), env.clone());
    let document = Terms::current(&config.public_url)?;
    let wake_jobs = Arc::new(Notify::new());
    let mut handlers = events::handlers(orchestrator.clone());
    handlers.extend(refunds::handlers(db.clone(), env.clone(), orchestrator.clone()));
    let realm =
        Realm { env: env.clone(), key: keys.codes.clone(), keyring: keys.keyring.clone(), public_url: config.public_url.as_str().into() };
    let till = OrchestratorTill { orchestrator: orchestrator.clone(), keyring: keys.keyring.clone() };
    let billing = Billing { db: db.clone(), realm: realm.clone(), till: Arc::new(till) };
    let (stepped, mut steps) = tokio::sync::mpsc::unbounded_channel();
    // Nobody listens any more only when the process ends.
    handlers.extend(billing.handlers(Arc::new(move |resource| drop(stepped.send(resource)))));
    handlers.insert(purser_notify::JOB_KIND, purser_notify::handler(keys.keyring.clone(), transport(&config.mail)?));
    let cloud = Arc::new(Cloud {
        registrar: crate::domain::registry::registrar(config, &db, &env, &keys.keyring).await?,
        manifest: manifest(&config.public_url, keys.signing.public(), &document, &config.offers)?,
        offers: config.offers.clone().into(),
        billing,
        jobs: Runner::new(db.clone(), env.clone(), handlers, wake_jobs.clone()),
        wake_jobs,
        orchestrator,
        terms: document,
        profile: config.profile,
        public_url: config.public_url.clone(),
        keyring: keys.keyring.clone(),
        memory: Arc::new(Places::new(ALL_KIB, EACH_KIB)),
        streams: Places::new(STREAMS, STREAMS_EACH),
        realm,
        proxies: config.trusted_proxies.clone(),
        orchestrator_url: config.orchestrator.url.clone(),
        callback_url: config.orchestrator.callback_url.clone(),
        env: env.clone(),
        db,
        workers,
        stores,
        nameserver,
        acme,
        guard: Guard::at_pace(config.pace),
        throttle: Throttle::new(config.pace),
        tails: Tails::default(),
    });
    let mut sdk = Sdk::new(env, secret, keys.keyring);
    sdk.orchestrator = Some(OrchestratorKeys::fetched(fetcher, &config.orchestrator.url)?);
    sdk.require_v2 = config.orchestrator.require_v2;
    sdk.require_assertion = config.orchestrator.require_assertion;
    tokio::spawn(cloud.jobs.clone().run());
    tokio::spawn(cloud.stores.clone().deliver(Arc::new(crate::deliver::WorkersDeliver(cloud.workers.clone()))));
    tokio::spawn(housekeeping::run(cloud.clone()));
    tokio::spawn(abuse::follow(cloud.clone()));
    tokio::spawn(abuse::incident::follow(cloud.clone()));
    tokio::spawn(EdgeMeter::new(cloud.clone(), edge.traffic()).run());
    let following = cloud.clone();
    tokio::spawn(async move {
        while let Some(resource) = steps.recv().await {
            if let Err(e) = standing::follow(&following, &resource).await {
                tracing::error!(%resource, error = %e, "an account does not follow its billing yet");
            }
        }
    });
    Ok(Running { app: app(&cloud, sdk), cloud, edge })
}

/// How often the names of our name servers are looked up.
const SERVERS_AGAIN: Duration = Duration::from_mins(10);

/// Keeps the addresses of our name servers out of reach of strangers' code. Runs for ever; spawn it.
async fn follow_servers(own: Own, names: Vec<HostName>) {
    let mut tick = tokio::time::interval(SERVERS_AGAIN);
    loop {
        tick.tick().await;
        let mut found = Vec::new();
        for name in &names {
            match tokio::net::lookup_host((name.as_str(), 53)).await {
                Ok(all) => found.extend(all.map(|address| address.ip())),
                Err(e) => tracing::debug!(%name, error = %e, "a name server of ours has no address yet"),
            }
        }
        // what was found before stays when nothing answers now
        if !found.is_empty() {
            own.set_servers(found);
        }
    }
}

purser_http::routes! { Shared;
    get "/" => dashboard::front;
    get "/style.css" => dashboard::style;
    get terms::PATH => terms::serve;
    get "/abuse" => report::page;
    post "/abuse" => report::post, REPORT_BYTES;
    get "/health" => health;
}

fn app(cloud: &Shared, sdk: Sdk) -> Router {
    let store = Arc::new(DbStore(cloud.db.clone()));
    let provider = purser_provider::router(Arc::new(Slipway(cloud.clone())), store, sdk);
    let pages = pages::router(cloud.clone());
    let public = table().with_state(cloud.clone());
    let app = public
        .merge(pages)
        .merge(rdap::router(cloud.clone()))
        .merge(provider)
        .nest("/client/v4", api::router(cloud.clone()))
        .merge(unknown::router(cloud.clone()));
    let app = app.method_not_allowed_fallback(unknown::method_of_a_program).layer(axum::middleware::from_fn(whole::run));
    let name: Arc<str> = cloud.public_url.host_str().unwrap_or_default().into();
    harden::harden(app, cloud.env.clone()).layer(axum::middleware::from_fn_with_state(name, host::own))
}

/// That we answer, and whether code can run here.
async fn health(State(cloud): State<Shared>) -> axum::Json<serde_json::Value> {
    let workers = match cloud.workers.confinement() {
        Confinement::Jailed => "jailed",
        Confinement::Unconfined => "unconfined",
        Confinement::Unavailable { .. } => "unavailable",
    };
    let (landlock, groups) = cloud.workers.runtime().walls();
    axum::Json(serde_json::json!({"status": "ok", "workers": workers, "landlock": landlock, "control_groups": groups}))
}

fn transport(mail: &MailConfig) -> Result<Transport, ServeError> {
    match mail {
        MailConfig::Folder { folder } => {
            std::fs::create_dir_all(folder)?;
            Ok(Transport::folder(folder.clone(), SANDBOX_SENDER.parse()?))
        }
        MailConfig::Smtp(smtp) => Ok(smtp.transport(smtp.password_file.as_deref().map(secret_text).transpose()?)?),
    }
}

fn dns(config: &Config) -> DnsConfig {
    let (mut edge_v4, mut edge_v6) = (Vec::new(), Vec::new());
    for address in &config.names.edge {
        match address {
            IpAddr::V4(address) => edge_v4.push(*address),
            IpAddr::V6(address) => edge_v6.push(*address),
        }
    }
    DnsConfig {
        listen: config.listen_dns,
        name_servers: config.names.servers.clone(),
        edge_v4,
        edge_v6,
        common_domain: config.names.suffix.clone(),
        secondaries: config.names.secondaries.clone(),
        answers_per_second: Some(ANSWERS_PER_SECOND),
    }
}

fn runtime(config: &Config) -> WorkersConfig {
    WorkersConfig {
        data: config.data.clone(),
        workerd: config.workerd.clone(),
        unconfined: config.unconfined,
        jail: config.jail.clone(),
        domain: config.names.suffix.clone(),
        idle: slipway_workers::limits::IDLE,
    }
}

fn edge(config: &Config, acme: Option<Acme>) -> Result<EdgeConfig, ConfigError> {
    let own = config.certificate.as_ref().map(|own| (own.chain.clone(), own.key.clone()));
    if let Some(acme) = acme {
        let certificates = Certificates::Issued { issuer: Arc::new(acme), meanwhile: own };
        return Ok(EdgeConfig { listen_https: config.listen_edge_https, listen_http: config.listen_edge_http, certificates });
    }
    let certificates = match (own, config.sandbox) {
        (Some((chain, key)), _) => Certificates::Files { chain, key },
        (None, Some(Sandbox { local_ca: true, .. })) => {
            Certificates::LocalCa { keys: config.keys.clone(), public: config.data.join(CA_FILE) }
        }
        (None, _) => return Err(ConfigError::NoCertificates),
    };
    Ok(EdgeConfig { listen_https: config.listen_edge_https, listen_http: config.listen_edge_http, certificates })
}

/// The one origin that the operator named; every other address must be a public one.
fn origin(url: &Url) -> Vec<Origin> {
    Origin::of(url).into_iter().collect()
}

/// Ready when the process is asked to end.
pub async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        _ => std::future::pending().await,
    }
}
