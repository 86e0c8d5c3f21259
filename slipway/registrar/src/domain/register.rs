//! `domain_register`: buy one exact name, once.
//!
//! The intent is recorded under the request's id, then the registry is asked, then the outcome is recorded. Whoever repeats the
//! request after a crash walks the same three steps: a recorded intent is found, a repeated order gets its first answer, and
//! an outcome stays as it is.

use purser_db::{DbError, Tx};
use purser_values::error::{Kind, PublicError};
use purser_values::id::{CloudAccountId, CloudResourceId, DomainId};
use purser_values::name::DomainName;
use purser_values::{Money, Timestamp};

use crate::contact::{ContactError, contact_open};
use crate::domain::quote::{QuoteError, again, domain_quote};
use crate::domain::{Domain, MAX_YEARS, Refusal, State, refusal};
use crate::registrar::Registrar;
use crate::registry::{Holder, Order};
use crate::store;

/// What to register, for whom, and what was paid for it.
#[derive(Clone, Debug)]
pub struct Register {
    pub account: CloudAccountId,
    /// Repeating a request has no second effect.
    pub request: CloudResourceId,
    pub name: DomainName,
    pub years: u32,
    pub price: Money,
    /// Whether the buyer stated that price: then it may be a special one, and it is that price or none.
    pub stated: bool,
}

/// Why a name was not registered.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("the price of the name is {now}, not {paid}")]
    PriceChanged { now: Money, paid: Money },
    #[error("the request was used for another domain")]
    Conflict,
    #[error("a name is registered for 1 to {MAX_YEARS} years")]
    Years,
    /// The intent is kept: the same request must be repeated, and never another in its place.
    #[error("the registry gives no answer: {0}")]
    Unavailable(String),
    #[error(transparent)]
    Store(#[from] DbError),
}

impl RegisterError {
    /// Whether nothing was bought and nothing is left open, so that the payment can be released.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        !matches!(self, Self::Unavailable(_) | Self::Store(_))
    }
}

