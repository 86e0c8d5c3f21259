//! The configuration file of `slipway serve`.
//!
//! [`file`] is its form, this file what it means, and [`check`] tells everything that is wrong with one at once.
//!
//! Sandbox parts (the embedded registry, the local certificate authority, running Workers without a jail, accounts on an e-mail
//! address alone) are refused unless the profile says so.

mod acme;
pub mod check;
mod file;
mod names;
mod objects;
mod registry;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use purser_crypto::constant_time_eq;
use purser_db::DbConfig;
use purser_http::log::LogFormat;
use purser_http::peer::TrustedProxies;
use purser_notify::MailConfig;
use purser_values::name::ParseNameError;
use purser_values::{Secret, Sha256Digest};
use serde::Deserialize;
use slipway_billing::credit::programme::{Offer, OfferError, offers};
use slipway_workers::runtime::process::JailProgram;
use url::Url;

pub use acme::{Acme, ExternalAccount, ProveBy};
use file::File;
pub use names::Names;
pub use objects::{Objects, S3Table};
pub use registry::RegistryTable;

/// Where the sandbox's mail goes, below the data folder.
const MAIL_FOLDER: &str = "mail";
/// The orchestrator's callback, unless the file names another.
const CALLBACK: &str = "link/callback/slipway";
/// The file's own name of the variable for workerd, for messages.
const WORKERD_HINT: &str = "name the binary in `workerd`";

/// What this installation is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    Sandbox,
    Production,
}

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    pub profile: Profile,
    pub listen_api: SocketAddr,
    pub listen_edge_https: SocketAddr,
    pub listen_edge_http: SocketAddr,
    pub listen_dns: SocketAddr,
    pub database: DbConfig,
    /// Blobs and the runtime's own folders live in here.
    pub data: PathBuf,
    pub workerd: PathBuf,
    /// The folder of our keys, mode 0700, outside of every backup of the database.
    pub keys: PathBuf,
    /// Where clients reach the API listener; ends in `/`.
    pub public_url: Url,
    pub orchestrator: Orchestrator,
    pub mail: MailConfig,
    /// The reverse proxies whose word about where a request comes from is taken.
    pub trusted_proxies: TrustedProxies,
    pub sandbox: Option<Sandbox>,
    /// The operator's own certificate for the edge.
    pub certificate: Option<Certificate>,
    /// The authority that issues certificates to the edge.
    pub acme: Option<Acme>,
    pub names: Names,
    /// The registry that domains are bought at, where it is not the sandbox's own.
    pub registry: Option<RegistryTable>,
    /// The bucket that objects lie in, where it is not the data folder.
    pub objects: Option<Objects>,
    pub log: LogFormat,
    /// The programmes of credit.
    pub offers: Vec<Offer>,
    /// What an account on the paid plan is served in a second, in place of the usual.
    pub requests_per_s: Option<u32>,
    /// How many times the usual strangers may do in a time: sign up, register domains, put hosts online, call the API.
    pub pace: u32,
    /// Run Workers without a jail.
    pub unconfined: bool,
    /// The program that builds jails; this one, unless a test says otherwise.
    pub jail: JailProgram,
}

/// The orchestrator that we serve.
#[derive(Clone, Debug)]
pub struct Orchestrator {
    pub url: Url,
    /// Where a person's browser goes back to after a decision. Never taken from a request.
    pub callback_url: Url,
    pub signing_secret_file: PathBuf,
    /// Refuse its requests without `Stripe-Signature-V2`: the secret alone signs neither method nor address, nor only once.
    pub require_v2: bool,
    /// Refuse account requests without `identity_assertion`.
    pub require_assertion: bool,
}

/// A certificate in PEM files. Read on start.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// The certificate and its chain.
    pub chain: PathBuf,
    pub key: PathBuf,
}

