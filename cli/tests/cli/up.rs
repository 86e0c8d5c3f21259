//! The supervisor with halves that only answer `/health`: what it starts, what it starts again, and that nothing outlives it.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::support::{Ran, bare};

const DEADLINE: Duration = Duration::from_secs(20);

/// Not a test but a half of the system: started by the script of [`Machine`], it answers until it is killed.
#[test]
fn half() {
    let Ok(config) = std::env::var("PURSER_TEST_HALF") else { return };
    let text = fs::read_to_string(config).unwrap();
    let table: toml::Table = toml::from_str(&text).unwrap();
    let address = table.get("listen_api").or_else(|| table.get("listen")).unwrap().as_str().unwrap().to_owned();
    for stream in TcpListener::bind(address).unwrap().incoming() {
        let mut stream = stream.unwrap();
        let mut request = [0; 1024];
        let _ = stream.read(&mut request);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    }
}

/// A data folder, and programs that stand in for the halves.
struct Machine {
    dir: tempfile::TempDir,
}

struct Up {
    child: Child,
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Machine {
    fn new() -> Self {
        let machine = Self { dir: tempfile::tempdir().unwrap() };
        let own = std::env::current_exe().unwrap();
        machine.script("half", &format!("PURSER_TEST_HALF=\"$3\" exec '{}' --exact up::half --nocapture", own.display()));
        machine.script("broken", "echo the disk is full >&2; exit 3");
        machine
    }

    fn script(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn data(&self) -> PathBuf {
        self.path("data")
    }

    fn command(&self, cloud: &str) -> Command {
        let mut command = bare(&["up", "--json", "--data"]);
        command.arg(self.data()).env("SLIPWAY_BIN", self.path(cloud)).env("PURSER_BIN", self.path("half"));
        command.env("PURSER_WORKERD", "/bin/sh").env("PURSER_PERSON_TOKEN", "person-secret").stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn up(&self) -> Up {
        let up = Up { child: self.command("half").spawn().unwrap() };
        eventually("run.json", || self.data().join("run.json").exists());
        up
    }

    fn run(&self) -> Value {
        serde_json::from_str(&fs::read_to_string(self.data().join("run.json")).unwrap()).unwrap()
    }

    fn ports(&self) -> Vec<u16> {
        let text = fs::read_to_string(self.data().join("ports.json")).unwrap();
        let ports: std::collections::BTreeMap<String, u16> = serde_json::from_str(&text).unwrap();
        vec![ports["orchestrator"], ports["cloud_api"]]
    }

    /// Processes of this folder's halves.
    fn halves(&self) -> Vec<i32> {
        let data = self.data().display().to_string();
        let processes = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let environment = |pid: &i32| fs::read(format!("/proc/{pid}/environ")).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        processes.filter(|pid| environment(pid).is_ok_and(|text| text.contains(&format!("PURSER_TEST_HALF={data}")))).collect()
    }
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < DEADLINE, "{what} did not come about");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn signal(pid: i32, name: &str) {
    assert!(Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status().unwrap().success());
}

fn answers(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[test]
fn it_says_where_everything_is_and_stops_in_order() {
    let machine = Machine::new();
    let mut up = machine.up();
    let mut first = String::new();
    let mut stdout = BufReader::new(up.child.stdout.take().unwrap());
    stdout.read_line(&mut first).unwrap();
    let envelope: Value = serde_json::from_str(&first).unwrap();
    let run = machine.run();
    assert_eq!(envelope["data"], run);
    assert_eq!(envelope["meta"]["profile"], "sandbox");
    let ports = machine.ports();
    assert_eq!(run["orchestrator"]["url"], format!("http://localhost:{}", ports[0]));
    assert_eq!(run["cloud"]["api"], format!("http://127.0.0.1:{}/client/v4", ports[1]));
    assert_eq!(run["pid"], up.child.id());
    assert_eq!(fs::metadata(machine.data()).unwrap().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(machine.data().join("keys")).unwrap().mode() & 0o777, 0o700);
    assert_eq!(machine.halves().len(), 2);
    for pid in machine.halves() {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap();
        assert!(!String::from_utf8_lossy(&environment).contains("person-secret"), "a half got the person's token");
    }
    signal(i32::try_from(up.child.id()).unwrap(), "TERM");
    assert_eq!(up.child.wait().unwrap().code(), Some(0));
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "", "there was more than one envelope");
    assert!(machine.halves().is_empty() && !machine.data().join("run.json").exists());
}

#[test]
fn nothing_outlives_a_supervisor_that_is_killed_and_the_ports_stay() {
    let machine = Machine::new();
    let mut up = machine.up();
    let (ports, run) = (machine.ports(), machine.run());
    up.child.kill().unwrap();
    up.child.wait().unwrap();
    eventually("the end of the halves", || machine.halves().is_empty());
    fs::remove_file(machine.data().join("run.json")).unwrap();
    let _again = machine.up();
    assert_eq!(machine.ports(), ports);
    assert_eq!(machine.run()["cloud"], run["cloud"]);
    assert!(ports.iter().all(|port| answers(*port)));
}

#[test]
fn a_half_that_is_killed_is_started_again() {
    let machine = Machine::new();
    let up = machine.up();
    for _ in 0..2 {
        let before = machine.halves();
        assert_eq!(before.len(), 2);
        signal(before[0], "KILL");
        eventually("a new half", || {
            let now = machine.halves();
            now.len() == 2 && !now.contains(&before[0]) && machine.ports().iter().all(|port| answers(*port))
        });
    }
    drop(up);
}

#[test]
fn a_half_that_does_not_start_is_told_with_its_own_words() {
    let machine = Machine::new();
    let ran = Ran::of(&machine.command("broken").output().unwrap());
    assert_eq!((ran.code, ran.envelope()["error"]["code"].as_str()), (1, Some("START_FAILED")));
    assert!(ran.envelope()["error"]["message"].as_str().unwrap().contains("the disk is full"), "{}", ran.stdout);
    assert!(!machine.data().join("run.json").exists());
}

#[test]
fn two_do_not_share_a_folder() {
    let machine = Machine::new();
    let _up = machine.up();
    let run = machine.run();
    let ran = Ran::of(&machine.command("half").output().unwrap());
    assert_eq!((ran.code, ran.envelope()["error"]["code"].as_str()), (6, Some("ALREADY_RUNNING")));
    assert_eq!(machine.run(), run, "the second one spoilt the first one's file");
}

#[test]
fn a_port_that_is_taken_is_named_with_advice() {
    let machine = Machine::new();
    drop(machine.up());
    eventually("the end of the halves", || machine.halves().is_empty());
    let port = machine.ports()[1];
    let mut held = None;
    eventually("a free port", || {
        held = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok();
        held.is_some()
    });
    let ran = Ran::of(&machine.command("half").output().unwrap());
    assert_eq!((ran.code, ran.envelope()["error"]["code"].as_str()), (6, Some("PORT_TAKEN")));
    let said = ran.envelope()["error"].to_string();
    assert!(said.contains(&port.to_string()) && said.contains("--port-base"), "{said}");
}

#[test]
fn a_program_that_is_missing_is_named() {
    let machine = Machine::new();
    let ran = Ran::of(&machine.command("nothing").output().unwrap());
    assert_eq!((ran.code, ran.envelope()["error"]["code"].as_str()), (5, Some("PROGRAM_MISSING")));
    let ran = Ran::of(&machine.command("half").env("PURSER_WORKERD", Path::new("/nonexistent")).output().unwrap());
    assert_eq!((ran.code, ran.envelope()["error"]["code"].as_str()), (5, Some("PROGRAM_MISSING")));
    assert!(ran.envelope()["error"]["hint"].as_str().unwrap().contains("--workerd"));
}
