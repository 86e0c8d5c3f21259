//! `step_up` through a company: it must have asked who it is after we sent the person there.

use purser_authority::action::StepUp as StepUpAction;
use purser_authority::{Done, Permit};
use purser_db::Tx;
use purser_values::Timestamp;

use super::{Connection, SsoError, Vouched, identity};
use crate::limits::CLOCK_SKEW_S;
use crate::realm::Realm;
use crate::session::{self, Session};
use crate::step_up::{SteppedUp, finish, own};

/// Makes the session anew.
///
/// # Errors
/// [`SsoError::OtherPerson`], [`SsoError::Stale`].
pub fn sso_step_up(
    tx: &mut Tx<'_>,
    realm: &Realm,
    permit: &Permit<StepUpAction>,
    session: &Session,
    connection: &Connection,
    vouched: &Vouched,
    began_at: Timestamp,
) -> Result<Done<SteppedUp>, SsoError> {
    own(permit, session)?;
    let known = identity::find(tx, &connection.issuer, &vouched.subject)?.filter(|it| it.person == session.member.person.id);
    let known = known.ok_or(SsoError::OtherPerson)?;
    if vouched.facts.auth_time.is_none_or(|at| at.as_secs() < began_at.as_secs() - CLOCK_SKEW_S) {
        return Err(SsoError::Stale);
    }
    identity::used(tx, &known.id, realm.env.now())?;
    let mut done = finish(tx, realm, permit, session, "sso")?;
    if session.sso.as_ref().is_some_and(|facts| facts.connection == connection.name) {
        session::follow(tx, &done.value.session.id, &vouched.facts)?;
        done.value.session.sso = Some(vouched.facts.clone());
    }
    Ok(done)
}
