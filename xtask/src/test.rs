//! `cargo xtask test`: everything that must be green, from a fresh clone, with one command.
//!
//! Order: the real peers, our own binaries, PostgreSQL, then every suite; the closing line sums them up.

mod summary;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use clap::Args;

use crate::fail::{Context, Failure, Outcome};
use crate::house::{House, Profile};
use crate::peers::{self, postgres};
use crate::{process, progress};
use summary::Summary;

#[derive(Debug, Args)]
pub struct Options {
    /// Long runs too: millions of operations, full properties
    #[arg(long)]
    deep: bool,
    /// Which PostgreSQL to test against; PURSER_TEST_PG_URL in the environment overrides both
    #[arg(long, value_enum, default_value = "any")]
    postgres: postgres::Source,
    /// Passed on to `cargo test`, for example `-p purser-db`
    #[arg(last = true)]
    rest: Vec<String>,
}

pub fn run(house: &House, options: &Options) -> Outcome<()> {
    let started = Instant::now();
    let workerd = peers::workerd(house)?;
    let wranglers = peers::wranglers(house)?;
    let mail_server = peers::mail_server(house)?;
    let referees = peers::referees(house)?;
    let processor = peers::processor(house)?;
    let name_servers = peers::name_servers(house)?;
    let registrar_client = peers::registrar_client(house)?;
    let edge_testers = peers::edge_testers(house)?;
    let object_server = peers::object_server(house)?;
    let sdks = peers::sdks(house)?;
    // one command for binaries and tests: with a package at a time, cargo would build shared crates twice
    progress::step("build the workspace, its binaries and its tests", || {
        process::loud(process::cargo().args(["build", "--workspace", "--all-targets"]).current_dir(house.root()), "building")
    })?;
    let given = std::env::var("PURSER_TEST_PG_URL").ok();
    let server = if given.is_none() { Some(postgres::start(house, options.postgres)?) } else { None };
    let url = given.as_deref().or_else(|| server.as_ref().map(postgres::Server::url)).unwrap_or_default();

    let mut command = process::cargo();
    command.args(["test", "--no-fail-fast"]);
    if !options.rest.iter().any(|argument| argument.starts_with("-p") || argument.starts_with("--package")) {
        command.arg("--workspace");
    }
    command
        .args(&options.rest)
        .current_dir(house.root())
        .env("PURSER_TEST_PG_URL", url)
        .env("PURSER_PEERS", "all")
        .env("PURSER_WORKERD", &workerd)
        .env("PURSER_MAIL_PYTHONPATH", &mail_server)
        .env("PURSER_REFEREES", &referees.modules)
        .env("PURSER_NODE", &referees.node)
        .env("PURSER_PYTHONPATH", &referees.python)
        .env("PURSER_CHROMIUM", &referees.chromium)
        .env("PURSER_DNS_PEERS", &name_servers)
        .env("PURSER_LOCALSTRIPE", &processor.python)
        .env("PURSER_NET_EPP", &registrar_client)
        .env("PURSER_STRIPE_SDK", &processor.modules)
        .env("PURSER_EDGE_PEERS", &edge_testers)
        .env("PURSER_S3", &object_server)
        .env("PURSER_CLOUDFLARE_SDK", &sdks.modules)
        .env("PURSER_CLOUDFLARE_PYTHONPATH", &sdks.python)
        .env("PURSER_WRANGLER_NEW", &wranglers.new)
        .env("PURSER_WRANGLER_OLD", &wranglers.old)
        .env("PURSER_BIN", house.binary(Profile::Development, "purser"))
        .env("SLIPWAY_BIN", house.binary(Profile::Development, "slipway"));
    if options.deep {
        command.env("PURSER_DEEP", "1");
    }
    let (summary, success) = progress::step("run every test", || suites(&mut command))?;
    drop(server);
    progress::note(&format!("all of it took {}", progress::duration(started.elapsed())));
    println!("{summary}");
    match (success, summary.is_green()) {
        (true, true) => Ok(()),
        (true, false) if summary.ran_nothing() => Err(Failure::new("no test ran").advise("look at the filter after `--`")),
        _ => Err(Failure::new("some tests failed, or did not compile; they are named above")),
    }
}

/// Runs the suites, passes their output on, and adds up what they report.
fn suites(command: &mut Command) -> Outcome<(Summary, bool)> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context(|| "starting `cargo test`".to_owned())?;
    let mut summary = Summary::default();
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).split(b'\n') {
            let line = line.context(|| "reading what the tests print".to_owned())?;
            let line = String::from_utf8_lossy(&line);
            summary.add(&line);
            println!("{line}");
        }
    }
    let status = child.wait().context(|| "waiting for `cargo test`".to_owned())?;
    Ok((summary, status.success()))
}
