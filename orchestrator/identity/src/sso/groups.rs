//! The company's groups decide who is a member of its organisation, in which role, anew at every sign-in.
//!
//! INVARIANT (owned) holds here too: the last owner stays one, whatever the groups say.

use purser_authority::{Caller, Event, Role};
use purser_db::{DbError, Tx, params};
use purser_values::id::{OrganisationId, PersonId};
use serde_json::json;

use super::{Connection, SsoError};
use crate::organisation::{MemberError, end_membership, ends_grants};
use crate::person;
use crate::realm::Realm;

/// The verb of the events.
const VERB: &str = "sso_role_set";

/// What a change of groups took from a person: what they had granted by it ends in the same write, where the domains meet.
#[derive(Clone, Debug)]
pub struct Lost {
    pub organisation: OrganisationId,
    pub person: PersonId,
    pub how: &'static str,
}

#[derive(Debug, Default)]
pub(super) struct Followed {
    pub event: Option<Event>,
    pub lost: Option<Lost>,
}

/// Makes the membership what the groups say. Without rules, nothing changes for those who are members.
pub(super) fn follow(
    tx: &mut Tx<'_>,
    realm: &Realm,
    connection: &Connection,
    who: &PersonId,
    groups: &[String],
) -> Result<Followed, SsoError> {
    let Some(organisation) = &connection.organisation else { return Ok(Followed::default()) };
    let before = role_in(tx, organisation, who)?;
    let wanted = connection.role_of(groups);
    let lost = |how| Some(Lost { organisation: organisation.clone(), person: who.clone(), how });
    let lost = match (before, wanted) {
        (None, None) => return Ok(Followed::default()),
        (None, Some(role)) => {
            if !is_open(tx, organisation)? {
                tracing::warn!(connection = %connection.name, %organisation, "the organisation of a connection is not there, or disabled");
                return Ok(Followed::default());
            }
            person::join(tx, &realm.env, organisation, who, role)?;
            None
        }
        (Some(_), _) if !connection.maps_roles() => return Ok(Followed::default()),
        (Some(before), Some(role)) if before == role => return Ok(Followed::default()),
        (Some(Role::Owner), _) if is_last_owner(tx, organisation, who)? => {
            tracing::warn!(connection = %connection.name, %organisation, "the groups would take the last owner away");
            return Ok(Followed::default());
        }
        (Some(_), Some(role)) => {
            let update = "update membership set role = $3 where organisation = $1 and person = $2";
            tx.execute(update, params![organisation, who, role.name()])?;
            if ends_grants(role) { lost("its person may no longer grant") } else { None }
        }
        (Some(_), None) => {
            end_membership(tx, realm.env.now(), organisation, who).map_err(not_changed)?;
            lost("its person left the organisation")
        }
    };
    let facts = json!({ "before": before, "role": wanted, "connection": connection.name });
    let event = Event::done(VERB, &Caller::System, who.as_str()).in_organisation(organisation).with(facts);
    Ok(Followed { event: Some(event), lost })
}

fn not_changed(e: MemberError) -> SsoError {
    match e {
        MemberError::Db(e) => e.into(),
        MemberError::Denied(e) => e.into(),
        MemberError::LastOwner | MemberError::OwnerRequired | MemberError::OwnRole => SsoError::NotAdmitted,
    }
}

fn role_in(tx: &mut Tx<'_>, organisation: &OrganisationId, who: &PersonId) -> Result<Option<Role>, DbError> {
    let select = "select role from membership where organisation = $1 and person = $2";
    tx.query_opt(select, params![organisation, who])?.map(|row| row.parse("role")).transpose()
}

fn is_open(tx: &mut Tx<'_>, organisation: &OrganisationId) -> Result<bool, DbError> {
    let select = "select id from organisation where id = $1 and disabled_at is null";
    Ok(tx.query_opt(select, params![organisation])?.is_some())
}

fn is_last_owner(tx: &mut Tx<'_>, organisation: &OrganisationId, who: &PersonId) -> Result<bool, DbError> {
    let select = "select m.person as person from membership m join person p on p.id = m.person
                  where m.organisation = $1 and m.role = 'owner' and p.disabled_at is null and m.person <> $2 limit 1";
    Ok(tx.query_opt(select, params![organisation, who])?.is_none())
}
