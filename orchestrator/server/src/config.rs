//! The configuration of `purser serve`.
//!
//! Sandbox parts (a mailbox folder, the sandbox rail, open sign-up) are refused unless the file says `profile = "sandbox"`.

mod check;
mod rail;
mod sso;

pub use check::{Findings, check};
pub use rail::{RailConfig, StripeConfig};
pub use sso::{SignInConfig, SsoConfig};

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use purser_http::log::LogFormat;
use purser_http::{Fetcher, Origin};
use purser_identity::SignUp;
use purser_notify::MailConfig;
use purser_values::name::{ConnectionName, Email, HostName, ProviderName};
use serde::Deserialize;
use url::Url;

use crate::oidc::ConfiguredClient;
use crate::peer::TrustedProxies;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub profile: Profile,
    pub listen: SocketAddr,
    /// What persons and agents reach; the issuer of everything we sign.
    pub public_url: Url,
    /// The address that this installation moves away from. Without it a `public_url` other than that of the first start is refused.
    #[serde(default)]
    pub public_url_was: Option<Url>,
    /// `sqlite:PATH` or `postgres://…`.
    pub database: String,
    /// Where the audit checkpoint and uploads on their way live.
    pub data: PathBuf,
    /// A folder of mode 0700 for the key-encryption key; never in a backup.
    pub keys: PathBuf,
    /// Exact `host:port` origins that may be fetched although they are not public.
    #[serde(default)]
    pub fetch_allow: Vec<Origin>,
    /// Addresses and networks of reverse proxies whose `X-Forwarded-For` counts; without any, the connection's address does.
    #[serde(default)]
    pub trusted_proxies: TrustedProxies,
    /// Where the numbers are shown (`/metrics`, and the probes). Not for strangers.
    #[serde(default)]
    pub metrics_listen: Option<SocketAddr>,
    #[serde(default)]
    pub log: LogFormat,
    /// How long requests are still taken after `/readyz` has said that we stop, in seconds: for a load balancer to notice.
    #[serde(default)]
    pub drain_notice_s: u64,
    pub mail: MailConfig,
    #[serde(default)]
    pub sandbox: SandboxConfig,
    /// How money moves.
    #[serde(default)]
    pub rail: RailConfig,
    #[serde(default)]
    pub sign_up: SignUpConfig,
    /// The companies through which people sign in.
    #[serde(default)]
    pub sign_in: SignInConfig,
    #[serde(default)]
    pub providers: Vec<ProviderConfig>,
    /// Who may register OAuth clients without a person.
    #[serde(default)]
    pub registration: RegistrationConfig,
    /// Credits that providers give.
    #[serde(default)]
    pub credits: CreditsConfig,
    /// OAuth clients that the operator answers for.
    #[serde(default)]
    pub clients: Vec<ConfiguredClient>,
    /// Audiences besides this installation that tokens can be for (RFC 8707).
    #[serde(default)]
    pub resources: Vec<Url>,
    /// Whether every DPoP proof must carry a nonce of ours. Without, one is offered, and checked where it is used.
    #[serde(default)]
    pub require_dpop_nonce: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistrationConfig {
    /// Everybody may: each gets a client that nobody here answers for.
    #[serde(default)]
    pub open: bool,
    /// Whoever has the token in this file may.
    pub initial_access_token_file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreditsConfig {
    /// Who decides over applications. Nobody does, and nothing is attested, while nobody is named.
    #[serde(default)]
    pub approvers: Vec<Email>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    Sandbox,
    Production,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SandboxConfig {
    #[serde(default)]
    pub rail: bool,
    #[serde(default)]
    pub open_sign_up: bool,
    #[serde(default)]
    pub export_permission: bool,
    /// The port of this machine at which any browser opens a site: `http://NAME.localhost:PORT/`.
    #[serde(default)]
    pub site_port: Option<u16>,
}

/// Who may sign in for the first time without an invitation.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignUpConfig {
    #[serde(default)]
    pub mode: SignUpMode,
    /// With `mode = "domains"`: every address at these, and not at domains below them.
    #[serde(default)]
    pub domains: Vec<HostName>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignUpMode {
    #[default]
    Invite,
    Domains,
    Open,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderConfig {
    pub name: ProviderName,
    pub url: Url,
    /// The secret that is shared with it.
    pub signing_secret_file: Option<PathBuf>,
    /// Whether it knows us by a document of ours instead.
    #[serde(default)]
    pub client_document: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("`{path}` cannot be read: {why}")]
    Read { path: PathBuf, why: String },
    #[error("`{path}` is not a usable configuration: {why}")]
    Form { path: PathBuf, why: String },
    #[error("`{part}` is for the sandbox only; remove it, or say `profile = \"sandbox\"`")]
    SandboxOnly { part: &'static str },
    #[error("`public_url` must be https outside the sandbox")]
    PlainPublicUrl,
    #[error(
        "`public_url` must be an origin such as `https://purser.example`, without a path, a query or a user: all routes are at its root"
    )]
    PublicUrlIsNoOrigin,
    #[error("`{list}` has `{name}` twice; each needs a name of its own")]
    Twice { list: &'static str, name: String },
    #[error("the provider `{name}` needs `signing_secret_file`, or `client_document = true`, and not both")]
    ProviderIdentity { name: ProviderName },
    #[error("the provider `{name}` cannot be reached at `{url}`: {why}; write https, or put its `host:port` into `fetch_allow`")]
    ProviderUrl { name: ProviderName, url: Url, why: &'static str },
    #[error("the folder of `keys` can be entered by others; run `chmod 700 {}`", path.display())]
    OpenKeys { path: PathBuf },
    #[error("`sign_up.domains` goes with `sign_up.mode = \"domains\"`, and the other way round")]
    SignUpDomains,
    #[error("`rail`: {0}")]
    Rail(&'static str),
    #[error("`sign_in.sso` with the name `{name}`: {why}")]
    Sso { name: ConnectionName, why: &'static str },
}

impl Config {
    /// Reads and checks the file.
    ///
    /// # Errors
    /// When it cannot be read, has an unknown or missing key, or mixes sandbox parts into production.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|e| ConfigError::Read { path: path.to_owned(), why: e.to_string() })?;
        let config: Self = toml::from_str(&text).map_err(|e| ConfigError::Form { path: path.to_owned(), why: e.to_string() })?;
        match config.refusals().into_iter().next() {
            None => Ok(config),
            Some(error) => Err(error),
        }
    }

    #[must_use]
    pub fn is_sandbox(&self) -> bool {
        self.profile == Profile::Sandbox
    }

    /// Everything for which the file is refused, although it can be read.
    #[must_use]
    pub fn refusals(&self) -> Vec<ConfigError> {
        let mut found = self.mixture();
        let url = &self.public_url;
        let bare = url.host().is_some() && url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if !(bare && url.username().is_empty() && url.password().is_none()) {
            found.push(ConfigError::PublicUrlIsNoOrigin);
        }
        if (self.sign_up.mode == SignUpMode::Domains) == self.sign_up.domains.is_empty() {
            found.push(ConfigError::SignUpDomains);
        }
        found.extend(twice("providers", self.providers.iter().map(|provider| provider.name.to_string())));
        found.extend(twice("clients", self.clients.iter().map(|client| client.id.to_string())));
        let unnamed = self.providers.iter().filter(|p| p.signing_secret_file.is_some() == p.client_document);
        found.extend(unnamed.map(|p| ConfigError::ProviderIdentity { name: p.name.clone() }));
        found.extend(self.unreachable());
        found.extend(self.open_keys());
        found.extend(self.rail.refusals(self.sandbox.rail, self.is_sandbox()).into_iter().map(ConfigError::Rail));
        found.extend(self.sign_in.refusals(self.is_sandbox()).into_iter().map(|(name, why)| ConfigError::Sso { name, why }));
        found
    }

    /// Providers whose address the fetcher will never touch.
    fn unreachable(&self) -> Vec<ConfigError> {
        let Ok(fetcher) = Fetcher::new(self.fetch_allow.clone()) else { return Vec::new() };
        let refused = |provider: &ProviderConfig| {
            let plain = if provider.url.query().is_some() { Err("it has a query") } else { fetcher.check(&provider.url) };
            let why = plain.err()?;
            Some(ConfigError::ProviderUrl { name: provider.name.clone(), url: provider.url.clone(), why })
        };
        self.providers.iter().filter_map(refused).collect()
    }

    /// Whoever can enter the folder of the keys can wait for a mistake in the mode of a file in it.
    fn open_keys(&self) -> Option<ConfigError> {
        use std::os::unix::fs::PermissionsExt as _;
        let open = std::fs::metadata(&self.keys).is_ok_and(|found| found.permissions().mode() & 0o077 != 0);
        open.then(|| ConfigError::OpenKeys { path: self.keys.clone() })
    }

    /// INVARIANT (sandbox-only): none of these exists in production.
    fn mixture(&self) -> Vec<ConfigError> {
        if self.is_sandbox() {
            return Vec::new();
        }
        let parts = [
            (self.sandbox.rail, "sandbox.rail"),
            (self.sandbox.open_sign_up, "sandbox.open_sign_up"),
            (self.sandbox.export_permission, "sandbox.export_permission"),
            (self.sandbox.site_port.is_some(), "sandbox.site_port"),
            (matches!(self.mail, MailConfig::Folder { .. }), "mail.folder"),
            (self.fetch_allow.iter().any(Origin::is_this_machine), "fetch_allow with a loopback address"),
        ];
        let mut found: Vec<_> =
            parts.into_iter().filter(|(present, _)| *present).map(|(_, part)| ConfigError::SandboxOnly { part }).collect();
        if self.public_url.scheme() != "https" {
            found.push(ConfigError::PlainPublicUrl);
        }
        found
    }

    /// `public_url` as it is in everything that is signed.
    #[must_use]
    pub fn issuer(&self) -> String {
        issuer(&self.public_url)
    }

    #[must_use]
    pub fn issuer_before(&self) -> Option<String> {
        self.public_url_was.as_ref().map(issuer)
    }

    #[must_use]
    pub fn sign_up(&self) -> SignUp {
        match (self.sandbox.open_sign_up, self.sign_up.mode) {
            (true, _) | (false, SignUpMode::Open) => SignUp::Open,
            (false, SignUpMode::Domains) => SignUp::Domains(self.sign_up.domains.clone()),
            (false, SignUpMode::Invite) => SignUp::Invite,
        }
    }
}

fn issuer(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

fn twice(list: &'static str, names: impl Iterator<Item = String>) -> Vec<ConfigError> {
    let mut seen = BTreeSet::new();
    names.filter(|name| !seen.insert(name.clone())).map(|name| ConfigError::Twice { list, name }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRODUCTION: &str = r#"
        profile = "production"
        listen = "127.0.0.1:8080"
        public_url = "https://purser.example"
        database = "postgres://purser@db/purser"
        data = "/var/lib/purser"
        keys = "/etc/purser/keys"
        mail = { host = "mail.example", from = "purser@purser.example" }
    "#;

    fn check(text: &str) -> Result<Config, ConfigError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Config::read(file.path())
    }

    #[test]
    fn sandbox_parts_are_refused_in_production() {
        check(PRODUCTION).unwrap();
        for part in ["[sandbox]\nrail = true", "[sandbox]\nopen_sign_up = true", "[sandbox]\nexport_permission = true"] {
            let error = check(&format!("{PRODUCTION}\n{part}")).unwrap_err();
            assert!(matches!(error, ConfigError::SandboxOnly { .. }), "{part}: {error}");
        }
        let folder = PRODUCTION.replace(r#"host = "mail.example", from = "purser@purser.example""#, r#"folder = "/tmp/mail""#);
        assert!(matches!(check(&folder), Err(ConfigError::SandboxOnly { part: "mail.folder" })));
        for loopback in ["127.0.0.1:80", "localhost:80", "127.1:80", "2130706433:80", "[::1]:80", "[::ffff:127.0.0.1]:80", "0.0.0.0:80"] {
            let error = check(&format!("fetch_allow = [\"{loopback}\"]\n{PRODUCTION}")).unwrap_err();
            assert!(matches!(error, ConfigError::SandboxOnly { .. }), "{loopback}: {error}");
        }
        check(&format!("fetch_allow = [\"10.0.0.1:8443\"]\n{PRODUCTION}")).unwrap();
        assert!(matches!(check(&format!("fetch_allow = [\"nowhere\"]\n{PRODUCTION}")), Err(ConfigError::Form { .. })));
        assert!(matches!(check(&PRODUCTION.replace("https://", "http://")), Err(ConfigError::PlainPublicUrl)));
    }

    #[test]
    fn the_public_url_is_an_origin() {
        for more in ["/sub", "?a=b", "#a"] {
            let wrong = PRODUCTION.replace("https://purser.example", &format!("https://purser.example{more}"));
            assert!(matches!(check(&wrong), Err(ConfigError::PublicUrlIsNoOrigin)), "`{more}` was taken");
        }
        let user = PRODUCTION.replace("https://", "https://ada:secret@");
        assert!(matches!(check(&user), Err(ConfigError::PublicUrlIsNoOrigin)));
        check(&PRODUCTION.replace("https://purser.example\"", "https://purser.example:8443/\"")).unwrap();
    }

    #[test]
    fn a_wrong_sender_is_named() {
        let wrong = PRODUCTION.replace("purser@purser.example", "not an address");
        assert!(check(&wrong).unwrap_err().to_string().contains("`not an address`"));
        let both = PRODUCTION.replace("mail = {", "mail = { folder = \"/tmp/mail\",");
        assert!(check(&both).unwrap_err().to_string().contains("`host` and `from`"));
    }

    #[test]
    fn the_documented_example_is_usable() {
        let example = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples/orchestrator.toml"));
        let config = Config::read(example).unwrap();
        assert!(!config.is_sandbox());
        assert!(matches!(config.sign_up(), SignUp::Domains(_)));
    }

    #[test]
    fn proxies_are_addresses_or_networks() {
        let config = check(&format!("trusted_proxies = [\"10.0.0.0/8\", \"::1\"]\n{PRODUCTION}")).unwrap();
        assert_ne!(config.trusted_proxies, TrustedProxies::default());
        assert!(matches!(check(&format!("trusted_proxies = [\"proxy\"]\n{PRODUCTION}")), Err(ConfigError::Form { .. })));
    }

    #[test]
    fn mail_goes_encrypted_with_the_usual_port_and_a_login_is_whole() {
        let port = |more: &str| match check(&PRODUCTION.replace("host = ", &format!("{more}host = "))).unwrap().mail {
            MailConfig::Smtp(smtp) => smtp.port(),
            MailConfig::Folder { .. } => panic!("a folder"),
        };
        assert_eq!((port(""), port("tls = \"implicit\", "), port("port = 2525, ")), (587, 465, 2525));
        assert!(check(&PRODUCTION.replace("host = ", "tls = \"none\", host = ")).is_err(), "mail in the clear");
        assert!(check(&PRODUCTION.replace("host = ", "user = \"purser\", host = ")).is_err(), "half a login");
    }

    #[test]
    fn sign_up_is_by_invitation_unless_said_otherwise() {
        assert_eq!(check(PRODUCTION).unwrap().sign_up(), SignUp::Invite);
        assert_eq!(check(&format!("{PRODUCTION}\n[sign_up]\nmode = \"open\"")).unwrap().sign_up(), SignUp::Open);
        for half in ["mode = \"domains\"", "domains = [\"purser.example\"]"] {
            assert!(matches!(check(&format!("{PRODUCTION}\n[sign_up]\n{half}")), Err(ConfigError::SignUpDomains)), "{half}");
        }
    }

    /// Whatever looks like a secret: a long word without a meaning, a key, a password in a URL.
    #[test]
    fn no_example_holds_a_usable_secret() {
        let examples = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples"));
        let mut seen = 0;
        for file in std::fs::read_dir(examples).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            seen += 1;
            assert!(!text.contains("PRIVATE KEY") && !text.contains("BEGIN "), "{text}");
            for line in text.lines().map(|line| line.split('#').next().unwrap()) {
                let (key, value) = line.split_once('=').unwrap_or(("", line));
                let secret = ["secret", "password", "token", "key"].iter().any(|word| key.contains(word));
                let named = !secret || ["_file", "keys", "key"].iter().any(|end| key.trim().ends_with(end) && value.contains('/'));
                assert!(named, "a secret stands in an example: {line}");
                let userinfo = value.split("://").nth(1).and_then(|rest| rest.split('/').next()).and_then(|host| host.rsplit_once('@'));
                assert!(userinfo.is_none_or(|(user, _)| !user.contains(':')), "a password stands in an example: {line}");
                let random = value.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word.len() >= 20);
                assert!(!random, "a long word stands in an example: {line}");
            }
        }
        assert!(seen >= 2, "there are no examples");
    }

    #[test]
    fn a_company_that_could_vouch_for_too_much_or_proves_nothing_is_refused() {
        let acme = "[[sign_in.sso]]\nname = \"acme\"\nissuer = \"https://id.acme.test\"\nclient_id = \"purser\"\n\
                    client_secret_file = \"/s\"\nallowed_domains = [\"acme.test\"]\nrequired = true\n";
        let with = |text: &str| check(&format!("{PRODUCTION}\n{text}"));
        assert_eq!(with(acme).unwrap().sign_in.sso[0].connection().label, "acme");
        let roles = "organisation = \"org_00000000000000000000000000\"\n[[sign_in.sso.role]]\ngroup = \"platform\"\nrole = \"admin\"\n";
        with(&format!("{acme}{roles}")).unwrap();
        let second = acme.replace("\"acme\"", "\"other\"").replace("id.acme", "id.other");
        for bad in [
            acme.replace("https://id", "http://id"),
            acme.replace("id.acme.test", "127.0.0.1:8443"),
            acme.replace("id.acme.test", "id.acme.test?tenant=1"),
            acme.replace("[\"acme.test\"]", "[]"),
            acme.replace("client_secret_file = \"/s\"\n", ""),
            acme.replace("client_secret_file", "private_key_jwt = true\nclient_secret_file"),
            roles.replace("organisation = \"org_00000000000000000000000000\"\n", acme),
            format!("{acme}default_role = \"member\""),
            format!("{acme}organisation = \"org_00000000000000000000000000\"\ndefault_role = \"owner\""),
            format!("{acme}{second}"),
            format!("{acme}{}", second.replace("id.other", "id.acme").replace("required = true", "")),
            format!("{acme}{}", second.replace("\"other\"", "\"acme\"").replace("required = true", "")),
        ] {
            let found = with(&bad).unwrap_err();
            assert!(matches!(found, ConfigError::Sso { .. }), "{found}: {bad}");
        }
        assert!(with(&format!("{acme}organisation = \"Acme\"")).is_err(), "a name that anybody can give an organisation was taken");
    }

    #[test]
    fn an_unknown_key_is_an_error_and_not_ignored() {
        assert!(matches!(check(&format!("colour = 1\n{PRODUCTION}")), Err(ConfigError::Form { .. })));
    }

    #[test]
    fn a_provider_knows_us_by_a_secret_or_by_our_document_and_not_by_both() {
        let provider = |more: &str| check(&format!("{PRODUCTION}\n[[providers]]\nname = \"p\"\nurl = \"https://p.example/\"\n{more}"));
        provider("client_document = true").unwrap();
        provider("signing_secret_file = \"s\"").unwrap();
        for bad in ["", "client_document = false", "client_document = true\nsigning_secret_file = \"s\""] {
            let refused = provider(bad).unwrap_err();
            assert!(matches!(&refused, ConfigError::ProviderIdentity { name } if name.as_str() == "p"), "{bad}: {refused}");
        }
    }

    #[test]
    fn a_name_that_comes_twice_and_a_provider_that_is_never_reached_are_refused_at_once() {
        let provider = |url: &str| format!("[[providers]]\nname = \"p\"\nurl = \"{url}\"\nsigning_secret_file = \"s\"\n");
        let twice = check(&format!("{PRODUCTION}\n{}{}", provider("https://p.example/"), provider("https://p.example/"))).unwrap_err();
        assert!(matches!(&twice, ConfigError::Twice { list: "providers", name } if name == "p"), "{twice}");
        for url in ["http://p.example/", "ftp://p.example/", "https://10.0.0.1/", "https://p.example/?y"] {
            let error = check(&format!("{PRODUCTION}\n{}", provider(url))).unwrap_err();
            assert!(matches!(error, ConfigError::ProviderUrl { .. }), "{url}: {error}");
        }
        check(&format!("fetch_allow = [\"10.0.0.1:80\"]\n{PRODUCTION}\n{}", provider("http://10.0.0.1/"))).unwrap();
    }

    #[test]
    fn a_folder_of_keys_that_others_can_enter_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let text = PRODUCTION.replace("/etc/purser/keys", folder.path().to_str().unwrap());
        let mode = |mode| std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        mode(0o755);
        assert!(matches!(check(&text).unwrap_err(), ConfigError::OpenKeys { .. }));
        mode(0o700);
        check(&text).unwrap();
    }
}
