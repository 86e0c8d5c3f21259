//! For whom a person's accounts register names: shown to them alone, and erased when they want it.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use purser_db::Tx;
use purser_values::id::{CloudAccountId, CloudPersonId};
use serde::Deserialize;
use slipway_accounts::account::Account;
use slipway_accounts::account::get::account_list_of;
use slipway_registrar::contact::{ContactError, contact_erase, contact_open, contact_since};

use super::failure::PageError;
use super::form::SignedForm;
use super::page::{Page, PageContext};
use super::session::SignedIn;
use crate::cloud::Shared;

#[derive(Template)]
#[template(path = "registrant.html")]
struct RegistrantPage {
    ctx: PageContext,
    contacts: Vec<Row>,
}

struct Row {
    account: String,
    account_name: String,
    since: String,
    /// One line each.
    lines: Vec<String>,
}

pub async fn get(State(cloud): State<Shared>, SignedIn(session): SignedIn) -> Result<Response, PageError> {
    let (person, keyring) = (session.person.id.clone(), cloud.keyring.clone());
    let contacts = cloud.db.read(move |tx| -> Result<Vec<Row>, ContactError> {
        let mut rows = Vec::new();
        for account in account_list_of(tx, &person)? {
            let (Some(since), Some(holder)) = (contact_since(tx, &account.id)?, contact_open(tx, &keyring, &account.id)?) else { continue };
            let place = [holder.street, format!("{} {}", holder.postal_code, holder.city)];
            let rest = [holder.state, Some(holder.country), Some(holder.email), Some(holder.phone)];
            rows.push(Row {
                account: account.id.to_string(),
                account_name: account.organisation,
                since: since.for_people(),
                lines: [Some(holder.name), holder.organization]
                    .into_iter()
                    .flatten()
                    .chain(place)
                    .chain(rest.into_iter().flatten())
                    .collect(),
            });
        }
        Ok(rows)
    });
    let contacts = contacts.await?;
    let mut ctx = PageContext::of(&cloud, &session, "Registrant");
    "/".clone_into(&mut ctx.back);
    Ok(Page::ok(RegistrantPage { ctx, contacts }).into_response())
}

#[derive(Deserialize)]
pub struct Nothing {}

pub async fn erase(State(cloud): State<Shared>, Path(id): Path<String>, signed: SignedForm<Nothing>) -> Result<Response, PageError> {
    let person = signed.session.person.id.clone();
    let erased = cloud.db.write(move |tx| -> Result<bool, ContactError> {
        match own(tx, &person, &id)? {
            Some(account) => contact_erase(tx, &account),
            None => Ok(false),
        }
    });
    if erased.await? {
        tracing::info!("a contact of a holder of domains was erased");
    }
    Ok(Redirect::to("/registrant").into_response())
}

/// The account, if it is this person's own: of others nothing is said, nor done.
fn own(tx: &mut Tx<'_>, person: &CloudPersonId, id: &str) -> Result<Option<CloudAccountId>, ContactError> {
    let mine = |account: Account| (account.id.as_str() == id).then_some(account.id);
    Ok(account_list_of(tx, person)?.into_iter().find_map(mine))
}
