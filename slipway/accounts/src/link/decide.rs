//! `link_accept` and `link_deny`: what the owner decides about a request to connect. A request is decided once.

use purser_db::{DbError, Tx, params};
use purser_values::id::{CloudAccountId, CloudLinkId};

use super::choose::choice;
use super::request::{LinkRequest, link_request_find};
use super::{Draft, LinkState, put};
use crate::account::open::{NewAccount, account_make};
use crate::realm::{MailError, Realm};
use crate::session::Session;

/// Which account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    Existing(CloudAccountId),
    /// One that is made for it.
    New,
}

/// What the code for the orchestrator must stand for.
#[derive(Clone, Debug)]
pub struct Accepted {
    pub account: CloudAccountId,
    pub link: CloudLinkId,
    pub request: Option<String>,
    pub challenge: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum LinkDecideError {
    #[error("this request to connect is unknown, over, or was decided; ask the agent for a new address")]
    Over,
    #[error("this request is for another e-mail address than the one you are signed in with")]
    EmailMismatch,
    #[error("this page was opened in another browser or sign-in since; load it again")]
    OtherSession,
    #[error("sign in again: this needs a sign-in of the last five minutes")]
    NotRecent,
    #[error("you have no such account")]
    NoSuchAccount,
    #[error("another organisation at this orchestrator is connected with that account; cut it first, or choose another account")]
    Held,
    #[error(transparent)]
    Mail(#[from] MailError),
    #[error(transparent)]
    Store(#[from] DbError),
}

/// # Errors
/// See [`LinkDecideError`]; a refusal leaves the request as it was.
pub fn link_accept(tx: &mut Tx<'_>, realm: &Realm, session: &Session, state: &str, chosen: &Choice) -> Result<Accepted, LinkDecideError> {
    let request = decide(tx, realm, session, state, "accepted")?;
    let person = &session.person;
    let (account, name) = match chosen {
        Choice::Existing(id) => {
            let found = choice(tx, &person.id, &request.owner, id)?.ok_or(LinkDecideError::NoSuchAccount)?;
            if found.held_by.is_some() {
                return Err(LinkDecideError::Held);
            }
            (found.account.id, found.account.organisation)
        }
        Choice::New => {
            let new = NewAccount { owner: None, person, email: &request.email, organisation: &request.organisation };
            (account_make(tx, &realm.env, &new)?.ok_or(DbError::NoRow)?.id, request.organisation.clone())
        }
    };
    let draft = Draft {
        account: &account,
        owner: &request.owner,
        organisation: &request.organisation,
        person: Some(&person.id),
        state: LinkState::Agreed,
        scopes: request.scopes,
    };
    let link = put(tx, &realm.env, &draft)?.ok_or(LinkDecideError::Over)?;
    let text = format!(
        "You connected the orchestrator {issuer} (organisation {organisation}) with your slipway account \"{name}\".\n\
         You can see and cut the connection on {base}connections\n",
        issuer = request.owner.issuer,
        organisation = request.organisation,
        base = realm.public_url,
    );
    realm.mail(tx, &person.email, "An orchestrator is connected with your slipway account", text)?;
    Ok(Accepted { account, link, request: request.request, challenge: request.challenge })
}

/// # Errors
/// See [`LinkDecideError`].
pub fn link_deny(tx: &mut Tx<'_>, realm: &Realm, session: &Session, state: &str) -> Result<(), LinkDecideError> {
    decide(tx, realm, session, state, "denied").map(drop)
}

fn decide(tx: &mut Tx<'_>, realm: &Realm, session: &Session, state: &str, outcome: &str) -> Result<LinkRequest, LinkDecideError> {
    let now = realm.env.now();
    let request = link_request_find(tx, now, state)?.ok_or(LinkDecideError::Over)?;
    if request.email != session.person.email {
        return Err(LinkDecideError::EmailMismatch);
    }
    if request.session.as_ref() != Some(&session.id) {
        return Err(LinkDecideError::OtherSession);
    }
    if outcome == "accepted" && !session.is_recent(now) {
        return Err(LinkDecideError::NotRecent);
    }
    let update = "update cloud_link_request set outcome = $2, decided_at = $3 where id = $1 and outcome is null";
    if tx.execute(update, params![request.id, outcome, now])? == 0 {
        return Err(LinkDecideError::Over);
    }
    Ok(request)
}
