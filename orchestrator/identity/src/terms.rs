//! Terms documents, byte for byte, and who accepted them.

mod accept;
mod bundle;
mod ledger;

pub(crate) use accept::check_shown;
pub use accept::{TermsError, terms_accept};
pub use bundle::{Bundle, BundleError, ExportError, Verified, terms_export, terms_verify};
pub use ledger::{ProviderTerms, TermsStanding, terms_ledger};

use purser_db::{DbError, Row, Tx, params};
use purser_values::id::{AgentId, GrantId, OrganisationId, PersonId, TermsAcceptanceId};
use purser_values::name::ProviderName;
use purser_values::{Env, Sha256Digest, Timestamp};

use serde::{Deserialize, Serialize};

use crate::consent::TermsSeen;

/// A document as a provider publishes it.
#[derive(Clone, Debug)]
pub struct TermsDocument {
    pub url: String,
    pub version: String,
    pub title: String,
    pub body: Vec<u8>,
}

/// Who accepted which text.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TermsAcceptance {
    pub id: TermsAcceptanceId,
    pub person: PersonId,
    /// The grant that it came with; absent when it was accepted on the page of terms.
    pub grant: Option<GrantId>,
    /// The agent that had asked.
    pub agent: Option<AgentId>,
    /// Where it was accepted.
    pub method: String,
    pub provider: ProviderName,
    pub url: String,
    pub version: String,
    pub sha256: Sha256Digest,
    pub accepted_at: Timestamp,
}

/// Keeps a provider's documents in force, with their bytes; what is no longer among them is superseded and stays.
///
/// # Errors
/// When the store fails.
pub fn terms_keep(tx: &mut Tx<'_>, env: &Env, provider: &ProviderName, documents: &[TermsDocument]) -> Result<(), DbError> {
    let now = env.now();
    tx.execute("update terms_document set superseded_at = $2 where provider = $1 and superseded_at is null", params![provider, now])?;
    let insert = "insert into terms_document (provider, sha256, url, version, title, body, kept_at) values ($1, $2, $3, $4, $5, $6, $7)
                  on conflict (provider, url, version, sha256) do update set superseded_at = null, title = excluded.title";
    for document in documents {
        let sha256 = Sha256Digest::of(&document.body);
        tx.execute(insert, params![provider, sha256, document.url, document.version, document.title, document.body, now])?;
    }
    Ok(())
}

/// A provider's documents in force.
///
/// # Errors
/// When the store fails.
pub fn terms_in_force(tx: &mut Tx<'_>, provider: &ProviderName) -> Result<Vec<TermsSeen>, DbError> {
    let select = "select provider, title, url, version, sha256 from terms_document
                  where provider = $1 and superseded_at is null order by url, version, sha256";
    let seen = |row: &Row| {
        Ok(TermsSeen {
            provider: row.parse("provider")?,
            title: row.get("title")?,
            url: row.get("url")?,
            version: row.get("version")?,
            sha256: row.get("sha256")?,
        })
    };
    tx.query(select, params![provider])?.iter().map(seen).collect()
}

/// The kept bytes of a document, superseded or not.
///
/// # Errors
/// When the store fails.
pub fn terms_body(tx: &mut Tx<'_>, sha256: &Sha256Digest) -> Result<Option<Vec<u8>>, DbError> {
    tx.query_opt("select body from terms_document where sha256 = $1 limit 1", params![sha256])?.map(|row| row.get("body")).transpose()
}

/// What an organisation accepted, newest first.
///
/// # Errors
/// When the store fails.
pub fn accepted(tx: &mut Tx<'_>, organisation: &OrganisationId) -> Result<Vec<TermsAcceptance>, DbError> {
    let select = "select * from terms_acceptance where organisation = $1 order by accepted_at desc, id";
    let read = |row: &Row| {
        Ok(TermsAcceptance {
            id: row.parse("id")?,
            person: row.parse("person")?,
            grant: match row.get::<String>("grant_id")?.as_str() {
                "" => None,
                _ => Some(row.parse("grant_id")?),
            },
            agent: row.parse_opt("agent")?,
            method: row.get("method")?,
            provider: row.parse("provider")?,
            url: row.get("url")?,
            version: row.get("version")?,
            sha256: row.get("sha256")?,
            accepted_at: row.get("accepted_at")?,
        })
    };
    tx.query(select, params![organisation])?.iter().map(read).collect()
}

/// Where a text can be accepted.
pub(crate) const CONSENT_PAGE: &str = "consent page";
pub(crate) const TERMS_PAGE: &str = "terms page";

/// Who accepts for whom, and how.
pub(crate) struct Accepting<'a> {
    pub organisation: &'a OrganisationId,
    pub person: &'a PersonId,
    pub grant: Option<&'a GrantId>,
    pub agent: Option<&'a AgentId>,
    pub method: &'a str,
}

pub(crate) fn record(tx: &mut Tx<'_>, env: &Env, accepting: &Accepting<'_>, seen: &TermsSeen) -> Result<TermsAcceptanceId, DbError> {
    let id = TermsAcceptanceId::mint(env);
    let insert = "insert into terms_acceptance
                      (id, organisation, person, grant_id, provider, sha256, url, version, accepted_at, method, agent)
                  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    let Accepting { organisation, person, grant, agent, method } = accepting;
    let who = params![id, organisation, person, grant.map_or("", GrantId::as_str)];
    let what = params![seen.provider, seen.sha256, seen.url, seen.version, env.now(), *method, agent];
    tx.execute(insert, &[who, what].concat())?;
    Ok(id)
}
