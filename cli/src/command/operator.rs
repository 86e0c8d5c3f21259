//! `bootstrap`, `person disable`, `organisation disable`: what the operator does on the machine, beside the process that serves.

use purser_server::operator::Operator;
use purser_values::Env;
use purser_values::error::Kind;
use purser_values::id::OrganisationId;
use purser_values::name::Email;
use serde_json::json;

use super::serve;
use crate::arguments::{Configured, OfOrganisation, OfPerson};
use crate::outcome::{Failure, Success};

pub(super) async fn bootstrap(arguments: &Configured) -> Result<Success, Failure> {
    let link = open(&arguments.config).await?.bootstrap().await?;
    let text = format!("{}\n\nWhoever opens it first becomes the owner. It works once, until {}.", link.url.expose(), link.expires_at);
    Ok(Success::new(json!({ "url": link.url.expose(), "expires_at": link.expires_at }), text))
}

pub(super) async fn person_disable(arguments: &OfPerson) -> Result<Success, Failure> {
    let grants = open(&arguments.config).await?.person_disable(email(&arguments.email)?).await?;
    let text = format!("{} is out; {} grants ended.", arguments.email, grants.len());
    Ok(Success::new(json!({ "email": arguments.email, "disabled": true, "grants": grants }), text))
}

pub(super) async fn person_enable(arguments: &OfPerson) -> Result<Success, Failure> {
    open(&arguments.config).await?.person_enable(email(&arguments.email)?).await?;
    let text = format!("{} may sign in again. No grant came back.", arguments.email);
    Ok(Success::new(json!({ "email": arguments.email, "disabled": false }), text))
}

pub(super) async fn organisation_disable(arguments: &OfOrganisation) -> Result<Success, Failure> {
    let grants = open(&arguments.config).await?.organisation_disable(organisation(arguments)?).await?;
    let text = format!("{} is closed; {} grants ended.", arguments.organisation, grants.len());
    Ok(Success::new(json!({ "organisation": arguments.organisation, "disabled": true, "grants": grants }), text))
}

pub(super) async fn organisation_enable(arguments: &OfOrganisation) -> Result<Success, Failure> {
    open(&arguments.config).await?.organisation_enable(organisation(arguments)?).await?;
    let text = format!("{} is open again. No grant came back.", arguments.organisation);
    Ok(Success::new(json!({ "organisation": arguments.organisation, "disabled": false }), text))
}

async fn open(config: &std::path::Path) -> Result<Operator, Failure> {
    let config = serve::read(config)?;
    Operator::open(&config, &Env::system()).await.map_err(|e| Failure::new(Kind::Unavailable, "STORE_UNUSABLE", e.to_string()))
}

fn email(text: &str) -> Result<Email, Failure> {
    text.parse().map_err(|e| Failure::invalid(format!("{e}")))
}

fn organisation(arguments: &OfOrganisation) -> Result<OrganisationId, Failure> {
    arguments.organisation.parse().map_err(|e| Failure::invalid(format!("{e}")))
}
