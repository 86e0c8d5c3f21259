//! Certificates from an authority that somebody else wrote (Pebble): proved over HTTP and by a record, kept over a restart, renewed.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use http::Method;
use purser_tests::binaries::missing;
use serde_json::json;
use slipway::config::{Acme, ProveBy};
use tokio::process::{Child, Command};
use url::Url;

use super::support::World;

/// Life of a certificate here, in seconds: it is renewed after less than two thirds of it.
const LIFE_S: u64 = 18;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_site_gets_its_certificate_from_the_authority_over_http_and_a_newer_one_in_time() {
    let Some(pebble) = pebble() else { return };
    let Some((world, mut authority)) = authority(&pebble, ProveBy::Http).await else { return };
    site(&world, "acme-http.test").await;
    let first = certificate(&world, &authority.root().await, "acme-http.test", &[]).await;
    assert!(std::fs::read(world.folder.path().join("slipway.db")).unwrap().windows(11).all(|w| w != b"PRIVATE KEY"));

    let second = certificate(&world, &authority.root().await, "acme-http.test", &[&first]).await;
    assert_ne!(first, second, "it was renewed while it still held");
    let nobody = client(&world, &authority.root().await, "nobody.test").get("https://nobody.test/").send().await;
    assert!(nobody.is_err(), "a name that does not route has no certificate");

    // the authority is gone, and what it issued is served all the same
    authority.process.kill().await.unwrap();
    let world = world.restart().await;
    let held = served(&world, "acme-http.test").await;
    assert!(held.is_some(), "what was issued did not outlive a restart");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_in_our_own_zone_is_proved_by_a_record_that_goes_again() {
    let Some(pebble) = pebble() else { return };
    let Some((world, authority)) = authority(&pebble, ProveBy::Dns).await else { return };
    let account = site(&world, "acme-dns.test").await;
    certificate(&world, &authority.root().await, "acme-dns.test", &[]).await;
    let account = account.parse().unwrap();
    let zone = "acme-dns.test".parse().unwrap();
    let until = Instant::now() + PATIENCE;
    loop {
        let (account, zone) = (Clone::clone(&account), Clone::clone(&zone));
        let records = world.cloud.db.read(move |tx| slipway_dns::zone::get::record_list(tx, &account, &zone)).await.unwrap();
        if !records.iter().any(|record| record.owner.as_str().starts_with("_acme-challenge.")) {
            break;
        }
        assert!(Instant::now() < until, "the proof stays in the zone: {records:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn pebble() -> Option<PathBuf> {
    let found = std::env::var_os("PURSER_EDGE_PEERS").map(|folder| Path::new(&folder).join("pebble"));
    if found.is_none() {
        missing("PURSER_EDGE_PEERS");
    }
    found
}

/// Pebble, and a slipway that gets its certificates from it.
async fn authority(pebble: &Path, prove_by: ProveBy) -> Option<(World, Authority)> {
    let folder = tempfile::tempdir().unwrap();
    let [directory, management] = [free_port(), free_port()];
    // Pebble's own https is vouched for by an authority that only the configuration names
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let ca_file = folder.path().join("cert.pem");
    std::fs::write(&ca_file, made.cert.pem()).unwrap();
    std::fs::write(folder.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let acme = Acme {
        directory: Url::parse(&format!("https://localhost:{}/dir", directory.port())).unwrap(),
        email: Some("ops@cloud.test".parse().unwrap()),
        terms_agreed: true,
        ca_file: Some(ca_file),
        prove_by,
        external_account: None,
    };
    let world = World::configured(|config| config.acme = Some(acme)).await?;
    let config = json!({"pebble": {
        "listenAddress": directory, "managementListenAddress": management,
        "certificate": folder.path().join("cert.pem"), "privateKey": folder.path().join("key.pem"),
        // nobody answers at port 1: then a name that is proved was not proved over HTTP
        "httpPort": if prove_by == ProveBy::Http { world.edge_http.port() } else { 1 }, "tlsPort": 1, "ocspResponderURL": "", "externalAccountBindingRequired": false,
        "certificateValidityPeriod": LIFE_S,
    }});
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    let mut command = Command::new(pebble);
    command.arg("-config").arg(folder.path().join("config.json"));
    command
        .arg("-dnsserver")
        .arg(world.cloud.nameserver.addr.to_string())
        .env("PEBBLE_VA_NOSLEEP", "1")
        .env("PEBBLE_WFE_NONCEREJECT", "20");
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).kill_on_drop(true);
    let authority = Authority { management, folder, process: command.spawn().unwrap() };
    authority.root().await;
    Some((world, authority))
}

struct Authority {
    management: SocketAddr,
    folder: tempfile::TempDir,
    process: Child,
}

impl Authority {
    /// The root that its certificates lead to; made anew at every start.
    async fn root(&self) -> reqwest::Certificate {
        let client = reqwest::Client::builder().no_proxy().tls_danger_accept_invalid_certs(true).build().unwrap();
        let url = format!("https://{}/roots/0", self.management);
        let until = Instant::now() + PATIENCE;
        loop {
            match client.get(&url).send().await {
                Ok(answer) if answer.status().is_success() => {
                    return reqwest::Certificate::from_pem(&answer.bytes().await.unwrap()).unwrap();
                }
                other => assert!(Instant::now() < until, "the authority does not start: {other:?}\n{}", self.log()),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }
}

/// A Worker on a domain of its own; the account.
async fn site(world: &World, domain: &str) -> String {
    let customer = world.customer("ada").await;
    let workers = world.workers(&customer, "agt_a").await;
    world.domain(&customer, domain, "agt_a").await;
    let (status, said) = world.upload(&workers, "shop", "export default { fetch() { return new Response('hello') } }").await;
    assert!(status.is_success(), "{said}");
    let path = format!("/accounts/{}/workers/scripts/shop/domains/records", workers.account);
    let (status, said) = world.api(&workers.token, Method::PUT, &path, Some(json!({"origins": [{"hostname": domain}]}))).await;
    assert!(status.is_success(), "{said}");
    customer.account
}

fn client(world: &World, root: &reqwest::Certificate, host: &str) -> reqwest::Client {
    let builder = reqwest::Client::builder().no_proxy().tls_certs_only([root.clone()]).tls_info(true).pool_max_idle_per_host(0);
    builder.resolve(host, world.edge_https).build().unwrap()
}

/// The certificate that a visitor verified and got an answer under; not one of those.
async fn certificate(world: &World, root: &reqwest::Certificate, host: &str, not: &[&Vec<u8>]) -> Vec<u8> {
    let until = Instant::now() + PATIENCE;
    loop {
        let answer = client(world, root, host).get(format!("https://{host}/")).send().await;
        if let Ok(answer) = &answer {
            let found = answer.extensions().get::<reqwest::tls::TlsInfo>().unwrap().peer_certificate().unwrap().to_vec();
            if !not.contains(&&found) {
                assert_eq!(answer.status().as_u16(), 200);
                return found;
            }
        } else if !not.is_empty() {
            panic!("a visitor met no certificate while it was renewed: {answer:?}");
        }
        assert!(Instant::now() < until, "no certificate: {answer:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The certificate that is served, whoever vouches for it and whether it still holds.
async fn served(world: &World, host: &str) -> Option<Vec<u8>> {
    let builder = reqwest::Client::builder().no_proxy().tls_danger_accept_invalid_certs(true).tls_info(true);
    let client = builder.resolve(host, world.edge_https).build().unwrap();
    let answer = client.get(format!("https://{host}/")).send().await.ok()?;
    Some(answer.extensions().get::<reqwest::tls::TlsInfo>()?.peer_certificate()?.to_vec())
}

fn free_port() -> SocketAddr {
    std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}
