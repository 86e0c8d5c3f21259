//! Acts that are counted, because campaigns work by number: accounts opened, domains registered, hosts put online.
//!
//! An act is written down in the write that carries it out, or just before, and counted in that same write: of two that race, the second
//! sees the first. The row says who, by marks and by a digest of the mailbox, and holds no personal data. What was done once is not counted
//! again when it is repeated.

use purser_db::{DbError, Tx, params};
use purser_guard::mail::mailbox;
use purser_guard::names::stem;
use purser_guard::velocity::{Act, By};
use purser_guard::{Action, Velocity, Verdict};
use purser_values::id::CloudAccountId;
use purser_values::{Sha256Digest, Timestamp};

use super::judge::Refused;
use super::store::is_cleared;
use crate::cloud::Cloud;

pub(super) const TABLE: &str = "
create table abuse_act (
    act {text} not null, account {text} not null, name {text} not null, orchestrator {text} not null, person {text} not null,
    agent {text}, family {text}, at {int} not null, primary key (act, account, name)
){strict};
create index abuse_act_of_orchestrator on abuse_act (act, orchestrator, at);
create index abuse_act_of_person on abuse_act (act, person, at);
create index abuse_act_of_agent on abuse_act (act, agent, at);
create index abuse_act_of_family on abuse_act (act, family, at);
create index abuse_act_by_time on abuse_act (at);
";

/// How long acts are remembered, in seconds: longer than any window, and long enough that a deployment that is repeated gives no new host.
const KEPT_S: i64 = 90 * 86_400;
/// As what a review of too many acts is kept.
const PACE: &str = "pace";

/// Who acts.
#[derive(Clone, Debug)]
pub struct Doer {
    pub account: CloudAccountId,
    /// The issuer of the orchestrator over whose link it comes.
    pub orchestrator: String,
    /// Whose account it is, as [`person`] says it.
    pub person: String,
    pub agent: Option<String>,
}

/// A person, by a digest of their mailbox that only this installation can make: several accounts of one mailbox are one person.
#[must_use]
pub fn person(cloud: &Cloud, email: &str) -> String {
    Sha256Digest::of(format!("{}\n{}", cloud.public_url, mailbox(email)).as_bytes()).to_string()
}

/// Counts one act and says whether it may be done. `label` is the part of the name by which a family of names is known.
///
/// # Errors
/// When there are too many by anybody whom it counts for.
pub fn act(tx: &mut Tx<'_>, cloud: &Cloud, what: Act, doer: &Doer, name: &str, label: &str) -> Result<(), Refused> {
    counted(tx, &cloud.guard.velocity, cloud.env.now(), what, doer, (name, label))
}

fn counted(
    tx: &mut Tx<'_>,
    velocity: &Velocity,
    now: Timestamp,
    what: Act,
    doer: &Doer,
    (name, label): (&str, &str),
) -> Result<(), Refused> {
    let family = stem(label);
    let insert =
        "insert into abuse_act (act, account, name, orchestrator, person, agent, family, at) values ($1, $2, $3, $4, $5, $6, $7, $8)
        on conflict (act, account, name) do nothing";
    let row = params![word(what), doer.account, name, doer.orchestrator, doer.person, doer.agent, family, now];
    if tx.execute(insert, row)? == 0 {
        return Ok(());
    }
    let subjects = [
        (By::Orchestrator, Some(&doer.orchestrator)),
        (By::Person, Some(&doer.person)),
        (By::Agent, doer.agent.as_ref()),
        (By::Family, family.as_ref()),
    ];
    let mut verdict = Verdict::of(Vec::new(), None);
    for (by, subject) in subjects {
        let Some(subject) = subject else { continue };
        let mut failed = None;
        let found = velocity.judge(what, by, |rule| {
            count(tx, what, by, subject, now.plus_secs(-rule.window_s)).map_or_else(
                |e| {
                    failed = Some(e);
                    u64::MAX
                },
                |n| n.saturating_sub(1),
            )
        });
        if let Some(e) = failed {
            return Err(e.into());
        }
        verdict = verdict.and(found);
    }
    match verdict.action {
        Action::Pass => Ok(()),
        Action::Block => Err(Refused::Blocked(verdict.words())),
        Action::Review => {
            let subject = day(what, now);
            if is_cleared(tx, &doer.account, PACE, &subject)? {
                return Ok(());
            }
            Err(Refused::TooFast { what: PACE, subject, words: verdict.words() })
        }
    }
}

