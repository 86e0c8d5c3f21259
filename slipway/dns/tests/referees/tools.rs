//! Tools that check signatures: the whole zone at once, and answer by answer.

use std::process::Command;

use crate::support::{OURS, alone, good, shown};

#[test]
fn ldns_verifies_the_whole_zone() {
    alone(|scene| async move {
        let whole = scene.kdig(&[&format!("@{OURS}"), "-b", OURS, "shop.test", "AXFR", "+noall", "+answer"]);
        // The last record is the first again.
        let whole = whole.trim_end().rsplit_once('\n').map_or_else(String::new, |(rest, _)| format!("{rest}\n"));
        assert!(whole.lines().count() > 60 && whole.contains("NSEC3PARAM"), "{whole}");
        let file = scene.file("zone", &whole);
        good(scene.program("ldns", "usr/bin/ldns-verify-zone").args(["-V", "3", shown(&file)]));
        // It can say no: a signature that is another's.
        let broken = scene.file("broken", &whole.replacen("192.0.2.10", "192.0.2.66", 1));
        let verdict = scene.program("ldns", "usr/bin/ldns-verify-zone").arg(broken).output().unwrap();
        assert!(!verdict.status.success());
    });
}

#[test]
fn delv_validates_every_kind_of_answer() {
    alone(|scene| async move {
        let words: Vec<&str> = scene.ds.split(' ').collect();
        let anchor = format!("trust-anchors {{ \"shop.test.\" static-ds {} {} {} \"{}\"; }};", words[0], words[1], words[2], words[3]);
        let anchor = scene.file("anchor", &anchor);
        let on_path = Command::new("delv").arg("-v").output().is_ok();
        for (name, kind, verdict) in [
            ("shop.test", "A", "; fully validated"),
            ("shop.test", "SOA", "; fully validated"),
            ("www.shop.test", "A", "; fully validated"),
            ("_sip._tcp.shop.test", "SRV", "; fully validated"),
            ("svc.shop.test", "HTTPS", "; fully validated"),
            ("x.wild.shop.test", "TXT", "; fully validated"),
            ("x.y.wild.shop.test", "TXT", "; fully validated"),
            ("shop.test", "SRV", "; negative response, fully validated"),
            ("very.deep.shop.test", "A", "; negative response, fully validated"),
            ("x.wild.shop.test", "A", "; negative response, fully validated"),
            ("gone.shop.test", "A", "; negative response, fully validated"),
            ("a.b.c.gone.shop.test", "A", "; negative response, fully validated"),
            ("sub.shop.test", "DS", "; negative response, fully validated"),
            ("safe.shop.test", "DS", "; fully validated"),
        ] {
            let mut delv = if on_path { Command::new("delv") } else { scene.program("bind", "usr/bin/delv") };
            let said = good(delv.args([&format!("@{OURS}"), "-a", shown(&anchor), "+root=shop.test", name, kind]));
            assert!(said.contains(verdict), "{name} {kind}:\n{said}");
        }
    });
}

#[test]
fn kdig_sees_what_the_rfcs_say_of_edns_truncation_and_refusals() {
    alone(|scene| async move {
        let at = format!("@{OURS}");
        for i in 0..6 {
            scene.put("long", "TXT", &format!("\"{i}{}\"", "x".repeat(240))).await;
        }
        let ask = |args: &[&str]| scene.kdig(&[&[at.as_str()], args].concat());
        let plain = ask(&["long.shop.test", "TXT", "+ignore", "+noedns"]);
        assert!(plain.contains("tc;") || plain.contains(" tc"), "{plain}");
        assert!(ask(&["long.shop.test", "TXT", "+tcp"]).contains("ANSWER: 6"));
        assert!(ask(&["shop.test", "A", "+edns=1"]).contains("BADVERS"));
        assert!(ask(&["shop.test", "A", "+dnssec"]).contains("RRSIG"));
        assert!(!ask(&["shop.test", "A"]).contains("RRSIG"));
        assert!(ask(&["example.com", "A"]).contains("REFUSED"));
        assert!(ask(&["shop.test", "ANY"]).contains("RFC8482"));
        // Whole zones are for secondaries only: this comes from another address.
        let refused = ask(&["-b", "192.0.2.3", "shop.test", "AXFR"]);
        assert!(refused.contains("REFUSED"), "{refused}");
    });
}
