//! A person's yes to one exact request.

use std::marker::PhantomData;

use purser_values::Sha256Digest;
use purser_values::id::PersonId;

use crate::action::Action;
use crate::caller::Caller;
use crate::denied::Denied;
use crate::permit::Permit;

/// Proof that a person, not the one who asks, said yes to the request with this digest. One changed byte is another request.
#[derive(Debug)]
#[must_use = "an approval is consumed next to the effect"]
pub struct Approved<A: Action> {
    by: PersonId,
    request: Sha256Digest,
    action: PhantomData<A>,
}

impl<A: Action> Approved<A> {
    /// Made where a kept decision of `by` is taken, and nowhere else, for the caller of this permit.
    ///
    /// # Errors
    /// When the caller is the person who decided: nobody approves what they do themselves.
    pub fn given(permit: &Permit<A>, by: PersonId, request: Sha256Digest) -> Result<Self, Denied> {
        match permit.caller() {
            Caller::Person { person, .. } if *person == by => Err(Denied::NotGranted { what: "one's own request".to_owned() }),
            _ => Ok(Self { by, request, action: PhantomData }),
        }
    }

    #[must_use]
    pub const fn by(&self) -> &PersonId {
        &self.by
    }

    /// Whether this is the request that was approved.
    #[must_use]
    pub fn covers(&self, request: &Sha256Digest) -> bool {
        self.request == *request
    }
}
