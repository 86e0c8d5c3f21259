//! The organisation's account at a provider: opened from the attested identity or linked by its owner, once, and kept in use.
//!
//! INVARIANT (one-account): one account per organisation and provider; once its id is known, no other id ever takes its place. What
//! the provider's tokens are worth ends with `invalid_grant`: then the account is asked for again, and must be the same one.

mod ask;

use purser_authority::action::AccountLink;
use purser_authority::{Attempt, Caller, Done, Event, Outcome, authorise};
use purser_flow::{StepCx, StepError};
use purser_identity::{person, standing};
use purser_notify::{Mail, Subject, mail_job};
use purser_values::error::Kind;
use purser_values::id::{AccountId, OrganisationId, PersonId};
use purser_values::{Secret, Timestamp};
use purser_wire::error::code;
use purser_wire::token::{TokenGrant, TokenSet};
use serde_json::{Value, json};

use crate::app::App;
use crate::error::OpError;
use crate::fault::{of_try, permanent};
use crate::gateway::Provider;
use crate::perform;
use crate::store::account::{self, Account, Asker, Tokens};
use crate::store::link;

/// A token that ends within this time is refreshed first, in seconds.
const REFRESH_AHEAD_S: i64 = 60;

/// An account that calls can be made for.
#[derive(Clone, Debug)]
pub struct Opened {
    pub id: AccountId,
    pub access: Secret<String>,
}

/// For whom an account is wanted, and what they know of the wait so far.
#[derive(Clone, Copy)]
struct Seeker<'a> {
    /// The agent that wants it; absent where only its tokens are wanted back.
    caller: Option<&'a Caller>,
    person: &'a PersonId,
    jkt: Option<&'a str>,
    tries: i64,
    waited: Option<&'a Value>,
}

/// The account of the caller's organisation at the provider; opened or linked now if there is none, with fresh tokens if need be.
///
/// # Errors
/// A [`StepError`]: the provider does not answer, refuses, waits for a person, or lies.
pub async fn ensure(app: &App, cx: &StepCx, caller: &Caller, agent_jkt: &str, provider: &Provider) -> Result<Opened, StepError> {
    let Caller::Agent { on_behalf_of, organisation, .. } = caller else {
        return Err(permanent("agent_required", Kind::Invalid, "an account is opened by an agent under a grant", None));
    };
    let mut row = intend(app, caller, provider).await?;
    if let Some((_, tokens)) = parts(app, &row)?
        && !ends_soon(tokens.expires_at, app.core.env.now())
    {
        return Ok(Opened { id: row.id, access: tokens.access });
    }
    let _one_at_a_time = app.lock_account(organisation, &provider.manifest.name).await.map_err(StepError::transient)?;
    let seeker = Seeker { caller: Some(caller), person: on_behalf_of, jkt: Some(agent_jkt), tries: cx.tries, waited: cx.waited.as_ref() };
    // another task or node may have opened or refreshed it meanwhile
    row = intend(app, caller, provider).await?;
    if let Some((provider_account, tokens)) = parts(app, &row)? {
        match current(app, provider, &row, &provider_account, tokens, seeker.tries).await? {
            Some(access) => return Ok(Opened { id: row.id, access }),
            // The provider has ended what we had: asking again is a new intent.
            None => row = intend(app, caller, provider).await?,
        }
    }
    let access = ask::obtain(app, seeker, provider, &row).await?;
    Ok(Opened { id: row.id, access })
}

/// The account's row. Where there is nothing to make calls with, the intent to get it is written down first, if the caller may.
async fn intend(app: &App, caller: &Caller, provider: &Provider) -> Result<Account, StepError> {
    let (env, caller_in, name) = (app.core.env.clone(), caller.clone(), provider.manifest.name.clone());
    let work = move |tx: &mut purser_db::Tx<'_>| -> Result<Done<Account>, OpError> {
        let Caller::Agent { agent, grant, on_behalf_of, organisation, .. } = &caller_in else {
            return Err(OpError::Invalid("an account is opened by an agent under a grant".to_owned()));
        };
        let before = account::find(tx, organisation, &name)?;
        if let Some(open) = before.as_ref().filter(|a| a.is_open()) {
            return Ok(Done::quiet(open.clone()));
        }
        let standing = standing(tx, env.now(), &caller_in)?;
        let facts = purser_authority::Facts { provider: Some(&name), ..standing.facts(env.now(), name.as_str()) };
        let permit = authorise::<AccountLink>(&caller_in, &facts)?;
        // Looking whether somebody has answered by now is no new intent.
        if let Some(known) = &before
            && link::find(tx, &known.id)?.is_some_and(|link| link.status != link::Status::Over)
        {
            return Ok(Done::quiet(known.clone()));
        }
        let row = account::ensure(tx, &env, &Asker { organisation, person: on_behalf_of, agent, grant }, &name)?;
        let event = Event::new(permit.verb(), Outcome::Intended, permit.caller(), row.id.as_str()).related([name.as_str()]);
        Ok(Done::with_event(row, event))
    };
    perform(&app.core, Attempt::new("account_link", caller, provider.manifest.name.as_str()), work).await.map_err(|e| StepError::of(&e))
}

