//! The running edge: its configuration, its two listeners, its end.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Where the edge listens and which certificates it serves.
#[derive(Clone, Debug)]
pub struct EdgeConfig {
    pub listen_https: SocketAddr,
    pub listen_http: SocketAddr,
    pub certificates: Certificates,
}

/// Where certificates come from.
#[derive(Clone, Debug)]
pub enum Certificates {
    /// Sandbox: an own authority, made on first start in `keys` (a folder of mode 0700) and published as `public`.
    LocalCa { keys: PathBuf, public: PathBuf },
}

/// A running edge. Dropping it stops both listeners.
pub struct EdgeHandle {
    pub https_addr: SocketAddr,
    pub http_addr: SocketAddr,
}

/// Why the edge did not start.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    #[error("cannot listen on `{addr}`: {source}; stop what uses the port or configure another")]
    Listen { addr: SocketAddr, source: std::io::Error },
}
