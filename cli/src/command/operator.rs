//! `bootstrap`, `person disable`, `person sso-forget`, `organisation disable`, `keys rotate`, `ledger check`: what the operator does on the machine, beside the process that serves.

use purser_server::operator::{Haste, Operator, Recycled};
use purser_values::Env;
use purser_values::error::Kind;
use purser_values::id::OrganisationId;
use purser_values::name::Email;
use serde_json::json;

use super::serve;
use crate::arguments::{Configured, KeysRotate, OfOrganisation, OfPerson, SsoForget};
use crate::context::Context;
use crate::outcome::{Failure, Success};

pub(super) async fn bootstrap(arguments: &Configured) -> Result<Success, Failure> {
    let link = open(&arguments.config).await?.bootstrap().await?;
    let text = format!(
        "{}\n\nWhoever opens it first becomes the owner. It works once, until {}.",
        link.url.expose(),
        link.expires_at.for_people()
    );
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

pub(super) async fn sso_forget(context: &Context, arguments: &SsoForget) -> Result<Success, Failure> {
    let SsoForget { person, now_at, same_person } = arguments;
    let (of, grants_end) = (&person.email, "Its agents' grants ended, and its sign-ins.");
    let (recycled, text) = match (now_at, same_person) {
        (Some(to), _) => (Recycled::Moved { to: email(to)? }, format!("The login of {of} goes on as {to}, and {of} is free.")),
        (None, true) => (Recycled::SamePerson, format!("The login of {of} is connected anew at the next sign-in at the company.")),
        (None, false) => (Recycled::Left, format!("The login of {of} ended for good, and {of} is free. {grants_end}")),
    };
    if recycled == Recycled::Left {
        context.confirm(&format!("End the login of {of} for good, with its agents, also where it is the last owner?"))?;
    }
    let grants = open(&person.config).await?.sso_forget(email(of)?, recycled).await?;
    Ok(Success::new(json!({ "email": of, "now_at": now_at, "same_person": same_person, "grants": grants }), text))
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

pub(super) async fn keys_list(arguments: &Configured) -> Result<Success, Failure> {
    let keys = open(&arguments.config).await?.signing_keys().await?;
    let mut text = String::new();
    for key in &keys {
        let until = match (key.life.retired_at, key.life.leaves_at) {
            (Some(retired), Some(leaves)) => format!(" until {}, leaves {}", retired.for_people(), leaves.for_people()),
            _ => String::new(),
        };
        let line =
            format!("{}  {:<5}  {:<9}  signs from {}{until}\n", key.kid, key.algorithm, key.state.name(), key.life.signs_from.for_people());
        text.push_str(&line);
    }
    Ok(Success::new(json!({ "keys": keys }), text.trim_end().to_owned()))
}

pub(super) async fn keys_rotate(arguments: &KeysRotate) -> Result<Success, Failure> {
    let haste = match (arguments.compromised, arguments.now) {
        (true, _) => Haste::Compromised,
        (_, true) => Haste::Now,
        _ => Haste::Announced,
    };
    let done = open(&arguments.config).await?.signing_key_rotate(haste).await?;
    let names = done.keys.join("\n");
    let text = match haste {
        Haste::Announced => {
            format!(
                "{names}\nPublished now, signs from {}; the old keys verify until {}.",
                done.signs_from.for_people(),
                done.old_leave_at.for_people()
            )
        }
        Haste::Now => format!("{names}\nSigns now; the old keys verify until {}.", done.old_leave_at.for_people()),
        Haste::Compromised => format!("{names}\nSigns now; the old keys are gone. Agents refresh their tokens by themselves."),
    };
    Ok(Success::new(json!({ "rotation": done }), text))
}

pub(super) async fn ledger_check(arguments: &Configured) -> Result<Success, Failure> {
    let found = open(&arguments.config).await?.ledger_check().await?;
    let mut text = String::new();
    for known in &found {
        let state = if known.acknowledged_at.is_some() { "acknowledged" } else { "new holds are stopped" };
        let line = format!("{}: {} ({state})\n", known.difference.place, known.difference.what);
        text.push_str(&line);
    }
    if found.is_empty() {
        text.push_str("Everything adds up.");
    }
    Ok(Success::new(json!({ "sound": found.is_empty(), "differences": found }), text.trim_end().to_owned()))
}

pub(super) async fn ledger_acknowledge(arguments: &Configured) -> Result<Success, Failure> {
    let seen = open(&arguments.config).await?.ledger_acknowledge().await?;
    let text = match seen.len() {
        0 => "There was nothing to acknowledge.".to_owned(),
        number => format!("{number} differences acknowledged; new holds are taken again."),
    };
    Ok(Success::new(json!({ "acknowledged": seen }), text))
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
