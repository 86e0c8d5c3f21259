//! What a person has allowed a client to know: remembered, so that they are asked once, and theirs to take back.
//!
//! A consent is for one client **at one origin**. It is not remembered where the answer goes to a program on the person's own
//! machine: any program there could pass for the client (RFC 8252, 8.6).

use purser_authority::Done;
use purser_authority::Event;
use purser_authority::Permit;
use purser_authority::action::AuthorizationDecide;
use purser_db::{DbError, Tx, params};
use purser_values::Timestamp;
use purser_values::id::PersonId;

use super::{Asked, sign_on};
use crate::client::ClientId;
use crate::realm::Realm;
use crate::scope::Scope;

/// One client that a person has let know something.
#[derive(Clone, Debug)]
pub struct Consent {
    pub client: ClientId,
    /// The origin that answers go to.
    pub redirect: String,
    pub scope: Scope,
    pub accepted_at: Timestamp,
}

/// Whether all that is asked for was allowed before.
///
/// # Errors
/// When the store fails.
pub fn is_remembered(tx: &mut Tx<'_>, person: &PersonId, asked: &Asked) -> Result<bool, DbError> {
    if asked.redirect_uri.is_local() || asked.grant.is_some() {
        return Ok(false);
    }
    Ok(find(tx, person, asked)?.is_some_and(|known| asked.scope.is_within(&known)))
}

fn find(tx: &mut Tx<'_>, person: &PersonId, asked: &Asked) -> Result<Option<Scope>, DbError> {
    let select = "select scope from client_consent where person = $1 and client = $2 and redirect = $3";
    let row = tx.query_opt(select, params![person, asked.client.as_str(), asked.redirect_uri.form_source()])?;
    row.map(|row| row.parse("scope")).transpose()
}

pub(super) fn remember(tx: &mut Tx<'_>, person: &PersonId, asked: &Asked, now: Timestamp) -> Result<(), DbError> {
    if asked.redirect_uri.is_local() {
        return Ok(());
    }
    let scope = find(tx, person, asked)?.unwrap_or_default().union(&asked.scope);
    let upsert = "insert into client_consent (person, client, redirect, scope, accepted_at) values ($1, $2, $3, $4, $5)
                  on conflict (person, client, redirect) do update set scope = excluded.scope, accepted_at = excluded.accepted_at";
    tx.execute(upsert, params![person, asked.client.as_str(), asked.redirect_uri.form_source(), scope.to_string(), now]).map(drop)
}

/// The clients that a person has let know something, newest first.
///
/// # Errors
/// When the store fails.
pub fn consents_of(tx: &mut Tx<'_>, person: &PersonId) -> Result<Vec<Consent>, DbError> {
    let select = "select client, redirect, scope, accepted_at from client_consent where person = $1 order by accepted_at desc, client";
    let rows = tx.query(select, params![person])?;
    let read = |row: &purser_db::Row| -> Result<Consent, DbError> {
        Ok(Consent {
            client: row.parse("client")?,
            redirect: row.get("redirect")?,
            scope: row.parse("scope")?,
            accepted_at: row.get("accepted_at")?,
        })
    };
    rows.iter().map(read).collect()
}

/// `consent_end`: the client that the permit names is asked for anew, and its tokens end.
///
/// # Errors
/// When the store fails.
pub fn consent_end(tx: &mut Tx<'_>, realm: &Realm, permit: &Permit<AuthorizationDecide>) -> Result<Done<()>, DbError> {
    let (person, client) = (permit.caller().person(), permit.subject());
    tx.execute("delete from client_consent where person = $1 and client = $2", params![person, client])?;
    sign_on::end_of_person_at(tx, realm.env.now(), person, client)?;
    Ok(Done::with_event((), Event::done("consent_end", permit.caller(), client)))
}
