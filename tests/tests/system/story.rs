//! The story that must always work, and everything that an agent does after it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use purser_tests::{Agent, Ask, Choice, World, processes, site, store};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_goes_from_nothing_to_a_live_site_on_its_own_domain() {
    let Some(world) = World::start().await else { return };
    let (mut ada, agent) = (world.person("ada"), world.agent("harbour"));
    let granted = agent.login(&mut ada, Ask::ALL, &Choice::USUAL).await;
    assert_eq!(granted["person"]["email"], "ada@example.test");
    agent.must(&["init", "harbour"]).await;
    assert!(list(&agent.must(&["catalog"]).await, "services").iter().any(|s| s["ref"] == "slipway/registrar:domain"));

    let plan = agent.must(&["add", "slipway/workers:paid"]).await;
    assert_eq!(plan["charged"]["amount_minor"], 500, "{plan}");
    let domain = agent.must(&["add", "slipway/registrar:domain", "--config", r#"{"domain":"harbour.test"}"#]).await;
    assert_eq!(domain["charged"]["amount_minor"], 915, "{domain}");
    let workers = agent.must(&["add", "slipway/workers"]).await;
    let names = ["CLOUDFLARE_API_TOKEN", "CLOUDFLARE_ACCOUNT_ID", "CLOUDFLARE_API_BASE_URL"];
    assert!(names.iter().all(|name| list(&workers["resource"], "variables").contains(&json!(name))), "{workers}");

    site::write_worker(&agent.site, "first light");
    let deployed = agent.must(&["deploy", ".", "--domain", "harbour.test"]).await;
    site::await_live(&world.system.run, "harbour.test", "/", "first light").await;
    site::write_worker(&agent.site, "second light");
    let again = agent.must(&["deploy", ".", "--domain", "harbour.test"]).await;
    site::await_live(&world.system.run, "harbour.test", "/", "second light").await;
    assert_ne!(deployed["code_digest"], again["code_digest"]);

    a_folder_of_files_is_a_site(&world, &agent).await;
    variables_reach_who_may_see_them(&agent).await;
    the_books_and_the_status_agree(&world, &agent).await;
    everything_leads_to_the_person(&agent, &again).await;
    a_stranger_finds_nothing(&world, &agent).await;
    rotation_gives_a_new_token(&world, &agent).await;
    what_is_removed_is_gone(&agent).await;
    a_changed_byte_in_the_log_is_found(&world, &agent).await;
}

fn list<'a>(value: &'a Value, member: &str) -> &'a [Value] {
    value[member].as_array().map_or(&[], Vec::as_slice)
}

async fn a_folder_of_files_is_a_site(world: &World, agent: &Agent) {
    let folder = agent.site.join("public");
    fs::create_dir_all(folder.join("deep")).unwrap();
    fs::write(folder.join("index.html"), "<p>static harbour</p>").unwrap();
    fs::write(folder.join("deep/a.txt"), "below").unwrap();
    agent.must(&["deploy", "public", "--name", "files", "--domain", "www.harbour.test"]).await;
    site::await_live(&world.system.run, "www.harbour.test", "/", "static harbour").await;
    site::await_live(&world.system.run, "www.harbour.test", "/deep/a.txt", "below").await;
    site::await_live(&world.system.run, "harbour.test", "/", "second light").await;
}

async fn variables_reach_who_may_see_them(agent: &Agent) {
    agent.must(&["add", "slipway/workers", "--name", "spare"]).await;
    let ran = agent.command(&["run", "--", "sh", "-c", "echo $CLOUDFLARE_API_TOKEN $SPARE_CLOUDFLARE_API_TOKEN"]).output().await.unwrap();
    let said = String::from_utf8(ran.stdout).unwrap();
    let tokens: Vec<&str> = said.split_whitespace().collect();
    assert_eq!(tokens.len(), 2, "{said} {}", String::from_utf8_lossy(&ran.stderr));
    assert_ne!(tokens[0], tokens[1]);
    let listed = agent.must(&["env"]).await.to_string();
    assert!(listed.contains("SPARE_CLOUDFLARE_API_TOKEN") && !tokens.iter().any(|token| listed.contains(token)), "{listed}");
    let exit = agent.command(&["run", "--", "sh", "-c", "exit 7"]).status().await.unwrap();
    assert_eq!(exit.code(), Some(7));

    agent.must(&["env", "--pull"]).await;
    let file = agent.site.join(".env");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(fs::read_to_string(&file).unwrap().contains(tokens[0]));
}

