//! `up`: the whole system on this machine, with sandbox money, from one data folder.
//!
//! It only supervises. It writes a configuration for each half, starts both, waits until they answer, writes `run.json`, starts
//! again what dies, and stops both in order. Everything that lasts is in the folder, so a `kill -9` of anything here loses
//! nothing.
//!
//! INVARIANT (dies-with-parent): no child outlives the supervisor, not even on `kill -9`: each runs under the kernel's
//! parent-death signal, set by [`supervised`] before the program starts and checked against the parent that asked for it.
//! All children are started from the main thread, as the signal follows the thread that forked.
//!
//! INVARIANT (sandbox-only): the configuration written here has the sandbox rail and no other; a folder whose orchestrator is
//! set up for production is refused.

mod binaries;
mod child;
mod configuration;
mod error;
mod folder;
mod health;
mod leave;
mod ports;
mod running;
mod supervise;
mod supervised;

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::arguments::Up;
use crate::context::Context;
use crate::files::FileError;
use crate::outcome::{Failure, Success};

pub use error::UpError;
pub use ports::Ports;
pub use running::Running;
pub use supervised::supervised;

/// The folder that is used when none is named.
#[must_use]
pub fn usual_folder() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("XDG_DATA_HOME").or_else(|| set("HOME").map(|home| home.join(".local/share"))).map(|data| data.join("purser"))
}

/// What runs on a data folder, as its `run.json` says.
///
/// # Errors
/// When the file is there and cannot be read.
pub fn read_run(dir: &Path) -> Result<Option<Running>, FileError> {
    running::read(&dir.join("run.json"))
}

/// Starts the system and stays until it is told to stop.
///
/// # Errors
/// Why it cannot start, or go on.
pub async fn run(context: &Context, arguments: &Up) -> Result<Success, Failure> {
    context.profile.replace(Some("sandbox".to_owned()));
    let dir = context.global.data.clone().or_else(usual_folder).ok_or(UpError::NoFolder)?;
    let folder = folder::Folder::open(&context.env, &context.folder.join(dir))?;
    let binaries = binaries::find(arguments)?;
    let ports = ports::settle(&context.env, &folder, arguments.port_base).await?;
    let leave = arguments.unconfined.then(|| leave::Leave::new(&context.env));
    configuration::write(&context.env, &folder, &ports, &binaries, leave.as_ref(), &arguments.allow, arguments.registrant)?;
    let mut system = supervise::System::start(&folder, &ports, &binaries, leave).await?;
    let running = Running::new(&folder, &ports);
    running::write(&context.env, &folder.run_file(), &running)?;
    let mut ready = ready(&folder, &running, &ports);
    ready.warnings.extend(health::complaint(ports.cloud_api).await);
    context.announce(&ready);
    let ended = system.watch(&folder).await;
    folder.forget_run();
    system.stop().await;
    ended?;
    Ok(Success::new(json!({ "stopped": true }), "Stopped."))
}

fn ready(folder: &folder::Folder, running: &Running, ports: &Ports) -> Success {
    let dir = folder.dir().display();
    let text = format!(
        "Purser is up, with sandbox money.\n\n  \
         console    {}\n  \
         cloud API  {}\n  \
         sites      https on 127.0.0.1:{}, and http://NAME.test.localhost:{}/\n  \
         DNS        dig @127.0.0.1 -p {} NAME.test\n  \
         mailbox    {}\n  \
         data       {dir}\n\n\
         Ctrl-C stops it.",
        running.orchestrator.url,
        running.cloud.api,
        ports.edge_https,
        ports.edge_http,
        ports.dns,
        running.mail.display(),
    );
    Success::new(json!(running), text).next(format!("purser login --url {}", running.orchestrator.url))
}
