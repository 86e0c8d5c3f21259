//! Authorization codes: minted at a person's yes, for one client, one address and one PKCE verifier; used once, within a minute.

use purser_crypto::token;
use purser_db::{DbError, Tx, params};
use purser_values::id::{GrantId, GrantRequestId, OrganisationId, PersonId, SessionId};
use purser_values::{Secret, Timestamp};
use serde::{Deserialize, Serialize};

use super::Pending;
use crate::client::RedirectUri;
use crate::limits::CODE_LIFE_S;
use crate::realm::Realm;
use crate::scope::Scope;
use crate::session::Session;

pub(crate) const CODE: &str = "pur_ac";
/// Signed in with a passkey, with a code that was sent by e-mail, or elsewhere.
pub const ACR_PHISHING_RESISTANT: &str = "phr";
pub const ACR_MAILED_CODE: &str = "urn:purser:acr:mailed-code";
pub const ACR_OTHER: &str = "urn:purser:acr:other";

/// What a code stands for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CodeFacts {
    pub redirect_uri: RedirectUri,
    pub challenge: String,
    pub dpop_jkt: Option<String>,
    pub resource: Option<String>,
    pub what: CodeFor,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "for", rename_all = "snake_case")]
pub(crate) enum CodeFor {
    SignOn(SignedInFacts),
    Grant { grant: GrantId, request: GrantRequestId },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SignedInFacts {
    pub person: PersonId,
    pub organisation: OrganisationId,
    pub session: SessionId,
    pub auth_time: Timestamp,
    pub acr: String,
    pub amr: Vec<String>,
    pub scope: Scope,
    pub nonce: Option<String>,
}

impl SignedInFacts {
    pub(super) fn of(tx: &mut Tx<'_>, session: &Session, scope: Scope, nonce: Option<String>) -> Result<Self, DbError> {
        let method: Option<String> = tx.query_one("select method from session where id = $1", params![session.id])?.get("method")?;
        let (acr, amr) = how_well(method.as_deref());
        Ok(Self {
            person: session.member.person.id.clone(),
            organisation: session.member.organisation.id.clone(),
            session: session.id.clone(),
            auth_time: session.signed_in_at,
            acr: acr.to_owned(),
            amr: session.sso.as_ref().map_or_else(|| amr.iter().map(|&how| how.to_owned()).collect(), |sso| sso.amr.clone()),
            scope,
            nonce,
        })
    }
}

/// How well the person proved who they are (OpenID Connect EAP ACR Values 1.0 for `phr`), and how (RFC 8176).
fn how_well(method: Option<&str>) -> (&'static str, &'static [&'static str]) {
    match method {
        Some("passkey") => (ACR_PHISHING_RESISTANT, &["pop", "user"]),
        Some("email_code") | None => (ACR_MAILED_CODE, &["otp"]),
        Some(_) => (ACR_OTHER, &[]),
    }
}

pub(super) fn mint(tx: &mut Tx<'_>, realm: &Realm, pending: &Pending, what: CodeFor) -> Result<Secret<String>, DbError> {
    let (plain, digest) = token::mint(&realm.env, CODE);
    let (asked, now) = (&pending.asked, realm.env.now());
    let facts = CodeFacts {
        redirect_uri: asked.redirect_uri.clone(),
        challenge: asked.code_challenge.clone(),
        dpop_jkt: asked.dpop_jkt.clone(),
        resource: asked.resource.clone(),
        what,
    };
    let insert =
        "insert into authorization_code (code_hash, request, client, issue, created_at, expires_at) values ($1, $2, $3, $4, $5, $6)";
    let until: Timestamp = now.plus_secs(CODE_LIFE_S);
    tx.execute(insert, params![digest, pending.id, asked.client.as_str(), serde_json::json!(facts), now, until])?;
    Ok(plain)
}
