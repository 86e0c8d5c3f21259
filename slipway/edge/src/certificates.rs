//! The certificate for a TLS handshake: only for names that route.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use purser_values::env::Env;
use purser_values::name::HostName;
use purser_values::timestamp::Timestamp;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SigningKey};

use crate::acme::Issuer;
use crate::ca::LocalCa;
use crate::edge::EdgeError;
use crate::limits;
use crate::route::{RouteTarget, Router};

/// Answers each handshake with a certificate for the name that the client asks for.
pub struct Resolver {
    source: Source,
    router: Arc<dyn Router>,
}

/// Where certificates come from.
pub enum Source {
    /// Made when first asked for, kept in memory.
    Authority { ca: LocalCa, key: Arc<dyn SigningKey>, env: Env, made: Mutex<HashMap<HostName, Made>> },
    /// The operator's.
    Fixed(Arc<CertifiedKey>),
    /// An authority's, and the operator's for names that have none yet.
    Issued { issuer: Arc<dyn Issuer>, meanwhile: Option<Arc<CertifiedKey>> },
}

/// A certificate and when to make the next one.
pub struct Made {
    key: Arc<CertifiedKey>,
    renew_at: Timestamp,
}

impl Source {
    /// # Errors
    /// When the authority's key for sites cannot sign.
    pub fn authority(ca: LocalCa, env: Env) -> Result<Self, rustls::Error> {
        let key = any_supported_type(&PrivateKeyDer::Pkcs8(ca.leaf_key()))?;
        Ok(Self::Authority { ca, key, env, made: Mutex::default() })
    }

    fn certificate(&self, host: &HostName) -> Option<Arc<CertifiedKey>> {
        let (ca, key, env, made) = match self {
            Self::Fixed(pair) => return Some(pair.clone()),
            Self::Issued { issuer, meanwhile } => return issuer.certificate(host).or_else(|| meanwhile.clone()),
            Self::Authority { ca, key, env, made } => (ca, key, env, made),
        };
        let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = made.get(host).filter(|kept| env.now() < kept.renew_at) {
            return Some(kept.key.clone());
        }
        match ca.issue(host, env) {
            Ok((chain, renew_at)) => {
                let key = Arc::new(CertifiedKey::new(chain, key.clone()));
                // Rare and cheap to refill, so there is no order to keep.
                if made.len() >= limits::CERTIFICATES {
                    made.clear();
                }
                made.insert(host.clone(), Made { key: key.clone(), renew_at });
                Some(key)
            }
            Err(e) => {
                tracing::warn!(host = %host, error = %e, "no certificate");
                None
            }
        }
    }
}

/// The operator's pair.
///
/// # Errors
/// When a file is not the PEM it should be, or the key is not the certificate's.
pub fn files(chain: &Path, key: &Path) -> Result<Arc<CertifiedKey>, EdgeError> {
    let bad = |path: &Path, why: &dyn fmt::Display| EdgeError::Certificate { path: path.to_owned(), why: why.to_string() };
    let certificates: Vec<_> = CertificateDer::pem_file_iter(chain).and_then(Iterator::collect).map_err(|e| bad(chain, &e))?;
    if certificates.is_empty() {
        return Err(bad(chain, &"it holds no certificate"));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|e| bad(key, &e))?;
    let signing = any_supported_type(&private).map_err(|e| bad(key, &e))?;
    let pair = CertifiedKey::new(certificates, signing);
    pair.keys_match().map_err(|e| bad(key, &e))?;
    Ok(Arc::new(pair))
}

impl Resolver {
    #[must_use]
    pub fn new(source: Source, router: Arc<dyn Router>) -> Self {
        Self { source, router }
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let host = hello.server_name()?.parse().ok()?;
        // Asked every time: a name that stopped routing loses its certificate with the next handshake.
        match self.router.route(&host) {
            RouteTarget::Unknown => None,
            RouteTarget::Suspended | RouteTarget::Site(_) => self.source.certificate(&host),
        }
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver")
    }
}
