//! The orchestrators that are connected with a person's accounts, and cutting one off.

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use purser_db::DbError;
use serde::Deserialize;
use slipway_accounts::link::LinkState;
use slipway_accounts::link::cut::{LinkCutError, link_cut};
use slipway_accounts::link::get::{Connection, connection_list};
use slipway_accounts::link::scope::Scope;

use super::failure::PageError;
use super::form::SignedForm;
use super::link::day;
use super::page::{Page, PageContext};
use super::session::SignedIn;
use crate::billing::standing;
use crate::cloud::Shared;
use crate::events::{self, EventError};

#[derive(Template)]
#[template(path = "connections.html")]
struct ConnectionsPage {
    ctx: PageContext,
    connections: Vec<Row>,
}

struct Row {
    id: String,
    orchestrator: String,
    organisation: String,
    /// Absent where the name tells it apart.
    account: Option<String>,
    account_name: String,
    since: String,
    /// The last use, or the cut.
    last: String,
    cut: bool,
    scopes: Vec<&'static str>,
    agents: Vec<String>,
    /// Service and id.
    resources: Vec<(&'static str, String)>,
}

pub async fn get(State(cloud): State<Shared>, SignedIn(session): SignedIn) -> Result<Response, PageError> {
    let person = session.person.id.clone();
    let connections = cloud.db.read(move |tx| connection_list(tx, &person)).await?;
    let mut ctx = PageContext::of(&cloud, &session, "Connections");
    "/".clone_into(&mut ctx.back);
    let accounts: BTreeSet<(String, String)> =
        connections.iter().map(|one| (one.account.organisation.clone(), one.account.id.to_string())).collect();
    let namesakes = |name: &str| accounts.iter().filter(|(one, _)| one == name).count() > 1;
    let connections = connections.into_iter().map(|one| row(namesakes(&one.account.organisation), one)).collect();
    Ok(Page::ok(ConnectionsPage { ctx, connections }).into_response())
}

fn row(namesake: bool, one: Connection) -> Row {
    let Connection { link, account, agents, resources } = one;
    let cut = link.state == LinkState::Cut;
    let last = if cut { link.cut_at } else { link.used_at };
    Row {
        id: link.id.to_string(),
        orchestrator: link.owner.issuer,
        organisation: link.organisation,
        account: namesake.then(|| account.id.to_string()),
        account_name: account.organisation,
        since: link.since.map_or_else(|| "never used".to_owned(), day),
        last: last.map_or_else(|| "not yet".to_owned(), |at| at.for_people()),
        cut,
        scopes: link.scopes.iter().map(Scope::words).collect(),
        agents,
        resources: resources.iter().map(|resource| (resource.service.id(), resource.id.to_string())).collect(),
    }
}

#[derive(Deserialize)]
pub struct Nothing {}

pub async fn cut(State(cloud): State<Shared>, Path(id): Path<String>, signed: SignedForm<Nothing>) -> Result<Response, PageError> {
    let (realm, session, link) = (cloud.realm.clone(), signed.session, id.clone());
    let cut = cloud.db.write(move |tx| -> Result<_, CutError> {
        let cut = link_cut(tx, &realm, &session, &link)?;
        if let Some(cut) = &cut {
            events::unlinked(tx, &realm.env, cut)?;
        }
        Ok(cut.map(|cut| cut.account.id))
    });
    if let Some(account) = cut.await? {
        cloud.wake_jobs.notify_one();
        tracing::info!(link = id, "an owner cut a connection");
        // what it had taken off line comes back
        if let Err(e) = standing::account(&cloud, &account).await {
            tracing::error!(%account, error = %e, "the sites of an account do not follow a cut yet");
        }
    }
    Ok(Redirect::to("/connections").into_response())
}

enum CutError {
    Cut(LinkCutError),
    Event(EventError),
}

impl From<LinkCutError> for CutError {
    fn from(e: LinkCutError) -> Self {
        Self::Cut(e)
    }
}
impl From<EventError> for CutError {
    fn from(e: EventError) -> Self {
        Self::Event(e)
    }
}
impl From<DbError> for CutError {
    fn from(e: DbError) -> Self {
        Self::Cut(e.into())
    }
}
impl From<CutError> for PageError {
    fn from(e: CutError) -> Self {
        match e {
            CutError::Cut(e) => e.into(),
            CutError::Event(EventError::Store(e)) => e.into(),
            CutError::Event(e) => DbError::Corrupt(e.to_string()).into(),
        }
    }
}
