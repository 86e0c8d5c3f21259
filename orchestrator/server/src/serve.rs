//! The orchestrator as a process: store, keys, sagas, jobs, routes.

use std::fs::{File, TryLockError};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use http::{HeaderName, HeaderValue};
use purser_authority::{Attempt, Caller};
use purser_client::{ClientDocument, Identity};
use purser_crypto::seal::Keyring;
use purser_db::{Db, DbConfig, DbError, Migrations};
use purser_http::around::{Around, AroundLayer};
use purser_http::harden::Dress;
use purser_http::listen::{self, Limits};
use purser_http::log::{LogFormat, announce};
use purser_http::{Fetcher, Origin};
use purser_identity::address::address_settle;
use purser_identity::bootstrap::BootstrapError;
use purser_identity::keys::Es256;
use purser_identity::{Keys, NonceRule, Realm, SignUp};
use purser_notify::{MailConfig, Transport};
use purser_provisioning::charges::Rails;
use purser_provisioning::deploy::bundle::Bundles;
use purser_provisioning::{App, Configured, Core, Gateway, perform_beside};
use purser_spend::rail::Rail;
use purser_spend::rail::sandbox::SandboxRail;
use purser_stripe::StripeRail;
use purser_values::{Env, Secret};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use url::Url;

use crate::api::Api;
use crate::config::{Config, SsoConfig};
use crate::front::{self, Front};
use crate::oidc::{Clients, Decisions, Introspected, Registration, Rules};
use crate::ops::Ops;
use crate::ops::drain::Patience;
use crate::ops::one_host::OneHost;
use crate::ops::request_id::AcceptRequestId;
use crate::sso::Sso;
use crate::{api, console, oidc, operator, unknown};

/// The tables of the orchestrator, in the order in which they are made.
pub const TABLES: &[Migrations] = &[
    purser_db::MIGRATIONS,
    purser_flow::MIGRATIONS,
    purser_audit::MIGRATIONS,
    purser_identity::MIGRATIONS,
    purser_spend::MIGRATIONS,
    purser_stripe::MIGRATIONS,
    purser_catalogue::MIGRATIONS,
    purser_vault::MIGRATIONS,
    purser_provisioning::MIGRATIONS,
];

/// Says on every answer that no real money moves here, so that every envelope of the command line can say it too.
const PROFILE: HeaderName = HeaderName::from_static("purser-profile");
const SANDBOX: HeaderValue = HeaderValue::from_static("sandbox");
/// The sender of mail in the sandbox.
const SANDBOX_SENDER: &str = "purser@purser.test";

