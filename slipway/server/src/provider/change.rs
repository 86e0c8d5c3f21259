//! `resource_update`: another plan for an order of one.
//!
//! A dearer plan needs a quote for this resource and a payment token; what is left of the old plan is taken off its price. A cheaper one takes
//! over when the paid month ends.

use http::StatusCode;
use purser_provider::{AccountCall, Answer, ProviderError};
use purser_values::error::PublicError as _;
use purser_values::id::{CloudAccountId, CloudResourceId, QuoteId};
use purser_wire::catalog::Period;
use purser_wire::error::code;
use purser_wire::quote::QuoteRequest;
use purser_wire::resource::{PaymentCredentials, ResourceEnvelope, UpdateResource};
use serde_json::Map;
use slipway_accounts::charge::seal_purpose;
use slipway_accounts::quote::{QuoteAcceptError, quote_accept};
use slipway_accounts::resource::get::resource_get;
use slipway_accounts::resource::{Resource, ResourceState};
use slipway_accounts::service::Service;
use slipway_billing::subscription::cancel::When;
use slipway_billing::subscription::change::{SubscriptionError, subscription_change};
use slipway_billing::subscription::get::subscription_get;
use slipway_billing::subscription::{Subscription, Terms};

use super::{refusal, resource};
use crate::billing::{self, payment, plans};
use crate::cloud::Shared;

/// Changes the plan, or says why not; then the old one goes on.
pub async fn update(cloud: &Shared, call: &AccountCall, id: CloudResourceId, request: UpdateResource) -> Answer<ResourceEnvelope> {
    let account = super::account_of(call)?;
    let found = find(cloud, &account, &id).await?;
    let wanted = request.service_id.as_ref().map_or(found.service.id(), |id| id.as_str());
    let service: Service = wanted.parse().map_err(|_| ProviderError::unknown_service(wanted))?;
    if !found.service.is_plan() || !service.is_plan() || request.configuration.as_ref().is_some_and(|c| !c.is_empty()) {
        return Err(ProviderError::not_supported("updates of anything but the plan"));
    }
    if found.state != ResourceState::Complete {
        return Err(ProviderError::invalid_state("only a resource that works can be changed"));
    }
    if service == found.service {
        return resource::render(cloud, &found, None).await;
    }
    let terms = plans::terms(service, service.id().to_owned());
    let dearer = terms.price.minor() > plans::terms(found.service, String::new()).price.minor();
    if dearer {
        upgrade(cloud, &account, &found, service, terms, &request).await?;
    } else {
        change(cloud, &account, &id, terms, When::PeriodEnd, None).await?;
    }
    resource::get(cloud, account, id).await
}

async fn upgrade(
    cloud: &Shared,
    account: &CloudAccountId,
    found: &Resource,
    service: Service,
    terms: Terms,
    request: &UpdateResource,
) -> Answer<()> {
    let token = request.payment_credentials.as_ref().and_then(PaymentCredentials::token).ok_or_else(ProviderError::requires_payment)?;
    let mismatch = || ProviderError::new(StatusCode::BAD_REQUEST, code::QUOTE_MISMATCH, "ask for a quote of this change, and name it");
    let quote: QuoteId = request.quote_id.as_ref().and_then(|id| id.as_str().parse().ok()).ok_or_else(mismatch)?;
    let asked = QuoteRequest {
        service_id: service.id().parse().map_err(|e: purser_wire::id::ParseWireIdError| ProviderError::internal(&e))?,
        configuration: Map::new(),
        project_id: None,
        resource_id: Some((&found.id).into()),
        parties: None,
    };
    let sealed = cloud.keyring.seal(&cloud.env, &seal_purpose(&found.id), token.expose().as_bytes());
    let sealed = sealed.map_err(|e| ProviderError::internal(&e))?;
    let to = Accepting { quote, asked, sealed };
    change(cloud, account, &found.id, terms, When::Now, Some(to)).await?;
    // The answer says whether it was paid; when nobody answers, the queue goes on with it.
    billing::hurry(cloud, &found.id).await;
    let id = found.id.clone();
    let sub = cloud.db.read(move |tx| subscription_get(tx, &id)).await.map_err(|e| refusal::store(&e))?;
    match sub {
        Some(Subscription { terms, .. }) if terms.plan == service.id() => Ok(()),
        Some(Subscription { change: Some(_), .. }) => {
            Err(ProviderError::unavailable("the change is not paid yet; ask for the resource again", 2))
        }
        _ => Err(ProviderError::payment_declined("the change was not paid; the plan is as it was")),
    }
}

struct Accepting {
    quote: QuoteId,
    asked: QuoteRequest,
    sealed: Vec<u8>,
}

enum Refused {
    Quote(QuoteAcceptError),
    Change(SubscriptionError),
    Store(purser_db::DbError),
}

impl From<purser_db::DbError> for Refused {
    fn from(e: purser_db::DbError) -> Self {
        Self::Store(e)
    }
}

/// One write: the quote is accepted and the change begun, or neither.
async fn change(
    cloud: &Shared,
    account: &CloudAccountId,
    id: &CloudResourceId,
    terms: Terms,
    when: When,
    accepting: Option<Accepting>,
) -> Answer<()> {
    let (realm, account, id) = (cloud.realm.clone(), account.clone(), id.clone());
    let written = cloud.db.write(move |tx| -> Result<(), Refused> {
        let mut terms = terms.clone();
        if let Some(Accepting { quote, asked, sealed }) = &accepting {
            let accepted = quote_accept(tx, &account, quote, asked, &id, realm.env.now()).map_err(Refused::Quote)?;
            let line = accepted.lines.iter().find(|line| line.period == Period::Month).map(|line| line.id.to_string()).unwrap_or_default();
            terms.payment = payment(accepted.id.to_string(), line, Some(&accepted), Some(sealed.clone()));
        }
        subscription_change(tx, &realm, &account, &id, terms, when).map_err(Refused::Change)
    });
    written.await.map_err(|refused| match refused {
        Refused::Quote(e) => refusal::quote(&e),
        Refused::Change(SubscriptionError::Store(e)) | Refused::Store(e) => refusal::store(&e),
        Refused::Change(e) => {
            let status = StatusCode::from_u16(e.kind().http_status()).unwrap_or(StatusCode::BAD_REQUEST);
            ProviderError::new(status, e.code(), e.to_string())
        }
    })
}

async fn find(cloud: &Shared, account: &CloudAccountId, id: &CloudResourceId) -> Answer<Resource> {
    let (account, id) = (account.clone(), id.clone());
    let found = cloud.db.read(move |tx| resource_get(tx, &account, &id)).await.map_err(|e| refusal::store(&e))?;
    found.ok_or_else(|| ProviderError::not_found("resource"))
}
