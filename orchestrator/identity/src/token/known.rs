//! Any token of ours, read back from its text: for introspection and revocation, where a token comes without its use.
//!
//! The hint of the caller (`token_type_hint`) is not needed, because every kind of token tells itself.

use purser_crypto::jose::Unverified;
use purser_crypto::token;
use purser_db::{DbError, Tx, params};
use purser_values::Timestamp;
use purser_values::id::{GrantId, SignOnId, TokenFamilyId, TokenId};
use serde_json::Value;

use super::refresh::REFRESH;
use super::{ACCESS_TYPE, AccessClaims, ClientClaims, SIGN_ON_REFRESH, SignOnClaims};
use crate::client::{Client, ClientId};
use crate::realm::Realm;

/// A token whose signature is ours, or that is in the store. Whether it still counts is another question.
pub(super) enum Known {
    /// An agent's or a person's, for the API.
    Access(AccessClaims),
    SignOn(SignOnClaims),
    Client(ClientClaims),
    AgentRefresh {
        family: TokenFamilyId,
        grant: GrantId,
        jkt: String,
        expires_at: Timestamp,
        unused: bool,
    },
    SignOnRefresh {
        sign_on: SignOnId,
        expires_at: Timestamp,
        unused: bool,
    },
}

/// An access token with our signature, and what it says. Looking at signatures is what reading a token costs, and what was signed stays
/// so: this may be kept beside the token's digest. Whether the token still counts is asked anew each time.
#[derive(Clone, Debug)]
pub struct SignedToken {
    kid: String,
    exp: i64,
    claims: Claims,
}

#[derive(Clone, Debug)]
enum Claims {
    Access(AccessClaims),
    SignOn(SignOnClaims),
    Client(ClientClaims),
}

impl SignedToken {
    /// Reads a token that has not run out. None when it is none of ours.
    #[must_use]
    pub fn read(realm: &Realm, text: &str) -> Option<Self> {
        let token = Unverified::read(text, ACCESS_TYPE).ok()?;
        let kid = token.kid()?.to_owned();
        let claims = token.verify::<Value>(&*realm.keys.find(&kid)?).ok()?.claims;
        let exp = claims["exp"].as_i64()?;
        if claims["iss"] != *realm.issuer {
            return None;
        }
        let claims = if claims.get("org").is_some() {
            serde_json::from_value(claims).ok().map(Claims::Access)
        } else if claims.get("sid").is_some() {
            serde_json::from_value(claims).ok().map(Claims::SignOn)
        } else {
            serde_json::from_value(claims).ok().map(Claims::Client)
        };
        let signed = Self { kid, exp, claims: claims? };
        signed.stands(realm).then_some(signed)
    }

    /// Whether it has not run out, and the key that signed it still vouches for tokens.
    #[must_use]
    pub fn stands(&self, realm: &Realm) -> bool {
        realm.env.now() < self.expires_at() && realm.keys.find(&self.kid).is_some()
    }

    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        Timestamp::from_secs(self.exp)
    }
}

/// The token of this text. `signed` is what [`SignedToken::read`] made of it before, if it did.
pub(super) fn known(tx: &mut Tx<'_>, realm: &Realm, text: &str, signed: Option<&SignedToken>) -> Result<Option<Known>, DbError> {
    if let Some(signed) = signed {
        return Ok(signed.stands(realm).then(|| signed.claims.clone().into()));
    }
    if token::is_well_formed(text, REFRESH) {
        let select = "select t.family as family, t.jkt as jkt, t.expires_at as expires_at, t.used_at as used_at, f.grant_id as grant_id,
                      f.revoked_at as revoked_at from refresh_token t join token_family f on f.id = t.family where t.token_hash = $1";
        let Some(row) = tx.query_opt(select, params![token::hash(text)])? else { return Ok(None) };
        let ended = row.get::<Option<Timestamp>>("used_at")?.is_some() || row.get::<Option<Timestamp>>("revoked_at")?.is_some();
        let (family, grant) = (row.parse("family")?, row.parse("grant_id")?);
        return Ok(Some(Known::AgentRefresh { family, grant, jkt: row.get("jkt")?, expires_at: row.get("expires_at")?, unused: !ended }));
    }
    if token::is_well_formed(text, SIGN_ON_REFRESH) {
        let select = "select sign_on, expires_at, used_at from sign_on_refresh where token_hash = $1";
        let Some(row) = tx.query_opt(select, params![token::hash(text)])? else { return Ok(None) };
        let unused = row.get::<Option<Timestamp>>("used_at")?.is_none();
        return Ok(Some(Known::SignOnRefresh { sign_on: row.parse("sign_on")?, expires_at: row.get("expires_at")?, unused }));
    }
    Ok(SignedToken::read(realm, text).map(|signed| signed.claims.into()))
}

impl From<Claims> for Known {
    fn from(claims: Claims) -> Self {
        match claims {
            Claims::Access(claims) => Self::Access(claims),
            Claims::SignOn(claims) => Self::SignOn(claims),
            Claims::Client(claims) => Self::Client(claims),
        }
    }
}

/// Whether the token was given to this client. An agent's was when the agent came by the client's code.
pub(super) fn is_of(tx: &mut Tx<'_>, known: &Known, client: &Client) -> Result<bool, DbError> {
    let family = match known {
        Known::SignOn(claims) => return Ok(claims.client_id == client.id),
        Known::Client(claims) => return Ok(claims.client_id == client.id),
        Known::SignOnRefresh { sign_on, .. } => {
            return Ok(crate::authorization::sign_on::find(tx, sign_on)?.is_some_and(|s| s.client == client.id));
        }
        Known::Access(AccessClaims { act: None, .. }) => return Ok(false),
        Known::Access(AccessClaims { act: Some(act), .. }) => &act.family,
        Known::AgentRefresh { family, .. } => family,
    };
    Ok(client_of(tx, family)?.is_some_and(|of| of == client.id))
}

/// The client by whose code a family of an agent's tokens came.
pub(super) fn client_of(tx: &mut Tx<'_>, family: &TokenFamilyId) -> Result<Option<ClientId>, DbError> {
    tx.query_opt("select client from authorization_code where family = $1", params![family])?.map(|row| row.parse("client")).transpose()
}

/// Whether an access token was revoked by itself.
pub(crate) fn is_revoked(tx: &mut Tx<'_>, id: &TokenId) -> Result<bool, DbError> {
    Ok(tx.query_opt("select jti from revoked_token where jti = $1", params![id])?.is_some())
}
