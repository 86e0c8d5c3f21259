//! The site of the story: a Worker of one file, and the check that exactly this code answers over HTTPS.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::system::Run;
use crate::fail::{Context, Failure, Outcome};
use crate::process;

const LIVE_DEADLINE: Duration = Duration::from_secs(30);

/// Writes the Worker; the mark makes this version different from any other.
pub fn write(folder: &Path, domain: &str, mark: &str) -> Outcome<()> {
    let text = format!(
        r#"const page = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{domain}</title>
<style>body{{font:1.1rem/1.6 system-ui;max-width:34rem;margin:15vh auto;padding:0 1rem}}</style></head>
<body><h1>{domain} is live</h1>
<p>An agent opened the account, paid, registered this domain and deployed this page, after one acceptance by a person.</p>
<p><small>{mark}</small></p></body></html>`;

export default {{
  fetch() {{
    return new Response(page, {{ headers: {{ "content-type": "text/html; charset=utf-8" }} }});
  }},
}};
"#
    );
    fs::write(folder.join("index.js"), text).context(|| "writing the Worker".to_owned())
}

/// The address on the edge: `https://NAME.test:PORT/`.
pub fn live_url(run: &Run, domain: &str) -> String {
    format!("https://{domain}:{}/", port(&run.cloud.edge_https))
}

/// The address that any browser opens as it is.
pub fn browser_url(run: &Run, domain: &str) -> String {
    format!("http://{domain}.localhost:{}/", port(&run.cloud.edge_http))
}

/// The check as a person would type it.
pub fn curl_line(run: &Run, domain: &str) -> String {
    format!("curl --cacert {} --resolve {} {}", run.ca.display(), resolve(run, domain), live_url(run, domain))
}

/// Waits for the first 200 with our mark, over HTTPS, with the certificate checked.
pub fn await_live(run: &Run, domain: &str, mark: &str) -> Outcome<()> {
    if process::on_path("curl").is_none() {
        return Err(Failure::new("`curl` is not on PATH to check the site over HTTPS").advise("install curl"));
    }
    let url = live_url(run, domain);
    let deadline = Instant::now() + LIVE_DEADLINE;
    let mut last = String::new();
    while Instant::now() < deadline {
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--fail", "--max-time", "10", "--noproxy", "*", "--cacert"])
            .arg(&run.ca)
            .args(["--resolve", &resolve(run, domain), &url])
            .stdin(Stdio::null())
            .output()
            .context(|| "starting curl".to_owned())?;
        if output.status.success() && String::from_utf8_lossy(&output.stdout).contains(mark) {
            return Ok(());
        }
        last = String::from_utf8_lossy(&output.stderr).into_owned();
        std::thread::sleep(Duration::from_millis(5));
    }
    Err(Failure::new(format!("`{url}` does not answer with the deployed code: {}", last.trim())))
}

fn resolve(run: &Run, domain: &str) -> String {
    let (host, port) = run.cloud.edge_https.rsplit_once(':').unwrap_or(("127.0.0.1", "443"));
    format!("{domain}:{port}:{host}")
}

fn port(address: &str) -> &str {
    address.rsplit_once(':').map_or("443", |(_, port)| port)
}
