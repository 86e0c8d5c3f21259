//! `/step-up/sso`: the person's company says that it is they.

use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use purser_identity::session::Session;
use purser_identity::sso::{Connection, SsoError, Vouched, sso_step_up};
use purser_provisioning::perform;
use purser_values::Timestamp;
use purser_values::name::ConnectionName;
use serde::Deserialize;

use super::{Going, attempt, go_on, permit};
use crate::console::failure::PageError;
use crate::console::form::SignedForm;
use crate::console::next;
use crate::console::sso::{For, leave};
use crate::front::Front;
use crate::peer::Peer;
use crate::sso::Account;

#[derive(Deserialize)]
pub struct CompanyForm {
    connection: ConnectionName,
    #[serde(default)]
    next: String,
    #[serde(default)]
    resume: String,
}

/// `/step-up/sso`: the person's company asks who it is.
pub async fn sso(
    State(front): State<Front>,
    Peer(peer): Peer,
    headers: HeaderMap,
    signed: SignedForm<CompanyForm>,
) -> Result<Response, PageError> {
    let SignedForm { session, form } = signed;
    let connection = front.realm.sso.find(&form.connection).ok_or(SsoError::Unknown)?;
    let going = Going { next: next::safe(Some(&form.next)).to_owned(), resume: form.resume };
    leave(&front, &headers, peer, connection, For::StepUp(&session), going, Account::Usual).await
}

/// The person is back from their company, which says who they are.
pub(in crate::console) async fn by_company(
    front: &Front,
    session: &Session,
    connection: &Connection,
    vouched: Vouched,
    began_at: Timestamp,
    going: &Going,
) -> Result<Response, PageError> {
    let (realm, of, connection) = (front.realm.clone(), session.clone(), connection.clone());
    let stepped = perform(&front.core, attempt(session), move |tx| {
        let permit = permit(&realm.env, &of)?;
        sso_step_up(tx, &realm, &permit, &of, &connection, &vouched, began_at)
    });
    Ok(go_on(front, &stepped.await?, going))
}
