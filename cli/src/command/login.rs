//! `login`: ask a person for a grant and wait for the answer.

use std::time::{Duration, Instant};

use purser_crypto::jose::{Algorithm, SigningKey};
use purser_values::error::Kind;
use purser_values::name::{ProjectName, ProviderName};
use purser_values::{Currency, Money, limits};
use serde_json::{Value, json};

use crate::api::device::{Polled, Tokens};
use crate::api::{Api, Signer};
use crate::arguments::Login;
use crate::context::{Context, PERSON_KEY, PERSON_TOKEN, address};
use crate::home::{Home, Session, Waiting, encode_key};
use crate::outcome::{Failure, Success};
use crate::project::{self, Project};
use crate::screen;

pub(super) async fn run(context: &Context, arguments: &Login) -> Result<Success, Failure> {
    match (&arguments.workload_token_file, &arguments.workload_trust) {
        (Some(file), Some(trust)) => super::workload::login(context, file, trust).await,
        _ if arguments.person => person(context, arguments).await,
        _ => agent(context, arguments).await,
    }
}

async fn agent(context: &Context, arguments: &Login) -> Result<Success, Failure> {
    let url = context.orchestrator()?;
    let home = context.home()?;
    home.prepare()?;
    let key = {
        let _alone = home.lock().await?;
        home.save_url(&context.env, &address(&url))?;
        home.key(&context.env)?
    };
    let api = Api::new(context, url, Signer::Newcomer { key: key.clone() })?;
    let fields = fields(context, arguments)?;
    let waiting = start(context, &api, Some(&home), &fields).await?;
    let tokens = wait(context, &api, &waiting, arguments.timeout, !arguments.no_qr && !context.global.json).await;
    if !matches!(&tokens, Err(failure) if failure.code == "BROWSER_AUTH_TIMEOUT" && context.env.now() < waiting.expires_at) {
        home.forget_waiting(); // decided, or too late: a later login starts anew
    }
    let tokens = tokens?;
    let refresh_token = tokens.refresh_token.ok_or_else(|| incomplete(&api))?;
    let session = Session {
        url: address(api.base()),
        agent_id: tokens.agent_id,
        grant_id: tokens.grant_id,
        access_token: tokens.access_token,
        access_expires_at: tokens.expires_at,
        refresh_token: Some(refresh_token),
        profile: context.profile.borrow().clone(),
    };
    {
        let _alone = home.lock().await?;
        home.save_session(&context.env, &session)?;
    }
    // the grant is safe by now; that it cannot be shown is no reason to fail
    let seen = context.api(crate::operation::Who::Agent)?.get(&["v1", "whoami"], &[]).await;
    let mut data = seen.unwrap_or_else(|_| json!({ "grant": { "id": session.grant_id }, "agent": { "id": session.agent_id } }));
    let decision = if tokens.changed.is_empty() { "approved" } else { "changed" };
    data["decision"] = json!(decision);
    data["changed"] = json!(tokens.changed);
    let text = format!("{}\n\n{}", decided(&tokens.changed), super::whoami::describe(&data));
    Ok(Success::new(data, text).next("purser init").next("purser catalog"))
}

/// What the person said, with every direction in which it is not what was asked.
fn decided(changed: &[Value]) -> String {
    if changed.is_empty() {
        return "The grant is there.".to_owned();
    }
    let mut lines = vec!["The grant is there, with changes by the person:".to_owned()];
    for change in changed {
        let shown = |value: &Value| match value {
            Value::Null => "none".to_owned(),
            Value::String(text) => text.clone(),
            Value::Array(names) => {
                names.iter().map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned)).collect::<Vec<_>>().join(", ")
            }
            other => serde_json::from_value::<Money>(other.clone()).map_or_else(|_| other.to_string(), |money| money.to_string()),
        };
        lines.push(format!("  {}: {} instead of {}", super::text(change, "what"), shown(&change["granted"]), shown(&change["asked"])));
    }
    lines.join("\n")
}

