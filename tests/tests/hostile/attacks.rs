//! The hostile Workers, by what they are after. Each family is one account's.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use crate::neighbour::Neighbour;

/// What must become of it.
#[derive(Debug)]
pub enum Outcome {
    /// It is not even deployed.
    NotDeployed,
    /// It answers one of these, which tells that it got nothing.
    Says(Vec<&'static str>),
    /// Its own request fails, and nobody else's.
    Dies,
    /// Whatever it does, it does to itself.
    Anything,
}

pub struct Attack {
    pub name: &'static str,
    pub code: String,
    pub outcome: Outcome,
    pub flags: Vec<&'static str>,
    pub date: Option<&'static str>,
    pub bindings: Vec<Value>,
    pub patience: Duration,
    /// What the operator sees of it: one of these. What never leaves the isolate, such as a refused `eval`, leaves no trace.
    pub seen: &'static [&'static str],
}

fn attack(name: &'static str, outcome: Outcome, code: impl Into<String>) -> Attack {
    let patience = Duration::from_secs(40);
    Attack { name, code: code.into(), outcome, flags: vec![], date: None, bindings: vec![], patience, seen: &[] }
}

/// The same, and the operator has to see it.
fn seen(seen: &'static [&'static str], attack: Attack) -> Attack {
    Attack { seen, ..attack }
}

/// A Worker whose handler has this body; `say` collects what it got.
fn body(text: &str) -> String {
    format!(
        "export default {{ async fetch(request, env, ctx) {{ const said = []; const say = (x) => said.push(x);\n{text}\nreturn new Response(said.join() || 'nothing'); }} }}"
    )
}

/// Each expression is tried; what throws is `refused`, what does not is `got`.
fn tries(expressions: &[String]) -> String {
    let each: Vec<String> = expressions
        .iter()
        .map(|e| format!("try {{ const x = await ({e}); say(x === undefined ? 'refused' : 'got'); }} catch (e) {{ say('refused'); }}"))
        .collect();
    body(&each.join("\n"))
}

fn says(text: &'static str) -> Outcome {
    Outcome::Says(vec![text])
}

fn fetches(urls: &[&str]) -> String {
    let urls: Vec<String> = urls.iter().map(|u| format!("fetch({})", Value::from(*u))).collect();
    tries(&urls)
}

pub fn families(neighbour: &Neighbour, api: SocketAddr) -> Vec<(&'static str, Vec<Attack>)> {
    vec![
        ("loops", loops()),
        ("memory", memory()),
        ("escape", escape()),
        ("flags", flags()),
        ("theft", theft(neighbour)),
        ("network", network(api)),
        ("protocol", protocol(neighbour)),
    ]
}

const CPU: &[&str] = &["cpu"];
const MEMORY: &[&str] = &["memory"];
const BOTH: &[&str] = &["cpu", "memory"];
const EGRESS: &[&str] = &["egress"];

fn loops() -> Vec<Attack> {
    vec![
        seen(CPU, attack("endless-loop", Outcome::Dies, body("while (true);"))),
        seen(BOTH, attack("microtasks", Outcome::Dies, body("const again = () => Promise.resolve().then(again); await again();"))),
        seen(CPU, attack("backtracking", Outcome::Dies, body("/^(a+)+$/.test('a'.repeat(40) + 'b');"))),
        seen(BOTH, attack("sorting", Outcome::Dies, body("for (;;) Array.from({ length: 1e6 }, Math.random).sort();"))),
        attack("recursion", Outcome::Says(vec!["RangeError"]), body("const f = () => f() + 1; try { f(); } catch (e) { say(e.name); }")),
        attack("loop-at-start", Outcome::NotDeployed, "while (true); export default {}"),
        attack("timers", Outcome::Anything, body("for (let i = 0; i < 1e5; i++) setTimeout(() => {}, 1e6);")),
    ]
}

