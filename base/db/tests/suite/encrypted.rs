//! The encrypted way to PostgreSQL: the real server behind a front that answers the protocol's own request for TLS.

use std::path::PathBuf;
use std::sync::Arc;

use purser_db::{Db, DbConfig, DbError};
use purser_values::Env;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// What a client sends to ask for TLS: length 8, then the protocol's number for it.
const ASK_FOR_TLS: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

struct Front {
    /// The server's address with the front's port in place of the server's.
    url: String,
    authority: PathBuf,
    _folder: tempfile::TempDir,
}

/// A front with a certificate for `name`; one that is `unable` says no to TLS, as a server without it does, and would go on in the clear.
async fn front(name: &str, unable: bool) -> Option<Front> {
    let url = std::env::var("PURSER_TEST_PG_URL").ok()?;
    let (before, after) = url.split_once('@').unwrap();
    let (server, path) = after.split_once('/').unwrap();
    let (server, folder) = (server.to_owned(), tempfile::tempdir().unwrap());

    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, authority.pem()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let config = config.with_single_cert(vec![certificate.der().clone()], key.into()).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let (acceptor, server) = (acceptor.clone(), server.clone());
            tokio::spawn(async move {
                let mut asked = [0; 8];
                client.read_exact(&mut asked).await.unwrap();
                assert_eq!(asked, ASK_FOR_TLS, "the first bytes are no request for TLS");
                client.write_all(if unable { b"N" } else { b"S" }).await.unwrap();
                let mut upstream = TcpStream::connect(server).await.unwrap();
                if unable {
                    let _ = copy_bidirectional(&mut client, &mut upstream).await;
                } else if let Ok(mut client) = acceptor.accept(client).await {
                    let _ = copy_bidirectional(&mut client, &mut upstream).await;
                }
            });
        }
    });
    Some(Front { url: format!("{before}@localhost:{port}/{path}"), authority: file, _folder: folder })
}

async fn open(front: &Front, parameters: &str) -> Result<Db, DbError> {
    let joint = if front.url.contains('?') { '&' } else { '?' };
    let config: DbConfig = format!("{}{joint}{parameters}", front.url).parse().unwrap();
    Db::open(&config).await
}

#[tokio::test]
async fn a_database_is_used_over_tls_when_its_certificate_is_of_the_named_authority() {
    let Some(front) = front("localhost", false).await else { return };
    let db = open(&front, &format!("sslmode=require&sslrootcert={}", front.authority.display())).await.unwrap();
    let (env, _) = Env::test(purser_db::testing::START, 1);
    db.migrate(&env, &[]).await.unwrap();
}

#[tokio::test]
async fn a_foreign_authority_another_name_and_a_no_to_tls_are_refused() {
    let Some(sound) = front("localhost", false).await else { return };
    assert!(matches!(open(&sound, "sslmode=require").await, Err(DbError::Unavailable(why)) if why.contains("UnknownIssuer")));
    let other = front("db.example", false).await.unwrap();
    let named = format!("sslmode=require&sslrootcert={}", other.authority.display());
    assert!(matches!(open(&other, &named).await, Err(DbError::Unavailable(why)) if why.contains("not valid for name")));
    let unable = front("localhost", true).await.unwrap();
    let named = format!("sslmode=verify-full&sslrootcert={}", unable.authority.display());
    assert!(matches!(open(&unable, &named).await, Err(DbError::Unavailable(why)) if why.contains("TLS")));
}
