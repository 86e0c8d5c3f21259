//! `step_up` with a code of an app, or with one of the recovery codes that came with it.

use purser_authority::action::StepUp as StepUpAction;
use purser_authority::{Done, Permit};
use purser_db::Tx;

use super::{StepUp, StepUpError, finish, own};
use crate::realm::Realm;
use crate::session::Session;
use crate::totp::{self, Taken};

/// Checks the code and makes the session anew. The use of a recovery code is told by mail.
///
/// # Errors
/// When there is no app, or too many codes were wrong.
pub fn step_up_totp(
    tx: &mut Tx<'_>,
    realm: &Realm,
    permit: Permit<StepUpAction>,
    session: &Session,
    code: &str,
) -> Result<Done<StepUp>, StepUpError> {
    own(&permit, session)?;
    let person = &session.member.person;
    match totp::take(tx, realm, &person.id, code)? {
        Taken::Wrong { tries_left } => Ok(Done::quiet(StepUp::Wrong { tries_left })),
        Taken::Code => Ok(finish(tx, realm, &permit, session, "totp")?.map(StepUp::Done)),
        Taken::RecoveryCode { left } => {
            let what = format!("One of your recovery codes was used to confirm that it is you; {left} are left.");
            let mail = realm.notice(&person.email, "A recovery code was used", &what).map_err(totp::TotpError::from)?;
            Ok(finish(tx, realm, &permit, session, "recovery_code")?.map(StepUp::Done).and_job(mail))
        }
    }
}
