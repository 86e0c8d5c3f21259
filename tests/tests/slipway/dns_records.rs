//! Records over the Cloudflare API: as a client of the contract sees them.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Workers, World, multipart};

struct Zone {
    world: World,
    own: Workers,
    path: String,
}

impl Zone {
    async fn new() -> Option<Self> {
        let world = World::start().await?;
        let ada = world.customer("ada").await;
        let own = world.workers(&ada, "agt_ada").await;
        world.domain(&ada, "hers.test", "agt_ada").await;
        let (_, zones) = world.api(&own.token, Method::GET, "/zones", None).await;
        let path = format!("/zones/{}/dns_records", zones["result"][0]["id"].as_str().unwrap());
        Some(Self { world, own, path })
    }

    async fn call(&self, method: Method, below: &str, body: Option<Value>) -> (StatusCode, Value) {
        self.world.api(&self.own.token, method, &format!("{}{below}", self.path), body).await
    }

    async fn made(&self, body: Value) -> Value {
        let (status, answer) = self.call(Method::POST, "", Some(body)).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer["result"].clone()
    }

    async fn names(&self, query: &str) -> Vec<String> {
        let (status, answer) = self.call(Method::GET, query, None).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer["result"].as_array().unwrap().iter().map(|r| r["name"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn a_record_is_made_changed_and_removed_and_twice_is_once() {
    let Some(zone) = Zone::new().await else { return };
    let new = json!({"name": "www", "type": "A", "content": "192.0.2.1", "ttl": 1, "comment": "mine", "tags": ["team:web"]});
    let made = zone.made(new.clone()).await;
    assert_eq!((&made["name"], &made["ttl"], &made["proxied"]), (&json!("www.hers.test"), &json!(1), &json!(false)));
    assert_eq!(zone.made(new).await, made);
    let id = format!("/{}", made["id"].as_str().unwrap());
    let (_, edited) = zone.call(Method::PATCH, &id, Some(json!({"content": "192.0.2.2", "ttl": 600}))).await;
    assert_eq!((&edited["result"]["content"], &edited["result"]["comment"]), (&json!("192.0.2.2"), &json!("mine")));
    let whole = json!({"name": "www.hers.test", "type": "MX", "content": "mail.hers.test", "priority": 5});
    let (_, put) = zone.call(Method::PUT, &id, Some(whole)).await;
    assert_eq!((&put["result"]["priority"], &put["result"]["comment"]), (&json!(5), &Value::Null));
    assert_eq!(zone.call(Method::GET, &id, None).await.1["result"], put["result"]);
    for _ in 0..2 {
        let (status, gone) = zone.call(Method::DELETE, &id, None).await;
        assert_eq!((status, &gone["result"]["id"]), (StatusCode::OK, &made["id"]));
    }
    let (status, missing) = zone.call(Method::GET, &id, None).await;
    assert_eq!((status, &missing["errors"][0]["code"]), (StatusCode::NOT_FOUND, &json!(81_044)));
}

#[tokio::test]
async fn refusals_have_the_numbers_that_clients_know() {
    let Some(zone) = Zone::new().await else { return };
    zone.made(json!({"name": "www", "type": "A", "content": "192.0.2.1"})).await;
    for (body, code) in [
        (json!({"name": "www", "type": "A", "content": "192.0.2.1", "comment": "other words"}), 81_058),
        (json!({"name": "www", "type": "CNAME", "content": "a.example"}), 81_053),
        (json!({"name": "x", "type": "A", "content": "2001:db8::1"}), 9_005),
        (json!({"name": "x", "type": "AAAA", "content": "192.0.2.1"}), 9_006),
        (json!({"name": "x", "type": "CNAME", "content": "two words"}), 9_007),
        (json!({"name": "x", "type": "A", "content": "192.0.2.1", "ttl": 7}), 9_021),
        (json!({"name": "x", "type": "TXT", "content": "x", "proxied": true}), 9_041),
        (json!({"name": "x y", "type": "A", "content": "192.0.2.1"}), 9_000),
        (json!({"name": "@", "type": "NS", "content": "ns.example"}), 1_004),
        (json!({"type": "A", "content": "192.0.2.1"}), 1_004),
    ] {
        let (status, answer) = zone.call(Method::POST, "", Some(body.clone())).await;
        assert_eq!((status, &answer["errors"][0]["code"]), (StatusCode::BAD_REQUEST, &json!(code)), "{body}: {answer}");
    }
    let (status, answer) = zone.world.api(&zone.own.token, Method::POST, "/zones", Some(json!({"name": "example.com"}))).await;
    assert_eq!((status, &answer["errors"][0]["code"]), (StatusCode::BAD_REQUEST, &json!(1_049)));
}

#[tokio::test]
async fn types_with_several_fields_are_taken_as_fields_and_shown_as_both() {
    let Some(zone) = Zone::new().await else { return };
    for (kind, data, content) in [
        ("SRV", json!({"priority": 1, "weight": 2, "port": 443, "target": "a.hers.test"}), "1 2 443 a.hers.test"),
        ("CAA", json!({"flags": 0, "tag": "issue", "value": "ca.example"}), "0 issue \"ca.example\""),
        ("HTTPS", json!({"priority": 1, "target": ".", "value": "alpn=\"h2\""}), "1 . alpn=\"h2\""),
        ("SSHFP", json!({"algorithm": 4, "type": 2, "fingerprint": "ab".repeat(32)}), &format!("4 2 {}", "ab".repeat(32))),
    ] {
        let made = zone.made(json!({"name": format!("t-{kind}"), "type": kind, "data": data})).await;
        assert_eq!((&made["data"], made["content"].as_str().unwrap()), (&data, content));
    }
}

#[tokio::test]
async fn lists_are_filtered_sorted_and_paged() {
    let Some(zone) = Zone::new().await else { return };
    for (name, kind, content) in [("b", "A", "192.0.2.1"), ("a", "AAAA", "2001:db8::1"), ("c", "TXT", "words"), ("ab", "A", "192.0.2.2")] {
        zone.made(json!({"name": name, "type": kind, "content": content, "tags": [format!("is:{name}")]})).await;
    }
    for (query, names) in [
        ("", vec!["a", "ab", "b", "c"]),
        ("?direction=desc&order=name", vec!["c", "b", "ab", "a"]),
        ("?type=A", vec!["ab", "b"]),
        ("?name.startswith=a", vec!["a", "ab"]),
        ("?name[exact]=a.hers.test", vec!["a"]),
        ("?match=any&type=TXT&content.contains=db8", vec!["a", "c"]),
        ("?tag.exact=is:b", vec!["b"]),
        ("?search=WORDS", vec!["c"]),
        ("?per_page=3&page=2", vec!["c"]),
        ("?per_page=3&page=3", vec![]),
    ] {
        let names: Vec<String> = names.iter().map(|n| format!("{n}.hers.test")).collect();
        assert_eq!(zone.names(query).await, names, "{query}");
    }
}

#[tokio::test]
async fn a_batch_is_all_or_nothing_and_a_zone_file_goes_round() {
    let Some(zone) = Zone::new().await else { return };
    let old = zone.made(json!({"name": "www", "type": "CNAME", "content": "a.example"})).await;
    let keep = zone.made(json!({"name": "keep", "type": "A", "content": "192.0.2.1"})).await;
    let batch = |new: &str| {
        json!({"posts": [{"name": "www", "type": "A", "content": new}], "deletes": [{"id": old["id"]}],
            "patches": [{"id": keep["id"], "content": "192.0.2.9"}], "puts": []})
    };
    let (status, _) = zone.call(Method::POST, "/batch", Some(batch("no address"))).await;
    assert_eq!((status, zone.names("?type=CNAME").await.len()), (StatusCode::BAD_REQUEST, 1));
    let (status, done) = zone.call(Method::POST, "/batch", Some(batch("192.0.2.2"))).await;
    assert_eq!(status, StatusCode::OK, "{done}");
    let done = &done["result"];
    assert_eq!((&done["deletes"][0]["id"], &done["patches"][0]["content"]), (&old["id"], &json!("192.0.2.9")));
    let imported = b"$ORIGIN hers.test.\nmail 300 IN MX 5 mx\nwww 300 IN A 192.0.2.2\n@ 60 IN TXT ( \"one\" \"two\" )\n";
    let (kind, form) = multipart(&[("file", None, imported), ("proxied", None, b"false")]);
    let path = format!("{}/import", zone.path);
    let (status, answer) = zone.world.api_raw(&zone.own.token, Method::POST, &path, &kind, form).await;
    assert_eq!((status, &answer["result"]), (StatusCode::OK, &json!({"recs_added": 2, "total_records_parsed": 3})), "{answer}");
    assert_eq!(zone.names("?content=onetwo").await, ["hers.test"]);
}

#[tokio::test]
async fn a_zone_is_signed_and_unsigned_and_says_what_its_parent_needs() {
    let Some(zone) = Zone::new().await else { return };
    let path = zone.path.replace("/dns_records", "/dnssec");
    let call = async |method: Method, body: Option<Value>| zone.world.api(&zone.own.token, method, &path, body).await;
    assert_eq!(call(Method::GET, None).await.1["result"]["status"], "disabled");
    let mut first = Value::Null;
    for _ in 0..2 {
        let (status, signed) = call(Method::PATCH, Some(json!({"status": "active"}))).await;
        let signed = &signed["result"];
        assert_eq!(
            (status, &signed["status"], &signed["algorithm"], &signed["flags"]),
            (StatusCode::OK, &json!("pending"), &json!("13"), &json!(257))
        );
        let line = format!("hers.test. 3600 IN DS {} 13 2 {}", signed["key_tag"], signed["digest"].as_str().unwrap());
        assert_eq!(signed["ds"], line);
        assert!(first.is_null() || first == signed["ds"]);
        first = signed["ds"].clone();
    }
    assert_eq!(call(Method::DELETE, None).await.0, StatusCode::BAD_REQUEST);
    let (_, off) = call(Method::PATCH, Some(json!({"status": "disabled"}))).await;
    assert_eq!(off["result"]["status"], "disabled");
    assert_eq!(call(Method::DELETE, None).await.0, StatusCode::OK);
}
