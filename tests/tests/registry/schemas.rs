//! Every document that our client and our registry say to each other, judged by xmllint with the schemas of the RFCs.

use std::fs;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use purser_db::testing::each_engine;
use purser_values::id::DomainId;
use purser_values::name::{DomainName, HostName};
use purser_values::{Currency, Money};
use slipway_registrar::contact;
use slipway_registrar::registry::epp::{Dial, Wire};
use slipway_registrar::registry::{Ds, Holder, Order, Registry as _, Renewal, YEARLY};
use slipway_registry::serve;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

use crate::foreign::Tools;
use crate::support::{CLIENT, TABLES, World, client, world};

type Said = Arc<Mutex<Vec<u8>>>;

/// A line that keeps what goes over it, in each direction.
struct Tap {
    inner: DuplexStream,
    heard: Said,
    told: Said,
}

impl AsyncRead for Tap {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        self.heard.lock().unwrap().extend_from_slice(&buf.filled()[before..]);
        polled
    }
}

impl AsyncWrite for Tap {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, buf);
        if let Poll::Ready(Ok(written)) = &polled {
            self.told.lock().unwrap().extend_from_slice(&buf[..*written]);
        }
        polled
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// Lines to the registry, each direction of each kept.
fn tapped(w: &World, all: &Arc<Mutex<Vec<Said>>>) -> Dial {
    let (keeper, all) = (w.keeper.clone(), all.clone());
    Arc::new(move || {
        let (heard, told) = (Said::default(), Said::default());
        all.lock().unwrap().extend([heard.clone(), told.clone()]);
        let wire: Box<dyn Wire> = Box::new(Tap { inner: serve::pipe(&keeper), heard, told });
        Box::pin(std::future::ready(Ok(wire)))
    })
}

/// The documents of a direction.
fn documents(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while let Some((header, rest)) = bytes.split_first_chunk::<4>() {
        let (document, next) = rest.split_at(u32::from_be_bytes(*header) as usize - 4);
        all.push(document.to_vec());
        bytes = next;
    }
    all
}

fn order(w: &World, name: &str, price: Money, holder: Option<Holder>) -> Order {
    let name_servers = w.registrar.name_servers.to_vec();
    Order { transaction: DomainId::mint(&w.env), name: name.parse().unwrap(), years: 1, price, name_servers, holder }
}

/// Everything that a registrar does, and what it is refused.
async fn a_life(w: &World, taps: &Arc<Mutex<Vec<Said>>>) {
    let (ours, theirs) = (client(&w.keeper, CLIENT, tapped(w, taps)), client(&w.keeper, "another", tapped(w, taps)));
    let said = serde_json::json!({"name": "Åda & <Søn>", "organization": "\"Ada\" AS", "email": "ada@example.test", "phone": "+47.22334455",
        "street": "Storgata 1", "city": "Oslo", "state": "Oslo", "postal_code": "0155", "country": "NO"});
    let holder = contact::read(said.as_object().unwrap()).unwrap();
    let (name, dear): (DomainName, DomainName) = ("shop.test".parse().unwrap(), "premium.test".parse().unwrap());
    let premium = Money::from_minor(1_500_00, Currency::USD);
    let names: Vec<DomainName> = ["shop.test", "taken.test", "premium.test", "not.kept"].iter().map(|it| it.parse().unwrap()).collect();
    ours.check_all(&names).await.unwrap();
    assert!(ours.register(&order(w, "shop.test", premium, None)).await.is_err());
    let bought = order(w, "shop.test", YEARLY, Some(holder.clone()));
    let made = ours.register(&bought).await.unwrap();
    ours.register(&bought).await.unwrap();
    ours.register(&order(w, "premium.test", premium, Some(holder.clone()))).await.unwrap();
    assert!(theirs.register(&order(w, "shop.test", YEARLY, None)).await.is_err());
    let other: Vec<HostName> = ["ns2.slipway.test", "ns.example.net"].iter().map(|it| it.parse().unwrap()).collect();
    ours.set_name_servers(&name, &other).await.unwrap();
    let ds = |tag| Ds { key_tag: tag, algorithm: 13, digest_type: 2, digest: "AB".repeat(32) };
    for wanted in [vec![ds(1)], vec![ds(1), ds(2)], vec![ds(2)], vec![]] {
        ours.set_ds(&name, &wanted).await.unwrap();
    }
    for on in [true, false] {
        ours.set_lock(&name, on).await.unwrap();
        ours.set_hold(&name, on).await.unwrap();
    }
    ours.set_holder(&name, &Holder { street: "Another 2".to_owned(), ..holder }).await.unwrap();
    ours.renew(&Renewal { name: name.clone(), from: made.expires_at, years: 1, price: None }).await.unwrap();
    ours.renew(&Renewal { name: dear.clone(), from: made.expires_at, years: 1, price: Some(premium) }).await.unwrap();
    assert!(ours.renew(&Renewal { name: "not.test".parse().unwrap(), from: made.expires_at, years: 1, price: None }).await.is_err());
    let secret = ours.transfer_secret(&bought.transaction);
    assert!(theirs.request_transfer(&name, &"wrong & <secret>".to_owned().into()).await.is_err());
    for agreed in [false, true] {
        theirs.request_transfer(&name, &secret).await.unwrap();
        ours.answer_transfer(&name, agreed).await.unwrap();
    }
    for line in [&ours, &theirs] {
        while let Some(message) = line.poll().await.unwrap() {
            line.acknowledge(&message.id).await.unwrap();
        }
        line.info(&name).await.ok();
    }
    assert!(theirs.delete(&dear).await.is_err());
    ours.delete(&dear).await.unwrap();
    ours.info(&dear).await.unwrap();
}

#[tokio::test]
async fn what_our_client_and_our_registry_say_is_what_the_schemas_allow() {
    let Some(tools) = Tools::find() else { return };
    let tools = Arc::new(tools);
    each_engine(TABLES, |db| async {
        let w = world(db, 0).await;
        let taps = Arc::default();
        a_life(&w, &taps).await;
        let folder = tempfile::tempdir().unwrap();
        let said: Vec<Vec<u8>> = taps.lock().unwrap().iter().flat_map(|said| documents(&said.lock().unwrap())).collect();
        let files: Vec<_> = (0..said.len()).map(|n| folder.path().join(format!("{n:03}.xml"))).collect();
        files.iter().zip(&said).for_each(|(file, document)| fs::write(file, document).unwrap());
        let all = said.iter().map(|document| String::from_utf8_lossy(document)).collect::<String>();
        for spoken in ["<greeting>", "<login>", "contact-1.0", "secDNS-1.1", "msgQ", "<renew>", "<transfer", "fee-1.0", "<delete"] {
            assert!(all.contains(spoken), "`{spoken}` was never said");
        }
        if let Some(wrong) = tools.judged(&files) {
            let first = wrong.lines().next().unwrap_or_default();
            let of = files.iter().position(|file| first.contains(&*file.to_string_lossy())).map(|n| String::from_utf8_lossy(&said[n]));
            panic!("{wrong}\n{}", of.unwrap_or_default());
        }
    })
    .await;
}
