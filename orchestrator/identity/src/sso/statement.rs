//! What a company says of a person: its ID token (OpenID Connect Core 1.0, 3.1.3.7), with userinfo for what the token leaves out.

use purser_crypto::encoding::b64url;
use purser_crypto::jose::{ForeignKeys, JoseError};
use purser_crypto::{constant_time_eq, mac};
use purser_values::name::Email;
use purser_values::{Sha256Digest, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Connection, SsoError, SsoFacts};
use crate::audience::Audience;
use crate::limits::{CLOCK_SKEW_S, ID_TOKEN_FOREIGN_LIFE_S, SSO_GROUPS, SSO_MAX_AGE_S, SSO_SUBJECT_CHARS, SSO_WORD_CHARS, SSO_WORDS};

/// What the token must answer.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    pub connection: &'a Connection,
    pub nonce: &'a str,
    /// The access token that came with it, for `at_hash`.
    pub access_token: &'a str,
    /// When the company was asked.
    pub since: Timestamp,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    azp: Option<String>,
    exp: i64,
    iat: i64,
    nbf: Option<i64>,
    nonce: Option<String>,
    at_hash: Option<String>,
    auth_time: Option<i64>,
    acr: Option<String>,
    amr: Option<Vec<String>>,
    sid: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// A token whose signature and claims answer our request.
#[derive(Clone, Debug)]
pub struct Statement {
    subject: String,
    auth_time: Option<Timestamp>,
    acr: Option<String>,
    amr: Vec<String>,
    sid: Option<String>,
    rest: Map<String, Value>,
}

/// Who it is, with an address that the company may vouch for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Vouched {
    pub subject: String,
    pub email: Email,
    pub groups: Vec<String>,
    pub facts: SsoFacts,
}

impl Statement {
    /// # Errors
    /// [`SsoError::NoKey`] when no key of the set is meant; else what is wrong with the token.
    pub fn check(token: &str, expected: Expected<'_>, keys: &ForeignKeys, now: Timestamp) -> Result<Self, SsoError> {
        let (claims, alg): (Claims, String) = keys.verify_named(token, &["JWT"]).map_err(|e| match e {
            JoseError::Key => SsoError::NoKey,
            e => SsoError::Signature(e),
        })?;
        let (connection, now) = (expected.connection, now.as_secs());
        let wrong = |why| Err(SsoError::Answer(why));
        if claims.iss != connection.issuer {
            return wrong("it is from another issuer");
        }
        if !claims.aud.is(&connection.client_id) || claims.azp.as_ref().is_some_and(|azp| *azp != connection.client_id) {
            return wrong("it is for another client");
        }
        if !claims.nonce.is_some_and(|nonce| constant_time_eq(nonce.as_bytes(), expected.nonce.as_bytes())) {
            return wrong("it answers another request");
        }
        if claims.exp <= now || claims.exp > now + ID_TOKEN_FOREIGN_LIFE_S || claims.iat < expected.since.as_secs() - CLOCK_SKEW_S {
            return wrong("it has run out, or lives too long");
        }
        let early = |at: i64| at > now + CLOCK_SKEW_S;
        if early(claims.iat) || claims.nbf.is_some_and(early) || claims.auth_time.is_some_and(early) {
            return wrong("it is from the future");
        }
        if claims.auth_time.is_some_and(|at| at < now - SSO_MAX_AGE_S - CLOCK_SKEW_S) {
            return Err(SsoError::Stale);
        }
        if claims.at_hash.is_some_and(|found| found != at_hash(&alg, expected.access_token)) {
            return wrong("its access token is another");
        }
        if claims.sub.is_empty() || claims.sub.chars().count() > SSO_SUBJECT_CHARS {
            return wrong("its subject is none");
        }
        let word = |word: &String| word.chars().count() <= SSO_WORD_CHARS;
        Ok(Self {
            subject: claims.sub,
            auth_time: claims.auth_time.map(|at| Timestamp::from_secs(at.min(now))),
            acr: claims.acr.filter(word),
            amr: claims.amr.unwrap_or_default().into_iter().filter(word).take(SSO_WORDS).collect(),
            sid: claims.sid.filter(word),
            rest: claims.rest,
        })
    }

    /// Whether something is left out that userinfo may say.
    #[must_use]
    pub fn is_thin(&self, connection: &Connection) -> bool {
        let groups = connection.maps_roles() && !self.rest.contains_key(&connection.groups_claim);
        groups || !["email", "email_verified"].iter().all(|name| self.rest.contains_key(*name))
    }

    /// Adds what userinfo says. It must speak of the same person (5.3.2), and changes nothing that the token says.
    ///
    /// # Errors
    /// [`SsoError::Answer`].
    pub fn with_userinfo(mut self, claims: Map<String, Value>) -> Result<Self, SsoError> {
        if claims.get("sub").and_then(Value::as_str) != Some(&self.subject) {
            return Err(SsoError::Answer("its userinfo is of somebody else"));
        }
        // what is verified there is the address there
        let same_address = self.rest.get("email").is_none_or(|email| claims.get("email") == Some(email));
        for (name, value) in claims {
            if (same_address || name != "email_verified") && !self.rest.contains_key(&name) {
                self.rest.insert(name, value);
            }
        }
        Ok(self)
    }

    /// # Errors
    /// [`SsoError::Unverified`], [`SsoError::Domain`].
    pub fn vouched(self, connection: &Connection) -> Result<Vouched, SsoError> {
        if self.rest.get("email_verified") != Some(&Value::Bool(true)) {
            return Err(SsoError::Unverified);
        }
        let email: Email = self.rest.get("email").and_then(Value::as_str).and_then(|e| e.parse().ok()).ok_or(SsoError::Unverified)?;
        if !connection.has_domain_of(&email) {
            return Err(SsoError::Domain);
        }
        let groups = match self.rest.get(&connection.groups_claim) {
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).take(SSO_GROUPS).map(str::to_owned).collect(),
            Some(Value::String(one)) => vec![one.clone()],
            _ => Vec::new(),
        };
        let facts = SsoFacts {
            connection: connection.name.clone(),
            subject: Some(self.subject.clone()),
            sid: self.sid,
            auth_time: self.auth_time,
            acr: self.acr,
            amr: self.amr,
        };
        Ok(Vouched { subject: self.subject, email, groups, facts })
    }
}

/// The left half of the hash that the token's algorithm uses (3.1.3.6).
fn at_hash(alg: &str, access_token: &str) -> String {
    match alg {
        "EdDSA" | "Ed25519" => b64url(&mac::sha512(access_token.as_bytes())[..32]),
        _ => b64url(&Sha256Digest::of(access_token.as_bytes()).as_bytes()[..16]),
    }
}
