//! Credits at providers: asking for one, attesting what was approved, and knowing what is left.
//!
//! What a person of the operator approved is redeemed as soon as the organisation has an account there: by a job, and before the first
//! quote of a purchase. Each try brings a fresh attestation of the same application, which the provider answers once.

mod names;

use std::collections::BTreeSet;
use std::sync::Arc;

use purser_authority::action::CreditApply;
use purser_authority::{Attempt, Caller, Done, authorise};
use purser_client::CallError;
use purser_db::jobs::{Handler, Job, JobFailure, NewJob};
use purser_db::{DbError, Tx};
use purser_flow::StepError;
use purser_identity::standing;
use purser_notify::{Mail, Subject, mail_job};
use purser_spend::credit::{self, Application, Asked, Balance, CreditError, Programme, REDEEM_JOB, REFRESH_JOB, Redeemed, State};
use purser_values::Secret;
use purser_values::id::{CreditApplicationId, OrganisationId, RequestId};
use purser_values::name::{Email, ProviderName};
use purser_wire::credit::{CreditAttestation, Credits, RedeemCredit};
use purser_wire::limits::CREDIT_PROGRAMMES;
use purser_wire::manifest::{Extension, Manifest};
use purser_wire::quote::Quote;
use serde_json::json;

use crate::account;
use crate::app::App;
use crate::core::Core;
use crate::error::OpError;
use crate::gateway::Provider;
use crate::{notice, perform};

pub use names::names;

/// Life of an attestation, in seconds.
const ATTESTATION_LIFE_S: i64 = 120;
/// Most credits that are taken from one provider.
const CREDITS: usize = 64;

/// The programmes of a manifest, in the ledger's words. What could not be shown to a person is left out.
#[must_use]
pub fn programmes(provider: &ProviderName, manifest: &Manifest) -> Vec<Programme> {
    if !manifest.speaks(&Extension::Credits) {
        return Vec::new();
    }
    let usable = manifest.credit_programmes.iter().filter(|one| one.is_usable()).take(CREDIT_PROGRAMMES);
    let programme = |one: &purser_wire::credit::Programme| Programme {
        provider: provider.clone(),
        id: one.id.clone(),
        title: one.title.clone(),
        description: one.description.clone(),
        amount: one.amount,
        months: one.months,
        covers: one.covers.iter().map(|cover| cover.as_str().chars().take(64).collect()).collect(),
    };
    usable.map(programme).collect()
}

/// Asks for a programme's credit, and tells the people who decide.
///
/// # Errors
/// See [`CreditError`]; or what stands against the caller.
pub async fn credit_apply(app: &App, caller: &Caller, asked: Asked) -> Result<Application, OpError> {
    let (within, by) = (app.clone(), caller.clone());
    perform(&app.core, Attempt::new("credit_apply", caller, asked.provider.as_str()), move |tx| -> Result<Done<Application>, OpError> {
        let (core, now) = (&within.core, within.core.env.now());
        let standing = standing(tx, now, &by)?;
        let facts = purser_authority::Facts { provider: Some(&asked.provider), ..standing.facts(now, asked.provider.as_str()) };
        let permit = authorise::<CreditApply>(&by, &facts)?;
        let mut done = credit::apply(tx, &core.env, &core.keyring, &permit, &asked)?;
        for email in within.realm.credit_approvers.iter() {
            let job = notice(core, email, &done.value, &within.realm.url("/operator/credits"))?;
            done.jobs.push(job);
        }
        Ok(done)
    })
    .await
}

/// The mail to one of those who decide.
///
/// # Errors
/// When it cannot be sealed.
pub fn notice(core: &Core, to: &Email, one: &Application, url: &str) -> Result<NewJob, CreditError> {
    let text = format!(
        "Somebody asks for the credit `{}` at {}: {} for {} months.\n\nWhat they say for it, which nobody has verified, is on {url}\n",
        one.programme, one.provider, one.amount, one.months,
    );
    let mail = Mail { to: to.clone(), subject: Subject::new("An application for credit waits"), text };
    Ok(mail_job(&core.keyring, &core.env, &mail)?)
}

