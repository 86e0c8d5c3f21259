//! Where organisations want to be told, with secrets sealed; and what became of each message.

use std::str::FromStr;

use purser_crypto::seal::Keyring;
use purser_db::{DbError, Row, Tx, params};
use purser_notify::webhook::WebhookSecret;
use purser_values::id::{AlertId, OrganisationId, WebhookId};
use purser_values::name::Email;
use purser_values::{Env, Timestamp};
use serde::Serialize;
use url::Url;

pub const TABLES: &str = "create table webhook_endpoint (
    id {text} primary key, organisation {text} not null, url {text} not null, description {text} not null, state {text} not null,
    why {text}, secret {blob} not null, previous {blob}, previous_until {int}, added_by {text} not null, added_at {int} not null
){strict};
create index webhook_endpoint_organisation on webhook_endpoint (organisation, added_at);
create table webhook_delivery (
    message {text} not null, endpoint {text} not null, organisation {text} not null, type {text} not null, state {text} not null,
    attempts {int} not null, status {int}, why {text}, last_at {int} not null, primary key (message, endpoint)
){strict};
create index webhook_delivery_endpoint on webhook_delivery (endpoint, last_at);
create table alert_mail (alert {text} not null, email {text} not null, at {int} not null, primary key (alert, email)){strict}";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Active,
    /// It did not take messages, or said that it wants none; a person adds it anew.
    Disabled,
    Removed,
}

impl State {
    const ALL: [Self; 3] = [Self::Active, Self::Disabled, Self::Removed];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
            Self::Removed => "removed",
        }
    }
}

impl FromStr for State {
    type Err = ();
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|state| state.name() == s).ok_or(())
    }
}

/// An endpoint without its secrets.
#[derive(Clone, Debug, Serialize)]
pub struct Endpoint {
    pub id: WebhookId,
    #[serde(skip)]
    pub organisation: OrganisationId,
    pub url: Url,
    pub description: String,
    pub state: State,
    /// Why it is not active.
    pub why: Option<String>,
    /// Until when messages are signed with the secret before too.
    pub previous_until: Option<Timestamp>,
    pub added_at: Timestamp,
}

/// What became of one message at one endpoint.
#[derive(Clone, Debug, Serialize)]
pub struct Delivery {
    pub message: String,
    pub endpoint: WebhookId,
    #[serde(rename = "type")]
    pub kind: String,
    /// `waiting`, `delivered` or `failed`.
    pub state: String,
    pub attempts: i64,
    /// What the endpoint answered last.
    pub status: Option<i64>,
    pub why: Option<String>,
    pub last_at: Timestamp,
}

fn purpose(id: &WebhookId) -> String {
    format!("webhook/{id}")
}

fn seal(keyring: &Keyring, env: &Env, id: &WebhookId, secret: &WebhookSecret) -> Result<Vec<u8>, DbError> {
    keyring.seal(env, &purpose(id), secret.text().expose().as_bytes()).map_err(|e| DbError::Other(e.to_string()))
}

pub fn insert(tx: &mut Tx<'_>, env: &Env, keyring: &Keyring, endpoint: &Endpoint, secret: &WebhookSecret, by: &str) -> Result<(), DbError> {
    let Endpoint { id, organisation, url, description, state, added_at, .. } = endpoint;
    let insert = "insert into webhook_endpoint (id, organisation, url, description, state, secret, added_by, added_at)
                  values ($1, $2, $3, $4, $5, $6, $7, $8)";
    let sealed = seal(keyring, env, id, secret)?;
    tx.execute(insert, params![id, organisation, url.as_str(), description, state.name(), sealed, by, added_at]).map(drop)
}

/// The new secret signs from now on, and the one before it besides until that moment.
pub fn replace_secret(
    tx: &mut Tx<'_>,
    env: &Env,
    keyring: &Keyring,
    id: &WebhookId,
    secret: &WebhookSecret,
    until: Timestamp,
) -> Result<(), DbError> {
    let update = "update webhook_endpoint set previous = secret, previous_until = $3, secret = $2 where id = $1";
    let sealed = seal(keyring, env, id, secret)?;
    tx.execute(update, params![id, sealed, until]).map(drop)
}

pub fn set_state(tx: &mut Tx<'_>, id: &WebhookId, state: State, why: Option<&str>) -> Result<(), DbError> {
    tx.execute("update webhook_endpoint set state = $2, why = $3 where id = $1", params![id, state.name(), why]).map(drop)
}

pub fn find(tx: &mut Tx<'_>, id: &WebhookId) -> Result<Option<Endpoint>, DbError> {
    tx.query_opt("select * from webhook_endpoint where id = $1 and state <> 'removed'", params![id])?.as_ref().map(read).transpose()
}