/// Whether an act is written down already: a name that was given before needs no second look.
///
/// # Errors
/// When the store fails.
pub fn is_done(tx: &mut Tx<'_>, what: Act, account: &CloudAccountId, name: &str) -> Result<bool, DbError> {
    let select = "select at from abuse_act where act = $1 and account = $2 and name = $3";
    Ok(tx.query_opt(select, params![word(what), account, name])?.is_some())
}

/// Forgets what no window reaches any more.
///
/// # Errors
/// When the store fails.
pub fn act_sweep(tx: &mut Tx<'_>, now: Timestamp) -> Result<u64, DbError> {
    tx.execute("delete from abuse_act where at <= $1", params![now.plus_secs(-KEPT_S)])
}

fn count(tx: &mut Tx<'_>, what: Act, by: By, subject: &str, since: Timestamp) -> Result<u64, DbError> {
    let sql = match by {
        By::Orchestrator => "select count(*) as n from abuse_act where act = $1 and orchestrator = $2 and at > $3",
        By::Person => "select count(*) as n from abuse_act where act = $1 and person = $2 and at > $3",
        By::Agent => "select count(*) as n from abuse_act where act = $1 and agent = $2 and at > $3",
        By::Family => "select count(*) as n from abuse_act where act = $1 and family = $2 and at > $3",
    };
    let n = tx.query_one(sql, params![word(what), subject, since])?.get::<i64>("n")?;
    Ok(u64::try_from(n).unwrap_or(0))
}

/// What an operator clears: one account's acts of one kind, for a day.
fn day(what: Act, now: Timestamp) -> String {
    format!("{} {}", word(what), now.to_string().chars().take(10).collect::<String>())
}

const fn word(what: Act) -> &'static str {
    match what {
        Act::SignUp => "sign_up",
        Act::Domain => "domain",
        Act::Host => "host",
    }
}

#[cfg(test)]
mod tests {
    use purser_db::testing::{START, each_engine};
    use purser_values::Env;

    use super::*;
    use crate::abuse::store::{MIGRATIONS, Review, review_clear, review_put};

    fn doer(env: &Env, person: &str, agent: Option<&str>) -> Doer {
        let (account, orchestrator) = (CloudAccountId::mint(env), "https://o.test".to_owned());
        Doer { account, orchestrator, person: person.to_owned(), agent: agent.map(str::to_owned) }
    }

    #[tokio::test]
    async fn acts_count_for_everybody_whom_they_are_by_and_only_within_the_window() {
        each_engine(&[purser_db::MIGRATIONS, MIGRATIONS], |db| async move {
            let (env, _) = Env::test(START, 5);
            db.write(move |tx| -> Result<(), DbError> {
                let (velocity, one) = (Velocity::default(), doer(&env, "ada", Some("agt_1")));
                let act = |tx: &mut Tx<'_>, doer: &Doer, name: &str, now| {
                    counted(tx, &velocity, now, Act::Domain, doer, (name, name.split('.').next().unwrap()))
                };
                for number in 0..10 {
                    let name = format!("n{number}.test");
                    assert!(act(tx, &one, &name, START).is_ok() && act(tx, &one, &name, START).is_ok(), "twice is once");
                }
                assert!(is_done(tx, Act::Domain, &one.account, "n3.test")? && !is_done(tx, Act::Host, &one.account, "n3.test")?);
                // refused within a write that is then undone, which this one is not
                let refused = |got: Result<(), Refused>| matches!(got, Err(Refused::TooFast { .. }));
                let second = Doer { agent: Some("agt_2".into()), ..doer(&env, "ada", None) };
                assert!(refused(act(tx, &second, "x1.test", START)), "another account of the same person");
                assert!(refused(act(tx, &Doer { person: "eve".into(), ..one.clone() }, "x2.test", START)), "the same agent");
                assert!(act(tx, &doer(&env, "bob", None), "x3.test", START).is_ok(), "somebody else");
                assert!(act(tx, &second, "x4.test", START.plus_secs(3_601)).is_ok(), "an hour later");
                let subject = day(Act::Domain, START);
                let review = Review {
                    reference: "AB-1".into(),
                    account: second.account.to_string(),
                    what: PACE.into(),
                    subject,
                    words: String::new(),
                    created_at: START,
                    cleared_at: None,
                };
                review_put(tx, &review)?;
                assert!(refused(act(tx, &second, "x5.test", START)));
                assert!(review_clear(tx, "AB-1", START)? && act(tx, &second, "x6.test", START).is_ok(), "the operator let it pass");
                assert_eq!((act_sweep(tx, START)?, act_sweep(tx, START.plus_secs(KEPT_S + 4_000))?), (0, 16));
                Ok(())
            })
            .await
            .unwrap();
        })
        .await;
    }
}
