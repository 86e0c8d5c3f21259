//! Links: what connects one subject of an orchestrator (an organisation, by a name made for us) with one account.
//!
//! A link is *agreed* by the account's owner, *active* from the moment the orchestrator redeems the code of that agreement, and *cut*
//! when the owner takes it back. Tokens hang on it and are looked up with it, so a cut bites on the next call.
//!
//! INVARIANT (owner-links): no link to an account that was there before becomes active without a code that its owner's signed-in
//! browser caused, for the very request that the link is for.
//! INVARIANT (one-tenant): at one orchestrator, an account is actively linked with one subject, and a subject with one account.

pub mod activate;
pub mod choose;
pub mod cut;
pub mod decide;
pub mod get;
pub mod request;
pub mod scope;

use std::str::FromStr;

use purser_crypto::token;
use purser_db::{DbError, Row, Tx, params};
use purser_values::id::{CloudAccountId, CloudLinkId, CloudPersonId};
use purser_values::{Env, Sha256Digest, Timestamp};

use crate::account::Owner;
use scope::Scopes;

/// A connection of an orchestrator with an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub id: CloudLinkId,
    pub account: CloudAccountId,
    /// Whose it is at the orchestrator.
    pub owner: Owner,
    /// What the orchestrator calls the organisation.
    pub organisation: String,
    /// Who agreed; nobody, when the account was opened with it.
    pub person: Option<CloudPersonId>,
    pub state: LinkState,
    pub scopes: Scopes,
    pub since: Option<Timestamp>,
    pub used_at: Option<Timestamp>,
    pub cut_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// The owner said yes; the orchestrator has not fetched its tokens.
    Agreed,
    Active,
    Cut,
}

impl LinkState {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agreed => "agreed",
            Self::Active => "active",
            Self::Cut => "cut",
        }
    }
}

impl FromStr for LinkState {
    type Err = DbError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match s {
            "agreed" => Ok(Self::Agreed),
            "active" => Ok(Self::Active),
            "cut" => Ok(Self::Cut),
            other => Err(DbError::Corrupt(format!("`{other}` is no state of a link"))),
        }
    }
}

/// What a link is made of.
pub(crate) struct Draft<'a> {
    pub account: &'a CloudAccountId,
    pub owner: &'a Owner,
    pub organisation: &'a str,
    pub person: Option<&'a CloudPersonId>,
    pub state: LinkState,
    pub scopes: Scopes,
}

/// Makes a link, or takes up the one that the same subject had with the same account: its id stays, so that a repeated order is
/// still known as the same. Nothing when that one is active.
pub(crate) fn put(tx: &mut Tx<'_>, env: &Env, draft: &Draft<'_>) -> Result<Option<CloudLinkId>, DbError> {
    let (now, owner) = (env.now(), draft.owner);
    let since = (draft.state == LinkState::Active).then_some(now);
    let upsert = "insert into cloud_link (id, account, issuer, subject, attested, organisation, person, state, scopes, created_at, since)
                  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
                  on conflict (issuer, subject, attested, account) do update
                      set organisation = $6, person = $7, state = $8, scopes = $9, created_at = $10, since = $11, cut_at = null
                      where cloud_link.state <> 'active' returning id";
    let values = params![
        CloudLinkId::mint(env),
        draft.account,
        owner.issuer,
        owner.subject,
        owner.attested,
        draft.organisation,
        draft.person,
        draft.state.as_str(),
        draft.scopes.to_string(),
        now,
        since
    ];
    tx.query_opt(upsert, values)?.map(|row| row.parse("id")).transpose()
}

pub(crate) fn read(row: &Row) -> Result<Link, DbError> {
    Ok(Link {
        id: row.parse("id")?,
        account: row.parse("account")?,
        owner: Owner { issuer: row.get("issuer")?, subject: row.get("subject")?, attested: row.get("attested")? },
        organisation: row.get("organisation")?,
        person: row.parse_opt("person")?,
        state: row.parse("state")?,
        scopes: row.parse("scopes")?,
        since: row.get("since")?,
        used_at: row.get("used_at")?,
        cut_at: row.get("cut_at")?,
    })
}

/// The digest under which a state is kept.
pub(crate) fn state_digest(state: &str) -> Sha256Digest {
    token::hash(state)
}