fn memory() -> Vec<Attack> {
    vec![
        // filling a heap takes time: whichever of the two it runs out of first
        seen(BOTH, attack("heap", Outcome::Dies, body("const all = []; for (;;) all.push({ a: new Array(1000).fill(all.length) });"))),
        seen(
            MEMORY,
            attack(
                "buffers",
                Outcome::Dies,
                body("const all = []; for (;;) { const b = new Uint8Array(32 << 20); b.fill(1); all.push(b); }"),
            ),
        ),
        attack("strings", Outcome::Says(vec!["RangeError"]), body("let s = 'x'; try { for (;;) s += s; } catch (e) { say(e.name); }")),
        attack("huge-buffer", Outcome::Says(vec!["RangeError"]), body("try { new ArrayBuffer(2 ** 46); } catch (e) { say(e.name); }")),
        seen(
            BOTH,
            attack("map", Outcome::Dies, body("const all = new Map(); for (let i = 0; ; i++) all.set(i + 'key', 'x'.repeat(100) + i);")),
        ),
        attack(
            "wasm-memory",
            Outcome::Dies,
            body(
                "const all = []; for (let i = 0; i < 64; i++) { const m = new WebAssembly.Memory({ initial: 1600 }); new Uint8Array(m.buffer).fill(1); all.push(m); }",
            ),
        ),
    ]
}

fn escape() -> Vec<Attack> {
    let node = |name, outcome, code: String| Attack { flags: vec!["nodejs_compat"], ..attack(name, outcome, code) };
    vec![
        attack("eval", says("EvalError"), body("try { eval('1 + 1'); say('got'); } catch (e) { say(e.name); }")),
        attack("function", says("EvalError"), body("try { new Function('return 1')(); say('got'); } catch (e) { say(e.name); }")),
        attack("wasm-compile", says("refused"), tries(&["WebAssembly.compile(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]))".into()])),
        attack(
            "import-internal",
            says("refused,refused,refused"),
            tries(&["cloudflare-internal:env", "workerd:unsafe", "internal:unsafe-eval"].map(|m| format!("import('{m}')"))),
        ),
        node("child-process", says("refused"), tries(&["import('node:child_process').then((m) => m.execSync('id').toString())".into()])),
        node(
            "read-files",
            says("refused,refused,refused"),
            tries(
                &["/etc/passwd", "/proc/self/environ", "/tmp/config.capnp"]
                    .map(|f| format!("import('node:fs').then((m) => m.readFileSync('{f}', 'utf8'))")),
            ),
        ),
        node(
            "list-root",
            Outcome::Says(vec!["nothing", "refused"]),
            body(
                "try { const fs = await import('node:fs'); for (const n of fs.readdirSync('/')) if (['workerd', 'lib64', 'objects', 'run', 'etc', 'home'].includes(n)) say(n); } catch (e) { say('refused'); }",
            ),
        ),
        node(
            "process",
            Outcome::Says(vec!["{}", "undefined"]),
            body("say(typeof process === 'undefined' ? 'undefined' : JSON.stringify(process.env));"),
        ),
        node("kill", says("refused"), tries(&["Promise.resolve().then(() => process.kill(1, 9))".into()])),
        node(
            "threads",
            says("refused"),
            tries(&["import('node:worker_threads').then((m) => new m.Worker('while(true);', { eval: true }))".into()]),
        ),
        // workerd has a table of ports of its own: `listen` succeeds, and nothing listens outside of its process.
        node(
            "listen",
            says("got"),
            tries(&["import('node:net').then((m) => new Promise((ok, no) => m.createServer().listen(8080, () => ok(1)).on('error', no)))"
                .into()]),
        ),
    ]
}

fn flags() -> Vec<Attack> {
    let with = |name, flag| Attack { flags: vec![flag], ..attack(name, Outcome::NotDeployed, body("")) };
    vec![
        with("flag-experimental", "experimental"),
        with("flag-unsafe-module", "unsafe_module"),
        with("flag-extra-handlers", "service_binding_extra_handlers"),
        with("flag-unknown", "give_me_everything"),
        with("flag-injection", "x\", (name = \"internet\")"),
        Attack { date: Some("2099-01-01"), ..attack("date", Outcome::NotDeployed, body("")) },
        Attack {
            bindings: vec![json!({"type": "unsafe_eval", "name": "EVAL"})],
            ..attack("binding-unsafe-eval", Outcome::NotDeployed, body(""))
        },
        Attack {
            bindings: vec![json!({"type": "plain_text", "name": "A\", service = \"w0", "text": "x"})],
            ..attack("binding-injection", Outcome::NotDeployed, body(""))
        },
    ]
}

