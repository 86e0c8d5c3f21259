//! Extension `credits`: money that a provider gives an organisation to spend at itself, before the payment token is charged.
//!
//! The manifest says which programmes there are. The orchestrator attests that an organisation is eligible for one: a JWS (EdDSA, typ
//! `credit-attestation+jwt`) for one provider, five minutes at most, with a `jti` to be used once. `POST provisioning/credits` redeems it,
//! `GET provisioning/credits` says what is left and what will be paid when it has ended.
//!
//! INVARIANT (credit-once): an attestation carries names of everybody and everything that the credit is for (the organisation, the people
//! who own it, their domain), each made for this provider alone and the same for ever. A provider gives a programme once to each name: who
//! comes again with another account, agent, project or organisation brings a name that is known.

use purser_crypto::jose::{self, Jwk, SigningKey};
use purser_values::{Money, Secret, Sha256Digest, Timestamp};
use serde::{Deserialize, Serialize};

use crate::attested::{self, Flaw, Frame};
use crate::open::open_enum;
use crate::{limits, plain};

const TYP: &str = "credit-attestation+jwt";

open_enum! {
    /// What a programme's credit pays for.
    Cover {
        Plans = "plans",
        Usage = "usage",
        Domains = "domains",
    }
}

/// A programme that the provider offers, in its manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Programme {
    pub id: String,
    pub title: String,
    #[serde(default, deserialize_with = "plain::or_default")]
    pub description: String,
    /// What each organisation gets, once.
    #[serde(flatten)]
    pub amount: Money,
    /// Until when it can be used, in months after it was redeemed.
    pub months: u32,
    #[serde(default, deserialize_with = "plain::or_default")]
    pub covers: Vec<Cover>,
}

impl Programme {
    /// Whether a reader can show it to people: it has a name, gives something, and ends.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        let named = |text: &str| !text.is_empty() && text.len() <= limits::ID_CHARS;
        named(&self.id) && named(&self.title) && self.amount.is_positive() && (1..=limits::CREDIT_MONTHS).contains(&self.months)
    }
}

/// What the orchestrator attests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditAttestation {
    /// The orchestrator's base URL.
    pub iss: String,
    /// The provider's base URL.
    pub aud: String,
    /// The organisation, by the name of identity assertions.
    pub sub: String,
    pub programme: String,
    /// Names of all that the credit is for, made for this provider alone.
    pub names: Vec<String>,
    /// Digest of what was shown to the person who decided.
    pub evidence: Sha256Digest,
    /// The orchestrator's id of the application. It is redeemed once; a repeat of it gets the first answer.
    pub application: String,
    /// When a person of the orchestrator's operator approved it, in seconds since the epoch.
    pub approved_at: i64,
    pub jti: String,
    pub iat: i64,
    pub exp: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AttestationError {
    #[error("the attestation is malformed")]
    Malformed,
    #[error("the attestation's signature does not match")]
    Mismatch,
    #[error("the attestation is for another provider")]
    Audience,
    #[error("the attestation is over, not yet valid, or lives too long")]
    Stale,
}

impl From<Flaw> for AttestationError {
    fn from(flaw: Flaw) -> Self {
        match flaw {
            Flaw::Malformed => Self::Malformed,
            Flaw::Mismatch => Self::Mismatch,
            Flaw::Audience => Self::Audience,
            Flaw::Stale => Self::Stale,
        }
    }
}

impl CreditAttestation {
    /// The compact form.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub fn sign(&self, key: &SigningKey) -> Result<Secret<String>, jose::JoseError> {
        key.sign(TYP, self).map(Secret::from)
    }

    /// Which key and which orchestrator an attestation claims to be from. Nothing is proved by it.
    #[must_use]
    pub fn claimed(token: &str) -> Option<(Option<String>, String)> {
        let read = jose::decode_unverified::<Self>(token, TYP).ok()?;
        Some((read.kid, read.claims.iss))
    }

    /// Checks a compact attestation that was received by the provider `audience`. The `jti` is the caller's to use once, until `exp`.
    ///
    /// # Errors
    /// When it is not a valid attestation of `key` for this provider, now.
    pub fn verify(token: &str, key: &Jwk, audience: &str, now: Timestamp) -> Result<Self, AttestationError> {
        let claims = attested::verify::<Self>(token, TYP, key, audience, now, |claims| Frame {
            aud: &claims.aud,
            iat: claims.iat,
            exp: claims.exp,
        })?;
        let sized = |text: &String| !text.is_empty() && text.len() <= limits::ID_CHARS;
        let named = !claims.names.is_empty() && claims.names.len() <= limits::CREDIT_NAMES && claims.names.iter().all(sized);
        let formed = [&claims.jti, &claims.sub, &claims.programme, &claims.application].into_iter().all(sized);
        if named && formed { Ok(claims) } else { Err(AttestationError::Malformed) }
    }
}

