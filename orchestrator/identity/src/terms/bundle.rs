//! The terms ledger as one signed file that can be checked without us: who accepted which text, with the bytes of the text and
//! the signed grants in which it was accepted.

use std::collections::{BTreeMap, btree_map};

use purser_authority::Permit;
use purser_authority::action::TermsRead;
use purser_crypto::encoding::{b64url, b64url_decode};
use purser_crypto::jose::{self, JoseError, Jwk};
use purser_db::{DbError, Tx};
use purser_values::error::{Kind, PublicError};
use purser_values::id::{GrantId, OrganisationId};
use purser_values::{Sha256Digest, Timestamp};
use serde::{Deserialize, Serialize};

use super::{TermsAcceptance, accepted, terms_body};
use crate::grant::{self, GrantRecord};
use crate::person;
use crate::realm::Realm;

/// The `typ` of the signature.
const TYPE: &str = "terms-bundle+jwt";
/// The `typ` of a grant's record.
const GRANT_TYPE: &str = "grant+jwt";
/// What the file says it is.
const KIND: &str = "purser_terms_bundle";

/// The file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    pub kind: String,
    /// The text that is signed: a [`Payload`] as JSON.
    pub payload: String,
    /// A compact JWS over the payload's digest.
    pub signature: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Payload {
    pub issuer: String,
    pub organisation: OrganisationId,
    pub exported_at: Timestamp,
    pub acceptances: Vec<Entry>,
    pub documents: Vec<Document>,
    /// The records of the grants in which texts were accepted.
    pub grants: BTreeMap<GrantId, String>,
    /// The issuer's keys, those that have retired included.
    pub keys: Vec<Jwk>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// The person's address when it was exported.
    pub email: Option<String>,
    #[serde(flatten)]
    pub acceptance: TermsAcceptance,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Document {
    pub sha256: Sha256Digest,
    /// The bytes, in base64url.
    pub body: String,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    iat: i64,
    organisation: OrganisationId,
    sha256: Sha256Digest,
}

#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    #[error("this is not a terms bundle: {0}")]
    Unreadable(String),
    #[error("the signature is not by one of the keys in the bundle, or not over this text")]
    Signature,
    #[error("the bundle is signed by the key `{0}`, not by the one that was named")]
    OtherKey(String),
    #[error("the bytes of `{0}` are not the ones that were accepted")]
    Body(Sha256Digest),
    #[error("the text `{0}` was accepted and is not in the bundle")]
    Missing(Sha256Digest),
    #[error("the grant `{0}` does not say what the ledger says of it")]
    Grant(GrantId),
}

impl PublicError for BundleError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "terms_bundle_unreadable",
            Self::Signature | Self::OtherKey(_) => "terms_bundle_signature",
            Self::Body(_) | Self::Missing(_) | Self::Grant(_) => "terms_bundle_changed",
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::Unreadable(_) => Kind::Invalid,
            _ => Kind::Conflict,
        }
    }
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unreadable(_) => "name a file that `purser terms export` wrote".to_owned(),
            _ => "ask for a fresh export, and find out who changed this one".to_owned(),
        })
    }
}

/// What a bundle that holds proves.
#[derive(Clone, Debug, Serialize)]
pub struct Verified {
    pub issuer: String,
    pub organisation: OrganisationId,
    pub exported_at: Timestamp,
    /// The thumbprint of the key that signed, to be compared with the issuer's published keys.
    pub key: String,
    pub acceptances: usize,
    pub documents: usize,
    /// Acceptances that a signed grant confirms by itself.
    pub confirmed_by_grants: usize,
}

/// Everything that the organisation of the permit's caller has accepted, signed.
///
/// # Errors
/// When the store or signing fails.
pub fn terms_export(tx: &mut Tx<'_>, realm: &Realm, permit: &Permit<TermsRead>) -> Result<Bundle, ExportError> {
    let organisation = permit.caller().organisation().cloned().ok_or(ExportError::NoOrganisation)?;
    let mut payload = Payload {
        issuer: realm.issuer.to_string(),
        organisation: organisation.clone(),
        exported_at: realm.env.now(),
        acceptances: Vec::new(),
        documents: Vec::new(),
        grants: BTreeMap::new(),
        keys: realm.keys.kept(),
    };
    let mut bodies = BTreeMap::new();
    for acceptance in accepted(tx, &organisation)? {
        if let btree_map::Entry::Vacant(missing) = bodies.entry(acceptance.sha256.to_string()) {
            let body = terms_body(tx, &acceptance.sha256)?.ok_or(DbError::NoRow)?;
            missing.insert(Document { sha256: acceptance.sha256, body: b64url(&body) });
        }
        if let Some(id) = &acceptance.grant
            && !payload.grants.contains_key(id)
        {
            let grant = grant::find(tx, id)?.ok_or(DbError::NoRow)?;
            payload.grants.insert(id.clone(), grant.record);
        }
        let email = person::member(tx, &organisation, &acceptance.person)?.map(|member| member.person.email.to_string());
        payload.acceptances.push(Entry { email, acceptance });
    }
    payload.documents = bodies.into_values().collect();
    let text = serde_json::to_string(&payload).map_err(|e| DbError::Other(e.to_string()))?;
    let claims = Claims { iss: payload.issuer, iat: realm.env.now().as_secs(), organisation, sha256: Sha256Digest::of(text.as_bytes()) };
    Ok(Bundle { kind: KIND.to_owned(), signature: realm.keys.sign(TYPE, &claims)?, payload: text })
}

