//! The one table of commands: what is typed, what the operation is called everywhere else, and who it is for.
//!
//! The operation's name is also the audit verb and the route's name, so that one search shows the whole vertical. It may be
//! typed instead of the command: `purser resource_add` is `purser add`. A test holds this table and the parser together.

use std::ffi::OsString;

/// Whose key a command is signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The agent's own session in its home.
    Agent,
    /// A person's ten-minute token from the environment.
    Person,
    /// A person's token where one signed in to this shell, or else the agent's session.
    Either,
    /// Nobody: it needs no orchestrator.
    Machine,
}

impl Who {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Person => "person",
            Self::Either => "agent or person",
            Self::Machine => "nobody",
        }
    }
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// The words that are typed: `agent freeze`.
    pub command: &'static str,
    pub name: &'static str,
    pub who: Who,
}

const fn row(command: &'static str, name: &'static str, who: Who) -> Operation {
    Operation { command, name, who }
}

pub const OPERATIONS: &[Operation] = &[
    row("login", "grant_request", Who::Agent),
    row("init", "project_create", Who::Agent),
    row("whoami", "caller_read", Who::Either),
    row("catalog", "catalogue_read", Who::Either),
    row("search", "catalogue_search", Who::Either),
    row("link", "account_link", Who::Agent),
    row("add", "resource_add", Who::Agent),
    row("status", "project_read", Who::Either),
    row("env", "variable_read", Who::Agent),
    row("run", "credential_export", Who::Agent),
    row("deploy", "deployment_create", Who::Agent),
    row("update", "resource_update", Who::Agent),
    row("upgrade", "resource_upgrade", Who::Agent),
    row("downgrade", "resource_downgrade", Who::Agent),
    row("remove", "resource_remove", Who::Either),
    row("rotate", "resource_rotate", Who::Agent),
    row("spend", "spend_read", Who::Either),
    row("refund request", "refund_request", Who::Either),
    row("refund list", "refund_request_list", Who::Either),
    row("trace", "trace_read", Who::Either),
    row("billing show", "cap_read", Who::Either),
    row("billing add", "payment_method_set", Who::Person),
    row("billing update", "cap_set", Who::Person),
    row("billing rate show", "rate_read", Who::Either),
    row("billing rate set", "rate_set", Who::Person),
    row("budget list", "budget_read", Who::Either),
    row("budget set", "budget_set", Who::Person),
    row("budget remove", "budget_remove", Who::Person),
    row("credits list", "credit_list", Who::Either),
    row("credits apply", "credit_apply", Who::Either),
    row("credits show", "credit_read", Who::Either),
    row("alert list", "alert_read", Who::Either),
    row("webhook list", "webhook_read", Who::Person),
    row("webhook add", "webhook_add", Who::Person),
    row("webhook rotate", "webhook_rotate", Who::Person),
    row("webhook test", "webhook_test", Who::Person),
    row("webhook remove", "webhook_remove", Who::Person),
    row("agent list", "agent_read", Who::Person),
    row("agent freeze", "agent_freeze", Who::Person),
    row("agent thaw", "agent_thaw", Who::Person),
    row("agent spawn", "agent_delegate", Who::Agent),
    row("approval ask", "approval_request", Who::Agent),
    row("approval show", "approval_read", Who::Either),
    row("approval list", "approval_list", Who::Either),
    row("approval give", "approval_give", Who::Person),
    row("approval deny", "approval_deny", Who::Person),
    row("terms list", "terms_read", Who::Person),
    row("terms export", "terms_export", Who::Person),
    row("terms verify", "terms_verify", Who::Machine),
    row("audit verify", "audit_verify", Who::Machine),
    row("conformance", "provider_conform", Who::Machine),
    row("up", "machine_up", Who::Machine),
    row("serve", "orchestrator_serve", Who::Machine),
    row("check-config", "configuration_check", Who::Machine),
    row("bootstrap", "bootstrap_mint", Who::Machine),
    row("person disable", "person_disable", Who::Machine),
    row("person enable", "person_enable", Who::Machine),
    row("person sso-forget", "sso_forget", Who::Machine),
    row("organisation disable", "organisation_disable", Who::Machine),
    row("organisation enable", "organisation_enable", Who::Machine),
    row("keys list", "signing_key_list", Who::Machine),
    row("keys rotate", "signing_key_rotate", Who::Machine),
    row("ledger check", "ledger_reconcile", Who::Machine),
    row("ledger acknowledge", "ledger_acknowledge", Who::Machine),
    row("backup", "backup_take", Who::Machine),
    row("restore", "backup_restore", Who::Machine),
];

/// The row of a command as typed.
#[must_use]
pub fn of_command(command: &str) -> Option<&'static Operation> {
    OPERATIONS.iter().find(|row| row.command == command)
}

/// Global flags that take their value as the next argument.
const WITH_VALUE: &[&str] = &["--url", "--data", "--environment", "--idempotency-key"];

/// Replaces an operation's name by its command, so that both may be typed.
#[must_use]
pub fn expand(arguments: Vec<OsString>) -> Vec<OsString> {
    let mut skip = true; // the program's own name
    for (i, argument) in arguments.iter().enumerate() {
        if std::mem::replace(&mut skip, false) {
            continue;
        }
        let Some(text) = argument.to_str() else { return arguments };
        if text.starts_with('-') {
            skip = WITH_VALUE.contains(&text);
            continue;
        }
        let Some(row) = OPERATIONS.iter().find(|row| row.name == text) else { return arguments };
        let words = row.command.split(' ').map(OsString::from);
        return arguments[..i].iter().cloned().chain(words).chain(arguments[i + 1..].iter().cloned()).collect();
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn leaves(command: &clap::Command, before: &str, out: &mut Vec<String>) {
        for sub in command.get_subcommands().filter(|c| !c.is_hide_set() && c.get_name() != "help") {
            let words = format!("{before}{}", sub.get_name());
            if sub.has_subcommands() { leaves(sub, &format!("{words} "), out) } else { out.push(words) }
        }
    }

    #[test]
    fn the_table_and_the_parser_name_the_same_commands() {
        let mut typed = Vec::new();
        leaves(&crate::arguments::Arguments::command(), "", &mut typed);
        let mut listed: Vec<String> = OPERATIONS.iter().map(|row| row.command.to_owned()).collect();
        typed.sort();
        listed.sort();
        assert_eq!(typed, listed);
    }

    #[test]
    fn names_are_used_once() {
        let mut names: Vec<_> = OPERATIONS.iter().map(|row| row.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), OPERATIONS.len());
    }

    #[test]
    fn an_operation_may_be_typed_by_its_name() {
        let typed = |words: &[&str]| expand(words.iter().map(OsString::from).collect());
        assert_eq!(typed(&["purser", "--json", "agent_freeze", "agt_1"]), ["purser", "--json", "agent", "freeze", "agt_1"]);
        assert_eq!(typed(&["purser", "--url", "resource_add", "add", "x/y"]), ["purser", "--url", "resource_add", "add", "x/y"]);
        assert_eq!(typed(&["purser", "run", "--", "resource_add"]), ["purser", "run", "--", "resource_add"]);
    }
}
