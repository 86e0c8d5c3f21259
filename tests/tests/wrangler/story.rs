//! One life of a Worker, as an agent lives it with wrangler.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::cloud::{Cloud, need, project, run, said};

fn answering(text: &str) -> String {
    format!("export default {{ fetch(request, env) {{ return new Response('{text} ' + (env.KEY ?? env.COLOUR)) }} }}")
}

async fn story(wrangler: &Path) {
    let domain = "wrangler-site.test";
    let Some(cloud) = Cloud::start().await else { return };
    let customer = cloud.customer("ada", domain).await;
    let config = json!({
        "name": "hello", "main": "index.js", "compatibility_date": "2026-04-01", "vars": {"COLOUR": "blue"},
        "routes": [{"pattern": domain, "custom_domain": true}], "workers_dev": true,
    });
    let home = cloud.folder.path();
    let at = project(home, "hello", &config, &[("index.js", answering("one").as_bytes())]);
    let with = async |at: &Path, arguments: &[&str], input: &str| {
        let output = run(wrangler, at, home, arguments, &customer.variables, input).await;
        assert!(output.status.success(), "wrangler {arguments:?} failed:\n{}", said(&output));
        said(&output)
    };
    let run = async |arguments: &[&str]| with(&at, arguments, "").await;

    let told = run(&["whoami"]).await;
    assert!(told.contains(customer.variable("CLOUDFLARE_ACCOUNT_ID")), "whoami does not know the account:\n{told}");
    let told = run(&["deploy"]).await;
    assert!(told.contains(domain), "the domain is not told:\n{told}");
    assert_eq!(cloud.visit(domain, "/").await, (200, "one blue".to_owned()));

    fs::write(at.join("index.js"), answering("two")).unwrap();
    run(&["deploy", "--message", "second"]).await;
    assert_eq!(cloud.visit(domain, "/").await.1, "two blue");

    with(&at, &["secret", "put", "KEY"], "hunter2\n").await;
    assert_eq!(cloud.visit(domain, "/").await.1, "two hunter2");
    fs::write(at.join("index.js"), answering("three")).unwrap();
    run(&["deploy"]).await;
    assert_eq!(cloud.visit(domain, "/").await.1, "three hunter2", "a redeployment lost the secret");
    assert!(run(&["secret", "list"]).await.contains("KEY"));

    assert!(run(&["versions", "list"]).await.contains("second"));
    run(&["deployments", "list"]).await;
    run(&["rollback", "--yes", "--message", "back"]).await;
    assert!(cloud.visit(domain, "/").await.1.starts_with("two"), "a rollback changed nothing");

    let files = json!({"name": "files", "compatibility_date": "2026-04-01", "assets": {"directory": "public"}});
    let site = project(home, "files", &files, &[("public/index.html", b"<p>static</p>"), ("public/a/b.txt", b"deep")]);
    let told = with(&site, &["deploy"], "").await;
    let host = told.split_whitespace().find_map(|word| word.strip_prefix("https://files.")).map(|rest| format!("files.{rest}"));
    if let Some(host) = host.filter(|host| host.ends_with(".test")) {
        assert_eq!(cloud.visit(&host, "/a/b.txt").await, (200, "deep".to_owned()));
        assert_eq!(cloud.visit(&host, "/").await, (200, "<p>static</p>".to_owned()));
    }
    fs::write(site.join("public/index.html"), "<p>changed</p>").unwrap();
    with(&site, &["deploy"], "").await;

    run(&["delete", "--force"]).await;
    assert_eq!(cloud.visit(domain, "/").await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_current_wrangler_deploys_redeploys_and_deletes() {
    if let Some(wrangler) = need("PURSER_WRANGLER_NEW") {
        story(&wrangler).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wrangler_for_node_20_deploys_redeploys_and_deletes() {
    if let Some(wrangler) = need("PURSER_WRANGLER_OLD") {
        story(&wrangler).await;
    }
}
