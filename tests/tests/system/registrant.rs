//! A registry that wants to know for whom a name is registered: its person is asked once, on a page, and no agent ever answers or sees it.

use std::time::Duration;

use purser_tests::browser::Page;
use purser_tests::{Agent, Ask, Choice, Person, World, processes, store};
use serde_json::{Value, json};

const DOMAIN: &str = "slipway/registrar:domain";
/// What nobody but the registry and the person reads.
const STREET: &str = "Storgata 77 bakgaarden";
const PHONE: &str = "+47.22334455";

async fn buy(agent: &Agent, name: &str) -> purser_tests::agent::Envelope {
    agent.run(&["add", DOMAIN, "--name", name, "--config", &json!({"domain": format!("{name}.test")}).to_string()]).await
}

fn path(world: &World, details: &Value) -> String {
    details["url"].as_str().unwrap().strip_prefix(&world.system.run.orchestrator.url).unwrap().to_owned()
}

async fn answer(ada: &mut Person, path: &str, phone: &str) -> Page {
    let page = ada.open(path).await;
    let mut form = page.form(path);
    for (name, value) in [
        ("name", "Ada Lovelace"),
        ("email", "ada@example.test"),
        ("phone", phone),
        ("street", STREET),
        ("city", "Oslo"),
        ("postal_code", "0155"),
        ("country", "NO"),
    ] {
        form.type_in(&format!("field.{name}"), value);
    }
    ada.browser.press(&form, "").await
}

async fn comes_to(agent: &Agent, name: &str) -> String {
    processes::until("an end", Duration::from_secs(30), async || {
        let status = agent.must(&["status"]).await;
        let row = status["resources"].as_array().unwrap().iter().find(|row| row["name"] == name).cloned();
        match row.map(|row| row["state"].as_str().unwrap().to_owned()) {
            None => Some("gone".to_owned()),
            Some(state) if state == "creating" => None,
            Some(state) => Some(state),
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registrant_is_asked_for_once_sealed_used_again_and_erased() {
    let Some(world) = World::start_with(&["--registrant"]).await else { return };
    let (mut ada, agent) = (world.person("ada"), world.agent("shop"));
    agent.login(&mut ada, Ask::ALL, &Choice::USUAL).await;
    agent.must(&["init", "shop"]).await;

    let asked = buy(&agent, "first").await;
    assert_eq!((asked.exit, asked.code()), (8, "resource_information_required"), "{}", asked.stdout);
    let details = &asked.json["error"]["details"];
    assert_eq!(details["person"]["email"], "ada@example.test", "{details}");
    assert!(details["schema"]["required"].as_array().unwrap().contains(&json!("street")), "{details}");
    let path = path(&world, details);
    let told = &agent.must(&["status"]).await["resources"][0]["waits_for"];
    assert_eq!((told["url"].as_str(), told["person"].as_str()), (details["url"].as_str(), Some("ada@example.test")), "{told}");
    assert_eq!(agent.must(&["spend"]).await["charges"], json!([]), "something was charged before anybody answered");

    // The agent does not answer in the person's place, nor does somebody else.
    let (status, _) = agent.call("POST", &path, Some(&json!({"field.name": "Mallory"})), None).await;
    let answered = "select count(*) as n from resource_information where sealed is not null";
    let taken = store::number(&world.system.dir, "purser.db", answered).await;
    assert!(status >= 300 && taken == 0, "an agent's answer was taken: {status}");
    let mut eve = world.person("eve");
    eve.open("/").await;
    let page = eve.open(&path).await;
    assert!(page.status == 404 && !page.body.contains("first.test"), "{} {}", page.status, page.text());

    // What the registry could not take is asked again; what it can, goes on by itself.
    let page = answer(&mut ada, &path, "22334455").await;
    assert!(page.text().contains("goes on by itself"), "{}", page.text());
    processes::until("the second question", Duration::from_secs(20), async || {
        ada.open(&path).await.body.contains("field.street").then_some(())
    })
    .await;
    answer(&mut ada, &path, PHONE).await;
    assert_eq!(comes_to(&agent, "first").await, "live");

    // Once for the account: the next name asks for nothing.
    let next = buy(&agent, "second").await;
    assert!(next.ok(), "{} {}", next.stdout, next.stderr);

    // Forgotten where it was typed, sealed where it is kept, and in no log. The registry, which is in this process too, has its own table.
    let dir = &world.system.dir;
    assert_eq!(store::number(dir, "purser.db", "select count(*) as n from resource_information").await, 0);
    assert_eq!(store::number(dir, "slipway.db", "select count(*) as n from registrant").await, 1);
    for (file, bytes) in processes::files_below(dir) {
        let is_registry = file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("slipway.db"));
        let leaks = |text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
        assert!(is_registry || !leaks(STREET), "the street is in the clear in `{}`", file.display());
    }
    let seen = store::texts(dir, "purser.db", "select body as x from audit_event where body like '%resource_inform%'").await;
    assert!(!seen.is_empty() && !seen.concat().contains(STREET), "{seen:?}");

    // Its person reads and erases it at the provider; nobody else does. The next name asks again.
    let base = world.system.run.cloud.provisioning.trim_end_matches('/');
    let mut owner = Person::at(base, &world.system.run.mail, "ada");
    let page = owner.open("/registrant").await;
    assert!(page.body.contains(STREET), "{}", page.text());
    let form = purser_tests::form::Form::all(&page.body).into_iter().find(|form| form.action.ends_with("/erase")).unwrap();
    let strange = world.agent("strange");
    strange.login(&mut eve, Ask::ALL, &Choice::USUAL).await;
    strange.must(&["init", "strange"]).await;
    strange.must(&["add", "slipway/workers:free"]).await;
    let mut stranger = Person::at(base, &world.system.run.mail, "eve");
    let theirs = stranger.open("/registrant").await;
    assert!(!theirs.body.contains(STREET) && !theirs.body.contains("/erase"), "{}", theirs.text());
    stranger.browser.press(&form, "").await;
    assert!(owner.open("/registrant").await.body.contains(STREET), "a stranger erased it");
    let page = owner.browser.press(&form, "").await;
    assert!(page.status == 200 && !page.body.contains(STREET), "{} {}", page.status, page.text());
    assert_eq!(store::number(dir, "slipway.db", "select count(*) as n from registrant").await, 0);
    assert_eq!(buy(&agent, "third").await.code(), "resource_information_required");
    // Nobody answers: in time it is over, and nothing is held or left.
    assert_eq!(store::tamper(dir, "update resource_information set expires_at = 1").await, 1);
    assert_eq!(comes_to(&agent, "third").await, "gone");
    assert_eq!(store::number(dir, "purser.db", "select count(*) as n from resource_information").await, 0);
    assert_eq!(store::ledger_faults(dir).await, Vec::<String>::new());
}
