//! Where detectors are asked: a name before it is priced, code before it is stored, an act before it is the next of too many.

use purser_db::{DbError, Tx};
use purser_guard::velocity::Act;
use purser_guard::{Action, Context, File, Kind, Site, Verdict};
use purser_values::Sha256Digest;
use purser_values::id::{CloudAccountId, CloudResourceId};
use purser_values::name::DomainName;
use slipway_accounts::account::get::account_get;
use slipway_accounts::resource::begin::Order;
use slipway_accounts::service::Service;
use slipway_workers::view::{AssetFile, Upload};

use super::acts::{self, Doer};
use super::incident::{self, Seen};
use super::report::reference;
use super::store::{Review, review_put};
use crate::cloud::Cloud;

/// For whom something is judged.
#[derive(Clone, Copy, Debug)]
pub struct Party<'a> {
    pub account: &'a CloudAccountId,
    /// The order whose token was used, where it is known: it bears the marks of agent and grant.
    pub resource: Option<&'a CloudResourceId>,
}

impl<'a> From<&'a CloudAccountId> for Party<'a> {
    fn from(account: &'a CloudAccountId) -> Self {
        Self { account, resource: None }
    }
}

/// Why something does not happen now.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("this is refused as abuse: {0}")]
    Blocked(String),
    #[error("this is held until slipway's operator has looked at it, under the reference {reference}: {words}")]
    Held { reference: String, words: String },
    /// To be held, once the write that found out is undone.
    #[error("this is too much at once: {words}")]
    TooFast { what: &'static str, subject: String, words: String },
    #[error("what was sent cannot be judged at present: {0}")]
    Unjudged(String),
    #[error(transparent)]
    Store(#[from] DbError),
}

/// A name that is to be registered.
///
/// # Errors
/// When it is refused or held.
pub async fn domain(cloud: &Cloud, account: &CloudAccountId, name: &DomainName) -> Result<(), Refused> {
    let verdict = cloud.guard.names.judge(name.as_str(), Context::stranger(Kind::Domain));
    settle(cloud, account.into(), "domain", name.to_string(), verdict).await
}

/// Code that is to be stored, and with it served.
///
/// # Errors
/// When it is refused or held.
pub async fn code(cloud: &Cloud, party: Party<'_>, upload: &Upload) -> Result<(), Refused> {
    let files: Vec<File<'_>> = upload.modules.iter().map(|module| File { path: &module.name, bytes: &module.bytes }).collect();
    let verdict = cloud.guard.content.judge(&files, Site::default());
    if verdict.passes() {
        return Ok(());
    }
    let all: Vec<u8> = upload.modules.iter().flat_map(|module| Sha256Digest::of(&module.bytes).as_bytes().to_vec()).collect();
    settle(cloud, party, "code", Sha256Digest::of(&all).to_string(), verdict).await
}

/// Static files that are to be stored. Each is judged and held by itself: they come in any order and in several calls, and what is there
/// already was judged when it came.
///
/// # Errors
/// When one is refused or held.
pub async fn assets(cloud: &Cloud, party: Party<'_>, files: &[AssetFile]) -> Result<(), Refused> {
    for file in files {
        let verdict = cloud.guard.content.judge(&[File { path: &file.hash, bytes: &file.bytes }], Site::default());
        if !verdict.passes() {
            settle(cloud, party, "asset", Sha256Digest::of(&file.bytes).to_string(), verdict).await?;
        }
    }
    Ok(())
}

/// What becomes of a verdict: a pass, a refusal, or a review, which passes once it is cleared.
///
/// # Errors
/// When it is refused or held.
pub async fn settle(cloud: &Cloud, party: Party<'_>, what: &'static str, subject: String, verdict: Verdict) -> Result<(), Refused> {
    match verdict.action {
        Action::Pass => Ok(()),
        Action::Block => {
            let refused = Refused::Blocked(verdict.words());
            seen(cloud, party, incident::REFUSED, &format!("{what} {subject}: {}", verdict.words())).await;
            Err(refused)
        }
        Action::Review => review(cloud, party, what, subject, verdict.words()).await,
    }
}

/// What was too much at once waits for the operator, or for the window to pass. Every other refusal stays as it is, and is seen.
pub async fn hold(cloud: &Cloud, party: Party<'_>, refused: Refused) -> Refused {
    match refused {
        Refused::TooFast { what, subject, words } => match review(cloud, party, what, subject.clone(), words.clone()).await {
            // cleared a moment ago
            Ok(()) => Refused::TooFast { what, subject, words },
            Err(e) => e,
        },
        Refused::Blocked(words) => {
            seen(cloud, party, incident::REFUSED, &words).await;
            Refused::Blocked(words)
        }
        other => other,
    }
}

async fn review(cloud: &Cloud, party: Party<'_>, what: &'static str, subject: String, words: String) -> Result<(), Refused> {
    let new = Review {
        reference: reference(&cloud.env),
        account: party.account.to_string(),
        what: what.to_owned(),
        subject,
        words,
        created_at: cloud.env.now(),
        cleared_at: None,
    };
    let held = cloud.db.write(move |tx| review_put(tx, &new)).await?;
    if held.cleared_at.is_some() {
        return Ok(());
    }
    seen(cloud, party, incident::HELD, &format!("{what} {}: {} ({})", held.subject, held.words, held.reference)).await;
    Err(Refused::Held { reference: held.reference, words: held.words })
}

async fn seen(cloud: &Cloud, party: Party<'_>, kind: &'static str, detail: &str) {
    let seen = Seen {
        account: party.account.clone(),
        script: None,
        resource: party.resource.map(ToString::to_string),
        kind: kind.to_owned(),
        detail: detail.to_owned(),
        at: cloud.env.now(),
        count: 1,
    };
    tracing::warn!(target: "slipway::incident", account = %seen.account, kind, detail, "abuse was refused or held");
    incident::keep(cloud, vec![seen]).await;
}

/// One more new account, which is made already in this write: for the orchestrator that asked, of the person with this mailbox.
///
/// # Errors
/// When there are too many.
pub fn sign_up(tx: &mut Tx<'_>, cloud: &Cloud, orchestrator: &str, account: &CloudAccountId, email: &str) -> Result<(), Refused> {
    let doer = Doer { account: account.clone(), orchestrator: orchestrator.to_owned(), person: acts::person(cloud, email), agent: None };
    acts::act(tx, cloud, Act::SignUp, &doer, account.as_str(), "")
}

/// One more domain, whose order is recorded already in this write.
///
/// # Errors
/// When there are too many.
pub fn domain_order(tx: &mut Tx<'_>, cloud: &Cloud, orchestrator: &str, order: &Order) -> Result<(), Refused> {
    let name = order.configuration.get("domain").and_then(serde_json::Value::as_str).unwrap_or_default().to_lowercase();
    if order.service != Service::Domain {
        return Ok(());
    }
    let email = account_get(tx, &order.account)?.map(|account| account.email.to_string()).unwrap_or_default();
    let doer = Doer {
        account: order.account.clone(),
        orchestrator: orchestrator.to_owned(),
        person: acts::person(cloud, &email),
        agent: order.agent.as_ref().map(ToString::to_string),
    };
    let label = name.split('.').next().unwrap_or_default().to_owned();
    acts::act(tx, cloud, Act::Domain, &doer, &name, &label)
}
