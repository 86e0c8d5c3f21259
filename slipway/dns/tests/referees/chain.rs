//! A private root, a private `test`, and a resolver that believes the root only.

use std::collections::BTreeSet;

use crate::support::{OURS, RESOLVER, ROOT, SECONDARY as SECOND, Scene, alone, good, said, shown};

/// What Zonemaster says of a zone in a network like this one, each with the reason why it stays.
const BASELINE: &str = include_str!("zonemaster.txt");

/// Knot serves and signs the root and `test`; both name keys below them. The answer is the root's line for resolvers.
fn parents(scene: &Scene) -> (std::process::Command, String) {
    let folder = scene.folder.path().join("knot");
    std::fs::create_dir_all(&folder).unwrap();
    let here = shown(&folder);
    let config = scene.file(
        "knot.conf",
        &format!(
            "server:\n  rundir: {here}\n  listen: {ROOT}@53\ndatabase:\n  storage: {here}\nlog:\n  - target: stderr\n    any: warning\n\
             policy:\n  - id: manual\n    manual: on\n    algorithm: ecdsap256sha256\n    single-type-signing: on\n\
             template:\n  - id: default\n    storage: {here}\n    dnssec-signing: on\n    dnssec-policy: manual\n    zonefile-sync: -1\n    zonefile-load: whole\n    journal-content: none\n\
             zone:\n  - domain: .\n    file: root.zone\n  - domain: test.\n    file: test.zone\n"
        ),
    );
    let keymgr = |args: &[&str]| good(scene.program("knot", "usr/sbin/keymgr").args(["-c", shown(&config)]).args(args));
    for zone in [".", "test."] {
        keymgr(&[zone, "generate", "algorithm=ecdsap256sha256", "ksk=yes", "zsk=yes"]);
    }
    let ds = |zone: &str| keymgr(&[zone, "ds"]).lines().find(|line| line.contains(" 13 2 ")).expect("a DS with SHA-256").to_owned();
    let (root_ds, test_ds) = (ds("."), ds("test."));
    let soa = "SOA ns.test. host.test. 1 3600 600 86400 30";
    std::fs::write(
        folder.join("root.zone"),
        format!("$TTL 300\n. {soa}\n. NS ns.root.test.\ntest. NS ns.root.test.\nns.root.test. A {ROOT}\n{test_ds}\n"),
    )
    .unwrap();
    std::fs::write(
        folder.join("test.zone"),
        format!(
            "$TTL 300\ntest. {soa}\ntest. NS ns.root.test.\nns.root.test. A {ROOT}\nns1.slipway.test. A {OURS}\nns2.slipway.test. A {SECOND}\n\
             shop.test. NS ns1.slipway.test.\nshop.test. NS ns2.slipway.test.\nshop.test. DS {}\n",
            scene.ds
        ),
    )
    .unwrap();
    let mut command = scene.program("knot", "usr/sbin/knotd");
    command.args(["-c", shown(&config)]);
    (command, root_ds)
}

