//! What the operator types at the installation's own machine.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Configured;

#[derive(Debug, Subcommand)]
pub enum PersonCommand {
    /// End the person's sessions, terminals and grants in every organisation, and refuse them
    Disable(OfPerson),
    /// Let the person sign in again; no grant comes back
    Enable(OfPerson),
    /// Free an address that somebody else has now at the company; the login of its last holder ends, unless told otherwise
    SsoForget(SsoForget),
}

#[derive(Debug, Args)]
pub struct SsoForget {
    #[command(flatten)]
    pub person: OfPerson,
    /// The login goes on under this address, which its holder has now
    #[arg(long, value_name = "EMAIL", conflicts_with = "same_person")]
    pub now_at: Option<String>,
    /// It is the same person with another account at the company: the login stays, and is connected anew
    #[arg(long)]
    pub same_person: bool,
}

#[derive(Debug, Args)]
pub struct OfPerson {
    /// The person's e-mail address
    pub email: String,
    /// The configuration of `purser serve`
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

#[derive(Debug, Subcommand)]
pub enum OrganisationCommand {
    /// End everybody's sessions, terminals and grants in the organisation, and refuse them there
    Disable(OfOrganisation),
    /// Let the organisation go on; no grant comes back
    Enable(OfOrganisation),
}

#[derive(Debug, Args)]
pub struct OfOrganisation {
    /// The organisation's id, as on its page
    pub organisation: String,
    /// The configuration of `purser serve`
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// List every signing key, and what it does when
    List(Configured),
    /// Announce new signing keys; they sign in 25 hours, and what the old ones signed counts on
    Rotate(KeysRotate),
}

#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// Recompute the ledger from its rows and list what does not add up
    Check(Configured),
    /// Take new holds again although something did not add up
    Acknowledge(Configured),
}

#[derive(Debug, Args)]
pub struct KeysRotate {
    /// The configuration of `purser serve`
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Let the new keys sign in two seconds, announced or not: who keeps our keys must fetch them again
    #[arg(long)]
    pub now: bool,
    /// The old keys may be in other hands: new keys sign in two seconds, and no token of the old ones is taken any more
    #[arg(long, conflicts_with = "now")]
    pub compromised: bool,
}

#[derive(Debug, Args)]
pub struct Backup {
    /// The configuration of `purser serve`
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// A new folder
    #[arg(long, alias = "output", value_name = "DIR")]
    pub to: PathBuf,
}

#[derive(Debug, Args)]
pub struct Restore {
    /// The configuration of `purser serve`; its database must not exist yet, its keys must
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// The backup
    #[arg(long, value_name = "DIR")]
    pub from: PathBuf,
}
