//! The real thing: each operation in one write, with its place in the order of all writes and its answer beside it.

use std::collections::BTreeMap;

use purser_authority::action::{
    CapSet, ChargeCreate, PaymentMethodSet, RateSet as RateSetAction, RefundCreate, ResourceAdd, UsageHold, UsageRelease,
};
use purser_authority::{Action, Caller, Facts, Permit, Role, authorise};
use purser_db::{Db, DbError, Migrations, Row, Tx, params};
use purser_spend::ceiling::{self, CeilingSet};
use purser_spend::charge::{self, ChargeAsk, ChargeStep, Refusal};
use purser_spend::hold::{self, HoldError, Purchase};
use purser_spend::quote::{Line, Quote, Recurs};
use purser_spend::rail::sandbox::{SandboxCard, set_up};
use purser_spend::rail::{RailOutcome, RefundOutcome};
use purser_spend::rate::{self, Rate, RateError, RateSet, Ratio};
use purser_spend::refund::{self, RefundAsk, RefundStep};
use purser_spend::usage::{self, UsageAsk, UsageBlock, UsageReceipt};
use purser_spend::{Share, Spender, cap, freeze, method, renewal, token};
use purser_values::error::PublicError;
use purser_values::id::{AgentId, ChargeId, GrantId, HoldId, OrganisationId, PersonId, RefundId, ResourceId};
use purser_values::{Currency, Env, Money, Secret, Sha256Digest, Timestamp};

use super::op::{
    AGENTS, Act, DEVIATION_BP, FIRST_CAP_MINOR, METERED, Named, Op, PROVIDERS, RULES, TOTAL_MINOR, is_in_euros, is_subscription,
};
use super::oracle::{Bucket, Name};

const LOG: &str = "create table model_log (n {int} primary key, op {text} not null, outcome {text} not null){strict};
create table model_seat (n {int} not null){strict};
insert into model_seat (n) values (0);
create table model_token (purchase {int} primary key, plain {text} not null){strict}";

pub const TABLES: &[Migrations] = &[purser_db::MIGRATIONS, purser_spend::MIGRATIONS, Migrations { domain: "model", steps: &[LOG] }];

/// Who takes part; the same people for the same seed, so that a run can be taken up after it was killed.
#[derive(Clone)]
pub struct Ledger {
    pub db: Db,
    organisation: OrganisationId,
    person: PersonId,
    agents: Vec<AgentId>,
    grants: Vec<GrantId>,
}

impl Ledger {
    pub fn new(db: Db, seed: u64) -> Self {
        let (env, _) = Env::test(Timestamp::EPOCH, seed);
        let agents: Vec<AgentId> = (0..AGENTS).map(|_| AgentId::mint(&env)).collect();
        let grants = (0..AGENTS).map(|_| GrantId::mint(&env)).collect();
        Self { db, organisation: OrganisationId::mint(&env), person: PersonId::mint(&env), agents, grants }
    }

    /// A card and the first caps.
    pub async fn prepare(&self, at_s: i64) {
        let (me, env) = (self.clone(), env(at_s));
        let write = self.db.write(move |tx| -> Result<(), DbError> {
            let at_rail = set_up(tx, &env, SandboxCard::Pays)?;
            drop(method::add(tx, &env, &permit::<PaymentMethodSet>(&env, &me.owner(&env)), &me.organisation, &at_rail).unwrap());
            for agent in 0..AGENTS {
                let first = permit(&env, &me.owner(&env));
                drop(cap::grant(tx, &env, &first, &me.spender(agent), usd(FIRST_CAP_MINOR), &BTreeMap::new()).unwrap());
            }
            Ok(())
        });
        write.await.unwrap();
    }

    /// Does the operation and answers its place in the order and its answer. What the store could not do for now is done again.
    pub async fn act(&self, op: &Op) -> (i64, String) {
        loop {
            let (me, op) = (self.clone(), op.clone());
            let write = self.db.write(move |tx| me.logged(tx, &op));
            match write.await {
                Err(e) if e.is_transient() => {}
                outcome => return outcome.unwrap(),
            }
        }
    }