#[test]
fn unbound_validates_from_a_private_root() {
    alone(|scene| async move {
        let (knot, root_ds) = parents(&scene);
        let _knot = scene.start(knot);
        let _second = scene.second(SECOND).await;
        let hints = scene.file("hints", &format!(". 3600 NS ns.root.test.\nns.root.test. 3600 A {ROOT}\n"));
        let config = scene.file(
            "unbound.conf",
            &format!(
                "server:\n  interface: {RESOLVER}\n  access-control: 192.0.2.0/24 allow\n  outgoing-interface: {RESOLVER}\n  do-ip6: no\n\
                 \x20 username: \"\"\n  chroot: \"\"\n  directory: \"{}\"\n  pidfile: \"\"\n  use-syslog: no\n  module-config: \"validator iterator\"\n\
                 \x20 root-hints: \"{}\"\n  trust-anchor: \"{}\"\n  local-zone: \"test.\" nodefault\n  qname-minimisation: yes\n  verbosity: 1\n\
                 remote-control:\n  control-enable: no\n",
                scene.folder.path().display(),
                shown(&hints),
                root_ds.trim()
            ),
        );
        let mut unbound = scene.program("unbound", "usr/sbin/unbound");
        unbound.args(["-d", "-p", "-c", shown(&config)]);
        let _unbound = scene.start(unbound);
        let at = format!("@{RESOLVER}");
        scene.until(&[&at, "shop.test", "A", "+dnssec"], |said| said.contains("NOERROR") && said.contains("192.0.2.10"));
        for (name, kind, status) in [
            ("shop.test", "A", "NOERROR"),
            ("www.shop.test", "A", "NOERROR"),
            ("shop.test", "DNSKEY", "NOERROR"),
            ("x.wild.shop.test", "TXT", "NOERROR"),
            ("x.wild.shop.test", "A", "NOERROR"),
            ("very.deep.shop.test", "A", "NOERROR"),
            ("shop.test", "SRV", "NOERROR"),
            ("gone.shop.test", "A", "NXDOMAIN"),
            ("a.b.gone.shop.test", "A", "NXDOMAIN"),
            ("safe.shop.test", "DS", "NOERROR"),
            ("sub.shop.test", "DS", "NOERROR"),
        ] {
            let said = scene.kdig(&[&at, name, kind, "+dnssec"]);
            let flags = said.lines().find(|line| line.contains("Flags:")).unwrap_or_default();
            assert!(said.contains(&format!("status: {status}")) && flags.contains(" ad"), "{name} {kind} is not validated:\n{said}");
        }
        // What is delegated without keys is not validated, and not refused.
        let unsigned = scene.kdig(&[&at, "ns.sub.shop.test", "A", "+dnssec"]);
        assert!(!unsigned.contains(" ad;"), "{unsigned}");
    });
}

#[test]
fn zonemaster_finds_nothing_beyond_what_is_explained() {
    alone(|scene| async move {
        let (knot, _) = parents(&scene);
        let _knot = scene.start(knot);
        let _second = scene.second(SECOND).await;
        let at = format!("@{ROOT}");
        scene.until(&[&at, "test", "DNSKEY", "+dnssec"], |said| said.contains("RRSIG"));
        let hints = scene.file("hints", &format!(". 3600 NS ns.root.test.\nns.root.test. 3600 A {ROOT}\n"));
        let root = scene.peers.join("zonemaster/root");
        let found: Vec<_> = std::fs::read_dir(root.join("usr/lib")).unwrap().flatten().map(|entry| entry.path()).collect();
        let below = |name: &str| {
            found.iter().flat_map(|arch| std::fs::read_dir(arch.join(name)).ok()).flatten().flatten().map(|e| e.path()).collect::<Vec<_>>()
        };
        let modules = [vec![root.join("usr/share/perl5")], below("perl5")].concat();
        let mut zonemaster = std::process::Command::new("perl");
        zonemaster.arg(root.join("usr/bin/zonemaster-cli")).env("PERL5LIB", std::env::join_paths(modules).unwrap());
        zonemaster.env("LD_LIBRARY_PATH", std::env::join_paths(&found).unwrap());
        let said =
            said(zonemaster.args(["--hints", shown(&hints), "--raw", "--level", "NOTICE", "--no-ipv6", "--no-progress", "shop.test"]));
        let levels = ["NOTICE", "WARNING", "ERROR", "CRITICAL"];
        let word = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            words.windows(2).find(|pair| levels.contains(&pair[0])).map(|pair| format!("{} {}", pair[0], pair[1].trim_end_matches(':')))
        };
        let found: BTreeSet<String> = said.lines().filter_map(word).collect();
        let explained: BTreeSet<String> = BASELINE.lines().filter(|line| !line.starts_with('#')).filter_map(word).collect();
        let new: Vec<_> = found.difference(&explained).collect();
        assert!(new.is_empty() && !said.contains("Can't"), "{new:?}\n{said}");
    });
}
