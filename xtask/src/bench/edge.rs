//! Requests through the edge beside workerd alone and nginx in front of workerd: the same Worker, the same load, in turn.
//!
//! Metering and the access log are on, as they are in production; nginx writes its access log, too. Only ratios within one run say
//! something: all of it shares the machine.

mod paced;

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::machine;
use crate::demo::story::{Story, Who};
use crate::demo::system::System;
use crate::fail::{Context, Failure, Outcome};
use crate::house::House;
use crate::temporary::{self, Temporary};
use crate::{demo, peers, process, progress};

const FOLDER_PREFIX: &str = "purser-bench-edge-";
/// Connections of the load, and how long each turn lasts.
const MANY: &str = "64";
const MANY_FOR: &str = "3s";
const ONE_FOR: &str = "2s";
/// The part of what workerd alone answers at which the 99th percentile is measured.
const PACED_PART: f64 = 0.3;
const PLAN_HOLDS: Duration = Duration::from_millis(1_500);
const START_DEADLINE: Duration = Duration::from_secs(20);
/// What must be reached, and whether more is better.
const GOALS: [(&str, f64, bool); 4] =
    [("edge_vs_workerd", 0.80, true), ("edge_vs_nginx", 1.0, true), ("added_p50_vs_nginx", 1.5, false), ("p99_vs_direct", 2.0, false)];

/// One of the ways to the same Worker.
struct Way {
    name: &'static str,
    port: u16,
    host: String,
}

/// What a turn measured.
#[derive(Clone, Copy, Default)]
struct Turn {
    per_s: f64,
    p50_us: f64,
    p99_us: f64,
}

/// What each way did in each round.
#[derive(Default)]
struct Rounds {
    many: Vec<Turn>,
    one: Vec<Turn>,
    paced_p99_us: Vec<f64>,
}

pub fn run(house: &House, rounds: u32, as_json: bool) -> Outcome<()> {
    let parts = demo::build(house)?;
    let tools = peers::edge_rivals(house)?;
    let h2load = peers::edge_testers(house)?.join("h2load");
    temporary::sweep(FOLDER_PREFIX);
    let data = Temporary::create(FOLDER_PREFIX)?;
    let system = progress::step("the system starts", || System::start(&parts, data.path()))?;
    let home = data.path().join("agent");
    let told = progress::step("a Worker is deployed", || {
        Story { purser: &parts.purser, run: &system.run, home: &home, who: Who::Us, quiet: true }.tell()
    })?;
    // the plan that was just bought is served at its rate within a second
    std::thread::sleep(PLAN_HOLDS);
    let worker = fs::read(told.agent.site().join("index.js")).context(|| "reading the Worker".to_owned())?;
    let rivals = progress::step("the others start", || Rivals::start(&parts.workerd, &tools, &data.path().join("rivals"), &worker))?;
    let edge_port = system.run.cloud.edge_http.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    let edge_port = edge_port.ok_or_else(|| Failure::new(format!("`{}` names no port", system.run.cloud.edge_http)))?;
    let edge = Way { name: "edge", port: edge_port, host: format!("{}.localhost", told.domain) };
    let ways = [rivals.way("workerd", rivals.direct), edge, rivals.way("nginx", rivals.nginx)];
    let wrk = tools.join("wrk");
    let mut before = 0.0;
    for way in ways.iter().rev() {
        before = load(&wrk, way, MANY, "1s")?.per_s;
    }
    let mut all = [Rounds::default(), Rounds::default(), Rounds::default()];
    for round in 1..=rounds {
        for (way, rounds) in ways.iter().zip(&mut all) {
            rounds.many.push(load(&wrk, way, MANY, MANY_FOR)?);
            rounds.one.push(load(&wrk, way, "1", ONE_FOR)?);
            rounds.paced_p99_us.push(paced::p99_us(&h2load, data.path(), &way.host, way.port, before * PACED_PART)?);
        }
        progress::note(&format!("round {round} of {rounds}"));
    }
    let summary = summary(&ways, &all, rounds);
    if as_json {
        println!("{summary}");
    } else {
        table(&summary);
    }
    Ok(())
}

/// workerd on TCP and on a Unix socket, and nginx in front of the latter; stopped on drop.
struct Rivals {
    direct: u16,
    nginx: u16,
    children: Vec<Child>,
}

