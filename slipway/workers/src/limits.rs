//! Every limit of the runtime, by name. A tenant can pass none of them.

use std::time::Duration;

/// What one account may use. The constants below are what an account gets of which nobody says more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowances {
    pub scripts: i64,
    /// Processor time that its process may take without a pause while requests are under way, in milliseconds.
    pub cpu_ms: u32,
    /// Memory of each process, in bytes.
    pub memory: u64,
    pub requests_per_s: u32,
    /// Code, assets and everything else that it keeps, in bytes.
    pub storage: i64,
    /// Environments, each with a process of its own.
    pub processes: u32,
}

impl Default for Allowances {
    fn default() -> Self {
        Self { scripts: SCRIPTS, cpu_ms: CPU_MS, memory: JAIL_MEMORY, requests_per_s: REQUESTS_PER_S, storage: ACCOUNT_BYTES, processes: 4 }
    }
}

/// Processor time in one go, in milliseconds, of an account of which nobody says more.
pub const CPU_MS: u32 = 4_000;
/// Requests of visitors in a second, likewise.
pub const REQUESTS_PER_S: u32 = 1_000;

/// Modules of one version, together, in bytes (10027 beyond).
pub const CODE_BYTES: usize = 10 * 1024 * 1024;
/// Modules of one version.
pub const MODULES: usize = 1_000;
/// Longest module name, in bytes.
pub const MODULE_NAME_BYTES: usize = 512;
/// The `metadata` part of an upload, in bytes.
pub const METADATA_BYTES: usize = 1024 * 1024;
/// Bindings of one version, secrets included.
pub const BINDINGS: usize = 128;
/// One text, JSON or secret binding, in bytes.
pub const BINDING_VALUE_BYTES: usize = 5 * 1024;
/// Longest delay that a queue's binding gives to its messages, in seconds.
pub const DELIVERY_DELAY_S: u32 = 86_400;
/// Scripts of one account. Those of one environment are compiled in one process.
pub const SCRIPTS: i64 = 100;
/// Versions of one script; older ones that are not deployed are forgotten.
pub const VERSIONS_KEPT: i64 = 100;
/// Compatibility flags of one version.
pub const COMPATIBILITY_FLAGS: usize = 64;
/// Custom domains of one script.
pub const DOMAINS: usize = 100;
/// Routes by pattern of an account.
pub const ROUTES: usize = 1_000;
/// Text of one annotation, in characters.
pub const ANNOTATION_CHARS: usize = 100;

/// Files of one asset manifest.
pub const ASSETS: usize = 20_000;
/// One asset, in bytes.
pub const ASSET_BYTES: u64 = 25 * 1024 * 1024;
/// All assets of one version, in bytes.
pub const ASSETS_BYTES: u64 = 1024 * 1024 * 1024;
/// Path of one asset, in bytes.
pub const ASSET_PATH_BYTES: usize = 1_024;
/// Rules of one `_headers` file, and of one `_redirects` file: those of plain text, and those with `*` or `:name`.
pub const HEADER_RULES: usize = 100;
pub const REDIRECTS_STATIC: usize = 2_000;
pub const REDIRECTS_DYNAMIC: usize = 100;
/// One line of such a file, and all of it, in bytes.
pub const RULE_LINE_BYTES: usize = 2_000;
pub const RULES_BYTES: usize = 512 * 1024;
/// Hashes in one upload bucket.
pub const BUCKET_FILES: usize = 500;
/// Bytes in one upload bucket: with base64 it stays below the body limit of an upload.
pub const BUCKET_BYTES: u64 = 16 * 1024 * 1024;
/// Upload sessions of one account; older ones are forgotten.
pub const ASSET_SESSIONS: i64 = 32;
/// Hashes that an account's clients have given to their files.
pub const ASSET_HASHES: i64 = 200_000;
/// Life of an asset session and of its completion token, in seconds.
pub const ASSET_SESSION_LIFE_S: i64 = 3_600;

