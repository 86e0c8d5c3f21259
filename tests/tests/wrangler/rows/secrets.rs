//! Secrets.

use crate::lane::{Lane, Project, holds, id_in};
use crate::outcome::{Done, Ended};

const CODE: &str = "export default { fetch(request, env) { return new Response([env.A, env.B].join()) } }";

async fn deployed<'a>(at: &'a Lane<'a>) -> Done<Project<'a>> {
    let project = at.worker(CODE);
    project.run("deploy").await?;
    Ok(project)
}

pub async fn one(at: &Lane<'_>) -> Done {
    let project = deployed(at).await?;
    project.run_with("secret put A", "hunter2\n").await?;
    project.answers("/", "hunter2,").await?;
    project.says("secret list", "\"A\"").await?;
    project.run("secret delete A").await?;
    project.answers("/", ",").await
}

pub async fn bulk(at: &Lane<'_>) -> Done {
    let project = deployed(at).await?;
    project.write("secrets.json", r#"{"A": "one", "B": "two"}"#);
    project.run("secret bulk secrets.json").await?;
    project.answers("/", "one,two").await
}

/// Stored in a version that nobody is routed to yet.
pub async fn of_versions(at: &Lane<'_>) -> Done {
    let project = deployed(at).await?;
    let told = project.run_with("versions secret put A", "later\n").await?;
    project.answers("/", ",").await?;
    project.says("versions secret list --latest-version", "A").await?;
    project.run(&format!("versions deploy {}@100% --yes", id_in(&told)?)).await?;
    project.answers("/", "later,").await?;
    project.run("versions secret delete A").await?;
    let left = project.run("versions secret list --latest-version").await?;
    if holds(&left, "Secret Name: A").is_ok() { Err(Ended::failed("the secret is still there")) } else { Ok(()) }
}

pub async fn of_versions_bulk(at: &Lane<'_>) -> Done {
    let project = deployed(at).await?;
    project.write("secrets.json", r#"{"A": "one", "B": "two"}"#);
    let told = project.run("versions secret bulk secrets.json").await?;
    project.run(&format!("versions deploy {}@100% --yes", id_in(&told)?)).await?;
    project.answers("/", "one,two").await
}