async fn the_books_and_the_status_agree(world: &World, agent: &Agent) {
    let spend = agent.must(&["spend"]).await;
    let at_slipway = &list(&spend, "providers")[0];
    assert_eq!((at_slipway["captured"]["amount_minor"].as_i64(), list(&spend, "charges").len()), (Some(1415), 2), "{spend}");
    let status = agent.must(&["status"]).await;
    assert_eq!(list(&status, "accounts").len(), 1, "{status}");
    assert!(list(&status, "resources").iter().all(|r| r["state"] == "live"), "{status}");
    assert_eq!(list(&status, "deployments").len(), 3, "{status}");
    assert_eq!(store::ledger_faults(&world.system.dir).await, Vec::<String>::new());
}

/// A URL, a domain, an account, the start of a token, a charge and a resource.
async fn questions(agent: &Agent) -> Vec<String> {
    let (status, spend) = (agent.must(&["status"]).await, agent.must(&["spend"]).await);
    let token = fs::read_to_string(agent.site.join(".env")).unwrap();
    let token = token.lines().find_map(|line| line.strip_prefix("CLOUDFLARE_API_TOKEN=")).unwrap().trim_matches(['"', '\'']);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    vec![
        "https://harbour.test/some/page".to_owned(),
        "harbour.test".to_owned(),
        text(&list(&status, "accounts")[0]["id"]),
        text(&list(&status, "accounts")[0]["provider_account"]),
        token[..12].to_owned(),
        text(&list(&spend, "charges")[0]["id"]),
        text(&list(&status, "resources")[0]["id"]),
    ]
}

async fn everything_leads_to_the_person(agent: &Agent, deployed: &Value) {
    for question in questions(agent).await {
        let told = agent.must(&["trace", &question]).await;
        assert_eq!(told["person"]["email"], "ada@example.test", "{question}: {told}");
        assert_eq!(told["agent"]["id"], json!(agent.id()), "{question}: {told}");
        assert!(told["grant"]["id"].as_str().unwrap_or_default().starts_with("grt_"), "{question}: {told}");
        assert_eq!(list(&told, "terms")[0]["sha256"].as_str().map(str::len), Some(64), "{question}: {told}");
    }
    let told = agent.must(&["trace", "https://harbour.test"]).await;
    assert_eq!(told["code_digest"], deployed["code_digest"], "{told}");
    assert!(!list(&told, "charges").is_empty() && !list(&told, "events").is_empty(), "{told}");
    processes::until("the provider's own word on the deployment", Duration::from_secs(10), async || {
        let told = agent.must(&["trace", "https://harbour.test"]).await;
        list(&told, "deployments")
            .iter()
            .any(|d| d["version"] == deployed["version"] && !d["confirmed_by_provider_at"].is_null())
            .then_some(())
    })
    .await;
}

