//! Resources and quotes. Every change takes an idempotency key: the caller keeps it from before the first attempt.

use purser_values::Secret;
use purser_wire::id::{IdempotencyKey, ResourceId};
use purser_wire::quote::{Quote, QuoteRequest};
use purser_wire::resource::{CreateResource, RemoveReason, ResourceAction, ResourceEnvelope, ResourceState, UpdateResource};
use purser_wire::subscription::{RefundAsk, RefundDecided, Renewal, RenewalRequest};
use serde::Serialize;
use url::Url;

use crate::client::{ProviderClient, With};
use crate::error::CallError;

type AccessToken = Secret<String>;

impl ProviderClient {
    /// The price of exactly this request. The quote has been verified: it is for the request, adds up, and is not over.
    ///
    /// # Errors
    /// See [`CallError`]; a quote that does not hold is garbage.
    pub async fn quote_create(&self, access: &AccessToken, request: &QuoteRequest) -> Result<Quote, CallError> {
        let with = With { access_token: Some(access), key: None };
        let quote: Quote = self.post(&self.at(&["quotes"])?, with, request).await?;
        let now = self.now();
        match quote.verify(request, now) {
            Ok(()) => Ok(quote),
            Err(fault) => Err(CallError::Garbage { why: fault.to_string(), received: "a quote".to_owned() }),
        }
    }

    /// # Errors
    /// See [`CallError`]; an envelope with status `error` is one.
    pub async fn resource_create(
        &self,
        access: &AccessToken,
        request: &CreateResource,
        key: &IdempotencyKey,
    ) -> Result<ResourceEnvelope, CallError> {
        self.change(access, &self.at(&["resources"])?, request, key).await
    }

    /// # Errors
    /// See [`CallError`].
    pub async fn resource_get(&self, access: &AccessToken, id: &ResourceId) -> Result<ResourceEnvelope, CallError> {
        let with = With { access_token: Some(access), key: None };
        about(id, checked(self.get(&self.at(&["resources", id.as_str()])?, with).await?)?)
    }

    /// # Errors
    /// See [`CallError`].
    pub async fn resource_update(
        &self,
        access: &AccessToken,
        id: &ResourceId,
        request: &UpdateResource,
        key: &IdempotencyKey,
    ) -> Result<ResourceEnvelope, CallError> {
        about(id, self.change(access, &self.at(&["resources", id.as_str(), "update_service"])?, request, key).await?)
    }

    /// # Errors
    /// See [`CallError`].
    pub async fn resource_remove(
        &self,
        access: &AccessToken,
        id: &ResourceId,
        key: &IdempotencyKey,
    ) -> Result<ResourceEnvelope, CallError> {
        about(id, self.change(access, &self.at(&["resources", id.as_str(), "remove"])?, &ResourceAction::default(), key).await?)
    }

    /// Removes what nobody got, and says so: an order is undone. For providers that speak `refunds`; idempotent.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn resource_cancel(
        &self,
        access: &AccessToken,
        id: &ResourceId,
        key: &IdempotencyKey,
    ) -> Result<ResourceEnvelope, CallError> {
        let undone = ResourceAction { reason: Some(RemoveReason::Undone), ..ResourceAction::default() };
        about(id, self.change(access, &self.at(&["resources", id.as_str(), "remove"])?, &undone, key).await?)
    }

    /// # Errors
    /// See [`CallError`].
    pub async fn resource_rotate(
        &self,
        access: &AccessToken,
        id: &ResourceId,
        key: &IdempotencyKey,
    ) -> Result<ResourceEnvelope, CallError> {
        about(id, self.change(access, &self.at(&["resources", id.as_str(), "rotate_credentials"])?, &ResourceAction::default(), key).await?)
    }

    /// Lets a resource end with the period that is paid, or go on after it. For providers that speak `subscriptions`; idempotent.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn renewal_set(
        &self,
        access: &AccessToken,
        id: &ResourceId,
        renews: bool,
        key: &IdempotencyKey,
    ) -> Result<Renewal, CallError> {
        let with = With { access_token: Some(access), key: Some(key) };
        let answer: Renewal = self.post(&self.at(&["resources", id.as_str(), "renewal"])?, with, &RenewalRequest { renews }).await?;
        if answer.id == *id && answer.renews == renews { Ok(answer) } else { Err(of_another()) }
    }

    /// Asks money back for a resource. For providers that speak `subscriptions`. That nothing comes back is an answer, not an error.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn refund_ask(
        &self,
        access: &AccessToken,
        id: &ResourceId,
        reason: &str,
        key: &IdempotencyKey,
    ) -> Result<RefundDecided, CallError> {
        let (with, ask) = (With { access_token: Some(access), key: Some(key) }, RefundAsk { reason: reason.to_owned() });
        let answer: RefundDecided = self.post(&self.at(&["resources", id.as_str(), "refund_requests"])?, with, &ask).await?;
        if answer.id == *id { Ok(answer) } else { Err(of_another()) }
    }

    async fn change(
        &self,
        access: &AccessToken,
        url: &Url,
        body: &impl Serialize,
        key: &IdempotencyKey,
    ) -> Result<ResourceEnvelope, CallError> {
        checked(self.post(url, With { access_token: Some(access), key: Some(key) }, body).await?)
    }
}

fn checked(envelope: ResourceEnvelope) -> Result<ResourceEnvelope, CallError> {
    match envelope.state {
        ResourceState::Error(error) => Err(CallError::Permanent { status: None, error }),
        _ => Ok(envelope),
    }
}

/// An answer about a resource must be about that resource.
fn about(id: &ResourceId, envelope: ResourceEnvelope) -> Result<ResourceEnvelope, CallError> {
    if envelope.id.as_ref().is_none_or(|found| found == id) {
        return Ok(envelope);
    }
    Err(of_another())
}

fn of_another() -> CallError {
    CallError::Garbage { why: "the answer is about something else".to_owned(), received: "what was not asked for".to_owned() }
}
