//! What a provider implements.
//!
//! Every method is called after signature, version, bearer token, idempotency key, body form and (where the catalogue has a
//! schema) configuration were checked. A provider still checks what only it can know: that a resource belongs to the
//! account, that the account may act, that a quote is the one it made.

use std::future::Future;

use purser_wire::account::AccountRequest;
use purser_wire::catalog::Service;
use purser_wire::control::{AccountControl, AgentControl};
use purser_wire::credit::{CreditAttestation, Credits};
use purser_wire::id::{LinkId, ResourceId};
use purser_wire::manifest::Manifest;
use purser_wire::quote::{Quote, QuoteRequest};
use purser_wire::resource::{CreateResource, ResourceEnvelope, UpdateResource};
use purser_wire::subscription::{RefundDecided, Renewal};
use purser_wire::token::{AccountRef, PaymentCredentialsBy};
use serde_json::Value;
use url::Url;

use crate::call::{AccountCall, Call, Identity};
use crate::error::ProviderError;
use crate::metadata::AuthorizationServer;

/// A request for an account, with what was verified about the person.
#[derive(Clone, Debug)]
pub struct AccountOpen {
    pub request: AccountRequest,
    /// Present when the orchestrator sent an assertion; it has been verified. Without one there is only the signed e-mail address.
    pub identity: Option<Identity>,
}

/// What becomes of a request for an account.
#[derive(Clone, Debug)]
pub enum AccountOutcome {
    /// The account, new or already there. The SDK hands out the code or the tokens.
    Account(AccountRef),
    /// The same, over a link that the account's owner can cut.
    Linked {
        account: AccountRef,
        link: LinkId,
    },
    /// A person has to agree on this page; it ends with a code of [`crate::codes::mint_code`].
    RequiresAuth {
        url: Url,
    },
    NeedsInformation {
        schema: Value,
    },
}

pub type Answer<T> = Result<T, ProviderError>;

/// A provider of services. `async fn` may be used in implementations.
pub trait Provider: Send + Sync + 'static {
    /// Who we are; also served at `/.well-known/agentic-provider.json`.
    fn manifest(&self) -> Manifest;

    /// The addresses of the authorization server's own pages and what it asks for, when it has any (RFC 8414).
    fn authorization_server(&self) -> Option<AuthorizationServer> {
        None
    }

    /// Who pays for paid services.
    fn payment_credentials(&self) -> PaymentCredentialsBy {
        PaymentCredentialsBy::Orchestrator
    }

    /// The whole catalogue. Asked on every create for the schema: keep it cheap.
    fn services(&self) -> impl Future<Output = Answer<Vec<Service>>> + Send;

    /// Finds or makes the account. MUST be idempotent by `request.id` and by identity: the same person asked for twice, also at
    /// the same time, is one account.
    fn account_open(&self, call: &Call, open: AccountOpen) -> impl Future<Output = Answer<AccountOutcome>> + Send;

    fn resource_create(&self, call: &AccountCall, request: CreateResource) -> impl Future<Output = Answer<ResourceEnvelope>> + Send;

    fn resource_get(&self, call: &AccountCall, id: &ResourceId) -> impl Future<Output = Answer<ResourceEnvelope>> + Send;

    /// Idempotent: removing what is removed answers `removed`.
    fn resource_remove(&self, call: &AccountCall, id: &ResourceId) -> impl Future<Output = Answer<ResourceEnvelope>> + Send;

    /// The orchestrator undoes an order that nobody got anything of: removes the resource, and gives back what was charged for it
    /// (`OrchestratorClient::refund`). Idempotent. A provider that charges and does not give back is shown to the payer as owing.
    fn resource_cancel(&self, call: &AccountCall, id: &ResourceId) -> impl Future<Output = Answer<ResourceEnvelope>> + Send {
        self.resource_remove(call, id)
    }

    /// Makes new credentials; the old ones stop working.
    fn resource_rotate(&self, call: &AccountCall, id: &ResourceId) -> impl Future<Output = Answer<ResourceEnvelope>> + Send;

    fn resource_update(
        &self,
        _call: &AccountCall,
        _id: &ResourceId,
        _request: UpdateResource,
    ) -> impl Future<Output = Answer<ResourceEnvelope>> + Send {
        async { Err(ProviderError::not_supported("updates")) }
    }

    /// Lets the resource end with the period that is paid, or go on after it. Idempotent. Extension `subscriptions`.
    fn renewal_set(&self, _call: &AccountCall, _id: &ResourceId, _renews: bool) -> impl Future<Output = Answer<Renewal>> + Send {
        async { Err(ProviderError::not_supported("ending with the period")) }
    }

    /// Somebody wants money back. What is `refunded` is removed, and its money given back over `refunds`; keep every request, with its answer.
    fn refund_request(&self, _call: &AccountCall, _id: &ResourceId, _reason: &str) -> impl Future<Output = Answer<RefundDecided>> + Send {
        async { Err(ProviderError::not_supported("asking money back")) }
    }

    fn quote_create(&self, _call: &AccountCall, _request: QuoteRequest) -> impl Future<Output = Answer<Quote>> + Send {
        async { Err(ProviderError::not_supported("quotes")) }
    }

    /// Gives the account the credit that the orchestrator attests: signature, audience, age and single use have been checked. A provider
    /// still checks that the subject is the one that the account was opened for, and MUST give a programme once to each name of the
    /// attestation (INVARIANT credit-once). The same application again gets the same answer.
    fn credit_redeem(&self, _call: &AccountCall, _attested: CreditAttestation) -> impl Future<Output = Answer<Credits>> + Send {
        async { Err(ProviderError::not_supported("credits")) }
    }

    /// What the account has left of its credits.
    fn credits(&self, _call: &AccountCall) -> impl Future<Output = Answer<Credits>> + Send {
        async { Err(ProviderError::not_supported("credits")) }
    }

    /// Refuses every credential minted for the agent from the moment of the answer; says how many. Idempotent.
    fn credentials_disable(&self, _call: &AccountCall, _control: AgentControl) -> impl Future<Output = Answer<u64>> + Send {
        async { Err(ProviderError::not_supported("disabling credentials")) }
    }

    /// Lets the same credentials work again. Idempotent.
    fn credentials_enable(&self, _call: &AccountCall, _control: AgentControl) -> impl Future<Output = Answer<u64>> + Send {
        async { Err(ProviderError::not_supported("enabling credentials")) }
    }

    fn account_freeze(&self, _call: &AccountCall, _control: AccountControl) -> impl Future<Output = Answer<()>> + Send {
        async { Err(ProviderError::not_supported("freezing an account")) }
    }

    fn account_thaw(&self, _call: &AccountCall) -> impl Future<Output = Answer<()>> + Send {
        async { Err(ProviderError::not_supported("thawing an account")) }
    }
}
