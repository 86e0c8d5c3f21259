//! The address of a PostgreSQL and whether the way to it is encrypted.
//!
//! What libpq calls `prefer` and `allow` let anybody on the way take the encryption away, and its `require` believes any certificate.
//! Here there is encryption with a verified certificate and name, or none: the first for every address of a network unless the operator
//! says `sslmode=disable`, the second for a local socket and the loopback.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Why an address is not taken. It may hold a password, so none of these shows it.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    #[error("the address of PostgreSQL cannot be read: {0}; write `postgres://USER@HOST/NAME`")]
    Unreadable(String),
    #[error(
        "`sslmode={0}` is not taken: `require` (or `verify-full`) encrypts and verifies certificate and name, `disable` does not encrypt"
    )]
    Mode(String),
    #[error("`sslrootcert` names `{file}`, which holds no certificate that can be read: {reason}", file = file.display())]
    Authority { file: PathBuf, reason: String },
    #[error("the way to PostgreSQL cannot be encrypted: {0}")]
    Tls(String),
}

/// An address, and how to reach it.
pub struct Address {
    pub config: Config,
    pub tls: MakeRustlsConnect,
}

impl std::str::FromStr for Address {
    type Err = AddressError;

    fn from_str(url: &str) -> Result<Self, AddressError> {
        let (plain, asked) = take_parameters(url);
        let mut config: Config =
            plain.parse().map_err(|e: tokio_postgres::Error| AddressError::Unreadable(crate::error::source_chain(&e)))?;
        let encrypted = match asked.mode.as_deref() {
            Some("require" | "verify-full") => true,
            Some("disable") => false,
            Some(other) => return Err(AddressError::Mode(other.to_owned())),
            None => !is_local(&config),
        };
        config.ssl_mode(if encrypted { SslMode::Require } else { SslMode::Disable });
        Ok(Self { config, tls: MakeRustlsConnect::new(client(asked.authority.as_deref())?) })
    }
}

/// What the query of an address says of encryption.
#[derive(Default)]
struct Asked {
    mode: Option<String>,
    authority: Option<PathBuf>,
}

/// The address without the parameters that are ours to read: the driver knows no `verify-full` and no `sslrootcert`.
fn take_parameters(url: &str) -> (String, Asked) {
    let mut asked = Asked::default();
    let Some((before, query)) = url.split_once('?') else { return (url.to_owned(), asked) };
    let mut rest = Vec::new();
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some(("sslmode", mode)) => asked.mode = Some(mode.to_owned()),
            Some(("sslrootcert", file)) => asked.authority = Some(PathBuf::from(file.replace("%2F", "/").replace("%2f", "/"))),
            _ => rest.push(pair),
        }
    }
    let plain = if rest.is_empty() { before.to_owned() } else { format!("{before}?{}", rest.join("&")) };
    (plain, asked)
}

/// Whether nothing of the way leaves this machine.
fn is_local(config: &Config) -> bool {
    let host = |host: &Host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => name == "localhost" || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()),
    };
    let addresses = config.get_hostaddrs();
    // an address, where there is one, is where the connection goes; the name is then only what a certificate is compared with
    if addresses.is_empty() { config.get_hosts().iter().all(host) } else { addresses.iter().all(IpAddr::is_loopback) }
}

fn client(authority: Option<&Path>) -> Result<ClientConfig, AddressError> {
    let roots = match authority {
        None => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
        Some(file) => authorities(file)?,
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(builder.map_err(|e| AddressError::Tls(e.to_string()))?.with_root_certificates(roots).with_no_client_auth())
}

fn authorities(file: &Path) -> Result<RootCertStore, AddressError> {
    let bad = |reason: String| AddressError::Authority { file: file.to_owned(), reason };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|e| bad(e.to_string()))? {
        roots.add(certificate.map_err(|e| bad(e.to_string()))?).map_err(|e| bad(e.to_string()))?;
    }
    if roots.is_empty() { Err(bad("it is empty".to_owned())) } else { Ok(roots) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn mode(url: &str) -> SslMode {
        url.parse::<Address>().unwrap_or_else(|e| unreachable!("{url}: {e}")).config.get_ssl_mode()
    }

    #[test]
    fn what_leaves_the_machine_is_encrypted_unless_the_operator_says_otherwise() {
        for local in [
            "postgres://a@localhost/x",
            "postgres://a@127.0.0.1:5433/x",
            "postgres://a@%2Frun%2Fpostgresql/x",
            "postgres://a@db/x?hostaddr=127.0.0.1",
        ] {
            assert_eq!(mode(local), SslMode::Disable, "{local}");
        }
        for remote in
            ["postgres://a@db/x", "postgres://a@10.0.0.7/x", "postgres://a@localhost,db/x", "postgres://a@localhost/x?hostaddr=10.0.0.7"]
        {
            assert_eq!(mode(remote), SslMode::Require, "{remote}");
        }
        assert_eq!(mode("postgres://a@db/x?sslmode=disable"), SslMode::Disable);
        assert_eq!(mode("postgres://a@localhost/x?connect_timeout=3&sslmode=verify-full"), SslMode::Require);
    }

    #[test]
    fn half_ways_are_refused_and_no_refusal_shows_the_password() {
        for bad in [
            "postgres://a:geheim@db/x?sslmode=prefer",
            "postgres://a:geheim@db/x?sslrootcert=/nowhere/ca.pem",
            "postgres://a:geheim@db:port/x",
        ] {
            let said = bad.parse::<Address>().err().unwrap().to_string();
            assert!(!said.contains("geheim"), "{said}");
        }
    }
}
