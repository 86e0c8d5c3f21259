//! Two servers on one database: what ends at one has ended at the other, with no wait at all.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod world;

use http::StatusCode;
use purser_authority::Caller;
use purser_db::testing::each_engine;
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