fn theft(neighbour: &Neighbour) -> Vec<Attack> {
    let bound = |name, outcome, binding: Value, code: String| Attack { bindings: vec![binding], ..attack(name, outcome, code) };
    let not = || Outcome::NotDeployed;
    let id = "0123456789abcdef0123456789abcdef";
    vec![
        bound(
            "service",
            says("404"),
            json!({"type": "service", "name": "S", "service": "fine"}),
            body("say((await env.S.fetch('http://x/')).status);"),
        ),
        bound("kv", not(), json!({"type": "kv_namespace", "name": "K", "namespace_id": id}), body("")),
        bound("d1", not(), json!({"type": "d1", "name": "D", "id": id}), body("")),
        bound("r2", not(), json!({"type": "r2_bucket", "name": "B", "bucket_name": "backups"}), body("")),
        bound("queue", not(), json!({"type": "queue", "name": "Q", "queue_name": "jobs"}), body("")),
        bound(
            "objects",
            not(),
            json!({"type": "durable_object_namespace", "name": "O", "class_name": "Counter", "script_name": "fine"}),
            body(""),
        ),
        bound("inherit", not(), json!({"type": "inherit", "name": "SECRET"}), body("")),
        attack(
            "cache",
            says("nothing"),
            body(&format!(
                "for (const url of ['http://{0}.localhost/', 'https://{0}/', 'http://{0}/']) {{ try {{ await caches.default.put(url, new Response('poisoned', {{ headers: {{ 'cache-control': 'max-age=600' }} }})); }} catch (e) {{}} }}",
                neighbour.host
            )),
        ),
        attack("environment", says("[]"), body("say(JSON.stringify(Object.keys(env)));")),
        attack(
            "clock",
            // it runs: docs/threat-model.md says what that means for timing
            says("true,true"),
            body(
                "const a = performance.now(), b = Date.now(); let x = 0; for (let i = 0; i < 1e8; i++) x += i; say(performance.now() > a); say(Date.now() > b);",
            ),
        ),
        attack("shared-memory", Outcome::Says(vec!["refused"]), tries(&["new Promise((ok) => { new Worker('data:,'); ok(1); })".into()])),
    ]
}

