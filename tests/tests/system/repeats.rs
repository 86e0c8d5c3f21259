//! The same change again: one effect, the first answer, also at the same time; and how long a command waits.

use std::time::{Duration, Instant};

use purser_tests::{Agent, Ask, Choice, processes};
use serde_json::{Value, json};

use crate::alone::Alone;
use crate::market::Trouble;

async fn change(agent: &Agent, id: &str, what: &str, key: &str) -> (u16, Value) {
    agent.call("POST", &format!("/v1/resources/{id}/{what}"), Some(&json!({})), Some(key)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_rotation_or_removal_has_one_effect_and_gets_the_first_answer_also_at_the_same_time() {
    let Some((alone, markets)) = Alone::among(&["shop"], 3_600).await else { return };
    let shop = &markets[0];
    let (mut ada, agent) = (alone.person("ada"), alone.agent("stutter"));
    agent.login(&mut ada, Ask::ALL, &Choice::USUAL).await;
    agent.must(&["init", "stutter"]).await;
    let mut ids = Vec::new();
    for name in ["one", "two"] {
        let added = agent.must(&["add", "shop/greeting", "--name", name]).await;
        ids.push(added["resource"]["id"].as_str().unwrap().to_owned());
    }
    let (one, two) = (ids[0].as_str(), ids[1].as_str());

    for (what, id, count) in [("rotate", one, 1), ("rotate", two, 2), ("remove", one, 1), ("remove", two, 2)] {
        let key = format!("{what}-{id}");
        shop.trouble(Trouble { late: Some(if what == "rotate" { "rotate_credentials" } else { "remove" }), ..Trouble::default() });
        let release = async {
            processes::until("the provider to be asked", Duration::from_secs(10), async || {
                (*shop.waiting.lock().unwrap() == 1).then_some(())
            })
            .await;
            shop.calm();
        };
        let (a, b, c, ()) =
            tokio::join!(change(&agent, id, what, &key), change(&agent, id, what, &key), change(&agent, id, what, &key), release);
        let later = change(&agent, id, what, &key).await;
        for answer in [&a, &b, &c, &later] {
            assert_eq!((answer.0, &answer.1["saga"], answer.1["state"].as_str()), (200, &a.1["saga"], Some("done")), "{what}: {answer:?}");
        }
        assert_eq!(shop.count(what), count, "`{what}` took effect more often than once");

        let other = if id == one { two } else { one };
        let elsewhere = change(&agent, other, what, &key).await;
        assert_eq!((elsewhere.0, elsewhere.1["code"].as_str()), (409, Some("idempotency_key_reused")), "{elsewhere:?}");
        let another = change(&agent, id, if what == "rotate" { "remove" } else { "rotate" }, &key).await;
        assert_eq!((another.0, another.1["code"].as_str()), (409, Some("idempotency_key_reused")), "{another:?}");
        let path = format!("/v1/resources/{id}/{what}");
        let (status, answer) = agent.call("POST", &path, Some(&json!({"force": true})), Some(&key)).await;
        assert_eq!(status, 400, "a body that means nothing was taken: {answer}");
    }
    assert_eq!((shop.count("rotate"), shop.count("remove")), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_waits_no_longer_than_it_is_told_to_and_the_work_goes_on() {
    let Some((alone, markets)) = Alone::among(&["shop"], 3_600).await else { return };
    let shop = &markets[0];
    let (mut ada, agent) = (alone.person("ada"), alone.agent("hasty"));
    agent.login(&mut ada, Ask::ALL, &Choice::USUAL).await;
    agent.must(&["init", "hasty"]).await;
    for (arguments, route, seconds) in [
        (vec!["add", "shop/greeting", "--timeout"], "provisioning/resources", 2),
        (vec!["rotate", "greeting", "--timeout"], "rotate_credentials", 1),
        (vec!["remove", "greeting", "--yes", "--timeout"], "remove", 0),
    ] {
        shop.trouble(Trouble { late: Some(route), ..Trouble::default() });
        let (limit, begun) = (seconds.to_string(), Instant::now());
        let answer = agent.must(&[&arguments[..], &[limit.as_str()]].concat()).await;
        let waited = begun.elapsed();
        assert_eq!(answer["state"], "running", "{arguments:?}: {answer}");
        assert!((seconds..seconds + 4).contains(&waited.as_secs()), "{arguments:?} waited {waited:?}");
        shop.calm();
        let saga = answer["saga"].as_str().unwrap();
        let (_, ended) = agent.call("GET", &format!("/v1/sagas/{saga}?wait=20"), None, None).await;
        assert_eq!(ended["state"], "done", "{arguments:?}: {ended}");
    }
}
