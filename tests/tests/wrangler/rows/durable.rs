//! Durable Objects.

use serde_json::{Value, json};

use crate::lane::{DATE, Lane, Project};
use crate::outcome::Done;

fn code(class: &str) -> String {
    format!(
        "import {{ DurableObject }} from 'cloudflare:workers';
        export class {class} extends DurableObject {{
            async add() {{
                this.ctx.storage.sql.exec('create table if not exists t (n integer)');
                this.ctx.storage.sql.exec('insert into t values (1)');
                return this.ctx.storage.sql.exec('select count(*) as n from t').one().n;
            }}
            async wake() {{ await this.ctx.storage.setAlarm(Date.now() + 200) }}
            async alarm() {{ await this.ctx.storage.put('rung', 'yes') }}
            async rung() {{ return await this.ctx.storage.get('rung') ?? 'no' }}
        }}
        export default {{ async fetch(request, env) {{
            const object = env.OBJECT.get(env.OBJECT.idFromName('one'));
            const path = new URL(request.url).pathname;
            if (path == '/wake') {{ await object.wake(); return new Response('set') }}
            return new Response(String(path == '/rung' ? await object.rung() : await object.add()));
        }} }}"
    )
}

fn config(at: &Lane<'_>, class: &str, migrations: Value) -> Value {
    json!({"name": at.name, "main": "index.js", "compatibility_date": DATE, "migrations": migrations,
           "durable_objects": {"bindings": [{"name": "OBJECT", "class_name": class}]}})
}

fn first() -> Value {
    json!({"tag": "v1", "new_sqlite_classes": ["Counter"]})
}

async fn deployed<'a>(at: &'a Lane<'a>) -> Done<Project<'a>> {
    let project = at.project(config(at, "Counter", json!([first()])), &[("index.js", &code("Counter"))]);
    project.run("deploy").await?;
    Ok(project)
}

/// The count goes on over a redeployment.
pub async fn counter(at: &Lane<'_>) -> Done {
    let project = deployed(at).await?;
    project.answers("/", "1").await?;
    project.answers("/", "2").await?;
    project.run("deploy").await?;
    project.answers("/", "3").await
}

pub async fn renamed(at: &Lane<'_>) -> Done {
    let project = deployed(at).await?;
    project.answers("/", "1").await?;
    let renamed = json!({"tag": "v2", "renamed_classes": [{"from": "Counter", "to": "Tally"}]});
    project.write("wrangler.json", &config(at, "Tally", json!([first(), renamed])).to_string());
    project.write("index.js", &code("Tally"));
    project.run("deploy").await?;
    project.answers("/", "2").await
}

pub async fn deleted(at: &Lane<'_>) -> Done {
    let project = deployed(at).await?;
    project.answers("/", "1").await?;
    let migrations = json!([first(), {"tag": "v2", "deleted_classes": ["Counter"]}]);
    let config = json!({"name": at.name, "main": "index.js", "compatibility_date": DATE, "migrations": migrations});
    project.write("wrangler.json", &config.to_string());
    project.write("index.js", "export default { fetch() { return new Response('none') } }");
    project.run("deploy").await?;
    project.answers("/", "none").await
}

pub async fn alarm(at: &Lane<'_>) -> Done {
    let project = deployed(at).await?;
    project.answers("/wake", "set").await?;
    project.answers("/rung", "yes").await
}
