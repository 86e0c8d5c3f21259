//! `grant_request`: an agent asks for a grant (RFC 8628, 3.1). The DPoP proof of the request carries the key that all later
//! tokens are bound to.

use purser_authority::action::GrantRequest as GrantRequestAction;
use purser_authority::{Denied, Done, Event, Permit};
use purser_crypto::jose::Jwk;
use purser_crypto::token;
use purser_db::{DbError, Tx, params};
use purser_values::error::{Kind, PublicError};
use purser_values::id::GrantRequestId;
use purser_values::limits::{DEVICE_CODE_LIFE_S, cap_max};
use purser_values::{Currency, Money, Secret, Timestamp};

use super::{AskedScope, Asker, UserCode};
use crate::agent::AgentName;
use crate::limits::{GRANT_LIFE_MAX_S, GRANT_LIFE_MIN_S, GRANT_REQUESTS_PER_PEER, SCOPE_ENTRIES};
use crate::realm::Realm;
use crate::token::dpop::{Proof, ProofError};

pub(crate) const DEVICE_CODE: &str = "pur_dc";

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("too many requests from this address wait for a person")]
    TooMany,
    #[error("the request names no {0}")]
    Empty(&'static str),
    #[error("the request asks for more than {SCOPE_ENTRIES} projects, environments, providers or services, or for a cap elsewhere")]
    TooWide,
    #[error("`{0}` is no action that an agent can be granted")]
    Action(String),
    #[error("a cap that is asked for is out of range")]
    Cap(Currency),
    #[error("the life that is asked for is out of range")]
    Life,
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(transparent)]
    Proof(#[from] ProofError),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl PublicError for StartError {
    fn code(&self) -> &'static str {
        match self {
            Self::TooMany => "too_many_requests",
            Self::Empty(_) | Self::TooWide | Self::Action(_) | Self::Cap(_) | Self::Life => "invalid_scope",
            Self::Denied(e) => e.code(),
            Self::Proof(e) => e.code(),
            Self::Db(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::TooMany => Kind::RateLimited,
            Self::Empty(_) | Self::TooWide | Self::Action(_) | Self::Cap(_) | Self::Life => Kind::Invalid,
            Self::Denied(e) => e.kind(),
            Self::Proof(e) => e.kind(),
            Self::Db(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::TooMany => Some("wait until a person has answered, or until the older requests run out".to_owned()),
            Self::Empty(what) => Some(format!("name at least one {what}")),
            Self::TooWide => Some("ask for less in one grant".to_owned()),
            Self::Cap(currency) => Some(format!("write 0 to {}", cap_max(*currency))),
            Self::Life => Some(format!("write {} seconds to {} days", GRANT_LIFE_MIN_S, GRANT_LIFE_MAX_S / 86_400)),
            Self::Action(_) => Some("leave `actions` out to ask for all that agents can be granted".to_owned()),
            Self::Denied(e) => e.hint(),
            Self::Proof(e) => e.hint(),
            Self::Db(_) => None,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Ask {
    pub asker: Asker,
    pub name: AgentName,
    pub peer: String,
}

#[derive(Debug)]
pub struct Started {
    pub id: GrantRequestId,
    pub device_code: Secret<String>,
    pub user_code: UserCode,
    pub expires_at: Timestamp,
}

/// Records the request and mints its two codes.
///
/// # Errors
/// When the scope is empty or out of range, the proof was seen before, or too many requests wait.
pub fn device_authorization_start(
    tx: &mut Tx<'_>,
    realm: &Realm,
    permit: Permit<GrantRequestAction>,
    ask: &Ask,
    proof: &Proof,
) -> Result<Done<Started>, StartError> {
    proof.consume(tx)?;
    record(tx, realm, permit, ask, proof.key())
}

/// The same for a request that a client sent a browser with, in which the key was proven. Its device code is told to nobody.
///
/// # Errors
/// As [`device_authorization_start`].
pub(crate) fn authorization_start(
    tx: &mut Tx<'_>,
    realm: &Realm,
    permit: Permit<GrantRequestAction>,
    ask: &Ask,
    key: &Jwk,
) -> Result<Done<GrantRequestId>, StartError> {
    Ok(record(tx, realm, permit, ask, key)?.map(|started| started.id))
}

fn record(tx: &mut Tx<'_>, realm: &Realm, permit: Permit<GrantRequestAction>, ask: &Ask, key: &Jwk) -> Result<Done<Started>, StartError> {
    let (now, jkt) = (realm.env.now(), key.thumbprint());
    let (kind, asked) = match &ask.asker {
        Asker::Agent(scope) => {
            scope.check()?;
            ("agent", serde_json::json!(scope))
        }
        Asker::Person => ("person", serde_json::Value::Null),
    };
    let waiting = "select count(*) as n from grant_request where peer = $1 and state = 'pending' and expires_at > $2";
    if tx.query_one(waiting, params![ask.peer, now])?.get::<i64>("n")? >= GRANT_REQUESTS_PER_PEER {
        return Err(StartError::TooMany);
    }
    let (device_code, digest) = token::mint(&realm.env, DEVICE_CODE);
    let (id, user_code) = (GrantRequestId::mint(&realm.env), UserCode::mint(&realm.env));
    let expires_at = now.plus_secs(DEVICE_CODE_LIFE_S);
    let insert = "insert into grant_request
        (id, device_code, user_code, kind, name, jkt, jwk, asked, peer, created_at, expires_at, state)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'pending')";
    let jwk = serde_json::json!(key);
    tx.execute(insert, params![id, digest, user_code.as_str(), kind, ask.name.as_str(), jkt, jwk, asked, ask.peer, now, expires_at])?;
    let event = Event::done(permit.verb(), permit.caller(), id.as_str()).related([&jkt]);
    let event = event.with(serde_json::json!({ "kind": kind, "name": ask.name, "asked": asked, "peer": ask.peer }));
    Ok(Done::with_event(Started { id, device_code, user_code, expires_at }, event))
}

impl AskedScope {
    /// Whether it can be asked for at all: before a person is troubled with it.
    ///
    /// # Errors
    /// When it is empty in some direction, too wide, names what cannot be granted, or has a ceiling or a life out of range.
    pub fn check(&self) -> Result<(), StartError> {
        let Self { projects, environments, providers, services, actions, .. } = self;
        for (empty, what) in [
            (projects.is_empty(), "project"),
            (environments.is_empty(), "environment"),
            // Terms are accepted provider by provider, so a grant for all of them cannot be asked for.
            (providers.is_empty() || providers.is_all(), "provider"),
            (services.is_empty(), "service"),
            (actions.is_empty(), "action"),
        ] {
            if empty {
                return Err(StartError::Empty(what));
            }
        }
        if let Some(unknown) = actions.named().find(|name| !purser_authority::action::grantable().any(|known| known == name.as_str())) {
            return Err(StartError::Action(unknown.clone()));
        }
        let lengths = [projects.len(), environments.len(), providers.len(), services.len()];
        if lengths.into_iter().flatten().any(|n| n > SCOPE_ENTRIES) || self.caps.keys().any(|p| !providers.contains(p)) {
            return Err(StartError::TooWide);
        }
        let mut ceilings = std::iter::once(&self.cap).chain(self.caps.values()).chain(&self.total);
        let in_range = |m: &Money| m.currency() == self.cap.currency() && (0..=cap_max(m.currency()).minor()).contains(&m.minor());
        if !ceilings.all(in_range) {
            return Err(StartError::Cap(self.cap.currency()));
        }
        if !(GRANT_LIFE_MIN_S..=GRANT_LIFE_MAX_S).contains(&self.life_s) {
            return Err(StartError::Life);
        }
        Ok(())
    }
}
