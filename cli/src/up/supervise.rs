//! Both halves together: start, watch, stop.

use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::binaries::Binaries;
use super::child::Child;
use super::folder::Folder;
use super::health;
use super::leave::Leave;
use super::{Ports, UpError};
use crate::screen;

/// How long a half may take until it answers, with everything in the folder to be made live again.
const START_WAIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

pub(super) struct System {
    cloud: Child,
    orchestrator: Child,
    stops: Stops,
}

/// The signals that end us.
struct Stops {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Stops {
    fn listen() -> Result<Self, UpError> {
        let on = |kind| signal(kind).map_err(UpError::Signals);
        Ok(Self { interrupt: on(SignalKind::interrupt())?, terminate: on(SignalKind::terminate())?, hang_up: on(SignalKind::hangup())? })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}

impl System {
    /// Starts the cloud, then the orchestrator that asks it for its catalogue, and waits until both answer.
    pub async fn start(folder: &Folder, ports: &Ports, binaries: &Binaries, leave: Option<Leave>) -> Result<Self, UpError> {
        let serve = |config: std::path::PathBuf| vec!["serve".to_owned(), "--config".to_owned(), config.display().to_string()];
        let (purser, logs) = (&binaries.purser, folder.logs());
        let mut system = Self {
            cloud: Child::new("slipway", ports.cloud_api, purser, &binaries.slipway, serve(folder.slipway_config()), &logs).with(leave),
            orchestrator: Child::new(
                "orchestrator",
                ports.orchestrator,
                purser,
                &binaries.orchestrator,
                serve(folder.orchestrator_config()),
                &logs,
            ),
            stops: Stops::listen()?,
        };
        let started = system.bring_up().await;
        if started.is_err() {
            system.stop().await;
        }
        started.map(|()| system)
    }

    async fn bring_up(&mut self) -> Result<(), UpError> {
        for child in [&mut self.cloud, &mut self.orchestrator] {
            child.start()?;
            tokio::select! {
                answered = first_answer(child) => answered?,
                () = self.stops.wait() => return Err(UpError::Stopped),
            }
        }
        Ok(())
    }

    /// Starts again what ends, until somebody stops us.
    pub async fn watch(&mut self, folder: &Folder) -> Result<(), UpError> {
        loop {
            let (child, ended) = tokio::select! {
                () = self.stops.wait() => return Ok(()),
                ended = self.cloud.change() => (&mut self.cloud, ended),
                ended = self.orchestrator.change() => (&mut self.orchestrator, ended),
            };
            match ended {
                Some(how) => {
                    screen::note(&format!("{} ended ({how}) and is started again; `{}` has its log", child.name, folder.logs().display()))
                }
                None => child.start()?,
            }
        }
    }

    /// The orchestrator first: it stops asking before the cloud stops answering.
    pub async fn stop(&mut self) {
        self.orchestrator.stop().await;
        self.cloud.stop().await;
    }
}

async fn first_answer(child: &mut Child) -> Result<(), UpError> {
    let start = Instant::now();
    let (name, port) = (child.name, child.port);
    loop {
        let ended = tokio::select! {
            biased;
            ended = child.change() => ended,
            answers = health::answers(port) => {
                if answers {
                    return Ok(());
                }
                if start.elapsed() > START_WAIT {
                    return Err(UpError::Silent { name, seconds: START_WAIT.as_secs(), tail: child.tail() });
                }
                tokio::time::sleep(POLL).await;
                continue;
            }
        };
        return Err(UpError::Died { name, how: ended.unwrap_or_default(), tail: child.tail() });
    }
}
