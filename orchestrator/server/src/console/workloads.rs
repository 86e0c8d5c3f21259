//! `/workloads`: which builds and other workloads may act within which grant: seeing them, letting one in, taking it back.

mod typed;
mod view;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use purser_authority::action::{AgentRead, MembershipRead, WorkloadTrustAdd, WorkloadTrustRead, WorkloadTrustRemove};
use purser_authority::{Attempt, Facts, authorise};
use purser_db::DbError;
use purser_identity::agent::agents_list;
use purser_identity::organisation::members_list;
use purser_identity::session::Session;
use purser_identity::workload::{TrustError, workload_trust_add, workload_trust_remove, workload_trusts};
use purser_provisioning::perform;
use serde::Deserialize;

use self::typed::Typed;
use self::view::Workloads;
use super::failure::PageError;
use super::form::SignedForm;
use super::page::{Page, PageContext};
use super::session::SignedIn;
use crate::front::Front;

pub async fn get(State(front): State<Front>, SignedIn(session): SignedIn) -> Result<Page<Workloads>, PageError> {
    page(&front, &session, StatusCode::OK, Typed::usual(), None).await
}

pub async fn add(State(front): State<Front>, signed: SignedForm<Typed>) -> Result<Response, PageError> {
    let SignedForm { session, form } = signed;
    let (grant, facts) = match form.read() {
        Ok(read) => read,
        Err(wrong) => return again(&front, &session, form, wrong).await,
    };
    let (caller, realm) = (session.caller(), front.realm.clone());
    let plain_http = front.clients.rules().sandbox && facts.issuer.parse().is_ok_and(|url| front.clients.trusts(&url));
    let added = perform(&front.core, Attempt::new("workload_trust_add", &caller, grant.as_str()), move |tx| {
        let permit = authorise::<WorkloadTrustAdd>(&caller, &Facts::new(realm.env.now(), grant.as_str()))?;
        workload_trust_add(tx, &realm, &permit, &grant, facts.clone(), plain_http)
    });
    match added.await {
        Ok(_) => Ok(back()),
        Err(e @ (TrustError::Invalid(_) | TrustError::Grant | TrustError::Wider(_))) => again(&front, &session, form, e.to_string()).await,
        Err(e) => Err(e.into()),
    }
}

#[derive(Deserialize)]
pub struct Nothing {}

pub async fn remove(State(front): State<Front>, Path(id): Path<String>, signed: SignedForm<Nothing>) -> Result<Response, PageError> {
    let (caller, env) = (signed.session.caller(), front.realm.env.clone());
    perform(&front.core, Attempt::new("workload_trust_remove", &caller, id.as_str()), move |tx| {
        let permit = authorise::<WorkloadTrustRemove>(&caller, &Facts::new(env.now(), &id))?;
        workload_trust_remove(tx, env.now(), &permit)
    })
    .await?;
    Ok(back())
}

async fn again(front: &Front, session: &Session, typed: Typed, wrong: String) -> Result<Response, PageError> {
    Ok(page(front, session, StatusCode::UNPROCESSABLE_ENTITY, typed, Some(wrong)).await?.into_response())
}

async fn page(
    front: &Front,
    session: &Session,
    status: StatusCode,
    typed: Typed,
    wrong: Option<String>,
) -> Result<Page<Workloads>, PageError> {
    let (caller, now) = (session.caller(), front.realm.env.now());
    let facts = Facts::new(now, session.member.organisation.id.as_str());
    let reading = authorise::<WorkloadTrustRead>(&caller, &facts)?;
    let (agents, people) = (authorise::<AgentRead>(&caller, &facts)?, authorise::<MembershipRead>(&caller, &facts)?);
    let look = move |tx: &mut purser_db::Tx<'_>| {
        Ok::<_, DbError>((workload_trusts(tx, &reading)?, agents_list(tx, &agents)?, members_list(tx, &people)?))
    };
    let (trusts, agents, members) = front.core.db.read(look).await?;
    let ctx = PageContext::of(front, session, "Workloads");
    Ok(Page(status, Workloads::new(ctx, session, now, (&trusts, &agents, &members), typed, wrong)))
}

fn back() -> Response {
    Redirect::to("/workloads").into_response()
}
