//! `slipway abuse`: the operator's desk, on the machine that has the configuration. It writes into the database; the running cloud reads
//! it at each call, and its sites follow within a second.

use clap::Subcommand;
use purser_db::{Db, DbError};
use purser_values::{Env, Timestamp};
use serde_json::{Value, json};
use slipway_accounts::suspension::{Mark, lift, marked, suspend, suspensions};

use super::incident::{self, Wanted, incidents};
use super::store::{reports, review_clear, reviews};
use crate::config::Config;
use crate::keys::Keys;
use crate::serve::ServeError;

/// Reports that are listed at most.
const REPORTS: u32 = 200;

#[derive(Debug, Clone, Subcommand)]
pub enum Act {
    /// Everything that bears a mark: accounts, orders (domains among them), tokens
    List {
        /// `account=…`, `orchestrator=…`, `grant=…` or `agent=…`
        mark: Mark,
    },
    /// Stops what bears a mark: tokens and orders at once; of an account or an orchestrator also the sites
    Suspend {
        /// `account=…`, `orchestrator=…`, `grant=…` or `agent=…`
        mark: Mark,
        /// Kept with the suspension
        #[arg(long)]
        why: String,
    },
    /// Takes a suspension back, with all that it stopped
    Lift { id: String },
    /// All suspensions, lifted ones included
    Suspensions,
    /// The newest reports
    Reports,
    /// What detectors hold back
    Held,
    /// Lets what is held pass when it is tried again
    Clear { reference: String },
    /// What strangers and their code did that was stopped: the newest first, with the marks by which `suspend` stops their makers
    Incidents {
        /// Only what bears it: `account=…`, `orchestrator=…`, `grant=…` or `agent=…`
        #[arg(long)]
        mark: Option<Mark>,
        /// Only one kind: `cpu`, `memory`, `stuck`, `system-call`, `crash`, `egress`, `binding`, `refused`, `held`, `api-rate`
        #[arg(long)]
        kind: Option<String>,
        /// Only of Workers of this name
        #[arg(long)]
        script: Option<String>,
        /// Only what began at this moment or later, as `2026-11-24T00:00:00Z`
        #[arg(long)]
        since: Option<Timestamp>,
        /// Only what began before this moment
        #[arg(long)]
        before: Option<Timestamp>,
        /// How many at most
        #[arg(long, default_value_t = incident::PAGE)]
        limit: i64,
        /// The `next` of the page before
        #[arg(long, value_parser = incident::place)]
        after: Option<(Timestamp, String)>,
    },
}

/// Carries out one act and says what came of it.
///
/// # Errors
/// When the keys or the database cannot be used.
pub async fn run(config: &Config, act: Act) -> Result<Value, ServeError> {
    let env = Env::system();
    let db = Db::open(&config.database).await?;
    Ok(match act {
        Act::List { mark } => {
            let found = db.read(move |tx| marked(tx, &mark)).await?;
            found
                .iter()
                .map(|m| {
                    json!({"what": m.what, "id": m.id, "account": m.account, "orchestrator": m.orchestrator, "grant": m.grant, "agent": m.agent,
                        "created_at": m.created_at.to_string()})
                })
                .collect()
        }
        Act::Suspend { mark, why } => {
            let made = db.write(move |tx| suspend(tx, &env, &mark, &why)).await?;
            json!({"id": made.id, "mark": made.mark.to_string(), "why": made.why})
        }
        Act::Lift { id } => {
            let (now, which) = (env.now(), id.clone());
            let lifted = db.write(move |tx| -> Result<bool, DbError> { lift(tx, &which, now) }).await?;
            json!({"id": id, "lifted": lifted})
        }
        Act::Suspensions => {
            let all = db.read(suspensions).await?;
            let shown = all.iter().map(|s| {
                json!({"id": s.id, "mark": s.mark.to_string(), "why": s.why, "created_at": s.created_at.to_string(),
                    "lifted_at": s.lifted_at.map(|at| at.to_string())})
            });
            shown.collect()
        }
        Act::Reports => {
            let keys = Keys::open(&config.keys, &env)?;
            let all = db.read(|tx| reports(tx, REPORTS)).await?;
            let shown = all.iter().map(|r| {
                let said = keys.keyring.open_text(&format!("abuse/{}", r.reference), &r.sealed).ok();
                let said: Option<Value> = said.and_then(|text| serde_json::from_str(text.expose()).ok());
                json!({"reference": r.reference, "received_at": r.received_at.to_string(), "kind": r.kind, "host": r.host, "report": said})
            });
            shown.collect()
        }
        Act::Held => {
            let all = db.read(reviews).await?;
            let shown = all.iter().map(|r| {
                json!({"reference": r.reference, "account": r.account, "what": r.what, "subject": r.subject, "words": r.words,
                    "created_at": r.created_at.to_string()})
            });
            shown.collect()
        }
        Act::Incidents { mark, kind, script, since, before, limit, after } => {
            let limit = limit.clamp(1, incident::PAGE_MOST);
            let wanted = Wanted { mark, kind, script, since, before, after, limit };
            let all = db.read(move |tx| incidents(tx, &wanted)).await?;
            let next = all.last().filter(|_| i64::try_from(all.len()).is_ok_and(|n| n == limit)).map(incident::place_of);
            let shown: Vec<Value> = all
                .iter()
                .map(|i| {
                    json!({"id": i.id, "kind": i.kind, "detail": i.detail, "times": i.times, "first_at": i.first_at.to_string(),
                        "last_at": i.last_at.to_string(), "account": i.account, "script": i.script, "orchestrator": i.orchestrator,
                        "grant": i.grant, "agent": i.agent})
                })
                .collect();
            json!({"incidents": shown, "next": next})
        }
        Act::Clear { reference } => {
            let (now, which) = (env.now(), reference.clone());
            let cleared = db.write(move |tx| review_clear(tx, &which, now)).await?;
            json!({"reference": reference, "cleared": cleared})
        }
    })
}
