//! Making a grant: the signed record, the row and the mail with its revoke link.

use purser_authority::{Done, GrantScope};
use purser_crypto::jose::{JoseError, Jwk};
use purser_crypto::seal::SealError;
use purser_crypto::token;
use purser_db::{DbError, Tx, params};
use purser_values::id::{AgentId, GrantId, GrantRequestId, OrganisationId, PersonId};
use purser_values::{Sha256Digest, Timestamp};
use serde::{Deserialize, Serialize};

use super::consent::Consent;
use super::link::REVOKE_LINK;
use super::{Grant, GrantState};
use crate::agent::Agent;
use crate::consent::TermsSeen;
use crate::grant_request::GrantRequest;
use crate::person::Member;
use crate::realm::Realm;

/// The `typ` of the record's JWS.
pub(super) const TYPE: &str = "grant+jwt";

/// The claims of the signed record: enough to judge it without this database.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GrantRecord {
    pub iss: String,
    /// The person.
    pub sub: PersonId,
    pub jti: GrantId,
    pub iat: i64,
    pub exp: i64,
    pub email: String,
    pub organisation: OrganisationId,
    pub agent: RecordAgent,
    /// What a person answered; a derived grant has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<GrantRequestId>,
    /// The grant that it was derived from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<RecordParent>,
    pub accepted_at: Timestamp,
    pub scope: GrantScope,
    pub terms: Vec<TermsSeen>,
    /// The person's own signature, if they have a passkey and used it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent: Option<Consent>,
}

/// A grant by its id and the digest of its record, so that the whole chain can be checked from its records.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RecordParent {
    pub grant: GrantId,
    pub sha256: Sha256Digest,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RecordAgent {
    pub id: AgentId,
    pub claimed_name: String,
    pub jkt: String,
    pub jwk: Jwk,
}

/// Where a grant comes from.
pub(crate) enum Origin<'a> {
    /// A person's answer, given at `at`: the scope counts from then, and so does what is compared with it.
    Request { request: &'a GrantRequest, at: Timestamp },
    /// An agent that acts under `parent`.
    Derived { parent: &'a Grant, key: &'a Jwk },
}

#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Jose(#[from] JoseError),
    #[error(transparent)]
    Db(#[from] DbError),
}

pub(crate) fn make(
    tx: &mut Tx<'_>,
    realm: &Realm,
    member: &Member,
    agent: &Agent,
    origin: &Origin<'_>,
    scope: GrantScope,
    terms: &[TermsSeen],
    consent: Option<Consent>,
) -> Result<Done<Grant>, MakeError> {
    let id = GrantId::mint(&realm.env);
    let (request, parent, key, now) = match origin {
        Origin::Request { request, at } => (Some(&request.id), None, &request.key, *at),
        Origin::Derived { parent, key } => (None, Some(*parent), *key, realm.env.now()),
    };
    let record = GrantRecord {
        iss: realm.issuer.to_string(),
        sub: member.person.id.clone(),
        jti: id.clone(),
        iat: now.as_secs(),
        exp: scope.expires_at.as_secs(),
        email: member.person.email.to_string(),
        organisation: member.organisation.id.clone(),
        agent: RecordAgent { id: agent.id.clone(), claimed_name: agent.name.to_string(), jkt: agent.jkt.clone(), jwk: key.clone() },
        request: request.cloned(),
        parent: parent.map(|above| RecordParent { grant: above.id.clone(), sha256: above.record_digest }),
        accepted_at: now,
        scope: scope.clone(),
        terms: terms.to_vec(),
        consent,
    };
    let record = realm.keys.sign(TYPE, &record)?;
    let record_digest = Sha256Digest::of(record.as_bytes());
    let insert = "insert into agent_grant
        (id, organisation, person, agent, request, scope, terms, record, record_digest, accepted_at, expires_at, parent)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    let (scope_json, terms_json) = (serde_json::json!(scope), serde_json::json!(terms));
    let (organisation, person) = (&member.organisation.id, &member.person.id);
    // One request makes one grant; a derived grant is its own request.
    let request = request.map_or(id.as_str(), GrantRequestId::as_str);
    let who = params![id, organisation, person, agent.id, request];
    let what = params![scope_json, terms_json, record, record_digest, now, scope.expires_at, parent.map(|above| &above.id)];
    tx.execute(insert, &[who, what].concat())?;
    let grant = Grant {
        id,
        organisation: organisation.clone(),
        person: person.clone(),
        agent: agent.id.clone(),
        parent: parent.map(|above| above.id.clone()),
        scope,
        terms: terms.to_vec(),
        record,
        record_digest,
        accepted_at: now,
        state: GrantState::InForce,
    };
    // The person decided nothing here, and can follow helpers on the agents page.
    let Origin::Request { request, .. } = origin else { return Ok(Done::quiet(grant)) };
    let (link, digest) = token::mint(&realm.env, REVOKE_LINK);
    let keep = "insert into revoke_link (token_hash, grant_id, created_at) values ($1, $2, $3)";
    tx.execute(keep, params![digest, grant.id, now])?;
    let text = notice(realm, member, agent, request, &grant, link.expose());
    let job = realm.mail(&member.person.email, "You let an agent act for you", text)?;
    Ok(Done::quiet(grant).and_job(job))
}

fn notice(realm: &Realm, member: &Member, agent: &Agent, request: &GrantRequest, grant: &Grant, link: &str) -> String {
    format!(
        "At {at} you let an agent act for you ({email}, organisation {organisation}).\n\n\
         It calls itself:  \"{name}\" (nobody has verified this)\n\
         Its key:          {jkt}\n\
         Asked from:       {peer}\n\
         Projects:         {projects} (environments: {environments})\n\
         Providers:        {providers} (services: {services})\n\
         At most:          {cap} a month at each provider{own_caps}{total}\n\
         Helpers:          {helpers}\n\
         Not refundable:   {irreversible}\n\
         Credentials:      {export}\n\
         Ends:             {ends}\n\n\
         If that was not you, or you have changed your mind, open\n\n    {url}\n\n\
         and end it there. You can also freeze the agent at {agents}\n",
        at = grant.accepted_at.for_people(),
        email = member.person.email,
        organisation = member.organisation.name,
        name = agent.name,
        jkt = agent.jkt,
        peer = request.peer,
        projects = grant.scope.projects,
        environments = grant.scope.environments,
        providers = grant.scope.providers,
        services = grant.scope.services,
        own_caps = grant.scope.caps.iter().map(|(name, cap)| format!(", {cap} at {name}")).collect::<String>(),
        total = grant.scope.total.map(|total| format!("; {total} in all")).unwrap_or_default(),
        helpers = if grant.scope.actions.iter().any(|action| action == "agent_delegate") {
            "it may let others in, within this grant"
        } else {
            "not allowed"
        },
        cap = grant.scope.cap_per_provider_month,
        ends = grant.scope.expires_at.for_people(),
        irreversible = if grant.scope.irreversible { "allowed" } else { "not allowed" },
        export = if grant.scope.export { "it may see them" } else { "it never sees them" },
        url = realm.url(&format!("/revoke?token={link}")),
        agents = realm.url("/agents"),
    )
}
