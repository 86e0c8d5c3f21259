//! Cron triggers, routes, custom domains.

use reqwest::Method;
use serde_json::json;

use crate::lane::{Lane, holds};
use crate::outcome::{Done, Ended};

const CODE: &str = "export default { fetch(request) { return new Response('at ' + new URL(request.url).pathname) }, scheduled() {} }";

pub async fn cron(at: &Lane<'_>) -> Done {
    let project = at.project(json!({"main": "index.js", "triggers": {"crons": ["*/5 * * * *", "0 0 L * *"]}}), &[("index.js", CODE)]);
    project.says("deploy", "*/5 * * * *").await?;
    let schedules = at.api(Method::GET, &format!("workers/scripts/{}/schedules", at.name)).await?;
    holds(&schedules.to_string(), "0 0 L * *")
}

pub async fn domain(at: &Lane<'_>) -> Done {
    let host = format!("app.{}", at.customer.domain);
    let config = json!({"main": "index.js", "routes": [{"pattern": host, "custom_domain": true}]});
    at.project(config, &[("index.js", CODE)]).says("deploy", &host).await?;
    let (status, text) = at.cloud.visit(&host, "/x").await;
    if text == "at /x" { Ok(()) } else { Err(Ended::failed(format!("the custom domain answers {status} {text}"))) }
}

pub async fn routes(at: &Lane<'_>) -> Done {
    let domain = &at.customer.domain;
    let config = json!({"main": "index.js", "routes": [{"pattern": format!("www.{domain}/shop/*"), "zone_name": domain}]});
    at.project(config, &[("index.js", CODE)]).says("deploy", "/shop/*").await?;
    let (status, text) = at.cloud.visit(&format!("www.{domain}"), "/shop/1").await;
    if text == "at /shop/1" { Ok(()) } else { Err(Ended::failed(format!("the route answers {status} {text}"))) }
}

pub async fn deploy(at: &Lane<'_>) -> Done {
    let project = at.worker(CODE);
    project.run("deploy").await?;
    let host = format!("later.{}", at.customer.domain);
    let config = json!({"name": at.name, "main": "index.js", "compatibility_date": crate::lane::DATE, "workers_dev": true,
                        "routes": [{"pattern": host, "custom_domain": true}]});
    project.write("wrangler.json", &config.to_string());
    project.says("triggers deploy", &host).await?;
    let (status, text) = at.cloud.visit(&host, "/").await;
    if text == "at /" { Ok(()) } else { Err(Ended::failed(format!("the custom domain answers {status} {text}"))) }
}

pub async fn off(at: &Lane<'_>) -> Done {
    let project = at.worker(CODE);
    project.run("deploy").await?;
    let host = project.host().await?;
    project.answers("/", "at /").await?;
    let config = json!({"name": at.name, "main": "index.js", "compatibility_date": crate::lane::DATE, "workers_dev": false});
    project.write("wrangler.json", &config.to_string());
    project.run("deploy").await?;
    match at.cloud.visit(&host, "/").await.0 {
        404 => Ok(()),
        status => Err(Ended::failed(format!("a Worker that is off answers {status}"))),
    }
}
