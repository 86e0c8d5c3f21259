//! Whoever keeps the names of a suffix.
//!
//! Every order carries a client transaction id. A registry answers an order that it has already carried out with the same success, so
//! that an order whose answer was lost can be repeated.

pub mod epp;

use std::future::Future;
use std::pin::Pin;

use purser_values::id::DomainId;
use purser_values::name::{DomainName, HostName};
use purser_values::{Currency, Money, Secret, Timestamp};
use serde::{Deserialize, Serialize};

/// What a year of a name costs at the sandbox's registry: the price of a common suffix, so that sandbox bills look like real ones.
pub const YEARLY: Money = Money::from_minor(9_15, Currency::USD);

/// A boxed future, so that the trait can be used as an object.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, RegistryError>> + Send + 'a>>;

/// A registry.
pub trait Registry: Send + Sync + 'static {
    /// The suffixes under which names can be registered, without a leading dot.
    fn suffixes(&self) -> &[String];

    /// Whether a name can be registered, and what a year costs.
    fn check<'a>(&'a self, name: &'a DomainName) -> Pending<'a, Availability>;

    /// The same for several names at once, in their order.
    fn check_all<'a>(&'a self, names: &'a [DomainName]) -> Pending<'a, Vec<Availability>>;

    /// Registers a name. Repeating an order is answered like the first time.
    fn register<'a>(&'a self, order: &'a Order) -> Pending<'a, Registration>;

    /// Renews a name from the end that the order names. One that was renewed from there already is answered as it is now.
    fn renew<'a>(&'a self, order: &'a Renewal) -> Pending<'a, Registration>;

    /// What the registry holds under a name.
    fn info<'a>(&'a self, name: &'a DomainName) -> Pending<'a, Option<Registration>>;

    /// Delegates a registered name to other name servers.
    fn set_name_servers<'a>(&'a self, name: &'a DomainName, name_servers: &'a [HostName]) -> Pending<'a, ()>;

    /// Puts these DS records, and no others, beside the delegation.
    fn set_ds<'a>(&'a self, name: &'a DomainName, ds: &'a [Ds]) -> Pending<'a, ()>;

    /// Locks a name against transfers, or lets them be asked for.
    fn set_lock<'a>(&'a self, name: &'a DomainName, locked: bool) -> Pending<'a, ()>;

    /// Takes a name out of the world, or puts it back.
    fn set_hold<'a>(&'a self, name: &'a DomainName, held: bool) -> Pending<'a, ()>;

    /// Answers another registrar that asks for a name. One that was answered already, by whomever, stays answered.
    fn answer_transfer<'a>(&'a self, name: &'a DomainName, agreed: bool) -> Pending<'a, ()>;

    /// The secret with which another registrar asks for a name that this order registered. Whoever knows it can take an unlocked name.
    fn transfer_secret(&self, order: &DomainId) -> Secret<String>;

    /// Names the holder at the registry. Repeating it changes nothing.
    fn set_holder<'a>(&'a self, name: &'a DomainName, holder: &'a Holder) -> Pending<'a, ()>;

    /// Gives a name back. In its first days that frees it at once; later it can be had back for a while.
    fn delete<'a>(&'a self, name: &'a DomainName) -> Pending<'a, ()>;

    /// The oldest message of the registry.
    fn poll(&self) -> Pending<'_, Option<Message>>;

    /// Says that a message was read; saying it twice is saying it once.
    fn acknowledge<'a>(&'a self, id: &'a str) -> Pending<'a, ()>;
}

/// Whether a name can be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// It is free, at the registry's own price for each year.
    Free {
        yearly: Money,
    },
    Taken,
    /// The registry sells it at a special price; nobody pays that by accident.
    Premium {
        yearly: Money,
    },
}

/// An order for one exact name.
#[derive(Clone, Debug)]
pub struct Order {
    /// By this the registry knows a repeated order.
    pub transaction: DomainId,
    pub name: DomainName,
    pub years: u32,
    /// What all years cost when it was asked; at another price the registry is to refuse.
    pub price: Money,
    pub name_servers: Vec<HostName>,
    /// Whom it is registered for, where the registry wants to know.
    pub holder: Option<Holder>,
}

/// An order for more years of a registered name.
#[derive(Clone, Debug)]
pub struct Renewal {
    pub name: DomainName,
    /// When it ends as far as we know: an order that was carried out does not find that end again.
    pub from: Timestamp,
    pub years: u32,
    /// What the years cost where that is a special price: the registry renews at this price or not at all.
    pub price: Option<Money>,
}

/// A registered name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    pub registered_at: Timestamp,
    pub expires_at: Timestamp,
    pub name_servers: Vec<HostName>,
    /// Whether it is locked against transfers.
    pub locked: bool,
    /// Whether its registrar took it out of the world.
    pub held: bool,
    pub ds: Vec<Ds>,
    /// Whether it was deleted and can still be had back.
    pub deleted: bool,
}

/// A DS record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ds {
    pub key_tag: u16,
    pub algorithm: u8,
    pub digest_type: u8,
    /// In upper-case hexadecimal digits.
    pub digest: String,
}

/// Who holds a name. Personal data: sealed where it is kept, and never logged.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holder {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    pub email: String,
    /// As `+1.5551234`.
    pub phone: String,
    pub street: String,
    pub city: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    pub postal_code: String,
    /// Two letters of ISO 3166-1.
    pub country: String,
}

impl std::fmt::Debug for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Holder(…)")
    }
}

/// Something that a registry says by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub id: String,
    pub text: String,
    /// The names that it speaks of, ours or not.
    pub about: Vec<DomainName>,
    /// Whether it says that another registrar asks for a name.
    pub transfer_asked: bool,
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
