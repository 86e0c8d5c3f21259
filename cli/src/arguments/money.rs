//! What is typed about limits, budgets, money back and who is told of them.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::Number;

/// A number as it was typed; the orchestrator says which it takes.
fn percent(text: &str) -> Result<Number, String> {
    text.parse().map_err(|_| "a percentage is a number such as `80` or `66.5`".to_owned())
}

use super::Resource;

#[derive(Debug, Subcommand)]
pub enum Billing {
    /// Caps, ceilings and budgets, what is used and what is left of them
    Show,
    /// Refused: only the person adds a card, on the page this names
    Add,
    /// Set a limit, for a person who signed in here; an agent is told the page for its person
    #[command(visible_alias = "limit")]
    Update(BillingUpdate),
    /// By which rates prices in other currencies count against limits
    #[command(subcommand)]
    Rate(Rate),
}

#[derive(Debug, Subcommand)]
pub enum Rate {
    /// The rates that were stated
    Show,
    /// For an owner: state a rate, or take one back with `--none`
    Set(RateSet),
}

#[derive(Debug, Args)]
pub struct RateSet {
    /// The currency of the prices, such as EUR
    pub from: String,
    /// The currency of the limits, such as USD
    pub to: String,
    /// What one unit is: `1.0842`, or a fraction such as `271/250`
    #[arg(required_unless_present = "none")]
    pub rate: Option<String>,
    /// Take the rate back
    #[arg(long, conflicts_with = "rate")]
    pub none: bool,
    /// How much dearer it may turn out, in basis points; 100 are one percent
    #[arg(long, value_name = "POINTS", default_value_t = 200)]
    pub deviation: i64,
    /// Where the rate is from
    #[arg(long, value_name = "TEXT", required_unless_present = "none")]
    pub source: Option<String>,
    /// The last moment it is in force, as 2026-12-31T00:00:00Z or 2026-12-31
    #[arg(long, value_name = "TIME", required_unless_present = "none")]
    pub until: Option<String>,
}

/// What a limit or a budget is over. Nothing is the whole organisation; `--environment` is one of the project's.
#[derive(Clone, Debug, Default, Args)]
pub struct Over {
    /// Purchases at this provider
    #[arg(long, value_name = "NAME")]
    pub provider: Option<String>,
    /// Purchases in this project; with `--environment`, in that part of it
    #[arg(long, value_name = "NAME")]
    pub project: Option<String>,
    /// Purchases of this agent, by its name or id, and of those that it let in
    #[arg(long, value_name = "AGENT")]
    pub agent: Option<String>,
    /// Purchases under this grant, and those derived from it
    #[arg(long, value_name = "ID")]
    pub grant: Option<String>,
    /// Purchases of services of this category, as the catalogue names it
    #[arg(long, value_name = "NAME")]
    pub category: Option<String>,
}

#[derive(Debug, Args)]
pub struct BillingUpdate {
    /// At most this much, as `25` or `25.00`
    #[arg(long, value_name = "AMOUNT", required_unless_present_any = ["none", "zone"])]
    pub limit: Option<String>,
    /// Take the ceiling away
    #[arg(long, conflicts_with = "limit")]
    pub none: bool,
    /// Let days, weeks and months begin in this time zone, as `Europe/Berlin`
    #[arg(
        long,
        value_name = "ZONE",
        conflicts_with_all = ["limit", "none", "each_provider", "period", "provider", "project", "agent", "grant", "category"]
    )]
    pub zone: Option<String>,
    #[command(flatten)]
    pub over: Over,
    /// With `--agent`: its cap at each provider without one of its own
    #[arg(long, requires = "agent", conflicts_with = "provider")]
    pub each_provider: bool,
    /// How long it counts before it begins anew; without it, a month
    #[arg(long, value_name = "PERIOD", value_parser = ["transaction", "day", "week", "month", "lifetime"])]
    pub period: Option<String>,
    /// The currency of the amount
    #[arg(long, value_name = "CODE", default_value = "USD")]
    pub currency: String,
}

