//! `organisation_create` and `organisation_rename`.

use purser_authority::action::{OrganisationCreate, OrganisationRename};
use purser_authority::{Caller, Denied, Done, Event, Permit, Role};
use purser_db::{DbError, Tx, params};
use purser_values::Env;
use purser_values::error::{Kind, PublicError};

use super::OrganisationName;
use crate::limits::ORGANISATIONS_PER_PERSON;
use crate::person::{self, Member, Organisation};

#[derive(Debug, thiserror::Error)]
pub enum OrganisationError {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error("a person owns at most {ORGANISATIONS_PER_PERSON} organisations")]
    TooMany,
    #[error(transparent)]
    Db(#[from] DbError),
}

impl PublicError for OrganisationError {
    fn code(&self) -> &'static str {
        match self {
            Self::Denied(e) => e.code(),
            Self::TooMany => "too_many_organisations",
            Self::Db(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::Denied(e) => e.kind(),
            Self::TooMany => Kind::Conflict,
            Self::Db(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Denied(e) => e.hint(),
            Self::TooMany => Some("use one that you have".to_owned()),
            Self::Db(_) => None,
        }
    }
}

/// A further organisation, with the caller as its owner.
///
/// # Errors
/// [`OrganisationError::TooMany`], or when the caller is no person who can sign in.
pub fn organisation_create(
    tx: &mut Tx<'_>,
    env: &Env,
    permit: &Permit<OrganisationCreate>,
    name: &OrganisationName,
) -> Result<Done<Member>, OrganisationError> {
    let Caller::Person { person, organisation, .. } = permit.caller() else { return Err(Denied::Anonymous.into()) };
    let creator = person::member(tx, organisation, person)?.ok_or(Denied::Anonymous)?.person;
    let owned = tx.query_one("select count(*) as owned from membership where person = $1 and role = 'owner'", params![person])?;
    if owned.get::<i64>("owned")? >= ORGANISATIONS_PER_PERSON {
        return Err(OrganisationError::TooMany);
    }
    let member = person::found(tx, env, &creator, name.as_str())?;
    let made = &member.organisation.id;
    let caller = Caller::Person { person: person.clone(), organisation: made.clone(), role: Role::Owner, present_at: None };
    let event = Event::done(permit.verb(), &caller, made.as_str()).with(serde_json::json!({ "name": name.as_str() }));
    Ok(Done::with_event(member, event))
}

/// Another name for the caller's organisation.
///
/// # Errors
/// When the store fails.
pub fn organisation_rename(
    tx: &mut Tx<'_>,
    permit: &Permit<OrganisationRename>,
    name: &OrganisationName,
) -> Result<Done<Organisation>, OrganisationError> {
    let id = permit.caller().organisation().ok_or(Denied::NotFound)?.clone();
    tx.execute("update organisation set name = $2 where id = $1", params![id, name.as_str()])?;
    let event = Event::done(permit.verb(), permit.caller(), id.as_str()).with(serde_json::json!({ "name": name.as_str() }));
    Ok(Done::with_event(Organisation { id, name: name.to_string() }, event))
}
