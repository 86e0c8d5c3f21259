//! Who am I, and products that slipway does not have.

use serde_json::{Value, json};

use crate::cloud::{run, said};
use crate::lane::{Lane, holds};
use crate::outcome::{Done, Ended};

pub async fn whoami(at: &Lane<'_>) -> Done {
    at.bare().says("whoami", at.customer.variable("CLOUDFLARE_ACCOUNT_ID")).await.map(drop)
}

pub async fn whoami_alone(at: &Lane<'_>) -> Done {
    let project = at.bare();
    let variables: Vec<_> = at.customer.variables.iter().filter(|(name, _)| name != "CLOUDFLARE_ACCOUNT_ID").cloned().collect();
    let text = said(&run(at.wrangler, &project.at, &at.home, &["whoami"], &variables, "").await);
    holds(&text, at.customer.variable("CLOUDFLARE_ACCOUNT_ID"))
}

/// An agent without an account gets none this way: accounts come from an orchestrator that attests a person. The client shows the
/// status of the refusal only, so its sentence is read from the API.
pub async fn temporary(at: &Lane<'_>) -> Done {
    let project = at.worker("export default { fetch() { return new Response('x') } }");
    let variables: Vec<_> = at.customer.variables.iter().filter(|(name, _)| name == "CLOUDFLARE_API_BASE_URL").cloned().collect();
    let output = run(at.wrangler, &project.at, &at.home, &["deploy", "--temporary"], &variables, "").await;
    let text = said(&output);
    if output.status.success() {
        return Err(Ended::failed("an account was made for nobody"));
    }
    if let ended @ Ended::Unknown = Ended::of(&text) {
        return Err(ended);
    }
    holds(&text, "403")?;
    let url = at.cloud.api.join("client/v4/provisioning/previews/challenge").unwrap();
    Err(refusal(reqwest::Client::new().post(url).body("{}")).await)
}

/// Here the client shows the sentence and not the code.
pub async fn containers(at: &Lane<'_>) -> Done {
    let Err(ended) = at.bare().run("containers list").await else { return Ok(()) };
    let account = at.customer.variable("CLOUDFLARE_ACCOUNT_ID");
    let url = at.cloud.api.join(&format!("client/v4/accounts/{account}/containers/dash/applications")).unwrap();
    let refused = refusal(reqwest::Client::new().get(url).bearer_auth(at.customer.variable("CLOUDFLARE_API_TOKEN"))).await;
    let Ended::Refused { sentence, .. } = &refused else { return Err(ended) };
    holds(&ended.to_string(), sentence)?;
    Err(refused)
}

/// What the API says to a call that it refuses.
async fn refusal(call: reqwest::RequestBuilder) -> Ended {
    let answer: Value = call.send().await.unwrap().json().await.unwrap();
    let error = &answer["errors"][0];
    let (code, sentence) = (error["code"].as_u64().unwrap_or(0), error["message"].as_str().unwrap_or_default());
    Ended::Refused { code: u32::try_from(code).unwrap(), sentence: sentence.to_owned() }
}

macro_rules! asked {
    ($($name:ident $line:literal;)*) => {
        $(pub async fn $name(at: &Lane<'_>) -> Done {
            at.project(json!({}), &[]).run($line).await.map(drop)
        })*
    };
}

asked! {
    cors "r2 bucket cors list some-bucket";
    lifecycle "r2 bucket lifecycle list some-bucket";
    pages "pages project list";
    vectorize "vectorize list";
    hyperdrive "hyperdrive list";
    workflows "workflows list";
    secrets_store "secrets-store store list --remote";
    ai "ai models";
    dispatch "dispatch-namespace list";
    mtls "mtls-certificate list";
    pipelines "pipelines list";
}
