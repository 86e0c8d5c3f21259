//! Proving once more that it is oneself, before something that raises authority, lets money out or changes who can get in.
//!
//! INVARIANT (strongest-counts): whoever has a passkey, an app or a company that signs them in proves it with that. A code by mail
//! proves it only of a person who has none: whoever reads a mailbox is not yet the person.

mod code;
mod passkey;
mod totp;

pub use code::{StepUp, StepUpError, SteppedUp, step_up_code_send, step_up_code_use};
pub(crate) use code::{finish, own};
pub use passkey::{step_up_passkey, step_up_passkey_options};
pub use totp::step_up_totp;

use purser_db::{DbError, Tx, params};
use purser_values::id::PersonId;

use crate::realm::Realm;
use crate::sso;

/// What a person can prove it with, besides their mailbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Methods {
    pub passkey: bool,
    pub totp: bool,
    /// The sign-in of a company that their login is connected with.
    pub sso: bool,
}

impl Methods {
    /// Whether there is something stronger than a mailbox.
    #[must_use]
    pub const fn is_strong(self) -> bool {
        self.passkey || self.totp || self.sso
    }
}

/// # Errors
/// When the store fails.
pub fn methods(tx: &mut Tx<'_>, realm: &Realm, person: &PersonId) -> Result<Methods, DbError> {
    let count = "select (select count(*) from passkey where person = $1) as passkeys,
                        (select count(*) from totp where person = $1 and confirmed_at is not null) as apps";
    let row = tx.query_one(count, params![person])?;
    let sso = !sso::confirming(tx, realm, person)?.is_empty();
    Ok(Methods { passkey: row.get::<i64>("passkeys")? > 0, totp: row.get::<i64>("apps")? > 0, sso })
}
