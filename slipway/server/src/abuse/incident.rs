//! What the operator should see of strangers and their code: what the runtime stopped, what detectors refused or held, who was too fast.
//! Kept with all marks by which it can be found, and by which its maker can be stopped.
//!
//! The same thing by the same account in the same hour is one row with a number: a flood fills no table.

use purser_db::{DbError, Row, Tx, params};
use purser_values::id::CloudAccountId;
use purser_values::{Env, Timestamp};
use slipway_accounts::account::HexId;
use slipway_accounts::suspension::{Mark, known};
use slipway_workers::runtime::incident::Incident;

use crate::cloud::{Cloud, Shared};

pub(super) const TABLE: &str = "
create table abuse_incident (
    id {text} primary key, account {text} not null, script {text} not null, kind {text} not null, hour {int} not null,
    orchestrator {text} not null, agent_grant {text}, agent {text}, detail {text} not null,
    first_at {int} not null, last_at {int} not null, times {int} not null, unique (account, script, kind, hour)
){strict};
create index abuse_incident_by_time on abuse_incident (first_at, id);
";

/// Kinds beside those of the runtime.
pub const REFUSED: &str = "refused";
pub const HELD: &str = "held";
pub const API_RATE: &str = "api-rate";

/// How long incidents are kept, in seconds.
pub const KEPT_S: i64 = 180 * 86_400;
/// Incidents on a page when nobody says, and at most.
pub const PAGE: i64 = 50;
pub const PAGE_MOST: i64 = 1_000;
/// Characters of what is said of one.
const DETAIL_CHARS: usize = 300;
/// How often what the runtime noted is taken over.
const ROUND: std::time::Duration = std::time::Duration::from_secs(1);

/// Something that was seen.
#[derive(Clone, Debug)]
pub struct Seen {
    pub account: CloudAccountId,
    pub script: Option<String>,
    /// The order under whose token it happened, where it is known.
    pub resource: Option<String>,
    pub kind: String,
    pub detail: String,
    pub at: Timestamp,
    pub count: u64,
}

/// As it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub id: String,
    pub account: String,
    /// Empty where it is not known which of the account's Workers it was.
    pub script: String,
    pub kind: String,
    pub orchestrator: String,
    pub grant: Option<String>,
    pub agent: Option<String>,
    pub detail: String,
    pub first_at: Timestamp,
    pub last_at: Timestamp,
    pub times: i64,
}

/// Which incidents; the newest first.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub mark: Option<Mark>,
    pub kind: Option<String>,
    pub script: Option<String>,
    /// Only those that began at this moment or later, and before that one.
    pub since: Option<Timestamp>,
    pub before: Option<Timestamp>,
    /// The place of the last one that was shown.
    pub after: Option<(Timestamp, String)>,
    pub limit: i64,
}

/// Keeps what was seen. What cannot be kept is in the log.
pub async fn keep(cloud: &Cloud, all: Vec<Seen>) {
    if all.is_empty() {
        return;
    }
    let env = cloud.env.clone();
    let kept = cloud.db.write(move |tx| all.iter().try_for_each(|seen| incident_put(tx, &env, seen)));
    if let Err(e) = kept.await {
        tracing::error!(error = %e, "incidents are in the log only");
    }
}

/// Takes over what the runtime noted, as it comes. Runs for ever; spawn it.
pub async fn follow(cloud: Shared) {
    let mut tick = tokio::time::interval(ROUND);
    loop {
        tick.tick().await;
        let mut all = Vec::new();
        for noted in cloud.workers.runtime().incidents().take() {
            all.push(of_runtime(&cloud, noted).await);
        }
        all.extend(cloud.throttle.refused());
        keep(&cloud, all).await;
    }
}

async fn of_runtime(cloud: &Shared, noted: Incident) -> Seen {
    let mut resource = None;
    if let Some(script) = &noted.script {
        // a deployment names the order under whose token it was made
        let service = cloud.workers.script_get(&noted.account, script).await.ok();
        resource = service.and_then(|service| service.version).map(|version| version.author.id);
    }
    Seen {
        account: noted.account,
        script: noted.script.map(|script| script.to_string()),
        resource,
        kind: noted.kind.as_str().to_owned(),
        detail: noted.detail,
        at: noted.last_at,
        count: noted.count,
    }
}