    fn logged(&self, tx: &mut Tx<'_>, op: &Op) -> Result<(i64, String), DbError> {
        let n: i64 = tx.query_one("update model_seat set n = n + 1 returning n", params![])?.get("n")?;
        let outcome = self.one(tx, op)?;
        let text = serde_json::to_string(op).unwrap();
        tx.execute("insert into model_log (n, op, outcome) values ($1, $2, $3)", params![n, text, outcome])?;
        Ok((n, outcome))
    }

    /// The operation in a savepoint: a refusal leaves nothing but its name.
    pub fn one(&self, tx: &mut Tx<'_>, op: &Op) -> Result<String, DbError> {
        let outcome = tx.savepoint(|tx| self.run(tx, &env(op.at_s), &op.act));
        match outcome {
            Ok(text) => Ok(text),
            Err(Stop::Refused(code)) => Ok(code.to_owned()),
            Err(Stop::Store(e)) => Err(e),
        }
    }

    fn run(&self, tx: &mut Tx<'_>, env: &Env, act: &Act) -> Result<String, Stop> {
        match act {
            Act::Buy { agent, provider, key, minor, lines } => {
                let purchase = self.purchase((*agent, *provider), *key, *minor, *lines);
                let hold = hold::place(tx, env, &permit::<ResourceAdd>(env, &Caller::System), &purchase).map_err(refused)?.value;
                if token::of_hold(tx, &hold.id)?.is_none() {
                    let issued = token::issue(tx, env, &permit(env, &Caller::System), &hold.id).map_err(refused)?.value;
                    let keep = "insert into model_token (purchase, plain) values ($1, $2)";
                    tx.execute(keep, params![i64::try_from(*key).unwrap(), issued.plain.expose()])?;
                }
                Ok("ok".to_owned())
            }
            Act::Begin { purchase, provider, key, line, minor, named } => {
                let ask = ChargeAsk {
                    key: key.to_string(),
                    token: token_text(tx, *purchase)?,
                    quote: format!("quo-{purchase}"),
                    line: line.to_string(),
                    amount: of(*purchase, *minor),
                    remote_resource: None,
                    period: named.map(Named::text),
                };
                let step = charge::begin(tx, env, &permit::<ChargeCreate>(env, &provider_caller(*provider)), &ask).map_err(refused)?.value;
                Ok(match step {
                    ChargeStep::Capture(_) => "begun".to_owned(),
                    ChargeStep::Ended(receipt) => answer(receipt.state, receipt.code),
                })
            }
            Act::Use { purchase, provider, block, minor } => {
                let ask = UsageAsk {
                    token: token_text(tx, *purchase)?,
                    quote: format!("quo-{purchase}"),
                    line: METERED.to_string(),
                    period: Timestamp::from_secs(block.month_s).month(),
                    block: block.block.unwrap(),
                    amount: of(*purchase, *minor),
                };
                let permit = permit::<UsageHold>(env, &provider_caller(*provider));
                Ok(match usage::hold(tx, env, &permit, &ask).map_err(refused)?.value {
                    UsageReceipt::Reserved => "ok".to_owned(),
                    UsageReceipt::Refused(refusal) => refusal.code().to_owned(),
                })
            }
            Act::Unuse { purchase, provider, block } => {
                let block = UsageBlock {
                    token: token_text(tx, *purchase)?,
                    quote: format!("quo-{purchase}"),
                    line: METERED.to_string(),
                    period: Timestamp::from_secs(block.month_s).month(),
                    block: block.block.unwrap(),
                };
                let permit = permit::<UsageRelease>(env, &provider_caller(*provider));
                let refusal = usage::release(tx, env, &permit, &block).map_err(refused)?.value;
                Ok(refusal.map_or("ok", Refusal::code).to_owned())
            }
            Act::Renew => all(tx, |tx| Ok(renewal::reserve(tx, env)?.value)),
            Act::ReleaseOld => all(tx, |tx| Ok(usage::release_old(tx, env)?.value)),
            Act::Finish { charge, provider, captured } => {
                let select = "select id from spend_charge where provider = $1 and request_key = $2";
                let Some(id) = id::<ChargeId>(tx.query_opt(select, params![PROVIDERS[*provider], charge.to_string()])?)? else {
                    return Ok("none".to_owned());
                };
                let outcome = if *captured {
                    RailOutcome::Captured { reference: format!("ref-{charge}") }
                } else {
                    RailOutcome::Declined { code: "declined".to_owned(), message: "no".to_owned() }
                };
                let receipt = charge::finish(tx, env, &id, &outcome).map_err(refused)?.value;
                let code = receipt.code.filter(|_| receipt.state != charge::ChargeState::Declined);
                Ok(answer(receipt.state, code))
            }
            Act::Release { purchase } => {
                let select = "select id from spend_hold where request_key = $1";
                let rows = tx.query(select, params![purchase.to_string()])?;
                for row in &rows {
                    let id: HoldId = row.parse("id")?;
                    drop(hold::release(tx, env, &Caller::System, &id).map_err(refused)?);
                }
                Ok(if rows.is_empty() { "none" } else { "ok" }.to_owned())
            }
            Act::Expire => all(tx, |tx| Ok(hold::expire(tx, env)?.value)),
            Act::Refund { charge, provider, key, minor } => {
                let select = "select id, currency from spend_charge where provider = $1 and request_key = $2";
                let Some(row) = tx.query_opt(select, params![PROVIDERS[*provider], charge.to_string()])? else {
                    return Ok("none".to_owned());
                };
                let amount = Money::from_minor(*minor, row.parse("currency")?);
                let ask = RefundAsk { key: key.to_string(), charge: row.parse("id")?, amount, reason: "model".to_owned() };
                let step = refund::begin(tx, env, &permit::<RefundCreate>(env, &provider_caller(*provider)), &ask).map_err(refused)?.value;
                Ok(match step {
                    RefundStep::Give(_) => "begun".to_owned(),
                    RefundStep::Ended(receipt) => receipt.state.name().to_owned(),
                })
            }
            Act::FinishRefund { refund, provider, given } => {
                let select = "select id from spend_refund where provider = $1 and request_key = $2";
                let Some(id) = id::<RefundId>(tx.query_opt(select, params![PROVIDERS[*provider], refund.to_string()])?)? else {
                    return Ok("none".to_owned());
                };
                let outcome = if *given {
                    RefundOutcome::Refunded { reference: "back".to_owned() }
                } else {
                    RefundOutcome::Declined { code: "no".to_owned(), message: "no".to_owned() }
                };
                Ok(refund::finish(tx, env, &id, &outcome).map_err(refused)?.value.state.name().to_owned())
            }
            Act::Cap { agent, minor } => {
                let set = cap::CapSet { spender: self.spender(*agent), provider: None, amount: usd(*minor) };
                drop(cap::set(tx, env, &permit::<CapSet>(env, &self.owner(env)), &set).map_err(refused)?);
                Ok("ok".to_owned())
            }
            Act::Ceiling { rule, minor } => {
                let (scope, subject, period) = RULES[*rule];
                let (organisation, subject) = (self.organisation.clone(), subject.to_owned());
                let set = CeilingSet { organisation, scope, subject, period, amount: minor.map(usd) };
                drop(ceiling::set(tx, env, &permit::<CapSet>(env, &self.owner(env)), &set).map_err(refused)?);
                Ok("ok".to_owned())
            }
            Act::Rate { per_10_000 } => {
                let (permit, organisation) = (permit::<RateSetAction>(env, &self.owner(env)), self.organisation.clone());
                let stated = per_10_000.map(|numerator| Rate {
                    from: Currency::EUR,
                    to: Currency::USD,
                    ratio: Ratio { numerator, denominator: 10_000 },
                    deviation_bp: DEVIATION_BP,
                    source: "model".to_owned(),
                    // The model's clocks jump by days; what is out of its time is another test's.
                    valid_from: Timestamp::EPOCH,
                    valid_until: env.now().plus_secs(399 * 86_400),
                });
                match stated {
                    Some(rate) => drop(rate::set(tx, env, &permit, &RateSet { organisation, rate }).map_err(refused)?),
                    None => match rate::remove(tx, &permit, &organisation, Currency::EUR, Currency::USD) {
                        Ok(_) | Err(RateError::Unknown(..)) => {}
                        Err(e) => return Err(refused(e)),
                    },
                }
                Ok("ok".to_owned())
            }
            Act::Freeze { agent, frozen } => {
                freeze::apply(tx, &self.agents[*agent], *frozen, env.now())?;
                Ok("ok".to_owned())
            }
        }
    }

