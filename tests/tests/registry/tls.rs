//! The registry over TLS: whom it lets in, and whom the registrar's client trusts.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use purser_values::name::DomainName;
use purser_values::{Env, Secret};
use slipway_registrar::registry::epp::{Account, EppRegistry, over_tls};
use slipway_registrar::registry::{Availability, Registry as _, RegistryError, YEARLY};
use slipway_registry::config::{Config, Registrar};
use slipway_registry::serve;
use tokio::net::TcpListener;

const PASSWORD: &str = "pinned-pa55word";

/// A certificate that nobody but its own file vouches for, and its key.
fn identity(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let (chain, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
    fs::write(&chain, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    (chain, key)
}

#[tokio::test]
async fn a_pinned_registrar_gets_in_with_its_certificate_alone_and_a_false_registry_gets_no_password() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("password"), PASSWORD).unwrap();
    fs::set_permissions(at("password"), fs::Permissions::from_mode(0o600)).unwrap();
    let (own, other) = (identity(folder.path(), "alpha"), identity(folder.path(), "other"));
    let config = Config {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        database: format!("sqlite:{}", at("registry.db").display()),
        keys: at("keys"),
        server: "Registry of the tests".to_owned(),
        host: "localhost".to_owned(),
        zones: vec!["test".to_owned()],
        yearly: "9.15".to_owned(),
        premium_yearly: "1500.00".to_owned(),
        premium: Vec::new(),
        certificate: None,
        certificate_required: false,
        registrars: vec![Registrar { id: "alpha".to_owned(), password_file: at("password"), certificate: Some(own.0.clone()) }],
    };
    let env = Env::system();
    let (registry, tls) = config.open(&env).await.unwrap();
    let listener = TcpListener::bind(config.listen).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = tokio::spawn(serve::listen(registry, listener, tls, std::future::pending()));
    let line = |roots: &Path, shown: Option<&(PathBuf, PathBuf)>| {
        let dial = over_tls("localhost", port, roots, shown.map(|(chain, key)| (chain.as_path(), key.as_path()))).unwrap();
        let account = Account { id: "alpha".to_owned(), password: Secret::new(PASSWORD.to_owned()) };
        EppRegistry::new(vec!["test".to_owned()], YEARLY, account, dial, Secret::new(vec![1; 32]), Env::system())
    };
    let (name, roots) = ("free.test".parse::<DomainName>().unwrap(), at("keys").join("registry.pem"));
    assert_eq!(line(&roots, Some(&own)).check(&name).await, Ok(Availability::Free { yearly: YEARLY }));
    for (what, refused) in [
        ("no certificate", line(&roots, None)),
        ("another certificate", line(&roots, Some(&other))),
        ("a registry that nobody vouches for", line(&other.0, Some(&own))),
    ] {
        let said = refused.check(&name).await;
        assert!(matches!(said, Err(RegistryError::Transient(_))), "{what}: {said:?}");
    }
    served.abort();
}
