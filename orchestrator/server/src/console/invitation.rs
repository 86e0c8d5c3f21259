//! `/invitation`: the page behind the link of an invitation. Looking at it changes nothing, so that a mail scanner that follows links
//! joins nothing; joining needs a sign-in with the invited address.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use http::HeaderMap;
use purser_authority::Attempt;
use purser_authority::action::InvitationAccept;
use purser_http::extract::Query;
use purser_identity::invitation::{InvitationError, invitation_accept, invitation_of};
use purser_provisioning::perform;
use purser_values::Secret;
use serde::Deserialize;

use super::failure::PageError;
use super::form::SignedForm;
use super::mailed::Mailed;
use super::organisation::use_organisation;
use super::page::{Page, PageContext};
use super::session;
use crate::front::Front;
use crate::membership;

#[derive(Deserialize)]
pub struct Link {
    token: Secret<String>,
}

#[derive(Template)]
#[template(path = "invitation.html")]
struct InvitationPage {
    ctx: PageContext,
    token: String,
    organisation: String,
    email: String,
    role: &'static str,
    inviter: String,
    expires_at: String,
    viewer: Viewer,
    sign_in: String,
}

/// Who looks at it.
#[derive(PartialEq, Eq)]
enum Viewer {
    Nobody,
    Invited,
    Another,
}

pub async fn get(State(front): State<Front>, Query(link): Query<Mailed>, headers: HeaderMap) -> Result<Response, PageError> {
    let (now, token) = (front.realm.env.now(), link.token());
    let look = token.clone();
    let found = front.core.db.read(move |tx| invitation_of(tx, now, look.expose())).await?;
    let invitation = found.ok_or(InvitationError::Unknown)?;
    let session = session::find(&front, &headers).await?;
    let viewer = match &session {
        None => Viewer::Nobody,
        Some(session) if session.member.person.email == invitation.email => Viewer::Invited,
        Some(_) => Viewer::Another,
    };
    let ctx = match &session {
        Some(session) => PageContext::of(&front, session, "Invitation"),
        None => PageContext::anonymous(&front, "Invitation"),
    };
    let page = InvitationPage {
        ctx,
        organisation: invitation.organisation_name,
        email: invitation.email.to_string(),
        role: invitation.role.name(),
        inviter: invitation.inviter.to_string(),
        expires_at: invitation.expires_at.for_people(),
        viewer,
        sign_in: super::next::sign_in_as(&format!("/invitation?token={}", token.expose()), &invitation.email),
        token: token.expose().clone(),
    };
    Ok(Page::ok(page).into_response())
}

pub async fn post(State(front): State<Front>, signed: SignedForm<Link>) -> Result<Response, PageError> {
    let (env, session, link) = (front.realm.env.clone(), signed.session, signed.form.token);
    let (caller, person) = (session.caller(), session.member.person.clone());
    let attempt = Attempt::new("invitation_accept", &caller, person.id.as_str());
    let member = perform(&front.core, attempt, move |tx| {
        let permit = membership::permit::<InvitationAccept>(&caller, env.now(), person.id.as_str())?;
        invitation_accept(tx, &env, &permit, &person, link.expose())
    })
    .await?;
    use_organisation(&front, session, member.organisation.id).await?;
    Ok(Redirect::to("/organisation").into_response())
}
