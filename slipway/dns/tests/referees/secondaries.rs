//! Other name servers that take our zones whole, and follow them.

use crate::support::{OURS, SECONDARY, Scene, alone, shown};

fn serial(said: &str) -> u32 {
    let soa = said.lines().find(|line| line.contains("\tSOA\t")).unwrap_or_default();
    soa.split_whitespace().nth(6).and_then(|word| word.parse().ok()).unwrap_or_default()
}

/// The secondary has the zone signed, and a change within seconds.
async fn follows(scene: Scene) {
    let (theirs, ours) = (format!("@{SECONDARY}"), format!("@{OURS}"));
    let copy = scene.until(&[&theirs, "shop.test", "SOA", "+dnssec"], |said| said.contains("NOERROR") && said.contains("RRSIG"));
    assert_eq!(serial(&copy), serial(&scene.kdig(&[&ours, "shop.test", "SOA"])));
    let denied = scene.kdig(&[&theirs, "gone.shop.test", "A", "+dnssec"]);
    assert!(denied.contains("NXDOMAIN") && denied.contains("NSEC3"), "{denied}");
    scene.put("later", "A", "192.0.2.99").await;
    scene.until(&[&theirs, "later.shop.test", "A"], |said| said.contains("192.0.2.99"));
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
        follows(scene).await;
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
        let mut nsd = scene.program("nsd", "usr/sbin/nsd");
        nsd.args(["-d", "-c", shown(&config)]);
        let _nsd = scene.start(nsd);
        follows(scene).await;
    });
}