/// Everything that an account keeps of which nobody says more, in bytes.
pub const ACCOUNT_BYTES: i64 = 5 * 1024 * 1024 * 1024;
/// How often it is looked how much Durable Objects keep.
pub const OBJECTS_LOOK: Duration = Duration::from_secs(5);
/// The largest file that Durable Objects may write while the account's storage is full, in bytes: what is kept can be read, for which SQLite
/// needs 32 KiB beside it, and new objects stay this small.
pub const OBJECT_FILE_FULL: u64 = 64 * 1024;
/// By how much objects may grow in such small files once the account's storage is full, as a part of it; beyond that nothing is written at all.
pub const OBJECTS_BEYOND: i64 = 16;
/// How often store and processes are compared.
pub const SETTLE_EVERY: Duration = Duration::from_secs(60);
/// How often it is looked whether an alarm may wake an account that had used up what it has.
pub const ALARM_AGAIN: Duration = Duration::from_secs(5);
/// What the smallest blob counts as: a block of the disk.
pub const BLOB_LEAST_BYTES: i64 = 4_096;
/// How long a blob stays that no version needs, in seconds: longer than a session in which it may be named again.
pub const BLOB_GRACE_S: i64 = 2 * ASSET_SESSION_LIFE_S;

/// Time that a new process gets to compile everything and to listen; more is a failed validation.
pub const START: Duration = Duration::from_secs(5);
/// How often a running process is asked whether it still answers.
pub const HEALTH_EVERY: Duration = Duration::from_secs(1);
/// Time for such an answer; a process that misses it is killed. Generous, because the machine may be busy with others: what it used
/// meanwhile is measured, and ends it earlier.
pub const HEALTH_DEADLINE: Duration = Duration::from_secs(20);
/// How often that is measured.
pub const HEALTH_LOOK: Duration = Duration::from_millis(100);
/// A process that has had nothing to do for so long ends; the next request starts it again.
pub const IDLE: Duration = Duration::from_secs(60);
/// Incidents that are kept, and characters of the text of each.
pub const INCIDENTS: usize = 1_000;
pub const INCIDENT_CHARS: usize = 200;
/// How long the old process keeps accepting after a swap, for requests that had already been routed to it.
pub const SWAP_GRACE: Duration = Duration::from_millis(500);
/// Time that requests under way get before an old process is killed.
pub const DRAIN: Duration = Duration::from_secs(30);
/// The same two where the next process waits for the end of this one: Durable Objects are never in two processes.
pub const SWAP_GRACE_OBJECTS: Duration = Duration::from_millis(30);
pub const DRAIN_OBJECTS: Duration = Duration::from_secs(5);
/// What a process gets to end at least, once asked to.
pub const DRAIN_LEAST: Duration = Duration::from_secs(2);
/// How often it is looked whether something is still under way.
pub const DRAIN_LOOK: Duration = Duration::from_millis(5);
/// Time that a Worker has for one event, and the most bytes of what it says about it.
pub const EVENT: Duration = Duration::from_secs(15 * 60);
pub const EVENT_ANSWER_BYTES: usize = 1024 * 1024;
/// First and longest pause before a crashed process is started again.
pub const RESTART_FIRST: Duration = Duration::from_millis(100);
pub const RESTART_LONGEST: Duration = Duration::from_secs(60);
/// A process that lived this long has earned the first pause again.
pub const RESTART_FORGET: Duration = Duration::from_secs(60);
/// How long a validated version waits for its deployment before its process ends.
pub const CANDIDATE_LIFE: Duration = Duration::from_secs(15);

/// Keepers that wait for the next Worker that starts.
pub const SPARES: usize = 2;
/// Open descriptors of a workerd process.
pub const JAIL_FILES: u64 = 1_024;
/// Tasks of one confined user.
pub const JAIL_TASKS: u64 = 64;
/// Writable private memory of one process, in bytes; V8's reservations do not count.
pub const JAIL_MEMORY: u64 = 1024 * 1024 * 1024;
/// The largest file of a Durable Object, in bytes.
pub const OBJECT_FILE: u64 = 10 * 1024 * 1024 * 1024;
/// Private temporary space in a jail on top of the modules, in bytes.
pub const JAIL_SPACE: u64 = 1024 * 1024;
/// Connections from one process to its bindings that are served at a time.
pub const BINDING_CONNECTIONS: usize = 64;
/// Connections from one process to the outside at a time.
pub const EGRESS_CONNECTIONS: usize = 64;
/// What is told of Workers in one go to who looks on, in bytes.
pub const TAIL_BYTES: usize = 4 * 1024 * 1024;
/// Lines and bytes of a process's output that are kept for an error message.
pub const LOG_LINES: usize = 40;
pub const LOG_LINE_BYTES: usize = 2_000;