/// # Errors
/// When the store fails.
pub fn incident_put(tx: &mut Tx<'_>, env: &Env, seen: &Seen) -> Result<(), DbError> {
    let (orchestrator, grant, agent) = marks(tx, seen)?;
    let detail: String = seen.detail.chars().filter(|c| !c.is_control()).take(DETAIL_CHARS).collect();
    let upsert =
        "insert into abuse_incident (id, account, script, kind, hour, orchestrator, agent_grant, agent, detail, first_at, last_at, times)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $11)
        on conflict (account, script, kind, hour) do update set last_at = excluded.last_at, detail = excluded.detail,
            times = abuse_incident.times + excluded.times";
    let hour = seen.at.as_secs().div_euclid(3_600);
    let times = i64::try_from(seen.count).unwrap_or(i64::MAX);
    let script = seen.script.as_deref().unwrap_or_default();
    let id = HexId::mint(env);
    let row = params![id.as_str(), seen.account, script, seen.kind, hour, orchestrator, grant, agent, detail, seen.at, times];
    tx.execute(upsert, row).map(drop)
}

/// Orchestrator, grant and agent.
type Marks = (String, Option<String>, Option<String>);

/// The marks of an account's order. Where it is not known which, those that all of its orders have in common.
fn marks(tx: &mut Tx<'_>, seen: &Seen) -> Result<Marks, DbError> {
    let select = "select coalesce(l.issuer, a.issuer) as issuer, r.agent_grant, r.agent from cloud_account a
        left join cloud_resource r on r.account = a.id and (r.id = $2 or $2 is null) left join cloud_link l on l.id = r.link
        where a.id = $1";
    let read = |row: &Row| -> Result<Marks, DbError> { Ok((row.get("issuer")?, row.get("agent_grant")?, row.get("agent")?)) };
    let all = tx.query(select, params![seen.account, seen.resource])?.iter().map(read).collect::<Result<Vec<Marks>, DbError>>()?;
    let (orchestrator, grant, agent) = all.first().cloned().unwrap_or_default();
    let grant = grant.filter(|grant| all.iter().all(|one| one.1.as_ref() == Some(grant)));
    let agent = agent.filter(|agent| all.iter().all(|one| one.2.as_ref() == Some(agent)));
    Ok((orchestrator, grant, agent))
}

/// # Errors
/// When the store fails.
pub fn incidents(tx: &mut Tx<'_>, wanted: &Wanted) -> Result<Vec<Kept>, DbError> {
    let mark = wanted.mark.as_ref().map(|mark| known(tx, mark)).transpose()?;
    let (mark_kind, mark) = mark.as_ref().map_or((None, None), |mark| (Some(mark.kind()), Some(mark.value())));
    let (at, id) = wanted.after.clone().unwrap_or((Timestamp::from_micros(i64::MAX), String::new()));
    let select = "select * from abuse_incident
        where (($1 = 'account' and account = $2) or ($1 = 'orchestrator' and orchestrator = $2)
                or ($1 = 'grant' and agent_grant = $2) or ($1 = 'agent' and agent = $2) or $1 is null)
            and (kind = $3 or $3 is null) and (script = $4 or $4 is null) and first_at >= $5 and first_at < $6
            and (first_at < $7 or (first_at = $7 and id < $8))
        order by first_at desc, id desc limit $9";
    let (since, before) = (wanted.since.unwrap_or(Timestamp::EPOCH), wanted.before.unwrap_or(Timestamp::from_micros(i64::MAX)));
    let limit = wanted.limit.clamp(1, PAGE_MOST);
    let rows = tx.query(select, params![mark_kind, mark, wanted.kind, wanted.script, since, before, at, id, limit])?;
    rows.iter().map(read).collect()
}

/// The place of an incident in the list, for the page after it.
#[must_use]
pub fn place_of(last: &Kept) -> String {
    format!("{}-{}", last.first_at.as_micros(), last.id)
}

/// # Errors
/// When it is none that was given out.
pub fn place(text: &str) -> Result<(Timestamp, String), String> {
    let parts = text.split_once('-').and_then(|(at, id)| Some((Timestamp::from_micros(at.parse().ok()?), id.to_owned())));
    parts.ok_or_else(|| "it is not the `next` of a page".to_owned())
}

