//! Asking a provider for an account, until it gives one: every answer there is, and what each is waited for.
//!
//! What an attempt needs (its secret, its PKCE verifier, its expiry) is written down before the provider hears of it, so that after a
//! crash the same request is sent again. INVARIANT (intent-first): a code that a browser brought is marked as sent before it is sent;
//! one whose fate is unknown is never sent again, the account is asked for again instead.

use std::collections::BTreeMap;

use purser_authority::{Attempt, Caller, Done, Event, Outcome};
use purser_client::CallError;
use purser_db::DbError;
use purser_flow::{Failure, StepError};
use purser_http::Origin;
use purser_identity::person::{self, Member, Person};
use purser_identity::terms;
use purser_values::error::Kind;
use purser_values::name::Email;
use purser_values::{Secret, Sha256Digest};
use purser_wire::account::{AccountAnswer, AccountRequest, Orchestrator};
use purser_wire::assertion::IdentityAssertion;
use purser_wire::error::code;
use purser_wire::pkce;
use purser_wire::resource::AgentRef;
use purser_wire::token::{TokenGrant, TokenSet};
use serde_json::json;
use url::Url;

use super::Seeker;
use crate::app::App;
use crate::error::OpError;
use crate::fault::{failure, of_try, permanent};
use crate::gateway::Provider;
use crate::perform;
use crate::store::account::Account;
use crate::store::link::{self, Begin, Link, Seals, Status};

/// Life of an account request and of the assertion in it, in seconds.
const REQUEST_LIFE_S: i64 = 600;
const ASSERTION_LIFE_S: i64 = 120;
/// Time between two looks whether somebody has answered, in milliseconds.
const LOOK_MS: u64 = 700;
/// Longest wait that a provider may ask for before it is asked again, in seconds.
const REGISTERING_MAX_S: u32 = 30;
/// Longest page address and largest schema of a provider that are kept, in bytes.
const URL_BYTES: usize = 2_048;
const SCHEMA_BYTES: usize = 16 * 1024;
/// A state of a provider's own that is shorter could be guessed.
const STATE_CHARS: std::ops::RangeInclusive<usize> = 16..=256;

/// An attempt under way, and its person.
struct Under {
    link: Link,
    person: Person,
    /// What the organisation is called: people at the provider read it.
    organisation: String,
    terms: Vec<Sha256Digest>,
}

/// The access token of the account that the provider gives; the caller holds the account's lock.
pub(super) async fn obtain(app: &App, seeker: Seeker<'_>, provider: &Provider, row: &Account) -> Result<Secret<String>, StepError> {
    let under = begun(app, seeker, row).await?;
    let late = under.link.is_late(app.core.env.now());
    let set = match under.link.status {
        Status::Over => Err(StepError::Permanent(under.link.failure.clone().unwrap_or_else(expired))),
        Status::Waiting | Status::Information if late => Err(StepError::Permanent(expired())),
        Status::Registering if late => Err(StepError::Permanent(failure(
            "account_registering_timeout",
            Kind::Provider,
            format!("`{}` did not get to know this orchestrator in time", row.provider),
            Some("try again later, or tell the provider"),
        ))),
        Status::Waiting | Status::Information => return Err(waiting(app, &under)),
        Status::Returned => redeem(app, seeker, provider, &under.link).await,
        Status::Asking | Status::Registering | Status::Confirmed | Status::Redeeming => ask(app, seeker, provider, row, &under).await,
    };
    let finished = match set {
        Ok(set) => finish(app, seeker, row, &set).await,
        Err(e) => Err(e),
    };
    match finished {
        Err(StepError::Permanent(why)) => {
            over(app, &under.link, &why).await?;
            Err(StepError::Permanent(why))
        }
        other => other,
    }
}