impl Rivals {
    fn start(workerd: &Path, tools: &Path, folder: &Path, worker: &[u8]) -> Outcome<Self> {
        fs::create_dir_all(folder.join("logs")).context(|| "making a folder".to_owned())?;
        let (direct, nginx) = (free_port()?, free_port()?);
        let write = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).context(|| format!("writing `{name}`"));
        write("index.js", worker)?;
        let socket = folder.join("workerd.sock");
        write("config.capnp", capnp(direct, &socket).as_bytes())?;
        write("nginx.conf", nginx_conf(nginx, &socket, folder).as_bytes())?;
        let mut rivals = Self { direct, nginx, children: Vec::new() };
        let mut command = process::bound(workerd, "TERM");
        command.arg("serve").arg(folder.join("config.capnp")).current_dir(folder);
        rivals.begin(command, "workerd")?;
        let mut command = process::bound(&tools.join("nginx"), "TERM");
        command.arg("-p").arg(folder).arg("-c").arg(folder.join("nginx.conf")).args(["-g", "daemon off;"]);
        rivals.begin(command, "nginx")?;
        for port in [direct, nginx] {
            await_port(port)?;
        }
        Ok(rivals)
    }

    fn begin(&mut self, mut command: Command, name: &str) -> Outcome<()> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.children.push(child.context(|| format!("starting {name}"))?);
        Ok(())
    }

    #[allow(clippy::unused_self, reason = "a way exists as long as its program runs")]
    fn way(&self, name: &'static str, port: u16) -> Way {
        Way { name, port, host: "bench.test".to_owned() }
    }
}

impl Drop for Rivals {
    fn drop(&mut self) {
        for child in &mut self.children {
            process::stop(child, "TERM", START_DEADLINE);
        }
    }
}

fn capnp(port: u16, socket: &Path) -> String {
    format!(
        "using Workerd = import \"/workerd/workerd.capnp\";\nconst config :Workerd.Config = (\n  services = [(name = \"main\", worker = (\n    \
         modules = [(name = \"index.js\", esModule = embed \"index.js\")], compatibilityDate = \"2026-11-01\"))],\n  sockets = [\n    \
         (name = \"tcp\", address = \"127.0.0.1:{port}\", http = (), service = \"main\"),\n    \
         (name = \"unix\", address = \"unix:{}\", http = (), service = \"main\")\n  ]\n);\n",
        socket.display()
    )
}

/// One process, connections kept, one field added, the access log on. Where root starts it, it stays root: its usual user cannot reach the
/// socket in our folder. Where another does, the first line is ignored.
fn nginx_conf(port: u16, socket: &Path, folder: &Path) -> String {
    format!(
        "user root;\nworker_processes 1;\npid {folder}/nginx.pid;\nerror_log {folder}/logs/error.log;\nevents {{ worker_connections 4096; }}\nhttp {{\n  \
         access_log {folder}/logs/access.log;\n  client_body_temp_path {folder}/body;\n  proxy_temp_path {folder}/proxy;\n  fastcgi_temp_path {folder}/fastcgi;\n  \
         uwsgi_temp_path {folder}/uwsgi;\n  scgi_temp_path {folder}/scgi;\n  upstream workerd {{ server unix:{socket}; keepalive 256; }}\n  \
         server {{\n    listen 127.0.0.1:{port} backlog=4096;\n    keepalive_requests 1000000;\n    location / {{\n      proxy_pass http://workerd;\n      \
         proxy_http_version 1.1;\n      proxy_set_header Connection \"\";\n      proxy_set_header X-Forwarded-For $remote_addr;\n    }}\n  }}\n}}\n",
        folder = folder.display(),
        socket = socket.display()
    )
}

fn free_port() -> Outcome<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context(|| "finding a free port".to_owned())?;
    Ok(listener.local_addr().context(|| "finding a free port".to_owned())?.port())
}