/// The provider's id and the tokens of an account that has both.
fn parts(app: &App, row: &Account) -> Result<Option<(String, Tokens)>, StepError> {
    let tokens = row.tokens(&app.core.keyring).map_err(StepError::transient)?;
    Ok(row.provider_account.clone().zip(tokens))
}

/// The access token, refreshed when it is about to end; none when the provider has ended the pair. The refresh token rotates, so the
/// caller holds the account's lock. A crash between the provider's rotation and our write is such an end too: nothing is lost by it,
/// as the account is then asked for again.
async fn current(
    app: &App,
    provider: &Provider,
    row: &Account,
    provider_account: &str,
    tokens: Tokens,
    tries: i64,
) -> Result<Option<Secret<String>>, StepError> {
    let now = app.core.env.now();
    let Some(refresh_token) = tokens.refresh.filter(|_| ends_soon(tokens.expires_at, now)) else { return Ok(Some(tokens.access)) };
    match provider.client.token(&TokenGrant::RefreshToken { refresh_token }).await {
        Ok(set) => {
            // Absent on refresh at some providers; another one is another account.
            let named = set.account.as_ref().map_or_else(|| provider_account.to_owned(), |a| a.id.to_string());
            keep(app, row, &named, &set, now, None).await.map(Some)
        }
        Err(e) if e.code() == Some(code::INVALID_GRANT) => replaced(app, row).await,
        Err(e) => Err(of_try(tries, &e)),
    }
}

/// After `invalid_grant`: the tokens by which another process replaced ours meanwhile, or none, and then the account is unlinked.
async fn replaced(app: &App, row: &Account) -> Result<Option<Secret<String>>, StepError> {
    let seen = row.clone();
    let work = move |tx: &mut purser_db::Tx<'_>| -> Result<Done<bool>, OpError> {
        Ok(if account::unlinked(tx, &seen)? {
            Done::with_event(true, unlink_event(&Caller::System, &seen, "the provider does not take the refresh token any more"))
        } else {
            Done::quiet(false)
        })
    };
    let ended = perform(&app.core, Attempt::new("account_unlink", &Caller::System, row.id.as_str()), work).await;
    if ended.map_err(|e| StepError::of(&e))? {
        return Ok(None);
    }
    let (organisation, name) = (row.organisation.clone(), row.provider.clone());
    let now = app.core.db.read(move |tx| account::find(tx, &organisation, &name)).await.map_err(StepError::transient)?;
    let tokens = now.map(|now| now.tokens(&app.core.keyring)).transpose().map_err(StepError::transient)?;
    Ok(tokens.flatten().map(|tokens| tokens.access))
}

/// What the log says when a provider ends what an account had.
pub fn unlink_event(caller: &Caller, row: &Account, why: &str) -> Event {
    Event::done("account_unlink", caller, row.id.as_str())
        .in_organisation(&row.organisation)
        .related([row.provider.as_str()])
        .related(row.provider_account.iter())
        .with(json!({ "why": why }))
}

fn ends_soon(at: Option<Timestamp>, now: Timestamp) -> bool {
    at.is_some_and(|at| at <= now.plus_secs(REFRESH_AHEAD_S))
}

