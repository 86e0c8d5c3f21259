//! What runs of one tenant: what is live, the generation that answers, and the one that was validated and waits.

use std::io;
use std::sync::Arc;

use purser_values::Sha256Digest;

use crate::name::{ScriptName, VersionId};
use crate::plan::Plan;
use crate::runtime::confinement::Confinement;
use crate::runtime::gate::Gate;
use crate::runtime::generation::{Begin, Ended, Generation};
use crate::runtime::{Host, Live};
use crate::tenant::Tenant;
use crate::view::Share;

/// One tenant's processes, and who may change them: one at a time.
pub struct Place {
    pub gate: Arc<Gate>,
    pub running: tokio::sync::Mutex<Running>,
}

/// What is so of a tenant now, as the store can be compared with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Present {
    /// In the order of [`Running::live`].
    pub live: Vec<(ScriptName, VersionId, Share)>,
    pub stopped: bool,
    /// Whether there is code that should run and nothing that would.
    pub lacking: bool,
}

/// The processes of one tenant.
pub struct Running {
    pub host: Arc<Host>,
    pub tenant: Tenant,
    pub number: u32,
    pub gate: Arc<Gate>,
    pub live: Vec<Live>,
    pub active: Option<Generation>,
    pub candidate: Option<Generation>,
    /// Whether its process takes events; from the first event on.
    pub events: bool,
    /// Whether none of its code may run.
    pub stopped: bool,
    /// Tells when the process before the present one has ended.
    pub last_ended: Option<Ended>,
    /// The same of the newest one that wrote to the folder of Durable Objects.
    pub writer: Option<Ended>,
}

impl Running {
    pub fn new(host: Arc<Host>, tenant: Tenant, number: u32, gate: Arc<Gate>, stopped: bool) -> Self {
        Self {
            host,
            tenant,
            number,
            gate,
            live: Vec::new(),
            active: None,
            candidate: None,
            events: false,
            stopped,
            last_ended: None,
            writer: None,
        }
    }

    pub fn plan(&self) -> Plan {
        let units = if self.stopped { Vec::new() } else { self.live.iter().filter_map(|l| l.unit.clone()).collect() };
        Plan {
            tenant: self.tenant.clone(),
            number: self.number,
            units,
            rehearsal: false,
            events: self.events,
            tails: self.gate.tails().looked_at(),
        }
    }

    pub fn present(&self) -> Present {
        let live = self.live.iter().map(|live| (live.script.clone(), live.version.clone(), live.share)).collect();
        let runs = !matches!(self.host.confinement, Confinement::Unavailable { .. });
        let wanted = runs && !self.stopped && self.live.iter().any(|live| live.unit.is_some());
        Present { live, stopped: self.stopped, lacking: wanted && self.active.is_none() }
    }

    /// Puts a generation without a process in the place of one that has nothing to do. What was routed to the old one gets done.
    pub fn rest(&mut self, fingerprint: &Sha256Digest) -> bool {
        let Some(active) = &self.active else { return false };
        let due = active.fingerprint == *fingerprint && active.pid().is_some() && active.idle_for() > self.host.idle;
        if !due {
            return false;
        }
        match self.asleep() {
            Ok(asleep) => {
                self.active = Some(asleep);
                true
            }
            Err(e) => {
                tracing::error!(tenant = %self.tenant, error = %e, "a process cannot be put to sleep");
                false
            }
        }
    }

    pub fn asleep(&mut self) -> io::Result<Generation> {
        self.behind(&self.plan(), Begin::Asleep)
    }

    /// A generation whose process starts behind its sockets; where Durable Objects are kept, after the present one's end.
    pub fn behind(&mut self, plan: &Plan, begin: Begin) -> io::Result<Generation> {
        let keeps = plan.keeps_objects();
        let generation = Generation::start_behind(&self.host, &self.gate, plan, begin, self.writer.clone().filter(|_| keeps))?;
        if keeps {
            self.writer = Some(generation.ended());
        }
        Ok(generation)
    }

    /// Lets the process reach what its live versions are bound to.
    pub fn introduce(&self) {
        self.live.iter().for_each(|live| self.gate.allow(live));
    }
}
