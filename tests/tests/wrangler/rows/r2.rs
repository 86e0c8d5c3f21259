//! R2.

use serde_json::json;

use crate::lane::{Lane, Project};
use crate::outcome::{Done, Ended};

async fn bucket<'a>(at: &'a Lane<'a>) -> Done<Project<'a>> {
    let project = at.bare();
    project.run(&format!("r2 bucket create {}", at.name)).await?;
    Ok(project)
}

pub async fn buckets(at: &Lane<'_>) -> Done {
    let project = bucket(at).await?;
    project.says("r2 bucket list", &at.name).await?;
    project.says(&format!("r2 bucket info {}", at.name), &at.name).await?;
    project.run(&format!("r2 bucket delete {}", at.name)).await?;
    let left = project.run("r2 bucket list").await?;
    if left.contains(&at.name) { Err(Ended::failed("the bucket is still listed")) } else { Ok(()) }
}

pub async fn objects(at: &Lane<'_>) -> Done {
    let project = bucket(at).await?;
    project.write("in.bin", "some bytes");
    let key = format!("{}/a/b c.txt", at.name);
    project.run(&format!("r2 object put \"{key}\" --file in.bin --remote --content-type text/plain")).await?;
    project.run(&format!("r2 object get \"{key}\" --file out.bin --remote")).await?;
    if project.read("out.bin")? != "some bytes" {
        return Err(Ended::failed("the object came back different"));
    }
    project.run(&format!("r2 object delete \"{key}\" --remote")).await?;
    match project.run(&format!("r2 object get \"{key}\" --file gone.bin --remote")).await {
        Err(_) => Ok(()),
        Ok(_) => Err(Ended::failed("the object is still there")),
    }
}

pub async fn worker(at: &Lane<'_>) -> Done {
    bucket(at).await?;
    let code = "export default { async fetch(request, env) {
        await env.B.put('k', 'value', { httpMetadata: { contentType: 'text/plain' }, customMetadata: { a: 'b' } });
        const found = await env.B.get('k');
        const part = await env.B.get('k', { range: { offset: 1, length: 2 } });
        const upload = await env.B.createMultipartUpload('big');
        const one = await upload.uploadPart(1, new Uint8Array(5 * 1024 * 1024));
        const two = await upload.uploadPart(2, 'end');
        const big = await upload.complete([one, two]);
        const { objects } = await env.B.list();
        await env.B.delete('k');
        return new Response([await found.text(), found.customMetadata.a, await part.text(), big.size, objects.length, await env.B.head('k')].join());
    } }";
    let config = json!({"main": "index.js", "r2_buckets": [{"binding": "B", "bucket_name": at.name}]});
    let project = at.project(config, &[("index.js", code)]);
    project.run("deploy").await?;
    project.answers("/", "value,b,al,5242883,2,").await
}
