//! Off-boarding in all domains at once: whoever goes takes the grants along that they gave.
//!
//! INVARIANT (off-boarded): in the write that ends a membership (or a role that may grant, or a person, or an organisation) the
//! grants that lived by it end too, and every provider at which no other grant covers the agent is told to disable its credentials.

use purser_authority::action::{GrantRevoke, MemberLeave, MemberRemove, MemberRoleSet, OrganisationDisable, PersonDisable};
use purser_authority::{Caller, Denied, Done, Event, Facts, Permit, Role, authorise};
use purser_db::{DbError, Tx};
use purser_identity::grant::{self, Grant, RevokeError};
use purser_identity::organisation::{self, DisableError, MemberError};
use purser_identity::person::Person;
use purser_values::Env;
use purser_values::id::{GrantId, OrganisationId, PersonId};
use serde::Serialize;

use crate::agent_control::follow_grants;

/// Who is gone (or changed roles), and what ended with it.
#[derive(Clone, Debug, Serialize)]
pub struct OffBoarded {
    pub person: Person,
    pub sessions: u64,
    pub tokens: u64,
    /// The grants that ended now.
    pub grants: Vec<GrantId>,
}

/// `member_remove`.
///
/// # Errors
/// See [`MemberError`].
pub fn member_remove(tx: &mut Tx<'_>, env: &Env, caller: &Caller, person: &PersonId) -> Result<Done<OffBoarded>, MemberError> {
    let permit = authorise::<MemberRemove>(caller, &Facts::new(env.now(), person.as_str()))?;
    // An owner who removes themselves leaves; the rule of who may is the same, and so is what ends.
    let ended = organisation::member_remove(tx, env.now(), &permit)?;
    off_board(tx, env, caller, ended)
}

/// `member_leave`.
///
/// # Errors
/// See [`MemberError`].
pub fn member_leave(tx: &mut Tx<'_>, env: &Env, caller: &Caller) -> Result<Done<OffBoarded>, MemberError> {
    let subject = caller.person().map(ToString::to_string).unwrap_or_default();
    let permit = authorise::<MemberLeave>(caller, &Facts::new(env.now(), &subject))?;
    let ended = organisation::member_leave(tx, env.now(), &permit)?;
    off_board(tx, env, caller, ended)
}

fn off_board(tx: &mut Tx<'_>, env: &Env, caller: &Caller, mut ended: Done<organisation::Removed>) -> Result<Done<OffBoarded>, MemberError> {
    let organisation = caller.organisation().ok_or(Denied::NotFound)?;
    let grants = end_grants_of::<MemberError>(tx, env, caller, organisation, &ended.value.person.id, "its person left the organisation")?;
    let grants = ended.absorb(grants);
    Ok(ended.map(|gone| OffBoarded { person: gone.person, sessions: gone.sessions, tokens: gone.tokens, grants }))
}

/// `member_role_set`; a role that may not grant ends what was granted.
///
/// # Errors
/// See [`MemberError`].
pub fn member_role_set(tx: &mut Tx<'_>, env: &Env, permit: &Permit<MemberRoleSet>, role: Role) -> Result<Done<OffBoarded>, MemberError> {
    let mut set = organisation::member_role_set(tx, env.now(), permit, role)?;
    let organisation = permit.caller().organisation().ok_or(Denied::NotFound)?;
    let grants = if set.value.ends_grants() {
        let ended =
            end_grants_of::<MemberError>(tx, env, permit.caller(), organisation, &set.value.person.id, "its person may no longer grant")?;
        set.absorb(ended)
    } else {
        Vec::new()
    };
    Ok(set.map(|set| OffBoarded { person: set.person, sessions: 0, tokens: 0, grants }))
}

/// `person_disable`: in every organisation.
///
/// # Errors
/// When there is no such person, the caller is not the operator, or the store fails.
pub fn person_disable(tx: &mut Tx<'_>, env: &Env, caller: &Caller, person: &PersonId) -> Result<Done<Vec<GrantId>>, DisableError> {
    let permit = authorise::<PersonDisable>(caller, &Facts::new(env.now(), person.as_str()))?;
    let mut done = organisation::person_disable(tx, env.now(), &permit)?;
    let mut ended = Vec::new();
    for organisation in done.value.clone() {
        let grants = end_grants_of::<DisableError>(tx, env, caller, &organisation, person, "its person was disabled")?;
        ended.extend(done.absorb(grants));
    }
    Ok(done.map(|_| ended))
}

/// `organisation_disable`.
///
/// # Errors
/// As [`person_disable`].
pub fn organisation_disable(tx: &mut Tx<'_>, env: &Env, caller: &Caller, id: &OrganisationId) -> Result<Done<Vec<GrantId>>, DisableError> {
    let permit = authorise::<OrganisationDisable>(caller, &Facts::new(env.now(), id.as_str()))?;
    let mut done = organisation::organisation_disable(tx, env.now(), &permit)?;
    let grants = grant::of_organisation(tx, id)?;
    let grants = end::<DisableError>(tx, env, caller, grants, "the organisation was disabled")?;
    let ended = done.absorb(grants);
    Ok(done.map(|_| ended))
}

pub(crate) fn end_grants_of<E: From<DbError> + From<Denied>>(
    tx: &mut Tx<'_>,
    env: &Env,
    caller: &Caller,
    organisation: &OrganisationId,
    person: &PersonId,
    how: &str,
) -> Result<Done<Vec<GrantId>>, E> {
    let grants = grant::of_person(tx, organisation, person)?;
    end(tx, env, caller, grants, how)
}

/// Ends those that are in force. Whoever may remove the person may end what they granted, so the permit is the system's and the
/// events name the one who did it.
fn end<E: From<DbError> + From<Denied>>(
    tx: &mut Tx<'_>,
    env: &Env,
    caller: &Caller,
    grants: Vec<Grant>,
    how: &str,
) -> Result<Done<Vec<GrantId>>, E> {
    let now = env.now();
    let mut done = Done::quiet(Vec::new());
    let mut agents = Vec::new();
    for found in grants.into_iter().filter(|grant| grant.is_in_force(now)) {
        let permit = authorise::<GrantRevoke>(&Caller::System, &Facts::new(now, found.id.as_str()))?;
        let ended = match grant::grant_revoke(tx, now, permit, how) {
            Ok(ended) => ended,
            Err(RevokeError::Denied(e)) => return Err(e.into()),
            Err(RevokeError::Db(e)) => return Err(e.into()),
            Err(RevokeError::Link(_)) => continue,
        };
        done.events.extend(ended.events.into_iter().map(|event| Event {
            caller: caller.clone(),
            organisation: Some(found.organisation.clone()),
            ..event
        }));
        done.jobs.extend(ended.jobs);
        done.value.push(found.id);
        agents.push(found.agent);
    }
    agents.sort();
    agents.dedup();
    for agent in agents {
        done.jobs.extend(follow_grants(tx, env, &agent)?);
    }
    Ok(done)
}
