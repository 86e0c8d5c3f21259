//! The organisation's account at a provider: opened from the attested identity, once.

use purser_authority::action::AccountLink;
use purser_authority::{Attempt, Caller, Done, Event, Outcome, authorise};
use purser_client::CallError;
use purser_db::DbError;
use purser_flow::{StepCx, StepError};
use purser_identity::{person, standing, terms};
use purser_values::error::Kind;
use purser_values::id::{AccountId, OrganisationId};
use purser_values::{Secret, Timestamp};
use purser_wire::account::{AccountAnswer, AccountRequest, Orchestrator};
use purser_wire::assertion::IdentityAssertion;
use purser_wire::resource::AgentRef;
use purser_wire::token::{TokenGrant, TokenSet};

use crate::app::App;
use crate::error::OpError;
use crate::fault::{of_call, permanent};
use crate::gateway::Provider;
use crate::perform;
use crate::store::account::{self, Account, Asker, Tokens};

/// Life of an account request and of the assertion in it, in seconds.
const REQUEST_LIFE_S: i64 = 600;
const ASSERTION_LIFE_S: i64 = 120;
/// A token that ends within this time is refreshed first, in seconds.
const REFRESH_AHEAD_S: i64 = 60;

/// An account that calls can be made for.
#[derive(Clone, Debug)]
pub struct Opened {
    pub id: AccountId,
    pub access: Secret<String>,
}

/// The account of the caller's organisation at the provider; opened now if there is none, with fresh tokens if need be.
///
/// # Errors
/// A [`StepError`]: the provider does not answer, refuses, wants a person, or lies.
pub async fn ensure(app: &App, cx: &StepCx, caller: &Caller, agent_jkt: &str, provider: &Provider) -> Result<Opened, StepError> {
    let name = provider.manifest.name.clone();
    let Caller::Agent { agent, grant, on_behalf_of, organisation, .. } = caller.clone() else {
        return Err(permanent("agent_required", Kind::Invalid, "an account is opened by an agent under a grant", None));
    };
    let _one_at_a_time = app.lock_account(&organisation, &name).await;
    let (env, attempt_caller, provider_name) = (app.core.env.clone(), caller.clone(), name.clone());
    let asker = (organisation.clone(), on_behalf_of.clone(), agent.clone(), grant.clone());
    let row = perform(&app.core, Attempt::new("account_link", caller, name.as_str()), move |tx| -> Result<Done<Account>, OpError> {
        let before = account::find(tx, &asker.0, &provider_name)?;
        if let Some(open) = before.filter(|a| a.provider_account.is_some()) {
            return Ok(Done::quiet(open));
        }
        let standing = standing(tx, env.now(), &attempt_caller)?;
        let facts = purser_authority::Facts { provider: Some(&provider_name), ..standing.facts(env.now(), provider_name.as_str()) };
        let permit = authorise::<AccountLink>(&attempt_caller, &facts)?;
        let asker = Asker { organisation: &asker.0, person: &asker.1, agent: &asker.2, grant: &asker.3 };
        let row = account::ensure(tx, &env, &asker, &provider_name)?;
        let event = Event::new(permit.verb(), Outcome::Intended, permit.caller(), row.id.as_str()).related([provider_name.as_str()]);
        Ok(Done::with_event(row, event))
    })
    .await
    .map_err(|e| StepError::of(&e))?;
    match (&row.provider_account, row.tokens(&app.core.keyring).map_err(|e| StepError::transient(&e))?) {
        (Some(provider_account), Some(tokens)) => {
            let access = current(app, provider, &row, provider_account, tokens, |e| of_call(cx, &e)).await?;
            Ok(Opened { id: row.id, access })
        }
        _ => request(app, cx, caller, agent_jkt, provider, row).await,
    }
}

/// The access token, refreshed when it is about to end. The refresh token rotates, so the caller holds the account's lock.
async fn current(
    app: &App,
    provider: &Provider,
    row: &Account,
    provider_account: &str,
    tokens: Tokens,
    failed: impl FnOnce(CallError) -> StepError,
) -> Result<Secret<String>, StepError> {
    let now = app.core.env.now();
    match tokens.refresh {
        Some(refresh) if ends_soon(tokens.expires_at, now) => {
            let set = provider.client.token(&TokenGrant::RefreshToken { refresh_token: refresh }).await.map_err(failed)?;
            keep(app, row, provider_account, &set, now, None).await
        }
        _ => Ok(tokens.access),
    }
}

fn ends_soon(at: Option<Timestamp>, now: Timestamp) -> bool {
    at.is_some_and(|at| at <= now.plus_secs(REFRESH_AHEAD_S))
}

/// The access token of the organisation's account, if it has one. No permit is asked for: a freeze reaches the provider whatever
/// the agent may do. The account's lock is taken only where the token must be refreshed, so that nothing slow keeps a freeze waiting.
///
/// # Errors
/// When the provider gives no new token, or the store fails; both may pass.
pub async fn access(app: &App, provider: &Provider, organisation: &OrganisationId) -> Result<Option<Secret<String>>, StepError> {
    let Some((_, _, tokens)) = open_account(app, provider, organisation).await? else { return Ok(None) };
    if !ends_soon(tokens.expires_at, app.core.env.now()) {
        return Ok(Some(tokens.access));
    }
    let _one_at_a_time = app.lock_account(organisation, &provider.manifest.name).await;
    let Some((row, provider_account, tokens)) = open_account(app, provider, organisation).await? else { return Ok(None) };
    current(app, provider, &row, &provider_account, tokens, StepError::transient).await.map(Some)
}