#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("`{what}` cannot be used: {why}")]
    Part { what: String, why: String },
    #[error("`{listen}` cannot be listened on: {why}")]
    Listen { listen: SocketAddr, why: io::Error },
    #[error(transparent)]
    Audit(#[from] purser_audit::StartError),
    #[error(transparent)]
    Store(#[from] purser_db::DbError),
}

pub(crate) fn part(what: impl Into<String>) -> impl FnOnce(&dyn std::fmt::Display) -> ServeError {
    let what = what.into();
    move |why| ServeError::Part { what, why: why.to_string() }
}

/// Serves until `stop` resolves.
///
/// # Errors
/// When a part cannot be opened or the address cannot be listened on.
pub async fn serve(config: Config, env: Env, stop: impl Future<Output = ()> + Send + 'static) -> Result<(), ServeError> {
    let (clients, sso) = (clients(&config)?, sso(&config)?);
    let _alone = alone(&config)?;
    let core_parts = open(&config, &env).await?;
    let (app, rails, mail) = core_parts;
    let engine = purser_provisioning::sagas(&app);
    engine.resume().await?;
    let needed = app.core.db.read(purser_provisioning::store::deployment::unfinished).await?;
    app.bundles.keep_only(&needed.into_iter().collect()).map_err(|e| part("data/uploads")(&e))?;
    let jobs = purser_provisioning::jobs(&app, &rails, mail, clients.fetcher());
    tokio::spawn(jobs.clone().run());
    tokio::spawn(purser_provisioning::housekeeping(app.clone()));
    tokio::spawn(purser_provisioning::follow_keys(app.core.db.clone(), app.realm.keys.clone()));
    let (core, realm, gateway) = (app.core.clone(), app.realm.clone(), app.gateway.clone());
    let front = Front::new(front::Parts {
        core: app.core.clone(),
        realm: app.realm.clone(),
        sandbox: config.is_sandbox(),
        decisions: Decisions::default(),
        clients: clients.clone(),
        configured: app.gateway.names(),
        proxies: config.trusted_proxies.clone(),
        sso,
        rails: rails.clone(),
        introspected: Introspected::default(),
    });
    let state = Api::new(api::Parts { app, engine, rails, clients });
    let ops = Ops::new(core.clone()).map_err(|e| part("metrics")(&e))?;
    let mark = config.is_sandbox().then_some((PROFILE, SANDBOX));
    let outermost = (AcceptRequestId::new(config.trusted_proxies.clone()), (Dress::new(env.clone()).marking(mark), OneHost));
    let router = surface(front, state, &ops, outermost);
    let listener = bind(config.listen).await?;
    // Not before we can be asked: a provider fetches our keys when it is first called.
    tokio::spawn(gateway.keep_fresh(core.clone()));
    let (drain, notice) = (ops.drain.clone(), Duration::from_secs(config.drain_notice_s));
    if let Some(address) = config.metrics_listen {
        let router = purser_http::harden::harden(ops.probes().merge(ops.numbers()), env);
        // Until the process ends: how the draining goes is worth seeing.
        tokio::spawn(listen::serve(bind(address).await?, router, Limits::default(), std::future::pending()));
    }
    say_how_the_first_owner_comes(&core, &realm, config.log).await?;
    let url = config.public_url.to_string();
    announce(config.log, core.env.now(), &format!("ready {url}"), "ready", &[("url", url)]);
    let mut limits = Limits::default();
    limits.shared_addresses.extend(config.trusted_proxies.networks());
    let stopped = async move {
        stop.await;
        drain.run(Patience::after(notice)).await;
    };
    listen::serve(listener, router, limits, stopped).await;
    // After the last request: what that enqueued may still run here.
    jobs.stop().await;
    Ok(())
}

/// Everything that is answered at the public address, with what lies around all of it.
pub fn surface(front: Front, api: Api, ops: &Ops, outermost: impl Around) -> Router {
    let sandbox = front.sandbox;
    let admitted = (outermost.clone(), (ops.metrics.clone(), ops.drain.clone()));
    let router = oidc::router(front.clone())
        .merge(console::router(front.clone()))
        .merge(api::router(api))
        .merge(unknown::router(front))
        .method_not_allowed_fallback(unknown::method)
        .layer(AroundLayer(admitted));
    let probes = if sandbox { ops.probes().merge(ops.numbers()) } else { ops.probes() };
    router.merge(probes.layer(AroundLayer(outermost)))
}

async fn bind(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|why| ServeError::Listen { listen: address, why })
}

/// While there is nobody and nobody can come in by themselves, the operator is shown the link by which the first owner comes.
async fn say_how_the_first_owner_comes(core: &Core, realm: &Realm, log: LogFormat) -> Result<(), ServeError> {
    if *realm.sign_up == SignUp::Open {
        return Ok(());
    }
    match operator::bootstrap(&core.db, realm).await {
        Ok(link) => {
            core.audit.wake();
            let (url, until) = (link.url.expose(), link.expires_at);
            let text = format!("first owner {url} (works once, until {})", until.for_people());
            let facts = [("url", url.to_string()), ("works_until", until.to_string())];
            announce(log, core.env.now(), &text, "the first owner comes by this link, once", &facts);
        }
        Err(BootstrapError::Db(e)) => return Err(e.into()),
        Err(_) => {}
    }
    Ok(())
}

/// One process serves a SQLite file: two would each believe that what they keep in memory is all there is. Held until it is dropped, also
/// by a crash.
fn alone(config: &Config) -> Result<Option<File>, ServeError> {
    let database: DbConfig = config.database.parse().map_err(|e| part("database")(&e))?;
    let DbConfig::Sqlite { path } = database else { return Ok(None) };
    let mut name = path.into_os_string();
    name.push("-served");
    let file = File::options().create(true).truncate(false).write(true).open(&name).map_err(|e| part("database")(&e))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => {
            Err(part("database")(&"another `purser serve` has it; several processes share a PostgreSQL database"))
        }
        Err(TryLockError::Error(e)) => Err(part("database")(&e)),
    }
}

