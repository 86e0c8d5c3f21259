//! One throw-away server: its data in a temporary folder, a password that only the tests get, stopped on drop.
//!
//! PostgreSQL refuses to run as root, so as root it runs under the uid of `nobody`. `setpriv` makes the kernel stop it
//! when we die, also on `kill -9`. For tests durability is off: what they prove about it they prove by killing our own
//! processes, not the machine. For measurements it is on.

use std::fs::{self, Permissions};
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::find::Programs;
use crate::fail::{Context, Failure, Outcome};
use crate::process;
use crate::temporary::{self, Temporary};

const NOBODY: u32 = 65_534;
const USER: &str = "purser";
const START_DEADLINE: Duration = Duration::from_secs(60);
const STOP_DEADLINE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);
const ATTEMPTS: u32 = 3;
const SETTINGS: [&str; 8] = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_connections=300",
    "max_pred_locks_per_transaction=512",
    "max_locks_per_transaction=256",
    "jit=off",
    "timezone=UTC",
    "log_timezone=UTC",
];

/// Fast and forgetful.
const FOR_TESTS: [&str; 5] = ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=128MB", "autovacuum=off"];
/// As an operator would run it on a small machine.
const FOR_MEASUREMENTS: [&str; 4] = ["fsync=on", "synchronous_commit=on", "shared_buffers=1GB", "max_wal_size=4GB"];

/// What a server is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    Tests,
    Measurements,
}

impl Use {
    const fn settings(self) -> &'static [&'static str] {
        match self {
            Self::Tests => &FOR_TESTS,
            Self::Measurements => &FOR_MEASUREMENTS,
        }
    }
}

#[derive(Debug)]
pub struct Server {
    child: Child,
    programs: Programs,
    _folder: Temporary,
    url: String,
}

impl Server {
    pub fn start(programs: &Programs, purpose: Use) -> Outcome<Self> {
        temporary::sweep(FOLDER_PREFIX);
        let folder = folder()?;
        let programs = reachable(programs, folder.path())?;
        let password = password()?;
        initialise(&programs, folder.path(), &password)?;
        let mut last = Failure::new("PostgreSQL was not started");
        // the free port may be taken between our look and its bind
        for _ in 0..ATTEMPTS {
            let port = free_port()?;
            match launch(&programs, folder.path(), port, purpose) {
                Ok(child) => {
                    let url = format!("postgres://{USER}:{password}@127.0.0.1:{port}/postgres");
                    return Ok(Self { child, programs, _folder: folder, url });
                }
                Err(failure) => last = failure,
            }
        }
        Err(last)
    }

    /// A superuser's address of a database; the tests make their own beside it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A program that comes with the server.
    pub fn program(&self, name: &str) -> PathBuf {
        self.programs.folder.join(name)
    }

    /// Lets a command run the server's programs: they may need shared libraries that the machine lacks.
    pub fn lend_libraries(&self, command: &mut Command) {
        crate::peers::debian::with_libraries(command, &self.programs.libraries);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        process::stop(&mut self.child, "INT", STOP_DEADLINE);
    }
}

const FOLDER_PREFIX: &str = "purser-test-postgresql-";

/// A closed folder that belongs to the user the server runs under.
fn folder() -> Outcome<Temporary> {
    let folder = Temporary::create(FOLDER_PREFIX)?;
    if is_root()? {
        chown(folder.path(), Some(NOBODY), Some(NOBODY)).context(|| "giving the data folder to nobody".to_owned())?;
    }
    Ok(folder)
}

/// Programs that the server's user can reach: a clone under a closed home folder is copied next to the data.
fn reachable(programs: &Programs, folder: &Path) -> Outcome<Programs> {
    if !is_root()? || programs.folder.ancestors().all(others_may_pass) {
        return Ok(programs.clone());
    }
    // the package lays the programs five folders below its root, and the server finds its own files relative to this
    let Some(tree) = programs.folder.ancestors().nth(5).and_then(Path::parent) else {
        return Err(Failure::new("the unpacked server is at an unexpected place"));
    };
    let copy = folder.join("programs");
    process::capture(Command::new("cp").arg("-r").arg(tree).arg(&copy), "copying the server to where its user can read it")?;
    process::capture(Command::new("chmod").args(["-R", "a+rX"]).arg(&copy), "letting the server's user read it")?;
    let moved = |path: &PathBuf| path.strip_prefix(tree).map_or_else(|_| path.clone(), |rest| copy.join(rest));
    Ok(Programs { folder: moved(&programs.folder), libraries: programs.libraries.iter().map(moved).collect(), version: programs.version })
}

