//! `login` in a build: no person is asked, because one has said before which builds may act. The issuer's token comes in a file, for
//! what stands in arguments is seen by every process.

use std::path::Path;

use purser_values::Secret;
use serde_json::json;

use crate::api::{Api, Signer};
use crate::context::{Context, address};
use crate::home::Session;
use crate::outcome::{Failure, Success};

/// Longest token that is read, in bytes.
const TOKEN_BYTES: u64 = 64 * 1024;

pub(super) async fn login(context: &Context, file: &Path, trust: &str) -> Result<Success, Failure> {
    let token = read(file)?;
    let url = context.orchestrator()?;
    let home = context.home()?;
    home.prepare()?;
    let key = {
        let _alone = home.lock().await?;
        home.save_url(&context.env, &address(&url))?;
        home.key(&context.env)?
    };
    let api = Api::new(context, url, Signer::Newcomer { key })?;
    let tokens = api.workload(&token, trust).await?;
    let session = Session {
        url: address(api.base()),
        agent_id: tokens.agent_id,
        grant_id: tokens.grant_id,
        access_token: tokens.access_token,
        access_expires_at: tokens.expires_at,
        refresh_token: None,
        profile: context.profile.borrow().clone(),
    };
    let _alone = home.lock().await?;
    home.save_session(&context.env, &session)?;
    let data = json!({ "agent": { "id": session.agent_id }, "grant": { "id": session.grant_id }, "expires_at": session.access_expires_at });
    let text = format!("This build acts as {} until {}.", session.agent_id, session.access_expires_at);
    Ok(Success::new(data, text).next("purser deploy"))
}

fn read(file: &Path) -> Result<Secret<String>, Failure> {
    let unusable = |why: &str| {
        Failure::invalid(format!("`{}` {why}", file.display())).hint("write the issuer's token to a file that only this build reads")
    };
    let length = std::fs::metadata(file).map_err(|e| unusable(&format!("cannot be read: {e}")))?.len();
    if length > TOKEN_BYTES {
        return Err(unusable("is too large for a token"));
    }
    let text = Secret::new(std::fs::read_to_string(file).map_err(|e| unusable(&format!("cannot be read: {e}")))?);
    let token = text.expose().trim();
    if token.is_empty() { Err(unusable("holds no token")) } else { Ok(Secret::new(token.to_owned())) }
}
