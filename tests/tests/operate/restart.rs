//! Restarting: what was under way ends, what comes meanwhile comes again, and nothing that was answered is lost.

use std::time::{Duration, Instant};

use purser_tests::{browser, processes};
use serde_json::Value;

use super::installation::{Installation, get};

/// Asks for a grant until the orchestrator has answered, as a good client does; the code that the answer named.
async fn ask(url: &str, proof: &(dyn Fn() -> String + Sync)) -> (String, u32) {
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut refused = 0;
    loop {
        assert!(Instant::now() < deadline, "the orchestrator did not come back");
        let body = "client_name=Restless&kind=person";
        let sent = browser::client()
            .post(format!("{url}/oauth/device_authorization"))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("dpop", proof())
            .body(body)
            .send()
            .await;
        match sent {
            Ok(answer) if answer.status() == 200 => {
                let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
                return (answer["user_code"].as_str().unwrap().to_owned(), refused);
            }
            Ok(answer) => {
                assert_eq!(answer.status(), 503, "{}", answer.text().await.unwrap());
                assert_eq!(answer.headers()["retry-after"], "1");
                refused += 1;
            }
            Err(_) => {}
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Terminals that ask for persons for some seconds, whatever happens to the orchestrator; the codes that they were answered.
pub fn asking(url: &str) -> tokio::task::JoinHandle<Vec<String>> {
    let key = purser_crypto::jose::SigningKey::generate(purser_crypto::jose::Algorithm::EdDsa).unwrap();
    let url = url.to_owned();
    tokio::spawn(async move {
        let proof = || {
            let env = purser_values::Env::system();
            let jti = purser_crypto::encoding::b64url(&env.bytes::<16>());
            let claims = serde_json::json!({
                "htm": "POST", "htu": format!("{url}/oauth/device_authorization"), "iat": env.now().as_secs(), "jti": jti
            });
            key.sign_with_jwk("dpop+jwt", &claims).unwrap()
        };
        let mut codes = Vec::new();
        while codes.len() < 24 {
            codes.push(ask(&url, &proof).await.0);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        codes
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_loses_no_request() {
    let Some(mut installation) = Installation::start().await else { return };
    let mut ada = installation.owner("ada").await;
    let asking = asking(&installation.url);
    // The command repeats by itself what it is told to.
    let (purser, orchestrator) = (installation.purser(), installation.url.clone());
    let commands = tokio::task::spawn_blocking(move || {
        (0..8).map(|_| super::installation::run(&purser, &["--url", &orchestrator, "catalog"])).collect::<Vec<_>>()
    });
    for _ in 0..2 {
        installation.stop();
        installation.start_again().await;
    }
    for (exit, envelope) in commands.await.unwrap() {
        assert_eq!(exit, 0, "{envelope}");
    }
    for code in asking.await.unwrap() {
        let page = ada.open(&format!("/device?user_code={code}")).await;
        assert!(page.text().contains("Restless"), "the request {code} is lost: {}", page.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_stops_it_says_so_and_goes_on_for_the_notice() {
    let Some(mut installation) = Installation::start().await else { return };
    installation.signal("TERM");
    let metrics = format!("{}/readyz", installation.metrics);
    processes::until("the notice", Duration::from_secs(5), async || (get(&metrics).await.1["status"] == "draining").then_some(())).await;
    let (status, said) = installation.get("/readyz").await;
    assert_eq!((status, said["status"].as_str()), (503, Some("draining")));
    assert_eq!(installation.get("/v1/catalog").await.0, 200, "during the notice it still serves");
    installation.wait();
    assert_eq!(installation.get("/healthz").await.0, 0);
}
