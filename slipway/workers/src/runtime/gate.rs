//! The two sockets of one tenant's process: what its bindings ask, and everything that wants out.
//!
//! Who asks is known from the socket, never from a header: each tenant has its own pair, seen in its jail only. For one
//! tenant the header that workerd injects says what is asked for. What wants out goes to the
//! [`Egress`], or is refused where there is none.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::Duration;

use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncReadExt as _;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::assets::AssetSet;
use crate::assets::respond::{AssetBody, not_found};
use crate::blobs::Blobs;
use crate::limits;
use crate::name::{BindingName, ScriptName, VersionId};
use crate::plan::Bound;
use crate::runtime::backend::{Asked, Backend, Resource};
use crate::runtime::config::{ASSETS, BOUND, CACHE, HEALTH, MISSING, PURPOSE, TAIL};
use crate::runtime::egress::{Egress, Refused};
use crate::runtime::generation::State;
use crate::runtime::incident::{Incidents, Kind};
use crate::runtime::tail::Tails;
use crate::runtime::{Host, Live};
use crate::tenant::Tenant;

/// The sockets of one tenant; closed when dropped.
pub struct Gate {
    pub host_socket: PathBuf,
    pub egress_socket: PathBuf,
    /// The folder of the tenant's Durable Objects; made when it first has any.
    pub objects: PathBuf,
    cpu: Mutex<Cpu>,
    shared: Arc<Shared>,
    tasks: [JoinHandle<()>; 2],
}

/// Processor time of a tenant.
#[derive(Default)]
struct Cpu {
    /// Of processes that have ended, in microseconds.
    spent_us: u64,
    /// The most that was told: what the kernel says of a process that is ending may fall for a moment.
    told_us: u64,
    /// Generations that may have a process.
    running: Vec<Weak<State>>,
}

struct Shared {
    tenant: Tenant,
    tails: Tails,
    incidents: Incidents,
    blobs: Blobs,
    backend: Arc<dyn Backend>,
    known: RwLock<HashMap<VersionId, Known>>,
    connections: Arc<Semaphore>,
}

/// What one version may reach.
struct Known {
    script: ScriptName,
    assets: Option<Arc<AssetSet>>,
    bound: HashMap<BindingName, Resource>,
}

impl Gate {
    /// Opens the sockets in `folder`, which only slipway can enter.
    pub fn open(folder: &Path, objects: PathBuf, tenant: Tenant, host: &Host, blobs: Blobs, backend: Arc<dyn Backend>) -> io::Result<Self> {
        let (host_socket, egress_socket) = (folder.join("host.sock"), folder.join("egress.sock"));
        let (bindings, egress) = (listen(folder, "host.sock")?, listen(folder, "egress.sock")?);
        let connections = Arc::new(Semaphore::new(limits::BINDING_CONNECTIONS));
        let shared = Arc::new(Shared {
            tenant,
            tails: Tails::default(),
            incidents: host.incidents.clone(),
            blobs,
            backend,
            known: RwLock::default(),
            connections,
        });
        let tasks = [tokio::spawn(serve(bindings, shared.clone())), tokio::spawn(out(egress, shared.clone(), host.egress.clone()))];
        Ok(Self { host_socket, egress_socket, objects, cpu: Mutex::default(), shared, tasks })
    }

    /// Lets the process reach what a version is bound to.
    pub fn allow(&self, live: &Live) {
        let bindings = live.unit.iter().flat_map(|unit| &unit.bindings);
        let bound = bindings.filter_map(|(name, bound)| match bound {
            Bound::Backend(resource) => Some((name.clone(), resource.clone())),
            _ => None,
        });
        let known = Known { script: live.script.clone(), assets: live.assets.clone(), bound: bound.collect() };
        self.shared.known.write().unwrap_or_else(PoisonError::into_inner).insert(live.version.clone(), known);
    }

    /// Counts the process of a generation from now on.
    pub fn count(&self, state: &Arc<State>) {
        let mut cpu = self.cpu.lock().unwrap_or_else(PoisonError::into_inner);
        cpu.running.retain(|state| state.strong_count() > 0);
        cpu.running.push(Arc::downgrade(state));
    }

    /// Counts what the process of a generation took, once it has ended.
    pub fn ended(&self, state: &State) {
        let mut cpu = self.cpu.lock().unwrap_or_else(PoisonError::into_inner);
        cpu.spent_us += state.leave();
    }

    /// Processor time that the tenant's code has taken, in microseconds. Never goes back.
    pub fn cpu_us(&self) -> u64 {
        let mut cpu = self.cpu.lock().unwrap_or_else(PoisonError::into_inner);
        let running: u64 = cpu.running.iter().filter_map(|state| state.upgrade()?.cpu_us()).sum();
        cpu.told_us = cpu.told_us.max(cpu.spent_us + running);
        cpu.told_us
    }

    /// Whether there is a process.
    pub fn is_awake(&self) -> bool {
        let cpu = self.cpu.lock().unwrap_or_else(PoisonError::into_inner);
        cpu.running.iter().any(|state| state.upgrade().is_some_and(|state| state.is_awake()))
    }

    /// Who looks on here.
    pub fn tails(&self) -> &Tails {
        &self.shared.tails
    }

