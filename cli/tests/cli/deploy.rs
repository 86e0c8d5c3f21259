use std::fs;

use serde_json::{Value, json};

use super::support::World;

/// The parts of a form: name, content type, body.
fn parts(world: &World) -> Vec<(String, String, String)> {
    let request = world.orchestrator.requests("POST /v1/deployments").pop().unwrap();
    let boundary = request.headers["content-type"].split_once("boundary=").unwrap().1.to_owned();
    let body = String::from_utf8_lossy(&request.body).into_owned();
    let value = |head: &str, after: &str, end: char| {
        head.split_once(after).map_or_else(String::new, |(_, v)| v.split(end).next().unwrap().to_owned())
    };
    body.split(&format!("--{boundary}"))
        .filter_map(|part| part.trim_start_matches("\r\n").split_once("\r\n\r\n"))
        .map(|(head, body)| (value(head, " name=\"", '"'), value(head, "Content-Type: ", '\r'), body.trim_end_matches("\r\n").to_owned()))
        .collect()
}

fn answer(world: &World, digest: &str) {
    let live = json!({ "deployment": "dep_1", "version": "v1", "script": "site", "code_digest": digest, "urls": ["http://site.test.localhost:1/"], "live_url": "https://site.test/" });
    world.orchestrator.answer("POST /v1/deployments", 200, &live);
}

#[test]
fn a_worker_is_uploaded_as_it_lies_there() {
    let world = World::ready();
    fs::write(world.site().join("index.js"), "import t from './t.txt'; export default { fetch: () => new Response(t) }").unwrap();
    fs::write(world.site().join("t.txt"), "hello").unwrap();
    fs::write(world.site().join(".env"), "SECRET=1").unwrap();
    answer(&world, "something else");
    let ran = world.run(&["deploy", ".", "--domain", "Site.test", "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    assert!(ran.envelope()["warnings"][0].as_str().unwrap().contains("something else was deployed"));
    let parts = parts(&world);
    let metadata: Value = serde_json::from_str(&parts[0].2).unwrap();
    assert_eq!(
        metadata,
        json!({"project": "site", "environment": "development", "name": "site", "domain": "site.test", "main_module": "index.js"})
    );
    let files: Vec<(&str, &str)> = parts[1..].iter().map(|(name, kind, _)| (name.as_str(), kind.as_str())).collect();
    assert_eq!(files, [("index.js", "application/javascript+module"), ("t.txt", "text/plain")]);
}

#[test]
fn the_digest_is_the_protocols() {
    let world = World::ready();
    fs::write(world.site().join("index.html"), "<p>hi").unwrap();
    let part = purser_wire::code::Part::Asset { path: "/index.html".to_owned(), digest: purser_values::Sha256Digest::of(b"<p>hi") };
    answer(&world, &purser_wire::code::digest(None, &[part]).to_string());
    let ran = world.run(&["deploy", "--json"]);
    assert_eq!((ran.code, &ran.envelope()["warnings"]), (0, &json!([])));
    assert_eq!(parts(&world)[1], ("assets/index.html".to_owned(), "text/html; charset=utf-8".to_owned(), "<p>hi".to_owned()));
}

#[test]
fn what_cannot_be_deployed_is_said_before_anything_is_sent() {
    let world = World::ready();
    for (arguments, code) in [
        (&["deploy", "--json"][..], "DEPLOY_EMPTY"),
        (&["deploy", "nowhere", "--json"], "DEPLOY_FOLDER"),
        (&["deploy", "--domain", "a b", "--json"], "INVALID_ARGUMENT"),
    ] {
        let ran = world.run(arguments);
        assert_eq!(ran.envelope()["error"]["code"], code);
    }
    assert!(world.orchestrator.requests("POST /v1/deployments").is_empty());
}
