//! The story for somebody whom the cloud knows already: the real orchestrator, the real slipway, and a person on the pages of both.

use std::time::Duration;

use purser_tests::browser::Page;
use purser_tests::form::Form;
use purser_tests::{Ask, Choice, Person, World, processes};
use serde_json::Value;

fn at_slipway(world: &World, name: &str) -> Person {
    let base = world.system.run.cloud.provisioning.trim_end_matches('/');
    let mut person = Person::at(base, &world.system.run.mail, name);
    person.browser.leaves_to = Some(format!("{}/link/callback/", world.system.run.orchestrator.url));
    person
}

/// A system that has read what slipway offers: who asks for a grant before that asks for nothing.
async fn ready() -> Option<World> {
    let world = World::start().await?;
    let nobody = world.agent("nobody");
    processes::until("the catalogue", Duration::from_secs(20), async || {
        nobody.run(&["catalog"]).await.stdout.contains("slipway/workers").then_some(())
    })
    .await;
    Some(world)
}

async fn cut(ada: &mut Person) {
    let page = ada.open("/connections").await;
    let forms = Form::all(&page.body);
    let form =
        forms.into_iter().find(|form| form.action.ends_with("/cut")).unwrap_or_else(|| panic!("nothing can be cut: {}", page.text()));
    ada.browser.press(&form, "").await;
}

fn path_of(url: &str) -> String {
    let url = url::Url::parse(url).unwrap();
    format!("{}?{}", url.path(), url.query().unwrap_or_default())
}

/// The provider's page that our own page sends to.
fn link_on(page: &Page) -> String {
    let link = page.body.split("<a href=\"").map(|rest| rest.split('"').next().unwrap_or_default()).find(|href| href.contains("/link?"));
    link.unwrap_or_else(|| panic!("no way on: {} {}", page.status, page.text())).replace("&#38;", "&").replace("&amp;", "&")
}

fn account(status: &Value) -> String {
    status["accounts"][0]["provider_account"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_who_cut_the_connection_links_the_same_account_again_while_the_agent_waits() {
    let Some(world) = ready().await else { return };
    let (mut ada, agent) = (world.person("ada"), world.agent("harbour"));
    agent.login(&mut ada, Ask::ALL, &Choice::USUAL).await;
    agent.must(&["init", "harbour"]).await;
    agent.must(&["add", "slipway/workers:free"]).await;
    let before = account(&agent.must(&["status"]).await);

    let mut owner = at_slipway(&world, "ada");
    cut(&mut owner).await;
    let waiting = processes::until("the cut to be heard of", Duration::from_secs(20), async || {
        let envelope = agent.run(&["add", "slipway/workers", "--name", "second"]).await;
        (envelope.code() == "account_link_required").then_some(envelope)
    })
    .await;
    assert_eq!(waiting.exit, 8, "{}", waiting.stdout);
    let url = waiting.json["error"]["details"]["url"].as_str().unwrap();
    let told = &agent.must(&["status"]).await["accounts"][0]["waits_for"];
    assert_eq!((told["url"].as_str(), told["person"].as_str()), (Some(url), Some("ada@example.test")), "{told}");
    let page = ada.open(&path_of(url)).await;
    let link = link_on(&page);
    assert!(link.starts_with(world.system.run.cloud.provisioning.as_str()), "{link}");

    let page = owner.open(&path_of(&link)).await;
    assert!(page.body.contains(&before), "the account is no choice: {}", page.text());
    let mut form = page.form("/link");
    form.fields.iter_mut().filter(|field| field.name == "account").for_each(|field| before.clone_into(&mut field.value));
    let back = owner.browser.press(&form, "accept").await;
    let connected = ada.open(&path_of(&back.path)).await;
    assert_eq!(connected.status, 200, "{}", connected.text());
    let status = processes::until("the second resource", Duration::from_secs(30), async || {
        let status = agent.must(&["status"]).await;
        let live = status["resources"].as_array().unwrap().iter().any(|r| r["name"] == "second" && r["state"] == "live");
        live.then_some(status)
    })
    .await;
    assert_eq!(account(&status), before, "it is another account");
    // the address of the callback is worth nothing any more
    let again = ada.open(&path_of(&back.path)).await;
    assert_eq!(again.status, 404, "{}", again.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_organisation_of_a_known_person_gets_an_account_only_with_their_word() {
    let Some(world) = ready().await else { return };
    let (mut ada, first) = (world.person("ada"), world.agent("first"));
    first.login(&mut ada, Ask::ALL, &Choice::USUAL).await;
    first.must(&["init", "first"]).await;
    first.must(&["add", "slipway/workers:free"]).await;

    let page = ada.open("/organisation").await;
    let mut form = page.form("/organisation/create");
    form.type_in("name", "Second");
    ada.browser.press(&form, "").await;
    let second = world.agent("second");
    second.login(&mut ada, Ask::ALL, &Choice::USUAL).await;
    second.must(&["init", "second"]).await;
    let waiting = second.run(&["add", "slipway/workers:free"]).await;
    assert_eq!((waiting.exit, waiting.code()), (8, "account_link_required"), "{}", waiting.stdout);
    let url = waiting.json["error"]["details"]["url"].as_str().unwrap().to_owned();

    let page = ada.open(&path_of(&url)).await;
    let mut owner = at_slipway(&world, "ada");
    let page = owner.open(&path_of(&link_on(&page))).await;
    let mut form = page.form("/link");
    form.fields.iter_mut().filter(|field| field.name == "account").for_each(|field| "new".clone_into(&mut field.value));
    let back = owner.browser.press(&form, "accept").await;
    assert_eq!(ada.open(&path_of(&back.path)).await.status, 200);
    let status = processes::until("the resource", Duration::from_secs(30), async || {
        let status = second.must(&["status"]).await;
        status["resources"].as_array().unwrap().iter().any(|r| r["state"] == "live").then_some(status)
    })
    .await;
    assert_ne!(account(&status), account(&first.must(&["status"]).await), "two tenants share an account");
}
