//! `member_role_set`: give a member another role.

use purser_authority::action::{Action as _, GrantDecide, MemberRoleRaise, MemberRoleSet};
use purser_authority::{Denied, Done, Event, Facts, Permit, Role, authorise};
use purser_db::{Tx, params};
use purser_values::Timestamp;
use purser_values::id::PersonId;

use super::{MemberError, keep_an_owner, may_give, member_of};
use crate::person::Person;

#[derive(Clone, Debug)]
pub struct RoleSet {
    pub person: Person,
    pub before: Role,
    pub role: Role,
}

impl RoleSet {
    #[must_use]
    pub fn ends_grants(&self) -> bool {
        ends_grants(self.role)
    }
}

/// Whether a role may not make grants: then those that were made end, or agents would go on doing what the person no longer may.
pub(crate) fn ends_grants(role: Role) -> bool {
    !GrantDecide::RULE.persons.contains(&role)
}

/// Sets the role of the person that the permit is for. The role that they have already changes nothing.
///
/// # Errors
/// [`MemberError::OwnerRequired`], [`MemberError::OwnRole`], [`MemberError::LastOwner`], or [`Denied::NotFound`] for a stranger.
pub fn member_role_set(tx: &mut Tx<'_>, now: Timestamp, permit: &Permit<MemberRoleSet>, role: Role) -> Result<Done<RoleSet>, MemberError> {
    let person: PersonId = permit.subject().parse().map_err(|_| Denied::NotFound)?;
    let caller = permit.caller();
    let target = member_of(tx, caller, &person)?;
    let before = target.role;
    if !may_give(caller, before) || !may_give(caller, role) {
        return Err(MemberError::OwnerRequired);
    }
    if strength(role) > strength(before) {
        if caller.person() == Some(&person) {
            return Err(MemberError::OwnRole);
        }
        authorise::<MemberRoleRaise>(caller, &Facts::new(now, person.as_str())).map(drop)?;
    }
    let set = RoleSet { person: target.person, before, role };
    if before == role {
        return Ok(Done::quiet(set));
    }
    let organisation = &target.organisation.id;
    let update = "update membership set role = $3 where organisation = $1 and person = $2";
    tx.execute(update, params![organisation, person, role.name()])?;
    keep_an_owner(tx, organisation)?;
    let event = Event::done(permit.verb(), caller, person.as_str()).with(serde_json::json!({ "before": before, "role": role }));
    Ok(Done::with_event(set, event))
}

/// The stronger role has the larger number.
fn strength(role: Role) -> usize {
    Role::ALL.iter().rev().position(|other| *other == role).unwrap_or(0)
}
