//! Introspection (RFC 7662): what a token says and whether it still counts, for who may know.
//!
//! A client learns of its own tokens. A resource server, which the operator gave the scope `introspect`, learns of all. Everybody
//! else learns that the token is not active, which is also all there is to say of a token that is none of ours.

use purser_authority::{Caller, GrantScope};
use purser_db::{DbError, Tx};
use serde_json::{Value, json};

use super::known::{self, Known, SignedToken, client_of, is_of, is_revoked};
use super::{AccessClaims, ClientClaims, Prior, SignOnClaims, SignOnTokenError, sign_on};
use crate::authorization::details::GRANT_TYPE;
use crate::authorization::sign_on as sign_ons;
use crate::client::Client;
use crate::context::{self, CallerError};
use crate::grant;
use crate::person;
use crate::realm::Realm;

/// The scope of a client that may introspect tokens of others.
pub const INTROSPECT: &str = "introspect";

/// The answer to a client that has proved itself. `signed` is what was read of the token before, if it was.
///
/// # Errors
/// When the store fails.
pub fn token_introspect(
    tx: &mut Tx<'_>,
    realm: &Realm,
    client: &Client,
    token: &str,
    signed: Option<&SignedToken>,
) -> Result<Value, DbError> {
    let inactive = json!({ "active": false });
    let Some(known) = known::known(tx, realm, token, signed)? else { return Ok(inactive) };
    let may = (client.is_confidential() && client.metadata.scope.contains(INTROSPECT)) || is_of(tx, &known, client)?;
    if !may {
        return Ok(inactive);
    }
    let found = match known {
        Known::Access(claims) => access(tx, realm, &claims)?,
        Known::SignOn(claims) => of_sign_on(tx, realm, &claims)?,
        Known::Client(claims) => of_client(tx, &claims)?,
        Known::AgentRefresh { family, grant, jkt, expires_at, unused } => {
            let now = realm.env.now();
            let grant = grant::find(tx, &grant)?.filter(|_| unused && now < expires_at);
            match grant {
                None => None,
                Some(grant) => {
                    let chain = grant::chain(tx, &grant, now)?;
                    let stands = chain.in_force && !chain.frozen && person::member(tx, &grant.organisation, &grant.person)?.is_some();
                    let act = json!({ "sub": grant.agent, "grant": grant.id, "act": Prior::of(&chain.delegators()) });
                    let client = client_of(tx, &family)?;
                    stands.then(|| {
                        json!({ "sub": grant.person, "exp": expires_at.as_secs(), "cnf": { "jkt": jkt }, "act": act,
                        "client_id": client, "authorization_details": details(&grant.scope) })
                    })
                }
            }
        }
        Known::SignOnRefresh { sign_on, expires_at, unused } => {
            let now = realm.env.now();
            let alive = sign_ons::find(tx, &sign_on)?.filter(|s| unused && now < expires_at && s.is_alive(now));
            alive.map(|s| {
                let cnf = s.jkt.as_ref().map(|jkt| json!({ "jkt": jkt }));
                json!({ "sub": s.person, "client_id": s.client, "scope": s.facts.scope, "exp": expires_at.as_secs(), "sid": s.id, "cnf": cnf })
            })
        }
    };
    let Some(mut found) = found else { return Ok(inactive) };
    if let Some(members) = found.as_object_mut() {
        members.retain(|_, value| !value.is_null());
        members.insert("active".to_owned(), true.into());
        members.insert("iss".to_owned(), (*realm.issuer).into());
    }
    Ok(found)
}

fn access(tx: &mut Tx<'_>, realm: &Realm, claims: &AccessClaims) -> Result<Option<Value>, DbError> {
    let context = match context::bearer_of(tx, realm.env.now(), claims) {
        Ok(context) if !context.frozen => context,
        Ok(_) => return Ok(None),
        Err(CallerError::Db(e)) => return Err(e),
        Err(_) => return Ok(None),
    };
    // what the store says of the chain, not what was true when the token was made
    let act = match (&claims.act, &context.caller) {
        (Some(act), Caller::Agent { chain, .. }) => json!({ "sub": act.sub, "grant": act.grant, "act": Prior::of(chain) }),
        _ => Value::Null,
    };
    let client = match &claims.act {
        Some(act) => client_of(tx, &act.family)?,
        None => None,
    };
    Ok(Some(json!({
        "sub": claims.sub, "aud": claims.aud, "org": claims.org, "jti": claims.jti, "iat": claims.iat, "exp": claims.exp,
        "token_type": "DPoP", "cnf": claims.cnf, "act": act, "client_id": client,
        "authorization_details": context.grant.as_ref().map(details),
    })))
}

fn of_sign_on(tx: &mut Tx<'_>, realm: &Realm, claims: &SignOnClaims) -> Result<Option<Value>, DbError> {
    match sign_on::bearer_of(tx, realm.env.now(), claims) {
        Ok(_) | Err(SignOnTokenError::Scope) => {}
        Err(SignOnTokenError::Db(e)) => return Err(e),
        Err(_) => return Ok(None),
    }
    let mut found = json!(claims);
    found["token_type"] = token_type(claims.cnf.is_some()).into();
    Ok(Some(found))
}

fn of_client(tx: &mut Tx<'_>, claims: &ClientClaims) -> Result<Option<Value>, DbError> {
    if is_revoked(tx, &claims.jti)? || crate::client::is_removed(tx, &claims.client_id)? {
        return Ok(None);
    }
    let mut found = json!(claims);
    found["token_type"] = token_type(claims.cnf.is_some()).into();
    Ok(Some(found))
}

const fn token_type(bound: bool) -> &'static str {
    if bound { "DPoP" } else { "Bearer" }
}

fn details(scope: &GrantScope) -> Value {
    let mut details = json!(scope);
    details["type"] = GRANT_TYPE.into();
    json!([details])
}