/// The attempt that goes on, or a new one. Who waited for an attempt that came to nothing is told so; everybody else begins anew.
async fn begun(app: &App, seeker: Seeker<'_>, row: &Account) -> Result<Under, StepError> {
    let (core, row) = (app.core.clone(), row.clone());
    let waited = seeker.waited.and_then(|on| on["attempt"].as_str()).map(str::to_owned);
    let wanted_by = seeker.person.clone();
    let work = move |tx: &mut purser_db::Tx<'_>| -> Result<Under, DbError> {
        let now = core.env.now();
        let waited_for = |link: &Link| waited.as_deref() == Some(link.attempt.as_str());
        let goes_on = |link: &Link| match link.status {
            Status::Over => waited_for(link),
            Status::Asking | Status::Confirmed | Status::Redeeming => !link.is_late(now),
            Status::Waiting | Status::Information | Status::Registering => !link.is_late(now) || waited_for(link),
            Status::Returned => true,
        };
        let accepted = terms::accepted(tx, &row.organisation)?;
        let terms = accepted.into_iter().filter(|t| t.provider == row.provider).map(|t| t.sha256).collect();
        if let Some(link) = link::find(tx, &row.id)?.filter(goes_on)
            && let Some(member) = person::member(tx, &row.organisation, &link.person)?
        {
            return Ok(Under { link, organisation: called(&member), person: member.person, terms });
        }
        // The provider knows the account by the person who opened it; while there is none, by who asks now.
        let owner = row.provider_account.is_some().then(|| person::member(tx, &row.organisation, &row.person)).transpose()?.flatten();
        let member = match owner {
            Some(owner) => owner,
            None => person::member(tx, &row.organisation, &wanted_by)?.ok_or(DbError::NoRow)?,
        };
        let begin = Begin {
            account: &row.id,
            organisation: &row.organisation,
            provider: &row.provider,
            request: &row.request,
            person: &member.person.id,
            verifier: &pkce::verifier(&core.env),
            expires_at: now.plus_secs(REQUEST_LIFE_S),
        };
        let link = link::begin(tx, Seals { env: &core.env, keyring: &core.keyring }, &begin)?;
        Ok(Under { link, organisation: called(&member), person: member.person, terms })
    };
    app.core.db.write(work).await.map_err(StepError::transient)
}

/// What people at the provider read. New organisations are called by their founder's address: nobody else's is told.
fn called(member: &Member) -> String {
    let Member { person, organisation, .. } = member;
    match organisation.name.parse::<Email>() {
        Ok(address) if address != person.email => organisation.id.to_string(),
        _ => organisation.name.clone(),
    }
}

async fn ask(app: &App, seeker: Seeker<'_>, provider: &Provider, row: &Account, under: &Under) -> Result<TokenSet, StepError> {
    let link = &under.link;
    let request = request(app, seeker, provider, row, under)?;
    match provider.client.account_request(&request).await.map_err(|e| of_answer(seeker.tries, &e))? {
        AccountAnswer::OAuth { code } => {
            let code_verifier = Some(link.verifier(seals(app)).map_err(StepError::transient)?);
            let grant = TokenGrant::AuthorizationCode { code, code_verifier };
            provider.client.token(&grant).await.map_err(|e| of_try(seeker.tries, &e))
        }
        AccountAnswer::Credentials(set) => Ok(set),
        AccountAnswer::RequiresAuth { url } => {
            let url = page_of(provider, &url).ok_or_else(|| {
                let message = format!("`{}` sends people to an address that is not its own", row.provider);
                permanent("account_url_refused", Kind::Provider, message, Some("tell the provider; nobody was sent there"))
            })?;
            let secret = link.secret(seals(app)).map_err(StepError::transient)?;
            let state = state_of(&url).unwrap_or_else(|| secret.expose().clone());
            let (core, of, issuer, address) = (app.core.clone(), link.clone(), provider.issuer.clone(), url.to_string());
            let write = move |tx: &mut purser_db::Tx<'_>| {
                link::waits(tx, Seals { env: &core.env, keyring: &core.keyring }, &of, &address, &state, issuer.as_deref())
            };
            app.core.db.write(write).await.map_err(StepError::transient)?;
            Err(waiting(app, under))
        }
        AccountAnswer::NeedsInformation { schema } if schema.to_string().len() <= SCHEMA_BYTES => {
            let (of, kept) = (link.clone(), schema.clone());
            app.core.db.write(move |tx| link::wants(tx, &of, &kept)).await.map_err(StepError::transient)?;
            let mut asked =
                Under { link: link.clone(), person: under.person.clone(), organisation: under.organisation.clone(), terms: Vec::new() };
            (asked.link.status, asked.link.schema) = (Status::Information, Some(schema));
            Err(waiting(app, &asked))
        }
        AccountAnswer::NeedsInformation { .. } => {
            Err(permanent("provider_garbage", Kind::Provider, "the provider asks for more than anybody could answer", None))
        }
        AccountAnswer::Registering { retry_after_s } => {
            let (of, from) = (link.clone(), link.status);
            app.core.db.write(move |tx| link::moved(tx, &of, from, Status::Registering)).await.map_err(StepError::transient)?;
            let wait = u64::from(retry_after_s.clamp(1, REGISTERING_MAX_S)) * 1_000;
            Err(StepError::Transient { why: "the provider gets to know this orchestrator".to_owned(), after_ms: Some(wait) })
        }
        AccountAnswer::Error(error) => Err(StepError::Permanent(crate::fault::refused(&error.code, &error.message))),
    }
}

