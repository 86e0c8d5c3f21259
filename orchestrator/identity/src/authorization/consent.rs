//! What a person has allowed a client to know: remembered, so that they are asked once, and theirs to take back.
//!
//! A consent is for one client **at one origin**. It is not remembered where the answer goes to a program on the person's own
//! machine: any program there could pass for the client (RFC 8252, 8.6).

use std::collections::BTreeMap;

use purser_authority::Done;
use purser_authority::Event;
use purser_authority::Permit;
use purser_authority::action::{AuthorizationDecide, SecurityRead};
use purser_db::{DbError, Tx, params};
use purser_values::Timestamp;
use purser_values::id::PersonId;

use super::{Asked, sign_on};
use crate::client::{ClientId, client_find};
use crate::realm::Realm;
use crate::scope::Scope;

/// One client that knows something of a person: asked for once and remembered, or signed on now, or both.
#[derive(Clone, Debug)]
pub struct Connected {
    pub client: ClientId,
    /// What the client calls itself, if it is registered here.
    pub name: Option<String>,
    /// The origins that answers go to, as far as they are remembered.
    pub redirects: Vec<String>,
    pub scope: Scope,
    /// When the person last said yes, or it last signed on.
    pub since: Timestamp,
    /// Whether it has tokens that work.
    pub signed_on: bool,
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

/// The clients that know something of a person, by their name. A program on the person's own machine and a device are never
/// remembered, and yet they may be signed on for weeks: they are here too.
///
/// # Errors
/// When the store fails.
pub fn connected_of(tx: &mut Tx<'_>, permit: &Permit<SecurityRead>, now: Timestamp) -> Result<Vec<Connected>, DbError> {
    let Some(person) = permit.caller().person() else { return Ok(Vec::new()) };
    let mut all: BTreeMap<String, Connected> = BTreeMap::new();
    let select = "select client, redirect, scope, accepted_at from client_consent where person = $1 order by accepted_at desc, redirect";
    for row in tx.query(select, params![person])? {
        let client: ClientId = row.parse("client")?;
        let one = all.entry(client.to_string()).or_insert_with(|| Connected::new(client));
        one.redirects.push(row.get("redirect")?);
        one.learns(&row.parse("scope")?, row.get("accepted_at")?);
    }
    for (sign_on, started_at) in sign_on::alive_of(tx, person, now)? {
        let one = all.entry(sign_on.client.to_string()).or_insert_with(|| Connected::new(sign_on.client));
        one.signed_on = true;
        one.learns(&sign_on.facts.scope, started_at);
    }
    let mut all: Vec<Connected> = all.into_values().collect();
    for one in all.iter_mut().filter(|one| !one.client.is_url()) {
        one.name = client_find(tx, &one.client)?.map(|client| client.name().to_owned());
    }
    Ok(all)
}

impl Connected {
    fn new(client: ClientId) -> Self {
        Self { client, name: None, redirects: Vec::new(), scope: Scope::default(), since: Timestamp::from_secs(0), signed_on: false }
    }

    fn learns(&mut self, scope: &Scope, at: Timestamp) {
        self.scope = self.scope.union(scope);
        self.since = self.since.max(at);
    }
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
