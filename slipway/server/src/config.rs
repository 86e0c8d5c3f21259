//! The configuration file of `slipway serve`.
//!
//! Sandbox parts (the embedded registry, the local certificate authority, running Workers without a jail, accounts on an e-mail
//! address alone) are refused unless the profile says so.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use purser_db::DbConfig;
use serde::Deserialize;
use slipway_workers::runtime::process::JailProgram;
use url::Url;

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
    pub sandbox: Option<Sandbox>,
    /// The operator's own certificate for the edge.
    pub certificate: Option<Certificate>,
    /// Run Workers without a jail.
    pub unconfined: bool,
    /// The program that builds jails; this one, unless a test says otherwise.
    pub jail: JailProgram,
}

/// The orchestrator that we serve.
#[derive(Clone, Debug)]
pub struct Orchestrator {
    pub url: Url,
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
    #[error("`{0}` needs an absolute http or https URL")]
    Url(&'static str),
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
    sandbox: Option<SandboxTable>,
    #[serde(default)]
    certificate: Option<Certificate>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OrchestratorTable {
    url: Url,
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
}

impl Config {
    /// Reads and checks the file.
    ///
    /// # Errors
    /// When it cannot be read, says something unknown, or asks for a sandbox part outside of the sandbox.
    pub fn load(path: &Path, unconfined: bool) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let config = Self::parse(&text, path, unconfined)?;
        if !config.workerd.is_file() {
            return Err(ConfigError::Workerd(config.workerd));
        }
        Ok(config)
    }

    fn parse(text: &str, path: &Path, unconfined: bool) -> Result<Self, ConfigError> {
        let file: File = toml::from_str(text).map_err(|e| ConfigError::Form { path: path.to_owned(), message: e.message().to_owned() })?;
        let sandbox = file.sandbox.map(|t| Sandbox { registry: t.registry, local_ca: t.local_ca });
        if file.profile == Profile::Production {
            refuse_sandbox(sandbox.as_ref(), unconfined)?;
            refuse_lax(&file.orchestrator)?;
        }
        let public_url = match file.public_api_url {
            Some(url) => base(url).ok_or(ConfigError::Url("public_api_url"))?,
            None => Url::parse(&format!("http://{}/", file.listen_api)).map_err(|_| ConfigError::Url("public_api_url"))?,
        };
        let orchestrator = base(file.orchestrator.url).ok_or(ConfigError::Url("orchestrator.url"))?;
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
                signing_secret_file: file.orchestrator.signing_secret_file,
                require_v2: file.orchestrator.require_v2,
                require_assertion: file.orchestrator.require_assertion,
            },
            sandbox,
            certificate: file.certificate,
            unconfined,
            jail: JailProgram::default(),
        })
    }
}

fn refuse_sandbox(sandbox: Option<&Sandbox>, unconfined: bool) -> Result<(), ConfigError> {
    match sandbox {
        Some(Sandbox { registry: true, .. }) => Err(ConfigError::SandboxOnly("sandbox.registry")),
        Some(Sandbox { local_ca: true, .. }) => Err(ConfigError::SandboxOnly("sandbox.local_ca")),
        _ if unconfined => Err(ConfigError::SandboxOnly("--unconfined")),
        _ => Ok(()),
    }
}

fn refuse_lax(orchestrator: &OrchestratorTable) -> Result<(), ConfigError> {
    match orchestrator {
        OrchestratorTable { require_v2: false, .. } => Err(ConfigError::SandboxOnly("orchestrator.require_v2 = false")),
        OrchestratorTable { require_assertion: false, .. } => Err(ConfigError::SandboxOnly("orchestrator.require_assertion = false")),
        _ => Ok(()),
    }
}

/// Whether Workers run without a jail. That is for `purser up`, whose every page says so: whoever runs the cloud by hand runs it confined.
///
/// # Errors
/// When it was asked for and nobody supervises us.
pub const fn unconfined(asked: bool, started_by_up: bool) -> Result<bool, ConfigError> {
    if asked && !started_by_up { Err(ConfigError::ByHand) } else { Ok(asked) }
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

    fn parse(text: &str, unconfined: bool) -> Result<Config, ConfigError> {
        Config::parse(text, Path::new("slipway.toml"), unconfined)
    }

    #[test]
    fn the_public_address_is_the_listener_unless_it_is_named() {
        let config = parse(&text("sandbox", ""), false).unwrap();
        assert_eq!(config.public_url.as_str(), "http://127.0.0.1:4001/");
        assert_eq!(config.orchestrator.url.as_str(), "http://localhost:4000/");
        let named = parse(&text("sandbox", "public_api_url = \"https://cloud.test/client/v4\""), false).unwrap();
        assert_eq!(named.public_url.as_str(), "https://cloud.test/");
        assert!(matches!(parse(&text("sandbox", "public_api_url = \"file:///x\""), false), Err(ConfigError::Url(_))));
    }

    #[test]
    fn sandbox_parts_are_refused_in_production() {
        let with = |part: &str| text("production", "") + &format!("\n[sandbox]\n{part} = true");
        for part in ["registry", "local_ca"] {
            assert!(matches!(parse(&with(part), false), Err(ConfigError::SandboxOnly(_))), "`{part}` was taken");
        }
        assert!(matches!(parse(&text("production", ""), true), Err(ConfigError::SandboxOnly("--unconfined"))));
    }

    #[test]
    fn the_documented_example_is_usable() {
        let example = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples/slipway.toml"));
        let config = parse(example, false).unwrap();
        assert_eq!(config.profile, Profile::Production);
        assert!(config.certificate.is_some());
    }

    #[test]
    fn the_orchestrator_must_sign_and_attest_unless_the_sandbox_says_otherwise() {
        let with = |profile: &str, lax: &str| parse(&(text(profile, "") + "\n" + lax), false);
        let strict = with("sandbox", "").unwrap().orchestrator;
        assert!(strict.require_v2 && strict.require_assertion);
        for lax in ["require_v2 = false", "require_assertion = false"] {
            assert!(with("sandbox", lax).is_ok());
            assert!(matches!(with("production", lax), Err(ConfigError::SandboxOnly(_))), "`{lax}` was taken");
        }
    }

    #[test]
    fn serve_by_hand_never_runs_without_a_jail() {
        assert!(matches!(unconfined(true, false), Err(ConfigError::ByHand)));
        assert!(matches!(unconfined(true, true), Ok(true)));
        assert!(matches!((unconfined(false, false), unconfined(false, true)), (Ok(false), Ok(false))));
    }

    #[test]
    fn an_unknown_setting_is_an_error_and_not_silence() {
        assert!(matches!(parse(&text("sandbox", "listen = \"x\""), false), Err(ConfigError::Form { .. })));
    }
}
