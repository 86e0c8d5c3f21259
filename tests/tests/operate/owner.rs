//! The first owner, and people whom the operator stops.

use std::time::{Duration, Instant};

use super::installation::{Installation, path_of};

#[tokio::test(flavor = "multi_thread")]
async fn the_first_owner_comes_by_the_link_that_was_printed_last_and_nobody_else_gets_in() {
    let Some(installation) = Installation::start().await else { return };
    let printed = installation.first_owner_link();
    let (exit, minted) = installation.run(&["bootstrap", "--config", &installation.config()]);
    assert_eq!(exit, 0, "{minted}");
    let newer = path_of(minted["data"]["url"].as_str().unwrap(), &installation.url);
    assert_eq!(installation.person("eve").browser.open(&printed).await.status, 404, "the older link works");
    // An address without a link gets no mail.
    let mut eve = installation.person("eve");
    let page = eve.browser.open("/sign-in").await;
    let mut form = page.form("/sign-in");
    form.type_in("email", "eve@example.test");
    eve.browser.press(&form, "").await;

    let mut ada = installation.person("ada");
    let page = ada.browser.open(&newer).await;
    let on = page.body.split("class=\"button\" href=\"").nth(1).unwrap().split('"').next().unwrap().replace("&#38;", "&");
    let page = ada.open(&on).await;
    assert!(page.text().contains("owner of ada@example.test"), "{}", page.text());
    assert_eq!(eve.mails().len(), 0);
    let (exit, refused) = installation.run(&["bootstrap", "--config", &installation.config()]);
    assert_eq!((exit, refused["error"]["code"].as_str()), (6, Some("not_first")), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_whom_the_operator_stops_is_out_within_a_second_and_can_be_let_in_again() {
    let Some(installation) = Installation::start().await else { return };
    let mut ada = installation.owner("ada").await;
    assert_eq!(ada.browser.open("/agents").await.path, "/agents");
    let config = installation.config();
    let (exit, disabled) = installation.run(&["person", "disable", "ada@example.test", "--config", &config]);
    assert_eq!(exit, 0, "{disabled}");
    let begin = Instant::now();
    let page = ada.browser.open("/agents").await;
    assert!(page.path.starts_with("/sign-in") && begin.elapsed() < Duration::from_secs(1), "{}", page.path);
    let (exit, enabled) = installation.run(&["person", "enable", "ada@example.test", "--config", &config]);
    assert_eq!(exit, 0, "{enabled}");
    assert_eq!(ada.open("/agents").await.path, "/agents");
    let (exit, unknown) = installation.run(&["person", "disable", "eve@example.test", "--config", &config]);
    assert_eq!((exit, unknown["error"]["code"].as_str()), (5, Some("not_found")));

    let id = ada.open("/organisation").await.text().split_whitespace().find(|word| word.starts_with("org_")).unwrap().to_owned();
    let (exit, closed) = installation.run(&["organisation", "disable", &id, "--config", &config]);
    assert_eq!(exit, 0, "{closed}");
    assert!(ada.browser.open("/agents").await.path.starts_with("/sign-in"));
}
