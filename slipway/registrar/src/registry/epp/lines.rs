//! Connections to a registry: opened when needed, signed in once, used one command at a time, and kept for the next.

use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use instant_epp::client::RequestData;
use instant_epp::connection::Connector;
use instant_epp::request::{Command, Extension, Transaction};
use instant_epp::response::Response;
use instant_epp::{EppClient, Error};
use purser_values::Secret;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tracing::instrument::WithSubscriber as _;
use tracing::subscriber::NoSubscriber;

use super::ANSWER;
use super::types::{Answer, escaped};

/// Connections at a time; registries allow few.
const LINES: usize = 4;
/// How long a connection may take until it has signed in.
const CONNECT: Duration = Duration::from_secs(10);
/// Longest answer that is read.
const ANSWER_BYTES: usize = 256 * 1024;
const SECDNS: &str = "urn:ietf:params:xml:ns:secDNS-1.1";
pub(super) const FEE: &str = "urn:ietf:params:xml:ns:epp:fee-1.0";

/// A byte stream to a registry.
pub trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// Opens a connection.
pub type Dial = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = io::Result<Box<dyn Wire>>> + Send>> + Send + Sync>;

/// As whom we sign in.
#[derive(Clone, Debug)]
pub struct Account {
    pub id: String,
    pub password: Secret<String>,
}

/// What a registry speaks beyond the standard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Features {
    pub fee: bool,
    pub secdns: bool,
}

pub(super) struct Lines {
    account: Account,
    dial: Dial,
    idle: Mutex<Vec<EppClient<Connect>>>,
    places: Semaphore,
    features: OnceLock<Features>,
}

pub(super) struct Connect(Dial);

#[async_trait]
impl Connector for Connect {
    type Connection = Box<dyn Wire>;

    async fn connect(&self, limit: Duration) -> Result<Self::Connection, Error> {
        timeout(limit, (self.0)()).await.map_err(|_| Error::Timeout)?.map_err(Error::Io)
    }
}

impl Lines {
    pub(super) fn new(account: Account, dial: Dial) -> Self {
        Self { account, dial, idle: Mutex::default(), places: Semaphore::new(LINES), features: OnceLock::new() }
    }

    pub(super) fn account(&self) -> &str {
        &self.account.id
    }

    /// What the registry says it speaks; asked once.
    pub(super) async fn features(&self) -> Result<Features, Error> {
        if let Some(known) = self.features.get() {
            return Ok(*known);
        }
        let _place = self.place().await?;
        let line = self.open().await?;
        self.keep(line);
        self.features.get().copied().ok_or(Error::Timeout)
    }

    /// Says a command. One that finds a kept connection dead is said once more on a new one: it bears the same transaction id.
    pub(super) async fn say<C, E>(&self, data: RequestData<'_, '_, C, E>, id: &str) -> Result<Response<C::Response, E::Response>, Error>
    where
        C: Transaction<E> + Command + Sync,
        E: Extension + Sync,
    {
        let _place = self.place().await?;
        if let Some(mut line) = self.kept() {
            let said = bounded(ANSWER, line.transact(data, id)).await;
            if let Some(said) = self.settled(line, said) {
                return said;
            }
        }
        let mut line = self.open().await?;
        let said = bounded(ANSWER, line.transact(data, id)).await;
        if matches!(said, Ok(_) | Err(Error::Command(_))) {
            self.keep(line);
        }
        said
    }

    /// Says a command that `instant-epp` has no type for, or whose answer it cannot read.
    pub(super) async fn raw(&self, command: &str, id: &str) -> Result<Answer, Error> {
        let document = document(command, id);
        let _place = self.place().await?;
        if let Some(mut line) = self.kept()
            && let Ok(text) = bounded(ANSWER, line.transact_xml(&document)).await
        {
            self.keep(line);
            return Answer::read(&text);
        }
        let mut line = self.open().await?;
        let text = bounded(ANSWER, line.transact_xml(&document)).await?;
        self.keep(line);
        Answer::read(&text)
    }

    /// The outcome on a kept connection, or nothing when only the connection failed.
    fn settled<T>(&self, line: EppClient<Connect>, said: Result<T, Error>) -> Option<Result<T, Error>> {
        match said {
            Err(Error::Io(_) | Error::Timeout) => None,
            said => {
                if matches!(said, Ok(_) | Err(Error::Command(_))) {
                    self.keep(line);
                }
                Some(said)
            }
        }
    }

