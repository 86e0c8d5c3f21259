//! slipway's name server beside Knot and NSD: one zone, one core each, the same questions from another core.
//!
//! Every round asks each of them in turn. The load generator's own core ends near 150,000 questions a second, so the server's CPU time
//! for one question says more than the rate.

use std::fmt::Write as _;
use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::machine;
use crate::fail::{Context, Failure, Outcome};
use crate::house::House;
use crate::peers::{self, dns};
use crate::{process, progress};

const ZONE: &str = "bench.test";
const NAMES: u32 = 10_000;
const QUESTIONS: u32 = 100_000;
const SECONDS: &str = "3";
const STARTED: Duration = Duration::from_secs(20);
/// Which core serves and which asks.
const SERVER: [&str; 3] = ["taskset", "-c", "0"];
const CLIENT: [&str; 3] = ["taskset", "-c", "1"];
const SERVERS: [&str; 3] = ["slipway", "knot", "nsd"];
/// Ticks of the kernel's clock in a second, as `/proc` counts CPU time on Linux.
const TICKS: f64 = 100.0;

/// One round of one server.
#[derive(Clone, Copy)]
struct Round {
    per_s: f64,
    cpu_us: f64,
    lost: f64,
}

pub fn run(house: &House, rounds: u32, as_json: bool) -> Outcome<()> {
    let peers = peers::name_servers(house)?;
    progress::step("build the name server in release", || {
        let mut command = process::cargo();
        command.args(["build", "--release", "--package", "slipway-dns", "--example", "nameserver"]).current_dir(house.root());
        process::loud(&mut command, "building")
    })?;
    let own = house.root().join("target/release/examples/nameserver");
    let folder = house.root().join("target/tmp/bench-dns");
    fs::create_dir_all(&folder).context(|| format!("creating `{}`", folder.display()))?;
    write_files(&folder)?;
    let mut all = vec![Vec::new(); SERVERS.len()];
    for round in 0..rounds {
        progress::step(&format!("round {} of {rounds}", round + 1), || {
            for (server, measured) in SERVERS.iter().zip(&mut all) {
                measured.push(measure(server, &folder, &peers, &own)?);
            }
            Ok(())
        })?;
    }
    let summary = summary(&all);
    if as_json {
        println!("{summary}");
    } else {
        for server in SERVERS {
            let metric = |what: &str| summary["metrics"][format!("{server}_{what}")].as_f64().unwrap_or_default();
            println!("{:>9.0}/s  {:>5.2} us of CPU  {server}", metric("per_s"), metric("cpu_us"));
        }
        println!("{:>9.2}x  dns_vs_knot (goal: at least 0.9)", summary["ratios"]["dns_vs_knot"].as_f64().unwrap_or_default());
        println!("{:>9.2}x  dns_cpu_vs_knot (goal: at most 1.1)", summary["ratios"]["dns_cpu_vs_knot"].as_f64().unwrap_or_default());
    }
    Ok(())
}

fn summary(all: &[Vec<Round>]) -> Value {
    let mut metrics = json!({});
    let median = |rounds: &[Round], of: fn(&Round) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or_default()
    };
    for (server, rounds) in SERVERS.iter().zip(all) {
        metrics[format!("{server}_per_s")] = median(rounds, |r| r.per_s).round().into();
        metrics[format!("{server}_cpu_us")] = median(rounds, |r| r.cpu_us).into();
        metrics[format!("{server}_lost")] = rounds.iter().map(|r| r.lost).sum::<f64>().into();
    }
    let ratio = |what: &str| {
        let of = |server: &str| metrics[format!("{server}_{what}")].as_f64().unwrap_or_default();
        of("slipway") / of("knot")
    };
    let ratios = json!({"dns_vs_knot": ratio("per_s"), "dns_cpu_vs_knot": ratio("cpu_us")});
    json!({"name": "dns", "metrics": metrics, "ratios": ratios, "machine": machine::describe()})
}

/// The zone, and the questions in an order that is the same every time.
fn write_files(folder: &Path) -> Outcome<()> {
    let mut zone = format!(
        "$ORIGIN {ZONE}.\n$TTL 300\n@ IN SOA ns1.slipway.test. hostmaster.{ZONE}. 1 3600 600 1209600 30\n@ IN NS ns1.slipway.test.\n"
    );
    let (mut questions, mut number) = (String::new(), 1_u32);
    for i in 0..NAMES {
        let _ = writeln!(zone, "h{i:05} 300 IN A 192.0.2.{}", i % 250 + 1);
    }
    for _ in 0..QUESTIONS {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let _ = writeln!(questions, "h{:05}.{ZONE} A", (number >> 8) % NAMES);
    }
    for (name, text) in [("zone", &zone), ("questions", &questions)] {
        fs::write(folder.join(name), text).context(|| format!("writing `{name}`"))?;
    }
    Ok(())
}

fn measure(server: &str, folder: &Path, peers: &Path, own: &Path) -> Outcome<Round> {
    let port = free_port()?;
    let mut child = start(server, folder, peers, own, port)?;
    let result = wait(port).and_then(|()| ask(child.id(), folder, peers, port));
    drop(child.stdin.take());
    process::stop(&mut child, "TERM", Duration::from_secs(5));
    result
}

