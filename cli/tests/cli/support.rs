//! A place to run the command in, and an orchestrator that answers from a script and checks every proof.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use purser_crypto::jose::{decode_unverified, verify};
use serde_json::{Value, json};

/// An agent's home and a project folder.
pub struct World {
    pub dir: tempfile::TempDir,
    pub url: String,
    pub orchestrator: Arc<Fake>,
}

/// What the command came to.
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The one envelope on stdout.
    pub fn envelope(&self) -> Value {
        let lines: Vec<&str> = self.stdout.lines().collect();
        assert_eq!(lines.len(), 1, "stdout is not one line: {:?}\n{}", self.stdout, self.stderr);
        serde_json::from_str(lines[0]).unwrap_or_else(|e| panic!("stdout is no JSON ({e}): {:?}", self.stdout))
    }
}

impl World {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("site")).unwrap();
        let orchestrator = Arc::new(Fake::default());
        let url = orchestrator.clone().listen();
        Self { dir, url, orchestrator }
    }

    /// One with a session and a project.
    pub fn ready() -> Self {
        let world = Self::new();
        world.orchestrator.decide("granted");
        let ran = world.run(&["login", "--json"]);
        assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
        let ran = world.run(&["init", "site", "--json"]);
        assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
        world
    }

    pub fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    pub fn site(&self) -> PathBuf {
        self.dir.path().join("site")
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = bare(arguments);
        command.env("PURSER_HOME", self.home()).env("PURSER_URL", &self.url).current_dir(self.site());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(&self.command(arguments).output().unwrap())
    }
}

/// The command with nothing around it but a path.
pub fn bare(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_purser"));
    command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path))).args(arguments).stdin(Stdio::null());
    command
}

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub target: String,
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub fn form(&self) -> HashMap<String, String> {
        url::form_urlencoded::parse(&self.body).into_owned().collect()
    }
}

type Answer = (u16, String);

/// Answers what it was told to answer, in order; then what an orchestrator would.
#[derive(Default)]
pub struct Fake {
    pub seen: Mutex<Vec<Request>>,
    scripted: Mutex<HashMap<String, Vec<Answer>>>,
    decision: Mutex<String>,
    tokens: Mutex<Tokens>,
}

#[derive(Default)]
struct Tokens {
    made: u32,
    access: Vec<String>,
    refresh: Option<String>,
    jkt: Option<String>,
    pub reused: bool,
}

impl Fake {
    /// What the person does: `granted`, `denied`, or nothing yet.
    pub fn decide(&self, decision: &str) {
        *self.decision.lock().unwrap() = decision.to_owned();
    }

    /// The next answer to `METHOD /path`.
    pub fn answer(&self, route: &str, status: u16, body: &Value) {
        self.scripted.lock().unwrap().entry(route.to_owned()).or_default().push((status, body.to_string()));
    }

    pub fn answer_raw(&self, route: &str, status: u16, body: &str) {
        self.scripted.lock().unwrap().entry(route.to_owned()).or_default().push((status, body.to_owned()));
    }

