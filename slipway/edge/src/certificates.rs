//! The certificate for a TLS handshake: only for names that route, made when first asked for, kept in memory.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use purser_values::env::Env;
use purser_values::name::HostName;
use purser_values::timestamp::Timestamp;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SigningKey};

use crate::ca::LocalCa;
use crate::limits;
use crate::route::{RouteTarget, Router};

/// Answers each handshake with the certificate of the name that the client asks for.
pub struct Resolver {
    ca: LocalCa,
    key: Arc<dyn SigningKey>,
    router: Arc<dyn Router>,
    env: Env,
    made: Mutex<HashMap<HostName, Made>>,
}

struct Made {
    key: Arc<CertifiedKey>,
    renew_at: Timestamp,
}

impl Resolver {
    /// # Errors
    /// When the key cannot sign.
    pub fn new(ca: LocalCa, router: Arc<dyn Router>, env: Env) -> Result<Self, rustls::Error> {
        let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&PrivateKeyDer::Pkcs8(ca.leaf_key()))?;
        Ok(Self { ca, key, router, env, made: Mutex::default() })
    }

    fn certificate(&self, host: &HostName) -> Option<Arc<CertifiedKey>> {
        // Asked every time: a name that stopped routing loses its certificate with the next handshake.
        if matches!(self.router.route(host), RouteTarget::Unknown) {
            return None;
        }
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = made.get(host).filter(|kept| self.env.now() < kept.renew_at) {
            return Some(kept.key.clone());
        }
        match self.ca.issue(host, &self.env) {
            Ok((chain, renew_at)) => {
                let key = Arc::new(CertifiedKey::new(chain, self.key.clone()));
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

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.certificate(&hello.server_name()?.parse().ok()?)
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver")
    }
}