    /// Forgets all versions but these.
    pub fn keep(&self, versions: &[VersionId]) {
        self.shared.known.write().unwrap_or_else(PoisonError::into_inner).retain(|v, _| versions.contains(v));
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Binds through the folder's descriptor: a socket's path may have 107 bytes only, a data folder's may be longer.
fn listen(folder: &Path, name: &str) -> io::Result<UnixListener> {
    let at = super::generation::Folder::open(folder)?;
    let listener = at.bind(name)?;
    listener.set_nonblocking(true)?;
    // The account's uid must be able to write to it; the folder above keeps everybody outside the jail away.
    std::fs::set_permissions(folder.join(name), std::fs::Permissions::from_mode(0o666))?;
    UnixListener::from_std(listener)
}

async fn serve(listener: UnixListener, shared: Arc<Shared>) {
    loop {
        let Ok(permit) = shared.connections.clone().acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else { continue };
        let shared = shared.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(shared.clone(), request));
            let _ = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(30))
                .serve_connection(TokioIo::new(stream), service)
                .await;
            drop(permit);
        });
    }
}

async fn answer(shared: Arc<Shared>, mut request: Request<Incoming>) -> Result<Response<AssetBody>, Infallible> {
    let mut purposes = request.headers().get_all(PURPOSE).iter();
    let purpose = purposes.next().filter(|_| purposes.next().is_none()).and_then(|p| p.to_str().ok()).unwrap_or_default();
    let purpose = purpose.to_owned();
    request.headers_mut().remove(PURPOSE);
    Ok(match purpose.as_str() {
        HEALTH => text(StatusCode::OK, "ok"),
        MISSING => text(StatusCode::NOT_FOUND, "the Worker behind this service binding is not deployed"),
        purpose => match shared.sought(purpose) {
            Some(Sought::Assets(set)) => asset(&shared, &set, &request).await,
            Some(Sought::Tail(script, version)) => {
                if let Ok(posted) = Limited::new(request.into_body(), limits::TAIL_BYTES).collect().await {
                    shared.tails.pass(&script, &version, &posted.to_bytes());
                }
                text(StatusCode::OK, "")
            }
            Some(Sought::Resource(asked)) => {
                let request = request.map(|body| body.map_err(io::Error::other).boxed_unsync());
                shared.backend.call(asked, request).await
            }
            None => {
                shared.incidents.note(&shared.tenant.account, shared.only_script().as_ref(), Kind::Binding, purpose);
                text(StatusCode::BAD_REQUEST, "no such binding")
            }
        },
    })
}

/// What a purpose stands for.
enum Sought {
    Assets(Arc<AssetSet>),
    Resource(Asked),
    /// What this version of a Worker did.
    Tail(ScriptName, VersionId),
}

impl Shared {
    /// The Worker behind this gate, where it is one alone.
    fn only_script(&self) -> Option<ScriptName> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let mut scripts = known.values().map(|known| &known.script);
        let first = scripts.next()?;
        scripts.all(|script| script == first).then(|| first.clone())
    }

    /// INVARIANT (own-resources): only what was introduced here by a version of this tenant is ever found.
    fn sought(&self, purpose: &str) -> Option<Sought> {
        let (kind, rest) = purpose.split_once('/')?;
        let (version, binding) = rest.split_once('/').unwrap_or((rest, ""));
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let version: VersionId = version.parse().ok()?;
        let known = known.get(&version)?;
        let resource = match kind {
            ASSETS => return known.assets.clone().map(Sought::Assets),
            TAIL => return Some(Sought::Tail(known.script.clone(), version)),
            CACHE => Resource::Cache,
            BOUND => known.bound.get(&binding.parse().ok()?)?.clone(),
            _ => return None,
        };
        Some(Sought::Resource(Asked { tenant: self.tenant.clone(), script: known.script.clone(), resource }))
    }
}

async fn asset(shared: &Shared, set: &AssetSet, request: &Request<Incoming>) -> Response<AssetBody> {
    match set.respond(&shared.blobs, request.method(), request.uri(), request.headers(), true).await {
        Ok(found) => found.unwrap_or_else(not_found),
        Err(e) => {
            tracing::error!(account = %shared.tenant, error = %e, "an asset could not be read");
            text(StatusCode::INTERNAL_SERVER_ERROR, "the asset could not be read")
        }
    }
}

fn text(status: StatusCode, text: &'static str) -> Response<AssetBody> {
    let body = Full::new(bytes::Bytes::from_static(text.as_bytes())).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// Takes what wants out. Where there is no way out: notes where it wanted to go, and hangs up. Code sees a lost connection.
async fn out(listener: UnixListener, shared: Arc<Shared>, egress: Option<Arc<dyn Egress>>) {
    let of = shared.clone();
    let refused: Refused = Arc::new(move |what| of.incidents.note(&of.tenant.account, of.only_script().as_ref(), Kind::Egress, what));
    let places = Arc::new(Semaphore::new(limits::EGRESS_CONNECTIONS));
    loop {
        let Ok(permit) = places.clone().acquire_owned().await else { return };
        let Ok((mut stream, _)) = listener.accept().await else { continue };
        let (shared, egress, refused) = (shared.clone(), egress.clone(), refused.clone());
        tokio::spawn(async move {
            match egress {
                Some(egress) => egress.carry(shared.tenant.clone(), stream, refused).await,
                None => refused(&tokio::time::timeout(Duration::from_secs(1), first_line(&mut stream)).await.unwrap_or_default()),
            }
            drop(permit);
        });
    }
}

/// Method and origin only: paths and queries can hold secrets.
async fn first_line(stream: &mut UnixStream) -> String {
    let mut buffer = [0_u8; 512];
    let read = stream.read(&mut buffer).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&buffer[..read]).into_owned();
    let mut words = text.lines().next().unwrap_or_default().split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let origin: Vec<&str> = target.splitn(4, '/').take(3).collect();
    format!("{method} {}", origin.join("/"))
}