/// A person's own token. It goes to the shell that asked and nowhere else: not to a terminal, not to a file, not into JSON.
async fn person(context: &Context, arguments: &Login) -> Result<Success, Failure> {
    use std::io::IsTerminal as _;
    if context.global.json || std::io::stdout().is_terminal() {
        let failure = Failure::new(Kind::Invalid, "PERSON_TOKEN_NEEDS_SHELL", "a person's token is only handed to a shell");
        return Err(failure.hint("run `eval \"$(purser login --person)\"`"));
    }
    let key = SigningKey::generate(Algorithm::EdDsa).map_err(crate::home::HomeError::NoKey)?;
    let api = Api::new(context, context.orchestrator()?, Signer::Newcomer { key: key.clone() })?;
    let name = arguments.name.clone().unwrap_or_else(|| format!("terminal of {}", host()));
    let fields = [("kind", "person".to_owned()), ("client_name", name)];
    let waiting = start(context, &api, None, &fields).await?;
    let tokens = wait(context, &api, &waiting, arguments.timeout, !arguments.no_qr && !context.global.json).await?;
    let lines = format!(
        "export {PERSON_TOKEN}={}; export {PERSON_KEY}={};",
        shell_word(tokens.access_token.expose()).ok_or_else(|| incomplete(&api))?,
        encode_key(&key).expose()
    );
    screen::note("you are signed in here for ten minutes");
    Ok(Success::new(Value::Null, lines))
}

/// Tokens have no character that a shell acts on; one that does was not made by us.
fn shell_word(token: &str) -> Option<&str> {
    let harmless = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (!token.is_empty() && token.bytes().all(harmless)).then_some(token)
}

fn incomplete(api: &Api<'_>) -> Failure {
    Failure::new(Kind::Unavailable, "UNEXPECTED_ANSWER", format!("{} gave no usable token", address(api.base())))
        .hint("check that the URL is an orchestrator's")
}

fn fields(context: &Context, arguments: &Login) -> Result<Vec<(&'static str, String)>, Failure> {
    let name = arguments.name.clone().unwrap_or_else(|| format!("agent on {}", host()));
    if name.chars().count() > limits::AGENT_NAME_CHARS || name.chars().any(char::is_control) || name.trim().is_empty() {
        return Err(Failure::invalid(format!("a name has 1 to {} characters, none of control", limits::AGENT_NAME_CHARS)));
    }
    let mut fields = vec![("kind", "agent".to_owned()), ("client_name", name)];
    fields.push(("project", projects(context, arguments)?.join(" ")));
    let providers = providers(arguments)?;
    if !providers.is_empty() {
        fields.push(("providers", providers.join(" ")));
    }
    if let Some(cap) = &arguments.cap {
        fields.push(("cap_minor", usd(cap)?.minor().to_string()));
    }
    for (name, names) in [("environments", &arguments.environments), ("services", &arguments.services)] {
        if !names.is_empty() {
            fields.push((name, names.join(" ")));
        }
    }
    if !arguments.provider_cap.is_empty() {
        let caps: Result<Vec<String>, Failure> = arguments.provider_cap.iter().map(|text| provider_cap(text)).collect();
        fields.push(("caps_minor", caps?.join(" ")));
    }
    if let Some(total) = &arguments.total {
        fields.push(("total_minor", usd(total)?.minor().to_string()));
    }
    for (name, asked) in [("export", arguments.export), ("irreversible", arguments.irreversible), ("delegate", arguments.delegate)] {
        if asked {
            fields.push((name, "1".to_owned()));
        }
    }
    if let Some(seconds) = arguments.expires_in {
        fields.push(("expires_in", seconds.to_string()));
    }
    Ok(fields)
}

fn usd(text: &str) -> Result<Money, Failure> {
    Money::parse_decimal(text, Currency::USD).map_err(|e| Failure::invalid(e.to_string()).hint("write it as `25` or `25.00`"))
}

/// `slipway=25` in minor units.
fn provider_cap(text: &str) -> Result<String, Failure> {
    let wrong = || Failure::invalid(format!("`{text}` is not a provider and its cap")).hint("write it as `slipway=25`");
    let (name, cap) = text.split_once('=').ok_or_else(wrong)?;
    let name: ProviderName = name.parse().map_err(|_| wrong())?;
    Ok(format!("{name}={}", usd(cap)?.minor()))
}

/// Those named; else the folder's project; else the project that `init` would make here.
fn projects(context: &Context, arguments: &Login) -> Result<Vec<String>, Failure> {
    let named: Result<Vec<ProjectName>, _> = arguments.project.iter().map(|name| name.parse()).collect();
    let named = named.map_err(|e| Failure::invalid(e.to_string()))?;
    if !named.is_empty() {
        return Ok(named.iter().map(ToString::to_string).collect());
    }
    let here = Project::find(&context.folder).ok().map(|project| project.state.project.name);
    let name = here.or_else(|| project::name_of_folder(&context.folder));
    let missing = || Failure::invalid("this folder's name is no project name").hint("name the project with `--project NAME`");
    Ok(vec![name.ok_or_else(missing)?.to_string()])
}

