//! Whoever keeps the names of a suffix.
//!
//! Every order carries a client transaction id. A registry answers an order that it has already carried out with the same success, so
//! that an order whose answer was lost can be repeated.

pub mod sandbox;

use std::future::Future;
use std::pin::Pin;

use purser_values::id::DomainId;
use purser_values::name::{DomainName, HostName};
use purser_values::{Money, Timestamp};

/// A boxed future, so that the trait can be used as an object.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, RegistryError>> + Send + 'a>>;

/// A registry.
pub trait Registry: Send + Sync + 'static {
    /// The suffixes under which names can be registered, without a leading dot.
    fn suffixes(&self) -> &[&'static str];

    /// Whether a name can be registered, and what a year costs.
    fn check<'a>(&'a self, name: &'a DomainName) -> Pending<'a, Availability>;

    /// Registers a name. Repeating an order is answered like the first time.
    fn register<'a>(&'a self, order: &'a Order) -> Pending<'a, Registration>;

    /// Renews a name from the end that the order names. One that was renewed from there already is answered as it is now.
    fn renew<'a>(&'a self, order: &'a Renewal) -> Pending<'a, Registration>;

    /// What the registry holds under a name.
    fn info<'a>(&'a self, name: &'a DomainName) -> Pending<'a, Option<Registration>>;

    /// Delegates a registered name to other name servers.
    fn set_name_servers<'a>(&'a self, name: &'a DomainName, name_servers: &'a [HostName]) -> Pending<'a, ()>;
}

/// Whether a name can be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// It is free, at the registry's own price for each year.
    Free {
        yearly: Money,
    },
    Taken,
    /// The registry sells it at a special price; we never buy those.
    Premium,
}

/// An order for one exact name.
#[derive(Clone, Debug)]
pub struct Order {
    /// By this the registry knows a repeated order.
    pub transaction: DomainId,
    pub name: DomainName,
    pub years: u32,
    pub name_servers: Vec<HostName>,
}

/// An order for more years of a registered name.
#[derive(Clone, Debug)]
pub struct Renewal {
    pub name: DomainName,
    /// When it ends as far as we know: an order that was carried out does not find that end again.
    pub from: Timestamp,
    pub years: u32,
}

/// A registered name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    pub registered_at: Timestamp,
    pub expires_at: Timestamp,
    pub name_servers: Vec<HostName>,
}

/// Why a registry said no.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    #[error("the name is taken")]
    Taken,
    #[error("the name has a special price")]
    Premium,
    #[error("the registry refuses the order: {0}")]
    Invalid(String),
    #[error("the registry does not keep names below this suffix")]
    UnsupportedSuffix,
    /// Nothing is known of the outcome: the same order must be repeated.
    #[error("the registry cannot be reached: {0}")]
    Transient(String),
}
