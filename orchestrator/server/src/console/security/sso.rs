//! `/security/sso`: connecting the login with an account at a company, and undoing it.

use axum::extract::{Path, State};
use axum::response::Response;
use http::HeaderMap;
use purser_authority::action::SsoUnlink;
use purser_authority::{Attempt, Facts, authorise};
use purser_identity::sso::{self, SsoError};
use purser_provisioning::perform;
use purser_values::id::SsoIdentityId;
use purser_values::name::ConnectionName;

use super::{Nothing, back};
use crate::console::failure::PageError;
use crate::console::form::SignedForm;
use crate::console::sso::{For, leave};
use crate::console::step_up::Going;
use crate::front::Front;
use crate::peer::Peer;
use crate::sso::Account;

/// The company asks anew who it is, so that nobody's account there is connected without them.
pub async fn sso_link(
    State(front): State<Front>,
    Path(name): Path<ConnectionName>,
    Peer(peer): Peer,
    headers: HeaderMap,
    signed: SignedForm<Nothing>,
) -> Result<Response, PageError> {
    let connection = front.realm.sso.find(&name).ok_or(SsoError::Unknown)?;
    leave(&front, &headers, peer, connection, For::Link(&signed.session), Going::default(), Account::Usual).await
}

pub async fn sso_unlink(State(front): State<Front>, Path(id): Path<String>, signed: SignedForm<Nothing>) -> Result<Response, PageError> {
    let id: SsoIdentityId = id.parse().map_err(|_| PageError::not_found())?;
    let (session, realm) = (signed.session, front.realm.clone());
    perform(&front.core, Attempt::new("sso_unlink", &session.caller(), id.as_str()), move |tx| {
        let permit = authorise::<SsoUnlink>(&session.caller(), &Facts::new(realm.env.now(), id.as_str()))?;
        sso::sso_unlink(tx, &realm, &permit, &session)
    })
    .await?;
    Ok(back())
}
