//! Queues.

use serde_json::json;

use crate::lane::{DATE, Lane, Project};
use crate::outcome::{Done, Ended};

async fn queue<'a>(at: &'a Lane<'a>) -> Done<Project<'a>> {
    let project = at.worker("export default { fetch() { return new Response('x') }, queue() {} }");
    project.run(&format!("queues create {}", at.name)).await?;
    Ok(project)
}

pub async fn queues(at: &Lane<'_>) -> Done {
    let project = queue(at).await?;
    project.says("queues list", &at.name).await?;
    project.says(&format!("queues info {}", at.name), &at.name).await?;
    project.run(&format!("queues update {} --delivery-delay-secs 5", at.name)).await?;
    project.run(&format!("queues delete {}", at.name)).await?;
    let left = project.run("queues list").await?;
    if left.contains(&at.name) { Err(Ended::failed("the queue is still listed")) } else { Ok(()) }
}

pub async fn consumers(at: &Lane<'_>) -> Done {
    let project = queue(at).await?;
    project.run("deploy").await?;
    project.run(&format!("queues consumer add {0} {0} --batch-size 3", at.name)).await?;
    project.says(&format!("queues info {}", at.name), &at.name).await?;
    project.run(&format!("queues consumer remove {0} {0}", at.name)).await.map(drop)
}

pub async fn purge(at: &Lane<'_>) -> Done {
    let project = queue(at).await?;
    project.run(&format!("queues purge {} --force", at.name)).await.map(drop)
}

pub async fn worker(at: &Lane<'_>) -> Done {
    let project = queue(at).await?;
    let code = "let seen = [];
        export default {
            async fetch(request, env) {
                if (new URL(request.url).pathname == '/send') { await env.Q.send({ n: 1 }); await env.Q.sendBatch([{ body: 'two' }]); return new Response('sent') }
                return new Response(seen.sort().join());
            },
            async queue(batch) { for (const message of batch.messages) seen.push(JSON.stringify(message.body)) },
        }";
    project.write("index.js", code);
    let queues = json!({"producers": [{"binding": "Q", "queue": at.name}], "consumers": [{"queue": at.name, "max_batch_timeout": 1}]});
    let config = json!({"name": at.name, "main": "index.js", "compatibility_date": DATE, "queues": queues});
    project.write("wrangler.json", &config.to_string());
    project.run("deploy").await?;
    project.answers("/send", "sent").await?;
    project.answers("/", "\"two\",{\"n\":1}").await
}
