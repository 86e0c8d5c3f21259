//! One file for each command; this one only sends each to its own.

mod add;
mod agent;
mod alert;
mod approval;
mod audit;
mod backup;
mod billing;
mod budget;
mod catalog;
mod check_config;
mod conformance;
mod credits;
mod deploy;
mod env;
mod init;
mod link;
mod login;
mod operator;
mod rate;
mod refund;
mod remove;
mod rotate;
mod run;
mod saga;
mod serve;
mod spawn;
mod spend;
mod status;
mod terms;
mod trace;
mod update;
mod webhook;
mod whoami;
mod workload;

use serde_json::Value;

use crate::arguments::{
    AgentCommand, Alert, Approval, Audit, Billing, Budget, Command, Credits, KeysCommand, LedgerCommand, OrganisationCommand,
    PersonCommand, Rate, Refund, Terms, Webhook,
};
use crate::context::Context;
use crate::outcome::{Failure, Success};

/// Does what was typed.
///
/// # Errors
/// Whatever stood in the way.
pub async fn perform(context: &Context, command: &Command) -> Result<Success, Failure> {
    if context.global.accept_tos {
        return billing::accept_terms(context).await;
    }
    let done = match command {
        Command::Login(arguments) => login::run(context, arguments).await,
        Command::Init(arguments) => init::run(context, arguments).await,
        Command::Whoami => whoami::run(context).await,
        Command::Catalog(arguments) => catalog::list(context, arguments).await,
        Command::Search(arguments) => catalog::search(context, arguments).await,
        Command::Link(arguments) => link::run(context, arguments).await,
        Command::Add(arguments) => add::run(context, arguments).await,
        Command::Status => status::run(context).await,
        Command::Env(arguments) => env::run(context, arguments).await,
        Command::Run(arguments) => run::run(context, arguments).await,
        Command::Deploy(arguments) => deploy::run(context, arguments).await,
        Command::Remove(arguments) => remove::run(context, arguments).await,
        Command::Update(arguments) => update::run(context, arguments, "any").await,
        Command::Upgrade(arguments) => update::run(context, arguments, "up").await,
        Command::Downgrade(arguments) => update::run(context, arguments, "down").await,
        Command::Rotate(arguments) => rotate::run(context, arguments).await,
        Command::Spend(arguments) => spend::run(context, arguments).await,
        Command::Refund(Refund::Request(arguments)) => refund::request(context, arguments).await,
        Command::Refund(Refund::List) => refund::list_all(context).await,
        Command::Trace(arguments) => trace::run(context, arguments).await,
        Command::Billing(Billing::Show) => billing::show(context).await,
        Command::Billing(Billing::Add) => billing::add(context).await,
        Command::Billing(Billing::Update(arguments)) => billing::update(context, arguments).await,
        Command::Billing(Billing::Rate(Rate::Show)) => rate::show(context).await,
        Command::Billing(Billing::Rate(Rate::Set(arguments))) => rate::set(context, arguments).await,
        Command::Budget(Budget::List) => budget::list_all(context).await,
        Command::Budget(Budget::Set(arguments)) => budget::set(context, arguments).await,
        Command::Budget(Budget::Remove(arguments)) => budget::remove(context, arguments).await,
        Command::Credits(Credits::List) => credits::list_all(context).await,
        Command::Credits(Credits::Apply(arguments)) => credits::apply(context, arguments).await,
        Command::Credits(Credits::Show(arguments)) => credits::show(context, arguments).await,
        Command::Alert(Alert::List) => alert::list_all(context).await,
        Command::Webhook(Webhook::List) => webhook::list_all(context).await,
        Command::Webhook(Webhook::Add(arguments)) => webhook::add(context, arguments).await,
        Command::Webhook(Webhook::Rotate(arguments)) => webhook::rotate(context, arguments).await,
        Command::Webhook(Webhook::Test(arguments)) => webhook::test(context, arguments).await,
        Command::Webhook(Webhook::Remove(arguments)) => webhook::remove(context, arguments).await,
        Command::Agent(AgentCommand::List) => agent::list_agents(context).await,
        Command::Agent(AgentCommand::Freeze(arguments)) => agent::freeze(context, arguments).await,
        Command::Agent(AgentCommand::Thaw(arguments)) => agent::thaw(context, arguments),
        Command::Agent(AgentCommand::Spawn(arguments)) => spawn::run(context, arguments).await,
        Command::Approval(Approval::Ask(arguments)) => approval::ask(context, arguments).await,
        Command::Approval(Approval::Show(arguments)) => approval::show(context, arguments).await,
        Command::Approval(Approval::List) => approval::list_all(context).await,
        Command::Approval(Approval::Give(arguments)) => approval::give(context, arguments).await,
        Command::Approval(Approval::Deny(arguments)) => approval::deny(context, arguments).await,
        Command::Terms(Terms::List) => terms::list_all(context).await,
        Command::Terms(Terms::Export(arguments)) => terms::export(context, arguments).await,
        Command::Terms(Terms::Verify(arguments)) => terms::verify(arguments),
        Command::Audit(Audit::Verify(arguments)) => audit::verify(context, arguments).await,
        Command::Conformance(arguments) => conformance::run(arguments).await,
        Command::Up(arguments) => crate::up::run(context, arguments).await,
        Command::Serve(arguments) => serve::run(context, arguments).await,
        Command::CheckConfig(arguments) => check_config::run(arguments).await,
        Command::Bootstrap(arguments) => operator::bootstrap(arguments).await,
        Command::Person(PersonCommand::Disable(arguments)) => operator::person_disable(arguments).await,
        Command::Person(PersonCommand::Enable(arguments)) => operator::person_enable(arguments).await,
        Command::Person(PersonCommand::SsoForget(arguments)) => operator::sso_forget(context, arguments).await,
        Command::Organisation(OrganisationCommand::Disable(arguments)) => operator::organisation_disable(arguments).await,
        Command::Organisation(OrganisationCommand::Enable(arguments)) => operator::organisation_enable(arguments).await,
        Command::Keys(KeysCommand::List(arguments)) => operator::keys_list(arguments).await,
        Command::Keys(KeysCommand::Rotate(arguments)) => operator::keys_rotate(arguments).await,
        Command::Ledger(LedgerCommand::Check(arguments)) => operator::ledger_check(arguments).await,
        Command::Ledger(LedgerCommand::Acknowledge(arguments)) => operator::ledger_acknowledge(arguments).await,
        Command::Backup(arguments) => backup::take(arguments).await,
        Command::Restore(arguments) => backup::restore(arguments).await,
        Command::Supervised(arguments) => Err(crate::up::supervised(arguments)),
    }?;
    Ok(if context.global.confirm_paid_service {
        done.warn("`--confirm-paid-service` decides nothing here: the grant says what may be paid, and the person set it")
    } else {
        done
    })
}

/// A member as text; numbers and flags too, nothing as an empty text.
fn text(value: &Value, name: &str) -> String {
    match &value[name] {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// A member as a list; what is not there is an empty one.
fn list<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

/// A number and what is counted, as people say it: `1 entry`, `2 entries`.
fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// A time as people read it: to the minute, in UTC. What is no time is left as it is.
fn when(value: &Value, name: &str) -> String {
    let text = text(value, name);
    text.parse::<purser_values::Timestamp>().map_or(text, purser_values::Timestamp::to_the_minute)
}

/// Money as people read it, from any object that names amount and currency.
fn money(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        _ => serde_json::from_value::<purser_values::Money>(value.clone()).map_or_else(|_| value.to_string(), |money| money.to_string()),
    }
}
