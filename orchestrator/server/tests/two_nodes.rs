//! Two servers on one database: what ends at one has ended at the other, with no wait at all; new keys reach both.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod world;

use std::time::{Duration, Instant};

use http::StatusCode;
use purser_authority::action::SigningKeyRotate;
use purser_authority::{Attempt, Caller, Facts, authorise};
use purser_crypto::jose;
use purser_db::testing::each_engine;
use purser_identity::keys::{Haste, RotateError, signing_key_rotate};
use purser_identity::limits::{KEY_SETTLE_S, KEY_TOKENS_S};
use serde_json::{Value, json};
use world::{Agent, Browser, World};

fn access(tokens: &Value) -> &str {
    tokens["access_token"].as_str().unwrap()
}

/// One call at a node, as a client makes it.
async fn calls(node: &World, agent: &Agent, token: &str) -> StatusCode {
    node.api(Some((agent, token)), "GET", "/v1/whoami", "", String::new()).await.0
}

/// Lets an agent in at one node and sees that its token works at the other.
async fn let_in(one: &World, two: &World, person: &mut Browser) -> (Agent, Value) {
    let (agent, tokens) = one.granted(person).await;
    assert_eq!(calls(two, &agent, access(&tokens)).await, StatusCode::OK, "a token of one node is none at the other");
    (agent, tokens)
}

#[tokio::test]
async fn an_access_token_dies_at_every_node_with_its_grant_agent_person_or_organisation() {
    each_engine(purser_server::TABLES, |db| async move {
        let one = World::on(db).await;
        let two = one.beside().await;

        let mut ada = one.person("ada@example.test").await;
        let (agent, tokens) = let_in(&one, &two, &mut ada).await;
        agent.post("/oauth/revoke", &[("token", access(&tokens))]).await;
        assert_eq!(calls(&two, &agent, access(&tokens)).await, StatusCode::UNAUTHORIZED, "the token");

        let (agent, tokens) = let_in(&one, &two, &mut ada).await;
        let mail = one.mail_to("ada@example.test").await.into_iter().rev().find(|mail| mail.contains("/revoke?token=")).unwrap();
        let link = mail.split_once("http://localhost:4000").map(|_| mail.split("http://localhost:4000/revoke").nth(1).unwrap()).unwrap();
        let page = ada.get(&format!("/revoke{}", link.split_whitespace().next().unwrap())).await;
        let ended = ada.submit(&page, 0, &[], None).await;
        assert!(ended.status.is_success() || ended.status.is_redirection(), "{}", ended.body);
        assert_eq!(calls(&two, &agent, access(&tokens)).await, StatusCode::UNAUTHORIZED, "the grant");

        let (agent, tokens) = let_in(&one, &two, &mut ada).await;
        let Caller::Agent { on_behalf_of, organisation, .. } = one.caller(&agent, &tokens).await else { panic!("an agent calls") };
        let (terminal, token) = one.terminal(&mut ada).await;
        let path = format!("/v1/agents/{}/freeze", tokens["agent_id"].as_str().unwrap());
        let (status, body) = one.api(Some((&terminal, &token)), "POST", &path, "application/json", json!({}).to_string()).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        assert_eq!(calls(&two, &agent, access(&tokens)).await, StatusCode::FORBIDDEN, "the agent");

        for sql in ["update organisation set disabled_at = 1 where id = $1", "update organisation set disabled_at = null where id = $1"] {
            let id = organisation.clone();
            one.front.core.db.write::<_, purser_db::DbError, _>(move |tx| tx.execute(sql, purser_db::params![id])).await.unwrap();
            let stopped = sql.contains("= 1");
            let found = calls(&two, &terminal, &token).await;
            assert_eq!(found == StatusCode::OK, !stopped, "the organisation: {found}");
        }
        let id = on_behalf_of.clone();
        let disable =
            move |tx: &mut purser_db::Tx<'_>| tx.execute("update person set disabled_at = 1 where id = $1", purser_db::params![id]);
        one.front.core.db.write::<_, purser_db::DbError, _>(disable).await.unwrap();
        assert_eq!(calls(&two, &terminal, &token).await, StatusCode::UNAUTHORIZED, "the person");
    })
    .await;
}

