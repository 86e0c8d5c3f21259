//! `POST v2/provisioning/account_requests/{id}/confirm`: a provider tells that the person has agreed at its side, without a code in
//! the browser (section 5.4 of the reference, "confirmation style"). Path and body are not public; these are ours.
//!
//! The call is signed like every call of a provider, and holds the secret of the request: knowing its id is not enough.

use purser_values::Secret;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::id::AccountRequestId;
use crate::plain;

/// The address of the route for one request. Nothing when the base address cannot carry a path.
#[must_use]
pub fn address(orchestrator: &Url, request: &AccountRequestId) -> Option<Url> {
    let mut url = orchestrator.join("v2/provisioning/account_requests").ok()?;
    url.path_segments_mut().ok()?.push(request.as_str()).push("confirm");
    Some(url)
}

/// What the person decided at the provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    #[default]
    Approved,
    Denied,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccountConfirmation {
    /// The request's own, as it was sent with it.
    #[serde(serialize_with = "plain::secret")]
    pub confirmation_secret: Secret<String>,
    #[serde(default)]
    pub decision: Decision,
}

/// The orchestrator asks for the account again, with the same id, and then gets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountConfirmed {
    pub id: AccountRequestId,
    pub decision: Decision,
}
