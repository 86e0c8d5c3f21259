//! `slipway registry`: a registry of domain names alone, for whoever wants to try a registrar against one.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use purser_http::log::{LogFormat, announce};
use purser_values::Env;
use slipway_registry::config::{Config, ConfigError};
use slipway_registry::serve;
use tokio::net::TcpListener;

#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error("cannot read `{path}`: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("`{path}` is no configuration of a registry: {source}")]
    Form { path: PathBuf, source: Box<toml::de::Error> },
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("cannot listen on `{addr}`: {source}")]
    Listen { addr: SocketAddr, source: io::Error },
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Serves until `stop` is ready.
///
/// # Errors
/// When the registry does not start.
pub async fn run(file: &Path, stop: impl Future<Output = ()> + Send) -> Result<(), RegistryError> {
    let text = std::fs::read_to_string(file).map_err(|source| RegistryError::File { path: file.to_owned(), source })?;
    let form = |e| RegistryError::Form { path: file.to_owned(), source: Box::new(e) };
    let config: Config = toml::from_str(&text).map_err(form)?;
    let env = Env::system();
    let listener = TcpListener::bind(config.listen).await.map_err(|source| RegistryError::Listen { addr: config.listen, source })?;
    let (registry, tls) = config.open(&env).await?;
    let addr = listener.local_addr()?.to_string();
    // The contract with whoever supervises us: one line, when it answers.
    announce(LogFormat::default(), env.now(), &format!("ready {addr}"), "ready", &[("epp", addr.clone())]);
    serve::listen(registry, listener, tls, stop).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_example_is_usable() {
        let example = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples/registry.toml"));
        let config: Config = toml::from_str(example).unwrap();
        assert_eq!((config.zones.as_slice(), config.registrars.len()), (&["test".to_owned()][..], 1));
    }
}
