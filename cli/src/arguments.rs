//! What was typed, before anybody asks what it means.

mod approval;
mod money;
mod operator;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use approval::{Approval, ApprovalAsk, ApprovalDecide, ApprovalGive, ApprovalShow};
pub use money::{
    Alert, Billing, BillingUpdate, Budget, BudgetRemove, BudgetSet, CreditApply, CreditShow, Credits, OfWebhook, Over, Rate, RateSet,
    Refund, RefundRequest, Remove, Webhook, WebhookAdd,
};
pub use operator::{
    Backup, KeysCommand, KeysRotate, LedgerCommand, OfOrganisation, OfPerson, OrganisationCommand, PersonCommand, Restore, SsoForget,
};

/// Open accounts, pay, register domains, get tokens and ship code, inside the limits that a person set once.
#[derive(Debug, Parser)]
#[command(
    name = "purser",
    version,
    propagate_version = true,
    max_term_width = 110,
    disable_help_subcommand = true,
    subcommand_required = true,
    after_help = "`purser help COMMAND` says more about one of them."
)]
pub struct Arguments {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Everywhere")]
pub struct Global {
    /// Print one JSON envelope on stdout and nothing else there
    #[arg(long, global = true)]
    pub json: bool,
    /// The orchestrator's URL
    #[arg(long, global = true, env = "PURSER_URL", hide_env_values = true, value_name = "URL")]
    pub url: Option<String>,
    /// The data folder of `purser up`
    #[arg(long, global = true, env = "PURSER_DATA", hide_env_values = true, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The project's environment, instead of the one in `.purser/state.json`
    #[arg(long, global = true, env = "PURSER_ENVIRONMENT", hide_env_values = true, value_name = "NAME")]
    pub environment: Option<String>,
    /// Skip the question before a destructive command; needed where there is no terminal
    #[arg(short = 'y', long, global = true)]
    pub yes: bool,
    /// Also wait while a person has to act, until the command's own `--timeout`
    #[arg(long, global = true)]
    pub wait: bool,
    /// Never ask, not even on a terminal
    #[arg(long, global = true)]
    pub non_interactive: bool,
    /// Repeat a change with the key of an earlier try: it has one effect
    #[arg(long, global = true, value_name = "KEY", hide_short_help = true)]
    pub idempotency_key: Option<String>,
    /// Refused: only the person accepts terms, on the consent page
    #[arg(long, global = true, hide_short_help = true)]
    pub accept_tos: bool,
    /// Taken and not needed: the grant says what may be paid
    #[arg(long, global = true, hide_short_help = true)]
    pub confirm_paid_service: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Ask a person for a grant: prints one URL and waits for the decision
    Login(Login),
    /// Make this folder a project
    Init(Init),
    /// Who am I, for whom, and what may I do
    Whoami,
    /// List services, their prices and what they need
    Catalog(Catalog),
    /// Search the services
    Search(Search),
    /// Connect an account at a provider, also one that exists
    Link(Link),
    /// Provision a service: an account, a plan, a domain, a token
    Add(Add),
    /// The project's accounts, resources, deployments and spend
    Status,
    /// List the project's variables, or write them to a file
    Env(EnvArguments),
    /// Run a command with the project's variables in its environment
    Run(Run),
    /// Deploy a folder: a Worker, or static files
    Deploy(Deploy),
    /// Turn a resource into another service of its provider, or give it another configuration
    Update(Update),
    /// The same, to what costs more: it begins at once
    Upgrade(Update),
    /// The same, to what costs less: it begins when what is paid for ends
    Downgrade(Update),
    /// Remove a resource, at once or when its paid period ends
    Remove(Remove),
    /// Replace a resource's credentials
    Rotate(Resource),
    /// What was spent, what is held, what is left
    Spend(Spend),
    /// Ask money back for what nobody wants any more
    #[command(subcommand)]
    Refund(Refund),
    /// Who did it: of a URL, domain, account, token prefix, charge or resource
    Trace(Trace),
    /// Limits and payment methods; changing them is for people
    #[command(subcommand)]
    Billing(Billing),
    /// What people plan to spend, and what happens at which part of it
    #[command(subcommand)]
    Budget(Budget),
    /// What providers give to be spent there, before the card pays
    #[command(subcommand)]
    Credits(Credits),
    /// What was told about money, and where it went
    #[command(subcommand)]
    Alert(Alert),
    /// For the person: addresses that are told with signed messages
    #[command(subcommand)]
    Webhook(Webhook),
    /// Let a helper act; for the person: list, freeze and thaw agents
    #[command(subcommand)]
    Agent(AgentCommand),
    /// A person's yes to one exact purchase: ask for it, wait for it, give it
    #[command(subcommand)]
    Approval(Approval),
    /// Which terms were accepted, and a signed file of all of it
    #[command(subcommand)]
    Terms(Terms),
    /// Check the audit log
    #[command(subcommand)]
    Audit(Audit),
    /// Test any provider against the protocol
    Conformance(Conformance),
    /// Start the whole system on this machine, with sandbox money
    Up(Up),
    /// Run the orchestrator alone, from a configuration file
    Serve(Serve),
    /// Say everything that is wrong with a configuration for `serve`
    CheckConfig(CheckConfig),
    /// For the operator: print the link by which the first owner comes
    Bootstrap(Configured),
    /// For the operator: stop a person everywhere, or let them sign in again
    #[command(subcommand)]
    Person(PersonCommand),
    /// For the operator: stop an organisation, or let it go on
    #[command(subcommand)]
    Organisation(OrganisationCommand),
    /// For the operator: see the keys that sign, or put new ones in their place
    #[command(subcommand)]
    Keys(KeysCommand),
    /// For the operator: whether the money adds up
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// For the operator: copy an installation that serves, without its keys
    Backup(Backup),
    /// For the operator: put a backup back where nothing is, and check it
    Restore(Restore),
    /// Run a command that dies with its supervisor (used by `up`)
    #[command(hide = true)]
    Supervised(Supervised),
}

#[derive(Clone, Debug, Default, Args)]
pub struct Login {
    /// Ask for a person's own token, ten minutes: `eval "$(purser login --person)"`
    #[arg(long)]
    pub person: bool,
    /// What the agent calls itself; the person sees it as unverified
    #[arg(long)]
    pub name: Option<String>,
    /// The project to work in; may be repeated
    #[arg(long, value_name = "NAME")]
    pub project: Vec<String>,
    /// The providers to use, with commas between
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub providers: Vec<String>,
    /// Only these environments of the projects, with commas between; without it, all
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub environments: Vec<String>,
    /// Only these services, such as `slipway/workers`, with commas between; without it, all of the providers'
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub services: Vec<String>,
    /// Ask for this cap at each provider in each month, in USD; the person may change it
    #[arg(long, value_name = "USD")]
    pub cap: Option<String>,
    /// Ask for another cap at one provider: `slipway=25`; may be repeated
    #[arg(long, value_name = "PROVIDER=USD")]
    pub provider_cap: Vec<String>,
    /// Ask for at most this much over the whole life of the grant, in USD
    #[arg(long, value_name = "USD")]
    pub total: Option<String>,
    /// Draw no QR code
    #[arg(long)]
    pub no_qr: bool,
    /// Ask to see credentials in plain text (`env --pull`, `run`)
    #[arg(long)]
    pub export: bool,
    /// Ask to buy what cannot be given back (domains)
    #[arg(long)]
    pub irreversible: bool,
    /// Ask to let helpers act within the grant (`agent spawn`)
    #[arg(long)]
    pub delegate: bool,
    /// How long the grant should hold, in seconds
    #[arg(long, value_name = "SECONDS")]
    pub expires_in: Option<u64>,
    /// In a build: the file with the token by which its issuer says what it is; asks nobody
    #[arg(long, value_name = "FILE", requires = "workload_trust", conflicts_with_all = ["person", "timeout"])]
    pub workload_token_file: Option<PathBuf>,
    /// Which trust the build means; a person set it up
    #[arg(long, value_name = "ID", requires = "workload_token_file")]
    pub workload_trust: Option<String>,
    /// Stop waiting after this long; the next `purser login` goes on where this one stopped
    #[arg(long, value_name = "SECONDS")]
    pub timeout: Option<u64>,
}

#[derive(Debug, Args)]
pub struct Init {
    /// The project's name; without it, the folder's
    pub name: Option<String>,
}

#[derive(Debug, Args)]
pub struct Catalog {
    /// A provider, a category, or `provider/service`
    pub filter: Option<String>,
}

#[derive(Debug, Args)]
pub struct Search {
    #[arg(required = true)]
    pub query: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Link {
    /// The provider, such as `slipway`
    pub provider: String,
    /// What the provider wants to know first, as a JSON object
    #[arg(long, value_name = "JSON")]
    pub information: Option<String>,
    /// How long to wait for the result
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub timeout: u64,
}

#[derive(Debug, Args)]
pub struct Add {
    /// `provider/service`, such as `slipway/workers`
    pub service: String,
    /// What the service asks for, as a JSON object
    #[arg(long, value_name = "JSON")]
    pub config: Option<String>,
    /// The resource's name in this project
    #[arg(long)]
    pub name: Option<String>,
    /// Use a person's yes to exactly this (`purser approval ask`)
    #[arg(long, value_name = "ID")]
    pub approval: Option<String>,
    /// Only say what stands in the way and what it costs
    #[arg(long)]
    pub preflight: bool,
    /// How long to wait for the result
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub timeout: u64,
}

#[derive(Debug, Args)]
pub struct EnvArguments {
    /// Write the values to a file of mode 0600; needs a grant with export
    #[arg(long)]
    pub pull: bool,
    /// The file to write; without it, `.env` beside `.purser`
    #[arg(long, value_name = "FILE", requires = "pull")]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Run {
    /// The command and its arguments, after `--`
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

#[derive(Debug, Args)]
pub struct Deploy {
    /// A folder with `wrangler.jsonc`, `index.js` or `index.html`
    #[arg(value_name = "DIR", default_value = ".")]
    pub folder: PathBuf,
    /// The Worker's name; without it, the one in the configuration, or the project's
    #[arg(long)]
    pub name: Option<String>,
    /// Serve it on this domain, which the project owns
    #[arg(long)]
    pub domain: Option<String>,
    /// The resource whose token deploys, where there are several
    #[arg(long)]
    pub resource: Option<String>,
    /// How long to wait for the result
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub timeout: u64,
}

#[derive(Debug, Args)]
pub struct Update {
    /// The resource's name in this project, or its id
    pub resource: String,
    /// `provider/service` or the service alone: what it is to become
    pub service: Option<String>,
    /// Its new configuration, as a JSON object
    #[arg(long, value_name = "JSON")]
    pub config: Option<String>,
    /// A person's yes to exactly this
    #[arg(long, value_name = "ID")]
    pub approval: Option<String>,
    /// How long to wait for the end of it
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub timeout: u64,
}

#[derive(Debug, Args)]
pub struct Resource {
    /// The resource's name or id
    pub resource: String,
    /// How long to wait for the result
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub timeout: u64,
}

#[derive(Debug, Args)]
pub struct Spend {
    /// The month, as 2026-11; without it, this one
    #[arg(long, value_name = "YYYY-MM", conflicts_with_all = ["by", "since", "until"])]
    pub month: Option<String>,
    /// Add up by this
    #[arg(long, value_name = "WHAT", value_parser = ["project", "agent", "provider", "category", "service", "day"])]
    pub by: Option<String>,
    /// From this day or month on, as 2026-11-23 or 2026-11; without it, this month's first day
    #[arg(long, value_name = "DATE")]
    pub since: Option<String>,
    /// Up to this day or month, which is included
    #[arg(long, value_name = "DATE")]
    pub until: Option<String>,
    /// Let days and months begin in this time zone; without it, in the organisation's
    #[arg(long, value_name = "ZONE")]
    pub zone: Option<String>,
    /// Print a file of comma-separated values (RFC 4180)
    #[arg(long)]
    pub csv: bool,
    /// Of the file of a month: what belongs to this project
    #[arg(long, value_name = "NAME", requires = "csv", conflicts_with_all = ["by", "since", "until"])]
    pub project: Option<String>,
    /// Of the file of a month: what this agent bought
    #[arg(long, value_name = "ID", requires = "csv", conflicts_with_all = ["by", "since", "until"])]
    pub agent: Option<String>,
    /// Of the file of a month: what this provider charged
    #[arg(long, value_name = "NAME", requires = "csv", conflicts_with_all = ["by", "since", "until"])]
    pub provider: Option<String>,
}

#[derive(Debug, Args)]
pub struct Trace {
    pub what: String,
}

#[derive(Debug, Subcommand)]
pub enum AgentCommand {
    /// The organisation's agents
    List,
    /// Stop an agent: its tokens, credentials, payments and deployments
    Freeze(Freeze),
    /// Print the page on which a person thaws an agent
    Thaw(Thaw),
    /// Let another agent act within this agent's grant, never beyond it
    Spawn(Spawn),
}

#[derive(Debug, Args)]
pub struct Spawn {
    /// What the new agent is called
    pub name: String,
    /// Where its key and its tokens go: its own `PURSER_HOME`
    #[arg(long, value_name = "FOLDER")]
    pub home: PathBuf,
    /// Projects; without any, those of this agent's grant
    #[arg(long, value_name = "NAME")]
    pub project: Vec<String>,
    /// Providers; without any, those of this agent's grant
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub providers: Vec<String>,
    /// Its cap at each provider in each month, in USD
    #[arg(long, value_name = "USD")]
    pub cap: Option<String>,
    /// How long its grant holds, in seconds; never longer than this agent's
    #[arg(long, value_name = "SECONDS")]
    pub expires_in: Option<u64>,
    /// It may see credentials in plain text, if this agent may
    #[arg(long)]
    pub export: bool,
    /// It may buy what cannot be given back, if this agent may
    #[arg(long)]
    pub irreversible: bool,
    /// It may let further agents act
    #[arg(long)]
    pub delegate: bool,
}

#[derive(Debug, Args)]
pub struct Freeze {
    /// The agent's id or its name, as in `purser agent list`
    pub agent: String,
    /// Take its live sites down as well
    #[arg(long)]
    pub dark: bool,
}

#[derive(Debug, Args)]
pub struct Thaw {
    pub agent: String,
}

#[derive(Debug, Subcommand)]
pub enum Terms {
    /// What was accepted, and what has changed since
    List,
    /// Write all of it to a signed file
    Export(TermsExport),
    /// Check such a file, without the orchestrator
    Verify(TermsVerify),
}

#[derive(Debug, Args)]
pub struct TermsExport {
    /// The file to write
    #[arg(long, value_name = "FILE", default_value = "purser-terms.json")]
    pub output: PathBuf,
    /// Replace the file if there is one
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Args)]
pub struct TermsVerify {
    pub file: PathBuf,
    /// The thumbprint of the issuer's key, had from elsewhere
    #[arg(long, value_name = "THUMBPRINT")]
    pub key: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Check every entry and the end of the log, without the orchestrator
    Verify(AuditVerify),
}

#[derive(Debug, Args)]
pub struct AuditVerify {
    /// The configuration of `purser serve` whose database holds the log
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Conformance {
    /// The provider's base URL
    pub provider: String,
    /// The file with the signing secret it shares with its orchestrator
    #[arg(long, value_name = "FILE", required_unless_present = "secret")]
    pub secret_file: Option<PathBuf>,
    /// The secret itself, for a quick try: other processes on this machine can read it here
    #[arg(long, value_name = "SECRET", conflicts_with = "secret_file")]
    pub secret: Option<String>,
    /// Also play the orchestrator that the provider knows under this address: for the checks of identity and payment
    #[arg(long, value_name = "HOST:PORT")]
    pub orchestrator: Option<std::net::SocketAddr>,
    /// An address that somebody has at the provider: it must answer with a page for that person
    #[arg(long, value_name = "EMAIL")]
    pub known_email: Option<String>,
    /// Also run the check that waits five minutes
    #[arg(long)]
    pub slow: bool,
}

#[derive(Clone, Debug, Default, Args)]
pub struct Up {
    /// Use the five ports from here on, and keep them
    #[arg(long, value_name = "PORT")]
    pub port_base: Option<u16>,
    /// The workerd binary
    #[arg(long, env = "PURSER_WORKERD", hide_env_values = true, value_name = "FILE")]
    pub workerd: Option<PathBuf>,
    /// Run Workers without a jail where the system has no namespaces; every page says so
    #[arg(long)]
    pub unconfined: bool,
    /// Ask for whom a domain is registered before one is bought, as registries outside of the sandbox do
    #[arg(long)]
    pub registrant: bool,
    /// An address of this machine or network that webhooks and applications may be told at
    #[arg(long, value_name = "HOST:PORT", value_parser = host_and_port)]
    pub allow: Vec<String>,
}

/// An address without a scheme or a path.
fn host_and_port(text: &str) -> Result<String, String> {
    let wrong = || format!("`{text}` is not like `127.0.0.1:8080`");
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    url::Host::parse(host).map_err(|_| wrong())?;
    port.parse::<u16>().map_err(|_| wrong())?;
    Ok(text.to_owned())
}

#[derive(Debug, Args)]
pub struct Serve {
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

#[derive(Debug, Args)]
pub struct CheckConfig {
    /// The file
    #[arg(value_name = "FILE", required_unless_present = "config")]
    pub file: Option<PathBuf>,
    /// The same
    #[arg(long, value_name = "FILE", conflicts_with = "file", hide = true)]
    pub config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Configured {
    /// The configuration of `purser serve`
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

#[derive(Debug, Args)]
pub struct Supervised {
    /// The process that must be the parent
    #[arg(long)]
    pub parent: i32,
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<OsString>,
}

impl Command {
    /// The words of the command, as in the table of operations.
    #[must_use]
    pub const fn words(&self) -> &'static str {
        match self {
            Self::Login(_) => "login",
            Self::Init(_) => "init",
            Self::Whoami => "whoami",
            Self::Catalog(_) => "catalog",
            Self::Search(_) => "search",
            Self::Link(_) => "link",
            Self::Add(_) => "add",
            Self::Status => "status",
            Self::Env(_) => "env",
            Self::Run(_) => "run",
            Self::Deploy(_) => "deploy",
            Self::Update(_) => "update",
            Self::Upgrade(_) => "upgrade",
            Self::Downgrade(_) => "downgrade",
            Self::Remove(_) => "remove",
            Self::Rotate(_) => "rotate",
            Self::Spend(_) => "spend",
            Self::Refund(Refund::Request(_)) => "refund request",
            Self::Refund(Refund::List) => "refund list",
            Self::Trace(_) => "trace",
            Self::Billing(Billing::Show) => "billing show",
            Self::Billing(Billing::Add) => "billing add",
            Self::Billing(Billing::Update(_)) => "billing update",
            Self::Billing(Billing::Rate(Rate::Show)) => "billing rate show",
            Self::Billing(Billing::Rate(Rate::Set(_))) => "billing rate set",
            Self::Credits(Credits::List) => "credits list",
            Self::Credits(Credits::Apply(_)) => "credits apply",
            Self::Credits(Credits::Show(_)) => "credits show",
            Self::Budget(Budget::List) => "budget list",
            Self::Budget(Budget::Set(_)) => "budget set",
            Self::Budget(Budget::Remove(_)) => "budget remove",
            Self::Alert(Alert::List) => "alert list",
            Self::Webhook(Webhook::List) => "webhook list",
            Self::Webhook(Webhook::Add(_)) => "webhook add",
            Self::Webhook(Webhook::Rotate(_)) => "webhook rotate",
            Self::Webhook(Webhook::Test(_)) => "webhook test",
            Self::Webhook(Webhook::Remove(_)) => "webhook remove",
            Self::Agent(AgentCommand::List) => "agent list",
            Self::Agent(AgentCommand::Freeze(_)) => "agent freeze",
            Self::Agent(AgentCommand::Thaw(_)) => "agent thaw",
            Self::Agent(AgentCommand::Spawn(_)) => "agent spawn",
            Self::Approval(Approval::Ask(_)) => "approval ask",
            Self::Approval(Approval::Show(_)) => "approval show",
            Self::Approval(Approval::List) => "approval list",
            Self::Approval(Approval::Give(_)) => "approval give",
            Self::Approval(Approval::Deny(_)) => "approval deny",
            Self::Terms(Terms::List) => "terms list",
            Self::Terms(Terms::Export(_)) => "terms export",
            Self::Terms(Terms::Verify(_)) => "terms verify",
            Self::Audit(Audit::Verify(_)) => "audit verify",
            Self::Conformance(_) => "conformance",
            Self::Up(_) => "up",
            Self::Serve(_) => "serve",
            Self::CheckConfig(_) => "check-config",
            Self::Bootstrap(_) => "bootstrap",
            Self::Person(PersonCommand::Disable(_)) => "person disable",
            Self::Person(PersonCommand::Enable(_)) => "person enable",
            Self::Person(PersonCommand::SsoForget(_)) => "person sso-forget",
            Self::Organisation(OrganisationCommand::Disable(_)) => "organisation disable",
            Self::Organisation(OrganisationCommand::Enable(_)) => "organisation enable",
            Self::Keys(KeysCommand::List(_)) => "keys list",
            Self::Keys(KeysCommand::Rotate(_)) => "keys rotate",
            Self::Ledger(LedgerCommand::Check(_)) => "ledger check",
            Self::Ledger(LedgerCommand::Acknowledge(_)) => "ledger acknowledge",
            Self::Backup(_) => "backup",
            Self::Restore(_) => "restore",
            Self::Supervised(_) => "supervised",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_parser_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_command_to_run_keeps_its_own_flags() {
        let parsed = Arguments::try_parse_from(["purser", "run", "--", "wrangler", "deploy", "--json"]).unwrap();
        let Command::Run(run) = parsed.command else { panic!("not run") };
        assert_eq!(run.command, ["wrangler", "deploy", "--json"]);
        assert!(!parsed.global.json);
    }
}
