//! KV.

use serde_json::json;

use crate::lane::{Lane, Project, id_in};
use crate::outcome::{Done, Ended};

/// A namespace of the row's name, and its id.
pub async fn namespace<'a>(at: &'a Lane<'a>) -> Done<(Project<'a>, String)> {
    let project = at.bare();
    let told = project.run(&format!("kv namespace create {}", at.name)).await?;
    let id = id_in(&told)?;
    Ok((project, id))
}

pub async fn namespaces(at: &Lane<'_>) -> Done {
    let (project, id) = namespace(at).await?;
    project.says("kv namespace list", &id).await?;
    project.run(&format!("kv namespace rename --namespace-id {id} --new-name {}-new", at.name)).await?;
    project.says("kv namespace list", &format!("{}-new", at.name)).await?;
    project.run(&format!("kv namespace delete --namespace-id {id}")).await?;
    let left = project.run("kv namespace list").await?;
    if left.contains(&id) { Err(Ended::failed("the namespace is still listed")) } else { Ok(()) }
}

pub async fn keys(at: &Lane<'_>) -> Done {
    let (project, id) = namespace(at).await?;
    let with = format!("--namespace-id {id} --remote");
    project.run(&format!("kv key put \"a/b c\" \"the value\" {with}")).await?;
    project.says(&format!("kv key get \"a/b c\" {with}"), "the value").await?;
    project.says(&format!("kv key list {with} --prefix a/"), "a/b c").await?;
    project.run(&format!("kv key delete \"a/b c\" {with}")).await?;
    let left = project.run(&format!("kv key list {with}")).await?;
    if left.contains("a/b c") { Err(Ended::failed("the key is still listed")) } else { Ok(()) }
}

pub async fn metadata(at: &Lane<'_>) -> Done {
    let (project, id) = namespace(at).await?;
    let with = format!("--namespace-id {id} --remote");
    let arguments: Vec<&str> = with.split(' ').collect();
    let line = [&["kv", "key", "put", "k", "v", "--ttl", "3600", "--metadata", r#"{"a":1}"#], &arguments[..]].concat();
    project.run_words(&line, "").await?;
    project.says(&format!("kv key list {with}"), "metadata").await?;
    project.says(&format!("kv key list {with}"), "expiration").await.map(drop)
}

pub async fn bulk(at: &Lane<'_>) -> Done {
    let (project, id) = namespace(at).await?;
    let with = format!("--namespace-id {id} --remote");
    project.write("put.json", r#"[{"key": "one", "value": "1"}, {"key": "two", "value": "Mg==", "base64": true, "metadata": {"m": 1}}]"#);
    project.run(&format!("kv bulk put put.json {with}")).await?;
    project.says(&format!("kv key get two {with}"), "2").await?;
    project.write("keys.json", r#"["one", "two"]"#);
    project.says(&format!("kv bulk get keys.json {with}"), "one").await?;
    project.run(&format!("kv bulk delete keys.json {with} --force")).await?;
    let left = project.run(&format!("kv key list {with}")).await?;
    if left.contains("one") { Err(Ended::failed("a key is still listed")) } else { Ok(()) }
}

pub async fn worker(at: &Lane<'_>) -> Done {
    let (_, id) = namespace(at).await?;
    let code = "export default { async fetch(request, env) {
        await env.KV.put('k', 'from the Worker', { metadata: { m: 1 } });
        const { value, metadata } = await env.KV.getWithMetadata('k');
        const { keys } = await env.KV.list();
        return new Response([value, metadata.m, keys.length, await env.KV.get('none')].join());
    } }";
    let config = json!({"main": "index.js", "kv_namespaces": [{"binding": "KV", "id": id}]});
    let project = at.project(config, &[("index.js", code)]);
    project.run("deploy").await?;
    project.answers("/", "from the Worker,1,1,").await?;
    project.says(&format!("kv key get k --namespace-id {id} --remote"), "from the Worker").await.map(drop)
}
