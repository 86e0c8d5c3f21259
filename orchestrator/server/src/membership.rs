//! Members, invitations and organisations as the pages and the API both use them: who asks, one use case, one write.

use purser_audit::Entry;
use purser_authority::action::{InvitationRevoke, MemberInvite, MembershipRead, OrganisationCreate, OrganisationRename};
use purser_authority::{Action, Attempt, Caller, Denied, Facts, Permit, Role, authorise};
use purser_db::{DbError, Tx};
use purser_identity::Realm;
use purser_identity::grant::{self, Grant};
use purser_identity::invitation::{InvitationError, InvitationRow, invitation_revoke as take_back, invitations_list, member_invite};
use purser_identity::organisation::{
    MemberError, MemberRow, OrganisationError, OrganisationName, members_list, organisation_create, organisation_rename,
};
use purser_identity::person::{Member, Organisation};
use purser_provisioning::{Core, OffBoarded, OpError, member_leave, member_remove, member_role_set, perform};
use purser_values::Timestamp;
use purser_values::id::{InvitationId, PersonId};
use purser_values::name::Email;

/// Everybody in the caller's organisation, and who was invited.
pub struct People {
    pub members: Vec<MemberRow>,
    pub invitations: Vec<InvitationRow>,
}

/// What one person granted and decided in the organisation.
pub struct Record {
    pub person: PersonId,
    /// Absent when the person is no member (any more).
    pub member: Option<MemberRow>,
    pub grants: Vec<Grant>,
    pub decided: Vec<Entry>,
}

pub fn people(tx: &mut Tx<'_>, now: Timestamp, permit: &Permit<MembershipRead>) -> Result<People, DbError> {
    Ok(People { members: members_list(tx, permit)?, invitations: invitations_list(tx, now, permit)? })
}

/// Whoever was never here does not exist.
pub fn record(tx: &mut Tx<'_>, permit: &Permit<MembershipRead>, person: &PersonId) -> Result<Record, OpError> {
    let organisation = permit.caller().organisation().ok_or(Denied::NotFound)?;
    let member = members_list(tx, permit)?.into_iter().find(|row| row.person == *person);
    let grants = grant::of_person(tx, organisation, person)?;
    let decided = purser_audit::decided_by(tx, organisation, person)?;
    if member.is_none() && grants.is_empty() && decided.is_empty() {
        return Err(Denied::NotFound.into());
    }
    Ok(Record { person: person.clone(), member, grants, decided })
}

/// Whether the caller's role could do the action at all: for pages, which leave out what would be refused.
pub fn could<A: Action>(caller: &Caller) -> bool {
    matches!(caller, Caller::Person { role, .. } if A::RULE.persons.contains(role))
}

pub async fn invite(core: &Core, realm: &Realm, caller: &Caller, email: Email, role: Role) -> Result<InvitationId, InvitationError> {
    let (realm, who) = (realm.clone(), caller.clone());
    perform(core, Attempt::new("member_invite", caller, email.as_str()), move |tx| {
        let permit = permit::<MemberInvite>(&who, realm.env.now(), email.as_str())?;
        member_invite(tx, &realm, &permit, &email, role)
    })
    .await
}

pub async fn invitation_revoke(core: &Core, caller: &Caller, id: InvitationId) -> Result<(), InvitationError> {
    let (env, who) = (core.env.clone(), caller.clone());
    perform(core, Attempt::new("invitation_revoke", caller, id.as_str()), move |tx| {
        let permit = permit::<InvitationRevoke>(&who, env.now(), id.as_str())?;
        take_back(tx, env.now(), &permit)
    })
    .await
}

pub async fn role_set(core: &Core, caller: &Caller, person: PersonId, role: Role) -> Result<OffBoarded, MemberError> {
    let (env, who) = (core.env.clone(), caller.clone());
    perform(core, Attempt::new("member_role_set", caller, person.as_str()), move |tx| {
        let permit = permit(&who, env.now(), person.as_str())?;
        member_role_set(tx, &env, &permit, role)
    })
    .await
}

pub async fn remove(core: &Core, caller: &Caller, person: PersonId) -> Result<OffBoarded, MemberError> {
    let (env, who) = (core.env.clone(), caller.clone());
    perform(core, Attempt::new("member_remove", caller, person.as_str()), move |tx| member_remove(tx, &env, &who, &person)).await
}

pub async fn leave(core: &Core, caller: &Caller) -> Result<OffBoarded, MemberError> {
    let (env, who) = (core.env.clone(), caller.clone());
    let subject = caller.person().map(ToString::to_string).unwrap_or_default();
    perform(core, Attempt::new("member_leave", caller, subject), move |tx| member_leave(tx, &env, &who)).await
}

pub async fn create(core: &Core, caller: &Caller, name: OrganisationName) -> Result<Member, OrganisationError> {
    let (env, who) = (core.env.clone(), caller.clone());
    perform(core, Attempt::new("organisation_create", caller, name.as_str()), move |tx| {
        let permit = permit::<OrganisationCreate>(&who, env.now(), name.as_str())?;
        organisation_create(tx, &env, &permit, &name)
    })
    .await
}

pub async fn rename(core: &Core, caller: &Caller, name: OrganisationName) -> Result<Organisation, OrganisationError> {
    let (env, who) = (core.env.clone(), caller.clone());
    let subject = caller.organisation().map(ToString::to_string).unwrap_or_default();
    perform(core, Attempt::new("organisation_rename", caller, subject.clone()), move |tx| {
        organisation_rename(tx, &permit::<OrganisationRename>(&who, env.now(), &subject)?, &name)
    })
    .await
}

/// INVARIANT (agent-cannot-widen): none of these is an agent's, so no grant is looked at.
pub fn permit<A: Action>(caller: &Caller, now: Timestamp, subject: &str) -> Result<Permit<A>, Denied> {
    authorise::<A>(caller, &Facts::new(now, subject))
}
