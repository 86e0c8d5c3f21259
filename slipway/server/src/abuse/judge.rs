//! Where detectors are asked: a name before it is priced, code before it is stored, an act before it is the next of too many.

use purser_db::{DbError, Tx};
use purser_guard::velocity::{Act, By};
use purser_guard::{Action, Context, File, Kind, Site, Verdict};
use purser_values::Sha256Digest;
use purser_values::id::CloudAccountId;
use purser_values::name::DomainName;
use slipway_accounts::resource::begin::Order;
use slipway_accounts::service::Service;
use slipway_accounts::suspension::{Mark, accounts_opened, ordered};
use slipway_workers::view::{AssetFile, Upload};

use super::report::reference;
use super::store::{Review, review_put};
use crate::cloud::Cloud;

/// Why something does not happen now.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("this is refused as abuse: {0}")]
    Blocked(String),
    #[error("this is held until slipway's operator has looked at it, under the reference {reference}: {words}")]
    Held { reference: String, words: String },
    #[error(transparent)]
    Store(#[from] DbError),
}

/// A name that is to be registered.
///
/// # Errors
/// When it is refused or held.
pub async fn domain(cloud: &Cloud, account: &CloudAccountId, name: &DomainName) -> Result<(), Refused> {
    let verdict = cloud.guard.names.judge(name.as_str(), Context::stranger(Kind::Domain));
    settle(cloud, account, "domain", name.to_string(), verdict).await
}

/// Code that is to be stored, and with it served.
///
/// # Errors
/// When it is refused or held.
pub async fn code(cloud: &Cloud, account: &CloudAccountId, upload: &Upload) -> Result<(), Refused> {
    let files: Vec<File<'_>> = upload.modules.iter().map(|module| File { path: &module.name, bytes: &module.bytes }).collect();
    let verdict = cloud.guard.content.judge(&files, Site::default());
    if verdict.passes() {
        return Ok(());
    }
    let all: Vec<u8> = upload.modules.iter().flat_map(|module| Sha256Digest::of(&module.bytes).as_bytes().to_vec()).collect();
    settle(cloud, account, "code", Sha256Digest::of(&all).to_string(), verdict).await
}

/// Static files that are to be stored. Each is judged and held by itself: they come in any order and in several calls, and what is there
/// already was judged when it came.
///
/// # Errors
/// When one is refused or held.
pub async fn assets(cloud: &Cloud, account: &CloudAccountId, files: &[AssetFile]) -> Result<(), Refused> {
    for file in files {
        let verdict = cloud.guard.content.judge(&[File { path: &file.hash, bytes: &file.bytes }], Site::default());
        if !verdict.passes() {
            settle(cloud, account, "asset", Sha256Digest::of(&file.bytes).to_string(), verdict).await?;
        }
    }
    Ok(())
}

async fn settle(cloud: &Cloud, account: &CloudAccountId, what: &str, subject: String, verdict: Verdict) -> Result<(), Refused> {
    match verdict.action {
        Action::Pass => return Ok(()),
        Action::Block => {
            tracing::warn!(%account, what, subject, words = verdict.words(), "refused as abuse");
            return Err(Refused::Blocked(verdict.words()));
        }
        Action::Review => {}
    }
    let new = Review {
        reference: reference(&cloud.env),
        account: account.to_string(),
        what: what.to_owned(),
        subject,
        words: verdict.words(),
        created_at: cloud.env.now(),
        cleared_at: None,
    };
    let held = cloud.db.write(move |tx| review_put(tx, &new)).await?;
    if held.cleared_at.is_some() {
        return Ok(());
    }
    tracing::warn!(%account, what, subject = held.subject, reference = held.reference, "held for a look");
    Err(Refused::Held { reference: held.reference, words: held.words })
}

/// One more new account of an orchestrator, which is made already in this write.
///
/// # Errors
/// When there are too many.
pub fn sign_up(tx: &mut Tx<'_>, cloud: &Cloud, orchestrator: &str) -> Result<(), Refused> {
    let now = cloud.env.now();
    too_fast(cloud, Act::SignUp, By::Orchestrator, |since| {
        accounts_opened(tx, orchestrator, now.plus_secs(-since)).map(|n| n.saturating_sub(1))
    })
}

/// One more domain, whose order is recorded already in this write.
///
/// # Errors
/// When there are too many.
pub fn domain_order(tx: &mut Tx<'_>, cloud: &Cloud, orchestrator: &str, order: &Order) -> Result<(), Refused> {
    if order.service != Service::Domain {
        return Ok(());
    }
    let now = cloud.env.now();
    let mut marks =
        vec![(By::Orchestrator, Mark::Orchestrator(orchestrator.to_owned())), (By::Person, Mark::Account(order.account.to_string()))];
    marks.extend(order.agent.as_ref().map(|agent| (By::Agent, Mark::Agent(agent.to_string()))));
    for (by, mark) in marks {
        too_fast(cloud, Act::Domain, by, |since| ordered(tx, Service::Domain, &mark, now.plus_secs(-since)).map(|n| n.saturating_sub(1)))?;
    }
    Ok(())
}

fn too_fast(cloud: &Cloud, act: Act, by: By, mut seen: impl FnMut(i64) -> Result<u64, DbError>) -> Result<(), Refused> {
    let mut failed = None;
    let verdict = cloud.guard.velocity.judge(act, by, |rule| {
        seen(rule.window_s).unwrap_or_else(|e| {
            failed = Some(e);
            u64::MAX
        })
    });
    match failed {
        Some(e) => Err(e.into()),
        None if verdict.passes() => Ok(()),
        None => Err(Refused::Blocked(verdict.words())),
    }
}
