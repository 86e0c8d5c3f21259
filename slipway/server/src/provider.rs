//! slipway as a provider of the Agentic Provisioning Protocol, on the same SDK that anybody else would use.
//!
//! One file per thing that the protocol asks for; [`Slipway`] joins them. What the SDK must remember is in [`store`].

pub mod account;
pub mod catalogue;
pub mod change;
mod contact;
pub mod control;
pub mod credits;
pub mod manifest;
pub mod order;
pub mod quote;
pub mod resource;
pub mod store;
pub mod subscription;
pub mod undo;

mod charge;
mod refusal;

use purser_provider::{AccountCall, AccountOpen, AccountOutcome, Answer, AuthorizationServer, Call, Provider, ProviderError};
use purser_values::id::{CloudAccountId, CloudLinkId, CloudResourceId};
use purser_wire::catalog::Service;
use purser_wire::control::{AccountControl, AgentControl};
use purser_wire::credit::{CreditAttestation, Credits};
use purser_wire::id::ResourceId;
use purser_wire::manifest::Manifest;
use purser_wire::quote::{Quote, QuoteRequest};
use purser_wire::resource::{CreateResource, ResourceEnvelope, UpdateResource};
use purser_wire::subscription::{RefundDecided, Renewal};

use slipway_accounts::link::scope::{Scope, Scopes};
use slipway_accounts::resource::begin::ResourceBeginError;
use slipway_accounts::suspension::{Calling, call_is_suspended};

use crate::cloud::Shared;

const READ: &str = Scope::ResourcesRead.as_str();
const WRITE: &str = Scope::ResourcesWrite.as_str();
const PURCHASES: &str = Scope::Purchases.as_str();
const CONTROL: &str = Scope::AgentsControl.as_str();

/// The provider.
#[derive(Clone)]
pub struct Slipway(pub Shared);

impl Provider for Slipway {
    fn manifest(&self) -> Manifest {
        self.0.manifest.clone()
    }

    async fn services(&self) -> Answer<Vec<Service>> {
        catalogue::services(self.0.registrar.is_some()).map_err(|e| ProviderError::internal(&e))
    }

    async fn account_open(&self, _call: &Call, open: AccountOpen) -> Answer<AccountOutcome> {
        account::open(&self.0, open).await
    }

    fn authorization_server(&self) -> Option<AuthorizationServer> {
        let authorization_endpoint = self.0.public_url.join("oauth/authorize").ok()?;
        Some(AuthorizationServer { authorization_endpoint, scopes: Scopes::ALL.names() })
    }

    async fn resource_create(&self, call: &AccountCall, request: CreateResource) -> Answer<ResourceEnvelope> {
        call.require(WRITE)?;
        if request.payment_credentials.is_some() {
            call.require(PURCHASES)?;
        }
        order::create(&self.0, account_of(call)?, call, request).await
    }

    async fn resource_get(&self, call: &AccountCall, id: &ResourceId) -> Answer<ResourceEnvelope> {
        call.require(READ)?;
        resource::get(&self.0, account_of(call)?, resource_of(id)?).await
    }

    async fn resource_remove(&self, call: &AccountCall, id: &ResourceId) -> Answer<ResourceEnvelope> {
        self.may_change(call, WRITE).await?;
        resource::remove(&self.0, account_of(call)?, resource_of(id)?).await
    }

    async fn resource_cancel(&self, call: &AccountCall, id: &ResourceId) -> Answer<ResourceEnvelope> {
        self.may_change(call, WRITE).await?;
        resource::cancel(&self.0, account_of(call)?, resource_of(id)?).await
    }

    async fn resource_rotate(&self, call: &AccountCall, id: &ResourceId) -> Answer<ResourceEnvelope> {
        self.may_change(call, WRITE).await?;
        resource::rotate(&self.0, call, resource_of(id)?).await
    }