fn others_may_pass(folder: &Path) -> bool {
    fs::metadata(folder).is_ok_and(|metadata| metadata.permissions().mode() & 0o001 != 0)
}

fn initialise(programs: &Programs, folder: &Path, password: &str) -> Outcome<()> {
    let secret = folder.join("password");
    fs::write(&secret, password).context(|| "writing the password".to_owned())?;
    fs::set_permissions(&secret, Permissions::from_mode(0o600)).context(|| "closing the password file".to_owned())?;
    if is_root()? {
        chown(&secret, Some(NOBODY), Some(NOBODY)).context(|| "giving the password to nobody".to_owned())?;
    }
    let mut command = as_server_user(programs, "initdb", folder)?;
    command
        .args(["--username", USER, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync", "--pwfile"])
        .arg(&secret)
        .arg("-D")
        .arg(folder.join("data"));
    process::capture(&mut command, "creating the database")?;
    fs::remove_file(&secret).context(|| "removing the password file".to_owned())
}

fn launch(programs: &Programs, folder: &Path, port: u16, purpose: Use) -> Outcome<Child> {
    let log = folder.join("log");
    let file = fs::File::create(&log).context(|| "creating the server's log".to_owned())?;
    let errors = file.try_clone().context(|| "opening the server's log".to_owned())?;
    let mut command = as_server_user(programs, "postgres", folder)?;
    command.arg("-D").arg(folder.join("data")).args(["-p", &port.to_string()]);
    for setting in SETTINGS.iter().chain(purpose.settings()) {
        command.args(["-c", setting]);
    }
    // its own process group: Ctrl-C reaches us, and we stop it in order
    let mut child =
        command.process_group(0).stdin(Stdio::null()).stdout(file).stderr(errors).spawn().context(|| "starting PostgreSQL".to_owned())?;
    match await_ready(&mut child, &folder.join("data/postmaster.pid")) {
        Ok(()) => Ok(child),
        Err(why) => {
            process::stop(&mut child, "INT", STOP_DEADLINE);
            let said = fs::read_to_string(&log).unwrap_or_default();
            Err(Failure::new(format!("PostgreSQL {why}\n{}", process::tail(&said))))
        }
    }
}

/// The eighth line of the server's own pid file says when it accepts connections.
fn await_ready(child: &mut Child, pid_file: &Path) -> Result<(), &'static str> {
    let deadline = Instant::now() + START_DEADLINE;
    while Instant::now() < deadline {
        if fs::read_to_string(pid_file).is_ok_and(|text| text.lines().nth(7).is_some_and(|line| line.trim() == "ready")) {
            return Ok(());
        }
        if matches!(child.try_wait(), Ok(Some(_))) {
            return Err("ended at once");
        }
        std::thread::sleep(POLL);
    }
    Err("did not become ready in time")
}

/// A server program under a uid that is not root, bound to our life where the machine can do that.
fn as_server_user(programs: &Programs, program: &str, folder: &Path) -> Outcome<Command> {
    let binary = programs.folder.join(program);
    let root = is_root()?;
    let mut command = match process::on_path("setpriv") {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            if root {
                command.args([format!("--reuid={NOBODY}"), format!("--regid={NOBODY}"), "--clear-groups".to_owned()]);
            }
            command.args(["--pdeathsig", "QUIT"]).arg(binary);
            command
        }
        None if root => {
            return Err(Failure::new("PostgreSQL does not run as root, and `setpriv` is not here to change the user")
                .advise("install util-linux, or run the tests as an ordinary user"));
        }
        None => Command::new(binary),
    };
    crate::peers::debian::with_libraries(&mut command, &programs.libraries);
    command.env("TZ", "UTC").env("HOME", folder).current_dir(folder);
    Ok(command)
}

fn is_root() -> Outcome<bool> {
    let said = process::capture(Command::new("id").arg("-u"), "asking who we are")?;
    Ok(said.trim() == "0")
}

fn free_port() -> Outcome<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context(|| "looking for a free port".to_owned())?;
    Ok(listener.local_addr().context(|| "looking for a free port".to_owned())?.port())
}

fn password() -> Outcome<String> {
    let mut bytes = [0_u8; 16];
    let mut source = fs::File::open("/dev/urandom").context(|| "opening the random device".to_owned())?;
    source.read_exact(&mut bytes).context(|| "reading the random device".to_owned())?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
