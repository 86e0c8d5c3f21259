//! The DPoP proof of a request to an OAuth endpoint.

use http::HeaderMap;
use purser_identity::token::dpop::{Proof, ProofError};

use crate::front::Front;

/// The one proof in the headers, for a POST to `path`, checked and not yet consumed.
pub fn of(front: &Front, headers: &HeaderMap, path: &str) -> Result<Proof, ProofError> {
    let mut found = headers.get_all("dpop").iter();
    let (Some(proof), None) = (found.next(), found.next()) else { return Err(ProofError::Missing) };
    let proof = proof.to_str().map_err(|_| ProofError::Missing)?;
    Proof::check(proof, "POST", &front.realm.url(path), None, front.realm.env.now())
}
