//! What a visitor sees: asked with the real `curl` over TLS, and with the real `dig` where there is one.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::system::Run;

/// How long a deployed site may take to answer with what was deployed.
const LIVE: Duration = Duration::from_secs(20);

/// Writes a Worker that answers with a text.
pub fn write_worker(folder: &Path, text: &str) {
    std::fs::write(folder.join("index.js"), format!("export default {{ fetch() {{ return new Response({text:?}) }} }}\n")).unwrap();
}

/// Status and body of `https://host/path`, or nothing when there is no answer or its certificate is not good.
pub async fn visit(run: &Run, host: &str, path: &str) -> Option<(u16, String)> {
    let (address, port) = run.cloud.edge_https.rsplit_once(':').unwrap();
    let mut command = Command::new("curl");
    command.args(["--silent", "--max-time", "10", "--noproxy", "*", "--write-out", "\n%{http_code}", "--cacert"]).arg(&run.ca);
    command.args(["--resolve", &format!("{host}:{port}:{address}"), &format!("https://{host}:{port}{path}")]);
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.expect("curl is on PATH");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n')?;
    let status = status.trim().parse().ok().filter(|_| output.status.success())?;
    Some((status, body.to_owned()))
}

/// Waits until the site answers 200 with this text.
pub async fn await_live(run: &Run, host: &str, path: &str, text: &str) {
    let begun = std::time::Instant::now();
    let mut last = None;
    while begun.elapsed() < LIVE {
        last = visit(run, host, path).await;
        if matches!(&last, Some((200, body)) if body.contains(text)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("https://{host}{path} does not answer `{text}` but {last:?}");
}
