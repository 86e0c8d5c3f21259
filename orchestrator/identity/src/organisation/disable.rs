//! The operator stops a person or an organisation as a whole, and lets it go on.
//!
//! INVARIANT (stopped-as-a-whole) is kept by [`crate::person::member`]: whoever is disabled is a member of nothing. What the person
//! had granted ends where the domains meet; enabling gives the sign-in back and no grant.

use purser_authority::action::{OrganisationDisable, OrganisationEnable, PersonDisable, PersonEnable};
use purser_authority::{Denied, Done, Event, Permit};
use purser_db::{DbError, Tx, params};
use purser_values::Timestamp;
use purser_values::error::{Kind, PublicError};
use purser_values::id::{OrganisationId, PersonId};
use purser_values::name::Email;

#[derive(Debug, thiserror::Error)]
pub enum DisableError {
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Said to the operator alone, who sees everything.
    #[error("nobody here has the address `{0}`")]
    Nobody(Email),
    #[error("there is no organisation `{0}` here")]
    NoOrganisation(OrganisationId),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl PublicError for DisableError {
    fn code(&self) -> &'static str {
        match self {
            Self::Denied(e) => e.code(),
            Self::Nobody(_) | Self::NoOrganisation(_) => Denied::NotFound.code(),
            Self::Db(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::Denied(e) => e.kind(),
            Self::Nobody(_) | Self::NoOrganisation(_) => Kind::NotFound,
            Self::Db(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Nobody(_) => Some("look for a mistake in it; the organisation's page lists its members".to_owned()),
            Self::NoOrganisation(_) => Some("its page shows its id".to_owned()),
            Self::Denied(_) | Self::Db(_) => None,
        }
    }
}

/// Stops the person that the permit is for, everywhere. The answer is the organisations that they belong to.
///
/// # Errors
/// [`Denied::NotFound`].
pub fn person_disable(tx: &mut Tx<'_>, now: Timestamp, permit: &Permit<PersonDisable>) -> Result<Done<Vec<OrganisationId>>, DisableError> {
    let person: PersonId = permit.subject().parse().map_err(|_| Denied::NotFound)?;
    let update = "update person set disabled_at = coalesce(disabled_at, $2) where id = $1";
    if tx.execute(update, params![person, now])? != 1 {
        return Err(Denied::NotFound.into());
    }
    tx.execute("update session set ended_at = $2 where person = $1 and ended_at is null", params![person, now])?;
    tx.execute("update person_token set revoked_at = $2 where person = $1 and revoked_at is null", params![person, now])?;
    tx.execute(
        "update invitation set revoked_at = $2 where invited_by = $1 and accepted_at is null and revoked_at is null",
        params![person, now],
    )?;
    let rows = tx.query("select organisation from membership where person = $1 order by organisation", params![person])?;
    let organisations = rows.iter().map(|row| row.parse("organisation")).collect::<Result<Vec<OrganisationId>, _>>()?;
    let mut done = Done::quiet(organisations.clone());
    // One entry in the log of each organisation that loses somebody, or one for the whole when there is none.
    let event = Event::done(permit.verb(), permit.caller(), person.as_str());
    done.events.extend(organisations.iter().map(|id| event.clone().in_organisation(id)));
    if done.events.is_empty() {
        done.events.push(event);
    }
    Ok(done)
}

/// # Errors
/// [`Denied::NotFound`].
pub fn person_enable(tx: &mut Tx<'_>, permit: &Permit<PersonEnable>) -> Result<Done<()>, DisableError> {
    let person: PersonId = permit.subject().parse().map_err(|_| Denied::NotFound)?;
    if tx.execute("update person set disabled_at = null where id = $1", params![person])? != 1 {
        return Err(Denied::NotFound.into());
    }
    Ok(Done::with_event((), Event::done(permit.verb(), permit.caller(), person.as_str())))
}

/// Stops the organisation that the permit is for.
///
/// # Errors
/// [`Denied::NotFound`].
pub fn organisation_disable(
    tx: &mut Tx<'_>,
    now: Timestamp,
    permit: &Permit<OrganisationDisable>,
) -> Result<Done<OrganisationId>, DisableError> {
    let id: OrganisationId = permit.subject().parse().map_err(|_| Denied::NotFound)?;
    if tx.execute("update organisation set disabled_at = coalesce(disabled_at, $2) where id = $1", params![id, now])? != 1 {
        return Err(DisableError::NoOrganisation(id));
    }
    tx.execute("update session set ended_at = $2 where organisation = $1 and ended_at is null", params![id, now])?;
    tx.execute("update person_token set revoked_at = $2 where organisation = $1 and revoked_at is null", params![id, now])?;
    tx.execute(
        "update invitation set revoked_at = $2 where organisation = $1 and accepted_at is null and revoked_at is null",
        params![id, now],
    )?;
    let event = Event::done(permit.verb(), permit.caller(), id.as_str()).in_organisation(&id);
    Ok(Done::with_event(id, event))
}

/// # Errors
/// [`Denied::NotFound`].
pub fn organisation_enable(tx: &mut Tx<'_>, permit: &Permit<OrganisationEnable>) -> Result<Done<()>, DisableError> {
    let id: OrganisationId = permit.subject().parse().map_err(|_| Denied::NotFound)?;
    if tx.execute("update organisation set disabled_at = null where id = $1", params![id])? != 1 {
        return Err(DisableError::NoOrganisation(id));
    }
    Ok(Done::with_event((), Event::done(permit.verb(), permit.caller(), id.as_str()).in_organisation(&id)))
}
