//! `invitation_accept`: take an offered role.

use purser_authority::action::{Action as _, InvitationAccept, MemberInvite};
use purser_authority::{Caller, Done, Event, Permit};
use purser_crypto::token;
use purser_db::{DbError, Tx, params};
use purser_values::{Env, Timestamp};

use super::{Invitation, InvitationError, SELECT_OPEN, TOKEN, read};
use crate::organisation::may_give;
use crate::person::{self, Member, Person};

/// The offer behind a link, if it can be taken now. Looking changes nothing.
///
/// # Errors
/// When the store fails.
pub fn invitation_of(tx: &mut Tx<'_>, now: Timestamp, link: &str) -> Result<Option<Invitation>, DbError> {
    if !token::is_well_formed(link, TOKEN) {
        return Ok(None);
    }
    let Some(row) = tx.query_opt(SELECT_OPEN, params![token::hash(link), now])? else { return Ok(None) };
    let invitation = read(&row)?;
    // Whoever offered it must still be able to.
    let inviter = person::member(tx, &invitation.organisation, &invitation.invited_by)?;
    Ok(inviter.is_some_and(|inviter| stands(&inviter, &invitation)).then_some(invitation))
}

fn stands(inviter: &Member, invitation: &Invitation) -> bool {
    let caller = Caller::Person {
        person: inviter.person.id.clone(),
        organisation: inviter.organisation.id.clone(),
        role: inviter.role,
        present_at: None,
    };
    MemberInvite::RULE.persons.contains(&inviter.role) && may_give(&caller, invitation.role)
}

/// Takes the offer as the signed-in person, whose address must be the one that it was made to.
///
/// # Errors
/// [`InvitationError::Unknown`], [`InvitationError::OtherAddress`], [`InvitationError::AlreadyMember`].
pub fn invitation_accept(
    tx: &mut Tx<'_>,
    env: &Env,
    _permit: &Permit<InvitationAccept>,
    person: &Person,
    link: &str,
) -> Result<Done<Member>, InvitationError> {
    let invitation = invitation_of(tx, env.now(), link)?.ok_or(InvitationError::Unknown)?;
    if invitation.email != person.email {
        return Err(InvitationError::OtherAddress);
    }
    settle(tx, env, &invitation, person)
}

/// Makes the membership and uses the link up; of two at once one does.
pub(crate) fn settle(tx: &mut Tx<'_>, env: &Env, invitation: &Invitation, person: &Person) -> Result<Done<Member>, InvitationError> {
    let used = "update invitation set accepted_at = $2, accepted_by = $3 where id = $1 and accepted_at is null and revoked_at is null";
    if tx.execute(used, params![invitation.id, env.now(), person.id])? != 1 {
        return Err(InvitationError::Unknown);
    }
    if !person::join(tx, env, &invitation.organisation, &person.id, invitation.role)? {
        return Err(InvitationError::AlreadyMember(person.email.clone()));
    }
    let member = person::member(tx, &invitation.organisation, &person.id)?.ok_or(InvitationError::Unknown)?;
    let caller =
        Caller::Person { person: person.id.clone(), organisation: invitation.organisation.clone(), role: member.role, present_at: None };
    let event = Event::done(InvitationAccept::RULE.name, &caller, invitation.id.as_str())
        .related([&invitation.invited_by])
        .with(serde_json::json!({ "role": invitation.role, "email": person.email }));
    Ok(Done::with_event(member, event))
}
