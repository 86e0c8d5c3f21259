//! A person's yes to one exact request.

use std::marker::PhantomData;

use purser_values::Sha256Digest;
use purser_values::id::PersonId;

use crate::action::Action;

/// Proof that a person, not an agent, said yes to the request with this digest. One changed byte is another request.
#[derive(Debug)]
#[must_use = "an approval is consumed next to the effect"]
pub struct Approved<A: Action> {
    by: PersonId,
    request: Sha256Digest,
    action: PhantomData<A>,
}

impl<A: Action> Approved<A> {
    /// Made where the person's decision was checked, and nowhere else: from a permit that only a person can have.
    ///
    /// # Errors
    /// When the permit's caller is not a person.
    pub fn by_person(permit: &crate::Permit<A>, request: Sha256Digest) -> Result<Self, crate::Denied> {
        match permit.caller() {
            crate::Caller::Person { person, .. } => Ok(Self { by: person.clone(), request, action: PhantomData }),
            _ => Err(crate::Denied::AgentNever { action: A::RULE.name }),
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
