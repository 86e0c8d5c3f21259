//! The file as it is written: every key that exists, and nothing checked but its form.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use purser_http::log::LogFormat;
use purser_http::peer::TrustedProxies;
use purser_notify::MailConfig;
use purser_values::Sha256Digest;
use purser_values::name::HostName;
use serde::Deserialize;
use slipway_billing::credit::programme::OfferConfig;
use url::Url;

use super::acme::Acme;
use super::{Certificate, Objects, Profile, RegistryTable};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub profile: Profile,
    pub listen_api: SocketAddr,
    pub listen_edge_https: SocketAddr,
    pub listen_edge_http: SocketAddr,
    pub listen_dns: SocketAddr,
    pub database: String,
    pub data: PathBuf,
    pub workerd: PathBuf,
    pub keys: PathBuf,
    #[serde(default)]
    pub public_api_url: Option<Url>,
    #[serde(default)]
    pub domain_suffix: Option<HostName>,
    #[serde(default)]
    pub name_servers: Vec<HostName>,
    #[serde(default)]
    pub edge_addresses: Vec<IpAddr>,
    #[serde(default)]
    pub dns_secondaries: Vec<SocketAddr>,
    pub orchestrator: OrchestratorTable,
    #[serde(default)]
    pub mail: Option<MailConfig>,
    #[serde(default)]
    pub trusted_proxies: TrustedProxies,
    #[serde(default)]
    pub sandbox: Option<SandboxTable>,
    #[serde(default)]
    pub certificate: Option<Certificate>,
    #[serde(default)]
    pub acme: Option<Acme>,
    #[serde(default)]
    pub registry: Option<RegistryTable>,
    #[serde(default)]
    pub objects: Option<Objects>,
    #[serde(default)]
    pub log: LogFormat,
    #[serde(default)]
    pub credits: Vec<OfferConfig>,
    #[serde(default)]
    pub requests_per_s: Option<u32>,
    #[serde(default)]
    pub pace: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OrchestratorTable {
    pub url: Url,
    #[serde(default)]
    pub callback_url: Option<Url>,
    pub signing_secret_file: PathBuf,
    #[serde(default = "yes")]
    pub require_v2: bool,
    #[serde(default = "yes")]
    pub require_assertion: bool,
}

const fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SandboxTable {
    #[serde(default)]
    pub registry: bool,
    /// Whether the sandbox's registry wants to know for whom a name is registered, as others do.
    #[serde(default)]
    pub contacts: bool,
    #[serde(default)]
    pub local_ca: bool,
    /// The digest of a secret that `purser up --unconfined` makes at each start and hands over on standard input: with it, Workers
    /// run without a jail where none can be built.
    #[serde(default)]
    pub unconfined_sha256: Option<Sha256Digest>,
}
