//! A disk that runs full under the orchestrator: changes are refused with a clear code, and nothing that was said to be done is lost.

use std::fs;
use std::time::Duration;

use purser_tests::{Ask, Choice, processes, store};
use serde_json::json;

use crate::alone::Alone;

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_changes_with_a_clear_code_and_loses_nothing() {
    let namespaces = std::process::Command::new("unshare").args(["--map-root-user", "--mount", "true"]).status();
    if !namespaces.is_ok_and(|status| status.success()) {
        eprintln!("NOT TESTED: a small disk needs `unshare` and user namespaces");
        return;
    }
    let Some(alone) = Alone::start(true).await else { return };
    let (mut ada, agent) = (alone.person("ada"), alone.agent("cramped"));
    processes::until("the catalogue", Duration::from_secs(20), async || {
        agent.run(&["catalog"]).await.stdout.contains("tiny/greeting").then_some(())
    })
    .await;
    agent.login(&mut ada, Ask::ALL, &Choice::USUAL).await;
    agent.must(&["init", "cramped"]).await;
    agent.must(&["add", "tiny/greeting", "--name", "before"]).await;

    let ballast = alone.data().join("ballast");
    let filled = fs::write(&ballast, vec![0_u8; 64 << 20]);
    assert!(filled.is_err(), "the disk is not small");
    // what the database had set aside may still hold some changes; each is done, or refused with the code
    let (mut done, mut refused) = (vec!["before".to_owned()], 0);
    for n in 0..400 {
        let body = json!({"project": "cramped", "environment": "development", "service": "tiny/greeting", "name": format!("n{n}"), "configuration": {}});
        let (status, answer) = agent.call("POST", "/v1/resources", Some(&body), None).await;
        match (status, answer["code"].as_str()) {
            (200, _) if answer["state"] == "done" => done.push(format!("n{n}")),
            (200, _) => {}
            (503, Some("disk_full")) => {
                refused += 1;
                if refused == 3 {
                    break;
                }
            }
            other => panic!("on a full disk: {other:?} {answer}"),
        }
    }
    assert_eq!(refused, 3, "the disk never ran full");

    fs::remove_file(&ballast).unwrap();
    let after = processes::until("room", Duration::from_secs(20), async || {
        Some(agent.run(&["add", "tiny/greeting", "--name", "after"]).await).filter(|e| e.ok())
    })
    .await;
    assert_eq!(after.data()["state"], "done");
    let status = agent.must(&["status"]).await;
    let live: Vec<&str> =
        status["resources"].as_array().unwrap().iter().filter(|r| r["state"] == "live").filter_map(|r| r["name"].as_str()).collect();
    assert!(done.iter().all(|name| live.contains(&name.as_str())), "done, and then lost: {done:?} {live:?}");
    processes::until("the end of all work", Duration::from_secs(60), async || {
        let status = agent.must(&["status"]).await;
        status["resources"].as_array().unwrap().iter().all(|row| row["state"] == "live").then_some(())
    })
    .await;
    let copy = tempfile::tempdir().unwrap();
    alone.copy(copy.path());
    assert_eq!(store::number(copy.path(), "purser.db", "select count(*) as n from saga where status <> 'done'").await, 0);
    assert_eq!(store::ledger_faults(copy.path()).await, Vec::<String>::new());
    agent.must(&["audit", "verify", "--data", copy.path().to_str().unwrap()]).await;
}
