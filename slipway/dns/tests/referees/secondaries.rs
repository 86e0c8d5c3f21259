//! Other name servers that take our zones whole, and follow them.

use std::time::Duration;

use crate::support::{OURS, SECONDARY, Scene, alone, shown};

/// Longer than we leave a secondary alone and the first repetition of what we tell it.
const FOLLOWS: Duration = Duration::from_secs(25);
/// NSD 4.6.1 now and then stops serving what it takes for as long as it runs, when that comes within its first seconds: it acknowledges each
/// notice and asks for nothing. Knot never does. So it may be started again.
const NSD_STARTS: u32 = 4;

fn serial(said: &str) -> u32 {
    let soa = said.lines().find(|line| line.contains("\tSOA\t")).unwrap_or_default();
    soa.split_whitespace().nth(6).and_then(|word| word.parse().ok()).unwrap_or_default()
}

/// The secondary has the zone signed, as ours is.
fn takes(scene: &Scene) {
    let (theirs, ours) = (format!("@{SECONDARY}"), format!("@{OURS}"));
    let copy = scene.until(&[&theirs, "shop.test", "SOA", "+dnssec"], |said| said.contains("NOERROR") && said.contains("RRSIG"));
    assert_eq!(serial(&copy), serial(&scene.kdig(&[&ours, "shop.test", "SOA"])));
    let denied = scene.kdig(&[&theirs, "gone.shop.test", "A", "+dnssec"]);
    assert!(denied.contains("NXDOMAIN") && denied.contains("NSEC3"), "{denied}");
}

/// A change is at the secondary within seconds; or what it says of it.
async fn follows(scene: &Scene, name: &str) -> Result<String, String> {
    scene.put(name, "A", "192.0.2.99").await;
    let asked = [&format!("@{SECONDARY}"), &*format!("{name}.shop.test"), "A"];
    scene.within(FOLLOWS, &asked, |said| said.contains("192.0.2.99"))
}

#[test]
fn knot_takes_the_zone_and_follows_it() {
    alone(|scene| async move {
        let folder = scene.folder.path().join("secondary");
        std::fs::create_dir_all(&folder).unwrap();
        let here = shown(&folder);
        let config = scene.file(
            "secondary.conf",
            &format!(
                "server:\n  rundir: {here}\n  listen: {SECONDARY}@53\ndatabase:\n  storage: {here}\nlog:\n  - target: stderr\n    any: warning\n\
                 remote:\n  - id: ours\n    address: {OURS}@53\n    via: {SECONDARY}\nacl:\n  - id: notify\n    address: 192.0.2.0/24\n    action: notify\n\
                 template:\n  - id: default\n    storage: {here}\nzone:\n  - domain: shop.test\n    master: ours\n    acl: notify\n"
            ),
        );
        let mut knot = scene.program("knot", "usr/sbin/knotd");
        knot.args(["-c", shown(&config)]);
        let _knot = scene.start(knot);
        takes(&scene);
        follows(&scene, "later").await.unwrap();
    });
}

#[test]
fn nsd_takes_the_zone_and_follows_it() {
    alone(|scene| async move {
        let here = scene.folder.path().display().to_string();
        let config = scene.file(
            "nsd.conf",
            &format!(
                "server:\n  server-count: 1\n  ip-address: {SECONDARY}@53\n  username: \"\"\n  zonesdir: \"{here}\"\n  pidfile: \"\"\n\
                 \x20 xfrdfile: \"{here}/xfrd.state\"\n  xfrdir: \"{here}\"\n  zonelistfile: \"{here}/zones.list\"\n  database: \"\"\n\
                 remote-control:\n  control-enable: no\nzone:\n  name: shop.test\n  zonefile: shop.zone\n\
                 \x20 request-xfr: AXFR {OURS} NOKEY\n  outgoing-interface: {SECONDARY}\n  allow-notify: 192.0.2.0/24 NOKEY\n"
            ),
        );
        for start in 0..NSD_STARTS {
            let mut nsd = scene.program("nsd", "usr/sbin/nsd");
            nsd.args(["-d", "-c", shown(&config)]);
            let _nsd = scene.start(nsd);
            takes(&scene);
            match follows(&scene, &format!("later{start}")).await {
                Ok(_) => return,
                Err(said) => println!("NSD does not serve a change, start {start}:\n{said}"),
            }
        }
        panic!("NSD served no change in {NSD_STARTS} starts");
    });
}