/// Those named. None means all that the orchestrator knows; the person sees the list and the worst case in one number.
fn providers(arguments: &Login) -> Result<Vec<String>, Failure> {
    let named: Result<Vec<ProviderName>, _> = arguments.providers.iter().map(|name| name.trim().parse()).collect();
    let named = named.map_err(|e| Failure::invalid(e.to_string()))?;
    Ok(named.iter().map(ToString::to_string).collect())
}

/// Starts a request, or takes up the same one that an earlier command left waiting.
async fn start(context: &Context, api: &Api<'_>, home: Option<&Home>, fields: &[(&'static str, String)]) -> Result<Waiting, Failure> {
    let request = fields.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
    let url = address(api.base());
    if let Some(home) = home
        && let Some(waiting) = home.waiting()?
        && waiting.url == url
        && waiting.request == request
        && context.env.now().plus_secs(5) < waiting.expires_at
    {
        return Ok(waiting);
    }
    let started = api.device_start(fields).await?;
    let waiting = Waiting {
        url,
        verification_uri_complete: started.verification_uri_complete.unwrap_or(started.verification_uri),
        user_code: started.user_code,
        expires_at: context.env.now().plus_secs(started.expires_in.clamp(0, 86_400)),
        request,
        device_code: started.device_code,
        interval: started.interval.min(60),
    };
    if let Some(home) = home {
        home.save_waiting(&context.env, &waiting)?;
    }
    Ok(waiting)
}

async fn wait(context: &Context, api: &Api<'_>, waiting: &Waiting, timeout: Option<u64>, picture: bool) -> Result<Tokens, Failure> {
    screen::note(&format!("open {}  code {}", waiting.verification_uri_complete, waiting.user_code));
    if picture {
        screen::picture(&waiting.verification_uri_complete);
    }
    screen::progress("waiting for the person to decide; the page shows the same code");
    let start = Instant::now();
    let mut interval = waiting.interval;
    loop {
        let left = timeout.map(|seconds| Duration::from_secs(seconds).saturating_sub(start.elapsed()));
        let polled = match left {
            None => api.device_poll(&waiting.device_code).await,
            Some(left) => match tokio::time::timeout(left, api.device_poll(&waiting.device_code)).await {
                Ok(polled) => polled,
                Err(_) => return Err(undecided(waiting)),
            },
        };
        match polled {
            Ok(Polled::Granted(tokens)) => return Ok(tokens),
            Ok(Polled::Pending { slower_by }) => interval += slower_by,
            Err(failure) => match failure.code.as_str() {
                "access_denied" => {
                    let failure = Failure::new(Kind::Forbidden, "access_denied", "the person said no");
                    return Err(failure.hint("ask the person before you try again").details(json!({ "decision": "denied" })));
                }
                "expired_token" => return Err(expired()),
                // the orchestrator may be restarting; the request is still there when it is back
                _ if failure.kind == Kind::Unavailable && context.env.now() < waiting.expires_at => {}
                _ => return Err(failure),
            },
        }
        if context.env.now() >= waiting.expires_at {
            return Err(expired());
        }
        api.device_rest(interval).await;
    }
}

/// Distinct from a no, and from waiting that was given up while there is still time.
fn expired() -> Failure {
    Failure::new(Kind::NeedsPerson, "expired_token", "nobody decided in time; the request is gone")
        .hint("run `purser login` again when the person is there")
        .details(json!({ "decision": "expired" }))
        .next("purser login")
}

fn undecided(waiting: &Waiting) -> Failure {
    Failure::new(Kind::NeedsPerson, "BROWSER_AUTH_TIMEOUT", "nobody has decided yet")
        .hint(format!("give the person this URL: {}", waiting.verification_uri_complete))
        .details(json!({
            "decision": "pending",
            "verification_uri_complete": waiting.verification_uri_complete,
            "user_code": waiting.user_code,
            "expires_at": waiting.expires_at,
        }))
        .next("purser login")
}

fn host() -> String {
    nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_else(|| "this machine".to_owned())
}
