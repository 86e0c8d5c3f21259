//! Control groups: how much memory, processor time and how many tasks a process and everything below it may use.
//!
//! Version 2 where its controllers are ours to use, version 1 where they are mounted writable, none where neither is: then the
//! limits of the process itself (rlimits), its nice value and the watchdog are all there is. Which it is, is found out once by
//! making a group, and said in the log and on the health page.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The folder of our groups below wherever we may make any.
const OURS: &str = "slipway";
/// Length of the window in which processor time is rationed, in microseconds.
const PERIOD_US: u64 = 100_000;
/// Processor time in such a window: one processor. JavaScript runs on one thread.
const QUOTA_US: u64 = 100_000;
/// Weight of a process against others where processors are scarce (v1; slipway itself has 1,024).
const SHARES: u64 = 128;
/// The same for v2, whose default is 100.
const WEIGHT: u64 = 12;
/// Hundredths of its memory from which on a process that broke down broke down for want of it.
const NEARLY: u64 = 97;
/// Tries to remove a group whose last process is still ending.
const REMOVALS: usize = 50;

/// What a group holds in.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub memory: u64,
    pub tasks: u64,
}

/// How groups are made on this host.
#[derive(Clone, Debug)]
pub struct Cages(Arc<Kind>);

#[derive(Debug)]
enum Kind {
    /// One tree; the folder in which groups are made.
    V2 {
        folder: PathBuf,
    },
    /// A tree for each controller.
    V1 {
        controllers: Vec<(Controller, PathBuf)>,
    },
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Controller {
    Memory,
    Cpu,
    Cpuacct,
    Pids,
}

/// The groups of one process; removed when dropped.
#[derive(Debug)]
pub struct Cage {
    kind: Arc<Kind>,
    folders: Vec<(Option<Controller>, PathBuf)>,
}

impl Cages {
    /// Finds out what there is, and removes what an earlier run left.
    #[must_use]
    pub fn probe() -> Self {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let kind = v2(&mounts, &own).or_else(|| v1(&mounts, &own)).unwrap_or(Kind::None);
        let cages = Self(Arc::new(kind));
        // A group that cannot hold a process is none.
        match cages.make(Bounds { memory: 64 << 20, tasks: 8 }) {
            Ok(_) => cages,
            Err(_) => Self(Arc::new(Kind::None)),
        }
    }

    /// One word for the log and the health page.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match &*self.0 {
            Kind::V2 { .. } => "cgroup2",
            Kind::V1 { .. } => "cgroup1",
            Kind::None => "rlimits",
        }
    }

    /// A group for one process; without control groups one that holds nothing in.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn make(&self, bounds: Bounds) -> io::Result<Cage> {
        let mut cage = Cage { kind: self.0.clone(), folders: Vec::new() };
        match &*self.0 {
            Kind::None => {}
            Kind::V2 { folder } => {
                let path = folder.join(name());
                fs::create_dir(&path)?;
                cage.folders.push((None, path.clone()));
                let _ = write(&path, "memory.swap.max", 0);
                fs::write(path.join("cpu.max"), format!("{QUOTA_US} {PERIOD_US}"))?;
                write(&path, "cpu.weight", WEIGHT)?;
            }
            Kind::V1 { controllers } => {
                let name = name();
                for (controller, folder) in controllers {
                    let path = folder.join(&name);
                    fs::create_dir(&path)?;
                    cage.folders.push((Some(*controller), path.clone()));
                    match controller {
                        Controller::Cpu => {
                            write(&path, "cpu.cfs_period_us", PERIOD_US)?;
                            write(&path, "cpu.cfs_quota_us", QUOTA_US)?;
                            write(&path, "cpu.shares", SHARES)?;
                        }
                        Controller::Memory | Controller::Pids | Controller::Cpuacct => {}
                    }
                }
            }
        }
        cage.bound(bounds)?;
        Ok(cage)
    }
}

