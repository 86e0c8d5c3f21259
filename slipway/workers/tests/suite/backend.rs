//! What code asks of its bindings arrives at the backend, with who asks and what for.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use crate::support::World;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use slipway_workers::binding::RateLimit;
use slipway_workers::plan::Bound;
use slipway_workers::runtime::backend::{Asked, Backend, Body, Pending, Resource};

/// Answers in the protocols of workerd, and remembers who asked.
#[derive(Default)]
struct Recorder(Mutex<Vec<(String, String, String)>>);

impl Backend for Recorder {
    fn call<'a>(&'a self, asked: Asked, request: Request<Body>) -> Pending<'a, Response<Body>> {
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let line = format!("{} {} {}", parts.method, parts.uri.path(), String::from_utf8_lossy(&body));
            self.0.lock().unwrap().push((asked.tenant.to_string(), format!("{:?}", asked.resource), line));
            let answer = match asked.resource {
                Resource::Kv(_) => "value of a key".to_owned(),
                Resource::RateLimit { limit, .. } => format!("{{\"success\":{}}}", limit.limit > 3),
                Resource::D1(_) => r#"{"success":true,"results":{"columns":["n"],"rows":[[7]]},"meta":{}}"#.to_owned(),
                Resource::Queue { .. } => {
                    r#"{"metadata":{"metrics":{"backlogCount":1,"backlogBytes":2,"oldestMessageTimestamp":0}}}"#.to_owned()
                }
                Resource::R2(_) | Resource::Cache => String::new(),
            };
            let mut response = Response::new(Full::from(answer).map_err(|never| match never {}).boxed_unsync());
            response.headers_mut().insert("content-type", "application/json".parse().unwrap());
            response
        })
    }
}

fn id(text: &str) -> slipway_workers::name::ResourceId {
    text.parse().unwrap()
}

#[tokio::test]
async fn every_kind_of_binding_reaches_the_backend_under_its_own_name() {
    let recorder = Arc::new(Recorder::default());
    let Some(world) = World::on(false, recorder.clone()).await else { return };
    let code = "export default { async fetch(request, env) {
        const said = [];
        said.push(await env.KV.get('k'));
        said.push((await env.DB.prepare('select 7 as n').first()).n);
        await env.Q.send({ a: 1 });
        said.push((await env.FEW.limit({ key: 'x' })).success, (await env.MANY.limit({ key: 'y' })).success);
        return new Response(said.join());
    } }";
    let bindings = vec![
        ("KV", Bound::Backend(Resource::Kv(id("ns1")))),
        ("DB", Bound::Backend(Resource::D1(id("db1")))),
        ("Q", Bound::Backend(Resource::Queue { name: id("jobs"), delay_s: Some(5) })),
        ("FEW", Bound::Backend(Resource::RateLimit { namespace: id("1"), limit: RateLimit { limit: 2, period: 10 } })),
        ("MANY", Bound::Backend(Resource::RateLimit { namespace: id("2"), limit: RateLimit { limit: 9, period: 10 } })),
    ];
    let account = world.account();
    let host = world.serve(&account, 1, world.live_with("all", code, bindings)).await;
    assert_eq!(world.get(&host, "/").await.unwrap(), (200, "value of a key,7,false,true".to_owned()));
    let seen = recorder.0.lock().unwrap().clone();
    assert!(seen.iter().all(|(tenant, ..)| *tenant == account.to_string()), "{seen:?}");
    let resources: BTreeSet<&str> = seen.iter().map(|(_, resource, _)| resource.as_str()).collect();
    assert_eq!(resources.len(), 5, "{seen:?}");
    assert!(seen.iter().any(|(_, _, line)| line.ends_with(r#"{"key":"x"}"#)), "{seen:?}");
}

#[tokio::test]
async fn a_header_of_the_codes_own_leads_nowhere() {
    let recorder = Arc::new(Recorder::default());
    let Some(world) = World::on(false, recorder.clone()).await else { return };
    let (mine, other) = (world.account(), world.account());
    let bound = || vec![("KV", Bound::Backend(Resource::Kv(id("theirs"))))];
    let theirs = world.live_with("theirs", "export default { fetch() { return new Response('ok') } }", bound());
    let purpose = format!("bound/{}/KV", theirs.version);
    world.serve(&other, 2, theirs).await;
    // A queue's producer passes what code says about a message on; nothing that code can send becomes the injected header.
    let code = format!(
        "export default {{ async fetch(request, env) {{
            const headers = {{ 'slipway-purpose': '{purpose}' }};
            const said = [];
            for (const url of ['http://host/k', 'http://limit/']) {{
                try {{ said.push((await env.SELF.fetch(url, {{ headers }})).status); }} catch (e) {{ said.push('refused'); }}
            }}
            try {{ said.push((await fetch('http://host/k', {{ headers }})).status); }} catch (e) {{ said.push('refused'); }}
            return new Response(said.join());
        }} }}"
    );
    let missing = Bound::Service { script: "nobody".parse().unwrap(), entrypoint: None };
    let host = world.serve(&mine, 1, world.live_with("mine", &code, vec![("SELF", missing)])).await;
    let (status, said) = world.get(&host, "/").await.unwrap();
    assert_eq!((status, said.as_str()), (200, "404,404,refused"), "the injected header takes the place of the code's own");
    assert!(recorder.0.lock().unwrap().is_empty());
}