fn ask(pid: u32, folder: &Path, peers: &Path, port: u16) -> Outcome<Round> {
    let before = cpu(pid)?;
    let mut command = dns::program(peers, "dnsperf", "usr/bin/dnsperf", &CLIENT);
    command.args(["-s", "127.0.0.1", "-p", &port.to_string(), "-l", SECONDS, "-T", "1", "-c", "8", "-q", "200", "-d"]);
    let said = process::capture(command.arg(folder.join("questions")), "asking")?;
    let used = cpu(pid)? - before;
    let field = |name: &str| -> Outcome<f64> {
        let line = said.lines().find(|line| line.trim().starts_with(name));
        let number = line.and_then(|line| line.split(':').nth(1)).and_then(|rest| rest.split_whitespace().next()?.parse().ok());
        number.ok_or_else(|| Failure::new(format!("dnsperf did not say `{name}`:\n{said}")))
    };
    let answered = field("Queries completed")?;
    if !said.contains("NOERROR") || said.contains("REFUSED") || said.contains("SERVFAIL") {
        return Err(Failure::new(format!("not every answer was good:\n{said}")));
    }
    Ok(Round { per_s: field("Queries per second")?, cpu_us: used / answered * 1e6, lost: field("Queries lost")? })
}

fn start(server: &str, folder: &Path, peers: &Path, own: &Path, port: u16) -> Outcome<Child> {
    let zone = folder.join("zone");
    let state = folder.join(server);
    let _ = fs::remove_dir_all(&state);
    fs::create_dir_all(&state).context(|| format!("creating `{}`", state.display()))?;
    let (state_shown, zone_shown) = (state.display(), zone.display());
    let mut command = match server {
        "knot" => {
            let text = format!(
                "server:\n  rundir: {state_shown}\n  listen: 127.0.0.1@{port}\n  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n\
                 database:\n  storage: {state_shown}\nlog:\n  - target: stderr\n    any: error\nzone:\n  - domain: {ZONE}\n    file: {zone_shown}\n\
                 \x20   zonefile-load: whole\n    journal-content: none\n"
            );
            let config = written(&state.join("knot.conf"), &text)?;
            let mut command = dns::program(peers, "knot", "usr/sbin/knotd", &SERVER);
            command.arg("-c").arg(config);
            command
        }
        "nsd" => {
            let text = format!(
                "server:\n  server-count: 1\n  ip-address: 127.0.0.1@{port}\n  username: \"\"\n  zonesdir: {state_shown}\n  pidfile: \"\"\n  xfrdfile: \"\"\n\
                 \x20 zonelistfile: {state_shown}/zones.list\n  rrl-ratelimit: 0\n  database: \"\"\nremote-control:\n  control-enable: no\n\
                 zone:\n  name: {ZONE}\n  zonefile: {zone_shown}\n"
            );
            let config = written(&state.join("nsd.conf"), &text)?;
            let mut command = dns::program(peers, "nsd", "usr/sbin/nsd", &SERVER);
            command.arg("-d").arg("-c").arg(config);
            command
        }
        _ => {
            let mut command = Command::new(SERVER[0]);
            command.args(&SERVER[1..]).arg(own).args([&format!("127.0.0.1:{port}"), ZONE]).arg(zone);
            command
        }
    };
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().context(|| format!("starting {server}"))
}

fn written(path: &Path, text: &str) -> Outcome<std::path::PathBuf> {
    fs::write(path, text).context(|| format!("writing `{}`", path.display()))?;
    Ok(path.to_owned())
}

fn free_port() -> Outcome<u16> {
    let socket = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).context(|| "finding a port".to_owned())?;
    Ok(socket.port())
}

/// Until the server answers for the zone.
fn wait(port: u16) -> Outcome<()> {
    let mut question = b"\x12\x34\0\0\0\x01\0\0\0\0\0\0".to_vec();
    for label in ["h00000"].into_iter().chain(ZONE.split('.')) {
        question.push(u8::try_from(label.len()).unwrap_or_default());
        question.extend_from_slice(label.as_bytes());
    }
    question.extend_from_slice(&[0, 0, 1, 0, 1]);
    let deadline = Instant::now() + STARTED;
    while Instant::now() < deadline {
        let socket = UdpSocket::bind("127.0.0.1:0").context(|| "opening a socket".to_owned())?;
        let _ = socket.set_read_timeout(Some(Duration::from_millis(100)));
        let mut answer = [0; 512];
        let sent = socket.send_to(&question, ("127.0.0.1", port));
        if sent.is_ok() && socket.recv(&mut answer).is_ok_and(|length| length > 12) && answer[7] == 1 {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err(Failure::new("the name server does not answer"))
}

/// CPU seconds of a process and of those that it started.
fn cpu(pid: u32) -> Outcome<f64> {
    let mut total = 0.0;
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    for pid in std::iter::once(pid.to_string()).chain(children.split_whitespace().map(str::to_owned)) {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context(|| "reading what a server used".to_owned())?;
        let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
        let ticks: f64 = after.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
        total += ticks / TICKS;
    }
    Ok(total)
}