fn request(app: &App, seeker: Seeker<'_>, provider: &Provider, row: &Account, under: &Under) -> Result<AccountRequest, StepError> {
    let (link, now) = (&under.link, app.core.env.now());
    // the only name of the organisation that a provider ever gets from us
    let pairwise = app.realm.pairwise(&row.organisation, &row.provider);
    let assertion = IdentityAssertion {
        iss: app.realm.issuer.to_string(),
        aud: provider.manifest.base_url.to_string(),
        sub: pairwise.clone(),
        email: under.person.email.clone(),
        email_verified: true,
        agent_jkt: seeker.jkt.map(str::to_owned),
        terms: under.terms.clone(),
        jti: purser_values::id::RequestId::mint(&app.core.env).to_string(),
        iat: now.as_secs(),
        exp: now.plus_secs(ASSERTION_LIFE_S).as_secs(),
    };
    let assertion = assertion.sign(&app.realm.keys.active()).map_err(StepError::transient)?;
    let organisation = Orchestrator::new(pairwise, under.organisation.as_str());
    let secret = link.secret(seals(app)).map_err(StepError::transient)?;
    let id = row.request.parse().map_err(|e| permanent("request_unusable", Kind::Internal, format!("{e}"), None))?;
    let mut ask = AccountRequest::new(id, under.person.email.clone(), organisation, secret, link.expires_at);
    ask.challenge(&link.verifier(seals(app)).map_err(StepError::transient)?);
    if let Some(information) = link.information(seals(app)).map_err(StepError::transient)? {
        // Known providers read such facts from `configuration`; the name is the one that resources use.
        ask.configuration = Some(information.clone());
        ask.submitted_information = Some(information);
    }
    ask.identity_assertion = Some(assertion);
    let agent = seeker.caller.and_then(Caller::agent).unwrap_or(&row.agent);
    ask.agent = agent.as_str().parse().ok().map(|id| AgentRef { id, jkt: seeker.jkt.map(str::to_owned), grant: None });
    Ok(ask)
}

/// Redeems the code that the browser brought, once.
async fn redeem(app: &App, seeker: Seeker<'_>, provider: &Provider, link: &Link) -> Result<TokenSet, StepError> {
    let (of, by) = (link.clone(), seeker.caller.cloned().unwrap_or(Caller::System));
    let attempt = Attempt::new("account_link", &by, link.account.as_str());
    let mine = perform(&app.core, attempt, move |tx| -> Result<Done<bool>, OpError> {
        if !link::moved(tx, &of, Status::Returned, Status::Redeeming)? {
            return Ok(Done::quiet(false));
        }
        let event = Event::new("account_link", Outcome::Intended, &by, of.account.as_str())
            .in_organisation(&of.organisation)
            .related([of.provider.as_str(), &of.request])
            .with(json!({ "step": "redeem" }));
        Ok(Done::with_event(true, event))
    })
    .await
    .map_err(|e| StepError::of(&e))?;
    if !mine {
        return Err(StepError::transient("the code is being redeemed already"));
    }
    let lost = || permanent("account_link_failed", Kind::Internal, "the code of the callback is gone", None);
    let code = link.code(seals(app)).map_err(StepError::transient)?.ok_or_else(lost)?;
    let code_verifier = Some(link.verifier(seals(app)).map_err(StepError::transient)?);
    let redeemed = provider.client.token(&TokenGrant::AuthorizationCode { code, code_verifier }).await;
    redeemed.map_err(|e| match &e {
        // Whatever came of it: the next try asks for the account again, and says so to nobody but the provider.
        CallError::Transient { .. } | CallError::Garbage { .. } => StepError::transient(&e),
        CallError::Permanent { error, .. } => {
            let message =
                format!("`{}` does not take the code that it gave: {}", link.provider, purser_wire::text::excerpt(&error.code, 64));
            permanent("account_link_failed", Kind::Provider, message, Some("repeat the command; the person is asked once more"))
        }
    })
}

