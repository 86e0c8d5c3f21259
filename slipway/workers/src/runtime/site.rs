//! One live Worker as the edge meets it: which requests are files, and where the others go.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{Method, Response, request};
use purser_values::Sha256Digest;
use purser_values::id::CloudAccountId;

use crate::assets::respond::{AssetBody, not_allowed, not_found};
use crate::assets::{AssetSet, NotFoundHandling};
use crate::blobs::Blobs;
use crate::runtime::Live;
use crate::runtime::generation::Door;
pub use crate::runtime::generation::Hold;
use crate::view::Share;

/// Who serves a host name.
#[derive(Clone)]
pub enum Target {
    Unknown,
    Suspended,
    Site(Arc<Site>),
}

/// One live Worker.
pub struct Site {
    pub account: Arc<str>,
    pub script: Arc<str>,
    /// The version that answers, or the one that answers most.
    pub version: Arc<str>,
    /// Usually one; the one with the larger part comes last.
    versions: Vec<Version>,
    blobs: Blobs,
    turn: AtomicU64,
}

/// One version that answers requests.
struct Version {
    id: Arc<str>,
    share: Share,
    code: Code,
    assets: Option<Arc<AssetSet>>,
}

/// Requests with the same key meet the same version, as long as the shares are the same.
const VERSION_KEY: &str = "cloudflare-workers-version-key";
/// `script="version"`, for who wants one of the deployed versions.
const VERSION_OVERRIDES: &str = "cloudflare-workers-version-overrides";

enum Code {
    /// Static assets only.
    None,
    At(Door),
    /// There is code, and this host does not run it.
    Stopped,
}

/// What to do with a request.
pub enum Answer {
    /// A static file, a redirect, or a refusal of the files.
    Respond(Response<AssetBody>),
    /// Hand it to the Worker behind this Unix socket. `generation` rises with each process behind any socket, so that kept
    /// connections of an older one can be told apart. `hold` is kept until the answer was read to its end, tunnels included.
    Forward { socket: Arc<Path>, generation: u64, hold: Hold },
}

/// The Worker does not run. The text is for the log.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct Broken(pub String);

/// From this compatibility date on, a browser's navigation in a single-page application is a file's, not the Worker's.
const NAVIGATION_SINCE: &str = "2025-04-01";

impl Version {
    fn new(live: &Live, door: Option<Door>) -> Self {
        let code = match (&live.unit, door) {
            (None, _) => Code::None,
            (Some(_), Some(door)) => Code::At(door),
            (Some(_), None) => Code::Stopped,
        };
        let mut assets = live.assets.clone();
        if let (Some(unit), Some(set)) = (&live.unit, &assets)
            && set.config.not_found_handling == NotFoundHandling::SinglePageApplication
            && unit.compatibility_date.as_str() < NAVIGATION_SINCE
        {
            let config = crate::assets::AssetConfig { not_found_handling: NotFoundHandling::None, ..set.config.clone() };
            assets = Some(Arc::new(AssetSet { files: set.files.clone(), config }));
        }
        Self { id: Arc::from(live.version.as_str()), share: live.share, code, assets }
    }
}

impl Site {
    /// `versions` has at least one, and the one with the larger part comes last.
    pub(crate) fn new(account: &CloudAccountId, versions: Vec<(&Live, Option<Door>)>, blobs: &Blobs) -> Self {
        let script = versions.last().map(|(live, _)| live.script.to_string()).unwrap_or_default();
        let versions: Vec<Version> = versions.into_iter().map(|(live, door)| Version::new(live, door)).collect();
        Self {
            account: Arc::from(account.as_str()),
            script: Arc::from(script),
            version: versions.last().map(|v| v.id.clone()).unwrap_or_default(),
            versions,
            blobs: blobs.clone(),
            turn: AtomicU64::new(0),
        }
    }

    /// The version for a request: the one that it names, the one that its key always meets, or each in its share.
    fn version(&self, headers: &http::HeaderMap) -> Option<&Version> {
        let [minor, major] = &self.versions[..] else { return self.versions.last() };
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        if let Some(named) = text(VERSION_OVERRIDES).and_then(|text| overridden(text, &self.script))
            && let Some(found) = [minor, major].into_iter().find(|version| *version.id == *named)
        {
            return Some(found);
        }
        let point = match text(VERSION_KEY) {
            Some(key) => {
                Sha256Digest::of(format!("{}\n{key}", self.script).as_bytes()).as_bytes()[..8].iter().fold(0, |n, b| n << 8 | u64::from(*b))
            }
            // Steps of the golden ratio: each share is met evenly, whatever the number of requests.
            None => self.turn.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9E37_79B9_7F4A_7C15),
        };
        let part = (u128::from(point) * u128::from(Share::ALL.hundredths())) >> 64;
        Some(if part < u128::from(minor.share.hundredths()) { minor } else { major })
    }

    /// Decides by the request's header alone.
    ///
    /// # Errors
    /// When the Worker does not run, or a file cannot be read.
    pub async fn answer(&self, request: &request::Parts) -> Result<Answer, Broken> {
        let Some(version) = self.version(&request.headers) else { return Ok(Answer::Respond(not_found())) };
        if let Some(set) = &version.assets
            && (matches!(version.code, Code::None) || !set.config.run_worker_first.covers(request.uri.path()))
        {
            let alone = matches!(version.code, Code::None);
            let navigation = set.config.not_found_handling == NotFoundHandling::SinglePageApplication
                && request.headers.get("sec-fetch-mode").is_some_and(|v| v == "navigate");
            let found = set.respond(&self.blobs, &request.method, &request.uri, &request.headers, alone || navigation).await;
            match found.map_err(|e| Broken(format!("an asset cannot be read: {e}")))? {
                Some(response) => return Ok(Answer::Respond(response)),
                None if alone && !matches!(request.method, Method::GET | Method::HEAD) => return Ok(Answer::Respond(not_allowed())),
                None if alone => return Ok(Answer::Respond(not_found())),
                None => {}
            }
        }
        match &version.code {
            Code::None => Ok(Answer::Respond(not_found())),
            Code::Stopped => Err(Broken("this host does not run Workers".to_owned())),
            Code::At(door) => {
                let (socket, generation, hold) = door.open().map_err(Broken)?;
                Ok(Answer::Forward { socket, generation, hold })
            }
        }
    }
}

/// What a list like `a="…", b="…"` says for a script.
fn overridden<'a>(list: &'a str, script: &str) -> Option<&'a str> {
    list.split(',').find_map(|one| {
        let (name, version) = one.trim().split_once('=')?;
        (name.trim() == script).then(|| version.trim().trim_matches('"'))
    })
}
