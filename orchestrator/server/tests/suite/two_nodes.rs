//! Two servers on one database: what ends at one has ended at the other, with no wait at all; new keys reach both.

use std::time::{Duration, Instant};

use crate::world::{Agent, Browser, World};
use http::StatusCode;
use purser_authority::action::SigningKeyRotate;
use purser_authority::{Attempt, Caller, Facts, Role, authorise};
use purser_crypto::jose;
use purser_db::testing::each_engine;
use purser_db::{DbError, Tx, params};
use purser_identity::keys::{Haste, RotateError, signing_key_rotate};
use purser_identity::limits::{KEY_SETTLE_S, KEY_TOKENS_S};
use purser_provisioning::{member_leave, organisation_disable, perform, person_disable};
use purser_values::id::PersonId;
use serde_json::Value;

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
async fn an_access_token_dies_at_every_node_by_itself_and_with_the_link_in_the_mail() {
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
    })
    .await;
}

/// What people and the operator have to end an agent with.
#[derive(Clone, Copy, Debug)]
enum End {
    Token,
    Grant,
    Freeze,
    Leave,
    Person,
    Organisation,
}

/// Does it at this node, by the use case that pages, routes and the operator's commands run.
async fn end(node: &World, how: End, person: &mut Browser, agent: &Agent, tokens: &Value) {
    let text = |name: &str| tokens[name].as_str().unwrap().to_owned();
    let Caller::Agent { on_behalf_of, organisation, .. } = node.caller(agent, tokens).await else { panic!("an agent calls") };
    let (core, env) = (&node.front.core, node.env.clone());
    let page = person.get("/agents").await;
    let mut press = async |to: String| {
        let answer = person.post(&to, &page.form(1).1).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{how:?}: {}", answer.body);
    };
    match how {
        End::Token => assert_eq!(agent.post("/oauth/revoke", &[("token", &text("refresh_token"))]).await.0, StatusCode::OK),
        End::Grant => press(format!("/grants/{}/revoke", text("grant_id"))).await,
        End::Freeze => press(format!("/agents/{}/freeze", text("agent_id"))).await,
        End::Leave => {
            let person = Caller::Person { person: on_behalf_of, organisation, role: Role::Member, present_at: None };
            let attempt = Attempt::new("member_leave", &person, "itself");
            perform(core, attempt, move |tx| member_leave(tx, &env, &person)).await.map(drop).unwrap();
        }
        End::Person => {
            let attempt = Attempt::new("person_disable", &Caller::Operator, on_behalf_of.as_str());
            let disable = move |tx: &mut Tx<'_>| person_disable(tx, &env, &Caller::Operator, &on_behalf_of);
            assert!(!perform(core, attempt, disable).await.unwrap().is_empty());
        }
        End::Organisation => {
            let attempt = Attempt::new("organisation_disable", &Caller::Operator, organisation.as_str());
            let disable = move |tx: &mut Tx<'_>| organisation_disable(tx, &env, &Caller::Operator, &organisation);
            assert!(!perform(core, attempt, disable).await.unwrap().is_empty());
        }
    }
}

/// Gives the organisation a second owner, so that the first can leave.
async fn another_owner(node: &World, agent: &Agent, tokens: &Value) {
    let organisation = node.caller(agent, tokens).await.organisation().unwrap().clone();
    let id = PersonId::mint(&node.env);
    let join = move |tx: &mut Tx<'_>| {
        tx.execute("insert into person (id, email, created_at) values ($1, $2, 0)", params![id, format!("{id}@example.test")])?;
        let insert = "insert into membership (organisation, person, role, created_at) values ($1, $2, 'owner', 0)";
        tx.execute(insert, params![organisation, id])
    };
    node.front.core.db.write::<_, DbError, _>(join).await.unwrap();
}

#[tokio::test]
async fn whatever_ends_an_agent_at_one_node_ends_it_and_what_it_let_in_at_the_other_within_a_second() {
    each_engine(purser_server::TABLES, |db| async move {
        let one = World::on(db).await;
        let two = one.beside().await;
        for how in [End::Token, End::Grant, End::Freeze, End::Leave, End::Person, End::Organisation] {
            let mut person = one.person(&format!("{how:?}@example.test").to_lowercase()).await;
            let (agent, tokens) = one.delegator(&mut person).await;
            another_owner(&one, &agent, &tokens).await;
            let helper = one.agent();
            let (status, below) = agent.let_in(&tokens, &helper, r#"[{"type":"purser_grant"}]"#).await;
            assert_eq!(status, StatusCode::OK, "{below}");
            let live = [(&agent, access(&tokens)), (&helper, access(&below))];
            for (caller, token) in live {
                assert_eq!(calls(&two, caller, token).await, StatusCode::OK, "{how:?}");
            }
            end(&one, how, &mut person, &agent, &tokens).await;
            let ended = Instant::now();
            for (at, (caller, token)) in live.into_iter().enumerate() {
                // an agent that ends its own tokens says nothing of its grant, which its helper acts under
                let expected = if matches!(how, End::Token) && at == 1 { [StatusCode::OK; 2] } else { REFUSED };
                let found = calls(&two, caller, token).await;
                assert!(expected.contains(&found), "{how:?}, {}: {found}", ["the agent", "its helper"][at]);
            }
            assert!(ended.elapsed() < Duration::from_secs(1), "{how:?}: {:?}", ended.elapsed());
        }
    })
    .await;
}

const REFUSED: [StatusCode; 2] = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN];

#[tokio::test]
async fn a_persons_terminal_ends_with_the_person_and_with_the_organisation_at_every_node() {
    each_engine(purser_server::TABLES, |db| async move {
        let one = World::on(db).await;
        let two = one.beside().await;
        for how in [End::Person, End::Organisation] {
            let mut person = one.person(&format!("{how:?}@example.test").to_lowercase()).await;
            let (agent, tokens) = one.granted(&mut person).await;
            let (terminal, token) = one.terminal(&mut person).await;
            assert_eq!(calls(&two, &terminal, &token).await, StatusCode::OK, "{how:?}");
            end(&one, how, &mut person, &agent, &tokens).await;
            assert_eq!(calls(&two, &terminal, &token).await, StatusCode::UNAUTHORIZED, "{how:?}");
        }
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
