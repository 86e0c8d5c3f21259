//! What a registrar's client does to a name after it was bought, and what it does when the registry misbehaves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use purser_db::testing::{START, each_engine};
use purser_values::Money;
use purser_values::id::DomainId;
use purser_values::name::{DomainName, HostName};
use slipway_registrar::registry::epp::{Dial, Wire};
use slipway_registrar::registry::{Availability, Ds, Holder, Order, Registry as _, RegistryError, YEARLY};
use slipway_registry::serve;

use crate::support::{CLIENT, TABLES, World, client, pipes, world};

fn order(w: &World, name: &str) -> Order {
    let name_servers = w.registrar.name_servers.to_vec();
    Order { transaction: DomainId::mint(&w.env), name: name.parse().unwrap(), years: 1, price: YEARLY, name_servers, holder: None }
}

#[tokio::test]
async fn a_name_is_delegated_secured_locked_held_and_given_back() {
    each_engine(TABLES, |db| async {
        let w = world(db, 0).await;
        let (registry, name) = (client(&w.keeper, CLIENT, pipes(&w.keeper)), "shop.test".parse::<DomainName>().unwrap());
        assert_eq!(registry.info(&name).await.unwrap(), None);
        let made = registry.register(&order(&w, "shop.test")).await.unwrap();
        assert_eq!((made.registered_at, made.expires_at), (START, START.plus_months(12)));

        let other: Vec<HostName> = ["ns2.slipway.test", "ns.example.net"].iter().map(|it| it.parse().unwrap()).collect();
        let ds = Ds { key_tag: 4711, algorithm: 13, digest_type: 2, digest: "AB".repeat(32) };
        let holder = Holder {
            name: "Ada <Ada> & Co".to_owned(),
            organization: Some("Ada's".to_owned()),
            email: "ada@example.test".to_owned(),
            phone: "+47.22334455".to_owned(),
            street: "Storgata 1".to_owned(),
            city: "Oslo".to_owned(),
            state: None,
            postal_code: "0155".to_owned(),
            country: "NO".to_owned(),
        };
        for _ in 0..2 {
            registry.set_name_servers(&name, &other).await.unwrap();
            registry.set_ds(&name, std::slice::from_ref(&ds)).await.unwrap();
            registry.set_lock(&name, true).await.unwrap();
            registry.set_holder(&name, &holder).await.unwrap();
        }
        let held = registry.info(&name).await.unwrap().unwrap();
        let mut servers = held.name_servers.clone();
        servers.sort();
        let mut expected = other.clone();
        expected.sort();
        assert_eq!((servers, &held.ds, held.locked), (expected, &vec![ds], true));
        registry.set_ds(&name, &[]).await.unwrap();
        registry.set_lock(&name, false).await.unwrap();
        let held = registry.info(&name).await.unwrap().unwrap();
        assert!(held.ds.is_empty() && !held.locked);

        let stranger = client(&w.keeper, "another", pipes(&w.keeper));
        assert!(stranger.set_lock(&name, true).await.is_err());
        assert!(stranger.delete(&name).await.is_err());
        assert_eq!(stranger.register(&order(&w, "shop.test")).await, Err(RegistryError::Taken));

        for _ in 0..2 {
            registry.delete(&name).await.unwrap();
        }
        assert_eq!(registry.info(&name).await.unwrap(), None, "a fresh name is free again at once");
    })
    .await;
}

#[tokio::test]
async fn several_names_are_asked_for_at_once_with_their_prices() {
    each_engine(TABLES, |db| async {
        let w = world(db, 0).await;
        let names: Vec<DomainName> = ["free.test", "taken.test", "premium.test"].iter().map(|it| it.parse().unwrap()).collect();
        let answers = w.registry.check_all(&names).await.unwrap();
        let premium = Money::from_minor(1_500_00, YEARLY.currency());
        assert_eq!(answers, [Availability::Free { yearly: YEARLY }, Availability::Taken, Availability::Premium { yearly: premium }]);
        let dear = Order { price: Money::from_minor(1, YEARLY.currency()), ..order(&w, "free.test") };
        assert_eq!(w.registry.register(&order(&w, "sniped-it.test")).await, Err(RegistryError::Taken), "taken, and nobody is told by whom");
        assert!(matches!(w.registry.register(&dear).await, Err(RegistryError::Invalid(_))), "a name was sold at another price");
    })
    .await;
}

/// A line that dies after so many bytes were read from it, which is somewhere in an answer.
struct Dying {
    inner: tokio::io::DuplexStream,
    left: usize,
}

impl tokio::io::AsyncRead for Dying {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        if self.left == 0 {
            return std::task::Poll::Ready(Err(std::io::ErrorKind::ConnectionReset.into()));
        }
        let before = buf.filled().len();
        let polled = std::pin::Pin::new(&mut self.inner).poll_read(cx, buf);
        let read = buf.filled().len() - before;
        self.left = self.left.saturating_sub(read);
        polled
    }
}

impl tokio::io::AsyncWrite for Dying {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buf: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        std::pin::Pin::new(&mut self.inner).poll_write(cx, buf)
    }
    fn poll_flush(mut self: std::pin::Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.inner).poll_flush(cx)
    }
    fn poll_shutdown(mut self: std::pin::Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn wherever_the_line_dies_a_repeated_order_buys_one_name_and_knows_it_for_its_own() {
    each_engine(TABLES, |db| async {
        let w = world(db, 0).await;
        for cut in [200, 1_200, 1_600, 1_900, 2_200, 2_600, 3_000, 4_000] {
            let lines = Arc::new(AtomicU32::new(0));
            let (keeper, count) = (w.keeper.clone(), lines.clone());
            // The first two lines die; the third holds.
            let dial: Dial = Arc::new(move || {
                let left = if count.fetch_add(1, Ordering::SeqCst) < 2 { cut } else { usize::MAX };
                let wire: Box<dyn Wire> = Box::new(Dying { inner: serve::pipe(&keeper), left });
                Box::pin(std::future::ready(Ok(wire)))
            });
            let registry = client(&w.keeper, CLIENT, dial);
            let wanted = order(&w, &format!("cut-{cut}.test"));
            let mut bought = None;
            for _ in 0..6 {
                match registry.register(&wanted).await {
                    Ok(registration) => bought = Some(registration),
                    Err(RegistryError::Transient(_)) => {}
                    Err(e) => panic!("cut after {cut} bytes: {e}"),
                }
            }
            assert_eq!(bought.unwrap().expires_at, START.plus_months(12), "cut after {cut} bytes");
            assert_eq!(registry.register(&order(&w, &format!("cut-{cut}.test"))).await, Err(RegistryError::Taken), "another order of ours");
        }
    })
    .await;
}
