//! The configuration file of `slipway registry`.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use purser_db::{Db, DbConfig, DbError, Migrations};
use purser_values::{Currency, Env, Money, Secret};
use rcgen::{CertificateParams, KeyPair, SanType};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::Deserialize;

use crate::client::{Client, Pepper};
use crate::registry::Registry;
use crate::rules::{Quirks, Rules};
use crate::{store, tls};

/// As it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub listen: SocketAddr,
    /// `sqlite:PATH` or `postgres://…`.
    pub database: String,
    /// The folder of our keys, and of our own certificate where none is named.
    pub keys: PathBuf,
    /// How the registry calls itself in its greeting.
    pub server: String,
    /// The host name of a certificate that is made here.
    #[serde(default = "host")]
    pub host: String,
    pub zones: Vec<String>,
    #[serde(default = "yearly")]
    pub yearly: String,
    #[serde(default = "premium_yearly")]
    pub premium_yearly: String,
    #[serde(default)]
    pub premium: Vec<String>,
    pub certificate: Option<Certificate>,
    /// Whether a connection without a certificate is refused in the handshake.
    #[serde(default)]
    pub certificate_required: bool,
    #[serde(default, rename = "registrar")]
    pub registrars: Vec<Registrar>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    pub chain: PathBuf,
    pub key: PathBuf,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registrar {
    pub id: String,
    /// Mode 0600; 6 to 16 characters.
    pub password_file: PathBuf,
    /// The PEM file of the only certificate with which it may sign in.
    pub certificate: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot use `{path}`: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("`{0}` is readable by others; run `chmod 600` on it")]
    Open(PathBuf),
    #[error("`{path}` is not the PEM it should be: {why}")]
    Pem { path: PathBuf, why: String },
    #[error("`{0}` cannot be used: {1}")]
    Value(&'static str, String),
    #[error("the database cannot be used: {0}")]
    Store(#[from] DbError),
    #[error("the certificate cannot be used: {0}")]
    Tls(#[from] rustls::Error),
    #[error("no certificate could be made: {0}")]
    Made(#[from] rcgen::Error),
}

fn host() -> String {
    "epp.test".to_owned()
}
fn yearly() -> String {
    "9.15".to_owned()
}
fn premium_yearly() -> String {
    "1500.00".to_owned()
}

const MIGRATIONS: &[Migrations] = &[purser_db::MIGRATIONS, store::MIGRATIONS];
const KEY_FILE: &str = "registry.key";
const CERTIFICATE_FILE: &str = "registry.pem";
/// The key without which kept passwords are worthless.
pub const PEPPER_FILE: &str = "registry-secrets.key";

impl Config {
    /// Opens the registry that it describes, and the TLS of its listener.
    ///
    /// # Errors
    /// When something that is named cannot be used.
    pub async fn open(&self, env: &Env) -> Result<(Registry, Arc<ServerConfig>), ConfigError> {
        let price = |name, text: &str| Money::parse_decimal(text, Currency::USD).map_err(|e| ConfigError::Value(name, e.to_string()));
        if self.zones.is_empty()
            || self.zones.iter().any(|zone| zone.is_empty() || zone.to_ascii_lowercase() != *zone || zone.starts_with('.'))
        {
            return Err(ConfigError::Value("zones", "name suffixes in small letters, without a leading dot".to_owned()));
        }
        if !(3..=64).contains(&self.server.chars().count()) {
            return Err(ConfigError::Value("server", "a name of 3 to 64 characters".to_owned()));
        }
        let rules = Rules {
            server: self.server.clone(),
            zones: self.zones.clone(),
            yearly: price("yearly", &self.yearly)?,
            premium_yearly: price("premium_yearly", &self.premium_yearly)?,
            premium: self.premium.clone(),
            premium_length: 0,
            quirks: Quirks::default(),
        };
        let clients = self.registrars.iter().map(client).collect::<Result<Vec<_>, _>>()?;
        DirBuilder::new().recursive(true).mode(0o700).create(&self.keys).map_err(|source| file(&self.keys, source))?;
        let pepper = Pepper::new(secret_file(&self.keys.join(PEPPER_FILE), env)?);
        let (chain, key) = match &self.certificate {
            Some(own) => (own.chain.clone(), own.key.clone()),
            None => self.own_certificate()?,
        };
        let pem = |path: &Path, e: &dyn std::fmt::Display| ConfigError::Pem { path: path.to_owned(), why: e.to_string() };
        let certificates = CertificateDer::pem_file_iter(&chain).and_then(Iterator::collect).map_err(|e| pem(&chain, &e))?;
        let private = PrivateKeyDer::from_pem_file(&key).map_err(|e| pem(&key, &e))?;
        let tls = tls::server(certificates, private, self.certificate_required)?;
        let database: DbConfig =
            self.database.parse().map_err(|_| ConfigError::Value("database", "`sqlite:PATH` or `postgres://…`".to_owned()))?;
        let db = Db::open(&database).await?;
        db.migrate(env, MIGRATIONS).await?;
        let registry = Registry::new(db, env.clone(), rules, pepper);
        registry.prepare(clients, false, Vec::new()).await?;
        Ok((registry, tls))
    }

    /// A certificate of our own for `host`, made once. Whoever is to trust it is given the file.
    fn own_certificate(&self) -> Result<(PathBuf, PathBuf), ConfigError> {
        let (chain, key) = (self.keys.join(CERTIFICATE_FILE), self.keys.join(KEY_FILE));
        if !chain.exists() {
            let pair = KeyPair::generate()?;
            let mut params = CertificateParams::new(vec![self.host.clone()])?;
            params.subject_alt_names.push(SanType::IpAddress(self.listen.ip()));
            write(&key, pair.serialize_pem().as_bytes(), 0o600)?;
            write(&chain, params.self_signed(&pair)?.pem().as_bytes(), 0o644)?;
        }
        Ok((chain, key))
    }
}

fn client(registrar: &Registrar) -> Result<Client, ConfigError> {
    if !(3..=16).contains(&registrar.id.len()) {
        return Err(ConfigError::Value("registrar.id", "an id has 3 to 16 characters".to_owned()));
    }
    let password = String::from_utf8_lossy(read(&registrar.password_file)?.expose()).trim().to_owned();
    if !(6..=16).contains(&password.chars().count()) {
        return Err(ConfigError::Value("registrar.password_file", "a password has 6 to 16 characters".to_owned()));
    }
    let pinned = registrar.certificate.as_ref().map(|path| {
        let certificate = CertificateDer::from_pem_file(path).map_err(|e| ConfigError::Pem { path: path.clone(), why: e.to_string() })?;
        Ok::<_, ConfigError>(tls::fingerprint(&certificate))
    });
    Ok(Client { id: registrar.id.clone(), password: Secret::new(password), certificate: pinned.transpose()? })
}

/// A secret of 32 bytes in a file of mode 0600, made when it is first asked for.
///
/// # Errors
/// When the file cannot be read or made, or is readable by others.
pub fn secret_file(path: &Path, env: &Env) -> Result<Secret<Vec<u8>>, ConfigError> {
    if !path.exists() {
        write(path, &env.bytes::<32>(), 0o600)?;
    }
    let bytes = read(path)?;
    if bytes.expose().len() < 32 {
        return Err(ConfigError::Value("keys", format!("`{}` is too short to be a key", path.display())));
    }
    Ok(bytes)
}

fn file(path: &Path, source: io::Error) -> ConfigError {
    ConfigError::File { path: path.to_owned(), source }
}

fn read(path: &Path) -> Result<Secret<Vec<u8>>, ConfigError> {
    let mode = fs::metadata(path).map_err(|e| file(path, e))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(ConfigError::Open(path.to_owned()));
    }
    fs::read(path).map(Secret::new).map_err(|e| file(path, e))
}

/// Whole or not at all.
fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), ConfigError> {
    let part = path.with_extension("part");
    let _ = fs::remove_file(&part);
    let mut out = OpenOptions::new().write(true).create_new(true).mode(mode).open(&part).map_err(|e| file(&part, e))?;
    out.write_all(bytes).and_then(|()| out.sync_all()).map_err(|e| file(&part, e))?;
    fs::rename(&part, path).map_err(|e| file(path, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_registry_opens_with_what_it_makes_itself_and_refuses_a_password_that_others_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("password"), "secret-99").unwrap();
        fs::set_permissions(at("password"), fs::Permissions::from_mode(0o600)).unwrap();
        let config = Config {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            database: format!("sqlite:{}", at("registry.db").display()),
            keys: at("keys"),
            server: "Registry".to_owned(),
            host: host(),
            zones: vec!["test".to_owned()],
            yearly: yearly(),
            premium_yearly: premium_yearly(),
            premium: Vec::new(),
            certificate: None,
            certificate_required: false,
            registrars: vec![Registrar { id: "alpha".to_owned(), password_file: at("password"), certificate: None }],
        };
        let env = Env::system();
        for _ in 0..2 {
            config.open(&env).await.unwrap();
        }
        for secret in [KEY_FILE, PEPPER_FILE] {
            assert_eq!(fs::metadata(at("keys").join(secret)).unwrap().permissions().mode() & 0o077, 0, "`{secret}` is readable by others");
        }
        fs::set_permissions(at("password"), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(config.open(&env).await, Err(ConfigError::Open(_))));
        assert!(matches!(Config { zones: vec!["Test".to_owned()], ..config }.open(&env).await, Err(ConfigError::Value("zones", _))));
    }
}
