//! Versions, deployments, rollback and tail.

use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use crate::lane::{Lane, Project, holds, id_in};
use crate::outcome::{Done, Ended};

/// How long the tail gets to show a request.
const TAIL: Duration = Duration::from_secs(30);

fn saying(word: &str) -> String {
    format!("export default {{ fetch(request, env) {{ return new Response('{word}' + (env.KEY ?? '')) }} }}")
}

/// A Worker that says `one`, and the id of a version that says `two`.
async fn two<'a>(at: &'a Lane<'a>) -> Done<(Project<'a>, String, String)> {
    let project = at.worker(&saying("one"));
    let told = project.run("deploy").await?;
    let first = id_in(told.split("Current Version ID").nth(1).unwrap_or_default())?;
    project.write("index.js", &saying("two"));
    let told = project.run("versions upload --message second").await?;
    let second = id_in(told.split("Worker Version ID").nth(1).unwrap_or_default())?;
    Ok((project, first, second))
}

pub async fn upload(at: &Lane<'_>) -> Done {
    let (project, _, id) = two(at).await?;
    project.answers("/", "one").await?;
    project.says("versions list", &id).await?;
    project.says(&format!("versions view {id}"), "second").await.map(drop)
}

pub async fn deploy(at: &Lane<'_>) -> Done {
    let (project, _, id) = two(at).await?;
    project.run(&format!("versions deploy {id}@100% --yes")).await?;
    project.answers("/", "two").await
}

/// Both versions answer, the heavier one more often.
pub async fn split(at: &Lane<'_>) -> Done {
    let (project, first, second) = two(at).await?;
    project.run(&format!("versions deploy {first}@20% {second}@80% --yes")).await?;
    let host = project.host().await?;
    let mut ones = 0;
    for _ in 0..200 {
        ones += usize::from(at.cloud.visit(&host, "/").await.1 == "one");
    }
    // five standard deviations around 40
    if (12..=68).contains(&ones) { Ok(()) } else { Err(Ended::failed(format!("of 200 requests {ones} met the version with 20%"))) }
}

pub async fn deployments(at: &Lane<'_>) -> Done {
    let (project, first, second) = two(at).await?;
    project.run(&format!("versions deploy {second}@100% --yes --message live")).await?;
    let told = project.says("deployments list", "live").await?;
    holds(&told, &first)?;
    project.says("deployments status", &second).await.map(drop)
}

pub async fn rollback(at: &Lane<'_>) -> Done {
    let (project, first, second) = two(at).await?;
    project.run(&format!("versions deploy {second}@100% --yes")).await?;
    project.answers("/", "two").await?;
    project.run(&format!("rollback {first} --yes --message back")).await?;
    project.answers("/", "one").await?;
    project.says("deployments status", &first).await.map(drop)
}

/// The version that comes back keeps its own secrets; wrangler asks before, and `--yes` is a yes.
pub async fn rollback_secret(at: &Lane<'_>) -> Done {
    let (project, first, second) = two(at).await?;
    project.run(&format!("versions deploy {second}@100% --yes")).await?;
    project.run_with("secret put KEY", "new\n").await?;
    project.answers("/", "twonew").await?;
    let told = project.says(&format!("rollback {first} --yes"), "secrets have changed").await?;
    holds(&told, "* KEY")?;
    project.answers("/", "one").await
}

pub async fn tail(at: &Lane<'_>) -> Done {
    let code = "export default { fetch(request) {
        const path = new URL(request.url).pathname;
        console.log('seen', path);
        if (path == '/broken') throw new RangeError('it went wrong');
        return new Response('x');
    } }";
    let project = at.worker(code);
    project.run("deploy").await?;
    let host = project.host().await?;
    let mut command = Command::new(at.wrangler);
    command.args(["tail", "--format", "json"]).current_dir(&project.at).env("HOME", &at.home).env("XDG_CONFIG_HOME", &at.home);
    command.env("CI", "true").env("WRANGLER_SEND_METRICS", "false").env("WRANGLER_HIDE_BANNER", "true").env("FORCE_COLOR", "0");
    command.envs(at.customer.variables.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let (mut told, begun) = (Vec::new(), Instant::now());
    let mut said = Vec::new();
    while begun.elapsed() < TAIL {
        at.cloud.visit(&host, "/looked-for").await;
        at.cloud.visit(&host, "/broken").await;
        let (mut one, mut two) = ([0; 8192], [0; 8192]);
        tokio::select! {
            read = out.read(&mut one) => match read.unwrap() {
                0 => break,
                n => told.extend_from_slice(&one[..n]),
            },
            Ok(n @ 1..) = err.read(&mut two) => said.extend_from_slice(&two[..n]),
            () = tokio::time::sleep(Duration::from_millis(300)) => {}
        }
        let text = String::from_utf8_lossy(&told);
        if ["/looked-for", "seen", "RangeError", "it went wrong", "\"exception\""].iter().all(|part| text.contains(part)) {
            return Ok(());
        }
    }
    drop(err.read_to_end(&mut said));
    Err(Ended::of(&format!("wrangler tail\n{}{}", String::from_utf8_lossy(&told), String::from_utf8_lossy(&said))))
}
