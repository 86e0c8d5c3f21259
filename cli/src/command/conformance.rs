//! `conformance`: test any provider, ours or another's, from outside.

use std::sync::Arc;

use purser_conformance::{Options, StubOrchestrator};
use purser_values::error::Kind;
use purser_values::{Env, Secret};
use serde_json::json;
use url::Url;

use crate::arguments::Conformance;
use crate::outcome::{Failure, Success};
use crate::{files, screen};

pub(super) async fn run(arguments: &Conformance) -> Result<Success, Failure> {
    let base_url = base(&arguments.provider)?;
    let secret = secret(arguments)?;
    let env = Env::system();
    let mut options = Options::new(env.clone(), base_url, secret);
    options.slow = arguments.slow;
    options.known_email.clone_from(&arguments.known_email);
    if let Some(address) = arguments.orchestrator {
        let unable = |error| Failure::new(Kind::Conflict, "ADDRESS_UNAVAILABLE", format!("`{address}` cannot be listened on: {error}"));
        let orchestrator = Arc::new(StubOrchestrator::start(env, address).await.map_err(unable)?);
        options.attestor = Some(orchestrator.attestor());
        options.payment = Some(orchestrator);
    }
    screen::progress("testing; this makes accounts at the provider under addresses of its own");
    let report = purser_conformance::run(options).await;
    let text = report.render_text();
    if report.ok {
        return Ok(Success::new(json!(report), text.trim_end()));
    }
    let reason = match report.failed {
        0 => "no check could be made".to_owned(),
        1 => "1 check does not hold".to_owned(),
        n => format!("{n} checks do not hold"),
    };
    screen::note(text.trim_end());
    let failure = Failure::new(Kind::Provider, "NOT_CONFORMANT", reason).details(json!(report));
    Err(failure.hint("each line with FAIL says what came instead; if nothing could be reached, check the URL and that the provider runs"))
}

fn secret(arguments: &Conformance) -> Result<Secret<String>, Failure> {
    let (text, from) = match (&arguments.secret_file, &arguments.secret) {
        (Some(path), _) => {
            let missing = || {
                Failure::new(Kind::NotFound, "SECRET_FILE_MISSING", format!("`{}` does not exist", path.display()))
                    .hint("name the file with the secret that the provider shares with its orchestrator")
            };
            (files::read_private(path)?.map(Secret::new).ok_or_else(missing)?, format!("`{}`", path.display()))
        }
        (None, Some(text)) => {
            screen::note("a secret on the command line can be read by other processes; `--secret-file` keeps it from them");
            (Secret::new(text.clone()), "`--secret`".to_owned())
        }
        (None, None) => return Err(Failure::invalid("the signing secret is missing".to_owned()).hint("give `--secret-file FILE`")),
    };
    let secret = Secret::new(text.expose().trim().to_owned());
    if secret.is_empty() { Err(Failure::invalid(format!("{from} holds no secret"))) } else { Ok(secret) }
}

/// The base of a provider, which ends with a slash so that paths are joined below it.
fn base(text: &str) -> Result<Url, Failure> {
    let refuse =
        |why: String| Failure::invalid(format!("`{text}` is no provider's URL: {why}")).hint("for example `http://127.0.0.1:7311/`");
    let mut url = Url::parse(text).map_err(|e| refuse(e.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() || url.query().is_some() || url.fragment().is_some() {
        return Err(refuse("it is not `http(s)://HOST/…`".to_owned()));
    }
    let path = format!("{}/", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Ok(url)
}
