//! For whom a name is registered: asked with `needs_information` before an order begins, once for each account.
//!
//! Nothing is recorded and nothing is charged while it is not known. What a person answers is kept, sealed, in the write that begins the order
//! it was asked for; later orders find it there.

use purser_db::DbError;
use purser_provider::Answer;
use purser_values::id::CloudAccountId;
use purser_wire::resource::{CreateResource, ResourceEnvelope, ResourceState};
use slipway_accounts::service::Service;
use slipway_registrar::contact::{self, ContactError, contact_since};
use slipway_registrar::domain::get::domain_get;
use slipway_registrar::registry::Holder;

use super::{order, quote, refusal};
use crate::cloud::Cloud;

/// What is known of the holder when an order comes.
pub enum Contact {
    /// It is kept, or nobody asks for it.
    Kept,
    /// It came with the order.
    Given(Holder),
    /// The answer to the order: a person has to say it.
    Missing(ResourceEnvelope),
}

/// Whether the order can begin.
pub async fn wanted(
    cloud: &Cloud,
    account: &CloudAccountId,
    service: Service,
    request: &CreateResource,
    key: Option<&str>,
) -> Answer<Contact> {
    let wants = cloud.registrar.as_ref().is_some_and(|registrar| registrar.wants_holder);
    if service != Service::Domain || !wants || order::begun_before(cloud, account, key).await? {
        return Ok(Contact::Kept);
    }
    if let Some(said) = &request.submitted_information {
        return Ok(match contact::read(said) {
            Ok(holder) => Contact::Given(holder),
            Err(e @ (ContactError::Missing(_) | ContactError::Unfit(..) | ContactError::Unknown(_))) => missing(Some(&e.to_string())),
            Err(e) => return Err(refusal::public(&e)),
        });
    }
    let (account, name) = (account.clone(), quote::domain_of(&request.configuration)?);
    // One that the account let go is registered already, for whomever.
    let known = cloud.db.read(move |tx| -> Result<bool, DbError> {
        Ok(contact_since(tx, &account)?.is_some() || domain_get(tx, &account, &name)?.is_some())
    });
    if known.await.map_err(|e| refusal::store(&e))? { Ok(Contact::Kept) } else { Ok(missing(None)) }
}

fn missing(said: Option<&str>) -> Contact {
    let state = ResourceState::NeedsInformation { schema: contact::schema(said) };
    Contact::Missing(ResourceEnvelope { id: None, state, endpoints: Vec::new() })
}