/// Redeems what was approved and waited for the account. What the provider refuses is written down and stops nobody.
///
/// # Errors
/// When the provider does not answer, or the store fails; both may pass.
pub(crate) async fn redeem_waiting(
    app: &App,
    organisation: &OrganisationId,
    provider: &Provider,
    access: &Secret<String>,
) -> Result<(), StepError> {
    let (of, name) = (organisation.clone(), provider.manifest.name.clone());
    let waiting = app.core.db.read(move |tx| credit::waiting_at(tx, &of, &name)).await.map_err(StepError::transient)?;
    for one in waiting {
        redeem(app, &one, provider, access).await.map_err(StepError::transient)?;
    }
    Ok(())
}

/// One try. The error says why nothing is known yet.
async fn redeem(app: &App, one: &Application, provider: &Provider, access: &Secret<String>) -> Result<(), String> {
    let attestation = attest(app, one, provider).await?;
    let (answer, credits) = match provider.client.credit_redeem(access, &RedeemCredit { attestation }).await {
        Ok(credits) => (Redeemed::Given, Some(credits)),
        Err(CallError::Permanent { error, .. }) => (Redeemed::Refused { code: error.code, message: error.message }, None),
        Err(e @ (CallError::Transient { .. } | CallError::Garbage { .. })) => return Err(e.to_string()),
    };
    let (env, id, name, of) = (app.core.env.clone(), one.id.clone(), one.provider.clone(), one.organisation.clone());
    let balance = credits.map(|credits| balance(&name, &credits, app)).transpose()?;
    let attempt = Attempt::new("credit_redeem", &Caller::System, id.as_str());
    let written = perform(&app.core, attempt, move |tx| -> Result<Done<()>, CreditError> {
        let mut done = credit::redeemed(tx, &env, &id, &answer)?.map(|_| ());
        if let Some(balance) = &balance {
            done.absorb(credit::record(tx, &env, &of, balance)?);
        }
        Ok(done)
    });
    written.await.map_err(|e| e.to_string())
}

/// What we say to the provider, signed. INVARIANT (nobody-attests-for-themselves): only an application that is approved comes this far.
async fn attest(app: &App, one: &Application, provider: &Provider) -> Result<Secret<String>, String> {
    let (realm, of, name) = (app.realm.clone(), one.organisation.clone(), one.provider.clone());
    let names: BTreeSet<String> = app.core.db.read(move |tx| names(tx, &realm, &of, &name)).await.map_err(|e: DbError| e.to_string())?;
    let now = app.core.env.now();
    let approved = one.decided_at.filter(|_| one.state == State::Approved).ok_or("nobody has approved it")?;
    let claims = CreditAttestation {
        iss: app.realm.issuer.to_string(),
        aud: provider.manifest.base_url.to_string(),
        sub: app.realm.pairwise(&one.organisation, &one.provider),
        programme: one.programme.clone(),
        names: names.into_iter().collect(),
        evidence: one.evidence_sha256,
        application: one.id.to_string(),
        approved_at: approved.as_secs(),
        jti: RequestId::mint(&app.core.env).to_string(),
        iat: now.as_secs(),
        exp: now.plus_secs(ATTESTATION_LIFE_S).as_secs(),
    };
    claims.sign(&app.realm.keys.active()).map_err(|e| e.to_string())
}

/// What the provider says, in the ledger's words.
fn balance(provider: &ProviderName, said: &Credits, app: &App) -> Result<Balance, String> {
    let credits: Vec<_> = said.credits.iter().take(CREDITS).collect();
    let body = json!({"provider": provider, "credits": credits, "forecast": said.forecast, "read_at": app.core.env.now()});
    serde_json::from_value(body).map_err(|e| e.to_string())
}

