//! What Workers keep, in a bucket of somebody else's S3 server: it lets in whose key it knows, and the bytes outlive us there.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use purser_tests::binaries::named;
use serde_json::{Value, json};
use slipway::config::{Objects, S3Table};
use tower::ServiceExt as _;

use super::support::{ESM, Workers, World, multipart};

/// The key and the secret that the server knows. It does not verify signatures of the fourth kind, only whose they say they are.
const KEY: &str = "S3RVER";
const BUCKET: &str = "slipway-objects";
/// More than goes in one request to the server.
const LARGE: usize = 21 * 1024 * 1024 + 7;

/// Parts of a Worker's own upload, and what it reads of them.
const PARTS: &str = "export default { async fetch(_, env) {
    const upload = await env.BUCKET.createMultipartUpload('parts')
    const parts = [await upload.uploadPart(1, new Uint8Array(5 << 20).fill(5)), await upload.uploadPart(2, new Uint8Array([1, 2, 3]))]
    const done = await upload.complete(parts)
    const tail = await env.BUCKET.get('parts', { range: { offset: (5 << 20) - 1 } })
    return Response.json([done.size, ...new Uint8Array(await tail.arrayBuffer())]) } }";

/// A server, until it is dropped.
struct Server {
    process: Child,
    port: u16,
}

