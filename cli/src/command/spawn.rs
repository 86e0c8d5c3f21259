//! `agent spawn`: let another agent act within this agent's grant. The helper gets a key and a session of its own, in a home of its
//! own, so that it can be frozen and followed by itself.

use purser_values::error::Kind;
use purser_values::{Currency, Money};
use serde_json::{Value, json};

use crate::arguments::Spawn;
use crate::context::{Context, address};
use crate::home::{Home, Session};
use crate::operation::Who;
use crate::outcome::{Failure, Success};

pub(super) async fn run(context: &Context, arguments: &Spawn) -> Result<Success, Failure> {
    let details = details(arguments)?;
    let home = Home::at(arguments.home.clone());
    home.prepare()?;
    let _alone = home.lock().await?;
    if home.session()?.is_some() {
        let taken = Failure::new(Kind::Conflict, "HOME_IN_USE", format!("`{}` is another agent's home", home.dir().display()));
        return Err(taken.hint("name an empty folder with `--home`"));
    }
    let api = context.api(Who::Agent)?;
    let key = home.key(&context.env)?;
    let tokens = api.spawn(&key, &arguments.name, &details).await?;
    let refresh_token = tokens.refresh_token.ok_or_else(|| {
        Failure::new(Kind::Unavailable, "UNEXPECTED_ANSWER", "the orchestrator gave no usable token").hint("repeat the command")
    })?;
    let session = Session {
        url: address(api.base()),
        agent_id: tokens.agent_id,
        grant_id: tokens.grant_id,
        access_token: tokens.access_token,
        access_expires_at: tokens.expires_at,
        refresh_token: Some(refresh_token),
        profile: context.profile.borrow().clone(),
    };
    home.save_url(&context.env, &session.url)?;
    home.save_session(&context.env, &session)?;
    let folder = home.dir().display().to_string();
    let data = json!({ "agent": { "id": session.agent_id, "name": arguments.name }, "grant": { "id": session.grant_id }, "home": folder });
    let text = format!("`{}` may act as {}; its home is {folder}.", arguments.name, session.agent_id);
    Ok(Success::new(data, text).next(format!("PURSER_HOME={folder} purser whoami")))
}

/// What is not said is this agent's own, except for export, irreversible purchases and further helpers.
fn details(arguments: &Spawn) -> Result<Value, Failure> {
    let mut details = json!({ "type": "purser_grant", "export": arguments.export, "irreversible": arguments.irreversible, "delegate": arguments.delegate });
    if !arguments.project.is_empty() {
        details["projects"] = json!(arguments.project);
    }
    if !arguments.providers.is_empty() {
        details["providers"] = json!(arguments.providers);
    }
    if let Some(cap) = &arguments.cap {
        let cap =
            Money::parse_decimal(cap, Currency::USD).map_err(|e| Failure::invalid(e.to_string()).hint("write it as `25` or `25.00`"))?;
        details["cap_minor"] = json!(cap.minor());
    }
    if let Some(seconds) = arguments.expires_in {
        details["expires_in"] = json!(seconds);
    }
    Ok(details)
}
