//! The person's own signature under a grant.
//!
//! What is signed is a statement: the request, the agent's key, all that is allowed, and the texts that are accepted. Its digest
//! is the challenge of a passkey, so the person's authenticator signs it and nothing else. The statement and the signature are
//! part of the grant's record, which anybody can check without us.

use purser_authority::Event;
use purser_crypto::jose::{self, Jwk};
use purser_values::Sha256Digest;
use purser_values::id::{GrantRequestId, OrganisationId, PersonId};
use serde::{Deserialize, Serialize};

use super::GrantRecord;
use super::make::TYPE;
use crate::consent::TermsSeen;
use crate::grant_request::{AskedScope, GrantRequest};
use crate::passkey::SignedAssertion;
use crate::realm::Realm;

/// What a person says yes to, before there is a grant. A request is decided once, so a signature is good for one decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    pub kind: String,
    pub issuer: String,
    pub request: GrantRequestId,
    pub person: PersonId,
    pub organisation: OrganisationId,
    pub agent_name: String,
    pub agent_jkt: String,
    pub allowed: AskedScope,
    pub terms: Vec<TermsSeen>,
}

const KIND: &str = "purser_grant_consent";

impl Statement {
    #[must_use]
    pub fn of(
        realm: &Realm,
        request: &GrantRequest,
        person: &PersonId,
        organisation: &OrganisationId,
        allowed: &AskedScope,
        terms: &[TermsSeen],
    ) -> Self {
        Self {
            kind: KIND.to_owned(),
            issuer: realm.issuer.to_string(),
            request: request.id.clone(),
            person: person.clone(),
            organisation: organisation.clone(),
            agent_name: request.name.to_string(),
            agent_jkt: request.jkt.clone(),
            allowed: allowed.clone(),
            terms: terms.to_vec(),
        }
    }

    /// The text that is signed, byte for byte.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn text(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

/// The statement as it was signed, with the signature.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Consent {
    pub statement: String,
    pub signature: SignedAssertion,
}

/// Why a person's signature under a grant does not hold.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConsentFault {
    #[error("the grant's record is not signed by one of the named keys")]
    Record,
    #[error("the statement cannot be read")]
    Statement,
    #[error("the signature is not the person's under this statement")]
    Signature,
    #[error("the grant allows what the person did not sign")]
    Differs,
}

impl Consent {
    /// Checks the signature, and that the record grants exactly what the person signed.
    ///
    /// # Errors
    /// See [`ConsentFault`].
    pub fn check(&self, record: &GrantRecord) -> Result<(), ConsentFault> {
        self.signature.verify(&Sha256Digest::of(self.statement.as_bytes())).map_err(|_| ConsentFault::Signature)?;
        let said: Statement = serde_json::from_str(&self.statement).map_err(|_| ConsentFault::Statement)?;
        let same = said.kind == KIND
            && said.issuer == record.iss
            && Some(&said.request) == record.request.as_ref()
            && said.person == record.sub
            && said.person == self.signature.person
            && said.organisation == record.organisation
            && said.agent_jkt == record.agent.jkt
            && said.allowed.in_full(record.accepted_at) == record.scope
            && said.terms == record.terms;
        if same { Ok(()) } else { Err(ConsentFault::Differs) }
    }
}

/// Checks a grant's record by itself: the orchestrator's signature, and the person's where there is one. Tells whether there is.
///
/// # Errors
/// See [`ConsentFault`].
pub fn record_verify(record: &str, keys: &[Jwk]) -> Result<bool, ConsentFault> {
    let kid = jose::decode_unverified::<serde_json::Value>(record, TYPE).map_err(|_| ConsentFault::Record)?.kid;
    let key = keys.iter().find(|key| kid.is_some() && key.kid == kid).ok_or(ConsentFault::Record)?;
    let record = jose::verify::<GrantRecord>(record, TYPE, key).map_err(|_| ConsentFault::Record)?.claims;
    record.consent.as_ref().map_or(Ok(false), |consent| consent.check(&record).map(|()| true))
}

/// Checks the person's signature in an entry of the log, which holds without the database. Tells whether there is one.
///
/// # Errors
/// What is wrong, in words.
pub fn consent_in_event(event: &Event) -> Result<bool, String> {
    let Some(found) = event.data.get("consent").filter(|found| !found.is_null()) else { return Ok(false) };
    let consent: Consent = serde_json::from_value(found.clone()).map_err(|e| e.to_string())?;
    consent.signature.verify(&Sha256Digest::of(consent.statement.as_bytes())).map_err(|e| e.to_string())?;
    let said: Statement = serde_json::from_str(&consent.statement).map_err(|e| e.to_string())?;
    let person = event.caller.person() == Some(&said.person) && said.person == consent.signature.person;
    let scope = serde_json::from_value::<purser_authority::GrantScope>(event.data["scope"].clone()).map_err(|e| e.to_string())?;
    let mut allowed = said.allowed.in_full(purser_values::Timestamp::EPOCH);
    allowed.expires_at = scope.expires_at;
    if person && allowed == scope && event.related.contains(&said.request.to_string()) {
        Ok(true)
    } else {
        Err(ConsentFault::Differs.to_string())
    }
}