async fn open(config: &Config, env: &Env) -> Result<(App, Rails, Transport), ServeError> {
    let database: DbConfig = config.database.parse().map_err(|e| part("database")(&e))?;
    let db = Db::open(&database).await?;
    db.migrate(env, TABLES).await?;
    let keyring = keyring(env, &config.keys, is_sealed(&db).await?)?;
    let (load_env, load_ring) = (env.clone(), keyring.clone());
    let keys = db.write(move |tx| Keys::load(tx, &load_env, &load_ring)).await.map_err(|e| part("keys")(&e))?;
    let proof_nonces = if config.require_dpop_nonce { NonceRule::Required } else { NonceRule::Offered };
    let realm = Realm::new(env.clone(), keyring.clone(), keys.clone(), config.public_url.as_str(), config.sign_up());
    let sso = config.sign_in.sso.iter().map(SsoConfig::connection).collect();
    let credit_approvers = config.credits.approvers.clone().into();
    let realm = Realm { proof_nonces, sso, credit_approvers, ..realm };
    stay(config, &db, &realm).await?;
    let audit = purser_audit::Log::start(db.clone(), env.clone(), config.data.join("audit"), Arc::new(keys.clone())).await?;
    let core = Core { db: db.clone(), env: env.clone(), keyring, audit, jobs: Arc::new(Notify::new()) };
    let fetcher = Fetcher::new(config.fetch_allow.clone()).map_err(|e| part("fetch_allow")(&e))?;
    let mut configured = Vec::with_capacity(config.providers.len());
    for provider in &config.providers {
        let identity = match &provider.signing_secret_file {
            Some(file) => Identity::Secret(read_secret(file)?),
            None => {
                let at = realm.url(&api::client_document_path(&provider.name));
                let url = at.parse::<Url>().map_err(|e| part("public_url")(&e))?;
                Identity::Document(ClientDocument { url, keys: Arc::new(Es256(keys.clone())) })
            }
        };
        configured.push(Configured { name: provider.name.clone(), url: provider.url.clone(), identity });
    }
    let gateway = Gateway::new(fetcher, Arc::new(keys.clone()), env.clone(), configured);
    let bundles = Bundles::open(config.data.join("uploads")).map_err(|e| part("data")(&e))?;
    let rails = rails(config, env, &db)?;
    let mut app = App::new(core, realm, gateway, bundles, config.public_url.clone());
    app.site_port = config.sandbox.site_port;
    app.outgoing = strangers(config)?;
    app.rails = rails.clone();
    Ok((app, rails, transport(config)?))
}

/// Keeps the address at which this installation is known, or refuses another one.
async fn stay(config: &Config, db: &Db, realm: &Realm) -> Result<(), ServeError> {
    let (of, was) = (realm.clone(), config.issuer_before());
    let attempt = Attempt::new("address_settle", &Caller::Operator, &*realm.issuer);
    let settled = perform_beside(db, &realm.env, attempt, move |tx| address_settle(tx, &of, was.as_deref()));
    settled.await.map_err(|e| part("public_url")(&e))
}

/// How money moves here.
fn rails(config: &Config, env: &Env, db: &Db) -> Result<Rails, ServeError> {
    let mut rails: Vec<Arc<dyn Rail>> = Vec::new();
    if config.sandbox.rail {
        rails.push(Arc::new(SandboxRail::new(db.clone(), env.clone(), config.public_url.as_str())));
    }
    if let Some(stripe) = &config.rail.stripe {
        let rail = StripeRail::new(db.clone(), env.clone(), stripe.settings(config.is_sandbox())?).map_err(|e| part("rail.stripe")(&e))?;
        rails.push(Arc::new(rail));
    }
    Ok(Rails::new(rails))
}

