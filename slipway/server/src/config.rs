//! The configuration file of `slipway serve`.
//!
//! Sandbox parts (the embedded registry, the local certificate authority, running Workers without a jail, accounts on an e-mail
//! address alone) are refused unless the profile says so.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use purser_crypto::constant_time_eq;
use purser_db::DbConfig;
use purser_http::log::LogFormat;
use purser_http::peer::TrustedProxies;
use purser_notify::MailConfig;
use purser_values::{Secret, Sha256Digest};
use serde::Deserialize;
use slipway_billing::credit::programme::{Offer, OfferConfig, OfferError, offers};
use slipway_workers::runtime::process::JailProgram;
use url::Url;

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
    pub log: LogFormat,
    /// The programmes of credit.
    pub offers: Vec<Offer>,
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
    #[error("the edge has no certificate; name its files in `[certificate]`, or use the sandbox's local authority")]
    NoCertificates,
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    profile: Profile,
    listen_api: SocketAddr,
    listen_edge_https: SocketAddr,
    listen_edge_http: SocketAddr,
    listen_dns: SocketAddr,
    database: String,
    data: PathBuf,
    workerd: PathBuf,
    keys: PathBuf,
    #[serde(default)]
    public_api_url: Option<Url>,
    orchestrator: OrchestratorTable,
    #[serde(default)]
    mail: Option<MailConfig>,
    #[serde(default)]
    trusted_proxies: TrustedProxies,
    #[serde(default)]
    sandbox: Option<SandboxTable>,
    #[serde(default)]
    certificate: Option<Certificate>,
    #[serde(default)]
    log: LogFormat,
    #[serde(default)]
    credits: Vec<OfferConfig>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OrchestratorTable {
    url: Url,
    #[serde(default)]
    callback_url: Option<Url>,
    signing_secret_file: PathBuf,
    #[serde(default = "yes")]
    require_v2: bool,
    #[serde(default = "yes")]
    require_assertion: bool,
}

const fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SandboxTable {
    #[serde(default)]
    registry: bool,
    #[serde(default)]
    local_ca: bool,
    /// The digest of a secret that `purser up --unconfined` makes at each start and hands over on standard input: with it, Workers
    /// run without a jail where none can be built.
    #[serde(default)]
    unconfined_sha256: Option<Sha256Digest>,
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
        if file.profile == Profile::Production {
            refuse_sandbox(&file)?;
        }
        let mail = match (file.mail, file.profile) {
            (Some(MailConfig::Folder { .. }), Profile::Production) => return Err(ConfigError::SandboxOnly("mail.folder")),
            (Some(mail), _) => mail,
            (None, Profile::Sandbox) => MailConfig::Folder { folder: file.data.join(MAIL_FOLDER) },
            (None, Profile::Production) => return Err(ConfigError::NoMail),
        };
        let unconfined = file.sandbox.as_ref().and_then(|t| t.unconfined_sha256);
        if let Some(expected) = unconfined {
            by_up(&expected, &handed_over())?;
        }
        let sandbox = file.sandbox.map(|t| Sandbox { registry: t.registry, local_ca: t.local_ca });
        let public_url = match file.public_api_url {
            Some(url) => base(url).ok_or(ConfigError::Url("public_api_url"))?,
            None => Url::parse(&format!("http://{}/", file.listen_api)).map_err(|_| ConfigError::Url("public_api_url"))?,
        };
        let orchestrator = base(file.orchestrator.url).ok_or(ConfigError::Url("orchestrator.url"))?;
        let callback_url = callback(file.orchestrator.callback_url, &orchestrator, file.profile)?;
        Ok(Self {
            profile: file.profile,
            listen_api: file.listen_api,
            listen_edge_https: file.listen_edge_https,
            listen_edge_http: file.listen_edge_http,
            listen_dns: file.listen_dns,
            database: file.database.parse::<DbConfig>().map_err(|e| ConfigError::Database(e.to_string()))?,
            data: file.data,
            workerd: file.workerd,
            keys: file.keys,
            public_url,
            orchestrator: Orchestrator {
                url: orchestrator,
                callback_url,
                signing_secret_file: file.orchestrator.signing_secret_file,
                require_v2: file.orchestrator.require_v2,
                require_assertion: file.orchestrator.require_assertion,
            },
            mail,
            trusted_proxies: file.trusted_proxies,
            sandbox,
            certificate: file.certificate,
            log: file.log,
            offers: offers(&file.credits)?,
            unconfined: unconfined.is_some(),
            jail: JailProgram::default(),
        })
    }
}

