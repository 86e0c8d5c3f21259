//! Token exchange (RFC 8693): an agent's token, and the key of a helper, for the helper's own tokens under a narrower grant.
//!
//! The agent sends its access token as `subject_token` with a DPoP proof of its key, and as `actor_token` a short statement that
//! the helper signed with the key that it shows: so nobody lets in a key whose owner did not ask for it. The helper's grant is
//! derived from the agent's ([`crate::grant::agent_delegate`]), which refuses whatever is wider.

mod actor;
mod narrower;

pub use actor::{ActorError, ActorToken};
pub use narrower::{Narrower, NarrowerError};

use purser_authority::action::TokenIssue;
use purser_authority::{Done, Event, Permit};
use purser_db::Tx;

use super::issue::family;
use super::{Renewal, TokenIssueError, Tokens};
use crate::grant::{self, Grant};
use crate::realm::Realm;

/// The value of `grant_type`.
pub const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// The types of tokens that are taken and given.
pub const ACCESS_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";
/// What another issuer says of a workload.
pub const ID_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:id_token";
pub const JWT_TYPE: &str = "urn:ietf:params:oauth:token-type:jwt";

/// The tokens of a grant that was just derived, for the helper's key.
///
/// # Errors
/// When signing or the store fails.
pub fn token_issue_derived(
    tx: &mut Tx<'_>,
    realm: &Realm,
    permit: &Permit<TokenIssue>,
    grant: &Grant,
    jkt: &str,
    renewal: Renewal,
) -> Result<Done<Tokens>, TokenIssueError> {
    let chain = grant::chain(tx, grant, realm.env.now())?;
    let (family, tokens) = family(tx, realm, grant, &chain, jkt, renewal)?;
    let event = Event::done(permit.verb(), &chain.caller(grant), family.as_str()).related([grant.id.as_str(), jkt]);
    Ok(Done::with_event(tokens, event))
}