/// The organisation's endpoints, oldest first, those that were removed left out.
pub fn of_organisation(tx: &mut Tx<'_>, organisation: &OrganisationId) -> Result<Vec<Endpoint>, DbError> {
    let select = "select * from webhook_endpoint where organisation = $1 and state <> 'removed' order by added_at, id";
    tx.query(select, params![organisation])?.iter().map(read).collect()
}

/// What signs at this moment, the newest first.
pub fn secrets(tx: &mut Tx<'_>, keyring: &Keyring, id: &WebhookId, now: Timestamp) -> Result<Vec<WebhookSecret>, DbError> {
    let row = tx.query_one("select secret, previous, previous_until from webhook_endpoint where id = $1", params![id])?;
    let mut sealed: Vec<Vec<u8>> = vec![row.get("secret")?];
    let before = row.get::<Option<Vec<u8>>>("previous")?.zip(row.get::<Option<Timestamp>>("previous_until")?);
    sealed.extend(before.filter(|(_, until)| now < *until).map(|(secret, _)| secret));
    let open = |sealed: &Vec<u8>| {
        let text = keyring.open_text(&purpose(id), sealed).map_err(|e| DbError::Corrupt(e.to_string()))?;
        WebhookSecret::parse(&text).map_err(|e| DbError::Corrupt(e.to_string()))
    };
    sealed.iter().map(open).collect()
}

fn read(row: &Row) -> Result<Endpoint, DbError> {
    let corrupt = |what: &str| DbError::Corrupt(format!("a webhook has no readable {what}"));
    Ok(Endpoint {
        id: row.parse("id")?,
        organisation: row.parse("organisation")?,
        url: row.get::<String>("url")?.parse().map_err(|_| corrupt("address"))?,
        description: row.get("description")?,
        state: row.get::<String>("state")?.parse().map_err(|()| corrupt("state"))?,
        why: row.get("why")?,
        previous_until: row.get("previous_until")?,
        added_at: row.get("added_at")?,
    })
}

/// Notes how a message stands.
pub fn note(tx: &mut Tx<'_>, organisation: &OrganisationId, delivery: &Delivery) -> Result<(), DbError> {
    let upsert = "insert into webhook_delivery (message, endpoint, organisation, type, state, attempts, status, why, last_at)
                  values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict (message, endpoint) do update
                  set state = case when webhook_delivery.state = 'delivered' then 'delivered' else $5 end,
                      attempts = $6, status = $7, why = $8, last_at = $9";
    let Delivery { message, endpoint, kind, state, attempts, status, why, last_at } = delivery;
    tx.execute(upsert, params![message, endpoint, organisation, kind, state, attempts, status, why, last_at]).map(drop)
}

/// The messages of an organisation's endpoint, newest first.
pub fn deliveries(tx: &mut Tx<'_>, endpoint: &WebhookId, limit: i64) -> Result<Vec<Delivery>, DbError> {
    let select = "select * from webhook_delivery where endpoint = $1 order by last_at desc, message desc limit $2";
    tx.query(select, params![endpoint, limit])?.iter().map(delivery).collect()
}

/// What became of one message, at each endpoint.
pub fn of_message(tx: &mut Tx<'_>, message: &str) -> Result<Vec<Delivery>, DbError> {
    tx.query("select * from webhook_delivery where message = $1 order by endpoint", params![message])?.iter().map(delivery).collect()
}

fn delivery(row: &Row) -> Result<Delivery, DbError> {
    Ok(Delivery {
        message: row.get("message")?,
        endpoint: row.parse("endpoint")?,
        kind: row.get("type")?,
        state: row.get("state")?,
        attempts: row.get("attempts")?,
        status: row.get("status")?,
        why: row.get("why")?,
        last_at: row.get("last_at")?,
    })
}

/// An alert was put into the queue for this address. Answers whether for the first time.
pub fn mailed(tx: &mut Tx<'_>, alert: &AlertId, email: &Email, now: Timestamp) -> Result<bool, DbError> {
    let insert = "insert into alert_mail (alert, email, at) values ($1, $2, $3) on conflict (alert, email) do nothing";
    Ok(tx.execute(insert, params![alert, email, now])? == 1)
}

/// To whom an alert was mailed.
pub fn mails(tx: &mut Tx<'_>, alert: &AlertId) -> Result<Vec<String>, DbError> {
    tx.query("select email from alert_mail where alert = $1 order by email", params![alert])?.iter().map(|row| row.get("email")).collect()
}