async fn finish(app: &App, seeker: Seeker<'_>, row: &Account, set: &TokenSet) -> Result<Secret<String>, StepError> {
    let Some(named) = set.account.as_ref().map(|a| a.id.to_string()) else {
        return Err(permanent("provider_garbage", Kind::Provider, "the provider opened an account and did not name it", None));
    };
    super::keep(app, row, &named, set, app.core.env.now(), Some(seeker.caller.unwrap_or(&Caller::System))).await
}

async fn over(app: &App, link: &Link, why: &Failure) -> Result<(), StepError> {
    let (of, why) = (link.clone(), why.clone());
    app.core.db.write(move |tx| link::over(tx, &of, &why).map(drop)).await.map_err(StepError::transient)
}

/// What a provider's refusal of a request means; those that only say that time is up are the same to us.
fn of_answer(tries: i64, e: &CallError) -> StepError {
    match e.code() {
        Some(code::EXPIRED | code::ACCOUNT_REQUEST_EXPIRED) => StepError::Permanent(expired()),
        _ => of_try(tries, e),
    }
}

fn expired() -> Failure {
    failure(
        "account_link_expired",
        Kind::NeedsPerson,
        "nobody connected the account in time",
        Some("repeat the command; the person gets a new page"),
    )
}

/// Tells who looks at the saga whom it waits for, where, and until when. The page is ours: the provider's own address holds a secret.
fn waiting(app: &App, under: &Under) -> StepError {
    let link = &under.link;
    let (what, schema) = match link.status {
        Status::Information => ("account_information", link.schema.clone()),
        _ => ("account_link", None),
    };
    let members = BTreeMap::from([
        ("for", json!(what)),
        ("attempt", json!(link.attempt)),
        ("request", json!(link.request)),
        ("provider", json!(link.provider)),
        ("url", json!(page(app, &link.request))),
        ("person", json!({ "id": link.person, "email": under.person.email })),
        ("expires_at", json!(link.expires_at)),
    ]);
    let mut on = json!(members);
    if let Some(schema) = schema {
        on["schema"] = schema;
    }
    StepError::Waiting { on, after_ms: LOOK_MS }
}

/// The page on which the person answers.
fn page(app: &App, request: &str) -> String {
    app.realm.url(&format!("/link/{request}"))
}

fn seals(app: &App) -> Seals<'_> {
    Seals { env: &app.core.env, keyring: &app.core.keyring }
}

/// The address, when a person may be sent there: the provider's own origin, nothing hidden before the host, not too long.
fn page_of(provider: &Provider, url: &Url) -> Option<Url> {
    let home = &provider.manifest.base_url;
    let own = url.scheme() == home.scheme() && Origin::of(url).is_some() && Origin::of(url) == Origin::of(home);
    let plain = url.username().is_empty() && url.password().is_none() && url.as_str().len() <= URL_BYTES;
    (own && plain).then(|| url.clone())
}

/// The state that the provider will bring back, where it is one of its own.
fn state_of(url: &Url) -> Option<String> {
    let fit = |s: &str| STATE_CHARS.contains(&s.len()) && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    url.query_pairs().find(|(name, _)| name == "state").map(|(_, value)| value.into_owned()).filter(|state| fit(state))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_taken_from_the_page_only_when_nobody_could_guess_it() {
        let state = |query: &str| state_of(&Url::parse(&format!("https://p.example/link?{query}")).unwrap());
        assert_eq!(state("state=0123456789abcdef").as_deref(), Some("0123456789abcdef"));
        for bad in ["state=1", "", "state=0123456789abcde%20", "other=0123456789abcdef"] {
            assert_eq!(state(bad), None, "{bad}");
        }
    }
}