impl Server {
    fn start(folder: &Path) -> Option<Self> {
        let (program, node) = (named("PURSER_S3", || None)?, named("PURSER_NODE", || None)?);
        let mut command = Command::new(node);
        command.arg(program).args(["-a", "127.0.0.1", "-p", "0", "--configure-bucket", BUCKET, "-d"]).arg(folder);
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut said = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = said.by_ref().map(Result::unwrap).find(|line| line.contains("listening")).expect("it does not start");
        // it writes a line for each call, and somebody must read them
        std::thread::spawn(move || said.for_each(drop));
        Some(Self { process, port: line.rsplit(':').next().unwrap().trim().parse().unwrap() })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_lie_in_a_bucket_and_outlive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = Server::start(&folder.path().join("s3")) else { return };
    let table = |id: &str| {
        let file = folder.path().join("secret");
        std::fs::write(&file, KEY).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let endpoint = format!("http://127.0.0.1:{}", server.port).parse().unwrap();
        let (bucket, region) = (BUCKET.to_owned(), "us-east-1".to_owned());
        Some(Objects { s3: S3Table { endpoint, bucket, region, access_key_id: id.to_owned(), secret_access_key_file: file } })
    };
    let right = table(KEY);
    let Some(world) = World::configured(|config| config.objects = right).await else { return };
    let customer = world.customer("ada").await;
    let workers = world.workers(&customer, "agt_a").await;
    let buckets = format!("/accounts/{}/r2/buckets", workers.account);
    assert!(world.api(&workers.token, Method::POST, &buckets, Some(json!({"name": "things"}))).await.0.is_success());
    let objects = format!("{buckets}/things/objects");
    let large: Vec<u8> = (0..LARGE).map(|at| u8::try_from(at % 251).unwrap()).collect();
    for (key, bytes) in [("small", b"a few bytes".to_vec()), ("deep/er/large", large.clone()), ("empty", Vec::new())] {
        let (status, said) = call(&world, &workers, Method::PUT, &format!("{objects}/{key}"), None, bytes).await;
        assert_eq!(status, StatusCode::OK, "{key}: {}", String::from_utf8_lossy(&said));
    }
    assert_eq!(parts(&world, &workers).await, json!([5_242_883, 5, 1, 2, 3]));
    let kept = |folder: &Path| walk(folder).iter().filter(|size| **size >= 5 << 20).count();
    assert!(kept(&folder.path().join("s3")) >= 2, "the large objects are not in the bucket");
    assert_eq!(walk(&world.folder.path().join("stores/objects")), Vec::<u64>::new(), "objects are here as well");

    let world = world.restart().await;
    let (status, whole) = call(&world, &workers, Method::GET, &format!("{objects}/deep/er/large"), None, Vec::new()).await;
    assert!(status == StatusCode::OK && whole == large, "{status}, {} bytes", whole.len());
    let range = format!("bytes={}-{}", 9 << 20, (9 << 20) + 99);
    let (status, part) = call(&world, &workers, Method::GET, &format!("{objects}/deep/er/large"), Some(&range), Vec::new()).await;
    assert!(status == StatusCode::PARTIAL_CONTENT && part == large[9 << 20..(9 << 20) + 100], "{status}, {} bytes", part.len());
    let (status, empty) = call(&world, &workers, Method::GET, &format!("{objects}/empty"), None, Vec::new()).await;
    assert_eq!((status, empty.len()), (StatusCode::OK, 0));
    let (_, listed) = world.api(&workers.token, Method::GET, &format!("{objects}?prefix=deep/"), None).await;
    assert_eq!((&listed["result"][0]["key"], &listed["result"][0]["size"]), (&json!("deep/er/large"), &json!(LARGE)), "{listed}");
    let (status, _) = call(&world, &workers, Method::DELETE, &format!("{objects}/small"), None, Vec::new()).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(call(&world, &workers, Method::GET, &format!("{objects}/small"), None, Vec::new()).await.0, StatusCode::NOT_FOUND);

    // whoever comes under another key is let in by nobody, and nothing is acknowledged
    let wrong = table("SOMEBODY-ELSE");
    let Some(stranger) = World::configured(|config| config.objects = wrong).await else { return };
    let customer = stranger.customer("eve").await;
    let theirs = stranger.workers(&customer, "agt_e").await;
    let buckets = format!("/accounts/{}/r2/buckets", theirs.account);
    stranger.api(&theirs.token, Method::POST, &buckets, Some(json!({"name": "things"}))).await;
    let (status, _) = call(&stranger, &theirs, Method::PUT, &format!("{buckets}/things/objects/x"), None, vec![7; 1 << 20]).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
}

/// Deploys a Worker that uploads in parts, and what it answers.
async fn parts(world: &World, workers: &Workers) -> Value {
    let metadata = json!({"main_module": "index.js", "compatibility_date": "2026-04-01",
        "bindings": [{"type": "r2_bucket", "name": "BUCKET", "bucket_name": "things"}]});
    let form = multipart(&[("metadata", None, metadata.to_string().as_bytes()), ("index.js", Some(ESM), PARTS.as_bytes())]);
    let script = format!("/accounts/{}/workers/scripts/parts", workers.account);
    let (status, said) = world.api_raw(&workers.token, Method::PUT, &script, &form.0, form.1).await;
    assert!(status.is_success(), "{said}");
    let (status, said) = world.api(&workers.token, Method::POST, &format!("{script}/subdomain"), Some(json!({"enabled": true}))).await;
    assert!(status.is_success(), "{said}");
    let (_, below) = world.api(&workers.token, Method::GET, &format!("/accounts/{}/workers/subdomain", workers.account), None).await;
    let host = format!("parts.{}.{}", below["result"]["subdomain"].as_str().unwrap(), world.cloud.nameserver.common_domain().unwrap());
    let (status, body) = world.visit(host.strip_suffix(".localhost").unwrap_or(&host)).await;
    assert_eq!(status, 200, "{body}");
    let json = body.find('[').zip(body.rfind(']')).map(|(from, to)| &body[from..=to]);
    serde_json::from_str(json.unwrap_or_else(|| panic!("{body}"))).unwrap()
}

async fn call(world: &World, workers: &Workers, method: Method, path: &str, range: Option<&str>, body: Vec<u8>) -> (StatusCode, Vec<u8>) {
    let mut request = Request::builder().method(method).uri(format!("/client/v4{path}"));
    request = request.header(header::AUTHORIZATION, format!("Bearer {}", workers.token)).header(header::CONTENT_LENGTH, body.len());
    if let Some(range) = range {
        request = request.header(header::RANGE, range);
    }
    let response = world.app.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
    let status = response.status();
    (status, axum::body::to_bytes(response.into_body(), 1 << 26).await.unwrap().to_vec())
}

/// The sizes of all files below a folder.
fn walk(folder: &Path) -> Vec<u64> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let entries = entries.map(Result::unwrap);
    entries.flat_map(|entry| if entry.path().is_dir() { walk(&entry.path()) } else { vec![entry.metadata().unwrap().len()] }).collect()
}
