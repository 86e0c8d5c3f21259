//! `/v1/organisation`: members, roles and invitations, for a person's command line and for programs of the person's own.

use axum::Json;
use axum::extract::{Path, State};
use purser_authority::Role;
use purser_authority::action::MembershipRead;
use purser_http::Problem;
use purser_http::extract::Json as Body;
use purser_identity::organisation::OrganisationName;
use purser_identity::person;
use purser_provisioning::{OffBoarded, OpError};
use purser_values::id::{InvitationId, PersonId};
use purser_values::name::Email;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Api;
use super::caller::Called;
use crate::membership;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Name {
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invite {
    email: Email,
    role: Role,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetRole {
    role: Role,
}

pub async fn read(State(api): State<Api>, called: Called) -> Result<Json<Value>, Problem> {
    let (caller, now) = (called.context.caller, api.app.core.env.now());
    let permit = membership::permit::<MembershipRead>(&caller, now, "organisation")?;
    let found = api.app.core.db.read::<_, OpError, _>(move |tx| {
        let people = membership::people(tx, now, &permit)?;
        let own = match caller.person() {
            Some(person) => person::memberships(tx, person)?,
            None => Vec::new(),
        };
        Ok((people, own, caller))
    });
    let (people, own, caller) = found.await?;
    let used = own.iter().find(|m| Some(&m.organisation.id) == caller.organisation());
    let organisations: Vec<Value> = own.iter().map(|m| json!({"organisation": m.organisation, "role": m.role})).collect();
    Ok(Json(json!({
        "organisation": used.map(|m| &m.organisation), "role": used.map(|m| m.role), "members": people.members,
        "invitations": people.invitations, "organisations": organisations,
    })))
}

pub async fn rename(State(api): State<Api>, called: Called, Body(body): Body<Name>) -> Result<Json<Value>, Problem> {
    let organisation = membership::rename(&api.app.core, called.caller(), name(&body)?).await?;
    Ok(Json(json!({ "organisation": organisation })))
}

pub async fn create(State(api): State<Api>, called: Called, Body(body): Body<Name>) -> Result<Json<Value>, Problem> {
    let member = membership::create(&api.app.core, called.caller(), name(&body)?).await?;
    Ok(Json(json!({ "organisation": member.organisation, "role": member.role })))
}

pub async fn invite(State(api): State<Api>, called: Called, Body(body): Body<Invite>) -> Result<Json<Value>, Problem> {
    let id = membership::invite(&api.app.core, &api.app.realm, called.caller(), body.email, body.role).await?;
    Ok(Json(json!({ "invitation": id })))
}

pub async fn invitation_revoke(State(api): State<Api>, called: Called, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let id: InvitationId = id.parse().map_err(|_| Problem::not_found())?;
    membership::invitation_revoke(&api.app.core, called.caller(), id.clone()).await?;
    Ok(Json(json!({ "invitation": id, "revoked": true })))
}

pub async fn member(State(api): State<Api>, called: Called, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let id: PersonId = id.parse().map_err(|_| Problem::not_found())?;
    let now = api.app.core.env.now();
    let permit = membership::permit::<MembershipRead>(called.caller(), now, id.as_str())?;
    let record = api.app.core.db.read(move |tx| membership::record(tx, &permit, &id)).await?;
    let grants: Vec<Value> = record
        .grants
        .iter()
        .map(|g| json!({"id": g.id, "agent": g.agent, "accepted_at": g.accepted_at, "in_force": g.is_in_force(now), "scope": g.scope}))
        .collect();
    let decided: Vec<Value> = record
        .decided
        .iter()
        .map(|e| json!({"at": e.at, "verb": e.event.verb, "subject": e.event.subject, "data": e.event.data}))
        .collect();
    Ok(Json(json!({ "person": record.person, "member": record.member, "grants": grants, "decided": decided })))
}

pub async fn role_set(
    State(api): State<Api>,
    called: Called,
    Path(id): Path<String>,
    Body(body): Body<SetRole>,
) -> Result<Json<OffBoarded>, Problem> {
    let id: PersonId = id.parse().map_err(|_| Problem::not_found())?;
    Ok(Json(membership::role_set(&api.app.core, called.caller(), id, body.role).await?))
}

pub async fn remove(State(api): State<Api>, called: Called, Path(id): Path<String>) -> Result<Json<OffBoarded>, Problem> {
    let id: PersonId = id.parse().map_err(|_| Problem::not_found())?;
    Ok(Json(membership::remove(&api.app.core, called.caller(), id).await?))
}

pub async fn leave(State(api): State<Api>, called: Called) -> Result<Json<OffBoarded>, Problem> {
    Ok(Json(membership::leave(&api.app.core, called.caller()).await?))
}

fn name(body: &Name) -> Result<OrganisationName, Problem> {
    body.name.parse().map_err(|e| Problem::invalid(format!("{e}")))
}
