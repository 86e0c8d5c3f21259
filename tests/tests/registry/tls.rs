//! The registry over TLS: whom it lets in, and whom the registrar's client trusts.

use std::fs;
use std::path::{Path, PathBuf};

use purser_values::name::DomainName;
use purser_values::{Env, Secret};
use slipway_registrar::registry::epp::{Account, EppRegistry, over_tls};
use slipway_registrar::registry::{Availability, Registry as _, RegistryError, YEARLY};
use slipway_registry::limits::{ADDRESS_TRIES, WAIT_MAX_S};
use slipway_registry::serve;
use tokio::net::TcpListener;

use crate::support::over_tcp;

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
    let (own, other) = (identity(folder.path(), "alpha"), identity(folder.path(), "other"));
    let config = over_tcp(folder.path(), PASSWORD, Some(own.0.clone()));
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

#[tokio::test]
async fn who_guesses_at_passwords_waits_and_who_says_nothing_useful_is_shown_out() {
    let folder = tempfile::tempdir().unwrap();
    let config = over_tcp(folder.path(), PASSWORD, None);
    let (env, clock) = Env::test(purser_db::testing::START, 4);
    let (registry, tls) = config.open(&env).await.unwrap();
    let listener = TcpListener::bind(config.listen).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = tokio::spawn(serve::listen(registry, listener, tls, std::future::pending()));
    let roots = folder.path().join("keys/registry.pem");
    let line = |password: &str| {
        let dial = over_tls("localhost", port, &roots, None).unwrap();
        let account = Account { id: "alpha".to_owned(), password: Secret::new(password.to_owned()) };
        EppRegistry::new(vec!["test".to_owned()], YEARLY, account, dial, Secret::new(vec![1; 32]), Env::system())
    };
    let name: DomainName = "free.test".parse().unwrap();
    for _ in 0..=ADDRESS_TRIES {
        assert!(line("a-wrong-one").check(&name).await.is_err());
    }
    assert!(line(PASSWORD).check(&name).await.is_err(), "guesses go on at once");
    clock.advance_secs(WAIT_MAX_S);
    assert!(line(PASSWORD).check(&name).await.is_ok(), "the wait has no end");
    served.abort();
}
