//! One live Worker as the edge meets it: which requests are files, and where the others go.

use std::path::Path;
use std::sync::Arc;

use http::{Method, Response, request};
use purser_values::id::CloudAccountId;

use crate::assets::respond::{AssetBody, not_allowed, not_found};
use crate::assets::{AssetSet, NotFoundHandling};
use crate::blobs::Blobs;
use crate::runtime::Live;
use crate::runtime::generation::Door;
pub use crate::runtime::generation::Hold;

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
    pub version: Arc<str>,
    code: Code,
    assets: Option<Arc<AssetSet>>,
    blobs: Blobs,
}

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

impl Site {
    pub(crate) fn new(account: &CloudAccountId, live: &Live, door: Option<Door>, blobs: Blobs) -> Self {
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
        let text = |s: &str| Arc::<str>::from(s);
        Self {
            account: text(account.as_str()),
            script: text(live.script.as_str()),
            version: text(live.version.as_str()),
            code,
            assets,
            blobs,
        }
    }

    /// Decides by the request's header alone.
    ///
    /// # Errors
    /// When the Worker does not run, or a file cannot be read.
    pub async fn answer(&self, request: &request::Parts) -> Result<Answer, Broken> {
        if let Some(set) = &self.assets
            && (matches!(self.code, Code::None) || !set.config.run_worker_first.covers(request.uri.path()))
        {
            let alone = matches!(self.code, Code::None);
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
        match &self.code {
            Code::None => Ok(Answer::Respond(not_found())),
            Code::Stopped => Err(Broken("this host does not run Workers".to_owned())),
            Code::At(door) => {
                let (socket, generation, hold) = door.open().map_err(Broken)?;
                Ok(Answer::Forward { socket, generation, hold })
            }
        }
    }
}
