//! What the use cases share.

use std::sync::Arc;

use purser_crypto::seal::Keyring;
use purser_db::Db;
use purser_values::Env;
use purser_values::name::HostName;

use crate::registry::Registry;

/// The registrar: its database, the registry behind it, and the name servers of every domain it registers.
#[derive(Clone)]
pub struct Registrar {
    pub db: Db,
    pub registry: Arc<dyn Registry>,
    pub env: Env,
    pub name_servers: Arc<[HostName]>,
    /// What the contacts of holders are sealed with.
    pub keyring: Keyring,
    /// Whether the registry wants to know for whom a name is registered.
    pub wants_holder: bool,
}
