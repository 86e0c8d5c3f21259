//! `purser approval`: what an agent asks for and a person answers.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum Approval {
    /// Ask a person's yes to adding one service, or to turning a resource into it, and wait for it
    Ask(ApprovalAsk),
    /// How a request stands
    Show(ApprovalShow),
    /// The requests that there are
    List,
    /// For the person: say yes to exactly what is shown, once
    Give(ApprovalGive),
    /// For the person: say no
    Deny(ApprovalDecide),
}

#[derive(Debug, Args)]
pub struct ApprovalAsk {
    /// `provider/service`, as in `purser add`
    pub service: String,
    /// What the service asks for, as a JSON object
    #[arg(long, value_name = "JSON")]
    pub config: Option<String>,
    /// The resource's name in this project
    #[arg(long = "name", value_name = "NAME")]
    pub resource_name: Option<String>,
    /// Which resource is to become that, as in `purser update`
    #[arg(long, value_name = "RESOURCE", conflicts_with = "resource_name")]
    pub change: Option<String>,
    /// Why it is needed; the person reads it
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Ask for somebody else than the person the agent acts for
    #[arg(long)]
    pub second_person: bool,
    /// How long to wait for the decision
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub timeout: u64,
}

#[derive(Debug, Args)]
pub struct ApprovalShow {
    /// The approval's id, as in `purser approval list`
    pub approval: String,
    /// How long to wait for the decision
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub timeout: u64,
}

#[derive(Debug, Args)]
pub struct ApprovalGive {
    /// The approval's id, as in `purser approval list`
    pub approval: String,
    /// The most it may cost, where its price is text only
    #[arg(long, value_name = "AMOUNT")]
    pub most: Option<String>,
    /// The currency of that
    #[arg(long, value_name = "CODE", default_value = "USD", requires = "most")]
    pub currency: String,
    /// How often it may cost that
    #[arg(long, value_name = "PERIOD", default_value = "once", value_parser = ["once", "month", "year"], requires = "most")]
    pub every: String,
}

#[derive(Debug, Args)]
pub struct ApprovalDecide {
    /// The approval's id, as in `purser approval list`
    pub approval: String,
}