#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("the caller has no organisation")]
    NoOrganisation,
    #[error(transparent)]
    Denied(#[from] purser_authority::Denied),
    #[error(transparent)]
    Jose(#[from] JoseError),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl PublicError for ExportError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoOrganisation => "not_found",
            Self::Denied(e) => e.code(),
            Self::Jose(_) => "internal",
            Self::Db(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::NoOrganisation => Kind::NotFound,
            Self::Denied(e) => e.kind(),
            Self::Jose(_) => Kind::Internal,
            Self::Db(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        if let Self::Denied(e) = self { e.hint() } else { None }
    }
}

/// Checks a bundle without anything but itself, and optionally against the thumbprint of a key that the reader trusts.
///
/// # Errors
/// The first thing that does not hold.
pub fn terms_verify(text: &str, key: Option<&str>) -> Result<Verified, BundleError> {
    let bundle: Bundle = serde_json::from_str(text).map_err(|e| BundleError::Unreadable(e.to_string()))?;
    if bundle.kind != KIND {
        return Err(BundleError::Unreadable(format!("its kind is `{}`", bundle.kind)));
    }
    let payload: Payload = serde_json::from_str(&bundle.payload).map_err(|e| BundleError::Unreadable(e.to_string()))?;
    let (claims, signer) = checked::<Claims>(&bundle.signature, TYPE, &payload.keys).ok_or(BundleError::Signature)?;
    if claims.sha256 != Sha256Digest::of(bundle.payload.as_bytes()) || claims.iss != payload.issuer {
        return Err(BundleError::Signature);
    }
    if key.is_some_and(|key| key != signer) {
        return Err(BundleError::OtherKey(signer));
    }
    for document in &payload.documents {
        let body = b64url_decode(&document.body).ok_or(BundleError::Body(document.sha256))?;
        if Sha256Digest::of(&body) != document.sha256 {
            return Err(BundleError::Body(document.sha256));
        }
    }
    let mut confirmed = 0;
    for Entry { acceptance, .. } in &payload.acceptances {
        if !payload.documents.iter().any(|document| document.sha256 == acceptance.sha256) {
            return Err(BundleError::Missing(acceptance.sha256));
        }
        if let Some(id) = &acceptance.grant {
            confirm(&payload, id, acceptance)?;
            confirmed += 1;
        }
    }
    Ok(Verified {
        issuer: payload.issuer,
        organisation: payload.organisation,
        exported_at: payload.exported_at,
        key: signer,
        acceptances: payload.acceptances.len(),
        documents: payload.documents.len(),
        confirmed_by_grants: confirmed,
    })
}

/// The grant's own record must name the person, the organisation and the text.
fn confirm(payload: &Payload, id: &GrantId, acceptance: &TermsAcceptance) -> Result<(), BundleError> {
    let wrong = || BundleError::Grant(id.clone());
    let record = payload.grants.get(id).ok_or_else(wrong)?;
    let (record, _) = checked::<GrantRecord>(record, GRANT_TYPE, &payload.keys).ok_or_else(wrong)?;
    let names = record.terms.iter().any(|t| t.sha256 == acceptance.sha256 && t.provider == acceptance.provider && t.url == acceptance.url);
    let fits = record.jti == *id && record.sub == acceptance.person && record.organisation == payload.organisation && names;
    if fits { Ok(()) } else { Err(wrong()) }
}

/// The claims of a JWS by one of the keys, and that key's thumbprint.
fn checked<C: serde::de::DeserializeOwned>(token: &str, typ: &str, keys: &[Jwk]) -> Option<(C, String)> {
    let kid = jose::decode_unverified::<serde_json::Value>(token, typ).ok()?.kid?;
    let key = keys.iter().find(|key| key.kid.as_deref() == Some(&kid))?;
    Some((jose::verify::<C>(token, typ, key).ok()?.claims, key.thumbprint()))
}
