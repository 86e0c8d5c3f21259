//! What the pages of an organisation show.

use askama::Template;
use purser_authority::Role;
use purser_authority::action::{MemberInvite, MemberRemove, MemberRoleSet, OrganisationCreate, OrganisationRename};
use purser_identity::names::Names;
use purser_identity::organisation::MemberRow;
use purser_identity::person::{for_people, is_retired};
use purser_identity::session::Session;
use purser_values::Timestamp;

use super::super::named::{Named, words_of};
use super::super::page::PageContext;
use crate::membership::{People, Record, could};

#[derive(Template)]
#[template(path = "organisation.html")]
pub struct OrganisationPage {
    ctx: PageContext,
    name: String,
    id: String,
    members: Vec<MemberView>,
    invitations: Vec<InvitationView>,
    /// The roles that the person may offer; empty when they may not invite.
    offers: Vec<&'static str>,
    may_rename: bool,
    may_create: bool,
    /// Whether the person is the one owner, who cannot leave.
    last_owner: bool,
}

struct MemberView {
    id: String,
    email: String,
    role: &'static str,
    since: String,
    disabled: bool,
    is_self: bool,
    /// The roles that the person may set here; empty when they may not.
    choices: Vec<(&'static str, bool)>,
}

struct InvitationView {
    id: String,
    email: String,
    role: &'static str,
    invited_by: String,
    expires_at: String,
}

impl OrganisationPage {
    pub fn new(ctx: PageContext, session: &Session, people: &People) -> Self {
        let caller = session.caller();
        let offers = if could::<MemberInvite>(&caller) { givable(session) } else { Vec::new() };
        let invitation = |row: &purser_identity::invitation::InvitationRow| InvitationView {
            id: row.id.to_string(),
            email: row.email.to_string(),
            role: row.role.name(),
            invited_by: for_people(&row.invited_by),
            expires_at: row.expires_at.for_people(),
        };
        Self {
            ctx,
            name: session.member.organisation.name.clone(),
            id: session.member.organisation.id.to_string(),
            members: people.members.iter().map(|row| member_view(session, row)).collect(),
            invitations: people.invitations.iter().map(invitation).collect(),
            offers,
            may_rename: could::<OrganisationRename>(&caller),
            may_create: could::<OrganisationCreate>(&caller),
            last_owner: session.member.role == Role::Owner && people.members.iter().filter(|row| row.role == Role::Owner).count() == 1,
        }
    }
}

/// Only owners make owners.
fn givable(session: &Session) -> Vec<&'static str> {
    Role::ALL.iter().filter(|role| **role != Role::Owner || session.member.role == Role::Owner).map(|role| role.name()).collect()
}

fn member_view(session: &Session, row: &MemberRow) -> MemberView {
    let is_self = row.person == session.member.person.id;
    let may = could::<MemberRoleSet>(&session.caller())
        && !is_retired(&row.email)
        && (row.role != Role::Owner || session.member.role == Role::Owner);
    let roles = if may { givable(session) } else { Vec::new() };
    MemberView {
        id: row.person.to_string(),
        email: for_people(&row.email),
        role: row.role.name(),
        since: row.since.for_people(),
        disabled: row.disabled,
        is_self,
        choices: roles.into_iter().map(|name| (name, name == row.role.name())).collect(),
    }
}

#[derive(Template)]
#[template(path = "member.html")]
pub struct MemberPage {
    ctx: PageContext,
    id: String,
    email: Option<String>,
    role: Option<&'static str>,
    may_remove: bool,
    grants: Vec<GrantView>,
    decided: Vec<DecidedView>,
}

struct GrantView {
    id: String,
    agent: Named,
    accepted_at: String,
    in_force: bool,
    providers: String,
    cap: String,
}

struct DecidedView {
    at: String,
    what: String,
    verb: String,
    subject: Named,
}

impl MemberPage {
    pub fn new(ctx: PageContext, session: &Session, record: &Record, names: &Names, now: Timestamp) -> Self {
        let removable = |row: &MemberRow| row.role != Role::Owner || session.member.role == Role::Owner;
        Self {
            ctx,
            id: record.person.to_string(),
            email: record.member.as_ref().map(|row| for_people(&row.email)),
            role: record.member.as_ref().map(|row| row.role.name()),
            may_remove: could::<MemberRemove>(&session.caller()) && record.member.as_ref().is_some_and(removable),
            grants: record
                .grants
                .iter()
                .map(|g| GrantView {
                    id: g.id.to_string(),
                    agent: Named::of(names, g.agent.as_str()),
                    accepted_at: g.accepted_at.for_people(),
                    in_force: g.is_in_force(now),
                    providers: g.scope.providers.to_string(),
                    cap: g.scope.cap_per_provider_month.to_string(),
                })
                .collect(),
            decided: record
                .decided
                .iter()
                .map(|e| DecidedView {
                    at: e.at.for_people(),
                    what: words_of(&e.event.verb),
                    verb: e.event.verb.clone(),
                    subject: Named::of(names, &e.event.subject),
                })
                .collect(),
        }
    }
}
