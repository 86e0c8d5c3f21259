//! `/security`: a person's passkeys, app, address and sessions.

mod app;
mod email;
mod passkeys;
mod sso;
mod undo;

pub use app::{app_begin, app_confirm, app_remove};
pub use email::{email_begin, email_confirm};
pub use passkeys::{passkey_add, passkey_new, passkey_remove};
pub use sso::{sso_link, sso_unlink};
pub use undo::{undo_get, undo_post};

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use purser_authority::action::{SecurityRead, SessionEnd};
use purser_authority::{Attempt, Facts, authorise};
use purser_db::DbError;
use purser_identity::passkey::{Passkey, passkeys_list};
use purser_identity::session::{SessionRow, sessions_end_others, sessions_list};
use purser_identity::sso::{Connection, Identity, identities_list};
use purser_identity::totp;
use purser_provisioning::perform;
use purser_values::id::SessionId;
use serde::Deserialize;

use super::failure::PageError;
use super::form::SignedForm;
use super::page::{Page, PageContext};
use super::session::SignedIn;
use super::sign_in::Company;
use super::user_agent::browser_for_people;
use crate::front::Front;

#[derive(Template)]
#[template(path = "security.html")]
pub struct Security {
    ctx: PageContext,
    email: String,
    passkeys: Vec<PasskeyView>,
    /// Since when there is an app.
    app: Option<String>,
    identities: Vec<IdentityView>,
    /// The company through which alone the person signs in: the address and the connection are its to change.
    only: Option<String>,
    /// Companies that are not connected yet.
    companies: Vec<Company>,
    sessions: Vec<SessionView>,
}

struct IdentityView {
    id: String,
    label: String,
    email: String,
    linked_at: String,
    used_at: Option<String>,
}

struct PasskeyView {
    id: String,
    name: String,
    added_at: String,
    used_at: Option<String>,
    backed_up: bool,
}

struct SessionView {
    id: String,
    here: bool,
    since: String,
    method: &'static str,
    peer: String,
    browser: String,
}

pub async fn get(State(front): State<Front>, SignedIn(session): SignedIn) -> Result<Page<Security>, PageError> {
    let now = front.realm.env.now();
    let person = session.member.person.clone();
    let permit = authorise::<SecurityRead>(&session.caller(), &Facts::new(now, person.id.as_str()))?;
    let looked = front.core.db.read::<_, DbError, _>(move |tx| {
        let ways = (passkeys_list(tx, &permit)?, totp::confirmed_at(tx, &person.id)?, identities_list(tx, &permit)?);
        Ok((ways, sessions_list(tx, &permit, now)?))
    });
    let ((passkeys, app, identities), sessions) = looked.await?;
    let connected = |one: &&Connection| identities.iter().any(|identity| identity.issuer == one.issuer);
    let companies = front.realm.sso.iter().filter(|one| !connected(one)).map(Company::from).collect();
    Ok(Page::ok(Security {
        ctx: PageContext::of(&front, &session, "Security"),
        email: session.member.person.email.to_string(),
        passkeys: passkeys.into_iter().map(passkey_view).collect(),
        app: app.map(|at| at.for_people()),
        only: front.realm.sso.required_for(&session.member.person.email).map(|one| one.label.clone()),
        companies,
        identities: identities.into_iter().map(|identity| identity_view(&front, identity)).collect(),
        sessions: sessions.into_iter().map(|row| session_view(row, &session.id)).collect(),
    }))
}

fn passkey_view(passkey: Passkey) -> PasskeyView {
    PasskeyView {
        id: passkey.id.to_string(),
        name: passkey.name,
        added_at: passkey.created_at.for_people(),
        used_at: passkey.last_used_at.map(|at| at.for_people()),
        backed_up: passkey.backed_up,
    }
}

fn identity_view(front: &Front, identity: Identity) -> IdentityView {
    // one that the operator took away is shown by its issuer
    let label = front.realm.sso.iter().find(|one| one.issuer == identity.issuer).map(|one| one.label.clone());
    IdentityView {
        id: identity.id.to_string(),
        label: label.unwrap_or(identity.issuer),
        email: identity.email.to_string(),
        linked_at: identity.linked_at.for_people(),
        used_at: identity.last_used_at.map(|at| at.for_people()),
    }
}

fn session_view(row: SessionRow, here: &SessionId) -> SessionView {
    SessionView {
        here: row.id == here.as_str(),
        id: row.id,
        since: row.signed_in_at.for_people(),
        method: match row.method.as_deref() {
            Some("email_code") => "code by mail",
            Some("passkey") => "passkey",
            Some(_) => "your company",
            None if row.terminal => "a code on its screen",
            None => "not kept",
        },
        peer: row.peer.unwrap_or_else(|| "unknown".to_owned()),
        browser: if row.terminal {
            format!("A terminal, until {}", row.expires_at.for_people())
        } else {
            row.browser.map_or_else(|| "unknown".to_owned(), |said| browser_for_people(&said))
        },
    }
}

#[derive(Deserialize)]
pub struct End {
    /// One of the other sessions; without it, all of them.
    session: Option<String>,
}

pub async fn sessions_end(State(front): State<Front>, signed: SignedForm<End>) -> Result<Response, PageError> {
    let SignedForm { session, form } = signed;
    let now = front.realm.env.now();
    let attempt = Attempt::new("session_end", &session.caller(), session.member.person.id.as_str());
    perform(&front.core, attempt, move |tx| {
        let permit = authorise::<SessionEnd>(&session.caller(), &Facts::new(now, session.member.person.id.as_str()))?;
        sessions_end_others(tx, now, permit, &session, form.session.as_deref())
    })
    .await?;
    Ok(back())
}

#[derive(Deserialize)]
pub struct Nothing {}

fn back() -> Response {
    Redirect::to("/security").into_response()
}
