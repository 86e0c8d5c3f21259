//! Sign-in through a company where the domains meet: groups that are gone take along what was granted by them.

use purser_authority::action::SignIn;
use purser_authority::{Caller, Done, Permit};
use purser_db::Tx;
use purser_identity::Realm;
use purser_identity::Ticket;
use purser_identity::session::Place;
use purser_identity::sso::{self, Connection, Let, Lost, Pending, Proof, Proven, SsoError, SsoSignIn, Vouched};

use crate::member_control::end_grants_of;

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

/// INVARIANT (off-boarded): in the same write.
fn with_ended(tx: &mut Tx<'_>, realm: &Realm, mut done: Done<Let>, lost: Option<Lost>) -> Result<Done<Let>, SsoError> {
    if let Some(Lost { organisation, person, how }) = lost {
        let ended = end_grants_of::<SsoError>(tx, &realm.env, &Caller::System, &organisation, &person, how)?;
        done.absorb(ended);
    }
    Ok(done)
}
