//! `resource_create`: from an order to something that works, through crashes.
//!
//! 1. One write records the order, accepts the quote and records the intent to charge. What costs nothing is complete with it.
//! 2. The orchestrator is asked for the money, under the charge's own key.
//! 3. One write records the outcome of the charge and, when it was paid, what was bought.
//!
//! A domain has a step in between, in which the registry is asked. Whoever repeats the order, or finds it open after a restart,
//! walks the same steps: each one is idempotent, so nothing is paid or bought twice.

use http::StatusCode;
use purser_crypto::seal::SealError;
use purser_db::{DbError, Tx};
use purser_provider::{AccountCall, Answer, ProviderError};
use purser_values::id::{CloudAccountId, CloudLinkId, QuoteId};
use purser_values::{Env, Money, Secret};
use purser_wire::catalog::Period;
use purser_wire::error::code;
use purser_wire::quote::{Quote, QuoteRequest};
use purser_wire::resource::{CreateResource, PaymentCredentials, ResourceEnvelope};
use slipway_accounts::charge::{ChargeLine, charge_begin, seal_purpose};
use slipway_accounts::quote::{QuoteAcceptError, quote_accept, quote_put};
use slipway_accounts::resource::begin::{Begun, Order, ResourceBeginError, resource_begin};
use slipway_accounts::resource::end::resource_complete;
use slipway_accounts::resource::get::resource_get;
use slipway_accounts::resource::{Resource, ResourceState};
use slipway_accounts::service::Service;
use slipway_accounts::subscription::subscription_start;
use slipway_accounts::suspension::orchestrator_of;
use slipway_accounts::token::Permissions;
use slipway_accounts::token::mint::{TokenOrder, token_mint};
use slipway_accounts::token::revoke::token_revoke;
use slipway_billing::credit::spend;
use slipway_registrar::contact::contact_put;
use slipway_registrar::registry::Holder;

use super::contact::{self, Contact};
use super::{charge, quote, refusal, resource};
use crate::abuse::judge::{self, Refused};
use crate::billing;
use crate::cloud::{Cloud, Shared};

/// Longest name of a grant that is kept as a mark.
const GRANT_CHARS: usize = 128;

/// Takes an order and carries it out, as far as it goes.
pub async fn create(cloud: &Shared, account: CloudAccountId, call: &AccountCall, request: CreateResource) -> Answer<ResourceEnvelope> {
    let id = request.service_id.as_str();
    let service: Service = id.parse().map_err(|_| ProviderError::unknown_service(id))?;
    let claim = match service {
        Service::Domain => Some(format!("domain/{}", quote::domain_of(&request.configuration)?)),
        Service::Free | Service::Paid | Service::Workers => None,
    };
    // over another link, or for another organisation, the same key is another order
    let link = super::link_of(call)?;
    let key = call.idempotency_key.as_ref().map(|key| match &link {
        Some(link) => format!("{link}/{key}"),
        None => key.as_str().to_owned(),
    });
    let holder = match contact::wanted(cloud, &account, service, &request, key.as_deref()).await? {
        Contact::Missing(envelope) => return Ok(envelope),
        Contact::Given(holder) => Some(holder),
        Contact::Kept => None,
    };
    let payment = Payment::of(cloud, &account, service, &request, key.as_deref()).await?;
    let order = Order {
        account,
        link,
        service,
        grant: request.agent.as_ref().and_then(|agent| agent.grant.clone()).filter(|grant| grant.len() <= GRANT_CHARS),
        agent: request.agent.map(|agent| agent.id),
        configuration: request.configuration,
        orchestrator_resource: request.orchestrator_resource_id.map(String::from),
        project: request.project_id.map(String::from),
        environment: request.environment,
        quote: payment.quote.clone(),
        key,
        claim,
    };
    let (within, ordering) = (cloud.clone(), order.account.clone());
    let begun = cloud.db.write(move |tx| begin(tx, &within, &order, &payment, holder.as_ref())).await;
    let (resource, token) = match begun {
        Ok(begun) => begun,
        // what is too much at once is held, now that the order is undone
        Err(BeginError::Abuse(e)) => return Err(refusal::abuse(&judge::hold(cloud, (&ordering).into(), e).await)),
        Err(e) => return Err(e.refusal()),
    };
    match &resource.state {
        ResourceState::Pending => drive(cloud, resource).await,
        _ => resource::render(cloud, &resource, token).await,
    }
}

