//! Static assets.

use serde_json::json;

use crate::lane::{Lane, Project, holds};
use crate::outcome::{Done, Ended};

/// Status, location, one header and text of a path must be these.
async fn meets(project: &Project<'_>, path: &str, status: u16, header: Option<(&str, &str)>, text: Option<&str>) -> Done {
    let answer = project.answer(path).await?;
    let (got, headers) = (answer.status().as_u16(), answer.headers().clone());
    let body = answer.text().await.unwrap();
    let header_fits = header.is_none_or(|(name, value)| headers.get(name).is_some_and(|v| v.as_bytes() == value.as_bytes()));
    if got == status && header_fits && text.is_none_or(|t| t == body) {
        return Ok(());
    }
    Err(Ended::failed(format!("`{path}` answers {got} `{body}` with {headers:?}, not {status} {header:?} {text:?}")))
}

pub async fn only(at: &Lane<'_>) -> Done {
    let project = at.project(
        json!({"assets": {"directory": "public"}}),
        &[("public/index.html", "<p>home</p>"), ("public/a/b.txt", "deep"), ("public/style.css", "p {}")],
    );
    project.run("deploy").await?;
    meets(&project, "/", 200, Some(("content-type", "text/html; charset=utf-8")), Some("<p>home</p>")).await?;
    meets(&project, "/a/b.txt", 200, None, Some("deep")).await?;
    meets(&project, "/nothing", 404, None, None).await
}

const WORKER: &str = "export default { async fetch(request, env) {
    const path = new URL(request.url).pathname;
    if (path == '/through') return env.ASSETS.fetch(new URL('/file.txt', request.url));
    return new Response('worker ' + path);
} }";

pub async fn with_worker(at: &Lane<'_>) -> Done {
    let config = json!({"main": "index.js", "assets": {"directory": "public", "binding": "ASSETS"}});
    let project = at.project(config, &[("index.js", WORKER), ("public/file.txt", "file")]);
    project.run("deploy").await?;
    meets(&project, "/file.txt", 200, None, Some("file")).await?;
    meets(&project, "/other", 200, None, Some("worker /other")).await?;
    meets(&project, "/through", 200, None, Some("file")).await
}

pub async fn worker_first(at: &Lane<'_>) -> Done {
    let assets = json!({"directory": "public", "binding": "ASSETS", "run_worker_first": ["/api/*", "!/api/docs.txt"]});
    let files = &[("index.js", WORKER), ("public/api/x.txt", "file"), ("public/api/docs.txt", "docs")];
    let project = at.project(json!({"main": "index.js", "assets": assets}), files);
    project.run("deploy").await?;
    meets(&project, "/api/x.txt", 200, None, Some("worker /api/x.txt")).await?;
    meets(&project, "/api/docs.txt", 200, None, Some("docs")).await
}

pub async fn handling(at: &Lane<'_>) -> Done {
    let assets = json!({"directory": "public", "html_handling": "force-trailing-slash", "not_found_handling": "404-page"});
    let project = at.project(json!({"assets": assets}), &[("public/about.html", "about"), ("public/404.html", "gone")]);
    project.run("deploy").await?;
    meets(&project, "/about", 307, Some(("location", "/about/")), None).await?;
    meets(&project, "/about/", 200, None, Some("about")).await?;
    meets(&project, "/nothing", 404, None, Some("gone")).await
}

pub async fn headers(at: &Lane<'_>) -> Done {
    let rules = "/*\n  X-Frame-Options: DENY\n/a/*\n  X-Part: :splat\n  ! X-Frame-Options\n";
    let files = &[("public/index.html", "home"), ("public/a/b.txt", "deep"), ("public/_headers", rules)];
    let project = at.project(json!({"assets": {"directory": "public"}}), files);
    project.run("deploy").await?;
    meets(&project, "/", 200, Some(("x-frame-options", "DENY")), Some("home")).await?;
    meets(&project, "/a/b.txt", 200, Some(("x-part", "b.txt")), Some("deep")).await?;
    let answer = project.answer("/a/b.txt").await?;
    if answer.headers().contains_key("x-frame-options") { Err(Ended::failed("a header was not taken off again")) } else { Ok(()) }
}

pub async fn redirects(at: &Lane<'_>) -> Done {
    let rules = "/old /new 301\n/blog/* /news/:splat\n/user/:id /u?id=:id 308\n/page /about 200\n";
    let files = &[("public/new.html", "new"), ("public/about.html", "about"), ("public/_redirects", rules)];
    let project = at.project(json!({"assets": {"directory": "public"}}), files);
    project.run("deploy").await?;
    meets(&project, "/old", 301, Some(("location", "/new")), None).await?;
    meets(&project, "/blog/2026/x", 302, Some(("location", "/news/2026/x")), None).await?;
    meets(&project, "/user/7", 308, Some(("location", "/u?id=7")), None).await?;
    meets(&project, "/page", 200, None, Some("about")).await
}

pub async fn changed(at: &Lane<'_>) -> Done {
    let files = &[("public/index.html", "one"), ("public/kept.txt", "kept")];
    let project = at.project(json!({"assets": {"directory": "public"}}), files);
    project.run("deploy").await?;
    meets(&project, "/", 200, None, Some("one")).await?;
    project.write("public/index.html", "two");
    let told = project.run("deploy").await?;
    holds(&told, "Uploaded 1 of 1")?;
    meets(&project, "/", 200, None, Some("two")).await?;
    meets(&project, "/kept.txt", 200, None, Some("kept")).await
}