    fn purchase(&self, (agent, provider): (usize, usize), key: u64, minor: i64, lines: usize) -> Purchase {
        // The resource belongs to the key: a repetition is of the same purchase.
        let (named, _) = Env::test(Timestamp::EPOCH, key);
        let again = |i: usize| if i == 0 && is_subscription(key) { Recurs::Month } else { Recurs::Once };
        let line = |i: usize| Line { id: i.to_string(), description: "model".to_owned(), amount: of(key, minor), recurs: again(i) };
        let metered = Line { id: METERED.to_string(), description: "model".to_owned(), amount: of(key, 0), recurs: Recurs::Metered };
        let above = Share { agent: self.agents[0].clone(), grant: self.grants[0].clone(), total: None };
        Purchase {
            spender: self.spender(agent),
            grant: self.grants[agent].clone(),
            total: (agent == 2).then(|| usd(TOTAL_MINOR)),
            above: if agent == 1 { vec![above] } else { Vec::new() },
            provider: PROVIDERS[provider].parse().unwrap(),
            project: "shop".parse().unwrap(),
            environment: "production".parse().unwrap(),
            categories: vec!["hosting".to_owned()],
            resource: ResourceId::mint(&named),
            quote: Quote {
                id: format!("quo-{key}"),
                digest: Sha256Digest::of(key.to_string().as_bytes()),
                lines: (0..lines).map(line).chain(is_subscription(key).then_some(metered)).collect(),
                irreversible: false,
            },
            by_credit: std::collections::BTreeMap::new(),
            irreversible_allowed: false,
            key: key.to_string(),
            limits_url: String::new(),
            card_url: String::new(),
        }
    }

