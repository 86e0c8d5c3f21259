//! Pages on which a person sees what they have let in, and takes it back: applications and workloads.

use crate::world::{Browser, World};
use http::StatusCode;
use serde_json::json;

fn fields(browser_page: &crate::world::Answer, more: &[(&str, &str)]) -> Vec<(String, String)> {
    let (_, mut fields) = browser_page.form(0);
    fields.retain(|(name, _)| name == "csrf");
    fields.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    fields
}

/// Sends a form to `path` with the token of `page`.
async fn send(browser: &mut Browser, page: &str, path: &str, more: &[(&str, &str)]) -> crate::world::Answer {
    let shown = browser.get(page).await;
    assert_eq!(shown.status, StatusCode::OK, "{}", shown.body);
    browser.post(path, &fields(&shown, more)).await
}

/// Makes the person's role in all their organisations another one.
async fn demote(world: &World, email: &'static str, role: &'static str) {
    let update = "update membership set role = $2 where person = (select id from person where email = $1)";
    let demote = move |tx: &mut purser_db::Tx<'_>| tx.execute(update, purser_db::params![email, role]);
    assert_eq!(world.front.core.db.write::<_, purser_db::DbError, _>(demote).await.unwrap(), 1);
}

#[tokio::test]
async fn a_person_sees_the_applications_that_know_them_and_takes_one_back() {
    let world = World::new().await;
    let client = world.client(json!({ "scope": "openid email offline_access" })).await;
    let mut ada = world.person("ada@example.test").await;
    let mut eve = world.person("eve@example.test").await;
    let back = ada.allows(&client, &[("scope", "openid email offline_access")]).await;
    let (_, tokens) = world.redeem(&client, back.get("code")).await;
    let hers = eve.allows(&client, &[]).await;
    let (_, hers) = world.redeem(&client, hers.get("code")).await;

    let page = ada.get("/applications").await;
    for shown in ["<q>App</q>", &client.id, "https://app.example", "your e-mail address", "while you are away", "signed on now"] {
        assert!(page.body.contains(shown), "`{shown}` is not there: {}", page.body);
    }
    let ended = send(&mut ada, "/applications", "/applications/end", &[("client", &client.id)]).await;
    assert_eq!(ended.status, StatusCode::SEE_OTHER, "{}", ended.body);
    let page = ada.get("/applications").await;
    assert!(!page.body.contains(&client.id), "{}", page.body);
    assert_eq!(world.userinfo(tokens["access_token"].as_str().unwrap()).await.0, StatusCode::UNAUTHORIZED);
    let asked = ada.authorize(&client, &[]).await;
    assert_eq!(ada.get(asked.location()).await.status, StatusCode::OK, "the client was not asked for anew");

    // what somebody else allowed is theirs
    assert_eq!(world.userinfo(hers["access_token"].as_str().unwrap()).await.0, StatusCode::OK);
    assert!(eve.get("/applications").await.body.contains(&client.id));
}

#[tokio::test]
async fn the_clients_of_an_organisation_say_who_made_them_and_only_its_leaders_remove_them() {
    let world = World::new().await;
    let mut ada = world.person("ada@example.test").await;
    let (terminal, token) = world.terminal(&mut ada).await;
    let metadata = json!({ "client_name": "Shop", "redirect_uris": ["https://shop.example/cb"] }).to_string();
    let (status, made) = world.api(Some((&terminal, &token)), "POST", "/v1/clients", "application/json", metadata).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let id = made["client_id"].as_str().unwrap().to_owned();
    let (_, listed) = world.api(Some((&terminal, &token)), "GET", "/v1/clients", "", String::new()).await;
    assert_eq!(listed["clients"][0]["registered_by"], "ada@example.test", "{listed}");
    let page = ada.get("/applications").await;
    for shown in ["<q>Shop</q>", &id, "https://shop.example/cb", "<dd>ada@example.test</dd>"] {
        assert!(page.body.contains(shown), "`{shown}` is not there: {}", page.body);
    }

    // another tenant neither sees nor removes it
    let mut eve = world.person("eve@example.test").await;
    assert!(!eve.get("/applications").await.body.contains(&id));
    assert_eq!(send(&mut eve, "/applications", "/applications/remove", &[("client", &id)]).await.status, StatusCode::NOT_FOUND);
    // an agent has no session, whatever its token says
    let (agent, tokens) = world.granted(&mut ada).await;
    let proof = agent.proof("POST", &world.front.realm.url("/applications/remove"), tokens["access_token"].as_str());
    let bearer = format!("DPoP {}", tokens["access_token"].as_str().unwrap());
    let headers = [("authorization", bearer.as_str()), ("dpop", proof.as_str()), ("content-type", "application/x-www-form-urlencoded")];
    let refused = world.request("POST", "/applications/remove", &headers, format!("client={id}")).await;
    assert!(refused.status == StatusCode::SEE_OTHER && refused.location().starts_with("/sign-in"), "{}", refused.status);

    demote(&world, "ada@example.test", "member").await;
    let page = ada.get("/applications").await;
    assert!(page.body.contains(&id) && !page.body.contains("/applications/remove"), "{}", page.body);
    assert_eq!(send(&mut ada, "/applications", "/applications/remove", &[("client", &id)]).await.status, StatusCode::FORBIDDEN);
    demote(&world, "ada@example.test", "admin").await;
    assert_eq!(send(&mut ada, "/applications", "/applications/remove", &[("client", &id)]).await.status, StatusCode::SEE_OTHER);
    assert!(!ada.get("/applications").await.body.contains(&id));
}