#[derive(Debug, Subcommand)]
pub enum Budget {
    /// The budgets, what is spent of them, and what they will come to
    List,
    /// For the person: plan what is to be spent, or change it
    Set(BudgetSet),
    /// For the person: take a budget away
    Remove(BudgetRemove),
}

#[derive(Debug, Args)]
pub struct BudgetSet {
    /// What is planned, as `25` or `25.00`
    pub amount: String,
    #[command(flatten)]
    pub over: Over,
    /// How long it counts before it begins anew
    #[arg(long, value_name = "PERIOD", value_parser = ["day", "week", "month", "lifetime"], default_value = "month")]
    pub period: String,
    /// The currency of the amount
    #[arg(long, value_name = "CODE", default_value = "USD")]
    pub currency: String,
    /// Tell at these percents, as 50,66.5; without it, 50,80,100
    #[arg(long, value_name = "PERCENT", value_delimiter = ',', value_parser = percent)]
    pub threshold: Vec<Number>,
    /// What happens at its limit
    #[arg(long, value_name = "ACTION", value_parser = ["notify", "require-approval", "freeze"], default_value = "notify")]
    pub action: String,
    /// Where that limit is, in percent of the budget
    #[arg(long, value_name = "PERCENT", default_value = "100", value_parser = percent)]
    pub act_at: Number,
    /// Do not tell of charges that stand out
    #[arg(long)]
    pub no_unusual: bool,
}

#[derive(Debug, Args)]
pub struct BudgetRemove {
    /// The budget's id, as in `purser budget list`
    pub budget: String,
}

#[derive(Debug, Subcommand)]
pub enum Credits {
    /// The programmes, what was asked for, and what is left
    List,
    /// Ask for a programme's credit; a person of the operator decides
    Apply(CreditApply),
    /// Where an application stands
    Show(CreditShow),
}

#[derive(Debug, Args)]
pub struct CreditApply {
    /// The programme, as `PROVIDER/PROGRAMME`
    pub programme: String,
    /// Why the organisation is eligible, and where that can be checked
    #[arg(long, value_name = "TEXT", conflicts_with = "evidence_file", required_unless_present = "evidence_file")]
    pub evidence: Option<String>,
    /// A text file that says so
    #[arg(long, value_name = "FILE")]
    pub evidence_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct CreditShow {
    /// The application's id, as in `purser credits list`
    pub application: String,
}

#[derive(Debug, Args)]
pub struct Remove {
    #[command(flatten)]
    pub resource: Resource,
    /// Not now: when the period that is paid ends. For the agent, and for a person
    #[arg(long, conflicts_with = "keep")]
    pub at_period_end: bool,
    /// Not then either: it goes on after its period
    #[arg(long)]
    pub keep: bool,
}

#[derive(Debug, Subcommand)]
pub enum Refund {
    /// Ask the provider; what it gives back, it removes
    Request(RefundRequest),
    /// What was asked back, and the answers
    List,
}

#[derive(Debug, Args)]
pub struct RefundRequest {
    /// The resource's name or id
    pub resource: String,
    /// Why, in a sentence; it is kept with the answer
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// How long to wait for the result
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub timeout: u64,
}

#[derive(Debug, Subcommand)]
pub enum Alert {
    /// The newest alerts
    List,
}

#[derive(Debug, Subcommand)]
pub enum Webhook {
    /// The addresses
    List,
    /// Add an address; prints the secret that signs, once
    Add(WebhookAdd),
    /// Put a new secret in place; the one before signs as well for a day
    Rotate(OfWebhook),
    /// Send a message that says nothing
    Test(OfWebhook),
    /// Send nothing there any more
    Remove(OfWebhook),
}

#[derive(Debug, Args)]
pub struct WebhookAdd {
    /// A public https address
    pub address: String,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,
}

#[derive(Debug, Args)]
pub struct OfWebhook {
    /// The webhook's id, as in `purser webhook list`
    pub webhook: String,
}