fn network(api: SocketAddr) -> Vec<Attack> {
    let port = api.port();
    let connect =
        |at: &str| format!("import('cloudflare:sockets').then(async (m) => {{ const s = m.connect('{at}'); await s.opened; return 1; }})");
    vec![
        seen(
            EGRESS,
            attack(
                "loopback",
                says("refused,refused,refused"),
                fetches(&["http://127.0.0.1/", "http://127.0.0.1:22/", "https://localhost/"]),
            ),
        ),
        Attack {
            seen: EGRESS,
            ..attack(
                "control",
                says("refused,refused"),
                fetches(&[&format!("http://127.0.0.1:{port}/health"), &format!("http://localhost:{port}/client/v4/user")]),
            )
        },
        Attack {
            seen: EGRESS,
            ..attack(
                "scan",
                says("none"),
                body(
                    "let n = 0; await Promise.all(Array.from({ length: 40 }, async (_, i) => { try { await fetch('http://127.0.0.1:' + (8000 + i)); n++; } catch (e) {} })); say(n || 'none');",
                ),
            )
        },
        Attack {
            seen: EGRESS,
            ..attack(
                "metadata",
                says("refused,refused,refused"),
                fetches(&["http://169.254.169.254/latest/meta-data/", "http://[fd00:ec2::254]/", "http://metadata.google.internal/"]),
            )
        },
        seen(
            EGRESS,
            attack("private", says("refused,refused,refused"), fetches(&["http://10.0.0.1/", "http://192.168.0.1/", "http://172.16.0.1/"])),
        ),
        Attack {
            seen: EGRESS,
            ..attack(
                "spellings",
                says("refused,refused,refused,refused,refused"),
                fetches(&["http://2130706433/", "http://0x7f.1/", "http://0177.0.0.1/", "http://0/", "http://127.1/"]),
            )
        },
        Attack {
            seen: EGRESS,
            ..attack(
                "mapped",
                says("refused,refused,refused,refused"),
                fetches(&["http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://[64:ff9b::7f00:1]/", "http://[::]/"]),
            )
        },
        attack("credentials", says("refused"), fetches(&["http://a:b@127.0.0.1/"])),
        Attack {
            seen: EGRESS,
            ..attack(
                "sockets",
                says("refused,refused,refused"),
                tries(&[connect("127.0.0.1:22"), connect(&format!("localhost:{port}")), connect("169.254.169.254:80")]),
            )
        },
        seen(EGRESS, attack("mail", says("refused"), tries(&[connect("192.0.2.1:25")]))),
        Attack {
            seen: EGRESS,
            ..attack(
                "websocket-out",
                says("refused"),
                tries(&[format!("fetch('http://127.0.0.1:{port}/', {{ headers: {{ Upgrade: 'websocket' }} }})")]),
            )
        },
        attack("schemes", says("refused,refused,refused"), fetches(&["file:///etc/passwd", "ftp://127.0.0.1/", "unix:/run/host.sock"])),
        Attack {
            seen: EGRESS,
            ..attack(
                "flood",
                says("limited"),
                body(
                    "let n = 0; for (let i = 0; i < 12; i++) await Promise.all(Array.from({ length: 40 }, async () => { try { await fetch('http://127.0.0.1/'); n++; } catch (e) {} })); say(n || 'limited');",
                ),
            )
        },
        attack("forged-purpose", says("refused"), tries(&["fetch('http://host/', { headers: { 'slipway-purpose': 'health' } })".into()])),
    ]
}

fn protocol(neighbour: &Neighbour) -> Vec<Attack> {
    let short = |attack: Attack| Attack { patience: Duration::from_secs(5), ..attack };
    vec![
        attack(
            "split-response",
            says("refused"),
            tries(&["Promise.resolve().then(() => new Response('', { headers: { 'x': 'a\\r\\nSet-Cookie: b=c' } }))".into()]),
        ),
        attack("huge-header", Outcome::Anything, body("return new Response('x', { headers: { 'x-big': 'y'.repeat(1 << 20) } });")),
        attack(
            "many-headers",
            Outcome::Anything,
            body(
                "const h = new Headers(); for (let i = 0; i < 5000; i++) h.append('x-' + i, 'y'); return new Response('x', { headers: h });",
            ),
        ),
        short(attack(
            "endless-body",
            Outcome::Anything,
            body("return new Response(new ReadableStream({ pull(c) { c.enqueue(new Uint8Array(65536)); } }));"),
        )),
        short(attack(
            "silent-body",
            Outcome::Anything,
            body("return new Response(new ReadableStream({ start(c) { c.enqueue(new Uint8Array(1)); } }));"),
        )),
        short(attack("never-answers", Outcome::Anything, body("await new Promise(() => {});"))),
        short(attack(
            "unasked-upgrade",
            Outcome::Anything,
            body(
                "const [a, b] = Object.values(new WebSocketPair()); b.accept(); setInterval(() => b.send('x'.repeat(1e5)), 0); return new Response(null, { status: 101, webSocket: a });",
            ),
        )),
        attack("throws", Outcome::Dies, body("throw new Error('on purpose');")),
        attack(
            "own-host",
            Outcome::Anything,
            body(&format!(
                "try {{ const r = await fetch('https://{}/'); say(r.status); }} catch (e) {{ say('refused'); }}",
                neighbour.host
            )),
        ),
        attack(
            "itself",
            Outcome::Anything,
            body("try { const r = await fetch(request.url.replace('.localhost', '')); say(r.status); } catch (e) { say('refused'); }"),
        ),
    ]
}