    fn spender(&self, agent: usize) -> Spender {
        Spender { organisation: self.organisation.clone(), agent: self.agents[agent].clone() }
    }

    fn owner(&self, env: &Env) -> Caller {
        let (person, organisation) = (self.person.clone(), self.organisation.clone());
        Caller::Person { person, organisation, role: Role::Owner, present_at: Some(env.now()) }
    }

    /// Every account that must be as the oracle says, and the sum of all.
    pub fn compare(&self, tx: &mut Tx<'_>, buckets: &BTreeMap<Name, Bucket>, paid: i64) -> Result<(), DbError> {
        let sums = "select currency, cast(sum(balance) as bigint) as total from ledger_account group by currency";
        for row in tx.query(sums, params![])? {
            assert_eq!(row.get::<i64>("total")?, 0, "the balances add up to zero");
        }
        let all = tx.query("select id, balance from ledger_account", params![])?;
        let accounts =
            all.iter().map(|row| Ok((row.get("id")?, row.get("balance")?))).collect::<Result<BTreeMap<String, i64>, DbError>>()?;
        for (name, bucket) in buckets {
            let account = self.account(tx, *name)?;
            let part = |part: &str| accounts.get(&format!("{account}/{part}")).copied();
            let is = (part("room"), part("held"), part("captured"));
            let must = (Some(bucket.limit - bucket.held - bucket.captured), Some(bucket.held), Some(bucket.captured));
            assert_eq!(is, must, "{account}");
        }
        assert_eq!(accounts.keys().filter(|id| id.ends_with("/held")).count(), buckets.len(), "and there are no others");
        let is: i64 =
            accounts.iter().filter(|(id, _)| id.starts_with("money/") && id.contains("/paid/")).map(|(_, balance)| *balance).sum();
        assert_eq!(is, paid, "what was paid");
        Ok(())
    }

