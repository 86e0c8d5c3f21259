//! A provider that answers with garbage, 500, or not at all: a clear code or patience, and nothing lost either way.

use std::time::Duration;

use purser_tests::{Ask, Choice, processes};
use serde_json::json;

use crate::alone::{Alone, Mood};

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_answers_garbage_or_500_or_nothing_costs_patience_and_nothing_else() {
    let Some(mut alone) = Alone::start(false).await else { return };
    let (mut ada, agent) = (alone.person("ada"), alone.agent("patient"));
    processes::until("the catalogue", Duration::from_secs(20), async || {
        agent.run(&["catalog"]).await.stdout.contains("tiny/greeting").then_some(())
    })
    .await;
    agent.login(&mut ada, Ask::ALL, &Choice::USUAL).await;
    agent.must(&["init", "patient"]).await;
    agent.must(&["add", "tiny/greeting", "--name", "first"]).await;

    for mood in [Mood::Html, Mood::WrongShape, Mood::Huge, Mood::Redirects] {
        alone.set(mood);
        let envelope = agent.run(&["add", "tiny/greeting", "--name", "second"]).await;
        assert_eq!((envelope.exit, envelope.code()), (9, "provider_garbage"), "{mood:?}: {}", envelope.stdout);
        let names: Vec<_> = agent.must(&["status"]).await["resources"].as_array().unwrap().iter().map(|row| row["name"].clone()).collect();
        assert_eq!(names, [json!("first")], "{mood:?} left something");
    }
    for (mood, name) in [(Mood::Fails, "after-500"), (Mood::Silent, "after-silence")] {
        alone.set(mood);
        let arguments = ["add", "tiny/greeting", "--name", name];
        let recovery = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let status = agent.must(&["status"]).await;
            let row = status["resources"].as_array().unwrap().iter().find(|row| row["name"] == name).cloned();
            assert_eq!(row.unwrap()["state"], "creating", "{mood:?}: it is neither waited for nor shown");
            alone.set(Mood::Good);
        };
        let (added, ()) = tokio::join!(agent.must(&arguments), recovery);
        assert_eq!(added["state"], "done", "{mood:?}: {added}");
    }

    alone.set(Mood::Html);
    alone.restart().await;
    let envelope = agent.run(&["add", "tiny/greeting", "--name", "too-early"]).await;
    assert_eq!((envelope.exit, envelope.code()), (10, "provider_unavailable"), "{}", envelope.stdout);
    assert_eq!(agent.must(&["status"]).await["resources"].as_array().unwrap().len(), 3);
    alone.set(Mood::Good);
    processes::until("the provider's return", Duration::from_secs(20), async || {
        agent.run(&["add", "tiny/greeting", "--name", "at-last"]).await.ok().then_some(())
    })
    .await;
    assert!(!alone.log().contains("it works!"), "a provider's garbage is in the log");
}
