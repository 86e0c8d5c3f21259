//! What an issuer says of a workload, checked against a trust. Each way of being wrong has a code of its own, so that who sets up a
//! build sees which part does not fit.

use purser_crypto::jose::{ForeignKeys, JoseError};
use purser_db::{DbError, Tx, params};
use purser_values::error::{Kind, PublicError};
use purser_values::{Sha256Digest, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Trust;
use crate::audience::Audience;
use crate::limits::{CLOCK_SKEW_S, WORKLOAD_TOKEN_LIFE_S};

/// What the `typ` of such a token may be, if it says one.
const TYPES: [&str; 2] = ["JWT", "at+jwt"];

#[derive(Clone, Debug, thiserror::Error)]
pub enum StatementError {
    /// A newer key set may help.
    #[error("no key of the issuer signed the workload's token")]
    NoKey,
    #[error("the workload's token is not one that its issuer signed: {0}")]
    Signature(JoseError),
    #[error("the workload's token is from another issuer")]
    Issuer,
    #[error("the workload's token is for another audience")]
    Audience,
    #[error("the workload is none that is trusted: its subject is another")]
    Subject,
    #[error("the workload is none that is trusted: its `{0}` is another")]
    Claim(String),
    #[error("the workload's token has run out")]
    Expired,
    #[error("the workload's token is from the future, or says too long a life")]
    Future,
    #[error("the workload's token was used before")]
    Replayed,
    #[error(transparent)]
    Db(#[from] DbError),
}

impl PublicError for StatementError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoKey | Self::Signature(_) => "workload_token_invalid",
            Self::Issuer => "workload_issuer_refused",
            Self::Audience => "workload_audience_refused",
            Self::Subject => "workload_subject_refused",
            Self::Claim(_) => "workload_claim_refused",
            Self::Expired => "workload_token_expired",
            Self::Future => "workload_token_early",
            Self::Replayed => "workload_token_replayed",
            Self::Db(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::Db(e) => e.kind(),
            _ => Kind::Invalid,
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::NoKey | Self::Signature(_) => Some("check that the token is the issuer's, and that its keys can be fetched".to_owned()),
            Self::Issuer | Self::Audience | Self::Subject | Self::Claim(_) => {
                Some("compare the token's claims with what the person set up".to_owned())
            }
            Self::Expired | Self::Future | Self::Replayed => Some("ask the issuer for a new token for every run".to_owned()),
            Self::Db(_) => None,
        }
    }
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: i64,
    iat: Option<i64>,
    nbf: Option<i64>,
    jti: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// A token whose signature and claims fit the trust. It counts once it is consumed.
#[derive(Clone, Debug)]
#[must_use = "a statement that is not consumed can be replayed"]
pub struct Statement {
    /// The workload, as its issuer names it.
    pub subject: String,
    replay: Sha256Digest,
    until: Timestamp,
}

impl Statement {
    /// Checks a token of the trust's issuer, whose keys these are.
    ///
    /// # Errors
    /// See [`StatementError`].
    pub fn check(token: &str, trust: &Trust, keys: &ForeignKeys, now: Timestamp) -> Result<Self, StatementError> {
        let claims: Claims = keys.verify(token, &TYPES).map_err(|e| match e {
            JoseError::Key => StatementError::NoKey,
            e => StatementError::Signature(e),
        })?;
        let (facts, now) = (&trust.facts, now.as_secs());
        if claims.iss != facts.issuer {
            return Err(StatementError::Issuer);
        }
        if !claims.aud.is(&facts.audience) {
            return Err(StatementError::Audience);
        }
        if claims.exp <= now {
            return Err(StatementError::Expired);
        }
        let early = |at: Option<i64>| at.is_some_and(|at| at > now + CLOCK_SKEW_S);
        if early(claims.iat) || early(claims.nbf) || claims.exp > now + WORKLOAD_TOKEN_LIFE_S {
            return Err(StatementError::Future);
        }
        if !facts.subject.matches(&claims.sub) {
            return Err(StatementError::Subject);
        }
        for (name, wanted) in &facts.claims {
            if claims.rest.get(name).and_then(Value::as_str) != Some(wanted) {
                return Err(StatementError::Claim(name.clone()));
            }
        }
        // an issuer that gives no `jti` is replayed by the token itself
        let once = claims.jti.as_deref().unwrap_or(token);
        let replay = Sha256Digest::of_parts(&[b"workload\0", claims.iss.as_bytes(), b"\0", once.as_bytes()]);
        Ok(Self { subject: claims.sub, replay, until: Timestamp::from_secs(claims.exp + 1) })
    }

    /// Takes the token; the second time it is refused.
    ///
    /// # Errors
    /// [`StatementError::Replayed`], or a failure of the store.
    pub fn consume(&self, tx: &mut Tx<'_>) -> Result<(), StatementError> {
        let insert = "insert into spent_statement (replay, expires_at) values ($1, $2) on conflict (replay) do nothing";
        if tx.execute(insert, params![self.replay, self.until])? == 1 { Ok(()) } else { Err(StatementError::Replayed) }
    }
}
