//! `cargo xtask demo`: the whole story on a machine with nothing set up.
//!
//! Everything is driven through the real `purser` command and the real pages. The system runs on a folder of its own
//! and ends with us.

mod agent;
mod browser;
mod form;
mod mailbox;
mod person;
pub mod site;
pub mod story;
pub mod system;

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use serde_json::json;

use crate::fail::{Context, Outcome};
use crate::house::{House, Profile};
use crate::temporary::{self, Temporary};
use crate::{peers, process, progress};
use story::{Story, Told, Who};
use system::{Parts, System};

const FOLDER_PREFIX: &str = "purser-demo-";

#[derive(Debug, Args)]
pub struct Options {
    /// Play the person too, through the same pages, and exit when the story is told
    #[arg(long)]
    unattended: bool,
    /// Stay up after the story, also with --unattended
    #[arg(long)]
    hold: bool,
    /// Keep the data in this folder; later: `purser up --data DIR`
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// End with one JSON object on stdout
    #[arg(long)]
    json: bool,
    /// The first of the ports to listen on; free ones are chosen otherwise
    #[arg(long, value_name = "N")]
    port_base: Option<u16>,
}

pub fn run(house: &House, options: &Options) -> Outcome<()> {
    let outcome = play(house, options);
    if let (true, Err(failure)) = (options.json, &outcome) {
        println!("{}", json!({ "ok": false, "error": failure.to_string() }));
    }
    outcome
}

fn play(house: &House, options: &Options) -> Outcome<()> {
    let started = Instant::now();
    let mut parts = build(house)?;
    parts.port_base = options.port_base;
    temporary::sweep(FOLDER_PREFIX);
    let data = Data::prepare(options.keep.as_deref())?;
    let mut system = progress::step("the system starts: orchestrator, cloud, DNS, TLS edge", || System::start(&parts, data.path()))?;
    let who = if options.unattended { Who::Us } else { Who::APerson };
    let home = data.path().join("agent");
    let told = Story { purser: &parts.purser, run: &system.run, home: &home, who, quiet: false }.tell()?;
    let stays = options.hold || !options.unattended;
    tell_result(&system, &told);
    if stays {
        tell_commands(&system, &told, &parts, data.path());
    } else if let Data::Kept(folder) = &data {
        eprintln!("\n  The data stays; start it again with: {} up --data {}", parts.purser.display(), folder.display());
    }
    progress::note(&format!("all of it took {}", progress::duration(started.elapsed())));
    if options.json {
        println!("{}", object(&system, &told));
    }
    if stays {
        eprintln!("\n  It stays up; Ctrl-C ends it.");
        system.wait()?;
    }
    Ok(())
}

/// Both binaries in release and the pinned workerd.
pub fn build(house: &House) -> Outcome<Parts> {
    let workerd = peers::workerd(house)?;
    progress::step("build purser and slipway in release", || {
        let mut command = process::cargo();
        command.args(["build", "--release", "--package", "purser", "--package", "slipway"]).current_dir(house.root());
        process::loud(&mut command, "building")
    })?;
    let binary = |name| house.binary(Profile::Release, name);
    Ok(Parts { purser: binary("purser"), slipway: binary("slipway"), workerd, port_base: None })
}

/// Where the system keeps what it knows: a folder to keep, or one that goes with us.
enum Data {
    Kept(PathBuf),
    Temporary(Temporary),
}

impl Data {
    fn prepare(keep: Option<&Path>) -> Outcome<Self> {
        let Some(folder) = keep else { return Ok(Self::Temporary(Temporary::create(FOLDER_PREFIX)?)) };
        std::fs::create_dir_all(folder).context(|| format!("creating `{}`", folder.display()))?;
        folder.canonicalize().map(Self::Kept).context(|| format!("finding `{}`", folder.display()))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Temporary(folder) => folder.path(),
        }
    }
}

fn object(system: &System, told: &Told) -> serde_json::Value {
    json!({
        "ok": true,
        "live_url": site::live_url(&system.run, &told.domain),
        "domain": told.domain,
        "accept_to_live_ms": told.accept_to_live.as_millis(),
        "steps": told.steps,
        "run": system.run_file,
    })
}

fn tell_result(system: &System, told: &Told) {
    let (run, domain) = (&system.run, &told.domain);
    eprintln!("\n  From acceptance to the first answer on the new domain: {}\n", progress::duration(told.accept_to_live));
    eprintln!("  live          {}", site::live_url(run, domain));
    eprintln!("                {}", site::curl_line(run, domain));
    eprintln!("  in a browser  {}", site::browser_url(run, domain));
    eprintln!("  console       {}/", run.orchestrator.url.trim_end_matches('/'));
}

fn tell_commands(system: &System, told: &Told, parts: &Parts, data: &Path) {
    let live = site::live_url(&system.run, &told.domain);
    let purser = parts.purser.display();
    eprintln!("\n  Try, in a second terminal:\n");
    eprintln!("      cd {} && export PURSER_HOME={}", told.agent.site().display(), told.agent.home().display());
    for line in [
        format!("{purser} status"),
        format!("{purser} trace {live}"),
        format!("{purser} spend"),
        format!("{purser} audit verify --data {}", data.display()),
        dig(&system.run.cloud.dns, &told.domain),
    ] {
        eprintln!("      {line}");
    }
}

fn dig(dns: &str, domain: &str) -> String {
    let (host, port) = dns.rsplit_once(':').unwrap_or((dns, "53"));
    format!("dig @{host} -p {port} {domain}")
}
