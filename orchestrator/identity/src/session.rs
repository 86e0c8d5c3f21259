//! A person's signed-in browser.
//!
//! INVARIANT (fresh-session): every sign-in and every step-up makes a new session with a new cookie and ends the one before, so
//! that a cookie which somebody planted or copied earlier never becomes worth more.

mod end;
mod list;
mod start;

pub use end::{SessionEndError, session_end, sessions_end_others};
pub use list::{SessionRow, sessions_list};
pub use start::Place;
pub(crate) use start::{Begin, follow, renew, start};

use purser_authority::Caller;
use purser_crypto::{constant_time_eq, encoding, token};
use purser_db::{DbError, Tx, params};
use purser_values::Timestamp;
use purser_values::id::{OrganisationId, PersonId, SessionId};

use crate::keys::Keys;
use crate::limits::RECOVERY_OPEN_S;
use crate::person::{self, Member};
use crate::realm::Realm;
use crate::sso::SsoFacts;

/// The prefix of session cookies.
const PREFIX: &str = "pur_ss";

/// A session that is valid now. The role is the one that the person has now, not the one at sign-in.
#[derive(Clone, Debug)]
pub struct Session {
    pub id: SessionId,
    pub member: Member,
    /// Everything that the person is a member of, this one included.
    pub memberships: Vec<Member>,
    pub signed_in_at: Timestamp,
    /// When the person last proved that they are there. Absent after a sign-in by mail of somebody who has a passkey or an app:
    /// whoever reads the mailbox is not yet the person.
    pub present_at: Option<Timestamp>,
    pub expires_at: Timestamp,
    /// Whether a recovery of the person's login runs.
    pub recovering: bool,
    /// What their company said, where they signed in through it.
    pub sso: Option<SsoFacts>,
}

impl Session {
    #[must_use]
    pub fn caller(&self) -> Caller {
        Caller::Person {
            person: self.member.person.id.clone(),
            organisation: self.member.organisation.id.clone(),
            role: self.member.role,
            present_at: self.present_at,
        }
    }

    /// The token that every form of this session carries. It names the organisation in use, so that a form that was shown for one
    /// changes nothing in another.
    #[must_use]
    pub fn csrf(&self, keys: &Keys) -> String {
        encoding::b64url(&keys.mac("session-csrf", &[self.id.as_str(), self.member.organisation.id.as_str()]))
    }

    #[must_use]
    pub fn csrf_matches(&self, keys: &Keys, given: &str) -> bool {
        constant_time_eq(self.csrf(keys).as_bytes(), given.as_bytes())
    }
}

/// The session of a cookie, if it is valid now and the person still belongs to the organisation. Where a company signs its people in,
/// a session that began in another way is none, from the moment on at which the operator says so.
///
/// # Errors
/// When the store fails.
pub fn session_of(tx: &mut Tx<'_>, realm: &Realm, cookie: &str) -> Result<Option<Session>, DbError> {
    if !token::is_well_formed(cookie, PREFIX) {
        return Ok(None);
    }
    let now = realm.env.now();
    let select = "select id, person, organisation, signed_in_at, present_at, expires_at, sso, (select count(*) from recovery r
                    where r.person = session.person and r.ended_at is null and r.ready_at > $3) as recoveries
                  from session where token_hash = $1 and ended_at is null and expires_at > $2";
    let open = now.plus_secs(-RECOVERY_OPEN_S);
    let Some(row) = tx.query_opt(select, params![token::hash(cookie), now, open])? else { return Ok(None) };
    let (organisation, person): (OrganisationId, PersonId) = (row.parse("organisation")?, row.parse("person")?);
    let Some(member) = person::member(tx, &organisation, &person)? else { return Ok(None) };
    let sso = match row.get::<Option<String>>("sso")? {
        Some(_) => Some(row.json::<SsoFacts>("sso")?),
        None => None,
    };
    if !realm.sso.let_in(&member.person.email, sso.as_ref().map(|facts| &facts.connection)) {
        return Ok(None);
    }
    let memberships = person::memberships(tx, &person)?;
    Ok(Some(Session {
        id: row.parse("id")?,
        member,
        memberships,
        signed_in_at: row.get("signed_in_at")?,
        present_at: row.get("present_at")?,
        expires_at: row.get("expires_at")?,
        recovering: row.get::<i64>("recoveries")? > 0,
        sso,
    }))
}