    async fn resource_update(&self, call: &AccountCall, id: &ResourceId, request: UpdateResource) -> Answer<ResourceEnvelope> {
        self.may_change(call, WRITE).await?;
        if request.payment_credentials.is_some() {
            call.require(PURCHASES)?;
        }
        change::update(&self.0, call, resource_of(id)?, request).await
    }

    async fn renewal_set(&self, call: &AccountCall, id: &ResourceId, renews: bool) -> Answer<Renewal> {
        self.may_change(call, WRITE).await?;
        subscription::renewal(&self.0, account_of(call)?, resource_of(id)?, renews, |_| Ok(true)).await
    }

    async fn refund_request(&self, call: &AccountCall, id: &ResourceId, reason: &str) -> Answer<RefundDecided> {
        self.may_change(call, WRITE).await?;
        subscription::refund_request(&self.0, account_of(call)?, resource_of(id)?, reason).await
    }

    async fn quote_create(&self, call: &AccountCall, request: QuoteRequest) -> Answer<Quote> {
        self.may_change(call, READ).await?;
        quote::create(&self.0, account_of(call)?, &request).await
    }

    async fn credit_redeem(&self, call: &AccountCall, attested: CreditAttestation) -> Answer<Credits> {
        self.may_change(call, PURCHASES).await?;
        credits::redeem(&self.0, call, attested).await
    }

    async fn credits(&self, call: &AccountCall) -> Answer<Credits> {
        call.require(READ)?;
        credits::list(&self.0, call).await
    }

    async fn credentials_disable(&self, call: &AccountCall, control: AgentControl) -> Answer<u64> {
        call.require(CONTROL)?;
        control::disable(&self.0, account_of(call)?, link_of(call)?, control).await
    }

    async fn credentials_enable(&self, call: &AccountCall, control: AgentControl) -> Answer<u64> {
        self.may_change(call, CONTROL).await?;
        control::enable(&self.0, account_of(call)?, link_of(call)?, control).await
    }

    async fn account_freeze(&self, call: &AccountCall, control: AccountControl) -> Answer<()> {
        call.require(CONTROL)?;
        control::freeze(&self.0, account_of(call)?, link_of(call)?, control).await
    }

    async fn account_thaw(&self, call: &AccountCall) -> Answer<()> {
        self.may_change(call, CONTROL).await?;
        control::thaw(&self.0, account_of(call)?, link_of(call)?).await
    }
}

impl Slipway {
    /// That the connection allows it, and that the operator has stopped neither who calls nor the account. What only reads or only stops
    /// something asks for the scope alone; an order looks at the suspension in its own write, where it knows a repeat.
    async fn may_change(&self, call: &AccountCall, scope: &str) -> Answer<()> {
        call.require(scope)?;
        let (account, link) = (account_of(call)?, link_of(call)?);
        let stopped =
            self.0.db.read(move |tx| call_is_suspended(tx, Calling { account: &account, link: link.as_ref(), grant: None, agent: None }));
        if stopped.await.map_err(|e| refusal::store(&e))? { Err(refusal::begin(&ResourceBeginError::Suspended)) } else { Ok(()) }
    }
}

/// The bearer token's link in our own type.
fn link_of(call: &AccountCall) -> Answer<Option<CloudLinkId>> {
    let link = call.link.as_ref().map(|link| link.as_str().parse()).transpose();
    link.map_err(|e: purser_values::id::ParseIdError| ProviderError::internal(&e))
}

/// The bearer token's account in our own type: the SDK only knows accounts that we gave it.
fn account_of(call: &AccountCall) -> Answer<CloudAccountId> {
    call.account.as_str().parse().map_err(|e: purser_values::id::ParseIdError| ProviderError::internal(&e))
}

/// What is no id of ours is not found, like any other that does not exist.
fn resource_of(id: &ResourceId) -> Answer<CloudResourceId> {
    id.as_str().parse().map_err(|_| ProviderError::not_found("resource"))
}