    pub fn requests(&self, route: &str) -> Vec<Request> {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|r| format!("{} {}", r.method, r.path()) == route).cloned().collect()
    }

    pub fn family_burnt(&self) -> bool {
        self.tokens.lock().unwrap().reused
    }

    pub fn forget_access_tokens(&self) {
        self.tokens.lock().unwrap().access.clear();
    }

    fn listen(self: Arc<Self>) -> String {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let origin = url.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (fake, origin) = (self.clone(), origin.clone());
                thread::spawn(move || fake.converse(stream, &origin));
            }
        });
        url
    }

    fn converse(&self, stream: TcpStream, origin: &str) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut writer = stream;
        while let Some(request) = read_request(&mut reader) {
            let (status, body) = self.respond(&request, origin);
            self.seen.lock().unwrap().push(request);
            let head = format!(
                "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nPurser-Profile: sandbox\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            if writer.write_all(head.as_bytes()).and_then(|()| writer.write_all(body.as_bytes())).is_err() {
                return;
            }
        }
    }

    fn respond(&self, request: &Request, origin: &str) -> Answer {
        let route = format!("{} {}", request.method, request.path());
        let jkt = match check_proof(request, origin) {
            Ok(jkt) => jkt,
            Err(why) => return problem(401, "proof_refused", &why),
        };
        let open = route.starts_with("POST /oauth/") || route == "GET /v1/catalog";
        if !open {
            let tokens = self.tokens.lock().unwrap();
            let given = request.headers.get("authorization").and_then(|v| v.strip_prefix("DPoP ")).unwrap_or_default();
            if !tokens.access.iter().any(|token| token == given) || tokens.jkt.as_deref() != Some(&jkt) {
                return problem(401, "token_refused", "the access token is not good");
            }
        }
        let scripted = self.scripted.lock().unwrap().get_mut(&route).filter(|answers| !answers.is_empty()).map(|answers| answers.remove(0));
        scripted.unwrap_or_else(|| self.usual(&route, request, jkt))
    }

    fn usual(&self, route: &str, request: &Request, jkt: String) -> Answer {
        match route {
            "POST /oauth/device_authorization" => ok(&json!({
                "device_code": "device-1", "user_code": "WDJB-MJHT", "expires_in": 900, "interval": 0,
                "verification_uri": "http://localhost/device", "verification_uri_complete": "http://localhost/device?user_code=WDJB-MJHT",
            })),
            "POST /oauth/token" => self.token(&request.form(), jkt),
            "GET /v1/whoami" => {
                ok(&json!({ "agent": {"id": "agt_1", "name": "bot"}, "person": {"email": "ada@example.test"}, "frozen": false }))
            }
            "POST /v1/projects" => ok(&json!({ "id": "prj_1", "name": request.json()["name"], "environments": ["development"] })),
            "GET /v1/catalog" => ok(&json!({ "services": [{"ref": "slipway/workers", "description": "Workers", "price": null}] })),
            _ => problem(404, "not_found", "there is no such thing here"),
        }
    }

    fn token(&self, form: &HashMap<String, String>, jkt: String) -> Answer {
        let mut tokens = self.tokens.lock().unwrap();
        if form["grant_type"] == "refresh_token" {
            if tokens.refresh.as_ref() != form.get("refresh_token") {
                tokens.reused = true;
                return (400, json!({ "error": "invalid_grant", "error_description": "reused" }).to_string());
            }
        } else {
            match self.decision.lock().unwrap().as_str() {
                "granted" => {}
                "denied" => return (400, json!({ "error": "access_denied" }).to_string()),
                _ => return (400, json!({ "error": "authorization_pending" }).to_string()),
            }
        }
        tokens.made += 1;
        let (access, refresh) = (format!("access-{}", tokens.made), format!("refresh-{}", tokens.made));
        tokens.access.push(access.clone());
        tokens.refresh = Some(refresh.clone());
        tokens.jkt = Some(jkt);
        ok(
            &json!({ "access_token": access, "token_type": "DPoP", "expires_in": 600, "refresh_token": refresh, "grant_id": "grt_1", "agent_id": "agt_1" }),
        )
    }
}

pub fn ok(body: &Value) -> Answer {
    (200, body.to_string())
}

fn problem(status: u16, code: &str, detail: &str) -> Answer {
    (status, json!({ "type": "x", "title": "x", "status": status, "code": code, "detail": detail }).to_string())
}

/// The thumbprint of the key that made the proof, if the proof is for this very request.
fn check_proof(request: &Request, origin: &str) -> Result<String, String> {
    let proof = request.headers.get("dpop").ok_or("there is no proof")?;
    let unverified = decode_unverified::<Value>(proof, "dpop+jwt").map_err(|e| e.to_string())?;
    let key = unverified.jwk.ok_or("the proof has no key")?;
    let claims = verify::<Value>(proof, "dpop+jwt", &key).map_err(|e| e.to_string())?.claims;
    let good = claims["htm"] == *request.method && claims["htu"] == format!("{origin}{}", request.path());
    if good { Ok(key.thumbprint()) } else { Err(format!("the proof is for {claims}")) }
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").and_then(|v| v.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { method, target, headers, body })
}

/// Every file below a folder with its text, to look for what must not be there.
pub fn texts(folder: &Path) -> String {
    let mut all = String::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            all.push_str(&texts(&path));
        } else {
            all.push_str(&String::from_utf8_lossy(&fs::read(&path).unwrap()));
        }
    }
    all
}
