//! `/v1/approvals`: ask for a person's yes, wait for it, and (for a person's command line) give it.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use purser_authority::action::{ApprovalDecide, ApprovalRead};
use purser_authority::{Attempt, Denied, authorise};
use purser_http::Problem;
use purser_http::extract::Json as Body;
use purser_http::extract::Query;
use purser_identity::approval::{self, Answer, Approval, ApprovalError, ApprovalState, Most, Parties, Reader, approval_decide};
use purser_provisioning::approval::{approval_ask, approval_ask_change};
use purser_provisioning::perform;
use purser_provisioning::resource::add::AddRequest;
use purser_provisioning::resource::update::UpdateRequest;
use purser_values::Sha256Digest;
use purser_values::id::{ApprovalId, ResourceId};
use purser_values::name::ServiceRef;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::Api;
use super::caller::Called;
use super::people_only::refuse;

/// Longest wait of one request, in seconds.
const WAIT_MAX_S: u64 = 25;
/// Time between two looks of a request that waits.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// What `POST /v1/resources` would be sent.
    request: Option<AddRequest>,
    /// Or which resource is to become what.
    change: Option<ChangeAsk>,
    reason: String,
    #[serde(default)]
    second_person: bool,
}

/// What `POST /v1/resources/{id}/update` would be sent, and for which resource.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeAsk {
    resource: ResourceId,
    #[serde(default)]
    service: Option<ServiceRef>,
    #[serde(default)]
    configuration: Option<Map<String, Value>>,
}

pub async fn request(State(api): State<Api>, called: Called, Body(ask): Body<Ask>) -> Result<Json<Value>, Problem> {
    let Ask { request, change, reason, second_person } = ask;
    let (app, caller) = (&api.app, called.caller());
    let asked = match (request, change) {
        (Some(request), None) => approval_ask(app, caller, request, reason, second_person).await?,
        (None, Some(ChangeAsk { resource, service, configuration })) => {
            let request = UpdateRequest { service, configuration, ..UpdateRequest::default() };
            approval_ask_change(app, caller, resource, request, reason, second_person).await?
        }
        _ => return Err(Problem::invalid("send `request` for something new, or `change` for something that is there")),
    };
    Ok(Json(shown(&api, asked).await?))
}

pub async fn list(State(api): State<Api>, called: Called) -> Result<Json<Value>, Problem> {
    let (context, now) = (called.context, api.app.core.env.now());
    let found = api.app.core.db.read::<_, ApprovalError, _>(move |tx| {
        let organisation = context.caller.organisation().cloned().ok_or(Denied::Anonymous)?;
        authorise::<ApprovalRead>(&context.caller, &context.facts(now, organisation.as_str())).map(drop)?;
        let mut all = approval::list(tx, &organisation, now)?;
        all.retain(|one| Reader(&context.caller).sees(one));
        all.into_iter().map(|one| Ok((approval::parties(tx, &one)?, one))).collect::<Result<Vec<_>, ApprovalError>>()
    });
    let rows: Vec<Value> = found.await?.iter().map(|(parties, one)| view(&api, one, parties)).collect();
    Ok(Json(json!({ "approvals": rows })))
}

#[derive(Deserialize)]
pub struct Poll {
    wait: Option<u64>,
}

pub async fn read(
    State(api): State<Api>,
    called: Called,
    Path(id): Path<String>,
    Query(poll): Query<Poll>,
) -> Result<Json<Value>, Problem> {
    let id: ApprovalId = id.parse().map_err(|_| Problem::not_found())?;
    let until = Instant::now() + Duration::from_secs(poll.wait.unwrap_or(0).min(WAIT_MAX_S));
    loop {
        let (context, now, of) = (called.context.clone(), api.app.core.env.now(), id.clone());
        let found = api.app.core.db.read::<_, ApprovalError, _>(move |tx| {
            let found = approval::find(tx, &of, now)?.filter(|found| Reader(&context.caller).sees(found)).ok_or(ApprovalError::Unknown)?;
            authorise::<ApprovalRead>(&context.caller, &context.facts(now, of.as_str())).map(drop)?;
            Ok(found)
        });
        let found = found.await?;
        if found.state != ApprovalState::Pending || Instant::now() >= until {
            return Ok(Json(shown(&api, found).await?));
        }
        tokio::time::sleep_until((Instant::now() + LOOK_AGAIN).min(until)).await;
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decide {
    approve: bool,
    /// What it may cost at most, where its price is prose.
    #[serde(default)]
    most: Option<Most>,
    /// Of the request that the person saw.
    digest: Sha256Digest,
}

pub async fn decide(
    State(api): State<Api>,
    called: Called,
    Path(id): Path<String>,
    body: Result<Body<Decide>, Problem>,
) -> Result<Json<Value>, Problem> {
    let Body(decide) = match body {
        // an attempt is refused as one, whatever it brings, and recorded
        Err(_) if called.caller().agent().is_some() => return Err(refuse::<ApprovalDecide>(&api, called, "/approvals").await),
        body => body?,
    };
    let id: ApprovalId = id.parse().map_err(|_| Problem::not_found())?;
    let (caller, env) = (called.caller().clone(), api.app.core.env.clone());
    let answer = match (decide.approve, decide.most) {
        (false, _) => Answer::No,
        (true, None) => Answer::Yes,
        (true, Some(most)) => Answer::UpTo(most),
    };
    let attempt = Attempt::new("approval_decide", &caller, id.as_str());
    let decided = perform(&api.app.core, attempt, move |tx| {
        let permit = approval::permit::<ApprovalDecide, ApprovalError>(tx, &caller, &id, env.now())?;
        approval_decide(tx, &env, &permit, answer, &decide.digest)
    });
    Ok(Json(shown(&api, decided.await?).await?))
}

async fn shown(api: &Api, approval: Approval) -> Result<Value, ApprovalError> {
    let of = approval.clone();
    let parties = api.app.core.db.read::<_, ApprovalError, _>(move |tx| Ok(approval::parties(tx, &of)?)).await?;
    Ok(view(api, &approval, &parties))
}

/// `requester` stays what it was before the two were told apart: the person.
fn view(api: &Api, approval: &Approval, parties: &Parties) -> Value {
    let request: Value = serde_json::from_str(&approval.request).unwrap_or_default();
    let mut view = json!(approval);
    view["request"] = request;
    (view["requested_by"], view["for_person"]) = (json!(parties.requested_by), json!(parties.for_person));
    view["url"] = json!(api.app.page(&format!("/approvals/{}", approval.id)));
    view
}