/// Forgets what is too old.
///
/// # Errors
/// When the store fails.
pub fn incident_sweep(tx: &mut Tx<'_>, now: Timestamp) -> Result<u64, DbError> {
    tx.execute("delete from abuse_incident where last_at <= $1", params![now.plus_secs(-KEPT_S)])
}

fn read(row: &Row) -> Result<Kept, DbError> {
    Ok(Kept {
        id: row.get("id")?,
        account: row.get("account")?,
        script: row.get("script")?,
        kind: row.get("kind")?,
        orchestrator: row.get("orchestrator")?,
        grant: row.get("agent_grant")?,
        agent: row.get("agent")?,
        detail: row.get("detail")?,
        first_at: row.get("first_at")?,
        last_at: row.get("last_at")?,
        times: row.get("times")?,
    })
}

#[cfg(test)]
mod tests {
    use purser_db::Migrations;
    use purser_db::testing::{START, each_engine};

    use super::*;

    const TABLES: &[Migrations] = &[purser_db::MIGRATIONS, slipway_accounts::store::MIGRATIONS, crate::abuse::store::MIGRATIONS];

    #[tokio::test]
    async fn a_flood_is_one_row_with_a_number_and_every_mark_finds_its_own() {
        each_engine(TABLES, |db| async move {
            let (env, _) = Env::test(START, 5);
            db.write(move |tx| -> Result<(), DbError> {
                let account = CloudAccountId::mint(&env);
                let hex = HexId::mint(&env);
                tx.execute(
                    "insert into cloud_account (id, hex, issuer, subject, attested, email, organisation, state, created_at)
                     values ($1, $2, 'https://o.test', 's', 1, 'a@b.test', 'A', 'active', 1)",
                    params![account, hex.as_str()],
                )?;
                for (resource, grant) in [("r1", "grt_1"), ("r2", "grt_2")] {
                    tx.execute(
                        "insert into cloud_resource (id, account, service, agent, agent_grant, configuration, state, created_at, changed_at)
                         values ($1, $2, 'workers', 'agt_1', $3, '{}', 'complete', 1, 1)",
                        params![resource, account, grant],
                    )?;
                }
                let seen = |script: Option<&str>, resource: Option<&str>, kind: &str, after_s: i64| Seen {
                    account: account.clone(),
                    script: script.map(str::to_owned),
                    resource: resource.map(str::to_owned),
                    kind: kind.to_owned(),
                    detail: "GET http://10.0.0.1\u{7}".to_owned(),
                    at: START.plus_secs(after_s),
                    count: 500,
                };
                for _ in 0..3 {
                    incident_put(tx, &env, &seen(Some("scan"), Some("r1"), "egress", 1))?;
                }
                incident_put(tx, &env, &seen(None, None, "cpu", 2))?;
                for hour in 1..6 {
                    incident_put(tx, &env, &seen(Some("other"), Some("r2"), "egress", hour * 3_600))?;
                }
                let find = |tx: &mut Tx<'_>, mark: &str| {
                    let mark = if mark.is_empty() { None } else { Some(mark.parse().unwrap()) };
                    incidents(tx, &Wanted { mark, limit: 100, ..Wanted::default() })
                };
                let scan = find(tx, "grant=grt_1")?;
                assert_eq!((scan.len(), scan[0].times, scan[0].detail.as_str()), (1, 1_500, "GET http://10.0.0.1"));
                assert_eq!(find(tx, "agent=agt_1")?.len(), 7, "what all orders have in common is known without the order");
                assert_eq!((find(tx, "orchestrator=https://o.test")?.len(), find(tx, &format!("account={}", hex.as_str()))?.len()), (7, 7));
                assert!(find(tx, "agent=agt_2")?.is_empty());
                let (mut pages, mut wanted) = (Vec::new(), Wanted { limit: 2, ..Wanted::default() });
                loop {
                    let page = incidents(tx, &wanted)?;
                    let Some(last) = page.last() else { break };
                    wanted.after = Some(place(&place_of(last)).unwrap());
                    pages.extend(page);
                }
                let mut sorted = pages.clone();
                sorted.sort_by_key(|one| std::cmp::Reverse(one.first_at));
                sorted.dedup();
                assert!(sorted == pages && pages.len() == 7, "a page shows something twice, or not: {pages:?}");
                assert_eq!(incident_sweep(tx, START.plus_secs(KEPT_S + 3))?, 2);
                Ok(())
            })
            .await
            .unwrap();
        })
        .await;
    }
}
