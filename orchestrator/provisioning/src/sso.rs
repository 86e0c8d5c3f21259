//! Sign-in through a company where the domains meet: groups that are gone take along what was granted by them.

use purser_authority::action::{SignIn, SsoForget};
use purser_authority::{Caller, Denied, Done, Facts, Permit, authorise};
use purser_db::Tx;
use purser_identity::Realm;
use purser_identity::Ticket;
use purser_identity::organisation::DisableError;
use purser_identity::session::Place;
use purser_identity::sso::{self, Connection, Let, Lost, Pending, Proof, Proven, Recycled, SsoError, SsoSignIn, Vouched};
use purser_values::id::{GrantId, PersonId};

use crate::member_control::{end_grants_of, person_disable};

/// What became of a first proof of a login, or that it was wrong.
#[derive(Debug)]
pub enum SsoProven {
    Let(Let),
    Wrong { tries_left: i64 },
}

/// `sign_in` through a company.
///
/// # Errors
/// See [`SsoError`].
pub fn sso_sign_in(
    tx: &mut Tx<'_>,
    realm: &Realm,
    permit: &Permit<SignIn>,
    connection: &Connection,
    vouched: &Vouched,
    place: Place<'_>,
    ticket: Option<&Ticket>,
) -> Result<Done<Let>, SsoError> {
    let done = sso::sso_sign_in(tx, realm, permit, connection, vouched, place, ticket)?;
    let Done { value: SsoSignIn { outcome, lost }, events, jobs } = done;
    with_ended(tx, realm, Done { value: outcome, events, jobs }, lost)
}

/// `sign_in` through a company for the first time, with the proof of the login that exists.
///
/// # Errors
/// See [`SsoError`].
pub fn sso_prove(
    tx: &mut Tx<'_>,
    realm: &Realm,
    permit: &Permit<SignIn>,
    pending: &Pending,
    proof: &Proof<'_>,
    place: Place<'_>,
    ticket: Option<&Ticket>,
) -> Result<Done<SsoProven>, SsoError> {
    let Done { value, events, jobs } = sso::sso_prove(tx, realm, permit, pending, proof, place, ticket)?;
    match value {
        Proven::Wrong { tries_left } => Ok(Done { value: SsoProven::Wrong { tries_left }, events, jobs }),
        Proven::SignIn(SsoSignIn { outcome, lost }) => {
            Ok(with_ended(tx, realm, Done { value: outcome, events, jobs }, lost)?.map(SsoProven::Let))
        }
    }
}

/// `sso_forget`: with what somebody had who left, in the same write. Answers the grants that ended.
///
/// # Errors
/// See [`SsoError`].
pub fn sso_forget(
    tx: &mut Tx<'_>,
    realm: &Realm,
    caller: &Caller,
    person: &PersonId,
    recycled: &Recycled,
) -> Result<Done<Vec<GrantId>>, SsoError> {
    let permit = authorise::<SsoForget>(caller, &Facts::new(realm.env.now(), person.as_str()))?;
    let mut done = Done::quiet(Vec::new());
    if *recycled == Recycled::Left {
        let stopped = person_disable(tx, &realm.env, caller, person).map_err(|e| match e {
            DisableError::Denied(e) => SsoError::Denied(e),
            DisableError::Nobody(email) => SsoError::Nobody(email),
            DisableError::NoOrganisation(_) => SsoError::Denied(Denied::NotFound),
            DisableError::Db(e) => SsoError::Db(e),
        })?;
        done.value = done.absorb(stopped);
    }
    let parted = sso::sso_forget(tx, realm, &permit, recycled)?;
    done.absorb(parted);
    Ok(done)
}

/// INVARIANT (off-boarded): in the same write.
fn with_ended(tx: &mut Tx<'_>, realm: &Realm, mut done: Done<Let>, lost: Option<Lost>) -> Result<Done<Let>, SsoError> {
    if let Some(Lost { organisation, person, how }) = lost {
        let ended = end_grants_of::<SsoError>(tx, &realm.env, &Caller::System, &organisation, &person, how)?;
        done.absorb(ended);
    }
    Ok(done)
}