    async fn place(&self) -> Result<tokio::sync::SemaphorePermit<'_>, Error> {
        let place = timeout(ANSWER, self.places.acquire()).await.map_err(|_| Error::Timeout)?;
        place.map_err(|_| Error::Timeout)
    }

    fn kept(&self) -> Option<EppClient<Connect>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn keep(&self, line: EppClient<Connect>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < LINES {
            idle.push(line);
        }
    }

    async fn open(&self) -> Result<EppClient<Connect>, Error> {
        let signed = async {
            let mut line = EppClient::new(Connect(self.dial.clone()), "registry".to_owned(), CONNECT).await?;
            line.set_max_read_buf(ANSWER_BYTES);
            let greeting = line.xml_greeting();
            let features = Features { fee: greeting.contains(FEE), secdns: greeting.contains(SECDNS) };
            let spoken: String = [(features.fee, FEE), (features.secdns, SECDNS)]
                .into_iter()
                .filter(|(speaks, _)| *speaks)
                .map(|(_, ns)| format!("<extURI>{ns}</extURI>"))
                .collect();
            let spoken = if spoken.is_empty() { spoken } else { format!("<svcExtension>{spoken}</svcExtension>") };
            let objects = ["domain", "host", "contact"].map(|it| format!("<objURI>urn:ietf:params:xml:ns:{it}-1.0</objURI>")).concat();
            let login = format!(
                "<login><clID>{}</clID><pw>{}</pw><options><version>1.0</version><lang>en</lang></options><svcs>{objects}{spoken}</svcs></login>",
                escaped(&self.account.id),
                escaped(self.account.password.expose()),
            );
            let said = Answer::read(&line.transact_xml(&document(&login, "login")).await?)?;
            if !said.code().is_success() {
                // Whatever the reason: without a session the outcome of the order is not known to anybody.
                tracing::error!(code = said.code() as u16, "the registry does not let us sign in");
                return Err(Error::Other("the registry does not let us sign in".into()));
            }
            let _ = self.features.set(features);
            Ok(line)
        };
        bounded(CONNECT, signed).await
    }
}

/// Not for ever, and without a log: what the client logs are whole frames, with passwords and secrets of names in them.
async fn bounded<T>(limit: Duration, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    timeout(limit, work.with_subscriber(NoSubscriber::default())).await.map_err(|_| Error::Timeout)?
}

fn document(command: &str, id: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\"?>\n<epp xmlns=\"urn:ietf:params:xml:ns:epp-1.0\"><command>{command}<clTRID>{}</clTRID></command></epp>",
        escaped(id)
    )
}

/// Connections over TLS. `roots` is the file of the authorities that may vouch for the registry, `identity` the certificate and key files
/// that we show.
///
/// # Errors
/// When a file cannot be read, or the name is none.
pub fn over_tls(host: &str, port: u16, roots: &Path, identity: Option<(&Path, &Path)>) -> io::Result<Dial> {
    let bad = |e: &dyn std::fmt::Display| io::Error::new(io::ErrorKind::InvalidInput, e.to_string());
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(roots).map_err(|e| bad(&e))? {
        store.add(certificate.map_err(|e| bad(&e))?).map_err(|e| bad(&e))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(|e| bad(&e))?;
    let builder = builder.with_root_certificates(store);
    let config = match identity {
        Some((chain, key)) => {
            let chain = CertificateDer::pem_file_iter(chain).and_then(Iterator::collect).map_err(|e| bad(&e))?;
            builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(key).map_err(|e| bad(&e))?).map_err(|e| bad(&e))?
        }
        None => builder.with_no_client_auth(),
    };
    let (connector, name) = (TlsConnector::from(Arc::new(config)), ServerName::try_from(host.to_owned()).map_err(|e| bad(&e))?);
    let address = (host.to_owned(), port);
    Ok(Arc::new(move || {
        let (connector, name, address) = (connector.clone(), name.clone(), address.clone());
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let wire: Box<dyn Wire> = Box::new(connector.connect(name, stream).await?);
            Ok(wire)
        })
    }))
}
