//! `member_invite`: offer somebody a role in the caller's organisation.

use purser_authority::action::MemberInvite;
use purser_authority::{Caller, Denied, Done, Event, Permit, Role};
use purser_crypto::token;
use purser_db::{Tx, params};
use purser_values::Timestamp;
use purser_values::id::{InvitationId, OrganisationId};
use purser_values::name::Email;

use super::{InvitationError, TOKEN};
use crate::limits::{INVITATION_LIFE_S, INVITATIONS_PER_ADDRESS_DAY, INVITATIONS_PER_ORGANISATION_DAY, INVITATIONS_WAITING};
use crate::organisation::may_give;
use crate::person::{self, Member};
use crate::realm::Realm;

/// Makes the offer and mails its link. An earlier offer to the same address is taken back.
///
/// # Errors
/// [`InvitationError::OwnerRequired`], [`InvitationError::AlreadyMember`], [`InvitationError::TooMany`].
pub fn member_invite(
    tx: &mut Tx<'_>,
    realm: &Realm,
    permit: &Permit<MemberInvite>,
    email: &Email,
    role: Role,
) -> Result<Done<InvitationId>, InvitationError> {
    let Caller::Person { person, organisation, .. } = permit.caller() else { return Err(Denied::Anonymous.into()) };
    if !may_give(permit.caller(), role) {
        return Err(InvitationError::OwnerRequired);
    }
    let inviter = person::member(tx, organisation, person)?.ok_or(Denied::Anonymous)?;
    if let Some(known) = person::by_email(tx, email)? {
        let member = tx.query_opt("select person from membership where organisation = $1 and person = $2", params![organisation, known])?;
        if member.is_some() {
            return Err(InvitationError::AlreadyMember(email.clone()));
        }
    }
    let now = realm.env.now();
    ration(tx, organisation, email, now)?;
    let earlier =
        "update invitation set revoked_at = $3 where organisation = $1 and email = $2 and accepted_at is null and revoked_at is null";
    tx.execute(earlier, params![organisation, email, now])?;
    let (id, expires_at) = (InvitationId::mint(&realm.env), now.plus_secs(INVITATION_LIFE_S));
    let (link, digest) = token::mint(&realm.env, TOKEN);
    let insert = "insert into invitation (id, organisation, email, role, token_hash, invited_by, created_at, expires_at)
                  values ($1, $2, $3, $4, $5, $6, $7, $8)";
    tx.execute(insert, params![id, organisation, email, role.name(), digest, person, now, expires_at])?;
    let job = realm.mail(email, "You are invited to an organisation", text(realm, &inviter, email, role, expires_at, link.expose()))?;
    let event = Event::done(permit.verb(), permit.caller(), id.as_str()).with(serde_json::json!({ "email": email, "role": role }));
    Ok(Done::with_event(id, event).and_job(job))
}

/// So that nobody fills a stranger's mailbox through us.
fn ration(tx: &mut Tx<'_>, organisation: &OrganisationId, email: &Email, now: Timestamp) -> Result<(), InvitationError> {
    let count = "select
        (select count(*) from invitation where email = $2 and created_at > $3) as to_address,
        (select count(*) from invitation where organisation = $1 and created_at > $3) as by_organisation,
        (select count(*) from invitation where organisation = $1 and accepted_at is null and revoked_at is null and expires_at > $4) as waiting";
    let row = tx.query_one(count, params![organisation, email, now.plus_secs(-86_400), now])?;
    let over = row.get::<i64>("to_address")? >= INVITATIONS_PER_ADDRESS_DAY
        || row.get::<i64>("by_organisation")? >= INVITATIONS_PER_ORGANISATION_DAY
        || row.get::<i64>("waiting")? >= INVITATIONS_WAITING;
    if over { Err(InvitationError::TooMany) } else { Ok(()) }
}

fn text(realm: &Realm, inviter: &Member, email: &Email, role: Role, expires_at: Timestamp, link: &str) -> String {
    format!(
        "{inviter} invites you ({email}) to the organisation\n\n    \"{name}\"\n\nat {issuer}, as {role}. \
         The name was chosen by its people; nobody has verified it.\n\n\
         To look at the invitation, open\n\n    {url}\n\n\
         It works once, for this address only, until {expires_at}. If you do not know what this is about, ignore this mail.\n",
        inviter = inviter.person.email,
        name = inviter.organisation.name,
        expires_at = expires_at.for_people(),
        issuer = realm.issuer,
        url = realm.url(&format!("/invitation?token={link}")),
    )
}
