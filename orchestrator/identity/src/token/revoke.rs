//! `token_revoke` (RFC 7009): who holds a token says that it is not needed any more.
//!
//! A refresh token takes all that came with it along; an access token ends alone. The end counts from the commit on at every node,
//! because each use of a token looks here. A token of somebody else, or of nobody, is left alone without saying so.

use purser_authority::action::TokenRevoke;
use purser_authority::{Done, Event, Permit};
use purser_db::{DbError, Tx, params};
use purser_values::Timestamp;
use purser_values::error::{Kind, PublicError};
use purser_values::id::TokenId;

use super::dpop::{Proof, ProofError};
use super::known::{self, Known, is_of};
use crate::authorization::sign_on;
use crate::client::Client;
use crate::client::assertion::{Assertion, AssertionError};
use crate::realm::Realm;

#[derive(Debug, thiserror::Error)]
pub enum TokenRevokeError {
    #[error(transparent)]
    Assertion(#[from] AssertionError),
    #[error(transparent)]
    Proof(#[from] ProofError),
    #[error(transparent)]
    Denied(#[from] purser_authority::Denied),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl TokenRevokeError {
    const fn public(&self) -> &dyn PublicError {
        match self {
            Self::Assertion(e) => e,
            Self::Proof(e) => e,
            Self::Denied(e) => e,
            Self::Db(e) => e,
        }
    }
}

impl PublicError for TokenRevokeError {
    fn code(&self) -> &'static str {
        self.public().code()
    }
    fn kind(&self) -> Kind {
        self.public().kind()
    }
    fn hint(&self) -> Option<String> {
        self.public().hint()
    }
}

/// Who wants a token to end, each already checked.
#[derive(Clone, Debug)]
pub enum Holder {
    /// A client, for what was given to it.
    Client { client: std::sync::Arc<Client>, assertion: Option<Assertion> },
    /// Whoever holds the key that the token is bound to: an agent, or a person's terminal.
    Key(Proof),
}

/// Ends a token, if it is the holder's.
///
/// # Errors
/// See [`TokenRevokeError`].
pub fn token_revoke(
    tx: &mut Tx<'_>,
    realm: &Realm,
    permit: Permit<TokenRevoke>,
    holder: &Holder,
    token: &str,
) -> Result<Done<()>, TokenRevokeError> {
    match holder {
        Holder::Client { assertion: Some(assertion), .. } => assertion.consume(tx)?,
        Holder::Client { assertion: None, .. } => {}
        Holder::Key(proof) => proof.consume(tx)?,
    }
    let Some(known) = known::known(tx, realm, token, None)? else { return Ok(Done::quiet(())) };
    let (may, by) = match holder {
        Holder::Client { client, .. } => (is_of(tx, &known, client)?, client.id.to_string()),
        Holder::Key(proof) => (jkt_of(&known) == Some(proof.jkt()), proof.jkt().to_owned()),
    };
    if !may {
        return Ok(Done::quiet(()));
    }
    let now = realm.env.now();
    let (subject, organisation) = match &known {
        Known::Access(claims) if claims.act.is_none() => {
            let end = "update person_token set revoked_at = $2 where id = $1 and revoked_at is null";
            tx.execute(end, params![claims.jti, now])?;
            (claims.jti.to_string(), Some(claims.org.clone()))
        }
        Known::Access(claims) => {
            revoke_access(tx, &claims.jti, claims.exp)?;
            (claims.jti.to_string(), Some(claims.org.clone()))
        }
        Known::SignOn(claims) => {
            revoke_access(tx, &claims.jti, claims.exp)?;
            (claims.jti.to_string(), sign_on::find(tx, &claims.sid)?.map(|s| s.organisation))
        }
        Known::Client(claims) => {
            revoke_access(tx, &claims.jti, claims.exp)?;
            (claims.jti.to_string(), None)
        }
        Known::AgentRefresh { family, grant, .. } => {
            let end = "update token_family set revoked_at = $2, revoked_why = 'revoked by its holder' where id = $1 and revoked_at is null";
            tx.execute(end, params![family, now])?;
            (family.to_string(), crate::grant::find(tx, grant)?.map(|g| g.organisation))
        }
        Known::SignOnRefresh { sign_on: id, .. } => {
            sign_on::end(tx, now, id, "the client revoked its refresh token")?;
            (id.to_string(), sign_on::find(tx, id)?.map(|s| s.organisation))
        }
    };
    let mut event = Event::done(permit.verb(), permit.caller(), subject).related([by]);
    event.organisation = organisation;
    Ok(Done::with_event((), event))
}

fn jkt_of(known: &Known) -> Option<&str> {
    match known {
        Known::Access(claims) => Some(&claims.cnf.jkt),
        Known::AgentRefresh { jkt, .. } => Some(jkt),
        Known::SignOn(claims) => claims.cnf.as_ref().map(|cnf| cnf.jkt.as_str()),
        Known::Client(claims) => claims.cnf.as_ref().map(|cnf| cnf.jkt.as_str()),
        Known::SignOnRefresh { .. } => None,
    }
}

/// Remembered until the token would have run out by itself.
fn revoke_access(tx: &mut Tx<'_>, id: &TokenId, exp: i64) -> Result<(), DbError> {
    let insert = "insert into revoked_token (jti, expires_at) values ($1, $2) on conflict (jti) do nothing";
    tx.execute(insert, params![id, Timestamp::from_secs(exp.saturating_add(1))]).map(drop)
}