/// Asks the provider what is left, and keeps the answer. Without an account there is nothing to ask.
///
/// # Errors
/// Why nothing new is known.
pub async fn refresh(app: &App, organisation: &OrganisationId, name: &ProviderName) -> Result<(), String> {
    let provider = app.gateway.get(name).ok_or("the provider has not answered since the start")?;
    let Some(access) = account::access(app, &provider, organisation).await.map_err(|e| format!("{e:?}"))? else { return Ok(()) };
    let said = provider.client.credits(&access).await.map_err(|e| e.to_string())?;
    let (env, of, balance) = (app.core.env.clone(), organisation.clone(), balance(name, &said, app)?);
    let attempt = Attempt::new("credit_redeem", &Caller::System, organisation.as_str());
    let written = perform(&app.core, attempt, move |tx| -> Result<Done<()>, CreditError> { Ok(credit::record(tx, &env, &of, &balance)?) });
    written.await.map_err(|e| e.to_string())
}

/// Enqueues a look at every credit that nobody has looked at for a while. Answers how many.
pub(crate) fn due(tx: &mut Tx<'_>, env: &purser_values::Env) -> Result<usize, DbError> {
    let stale = credit::stale(tx, env.now())?;
    for (organisation, provider) in &stale {
        let dedupe = Some(format!("{REFRESH_JOB}:{organisation}:{provider}:{}", env.now().as_secs() / 600));
        let payload = json!({"organisation": organisation, "provider": provider});
        let job = NewJob { dedupe, ..NewJob::now(env, REFRESH_JOB, payload) };
        purser_db::jobs::enqueue(tx, env, &job)?;
    }
    Ok(stale.len())
}

/// A look at what is left after a purchase that a credit paid a part of; nothing for any other.
pub(crate) fn after(
    env: &purser_values::Env,
    organisation: &OrganisationId,
    provider: &ProviderName,
    quote: Option<&Quote>,
) -> Option<NewJob> {
    let quote = quote.filter(|quote| quote.lines.iter().any(|line| line.credit_minor > 0))?;
    let dedupe = Some(format!("{REFRESH_JOB}:{organisation}:{provider}:{}", quote.id));
    let payload = json!({"organisation": organisation, "provider": provider});
    Some(NewJob { dedupe, ..NewJob::now(env, REFRESH_JOB, payload) })
}

/// What credits need of the job runner.
#[must_use]
pub fn handlers(app: &App) -> Vec<(&'static str, Handler)> {
    let (redeeming, looking) = (app.clone(), app.clone());
    vec![
        (
            REDEEM_JOB,
            Arc::new(move |job: Job| {
                let app = redeeming.clone();
                Box::pin(async move { run_redeem(&app, &job).await })
            }),
        ),
        (
            REFRESH_JOB,
            Arc::new(move |job: Job| {
                let app = looking.clone();
                Box::pin(async move {
                    let (organisation, provider) = (field(&job, "organisation")?, field(&job, "provider")?);
                    // Nobody waits for it: the next round asks again.
                    if let Err(why) = refresh(&app, &organisation, &provider).await {
                        tracing::warn!(%provider, why, "what is left of a credit is not known anew");
                    }
                    Ok(())
                })
            }),
        ),
    ]
}

async fn run_redeem(app: &App, job: &Job) -> Result<(), JobFailure> {
    let id: CreditApplicationId = field(job, "application")?;
    let again = |why: String| JobFailure::Again { why, limit: None };
    let found = app.core.db.read(move |tx| credit::find(tx, &id)).await.map_err(|e: DbError| again(e.to_string()))?;
    let Some(one) = found.filter(|one| one.state == State::Approved) else { return Ok(()) };
    let provider = app.gateway.get(&one.provider).ok_or_else(|| again("the provider has not answered since the start".to_owned()))?;
    // Without an account it waits for one: the first purchase redeems it.
    match account::access(app, &provider, &one.organisation).await {
        Ok(None) => Ok(()),
        Ok(Some(access)) => redeem(app, &one, &provider, &access).await.map_err(again),
        Err(e) => Err(again(format!("{e:?}"))),
    }
}

fn field<T: std::str::FromStr>(job: &Job, name: &str) -> Result<T, JobFailure> {
    job.payload[name].as_str().and_then(|text| text.parse().ok()).ok_or_else(notice::unreadable)
}