impl PublicError for RegisterError {
    fn code(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.code(),
            Self::PriceChanged { .. } => "domain_price_changed",
            Self::Conflict => "domain_conflict",
            Self::Years => "domain_years_invalid",
            Self::Unavailable(_) => "registry_unavailable",
            Self::Store(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::Refused(refusal) => refusal.kind(),
            Self::PriceChanged { .. } | Self::Conflict => Kind::Conflict,
            Self::Years => Kind::Invalid,
            Self::Unavailable(_) => Kind::Unavailable,
            Self::Store(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Refused(refusal) => refusal.hint(),
            Self::PriceChanged { .. } => Some("ask for a new quote".to_owned()),
            Self::Conflict => Some("use a new request".to_owned()),
            Self::Years => Some(format!("ask for 1 to {MAX_YEARS} years")),
            Self::Unavailable(_) => Some("repeat the same request later".to_owned()),
            Self::Store(e) => e.hint(),
        }
    }
}

impl From<QuoteError> for RegisterError {
    fn from(e: QuoteError) -> Self {
        match e {
            QuoteError::Refused(refusal) => Self::Refused(refusal),
            QuoteError::Premium(_) => Self::Refused(Refusal::Premium),
            QuoteError::PriceChanged { now, stated } => Self::PriceChanged { now, paid: stated },
            QuoteError::Years => Self::Years,
            QuoteError::Unavailable(why) => Self::Unavailable(why),
            QuoteError::Store(e) => Self::Store(e),
        }
    }
}

/// # Errors
/// When the name cannot be had ([`RegisterError::is_final`]), or the outcome is open.
pub async fn domain_register(registrar: &Registrar, wanted: Register) -> Result<Domain, RegisterError> {
    let domain = match recorded(registrar, &wanted).await? {
        Some(domain) => domain,
        None => begin(registrar, wanted).await?,
    };
    settle(registrar, domain).await
}

/// The outcome of an earlier try of the same request.
async fn recorded(registrar: &Registrar, wanted: &Register) -> Result<Option<Domain>, RegisterError> {
    let request = wanted.request.clone();
    let found = registrar.db.read(move |tx| store::by_request(tx, &request)).await?;
    match found {
        Some(d) if d.account != wanted.account || d.name != wanted.name => Err(RegisterError::Conflict),
        found => Ok(found),
    }
}

async fn begin(registrar: &Registrar, wanted: Register) -> Result<Domain, RegisterError> {
    let stated = wanted.stated.then_some(wanted.price);
    let quote = domain_quote(registrar, &wanted.account, &wanted.name, wanted.years, stated).await?;
    if quote.price != wanted.price {
        return Err(RegisterError::PriceChanged { now: quote.price, paid: wanted.price });
    }
    let (id, now) = (DomainId::mint(&registrar.env), registrar.env.now());
    let outcome = registrar.db.write(move |tx| intend(tx, &id, &wanted, now)).await;
    match outcome {
        // Somebody else's intent came first.
        Err(RegisterError::Store(DbError::Unique(_))) => Err(Refusal::Taken.into()),
        other => other,
    }
}

fn intend(tx: &mut Tx<'_>, id: &DomainId, wanted: &Register, now: Timestamp) -> Result<Domain, RegisterError> {
    if let Some(first) = store::by_request(tx, &wanted.request)? {
        let same = first.account == wanted.account && first.name == wanted.name;
        return if same { Ok(first) } else { Err(RegisterError::Conflict) };
    }
    match store::live_by_name(tx, &wanted.name)? {
        None if wanted.price.is_positive() => {
            let domain = Domain {
                id: id.clone(),
                account: wanted.account.clone(),
                request: wanted.request.clone(),
                name: wanted.name.clone(),
                years: wanted.years,
                price: wanted.price,
                special: wanted.stated,
                created_at: now,
                state: State::Pending,
            };
            store::insert(tx, &domain)?;
            Ok(domain)
        }
        Some(held) if again(&held, &wanted.account, now) == Some(wanted.price) => Ok(store::reattach(tx, held, &wanted.request)?),
        _ => Err(Refusal::Taken.into()),
    }
}

/// Brings a recorded domain to its outcome.
pub(crate) async fn settle(registrar: &Registrar, domain: Domain) -> Result<Domain, RegisterError> {
    match domain.state {
        State::Pending => {}
        State::Refused(refusal) => return Err(refusal.into()),
        State::Registered { .. } | State::Detached { .. } => return Ok(domain),
        // It was bought by this request and has ended since: nothing is bought a second time.
        State::Ended { .. } => return Err(RegisterError::Conflict),
    }
    let holder = holder(registrar, &domain).await?;
    if registrar.wants_holder && holder.is_none() {
        let (id, outcome) = (domain.id.clone(), State::Refused(Refusal::NoHolder));
        registrar.db.write(move |tx| store::settle(tx, &id, &outcome)).await?;
        return Err(Refusal::NoHolder.into());
    }
    let order = Order {
        holder,
        transaction: domain.id.clone(),
        name: domain.name.clone(),
        years: domain.years,
        price: domain.price,
        name_servers: registrar.name_servers.to_vec(),
    };
    let outcome = match registrar.registry.register(&order).await {
        Ok(done) => State::Registered { registered_at: done.registered_at, expires_at: done.expires_at },
        Err(e) => State::Refused(refusal(e).map_err(RegisterError::Unavailable)?),
    };
    let settled = registrar.db.write(move |tx| store::settle(tx, &domain.id, &outcome)).await?;
    match settled.state {
        State::Refused(refusal) => Err(refusal.into()),
        _ => Ok(settled),
    }
}

/// Whom the name is registered for, where the registry wants to know. It cannot be erased while the outcome is open.
async fn holder(registrar: &Registrar, domain: &Domain) -> Result<Option<Holder>, RegisterError> {
    if !registrar.wants_holder {
        return Ok(None);
    }
    let (keyring, account) = (registrar.keyring.clone(), domain.account.clone());
    let opened = registrar.db.read(move |tx| contact_open(tx, &keyring, &account)).await;
    opened.map_err(|e| match e {
        ContactError::Store(e) => e.into(),
        e => RegisterError::Store(DbError::Corrupt(e.to_string())),
    })
}
