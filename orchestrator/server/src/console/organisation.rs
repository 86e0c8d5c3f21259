//! `/organisation`: who belongs to it and in which role, who is invited, and which organisations the person has.

mod view;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use purser_authority::action::{MembershipRead, SessionSwitch};
use purser_authority::{Attempt, Role};
use purser_db::Tx;
use purser_identity::names::names_of;
use purser_identity::organisation::{MemberError, OrganisationName, session_switch};
use purser_provisioning::{OpError, perform};
use purser_values::id::{InvitationId, OrganisationId, PersonId};
use purser_values::name::Email;
use serde::Deserialize;

use super::failure::PageError;
use super::form::SignedForm;
use super::page::{Page, PageContext};
use super::session::SignedIn;
use crate::front::Front;
use crate::membership;
use view::{MemberPage, OrganisationPage};

#[derive(Deserialize)]
pub struct Nothing {}

#[derive(Deserialize)]
pub struct NameForm {
    name: String,
}

#[derive(Deserialize)]
pub struct SwitchForm {
    organisation: String,
}

#[derive(Deserialize)]
pub struct InviteForm {
    email: String,
    role: String,
}

#[derive(Deserialize)]
pub struct RoleForm {
    role: String,
}

pub async fn get(State(front): State<Front>, SignedIn(session): SignedIn) -> Result<Page<OrganisationPage>, PageError> {
    let now = front.realm.env.now();
    let permit = membership::permit::<MembershipRead>(&session.caller(), now, "organisation")?;
    let people = front.core.db.read(move |tx| membership::people(tx, now, &permit)).await?;
    Ok(Page::ok(OrganisationPage::new(PageContext::of(&front, &session, "Organisation"), &session, &people)))
}

pub async fn member(
    State(front): State<Front>,
    SignedIn(session): SignedIn,
    Path(id): Path<String>,
) -> Result<Page<MemberPage>, PageError> {
    let (id, now) = (person(&id)?, front.realm.env.now());
    let permit = membership::permit::<MembershipRead>(&session.caller(), now, id.as_str())?;
    let organisation = session.member.organisation.id.clone();
    let look = move |tx: &mut Tx<'_>| Ok::<_, OpError>((membership::record(tx, &permit, &id)?, names_of(tx, &organisation)?));
    let (record, names) = front.core.db.read(look).await?;
    Ok(Page::ok(MemberPage::new(PageContext::of(&front, &session, "Member"), &session, &record, &names, now)))
}

pub async fn invite(State(front): State<Front>, signed: SignedForm<InviteForm>) -> Result<Response, PageError> {
    let email: Email = signed.form.email.parse().map_err(unreadable)?;
    membership::invite(&front.core, &front.realm, &signed.session.caller(), email, role_of(&signed.form.role)?).await?;
    Ok(back())
}

pub async fn invitation_revoke(
    State(front): State<Front>,
    Path(id): Path<String>,
    signed: SignedForm<Nothing>,
) -> Result<Response, PageError> {
    let id: InvitationId = id.parse().map_err(|_| PageError::not_found())?;
    membership::invitation_revoke(&front.core, &signed.session.caller(), id).await?;
    Ok(back())
}

pub async fn role(State(front): State<Front>, Path(id): Path<String>, signed: SignedForm<RoleForm>) -> Result<Response, PageError> {
    membership::role_set(&front.core, &signed.session.caller(), person(&id)?, role_of(&signed.form.role)?).await?;
    Ok(back())
}

pub async fn remove(State(front): State<Front>, Path(id): Path<String>, signed: SignedForm<Nothing>) -> Result<Response, PageError> {
    let id = person(&id)?;
    membership::remove(&front.core, &signed.session.caller(), id.clone()).await?;
    Ok(Redirect::to(&format!("/organisation/members/{id}")).into_response())
}

pub async fn leave(State(front): State<Front>, signed: SignedForm<Nothing>) -> Result<Response, PageError> {
    membership::leave(&front.core, &signed.session.caller()).await?;
    Ok(Redirect::to("/sign-in").into_response())
}

pub async fn create(State(front): State<Front>, signed: SignedForm<NameForm>) -> Result<Response, PageError> {
    let made = membership::create(&front.core, &signed.session.caller(), name_of(&signed.form)?).await?;
    use_organisation(&front, signed.session, made.organisation.id).await?;
    Ok(back())
}

pub async fn rename(State(front): State<Front>, signed: SignedForm<NameForm>) -> Result<Response, PageError> {
    membership::rename(&front.core, &signed.session.caller(), name_of(&signed.form)?).await?;
    Ok(back())
}

/// The page that was open may show what the other organisation does not have, so it goes on from the front.
pub async fn switch(State(front): State<Front>, signed: SignedForm<SwitchForm>) -> Result<Response, PageError> {
    let to: OrganisationId = signed.form.organisation.parse().map_err(|_| PageError::not_found())?;
    use_organisation(&front, signed.session, to).await?;
    Ok(Redirect::to("/").into_response())
}

pub(super) async fn use_organisation(
    front: &Front,
    session: purser_identity::session::Session,
    to: OrganisationId,
) -> Result<(), MemberError> {
    let (now, caller) = (front.realm.env.now(), session.caller());
    let attempt = Attempt::new("session_switch", &caller, to.as_str());
    perform(&front.core, attempt, move |tx| {
        let permit = membership::permit::<SessionSwitch>(&caller, now, to.as_str())?;
        session_switch(tx, &permit, &session)
    })
    .await
    .map(drop)
}

fn back() -> Response {
    Redirect::to("/organisation").into_response()
}

fn person(id: &str) -> Result<PersonId, PageError> {
    id.parse().map_err(|_| PageError::not_found())
}

fn role_of(text: &str) -> Result<Role, PageError> {
    text.parse().map_err(unreadable)
}

fn name_of(form: &NameForm) -> Result<OrganisationName, PageError> {
    form.name.parse().map_err(unreadable)
}

fn unreadable(e: impl ToString) -> PageError {
    PageError::new(http::StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", &e.to_string()).hint("go back and correct it")
}