impl Cage {
    /// Holds what is in here in by other bounds than before.
    pub fn bound(&self, bounds: Bounds) -> io::Result<()> {
        for (controller, folder) in &self.folders {
            match controller {
                None => {
                    write(folder, "memory.max", bounds.memory)?;
                    write(folder, "pids.max", bounds.tasks)?;
                }
                Some(Controller::Memory) => {
                    // Memory with swap is never less than without, so one of the two comes first when it rises and the other when it falls.
                    let _ = write(folder, "memory.memsw.limit_in_bytes", bounds.memory);
                    write(folder, "memory.limit_in_bytes", bounds.memory)?;
                    let _ = write(folder, "memory.memsw.limit_in_bytes", bounds.memory);
                }
                Some(Controller::Pids) => write(folder, "pids.max", bounds.tasks)?,
                Some(Controller::Cpu | Controller::Cpuacct) => {}
            }
        }
        Ok(())
    }

    /// Puts a process in, and with it everything that it starts from then on.
    pub fn enter(&self, pid: u32) -> io::Result<()> {
        self.folders.iter().try_for_each(|(_, folder)| write(folder, "cgroup.procs", u64::from(pid)))
    }

    /// Processor time that was used in here, in microseconds, where the kernel counts it.
    #[must_use]
    pub fn cpu_us(&self) -> Option<u64> {
        self.folders.iter().find_map(|(controller, folder)| match controller {
            Some(Controller::Cpuacct) => Some(number(folder, "cpuacct.usage")? / 1_000),
            None => field(&fs::read_to_string(folder.join("cpu.stat")).ok()?, "usage_usec"),
            Some(_) => None,
        })
    }

    /// Whether what was in here wanted more memory than it may have: the kernel ended something for it, or it came so near that its own
    /// allocations failed.
    #[must_use]
    pub fn exhausted(&self) -> bool {
        let near = self.folders.iter().find_map(|(controller, folder)| {
            let (peak, most) = match controller {
                Some(Controller::Memory) => ("memory.max_usage_in_bytes", "memory.limit_in_bytes"),
                None => ("memory.peak", "memory.max"),
                Some(_) => return None,
            };
            Some(number(folder, peak)? >= number(folder, most)? / 100 * NEARLY)
        });
        self.memory_kills() > 0 || near.unwrap_or(false)
    }

    /// How often something in here was ended for want of memory.
    #[must_use]
    pub fn memory_kills(&self) -> u64 {
        let file = |controller: &Option<Controller>| match controller {
            Some(Controller::Memory) => Some("memory.oom_control"),
            None => Some("memory.events"),
            Some(_) => None,
        };
        let read = |(controller, folder): &(Option<Controller>, PathBuf)| {
            field(&fs::read_to_string(folder.join(file(controller)?)).ok()?, "oom_kill")
        };
        self.folders.iter().find_map(read).unwrap_or(0)
    }
}

impl Drop for Cage {
    fn drop(&mut self) {
        let folders: Vec<PathBuf> = std::mem::take(&mut self.folders).into_iter().map(|(_, folder)| folder).collect();
        let left: Vec<PathBuf> = folders.into_iter().filter(|folder| fs::remove_dir(folder).is_err()).collect();
        // Its last process may still be ending; whatever stays is swept at the next start.
        if !left.is_empty()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let kind = self.kind.clone();
            runtime.spawn(async move {
                let _kind = kind;
                for _ in 0..REMOVALS {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    if left.iter().all(|folder| fs::remove_dir(folder).is_ok() || !folder.exists()) {
                        return;
                    }
                }
            });
        }
    }
}

fn name() -> String {
    static NUMBERS: AtomicU64 = AtomicU64::new(1);
    format!("{}-{}", std::process::id(), NUMBERS.fetch_add(1, Ordering::Relaxed))
}

fn write(folder: &Path, file: &str, value: u64) -> io::Result<()> {
    fs::write(folder.join(file), value.to_string())
}

fn number(folder: &Path, file: &str) -> Option<u64> {
    fs::read_to_string(folder.join(file)).ok()?.trim().parse().ok()
}

fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

/// Where groups of this controller are, by the mount and by the group that we are in ourselves.
fn place(mounts: &str, own: &str, controller: &str) -> Option<PathBuf> {
    let mount = mounts.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(' ').collect();
        let here = fields.get(2) == Some(&"cgroup") && fields.get(3)?.split(',').any(|option| option == controller);
        here.then(|| fields.get(1).map(PathBuf::from)).flatten()
    })?;
    let ours = own.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        parts.next()?.split(',').any(|name| name == controller).then(|| parts.next())?
    });
    let below = mount.join(ours.unwrap_or("/").trim_start_matches('/'));
    Some(if below.is_dir() { below } else { mount })
}