/// The access token of the organisation's account, if it has one. No permit is asked for: a freeze reaches the provider whatever
/// the agent may do. The account's lock is taken only where the token must be refreshed, so that nothing slow keeps a freeze waiting.
///
/// # Errors
/// When the provider gives no token, or the store fails; both may pass. Also while a person has to link the account again: what an
/// agent still has there is not stopped yet, and nobody may think so.
pub async fn access(app: &App, provider: &Provider, organisation: &OrganisationId) -> Result<Option<Secret<String>>, StepError> {
    let Some(row) = opened_once(app, provider, organisation).await? else { return Ok(None) };
    if let Some((_, tokens)) = parts(app, &row)?
        && !ends_soon(tokens.expires_at, app.core.env.now())
    {
        return Ok(Some(tokens.access));
    }
    let _one_at_a_time = app.lock_account(organisation, &provider.manifest.name).await.map_err(StepError::transient)?;
    let Some(row) = opened_once(app, provider, organisation).await? else { return Ok(None) };
    if let Some((provider_account, tokens)) = parts(app, &row)?
        && let Some(access) = current(app, provider, &row, &provider_account, tokens, 0).await?
    {
        return Ok(Some(access));
    }
    let person = row.person.clone();
    let seeker = Seeker { caller: None, person: &person, jkt: None, tries: 0, waited: None };
    ask::obtain(app, seeker, provider, &row).await.map(Some)
}

/// The organisation's account, if it ever was one.
async fn opened_once(app: &App, provider: &Provider, organisation: &OrganisationId) -> Result<Option<Account>, StepError> {
    let (name, organisation) = (provider.manifest.name.clone(), organisation.clone());
    let row = app.core.db.read(move |tx| account::find(tx, &organisation, &name)).await.map_err(StepError::transient)?;
    Ok(row.filter(|row| row.provider_account.is_some()))
}

/// Keeps the tokens, and ends whatever the account waited for; with a caller, also records that the account is open now.
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
    let (named, opened_by) = (provider_account.to_owned(), opened_by.cloned());
    let attempt = Attempt::new("account_link", opened_by.as_ref().unwrap_or(&Caller::System), row.id.as_str());
    let organisation = row.organisation.clone();
    let kept = perform(&app.core, attempt, move |tx| -> Result<Done<()>, OpError> {
        // INVARIANT (one-account): whoever the provider says this account belongs to, it stays with whom it was pinned to, and it
        // stays this one.
        let pinned = account::find(tx, &organisation, &name)?.and_then(|row| row.provider_account);
        if pinned.is_some_and(|pinned| pinned != named) {
            return Err(OpError::AccountChanged { provider: name.clone() });
        }
        match account::by_provider_account(tx, &name, &named)? {
            Some(other) if other.id != id => return Err(OpError::AccountPinned { provider: name.clone() }),
            _ => account::opened(tx, &env, &keyring, &id, &named, &tokens)?,
        }
        link::done(tx, &id)?;
        Ok(match &opened_by {
            Some(caller) => Done::with_event((), Event::done("account_link", caller, id.as_str()).related([name.as_str(), &named])),
            None => Done::quiet(()),
        })
    })
    .await;
    match kept {
        Ok(()) => Ok(access),
        Err(e) => {
            if matches!(e, OpError::AccountChanged { .. }) {
                tell_changed(app, row, provider_account).await?;
            }
            Err(StepError::of(&e))
        }
    }
}

/// Tells the account's person that the provider named another account than theirs. Once for each other account.
async fn tell_changed(app: &App, row: &Account, named: &str) -> Result<(), StepError> {
    let attempt = Attempt::new("account_link", &Caller::System, row.id.as_str());
    let (core, row, named) = (app.core.clone(), row.clone(), purser_wire::text::excerpt(named, 100));
    let work = move |tx: &mut purser_db::Tx<'_>| -> Result<Done<()>, OpError> {
        let event = Event::new("account_link", Outcome::Failed("account_changed".to_owned()), &Caller::System, row.id.as_str())
            .in_organisation(&row.organisation)
            .related([row.provider.as_str(), &named])
            .related(row.provider_account.iter());
        let Some(member) = person::member(tx, &row.organisation, &row.person)? else { return Ok(Done::with_event((), event)) };
        let text = format!(
            "`{}` names another account for your organisation than the one that was connected.\n\nconnected: {}\nnow named: {named}\n\n\
             Nothing was done in the other account. Connect the first one again, or ask `{}` what happened.\n",
            row.provider,
            row.provider_account.as_deref().unwrap_or("none"),
            row.provider,
        );
        let subject = Subject::new(&format!("Another account at {}", row.provider));
        let mail = Mail { to: member.person.email, subject, text };
        let mut job = mail_job(&core.keyring, &core.env, &mail).map_err(|e| OpError::Invalid(e.to_string()))?;
        job.dedupe = Some(format!("account_changed:{}:{named}", row.id));
        Ok(Done::with_event((), event).and_job(job))
    };
    perform(&app.core, attempt, work).await.map_err(|e| StepError::of(&e))
}