/// The body of `POST provisioning/credits`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RedeemCredit {
    #[serde(serialize_with = "plain::secret")]
    pub attestation: Secret<String>,
}

open_enum! {
    CreditState {
        Active = "active",
        /// Nothing is left of it.
        Used = "used",
        /// Its time is over; what was left is gone.
        Expired = "expired",
    }
}

/// One credit of the account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credit {
    pub id: String,
    pub programme: String,
    pub state: CreditState,
    pub given: Money,
    /// What can still be used, apart from what is set aside.
    pub left: Money,
    /// What is set aside for orders and use that are not settled yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Money>,
    pub redeemed_at: Timestamp,
    pub expires_at: Timestamp,
    #[serde(default, deserialize_with = "plain::or_default")]
    pub covers: Vec<Cover>,
}

open_enum! {
    /// Why a credit ends.
    CreditEnd {
        Exhausted = "exhausted",
        Expires = "expires",
    }
}

/// A payment to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    pub at: Timestamp,
    #[serde(flatten)]
    pub amount: Money,
}

/// What will be paid when the credit has ended, if everything goes on as it does now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditForecast {
    pub ends_at: Timestamp,
    pub why: CreditEnd,
    /// The first payment that the credit does not pay in whole, and how much of it the payment token is charged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_payment: Option<Due>,
    /// What a month costs from then on.
    pub monthly: Money,
}

/// What the account has, soonest end first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credits {
    #[serde(default, deserialize_with = "plain::or_default")]
    pub credits: Vec<Credit>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<CreditForecast>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use purser_crypto::jose::Algorithm;

    #[test]
    fn an_attestation_is_for_one_provider_and_five_minutes_and_of_its_own_type() {
        let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
        let now = Timestamp::from_secs(1_795_000_000);
        let good = CreditAttestation {
            iss: "https://o.test".into(),
            aud: "https://p.test/".into(),
            sub: "pw_1".into(),
            programme: "start-up".into(),
            names: vec!["n1".into(), "n2".into()],
            evidence: Sha256Digest::of(b"we have a letter"),
            application: "cra_1".into(),
            approved_at: now.as_secs() - 60,
            jti: "j1".into(),
            iat: now.as_secs(),
            exp: now.as_secs() + 300,
        };
        let check = |a: &CreditAttestation, at: i64| {
            CreditAttestation::verify(a.sign(&key).unwrap().expose(), key.public(), "https://p.test/", now.plus_secs(at))
        };
        assert_eq!(check(&good, 0).unwrap(), good);
        assert_eq!(check(&good, 330).unwrap_err(), AttestationError::Stale);
        assert_eq!(check(&CreditAttestation { exp: good.exp + 1, ..good.clone() }, 0).unwrap_err(), AttestationError::Stale);
        assert_eq!(check(&CreditAttestation { aud: "https://q.test/".into(), ..good.clone() }, 0).unwrap_err(), AttestationError::Audience);
        assert_eq!(check(&CreditAttestation { names: vec![], ..good.clone() }, 0).unwrap_err(), AttestationError::Malformed);
        let too_many = vec!["n".to_owned(); limits::CREDIT_NAMES + 1];
        assert_eq!(check(&CreditAttestation { names: too_many, ..good.clone() }, 0).unwrap_err(), AttestationError::Malformed);
        let stranger = SigningKey::generate(Algorithm::EdDsa).unwrap();
        let forged = good.sign(&stranger).unwrap();
        let refused = CreditAttestation::verify(forged.expose(), key.public(), "https://p.test/", now).unwrap_err();
        assert_eq!(refused, AttestationError::Mismatch);
        // the orchestrator signs other things with the same key
        for typ in ["identity-assertion+jwt", "JWT", "at+jwt"] {
            let other = key.sign(typ, &good).unwrap();
            assert_eq!(CreditAttestation::verify(&other, key.public(), "https://p.test/", now).unwrap_err(), AttestationError::Malformed);
        }
    }
}