/// INVARIANT (sandbox-only): none of these exists in production.
fn refuse_sandbox(file: &File) -> Result<(), ConfigError> {
    let table = file.sandbox.as_ref();
    let parts = [
        (table.is_some_and(|t| t.registry), "sandbox.registry"),
        (table.is_some_and(|t| t.local_ca), "sandbox.local_ca"),
        (table.is_some_and(|t| t.unconfined_sha256.is_some()), "sandbox.unconfined_sha256"),
        (!file.orchestrator.require_v2, "orchestrator.require_v2 = false"),
        (!file.orchestrator.require_assertion, "orchestrator.require_assertion = false"),
    ];
    if let Some((_, part)) = parts.into_iter().find(|(present, _)| *present) {
        return Err(ConfigError::SandboxOnly(part));
    }
    match &file.public_api_url {
        _ if file.orchestrator.url.scheme() != "https" => Err(ConfigError::Plain("orchestrator.url")),
        Some(url) if url.scheme() != "https" => Err(ConfigError::Plain("public_api_url")),
        Some(_) => Ok(()),
        None => Err(ConfigError::Url("public_api_url")),
    }
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
mod tests {
    use super::*;

    const MAIL: &str = "mail = { host = \"mail.cloud.test\", from = \"slipway@cloud.test\" }";

    fn text(profile: &str, rest: &str) -> String {
        format!(
            r#"profile = "{profile}"
            listen_api = "127.0.0.1:4001"
            listen_edge_https = "127.0.0.1:0"
            listen_edge_http = "127.0.0.1:0"
            listen_dns = "127.0.0.1:0"
            database = "sqlite:/tmp/x.db"
            data = "/tmp/x"
            workerd = "/bin/true"
            keys = "/tmp/x/keys"
            {rest}
            [orchestrator]
            url = "http://localhost:4000"
            signing_secret_file = "/tmp/x/secret""#
        )
    }

    fn parse(text: &str) -> Result<Config, ConfigError> {
        handed(text, "")
    }

    fn handed(text: &str, secret: &str) -> Result<Config, ConfigError> {
        Config::parse(text, Path::new("slipway.toml"), || Secret::new(secret.to_owned()))
    }

    /// Production, with addresses that are fit for it.
    fn production(rest: &str) -> String {
        text("production", &format!("public_api_url = \"https://cloud.example/\"\n{MAIL}\n{rest}"))
            .replace("http://localhost:4000", "https://purser.example")
    }

    #[test]
    fn the_public_address_is_the_listener_unless_it_is_named() {
        let config = parse(&text("sandbox", "")).unwrap();
        assert_eq!(config.public_url.as_str(), "http://127.0.0.1:4001/");
        assert_eq!(config.orchestrator.url.as_str(), "http://localhost:4000/");
        let named = parse(&text("sandbox", "public_api_url = \"https://cloud.test/client/v4\"")).unwrap();
        assert_eq!(named.public_url.as_str(), "https://cloud.test/");
        assert!(matches!(parse(&text("sandbox", "public_api_url = \"file:///x\"")), Err(ConfigError::Url(_))));
    }

    #[test]
    fn sandbox_parts_are_refused_in_production() {
        assert!(parse(&production("")).is_ok());
        let digest = Sha256Digest::of(b"secret");
        for part in ["registry = true", "local_ca = true", &format!("unconfined_sha256 = \"{digest}\"")] {
            let refused = handed(&format!("{}\n[sandbox]\n{part}", production("")), "secret");
            assert!(matches!(refused, Err(ConfigError::SandboxOnly(_))), "`{part}` was taken");
        }
    }

    #[test]
    fn production_speaks_https_only() {
        for (from, to) in [("https://purser.example", "http://purser.example"), ("https://cloud.example", "http://cloud.example")] {
            assert!(matches!(parse(&production("").replace(from, to)), Err(ConfigError::Plain(_))), "`{to}` was taken");
        }
        let unnamed = production("").replace("public_api_url = \"https://cloud.example/\"", "");
        assert!(matches!(parse(&unnamed), Err(ConfigError::Url("public_api_url"))));
    }

    #[test]
    fn the_callback_is_the_orchestrators_own_and_never_plain_in_production() {
        let sandbox = parse(&text("sandbox", "")).unwrap();
        assert_eq!(sandbox.orchestrator.callback_url.as_str(), "http://localhost:4000/link/callback/slipway");
        let with = |url: &str| parse(&(production("") + &format!("\ncallback_url = \"{url}\"")));
        assert!(with("https://o.example/back").is_ok());
        for bad in ["http://o.example/back", "https://o.example/#x", "https://user@o.example/", "javascript:alert(1)", "data:text/html,x"] {
            assert!(matches!(with(bad), Err(ConfigError::Url("orchestrator.callback_url"))), "`{bad}` was taken");
        }
    }

    #[test]
    fn owners_are_mailed_in_production_and_not_into_a_folder() {
        assert!(matches!(parse(&production("").replace(MAIL, "")), Err(ConfigError::NoMail)));
        let folder = parse(&production("").replace(MAIL, "mail = { folder = \"/tmp/mail\" }"));
        assert!(matches!(folder, Err(ConfigError::SandboxOnly("mail.folder"))));
        assert!(matches!(parse(&text("sandbox", "")).unwrap().mail, MailConfig::Folder { .. }));
    }

    #[test]
    fn the_documented_example_is_usable() {
        let example = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples/slipway.toml"));
        let config = parse(example).unwrap();
        assert_eq!(config.profile, Profile::Production);
        assert!(config.certificate.is_some());
    }

    #[test]
    fn the_orchestrator_must_sign_and_attest_unless_the_sandbox_says_otherwise() {
        let strict = parse(&text("sandbox", "")).unwrap().orchestrator;
        assert!(strict.require_v2 && strict.require_assertion);
        for lax in ["require_v2 = false", "require_assertion = false"] {
            assert!(parse(&(text("sandbox", "") + "\n" + lax)).is_ok());
            let refused = parse(&(production("") + "\n" + lax));
            assert!(matches!(refused, Err(ConfigError::SandboxOnly(_))), "`{lax}` was taken");
        }
    }

    #[test]
    fn only_who_wrote_the_file_can_run_workers_without_a_jail() {
        let digest = Sha256Digest::of(b"secret");
        let open = format!("{}\n[sandbox]\nunconfined_sha256 = \"{digest}\"", text("sandbox", ""));
        for wrong in ["", "another", &digest.to_string()] {
            assert!(matches!(handed(&open, wrong), Err(ConfigError::ByHand)), "`{wrong}` was taken");
        }
        assert!(handed(&open, "secret").unwrap().unconfined);
        assert!(!handed(&text("sandbox", ""), "secret").unwrap().unconfined);
    }

    #[test]
    fn an_unknown_setting_is_an_error_and_not_silence() {
        assert!(matches!(parse(&text("sandbox", "listen = \"x\"")), Err(ConfigError::Form { .. })));
    }
}