    fn account(&self, tx: &mut Tx<'_>, name: Name) -> Result<String, DbError> {
        Ok(match name {
            Name::Book(agent, provider, start_s) => {
                format!("cap/{}/{}/{}", self.agents[agent], PROVIDERS[provider], Timestamp::from_secs(start_s).month())
            }
            Name::Total(agent) => format!("total/{}", self.grants[agent]),
            Name::Window(rule, which) => {
                let (scope, _, period) = RULES[rule];
                // A window is told by the moment at which it is over, by the oracle's own calendar.
                let ends = match period {
                    purser_spend::calendar::Period::Day => Some(Timestamp::from_secs((which + 1) * 86_400)),
                    purser_spend::calendar::Period::Week => Some(Timestamp::from_secs(((which + 1) * 7 - 3) * 86_400)),
                    purser_spend::calendar::Period::Month => Some(Timestamp::from_secs(which).plus_months(1)),
                    _ => None,
                };
                let select = "select id from spend_ceiling_window where organisation = $1 and scope = $2 and period = $3
                              and coalesce(ends, 0) = $4";
                let values = params![self.organisation, scope.name(), period.name(), ends.unwrap_or(Timestamp::EPOCH)];
                format!("ceiling/{}", tx.query_one(select, values)?.get::<String>("id")?)
            }
        })
    }
}

pub enum Stop {
    Refused(&'static str),
    Store(DbError),
}

impl From<DbError> for Stop {
    fn from(e: DbError) -> Self {
        Self::Store(e)
    }
}

/// What works a batch at a time, until nothing is left.
fn all(tx: &mut Tx<'_>, some: impl Fn(&mut Tx<'_>) -> Result<usize, DbError>) -> Result<String, Stop> {
    let mut all = 0;
    loop {
        match some(tx)? {
            0 => return Ok(all.to_string()),
            more => all += more,
        }
    }
}

/// The token of a purchase, or one that nobody issued.
fn token_text(tx: &mut Tx<'_>, purchase: u64) -> Result<Secret<String>, DbError> {
    let row = tx.query_opt("select plain from model_token where purchase = $1", params![i64::try_from(purchase).unwrap()])?;
    row.map_or(Ok("spt_none".to_owned()), |row| row.get("plain")).map(Secret::new)
}

/// A refusal by its code; a failure of the store is none.
fn refused<E: PublicError + Into<AnyError>>(e: E) -> Stop {
    let code = e.code();
    match e.into().0 {
        Some(store) => Stop::Store(store),
        None => Stop::Refused(code),
    }
}

pub struct AnyError(Option<DbError>);

macro_rules! store_of {
    ($($error:path),*) => { $(impl From<$error> for AnyError {
        fn from(e: $error) -> Self {
            use $error as E;
            Self(if let E::Store(e) = e { Some(e) } else { None })
        }
    })* };
}
store_of!(
    HoldError,
    purser_spend::token::TokenError,
    purser_spend::charge::ChargeError,
    purser_spend::refund::RefundError,
    purser_spend::cap::CapError,
    purser_spend::ceiling::CeilingError,
    purser_spend::rate::RateError
);

fn answer(state: charge::ChargeState, code: Option<String>) -> String {
    if state == charge::ChargeState::Declined { state.name().to_owned() } else { code.unwrap_or_else(|| state.name().to_owned()) }
}

fn id<T: std::str::FromStr>(row: Option<Row>) -> Result<Option<T>, DbError> {
    row.map(|row| row.parse("id")).transpose()
}

fn env(at_s: i64) -> Env {
    let mut seed = [0; 8];
    Env::system().fill(&mut seed);
    Env::test(Timestamp::from_secs(at_s), u64::from_le_bytes(seed)).0
}

fn permit<A: Action>(env: &Env, caller: &Caller) -> Permit<A> {
    authorise(caller, &Facts::new(env.now(), "model")).unwrap()
}

fn provider_caller(provider: usize) -> Caller {
    Caller::Provider { provider: PROVIDERS[provider].parse().unwrap() }
}

/// An amount in the currency of the purchase under this key.
fn of(key: u64, minor: i64) -> Money {
    Money::from_minor(minor, if is_in_euros(key) { Currency::EUR } else { Currency::USD })
}

fn usd(minor: i64) -> Money {
    Money::from_minor(minor, Currency::USD)
}