fn await_port(port: u16) -> Outcome<()> {
    let deadline = Instant::now() + START_DEADLINE;
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        if Instant::now() > deadline {
            return Err(Failure::new(format!("nobody listens on port {port}")));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

fn load(wrk: &PathBuf, way: &Way, connections: &str, seconds: &str) -> Outcome<Turn> {
    let mut command = Command::new(wrk);
    command.args(["-t1", "-c", connections, "-d", seconds, "--latency", "-H", &format!("Host: {}", way.host)]);
    command.arg(format!("http://127.0.0.1:{}/", way.port));
    let said = process::capture(&mut command, "loading")?;
    if let Some(bad) = said.lines().find(|line| line.contains("Non-2xx") || line.contains("Socket errors")) {
        return Err(Failure::new(format!("{}: {}", way.name, bad.trim())));
    }
    let turn = read(&said);
    turn.ok_or_else(|| Failure::new(format!("wrk said nothing of use about {}:\n{said}", way.name)))
}

fn read(said: &str) -> Option<Turn> {
    let after = |start: &str| said.lines().find_map(|line| line.trim().strip_prefix(start).map(str::trim));
    Some(Turn { per_s: after("Requests/sec:")?.parse().ok()?, p50_us: micros(after("50%")?)?, p99_us: micros(after("99%")?)? })
}

/// `1.23ms`, `456.00us` or `1.02s`, in microseconds.
fn micros(text: &str) -> Option<f64> {
    let unit = text.find(|c: char| c.is_ascii_alphabetic())?;
    let number: f64 = text[..unit].parse().ok()?;
    match &text[unit..] {
        "us" => Some(number),
        "ms" => Some(number * 1e3),
        "s" => Some(number * 1e6),
        _ => None,
    }
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or_default()
}

fn summary(ways: &[Way; 3], all: &[Rounds; 3], rounds: u32) -> Value {
    let mid = |turns: &[Turn], of: fn(&Turn) -> f64| median(turns.iter().map(of).collect());
    let mut metrics = serde_json::Map::new();
    for (way, of) in ways.iter().zip(all) {
        let facts = [
            ("per_s", mid(&of.many, |t| t.per_s)),
            ("p99_us", mid(&of.many, |t| t.p99_us)),
            ("one_p50_us", mid(&of.one, |t| t.p50_us)),
            ("paced_p99_us", median(of.paced_p99_us.clone())),
        ];
        metrics.extend(facts.into_iter().map(|(what, value)| (format!("{}_{what}", way.name), json!(value.round()))));
    }
    // each round is compared with itself: the machine is not the same a minute later
    let [direct, edge, nginx] = all;
    let rate = |by: &Rounds| median(edge.many.iter().zip(&by.many).map(|(x, y)| x.per_s / y.per_s).collect());
    let paced = median(edge.paced_p99_us.iter().zip(&direct.paced_p99_us).map(|(x, y)| x / y).collect());
    let added = |of: &Rounds| mid(&of.one, |t| t.p50_us) - mid(&direct.one, |t| t.p50_us);
    let two = |value: f64| json!((value * 100.0).round() / 100.0);
    json!({
        "name": "edge",
        "machine": machine::describe(),
        "rounds": rounds,
        "metrics": metrics,
        "ratios": {
            "edge_vs_workerd": two(rate(direct)),
            "edge_vs_nginx": two(rate(nginx)),
            "added_p50_vs_nginx": two(added(edge) / added(nginx).max(1.0)),
            "p99_vs_direct": two(paced),
        },
    })
}

fn table(summary: &Value) {
    for name in ["workerd", "edge", "nginx"] {
        let metric = |what: &str| summary["metrics"][format!("{name}_{what}")].as_f64().unwrap_or_default();
        let (full, paced) = (metric("p99_us") / 1e3, metric("paced_p99_us") / 1e3);
        println!(
            "{:>8}/s  p99 {full:>7.1} ms  alone p50 {:>5} us  at 30 % p99 {paced:>6.2} ms  {name}",
            metric("per_s"),
            metric("one_p50_us")
        );
    }
    for (name, goal, more) in GOALS {
        if let Some(reached) = summary["ratios"][name].as_f64() {
            println!("{reached:>8}x   {name} (goal: at {} {goal})", if more { "least" } else { "most" });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wrk_says_is_read_in_its_units() {
        let said = "  Latency Distribution\n     50%    1.50ms\n     75%    2.00ms\n     90%    3.00ms\n     99%    1.02s \n  9 requests in 3.00s\nRequests/sec:  12345.67\n";
        let turn = read(said).unwrap();
        assert!((turn.per_s - 12_345.67).abs() < 1e-6 && (turn.p50_us - 1_500.0).abs() < 1e-6 && (turn.p99_us - 1_020_000.0).abs() < 1e-6);
        assert!(read("nothing").is_none() && micros("5").is_none());
    }
}