/// The parts that exist in the sandbox only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sandbox {
    pub registry: bool,
    /// Whether that registry wants to know for whom a name is registered.
    pub contacts: bool,
    pub local_ca: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read `{path}`: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("`{path}` is not a configuration of slipway: {message}")]
    Form { path: PathBuf, message: String },
    #[error("`{0}` is a sandbox part; it needs `profile = \"sandbox\"`")]
    SandboxOnly(&'static str),
    #[error("the edge has no certificates; name an authority in `[acme]`, files in `[certificate]`, or use the sandbox's local authority")]
    NoCertificates,
    #[error("`registry` and `sandbox.registry` are both there; domains are bought at one registry")]
    TwoRegistries,
    #[error("`registry.{0}` cannot be used: {1}")]
    Registry(&'static str, String),
    #[error("`acme.terms_agreed` is not `true`: read the authority's terms, and say so")]
    AcmeTerms,
    #[error("`{0}` is missing: visitors are led to what is hosted here by it")]
    Missing(&'static str),
    #[error("`edge_addresses`: nobody outside this machine reaches `{0}`")]
    EdgeAddress(IpAddr),
    #[error("`{0}` and `{1}` are the same address")]
    SameAddress(&'static str, &'static str),
    #[error(transparent)]
    Name(#[from] ParseNameError),
    #[error("`serve` does not run Workers without a jail; `purser up --unconfined` does, for one machine")]
    ByHand,
    #[error("`{0}` must be https outside the sandbox")]
    Plain(&'static str),
    #[error("`{0}` needs an absolute http or https URL")]
    Url(&'static str),
    #[error("name the mail server in `[mail]`: owners are told by mail what is connected with their accounts")]
    NoMail,
    #[error("`credits`: {0}")]
    Credits(#[from] OfferError),
    #[error("{0}")]
    Database(String),
    #[error("`{0}` does not exist; {WORKERD_HINT}")]
    Workerd(PathBuf),
}

impl Config {
    /// Reads and checks the file.
    ///
    /// # Errors
    /// When it cannot be read, says something unknown, asks for a sandbox part outside of the sandbox, or to run without a jail when
    /// `handed_over` is not the secret of who wrote it.
    pub fn load(path: &Path, handed_over: impl FnOnce() -> Secret<String>) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let config = Self::parse(&text, path, handed_over)?;
        if !config.workerd.is_file() {
            return Err(ConfigError::Workerd(config.workerd));
        }
        Ok(config)
    }

    fn parse(text: &str, path: &Path, handed_over: impl FnOnce() -> Secret<String>) -> Result<Self, ConfigError> {
        let file: File = toml::from_str(text).map_err(|e| ConfigError::Form { path: path.to_owned(), message: e.message().to_owned() })?;
        if let Some(expected) = file.sandbox.as_ref().and_then(|t| t.unconfined_sha256) {
            refuse_sandbox(&file).into_iter().next().map_or(Ok(()), Err)?;
            by_up(&expected, &handed_over())?;
        }
        Self::of(file).map_err(|mut refusals| refusals.swap_remove(0))
    }

    /// The meaning of a file, or everything that is wrong with it: at least one thing.
    fn of(file: File) -> Result<Self, Vec<ConfigError>> {
        let mut refusals = refuse_sandbox(&file);
        refusals.extend(same_addresses(&file));
        let mut keep = Keep(&mut refusals);
        let mail = keep.one(mail(&file));
        let names = keep.one(Names::of(&file));
        let certified = file.certificate.is_some() || file.acme.is_some() || file.sandbox.as_ref().is_some_and(|t| t.local_ca);
        keep.one(if certified { Ok(()) } else { Err(ConfigError::NoCertificates) });
        let public_url = keep.one(public_url(&file));
        let orchestrator = keep.one(orchestrator(&file));
        let database = keep.one(file.database.parse::<DbConfig>().map_err(|e| ConfigError::Database(e.to_string())));
        let offers = keep.one(offers(&file.credits).map_err(ConfigError::from));
        let acme = keep.one(file.acme.map(|acme| acme.check(file.profile)).transpose());
        let objects = keep.one(file.objects.map(Objects::check).transpose());
        let registry = keep.one(file.registry.map(|table| table.check(file.sandbox.as_ref().is_some_and(|t| t.registry))).transpose());
        let (Some(mail), Some(names), Some(public_url), Some(orchestrator)) = (mail, names, public_url, orchestrator) else {
            return Err(refusals);
        };
        let rest = (database, offers, acme, registry, objects, refusals.is_empty());
        let (Some(database), Some(offers), Some(acme), Some(registry), Some(objects), true) = rest else {
            return Err(refusals);
        };
        Ok(Self {
            profile: file.profile,
            listen_api: file.listen_api,
            listen_edge_https: file.listen_edge_https,
            listen_edge_http: file.listen_edge_http,
            listen_dns: file.listen_dns,
            database,
            data: file.data,
            workerd: file.workerd,
            keys: file.keys,
            public_url,
            orchestrator,
            mail,
            trusted_proxies: file.trusted_proxies,
            unconfined: file.sandbox.as_ref().is_some_and(|t| t.unconfined_sha256.is_some()),
            sandbox: file.sandbox.map(|t| Sandbox { registry: t.registry, contacts: t.contacts, local_ca: t.local_ca }),
            certificate: file.certificate,
            acme,
            names,
            registry,
            objects,
            log: file.log,
            offers,
            requests_per_s: file.requests_per_s,
            pace: file.pace.unwrap_or(1).max(1),
            jail: JailProgram::default(),
        })
    }
}

/// Gathers refusals, so that one does not hide the next.
struct Keep<'a>(&'a mut Vec<ConfigError>);

impl Keep<'_> {
    fn one<T>(&mut self, checked: Result<T, ConfigError>) -> Option<T> {
        checked.map_err(|e| self.0.push(e)).ok()
    }
}

fn mail(file: &File) -> Result<MailConfig, ConfigError> {
    match (&file.mail, file.profile) {
        (Some(MailConfig::Folder { .. }), Profile::Production) => Err(ConfigError::SandboxOnly("mail.folder")),
        (Some(mail), _) => Ok(mail.clone()),
        (None, Profile::Sandbox) => Ok(MailConfig::Folder { folder: file.data.join(MAIL_FOLDER) }),
        (None, Profile::Production) => Err(ConfigError::NoMail),
    }
}

fn public_url(file: &File) -> Result<Url, ConfigError> {
    let wrong = || ConfigError::Url("public_api_url");
    match &file.public_api_url {
        Some(url) => base(url.clone()).ok_or_else(wrong),
        None if file.profile == Profile::Production => Err(wrong()),
        None => Url::parse(&format!("http://{}/", file.listen_api)).map_err(|_| wrong()),
    }
}

fn orchestrator(file: &File) -> Result<Orchestrator, ConfigError> {
    let table = &file.orchestrator;
    let url = base(table.url.clone()).ok_or(ConfigError::Url("orchestrator.url"))?;
    Ok(Orchestrator {
        callback_url: callback(table.callback_url.clone(), &url, file.profile)?,
        url,
        signing_secret_file: table.signing_secret_file.clone(),
        require_v2: table.require_v2,
        require_assertion: table.require_assertion,
    })
}

/// Two listeners of TCP at one address, unless any free port will do.
fn same_addresses(file: &File) -> Vec<ConfigError> {
    let listeners = [
        (file.listen_api, "listen_api"),
        (file.listen_edge_https, "listen_edge_https"),
        (file.listen_edge_http, "listen_edge_http"),
        (file.listen_dns, "listen_dns"),
    ];
    let mut same = Vec::new();
    for (at, (address, name)) in listeners.iter().enumerate().filter(|(_, (address, _))| address.port() != 0) {
        let others = listeners[at + 1..].iter().filter(|(other, _)| other == address);
        same.extend(others.map(|(_, other)| ConfigError::SameAddress(name, other)));
    }
    same
}

/// INVARIANT (sandbox-only): none of these exists in production, and nothing there is in the clear.
fn refuse_sandbox(file: &File) -> Vec<ConfigError> {
    if file.profile == Profile::Sandbox {
        return Vec::new();
    }
    let table = file.sandbox.as_ref();
    let parts = [
        (table.is_some_and(|t| t.registry), "sandbox.registry"),
        (table.is_some_and(|t| t.local_ca), "sandbox.local_ca"),
        (table.is_some_and(|t| t.unconfined_sha256.is_some()), "sandbox.unconfined_sha256"),
        (!file.orchestrator.require_v2, "orchestrator.require_v2 = false"),
        (!file.orchestrator.require_assertion, "orchestrator.require_assertion = false"),
    ];
    let plain = [(Some(&file.orchestrator.url), "orchestrator.url"), (file.public_api_url.as_ref(), "public_api_url")];
    let sandbox = parts.into_iter().filter(|(present, _)| *present).map(|(_, part)| ConfigError::SandboxOnly(part));
    let in_the_clear =
        |(url, name): (Option<&Url>, &'static str)| Some(ConfigError::Plain(name)).filter(|_| url.is_some_and(|u| u.scheme() != "https"));
    sandbox.chain(plain.into_iter().filter_map(in_the_clear)).collect()
}

/// The orchestrator's callback: an address with a host and without a fragment (RFC 6749, 3.1.2); in production, https.
fn callback(named: Option<Url>, orchestrator: &Url, profile: Profile) -> Result<Url, ConfigError> {
    let wrong = || ConfigError::Url("orchestrator.callback_url");
    let url = match named {
        Some(url) => url,
        None => orchestrator.join(CALLBACK).map_err(|_| wrong())?,
    };
    let safe = url.scheme() == "https" || (url.scheme() == "http" && profile == Profile::Sandbox);
    let plain = url.host().is_some() && url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    if safe && plain { Ok(url) } else { Err(wrong()) }
}

/// Running without a jail is for `purser up`, whose every page says so: whoever has only the file runs the cloud confined.
fn by_up(expected: &Sha256Digest, handed_over: &Secret<String>) -> Result<(), ConfigError> {
    let found = Sha256Digest::of(handed_over.expose().as_bytes());
    if constant_time_eq(found.as_bytes(), expected.as_bytes()) { Ok(()) } else { Err(ConfigError::ByHand) }
}

/// The URL as a base that paths can be joined to. The API's own path is cut off: people copy it from elsewhere.
fn base(mut url: Url) -> Option<Url> {
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return None;
    }
    url.set_query(None);
    url.set_fragment(None);
    let path = url.path().trim_end_matches('/').trim_end_matches("/client/v4").to_owned();
    url.set_path(&format!("{path}/"));
    Some(url)
}

#[cfg(test)]
mod tests;
