//! The one thread that starts processes.
//!
//! The parent-death signal of a child fires when the *thread* that made it ends, not the process (prctl(2)). Threads of an async
//! runtime come and go; this one lives as long as the runtime of Workers, so that its children live exactly as long as slipway.

use std::io;
use std::sync::mpsc;

use tokio::process::{Child, Command};
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// A handle on the thread; it ends when the last handle is dropped.
#[derive(Clone)]
pub struct Spawner(mpsc::Sender<Job>);

impl Spawner {
    pub fn start() -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        std::thread::Builder::new().name("worker-spawner".to_owned()).spawn(move || queue.into_iter().for_each(|job| job()))?;
        Ok(Self(jobs))
    }

    pub async fn spawn(&self, mut command: Command) -> io::Result<Child> {
        let runtime = tokio::runtime::Handle::current();
        let (answer, child) = oneshot::channel();
        let job = Box::new(move || {
            let _within = runtime.enter();
            let _ = answer.send(command.spawn());
        });
        let gone = || io::Error::other("the thread that starts Workers has ended");
        self.0.send(job).map_err(|_| gone())?;
        child.await.map_err(|_| gone())?
    }
}
