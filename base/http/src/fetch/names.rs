//! What a name stands for is decided where the connection is made: names of strangers, through whole exchanges.

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use tokio::net::TcpListener;

/// Public, and nobody answers there on a port of ours.
const PUBLIC: &str = "2606:4700::1";

/// A service of this machine that counts who connects, and a fetcher to whom every name stands for these addresses: one answer for
/// each look-up, the last one for ever.
struct Scene {
    fetcher: Fetcher,
    port: u16,
    asked: Arc<AtomicUsize>,
    reached: Arc<AtomicUsize>,
}

impl Scene {
    async fn new(answers: &[&[&str]]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (asked, reached) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let count = reached.clone();
        tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        let answers: Vec<Vec<std::net::SocketAddr>> =
            answers.iter().map(|ips| ips.iter().map(|ip| (ip.parse::<IpAddr>().unwrap(), 0).into()).collect()).collect();
        let times = asked.clone();
        let names: LookUp = Arc::new(move |_| {
            let at = times.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
            let answer = answers[at].clone();
            Box::pin(async move { Ok(answer) })
        });
        Self { fetcher: Fetcher::asking(names, vec![]).unwrap(), port, asked, reached }
    }

    async fn fetch(&self) -> FetchError {
        let url = Url::parse(&format!("https://a.test:{}/", self.port)).unwrap();
        let limits = FetchLimits { timeout: Duration::from_millis(500), ..FetchLimits::default() };
        self.fetcher.send(Method::GET, &url, HeaderMap::new(), Bytes::new(), limits).await.unwrap_err()
    }

    fn counts(&self) -> (usize, usize) {
        (self.asked.load(Ordering::SeqCst), self.reached.load(Ordering::SeqCst))
    }
}

#[tokio::test]
async fn a_name_of_a_stranger_that_stands_for_anything_inside_is_refused_before_a_connection() {
    for inside in [
        &["127.0.0.1"][..],
        &["10.0.0.1"],
        &["169.254.169.254"],
        &["192.168.1.1"],
        &["::1"],
        &["fd00::1"],
        &["fe80::1"],
        &["::ffff:127.0.0.1"],
        &["::ffff:169.254.169.254"],
        &["64:ff9b::7f00:1"],
        &[PUBLIC, "127.0.0.1"],
        &["127.0.0.1", PUBLIC],
    ] {
        let scene = Scene::new(&[inside]).await;
        let refused = scene.fetch().await;
        assert!(matches!(refused, FetchError::Forbidden { .. }), "{inside:?}: {refused}");
        assert_eq!(scene.counts(), (1, 0), "{inside:?}");
    }
}

#[tokio::test]
async fn a_name_that_was_public_when_it_was_checked_cannot_be_this_machine_when_it_is_connected() {
    let scene = Scene::new(&[&[PUBLIC], &["127.0.0.1"]]).await;
    // what is connected is the one answer that was checked: nothing is looked up a second time
    let gone = scene.fetch().await;
    assert!(matches!(gone, FetchError::Network { .. } | FetchError::Timeout { .. }), "{gone}");
    assert_eq!(scene.counts(), (1, 0));
    let refused = scene.fetch().await;
    assert!(matches!(refused, FetchError::Forbidden { .. }), "{refused}");
    assert_eq!(scene.counts(), (2, 0));
}
