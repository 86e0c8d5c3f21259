//! The names and addresses under which the world reaches what is hosted here.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use purser_values::name::{HostName, ParseNameError};

use super::file::File;
use super::{ConfigError, Profile};

/// Name servers of the sandbox. They lie below a name that nobody can register.
const SANDBOX_SERVERS: [&str; 2] = ["ns1.slipway.test", "ns2.slipway.test"];
/// The common domain of the sandbox.
const SANDBOX_SUFFIX: &str = "workers.slipway.test";

/// What zones and Workers are published under.
#[derive(Clone, Debug)]
pub struct Names {
    /// The common domain of Workers: `{script}.{subdomain}.` before it. Without one, Workers have their own domains only.
    pub suffix: Option<HostName>,
    /// The name servers of every zone, the primary one first.
    pub servers: Vec<HostName>,
    /// Where the edge is reached from outside: what the records of connected host names say.
    pub edge: Vec<IpAddr>,
    /// Name servers of others that take whole zones from ours and are told of changes.
    pub secondaries: Vec<SocketAddr>,
}

impl Names {
    /// What holds in the sandbox where the file says nothing: everything is on this machine.
    ///
    /// # Errors
    /// Never: the names are constants.
    pub fn sandbox() -> Result<Self, ParseNameError> {
        let servers = SANDBOX_SERVERS.iter().map(|name| name.parse()).collect::<Result<_, _>>()?;
        Ok(Self { suffix: Some(SANDBOX_SUFFIX.parse()?), servers, edge: vec![Ipv4Addr::LOCALHOST.into()], secondaries: Vec::new() })
    }

    /// # Errors
    /// When production does not say where it is reached, or says an address that nobody can reach.
    pub(super) fn of(file: &File) -> Result<Self, ConfigError> {
        let sandbox = file.profile == Profile::Sandbox;
        let mut names = Self {
            suffix: file.domain_suffix.clone(),
            servers: file.name_servers.clone(),
            edge: file.edge_addresses.clone(),
            secondaries: file.dns_secondaries.clone(),
        };
        if sandbox {
            let usual = Self::sandbox()?;
            names.suffix = names.suffix.or(usual.suffix);
            names.servers = if names.servers.is_empty() { usual.servers } else { names.servers };
            names.edge = if names.edge.is_empty() { usual.edge } else { names.edge };
        }
        if names.servers.is_empty() {
            return Err(ConfigError::Missing("name_servers"));
        }
        if names.edge.is_empty() {
            return Err(ConfigError::Missing("edge_addresses"));
        }
        let unreachable = names.edge.iter().find(|ip| ip.is_unspecified() || (!sandbox && ip.is_loopback()));
        unreachable.map_or(Ok(()), |ip| Err(ConfigError::EdgeAddress(*ip)))?;
        Ok(names)
    }
}
