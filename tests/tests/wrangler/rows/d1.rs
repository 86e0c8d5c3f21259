//! D1.

use serde_json::json;

use crate::lane::{DATE, Lane, Project, holds, id_in};
use crate::outcome::{Done, Ended};

/// A database of the row's name, bound in the project's configuration as `DB`.
async fn database<'a>(at: &'a Lane<'a>) -> Done<(Project<'a>, String)> {
    let project = at.worker("export default { fetch() {} }");
    let told = project.run(&format!("d1 create {}", at.name)).await?;
    let id = id_in(&told)?;
    let config = json!({"name": at.name, "main": "index.js", "compatibility_date": DATE,
                        "d1_databases": [{"binding": "DB", "database_name": at.name, "database_id": id}]});
    project.write("wrangler.json", &config.to_string());
    Ok((project, id))
}

pub async fn databases(at: &Lane<'_>) -> Done {
    let (project, id) = database(at).await?;
    project.says("d1 list", &id).await?;
    project.says(&format!("d1 info {}", at.name), &id).await?;
    project.run(&format!("d1 delete {} --skip-confirmation", at.name)).await?;
    let left = project.run("d1 list").await?;
    if left.contains(&id) { Err(Ended::failed("the database is still listed")) } else { Ok(()) }
}

pub async fn command(at: &Lane<'_>) -> Done {
    let (project, _) = database(at).await?;
    let line = |sql: &str| format!("d1 execute {} --remote --yes --json --command \"{sql}\"", at.name);
    project.run(&line("create table t (a integer primary key, b text)")).await?;
    project.run(&line("insert into t (b) values ('first'), ('second')")).await?;
    project.says(&line("select b from t order by a desc"), "second").await?;
    match project.run(&line("select * from absent")).await {
        Err(ended) => holds(&ended.to_string(), "no such table"),
        Ok(_) => Err(Ended::failed("a query of a table that is not there succeeds")),
    }
}

pub async fn file(at: &Lane<'_>) -> Done {
    let (project, _) = database(at).await?;
    project.write("t.sql", "create table t (a);\ninsert into t values (1);\ninsert into t values (2);\n");
    project.run(&format!("d1 execute {} --remote --yes --file t.sql", at.name)).await?;
    project.says(&format!("d1 execute {} --remote --yes --json --command \"select sum(a) as s from t\"", at.name), "3").await.map(drop)
}

pub async fn migrations(at: &Lane<'_>) -> Done {
    let (project, _) = database(at).await?;
    project.run(&format!("d1 migrations create {} begin", at.name)).await?;
    project.write("migrations/0001_begin.sql", "create table t (a);\ncreate index t_a on t (a);\n");
    project.says(&format!("d1 migrations list {} --remote", at.name), "0001_begin.sql").await?;
    project.run(&format!("d1 migrations apply {} --remote", at.name)).await?;
    project.says(&format!("d1 migrations list {} --remote", at.name), "No migrations to apply").await?;
    project.write("migrations/0002_bad.sql", "create table u (a);\ninsert into nothing values (1);\n");
    if project.run(&format!("d1 migrations apply {} --remote", at.name)).await.is_ok() {
        return Err(Ended::failed("a migration that fails is applied"));
    }
    let tables = project.run(&format!("d1 execute {} --remote --yes --json --command \"select name from sqlite_master\"", at.name)).await?;
    if tables.contains("\"u\"") { Err(Ended::failed("half a migration stayed")) } else { Ok(()) }
}

pub async fn export(at: &Lane<'_>) -> Done {
    let (project, _) = database(at).await?;
    project.write("t.sql", "create table t (a, b);\ninsert into t values (1, 'it''s');\n");
    project.run(&format!("d1 execute {} --remote --yes --file t.sql", at.name)).await?;
    project.run(&format!("d1 export {} --remote --output out.sql", at.name)).await?;
    let text = project.read("out.sql")?;
    holds(&text, "it''s").and_then(|()| holds(&text.to_lowercase(), "create table"))
}

pub async fn time_travel(at: &Lane<'_>) -> Done {
    let (project, _) = database(at).await?;
    let run = async |sql: &str| project.run(&format!("d1 execute {} --remote --yes --json --command \"{sql}\"", at.name)).await;
    run("create table t (a)").await?;
    run("insert into t values ('before')").await?;
    let told = project.run(&format!("d1 time-travel info {} --json", at.name)).await?;
    let bookmark = told.split('"').find(|word| word.matches('-').count() >= 3).map(str::to_owned);
    let bookmark = bookmark.ok_or_else(|| Ended::failed(format!("no bookmark in:\n{told}")))?;
    run("delete from t").await?;
    project.run(&format!("d1 time-travel restore {} --bookmark {bookmark} --json", at.name)).await?;
    holds(&run("select a from t").await?, "before")
}

pub async fn worker(at: &Lane<'_>) -> Done {
    let (project, _) = database(at).await?;
    let code = "export default { async fetch(request, env) {
        await env.DB.exec('create table if not exists t (a integer primary key, b text)');
        await env.DB.batch([env.DB.prepare('insert into t (b) values (?)').bind('x'), env.DB.prepare('insert into t (b) values (?)').bind('y')]);
        const { results } = await env.DB.prepare('select b from t where a > ? order by a').bind(0).all();
        return new Response(results.map(row => row.b).join());
    } }";
    project.write("index.js", code);
    project.run("deploy").await?;
    project.answers("/", "x,y").await
}
