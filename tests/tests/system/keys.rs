//! New signing keys in a system that runs: the agent's next command works, the provider takes it, and what the old keys signed is
//! still proved.

use std::process::{Command, Stdio};
use std::time::Duration;

use purser_tests::{Agent, Ask, Choice, World, browser, processes, site};
use serde_json::Value;

/// The operator's command beside the process that serves.
fn operator(world: &World, arguments: &[&str]) -> Value {
    let mut command = Command::new(&world.system.binaries.purser);
    command.arg("--json").arg("keys").args(arguments).arg("--config").arg(world.system.dir.join("orchestrator.toml"));
    let output = command.stdin(Stdio::null()).output().unwrap();
    let envelope: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(envelope["ok"], true, "{envelope}");
    envelope["data"].clone()
}

async fn key_set(world: &World) -> Vec<String> {
    let url = format!("{}/.well-known/jwks.json", world.system.run.orchestrator.url);
    let set: Value = serde_json::from_str(&browser::client().get(url).send().await.unwrap().text().await.unwrap()).unwrap();
    set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

fn signer(agent: &Agent) -> String {
    purser_crypto::jose::decode_unverified::<Value>(&agent.access_token(), "at+jwt").unwrap().kid.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_system_changes_its_keys_and_the_next_command_of_every_agent_works() {
    let Some(world) = World::start().await else { return };
    world.system.await_healthy().await;
    let (mut ada, agent) = (world.person("ada"), world.agent("keyed"));
    agent.ready(&mut ada, Ask::ALL, &Choice::USUAL).await;
    let shell = agent.person_shell(&mut ada).await;
    let bundle = agent.site.join("before.json").display().to_string();
    assert!(agent.run_with(&["terms", "export", "--output", &bundle], &shell).await.ok());
    let first = key_set(&world).await;

    let announced = operator(&world, &["rotate"]);
    processes::until("the announced keys", Duration::from_secs(5), async || (key_set(&world).await.len() == 4).then_some(())).await;
    assert!(first.contains(&signer(&agent)), "{announced}");
    let mut deployed = Value::Null;
    for (n, how) in ["--now", "--compromised", "--now"].into_iter().enumerate() {
        let rotated = operator(&world, &["rotate", how]);
        let new: Vec<&str> = rotated["rotation"]["keys"].as_array().unwrap().iter().map(|kid| kid.as_str().unwrap()).collect();
        // slipway has never seen the key that signs this
        site::write_worker(&agent.site, &format!("light {n}"));
        deployed = agent.must(&["deploy", "."]).await;
        agent.must(&["rotate", "workers"]).await;
        let signed = signer(&agent);
        match how {
            // its token is good until it ends
            "--now" => assert!(key_set(&world).await.contains(&signed)),
            _ => assert!(new.contains(&signed.as_str()), "a token of a compromised key was taken"),
        }
        let set = key_set(&world).await;
        assert!(new.iter().all(|kid| set.iter().any(|found| found == kid)), "{set:?}");
    }

    // Another agent comes with the new keys; its grant is signed by them.
    let other = world.agent("later");
    other.login(&mut ada, Ask::ALL, &Choice::USUAL).await;
    other.must(&["init", "later"]).await;
    let listed = operator(&world, &["list"]);
    let kids: Vec<&str> = listed["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap()).collect();
    assert!(kids.contains(&signer(&other).as_str()) && first.iter().all(|kid| kids.contains(&kid.as_str())), "{listed}");

    // Records of every key are proved without us, old ones with the keys that are no longer published.
    assert!(!key_set(&world).await.iter().any(|kid| first.contains(kid)));
    let after = agent.site.join("after.json").display().to_string();
    let shell = agent.person_shell(&mut ada).await;
    assert!(agent.run_with(&["terms", "export", "--output", &after], &shell).await.ok());
    for file in [&bundle, &after] {
        let verified = agent.must(&["terms", "verify", file]).await;
        assert!(verified["confirmed_by_grants"].as_i64().unwrap() >= 1, "{verified}");
    }
    agent.must(&["audit", "verify", "--data", &world.system.dir.display().to_string()]).await;
    let traced = agent.must(&["trace", deployed["code_digest"].as_str().unwrap()]).await;
    assert!(traced["events"].as_array().is_some_and(|events| !events.is_empty()), "{traced}");
}