async fn open_account(
    app: &App,
    provider: &Provider,
    organisation: &OrganisationId,
) -> Result<Option<(Account, String, Tokens)>, StepError> {
    let (name, organisation) = (provider.manifest.name.clone(), organisation.clone());
    let row = app.core.db.read(move |tx| account::find(tx, &organisation, &name)).await.map_err(StepError::transient)?;
    let Some(row) = row else { return Ok(None) };
    let tokens = row.tokens(&app.core.keyring).map_err(StepError::transient)?;
    Ok(row.provider_account.clone().zip(tokens).map(|(provider_account, tokens)| (row, provider_account, tokens)))
}

async fn request(app: &App, cx: &StepCx, caller: &Caller, agent_jkt: &str, provider: &Provider, row: Account) -> Result<Opened, StepError> {
    let now = app.core.env.now();
    let (person_id, name, organisation) = (row.person.clone(), row.provider.clone(), row.organisation.clone());
    let (person, terms) = app
        .core
        .db
        .read::<_, DbError, _>(move |tx| {
            let person = person::member(tx, &organisation, &person_id)?.ok_or(DbError::NoRow)?.person;
            let accepted = terms::accepted(tx, &organisation)?;
            Ok((person, accepted.into_iter().filter(|t| t.provider == name).map(|t| t.sha256).collect::<Vec<_>>()))
        })
        .await
        .map_err(|e| StepError::transient(&e))?;
    let assertion = IdentityAssertion {
        iss: app.realm.issuer.to_string(),
        aud: provider.manifest.base_url.to_string(),
        sub: app.realm.pairwise(&row.organisation, &row.provider),
        email: person.email.clone(),
        email_verified: true,
        agent_jkt: Some(agent_jkt.to_owned()),
        terms,
        jti: purser_values::id::RequestId::mint(&app.core.env).to_string(),
        iat: now.as_secs(),
        exp: now.plus_secs(ASSERTION_LIFE_S).as_secs(),
    };
    let assertion = assertion.sign(app.realm.keys.active()).map_err(StepError::transient)?;
    let organisation = Orchestrator::new(row.organisation.as_str(), row.organisation.as_str());
    let confirmation = Secret::new(hex(&app.core.env.bytes::<32>()));
    let id = row.request.parse().map_err(|e| permanent("request_unusable", Kind::Internal, format!("{e}"), None))?;
    let mut ask = AccountRequest::new(id, person.email, organisation, confirmation, now.plus_secs(REQUEST_LIFE_S));
    ask.identity_assertion = Some(assertion);
    ask.agent = row.agent.as_str().parse().ok().map(|id| AgentRef { id, jkt: Some(agent_jkt.to_owned()) });
    let set = match provider.client.account_request(&ask).await.map_err(|e| of_call(cx, &e))? {
        AccountAnswer::OAuth { code } => {
            let grant = TokenGrant::AuthorizationCode { code, code_verifier: None };
            provider.client.token(&grant).await.map_err(|e| of_call(cx, &e))?
        }
        AccountAnswer::Credentials(set) => set,
        AccountAnswer::RequiresAuth { url } => {
            let message = format!("the provider knows `{}` already and wants a person to connect the account", provider.manifest.name);
            let mut failure = crate::fault::failure(
                "account_needs_person",
                Kind::NeedsPerson,
                message,
                Some("open the URL and sign in there, then repeat"),
            );
            failure.details = Some(serde_json::json!({ "url": url }));
            return Err(StepError::Permanent(failure));
        }
        AccountAnswer::NeedsInformation { .. } | AccountAnswer::Error(_) => {
            return Err(permanent("account_refused", Kind::Provider, "the provider wants more than an account request holds", None));
        }
    };
    let Some(provider_account) = set.account.as_ref().map(|a| a.id.to_string()) else {
        return Err(permanent("provider_garbage", Kind::Provider, "the provider opened an account and did not name it", None));
    };
    let access = keep(app, &row, &provider_account, &set, now, Some(caller)).await?;
    Ok(Opened { id: row.id, access })
}

/// Keeps the tokens; with a caller, also records that the account is open now.
async fn keep(
    app: &App,
    row: &Account,
    provider_account: &str,
    set: &TokenSet,
    now: Timestamp,
    opened_by: Option<&Caller>,
) -> Result<Secret<String>, StepError> {
    let tokens = Tokens {
        access: set.access_token.clone(),
        refresh: set.refresh_token.clone(),
        expires_at: set.expires_in.map(|s| now.plus_secs(s)),
    };
    let access = tokens.access.clone();
    let (env, keyring, id, name) = (app.core.env.clone(), app.core.keyring.clone(), row.id.clone(), row.provider.clone());
    let (provider_account, opened_by) = (provider_account.to_owned(), opened_by.cloned());
    let attempt = Attempt::new("account_link", opened_by.as_ref().unwrap_or(&Caller::System), row.id.as_str());
    perform(&app.core, attempt, move |tx| -> Result<Done<()>, OpError> {
        // INVARIANT (one-account): whoever the provider says this account belongs to, it stays with whom it was pinned to.
        match account::by_provider_account(tx, &name, &provider_account)? {
            Some(other) if other.id != id => return Err(OpError::AccountPinned { provider: name.clone() }),
            _ => account::opened(tx, &env, &keyring, &id, &provider_account, &tokens)?,
        }
        Ok(match &opened_by {
            Some(caller) => {
                Done::with_event((), Event::done("account_link", caller, id.as_str()).related([name.as_str(), &provider_account]))
            }
            None => Done::quiet(()),
        })
    })
    .await
    .map_err(|e| StepError::of(&e))?;
    Ok(access)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