/// What an order says about money.
#[derive(Clone)]
struct Payment {
    quote: Option<QuoteId>,
    /// A quote that we made ourselves, because the order brought none.
    made: Option<Quote>,
    request: QuoteRequest,
    token: Option<Secret<String>>,
}

impl Payment {
    async fn of(cloud: &Cloud, account: &CloudAccountId, service: Service, request: &CreateResource, key: Option<&str>) -> Answer<Self> {
        let asked = QuoteRequest {
            service_id: request.service_id.clone(),
            configuration: request.configuration.clone(),
            project_id: request.project_id.clone(),
            resource_id: None,
            parties: None,
        };
        let token = request.payment_credentials.as_ref().and_then(PaymentCredentials::token).cloned();
        let mismatch = || ProviderError::new(StatusCode::BAD_REQUEST, code::QUOTE_MISMATCH, "there is no such quote; ask for one");
        if let Some(id) = &request.quote_id {
            let id = id.as_str().parse().map_err(|_| mismatch())?;
            return Ok(Self { quote: Some(id), made: None, request: asked, token });
        }
        let free = matches!(service, Service::Free | Service::Workers);
        if free || begun_before(cloud, account, key).await? {
            return Ok(Self { quote: None, made: None, request: asked, token });
        }
        // An orchestrator that knows no quotes pays the price of this moment; its payment token's own limit guards the payer.
        let made = quote::make(cloud, account, &asked).await?;
        let id = made.id.as_str().parse().map_err(|_| mismatch())?;
        Ok(Self { quote: Some(id), made: Some(made), request: asked, token })
    }
}

/// Whether this is a repeat: then what it costs is settled already, and the name that it bought is taken by now.
pub(super) async fn begun_before(cloud: &Cloud, account: &CloudAccountId, key: Option<&str>) -> Answer<bool> {
    let Some(key) = key.map(str::to_owned) else { return Ok(false) };
    let account = account.clone();
    let found = cloud.db.read(move |tx| slipway_accounts::resource::get::resource_by_key(tx, &account, &key)).await;
    Ok(found.map_err(|e| refusal::store(&e))?.is_some())
}

enum BeginError {
    Order(ResourceBeginError),
    Quote(QuoteAcceptError),
    Abuse(Refused),
    PaymentNeeded,
    CreditChanged,
    Seal(SealError),
    Store(DbError),
}

impl From<DbError> for BeginError {
    fn from(e: DbError) -> Self {
        Self::Store(e)
    }
}

impl BeginError {
    fn refusal(&self) -> ProviderError {
        match self {
            Self::Order(e) => refusal::begin(e),
            Self::Quote(e) => refusal::quote(e),
            Self::Abuse(e) => refusal::abuse(e),
            Self::PaymentNeeded => ProviderError::requires_payment(),
            Self::CreditChanged => {
                let message = "the credit does not cover what the quote says any more; ask for a new quote";
                ProviderError::new(StatusCode::CONFLICT, code::CREDIT_CHANGED, message)
            }
            Self::Seal(e) => ProviderError::internal(e),
            Self::Store(e) => refusal::store(e),
        }
    }
}

