//! One account serves all projects of an organisation; a project still keeps to its own scripts and domains.

use purser_tests::{Ask, Choice, World, site};

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_of_another_project_can_neither_replace_a_site_nor_take_its_domain() {
    let Some(world) = World::start().await else { return };
    let mut ada = world.person("ada");
    let (alpha, beta) = (world.agent("alpha"), world.agent("beta"));
    alpha.ready(&mut ada, Ask::ALL, &Choice::USUAL).await;
    site::write_worker(&alpha.site, "of alpha");
    alpha.must(&["add", "slipway/registrar:domain", "--config", r#"{"domain":"of-alpha.test"}"#]).await;
    alpha.must(&["deploy", ".", "--name", "mysite", "--domain", "of-alpha.test"]).await;
    site::await_live(&world.system.run, "of-alpha.test", "/", "of alpha").await;

    beta.login(&mut ada, Ask::ALL, &Choice::USUAL).await;
    beta.must(&["init", "beta"]).await;
    beta.must(&["add", "slipway/workers"]).await;
    site::write_worker(&beta.site, "owned by beta");
    assert_eq!(beta.refused(&["deploy", ".", "--name", "mysite"]).await, "script_of_another_project");
    assert_eq!(beta.refused(&["deploy", ".", "--name", "other", "--domain", "of-alpha.test"]).await, "domain_not_of_project");
    site::await_live(&world.system.run, "of-alpha.test", "/", "of alpha").await;
    assert_eq!(beta.refused(&["trace", "https://of-alpha.test"]).await, "not_found");
}