/// What an operator's own process does beside the nodes.
async fn rotate(node: &World, haste: Haste) -> Vec<String> {
    let realm = node.front.realm.clone();
    let attempt = Attempt::new("signing_key_rotate", &Caller::Operator, "keys");
    let rotated = purser_provisioning::perform_beside(&node.front.core.db, &node.env, attempt, move |tx| {
        let permit = authorise::<SigningKeyRotate>(&Caller::Operator, &Facts::new(realm.env.now(), "keys"))?;
        signing_key_rotate(tx, &realm, &permit, haste)
    });
    let rotated: Result<_, RotateError> = rotated.await;
    rotated.unwrap().keys
}

/// The names in the key set of a node.
async fn key_set(node: &World) -> Vec<String> {
    let answer = node.browser().get("/.well-known/jwks.json").await;
    assert_eq!(answer.headers[http::header::CACHE_CONTROL], "public, max-age=300");
    let set: Value = serde_json::from_str(&answer.body).unwrap();
    set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// Waits until both nodes publish the keys, as they do by themselves.
async fn published(nodes: [&World; 2], kids: &[String]) {
    let deadline = Instant::now() + Duration::from_secs(10);
    for node in nodes {
        while !{
            let set = key_set(node).await;
            kids.iter().all(|kid| set.contains(kid))
        } {
            assert!(Instant::now() < deadline, "a node does not see the new keys");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn signer(token: &str) -> String {
    jose::decode_unverified::<Value>(token, "at+jwt").unwrap().kid.unwrap()
}

#[tokio::test]
async fn every_node_goes_over_to_new_keys_while_it_runs_and_compromised_ones_sign_nothing_more_anywhere() {
    each_engine(purser_server::TABLES, |db| async move {
        let one = World::on(db).await;
        let two = one.beside().await;
        let mut ada = one.person("ada@example.test").await;
        let (agent, tokens) = let_in(&one, &two, &mut ada).await;
        let old = key_set(&one).await;

        let new = rotate(&two, Haste::Now).await;
        published([&one, &two], &new).await;
        let (_, still) = agent.refresh(&tokens).await;
        assert!(old.contains(&signer(access(&still))), "it signed before every node had it");
        one.clock.advance_secs(KEY_SETTLE_S);
        let (_, fresh) = agent.refresh(&still).await;
        assert!(new.contains(&signer(access(&fresh))), "the old key goes on signing");
        for token in [access(&still), access(&fresh)] {
            for node in [&one, &two] {
                assert_eq!(calls(node, &agent, token).await, StatusCode::OK);
            }
        }
        one.clock.advance_secs(KEY_TOKENS_S);
        assert_eq!(key_set(&two).await.len(), 4, "grants that the old keys signed live on");

        let (_, stolen) = agent.refresh(&fresh).await;
        assert_eq!(calls(&two, &agent, access(&stolen)).await, StatusCode::OK);
        let clean = rotate(&one, Haste::Compromised).await;
        published([&one, &two], &clean).await;
        one.clock.advance_secs(KEY_SETTLE_S);
        for node in [&one, &two] {
            assert_eq!(calls(node, &agent, access(&stolen)).await, StatusCode::UNAUTHORIZED, "a token of a compromised key");
            let mut set = key_set(node).await;
            set.sort();
            let mut expected = clean.clone();
            expected.sort();
            assert_eq!(set, expected);
        }
        let (_, renewed) = agent.refresh(&stolen).await;
        assert_eq!(calls(&two, &agent, access(&renewed)).await, StatusCode::OK, "the agent does not come back by itself");
    })
    .await;
}