fn v1(mounts: &str, own: &str) -> Option<Kind> {
    let mut controllers = Vec::new();
    for (controller, name) in
        [(Controller::Memory, "memory"), (Controller::Cpu, "cpu"), (Controller::Cpuacct, "cpuacct"), (Controller::Pids, "pids")]
    {
        if let Some(folder) = place(mounts, own, name).and_then(|place| ready(&place)) {
            controllers.push((controller, folder));
        }
    }
    // Without the one for memory the others are not worth the name.
    let held = controllers.iter().any(|(controller, _)| *controller == Controller::Memory);
    held.then_some(Kind::V1 { controllers })
}

fn v2(mounts: &str, own: &str) -> Option<Kind> {
    let mount = mounts.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(' ').collect();
        (fields.get(2) == Some(&"cgroup2")).then(|| fields.get(1).map(PathBuf::from)).flatten()
    })?;
    let ours = own.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/");
    let here = mount.join(ours.trim_start_matches('/'));
    let has = |folder: &Path, file: &str| {
        let text = fs::read_to_string(folder.join(file)).unwrap_or_default();
        ["memory", "cpu", "pids"].iter().all(|wanted| text.split_whitespace().any(|found| found == *wanted))
    };
    if !has(&here, "cgroup.controllers") {
        return None;
    }
    let hand_down = |folder: &Path| fs::write(folder.join("cgroup.subtree_control"), "+memory +cpu +pids");
    if hand_down(&here).is_err() {
        // A group that hands controllers down can hold no process itself, so we move aside first.
        let aside = here.join(format!("{OURS}-main"));
        fs::create_dir_all(&aside).ok()?;
        write(&aside, "cgroup.procs", u64::from(std::process::id())).ok()?;
        hand_down(&here).ok()?;
    }
    let folder = ready(&here)?;
    hand_down(&folder).ok()?;
    Some(Kind::V2 { folder })
}

/// Our folder in there, emptied of groups that nobody is in.
fn ready(place: &Path) -> Option<PathBuf> {
    let folder = place.join(OURS);
    if let Err(e) = fs::create_dir(&folder)
        && e.kind() != io::ErrorKind::AlreadyExists
    {
        return None;
    }
    for entry in fs::read_dir(&folder).ok()?.flatten() {
        // Groups carry the number of the process that made them.
        let name = entry.file_name().to_string_lossy().into_owned();
        let maker = name.split('-').next().unwrap_or_default();
        if !Path::new("/proc").join(maker).exists() {
            let _ = fs::remove_dir(entry.path());
        }
    }
    Some(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_controller_is_read_from_the_kernels_own_words() {
        let mounts = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /tmp cgroup rw,relatime,memory 0 0\ncgroup /c cgroup rw,cpu,cpuacct 0 0";
        assert_eq!(place(mounts, "4:memory:/nowhere-at-all", "memory"), Some(PathBuf::from("/tmp")));
        assert_eq!(place(mounts, "", "cpuacct"), Some(PathBuf::from("/c")));
        assert_eq!(place(mounts, "", "pids"), None);
        assert_eq!(field("low 0\noom_kill 3\n", "oom_kill"), Some(3));
        assert_eq!(field("oom_kill_disable 0\noom_kill 2", "oom_kill"), Some(2));
    }

    #[test]
    fn a_group_counts_and_holds_in_where_there_is_one() {
        let cages = Cages::probe();
        if cages.name() == "rlimits" {
            eprintln!("NOT TESTED: no control groups can be made here");
            return;
        }
        let cage = cages.make(Bounds { memory: 64 << 20, tasks: 8 }).unwrap();
        // 200 MB in a process of its own: it is ended, and that is counted.
        let script = "read x; head -c 200000000 /dev/zero | tail -n 1";
        let mut shell = std::process::Command::new("sh");
        let shell = shell.args(["-c", script]).stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::null());
        let mut child = shell.spawn().unwrap();
        cage.enter(child.id()).unwrap();
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(cage.memory_kills() > 0 && cage.exhausted());
        assert!(cage.cpu_us().is_some_and(|us| us > 0), "{:?}", cage.cpu_us());
    }
}
