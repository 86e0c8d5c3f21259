//! The token exchange grant for a workload: another issuer's token for a short one of ours, bound to the key that the request proves.

use purser_authority::{Attempt, Caller};
use purser_identity::token::exchange::ACCESS_TOKEN_TYPE;
use purser_identity::workload::find;
use purser_provisioning::{WorkloadError, perform, workload_exchange};
use purser_values::id::WorkloadTrustId;

use super::{Answer, PATH};
use crate::front::Front;
use crate::oidc::error::OAuthError;
use crate::oidc::form::Form;
use crate::oidc::proof;

/// The parameter that names the trust that a workload means.
const TRUST: &str = "workload_trust";

pub async fn answer(front: &Front, form: Form) -> Result<Answer, OAuthError> {
    let Form { headers, parameters } = form;
    let missing = |name: &str| OAuthError::invalid_request(format!("`{name}` is missing"));
    let token = parameters.secret("subject_token").ok_or_else(|| missing("subject_token"))?;
    let id: WorkloadTrustId = parameters.parsed(TRUST)?.ok_or_else(|| missing(TRUST))?;
    if ["actor_token", "authorization_details"].into_iter().any(|name| parameters.has(name)) {
        return Err(OAuthError::invalid_request("a workload gets what its trust says, and acts for itself"));
    }
    let proof = proof::of(front, &headers, PATH)?;
    let trust = front.core.db.read(move |tx| find(tx, &id)).await?.ok_or(WorkloadError::Unknown)?;
    let statement = front.clients.check_workload(&trust, token.expose(), front.realm.env.now()).await?;
    let realm = front.realm.clone();
    let attempt = Attempt::new("token_issue", &Caller::Anonymous, proof.jkt());
    let exchanged = perform(&front.core, attempt, move |tx| workload_exchange(tx, &realm, &trust, &statement, &proof)).await;
    Ok(Answer { issued_token_type: Some(ACCESS_TOKEN_TYPE), ..exchanged?.into() })
}