/// The first write. The token of an order that costs nothing comes with it.
fn begin(
    tx: &mut Tx<'_>,
    cloud: &Cloud,
    order: &Order,
    payment: &Payment,
    holder: Option<&Holder>,
) -> Result<(Resource, Option<Secret<String>>), BeginError> {
    let Begun { mut resource, is_new } = resource_begin(tx, &cloud.env, order).map_err(BeginError::Order)?;
    if is_new {
        let issuer = orchestrator_of(tx, &resource.account, order.link.as_ref())?;
        judge::domain_order(tx, cloud, &issuer, order).map_err(BeginError::Abuse)?;
        accept(tx, cloud, &resource, payment)?;
        if let Some(holder) = holder {
            contact_put(tx, &cloud.env, &cloud.keyring, &resource.account, holder)?;
        }
        if let Some(now) = resource_get(tx, &resource.account, &resource.id)? {
            resource = now;
        }
    }
    match (resource.service, &resource.state) {
        (Service::Free, ResourceState::Pending) => {
            if let Some(price) = resource.service.monthly() {
                subscription_start(tx, &cloud.env, &resource, price)?;
                billing::free(tx, &cloud.env, &resource)?;
            }
            complete(tx, cloud, &mut resource)?;
            Ok((resource, None))
        }
        (Service::Workers, ResourceState::Pending) => {
            complete(tx, cloud, &mut resource)?;
            let token = mint(tx, &cloud.env, &resource, order.link.as_ref())?;
            Ok((resource, Some(token)))
        }
        // The order was carried out and its answer was lost before anybody had it: the token is replaced.
        (Service::Workers, ResourceState::Complete) => {
            token_revoke(tx, &resource.id, cloud.env.now())?;
            let token = mint(tx, &cloud.env, &resource, order.link.as_ref())?;
            Ok((resource, Some(token)))
        }
        _ => Ok((resource, None)),
    }
}

fn accept(tx: &mut Tx<'_>, cloud: &Cloud, resource: &Resource, payment: &Payment) -> Result<(), BeginError> {
    let Some(id) = &payment.quote else { return Ok(()) };
    let (env, account) = (&cloud.env, &resource.account);
    if let Some(made) = &payment.made {
        quote_put(tx, account, &payment.request, made)?;
    }
    let accepted = quote_accept(tx, account, id, &payment.request, &resource.id, env.now()).map_err(BeginError::Quote)?;
    for line in accepted.lines.iter().filter(|line| line.amount.is_positive()) {
        // What a credit pays in whole and comes once needs no token; what comes again will.
        let token = payment.token.as_ref();
        if token.is_none() && (line.charged().is_positive() || line.period != Period::Once) {
            return Err(BeginError::PaymentNeeded);
        }
        let sealed = token.map(|token| cloud.keyring.seal(env, &seal_purpose(&resource.id), token.expose().as_bytes()));
        let sealed = sealed.transpose().map_err(BeginError::Seal)?.unwrap_or_default();
        let period = if line.period == Period::Month { env.now().month().to_string() } else { String::new() };
        let quoted = line;
        let line = ChargeLine {
            resource: &resource.id,
            quote: accepted.id.as_str(),
            line: line.id.as_str(),
            period: &period,
            amount: quoted.charged(),
            payment_token: &sealed,
        };
        let charge = charge_begin(tx, env, &line)?;
        if quoted.credit_minor > 0 {
            let by_credit = Money::from_minor(quoted.credit_minor, quoted.amount.currency());
            let held = spend::hold(tx, env, account, &quote::cover(resource.service), charge.id.as_str(), by_credit)?;
            // The payer agreed to the rest and to no more.
            if held != by_credit {
                return Err(BeginError::CreditChanged);
            }
        }
        if charge.amount.is_zero() {
            charge::paid_by_credit(tx, env, resource, &charge)?;
        }
    }
    Ok(())
}

fn complete(tx: &mut Tx<'_>, cloud: &Cloud, resource: &mut Resource) -> Result<(), DbError> {
    resource_complete(tx, &resource.id, cloud.env.now())?;
    resource.state = ResourceState::Complete;
    Ok(())
}

/// A token of the resource, for its agent. Never for tokens, members or billing: there is no such permission.
pub fn mint(tx: &mut Tx<'_>, env: &Env, resource: &Resource, link: Option<&CloudLinkId>) -> Result<Secret<String>, DbError> {
    let agent = resource.agent.as_ref();
    let order = TokenOrder { account: &resource.account, link, agent, resource: &resource.id, permissions: Permissions::ALL };
    token_mint(tx, env, &order)
}

/// Carries a recorded order to its end: pay, buy, record.
pub async fn drive(cloud: &Shared, resource: Resource) -> Answer<ResourceEnvelope> {
    charge::collect(cloud, &resource).await?;
    if resource.service == Service::Domain {
        crate::domain::buy(cloud, &resource).await?;
    }
    resource::get(cloud, resource.account, resource.id).await
}
