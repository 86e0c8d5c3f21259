//! The sandbox registry: keeps `.test` (RFC 6761) in tables of its own, beside those of the registrar, as another party would.
//!
//! Some names behave specially, so that every path can be walked: `taken.test` is taken, `premium.test` and names of one or two
//! characters have a special price, `unavailable.test` never gets an answer, names that begin with `sniped` are free when asked for and
//! taken when ordered, and `slipway.test` belongs to the name servers.

use purser_db::{Db, DbError, Migrations, Tx, params};
use purser_values::name::{DomainName, HostName};
use purser_values::{Currency, Env, Money};

use crate::registry::{Availability, Order, Pending, Registration, Registry, RegistryError, Renewal};

/// The registry's tables.
pub const MIGRATIONS: Migrations = Migrations {
    domain: "sandbox_registry",
    steps: &["create table registry_domain (
        name {text} primary key,
        order_id {text} not null unique,
        years {int} not null,
        name_servers {text} not null,
        registered_at {int} not null,
        expires_at {int} not null
    ){strict};"],
};

/// What a year of a `.test` name costs: the price of a common suffix, so that sandbox bills look like real ones.
pub const YEARLY: Money = Money::from_minor(9_15, Currency::USD);

const SUFFIX: &str = "test";
/// How the names begin that somebody else takes between the question and the order.
const SNIPED: &str = "sniped";

/// The registry of `.test`.
#[derive(Clone)]
pub struct SandboxRegistry {
    db: Db,
    env: Env,
}

impl SandboxRegistry {
    #[must_use]
    pub const fn new(db: Db, env: Env) -> Self {
        Self { db, env }
    }
}

impl Registry for SandboxRegistry {
    fn suffixes(&self) -> &[&'static str] {
        &[SUFFIX]
    }

    fn check<'a>(&'a self, name: &'a DomainName) -> Pending<'a, Availability> {
        Box::pin(async move {
            match special(name) {
                Err(RegistryError::Taken) => return Ok(Availability::Taken),
                Err(RegistryError::Premium) => return Ok(Availability::Premium),
                other => other?,
            }
            let wanted = name.clone();
            let found = self.db.read(move |tx| find(tx, &wanted)).await?;
            Ok(found.map_or(Availability::Free { yearly: YEARLY }, |_| Availability::Taken))
        })
    }

    fn register<'a>(&'a self, order: &'a Order) -> Pending<'a, Registration> {
        Box::pin(async move {
            special(&order.name)?;
            if order.name.as_str().starts_with(SNIPED) {
                return Err(RegistryError::Taken);
            }
            let (order, now) = (order.clone(), self.env.now());
            let months = i32::try_from(order.years).ok().and_then(|years| years.checked_mul(12));
            let months = months.ok_or_else(|| RegistryError::Invalid("too many years".to_owned()))?;
            self.db
                .write(move |tx| {
                    let servers = serde_json::json!(order.name_servers);
                    tx.execute(
                        "insert into registry_domain (name, order_id, years, name_servers, registered_at, expires_at)
                         values ($1, $2, $3, $4, $5, $6) on conflict do nothing",
                        params![order.name, order.transaction, order.years, servers, now, now.plus_months(months)],
                    )?;
                    match find(tx, &order.name)? {
                        Some((owner, registration)) if owner == order.transaction.as_str() => Ok(registration),
                        Some(_) => Err(Failure::Said(RegistryError::Taken)),
                        None => Err(Failure::Said(RegistryError::Invalid("the order id was used for another name".to_owned()))),
                    }
                })
                .await
                .map_err(RegistryError::from)
        })
    }

    fn renew<'a>(&'a self, order: &'a Renewal) -> Pending<'a, Registration> {
        Box::pin(async move {
            special(&order.name)?;
            let months = i32::try_from(order.years).ok().and_then(|years| years.checked_mul(12));
            let months = months.ok_or_else(|| RegistryError::Invalid("too many years".to_owned()))?;
            let order = order.clone();
            let renewed = self.db.write(move |tx| {
                let update = "update registry_domain set expires_at = $3 where name = $1 and expires_at = $2";
                tx.execute(update, params![order.name, order.from, order.from.plus_months(months)])?;
                find(tx, &order.name)
            });
            renewed
                .await?
                .map(|(_, registration)| registration)
                .ok_or_else(|| RegistryError::Invalid("the name is not registered".to_owned()))
        })
    }

    fn info<'a>(&'a self, name: &'a DomainName) -> Pending<'a, Option<Registration>> {
        Box::pin(async move {
            special(name)?;
            let wanted = name.clone();
            Ok(self.db.read(move |tx| find(tx, &wanted)).await?.map(|(_, registration)| registration))
        })
    }

    fn set_name_servers<'a>(&'a self, name: &'a DomainName, name_servers: &'a [HostName]) -> Pending<'a, ()> {
        Box::pin(async move {
            special(name)?;
            let (name, servers) = (name.clone(), serde_json::json!(name_servers));
            let changed = self
                .db
                .write(move |tx| tx.execute("update registry_domain set name_servers = $2 where name = $1", params![name, servers]))
                .await?;
            if changed == 1 { Ok(()) } else { Err(RegistryError::Invalid("the name is not registered".to_owned())) }
        })
    }
}

fn special(name: &DomainName) -> Result<(), RegistryError> {
    match name.as_str().split_once('.') {
        Some((_, suffix)) if suffix != SUFFIX => Err(RegistryError::UnsupportedSuffix),
        Some(("taken" | "slipway", _)) => Err(RegistryError::Taken),
        Some((label, _)) if label == "premium" || label.len() <= 2 => Err(RegistryError::Premium),
        Some(("unavailable", _)) => Err(RegistryError::Transient("this name never gets an answer".to_owned())),
        _ => Ok(()),
    }
}

fn find(tx: &mut Tx<'_>, name: &DomainName) -> Result<Option<(String, Registration)>, DbError> {
    let row =
        tx.query_opt("select order_id, name_servers, registered_at, expires_at from registry_domain where name = $1", params![name])?;
    row.map(|row| {
        let registration = Registration {
            registered_at: row.get("registered_at")?,
            expires_at: row.get("expires_at")?,
            name_servers: row.json("name_servers")?,
        };
        Ok((row.get("order_id")?, registration))
    })
    .transpose()
}

enum Failure {
    Said(RegistryError),
    Store(DbError),
}

impl From<DbError> for Failure {
    fn from(e: DbError) -> Self {
        Self::Store(e)
    }
}

impl From<Failure> for RegistryError {
    fn from(e: Failure) -> Self {
        match e {
            Failure::Said(e) => e,
            Failure::Store(e) => e.into(),
        }
    }
}

/// Whatever befell the store, the order's outcome is unknown to whoever asked.
impl From<DbError> for RegistryError {
    fn from(e: DbError) -> Self {
        tracing::error!(error = %e, "the registry's store failed");
        Self::Transient("its store failed".to_owned())
    }
}