#[tokio::test]
async fn a_person_lets_a_workload_in_on_a_page_after_confirming_that_they_are_there() {
    let world = World::new().await;
    let mut ada = world.person("ada@example.test").await;
    let page = ada.get("/workloads").await;
    assert!(page.body.contains("--delegate") && !page.body.contains("name=\"issuer\""), "there is no grant to pass on: {}", page.body);
    let (_, tokens) = world.delegator(&mut ada).await;
    let grant = tokens["grant_id"].as_str().unwrap().to_owned();
    let typed = |change: &[(&'static str, &'static str)]| {
        let mut all = vec![
            ("grant", grant.clone()),
            ("name", "CI of the shop".to_owned()),
            ("issuer", "https://ci.example".to_owned()),
            ("subject", "repo:acme/shop:ref:refs/heads/main".to_owned()),
            ("audience", "purser".to_owned()),
            ("claims", "repository_id = 7".to_owned()),
            ("cap", "10".to_owned()),
            ("minutes", "10".to_owned()),
        ];
        for (name, value) in change {
            all.iter_mut().filter(|(known, _)| known == name).for_each(|field| field.1 = (*value).to_owned());
        }
        all
    };
    let send_typed = async |browser: &mut Browser, change: &[(&'static str, &'static str)]| {
        let all = typed(change);
        let all: Vec<(&str, &str)> = all.iter().map(|(name, value)| (*name, value.as_str())).collect();
        send(browser, "/workloads", "/workloads", &all).await
    };
    // what cannot be taken is said, beside what was typed
    for (name, value, said) in [
        ("subject", "repo:acme/sh*", "one whole part"),
        ("claims", "nonsense", "is not `name = value`"),
        ("minutes", "16", "one to fifteen minutes"),
        ("issuer", "http://ci.example", "https address"),
        ("cap", "51", "wider than the grant"),
    ] {
        let again = send_typed(&mut ada, &[(name, value)]).await;
        assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY, "{name}: {}", again.body);
        assert!(again.body.contains(said) && again.body.contains("CI of the shop"), "{name}: {}", again.body);
    }
    // five minutes later the person is asked first, and what they typed is kept
    world.clock.advance_secs(301);
    let asked = send_typed(&mut ada, &[]).await;
    let done = ada.step_up(&world, "ada@example.test", &asked).await;
    assert!(done.body.contains("repo:acme/shop:ref:refs/heads/main"), "what was typed is lost: {}", done.body);
    let added = send_typed(&mut ada, &[]).await;
    assert_eq!(added.status, StatusCode::SEE_OTHER, "{}", added.body);

    let page = ada.get("/workloads").await;
    for shown in ["<q>CI of the shop</q>", "https://ci.example", "repository_id", "cap_minor", "10 minutes", "ada@example.test"] {
        assert!(page.body.contains(shown), "`{shown}` is not there: {}", page.body);
    }
    let at = page.body.split("id=\"wlt_").nth(1).map(|rest| format!("wlt_{}", rest.split('"').next().unwrap()));
    let at = at.unwrap_or_else(|| panic!("no trust on the page: {}", page.body));
    let remove = format!("/workloads/{at}/remove");

    // another tenant neither sees nor removes it, and cannot name the grant
    let mut eve = world.person("eve@example.test").await;
    assert!(!eve.get("/workloads").await.body.contains("CI of the shop"));
    assert_eq!(send(&mut eve, "/workloads", &remove, &[]).await.status, StatusCode::NOT_FOUND);
    assert_eq!(send_typed(&mut eve, &[]).await.status, StatusCode::NOT_FOUND);
    // who may only look sees it and no more
    demote(&world, "ada@example.test", "auditor").await;
    let page = ada.get("/workloads").await;
    assert!(page.body.contains("CI of the shop") && !page.body.contains("/remove") && !page.body.contains("Let a workload in"));
    assert_eq!(send(&mut ada, "/workloads", &remove, &[]).await.status, StatusCode::FORBIDDEN);
    demote(&world, "ada@example.test", "owner").await;
    assert_eq!(send(&mut ada, "/workloads", &remove, &[]).await.status, StatusCode::SEE_OTHER);
    assert!(!ada.get("/workloads").await.body.contains("CI of the shop"));
}