async fn a_stranger_finds_nothing(world: &World, agent: &Agent) {
    let (mut eve, strange) = (world.person("eve"), Agent::new(&world.system, &world.path("eve"), "harbour"));
    strange.login(&mut eve, Ask::ALL, &Choice::USUAL).await;
    strange.must(&["init", "harbour"]).await;
    for question in questions(agent).await {
        let envelope = strange.run(&["trace", &question]).await;
        assert_eq!((envelope.exit, envelope.code()), (5, "not_found"), "{question}: {}", envelope.stdout);
    }
    let status = agent.must(&["status"]).await;
    for resource in list(&status, "resources") {
        let id = resource["id"].as_str().unwrap();
        for (method, path) in [("GET", ""), ("POST", "/remove"), ("POST", "/rotate")] {
            let (code, body) = strange.call(method, &format!("/v1/resources/{id}{path}"), Some(&json!({})), None).await;
            assert_eq!(code, 404, "{method} {path}: {body}");
        }
        let saga = resource["saga"].as_str().unwrap();
        assert_eq!(strange.call("GET", &format!("/v1/sagas/{saga}"), None, None).await.0, 404);
    }
}

async fn rotation_gives_a_new_token(world: &World, agent: &Agent) {
    let old = token_of(agent).await;
    assert!(is_taken(world, &old).await, "the token that was delivered is not good");
    agent.must(&["rotate", "workers"]).await;
    let new = token_of(agent).await;
    assert_ne!(old, new);
    assert!(is_taken(world, &new).await, "the new token is refused");
    assert!(!is_taken(world, &old).await, "the old token is still taken");
    site::write_worker(&agent.site, "third light");
    assert_eq!(agent.refused(&["deploy", "."]).await, "invalid_request", "two resources could be meant");
    agent.must(&["deploy", ".", "--resource", "workers", "--domain", "harbour.test"]).await;
    site::await_live(&world.system.run, "harbour.test", "/", "third light").await;
}

/// The API token of the project's first Workers resource.
pub async fn token_of(agent: &Agent) -> String {
    let ran = agent.command(&["run", "--", "sh", "-c", "printf %s $CLOUDFLARE_API_TOKEN"]).output().await.unwrap();
    let token = String::from_utf8(ran.stdout).unwrap();
    assert!(!token.is_empty(), "{}", String::from_utf8_lossy(&ran.stderr));
    token
}

/// Whether slipway takes an API token: for its own question about tokens, and for what a token is for.
pub async fn is_taken(world: &World, token: &str) -> bool {
    let ask = async |path: &str| {
        let url = format!("{}{path}", world.system.run.cloud.api);
        let answer = purser_tests::browser::client().get(url).bearer_auth(token).send().await.unwrap();
        (answer.status().is_success(), answer.json::<Value>().await.unwrap_or_default())
    };
    // a freeze may come between the two questions, so a difference must last to count
    for _ in 0..5 {
        let (known, told) = ask("/user/tokens/verify").await;
        let works = ask("/accounts").await.0;
        if works == (known && told["result"]["status"] == "active") {
            return works;
        }
    }
    panic!("slipway contradicts itself about a token");
}

async fn what_is_removed_is_gone(agent: &Agent) {
    agent.must(&["remove", "spare", "--yes"]).await;
    assert!(!agent.must(&["env"]).await.to_string().contains("SPARE_"), "a removed resource still has variables");
    assert_eq!(agent.refused(&["remove", "spare", "--yes"]).await, "RESOURCE_NOT_FOUND");
    agent.must(&["add", "slipway/workers", "--name", "spare"]).await;
    assert_eq!(agent.refused(&["remove", "spare"]).await, "JSON_REQUIRES_CONFIRMATION");
}

async fn a_changed_byte_in_the_log_is_found(world: &World, agent: &Agent) {
    let dir = world.system.dir.to_str().unwrap().to_owned();
    let report = agent.must(&["audit", "verify", "--data", &dir]).await;
    assert!(report["entries"].as_i64().unwrap() > 20, "{report}");
    store::tamper(&world.system.dir, "update audit_event set body = replace(body, 'harbour.test', 'harbor.test') where seq = (select min(seq) from audit_event where body like '%harbour.test%')").await;
    let refused = agent.run(&["audit", "verify", "--data", &dir]).await;
    assert_eq!(refused.code(), "audit_entry_changed", "{}", refused.stdout);
    assert!(refused.json["error"]["message"].as_str().unwrap().contains("evt_"), "{}", refused.stdout);
}
