//! The DPoP proof of a request to an OAuth endpoint.

use http::HeaderMap;
use purser_identity::token::dpop::{Proof, ProofError};

use crate::front::Front;

/// The one proof in the headers, for a POST to `path`, checked and not yet consumed.
pub fn of(front: &Front, headers: &HeaderMap, path: &str) -> Result<Proof, ProofError> {
    optional(front, headers, path)?.ok_or(ProofError::Missing)
}

/// The same where a proof may be left out. Two of them are never one.
pub fn optional(front: &Front, headers: &HeaderMap, path: &str) -> Result<Option<Proof>, ProofError> {
    let mut found = headers.get_all("dpop").iter();
    let proof = match (found.next(), found.next()) {
        (None, _) => return Ok(None),
        (Some(proof), None) => proof.to_str().map_err(|_| ProofError::Missing)?,
        (Some(_), Some(_)) => return Err(ProofError::Several),
    };
    let proof = Proof::check(proof, "POST", &front.realm.url(path), None, front.realm.env.now())?;
    proof.check_nonce(&front.realm)?;
    Ok(Some(proof))
}