/// The OAuth clients of the configuration, and who else may register.
pub(crate) fn clients(config: &Config) -> Result<Clients, ServeError> {
    let registration = match (&config.registration.initial_access_token_file, config.registration.open) {
        (Some(_), true) => return Err(part("registration")(&"it is open or by token, and not both")),
        (Some(path), false) => Registration::Token(purser_crypto::token::hash(read_secret(path)?.expose())),
        (None, true) => Registration::Open,
        (None, false) => Registration::Closed,
    };
    let resources = config.resources.iter().map(|url| url.as_str().trim_end_matches('/').to_owned()).collect();
    let rules = Rules { registration, resources, sandbox: config.is_sandbox() };
    let mut configured = Vec::with_capacity(config.clients.len());
    for client in &config.clients {
        let read = |path: &std::path::PathBuf| read_secret(path).map_err(|e| e.to_string());
        configured.push(client.client(config.is_sandbox(), read).map_err(|e| part("clients")(&e))?);
    }
    Ok(Clients::new(strangers(config)?, rules, configured))
}

/// The way to what clients and organisations name (documents, keys, where to log out, webhooks): it reaches no provider, although we do.
fn strangers(config: &Config) -> Result<Fetcher, ServeError> {
    let providers: Vec<Origin> = config.providers.iter().filter_map(|provider| Origin::of(&provider.url)).collect();
    let allowed = config.fetch_allow.iter().filter(|origin| !providers.contains(origin)).cloned().collect();
    Fetcher::new(allowed).map_err(|e| part("fetch_allow")(&e))
}

/// How the companies are asked. Their own origins may be private.
fn sso(config: &Config) -> Result<Sso, ServeError> {
    let issuers = config.sign_in.sso.iter().filter_map(SsoConfig::origin);
    let allow = config.fetch_allow.iter().cloned().chain(issuers).collect();
    let fetcher = Fetcher::new(allow).map_err(|e| part("sign_in.sso")(&e))?;
    let clients = config.sign_in.sso.iter().map(|one| Ok((one.name.clone(), one.client(read_secret)?)));
    Ok(Sso::new(fetcher, config.is_sandbox(), clients.collect::<Result<Vec<_>, ServeError>>()?))
}

fn transport(config: &Config) -> Result<Transport, ServeError> {
    match &config.mail {
        MailConfig::Folder { folder } => {
            let from = SANDBOX_SENDER.parse().map_err(|e| part("mail")(&e))?;
            std::fs::create_dir_all(folder).map_err(|e| part("mail.folder")(&e))?;
            Ok(Transport::folder(folder.clone(), from))
        }
        MailConfig::Smtp(smtp) => {
            let password = smtp.password_file.as_deref().map(read_secret).transpose()?;
            smtp.transport(password).map_err(|e| part("mail")(&e))
        }
    }
}

/// Whether the database holds anything that only its own key-encryption key opens.
pub(crate) async fn is_sealed(db: &Db) -> Result<bool, DbError> {
    db.read(|tx| Ok(tx.query_opt("select name from identity_secret limit 1", &[])?.is_some())).await
}

/// The key-encryption key, made on the first start. Without it nothing that is sealed can be read again, so none is made beside a
/// database that was sealed under another.
pub(crate) fn keyring(env: &Env, folder: &Path, sealed: bool) -> Result<Keyring, ServeError> {
    use std::io::Write as _;
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
    let path = folder.join("kek.hex");
    let failed = || part(path.display().to_string());
    if sealed && !path.exists() {
        return Err(failed()(&"it is not there, and the database is sealed under it: put it back from its backup"));
    }
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|e| failed()(&e))?;
    match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
        Ok(mut file) => {
            let text = Keyring::generate_hex(env);
            file.write_all(text.expose().as_bytes()).and_then(|()| file.sync_all()).map_err(|e| failed()(&e))?;
        }
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
        Err(e) => return Err(failed()(&e)),
    }
    Keyring::from_hex(&read_secret(&path)?).map_err(|e| failed()(&e))
}

/// A secret in a file; others must not be able to read it.
pub(crate) fn read_secret(path: &Path) -> Result<Secret<String>, ServeError> {
    use std::os::unix::fs::PermissionsExt as _;
    let failed = || part(path.display().to_string());
    let mode = std::fs::metadata(path).map_err(|e| failed()(&e))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(failed()(&"others can read it; run `chmod 600` on it"));
    }
    let text = std::fs::read_to_string(path).map_err(|e| failed()(&e))?;
    Ok(Secret::new(text.trim().to_owned()))
}
