//! `POST /abuse`: anybody tells us of abuse, as a form or as a report in the shape of XARF 4, and gets a reference.
//!
//! Whoever asks is not believed and nothing is stopped by a report alone. What it says is sealed, and never appears in a log or an event.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::response::{Html, IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use purser_http::Problem;
use purser_values::{Env, Sha256Digest};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::store::{Report, report_counts, report_put};
use crate::cloud::{Cloud, Shared};

/// Largest report, its evidence included, in bytes.
pub const REPORT_BYTES: usize = 512 * 1024;
/// Reports of one network (an IPv4 address, an IPv6 /64) in an hour.
const PER_PEER_HOUR: i64 = 30;
/// Reports of all in an hour, before the desk listens less closely: from then on each network has one report, of a few lines.
const PER_HOUR: i64 = 3_000;
const SHORT_BYTES: usize = 16 * 1024;
/// Reports of all in an hour. What is kept of one hour is at most [`PER_HOUR`] large reports and the rest short.
const MOST_PER_HOUR: i64 = 30_000;
/// The classes of XARF 4.
const CATEGORIES: [&str; 7] = ["messaging", "connection", "content", "infrastructure", "copyright", "vulnerability", "reputation"];
/// Characters of a reference, from an alphabet without what is easily misread.
const REFERENCE_CHARS: usize = 12;
const ALPHABET: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";

const PAGE: &str = "<!doctype html>
<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>Report abuse</title>
<link rel=\"stylesheet\" href=\"/style.css\"></head>
<body><main><h1>Report abuse</h1>
<p>Tell us of phishing, malware or other abuse that is hosted here. You get a reference number. Programs send a report in the shape of
XARF 4 as <code>application/json</code> to this same address.</p>
<form method=\"post\" action=\"/abuse\">
<p><label for=\"url\">Address of the page</label><br><input id=\"url\" name=\"url\" type=\"url\" required></p>
<p><label for=\"type\">What it is</label><br><select id=\"type\" name=\"type\"><option>phishing</option><option>malware</option><option>fraud</option><option>other</option></select></p>
<p><label for=\"contact\">Your mail address, if we may ask back</label><br><input id=\"contact\" name=\"contact\" type=\"email\"></p>
<p><label for=\"description\">What we should know</label><br><textarea id=\"description\" name=\"description\" rows=\"6\"></textarea></p>
<p><button>Send</button></p></form></main></body></html>
";

#[derive(Deserialize)]
struct Form {
    url: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    contact: String,
    #[serde(default)]
    description: String,
}

/// A report in the shape of XARF 4, as far as we read it; the whole of it is kept.
#[derive(Deserialize)]
struct Xarf {
    xarf_version: String,
    report_id: String,
    timestamp: String,
    category: String,
    #[serde(rename = "type")]
    kind: String,
    reporter: Party,
    #[serde(default)]
    source_identifier: String,
    #[serde(default)]
    url: Option<String>,
}

#[derive(Deserialize)]
struct Party {
    contact: String,
}

/// What a report is about.
#[derive(Debug)]
struct Read {
    kind: String,
    target: String,
    host: String,
    whole: Value,
}

/// A reference: sixty random bits.
#[must_use]
pub fn reference(env: &Env) -> String {
    let bytes: [u8; REFERENCE_CHARS] = env.bytes();
    let text: String = bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect();
    format!("AB-{}-{}-{}", &text[..4], &text[4..8], &text[8..])
}

pub async fn page() -> Html<&'static str> {
    Html(PAGE)
}

pub async fn post(
    State(cloud): State<Shared>,
    connection: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let is_json = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).is_some_and(|kind| kind.starts_with("application/json"));
    let read =
        if is_json { xarf(&body) } else { form(&body) }.map_err(|why| Problem::new(StatusCode::BAD_REQUEST, "report_invalid", why))?;
    let peer = connection.map(|Extension(ConnectInfo(address))| cloud.proxies.client(address.ip(), &headers));
    let kept = keep(&cloud, peer, read).await?;
    if is_json {
        return Ok((StatusCode::ACCEPTED, axum::Json(json!({"reference": kept, "status": "received"}))).into_response());
    }
    let page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Thank you</title><link rel=\"stylesheet\" href=\"/style.css\"></head>\
         <body><main><h1>Thank you</h1><p>Your report is here. Its reference is <strong>{kept}</strong>.</p></main></body></html>\n"
    );
    Ok((StatusCode::ACCEPTED, Html(page)).into_response())
}

async fn keep(cloud: &Cloud, peer: Option<IpAddr>, read: Read) -> Result<String, Problem> {
    let failed = |e: &dyn std::error::Error| {
        tracing::error!(error = %e, "a report of abuse was not kept");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "the report could not be kept; send it again")
    };
    let now = cloud.env.now();
    let name = reference(&cloud.env);
    let sealed = cloud.keyring.seal(&cloud.env, &format!("abuse/{name}"), read.whole.to_string().as_bytes()).map_err(|e| failed(&e))?;
    // the day is part of it: a site that comes back is reported again
    // who says it is part of it, too: a reference is told to whoever got it first, and to nobody who says the same
    let peer = peer.map_or_else(String::new, |ip| Sha256Digest::of(format!("{}{}", cloud.public_url, network(ip)).as_bytes()).to_string());
    let said = format!("{peer}\n{}\n{}\n{}\n{}", read.kind, read.target, now.as_secs() / 86_400, read.whole["report_id"]);
    let is_short = sealed.len() <= SHORT_BYTES;
    let report = Report {
        reference: name,
        received_at: now,
        peer,
        kind: read.kind,
        host: read.host,
        digest: Sha256Digest::of(said.as_bytes()).to_string(),
        sealed,
    };
    let kept = cloud.db.write(move |tx| -> Result<Option<String>, purser_db::DbError> {
        let (of_peer, of_all) = report_counts(tx, &report.peer, now.plus_secs(-3_600))?;
        if !listens(of_peer, of_all, is_short) {
            return Ok(None);
        }
        report_put(tx, &report).map(Some)
    });
    let too_many =
        || Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", "too many reports came from there lately; send one for all of it");
    let kept = kept.await.map_err(|e| failed(&e))?.ok_or_else(too_many)?;
    tracing::warn!(reference = kept, "abuse was reported");
    Ok(kept)
}

/// Whether one more report is kept. Many that shout do not keep a stranger from being heard.
const fn listens(of_peer: i64, of_all: i64, is_short: bool) -> bool {
    if of_all < PER_HOUR { of_peer < PER_PEER_HOUR } else { of_all < MOST_PER_HOUR && of_peer == 0 && is_short }
}

/// What one sender can choose freely counts as one: the lower half of an IPv6 address.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

fn form(body: &[u8]) -> Result<Read, String> {
    let form: Form = serde_urlencoded::from_bytes(body).map_err(|_| "the form needs `url` and `type`".to_owned())?;
    let whole = json!({"url": form.url, "type": form.kind, "reporter": {"contact": form.contact}, "description": form.description});
    Ok(Read { host: host_of(&form.url)?, target: form.url, kind: short(&form.kind), whole })
}

fn xarf(body: &[u8]) -> Result<Read, String> {
    let whole: Value = serde_json::from_slice(body).map_err(|_| "the body is not JSON".to_owned())?;
    let report = Xarf::deserialize(&whole).map_err(|e| format!("the report is not in the shape of XARF 4: {e}"))?;
    if !report.xarf_version.starts_with("4.") {
        return Err("`xarf_version` must be 4".to_owned());
    }
    if !CATEGORIES.contains(&report.category.as_str()) {
        return Err(format!("`category` must be one of {}", CATEGORIES.join(", ")));
    }
    let filled = [&report.report_id, &report.timestamp, &report.kind, &report.reporter.contact];
    if filled.iter().any(|text| text.trim().is_empty()) {
        return Err("`report_id`, `timestamp`, `type` and `reporter.contact` must say something".to_owned());
    }
    let target = report.url.unwrap_or(report.source_identifier);
    let host = if target.contains("://") { host_of(&target)? } else { host_of(&format!("https://{target}/"))? };
    Ok(Read { kind: short(&format!("{}/{}", report.category, report.kind)), target, host, whole })
}

fn host_of(target: &str) -> Result<String, String> {
    let url = Url::parse(target).map_err(|_| "the address that the report is about must be a URL".to_owned())?;
    url.host_str()
        .filter(|host| !host.is_empty())
        .map(str::to_lowercase)
        .ok_or_else(|| "the address that the report is about names no host".to_owned())
}

fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_that_shout_do_not_keep_a_stranger_from_being_heard() {
        assert!(listens(PER_PEER_HOUR - 1, 0, false) && !listens(PER_PEER_HOUR, 0, false));
        assert!(listens(0, PER_HOUR, true), "a hundred networks muted the desk");
        assert!(!listens(1, PER_HOUR, true) && !listens(0, PER_HOUR, false) && !listens(0, MOST_PER_HOUR, true));
        let of = |ip: &str| network(ip.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }

    fn sample() -> Value {
        json!({
            "xarf_version": "4.0.0", "report_id": "550e8400-e29b-41d4-a716-446655440000", "timestamp": "2026-11-23T12:00:00Z",
            "reporter": {"org": "CERT", "contact": "abuse@cert.test", "domain": "cert.test"},
            "sender": {"org": "CERT", "contact": "abuse@cert.test", "domain": "cert.test"},
            "source_identifier": "192.0.2.7", "category": "content", "type": "phishing", "url": "https://Shop.test/login"
        })
    }

    #[test]
    fn a_report_in_the_shape_of_xarf_4_is_read_and_others_are_refused_with_a_reason() {
        let read = xarf(sample().to_string().as_bytes()).unwrap();
        assert_eq!((read.kind.as_str(), read.host.as_str()), ("content/phishing", "shop.test"));
        let mut bare = sample();
        bare.as_object_mut().unwrap().remove("url");
        assert_eq!(xarf(bare.to_string().as_bytes()).unwrap().host, "192.0.2.7");
        for (key, wrong) in [
            ("xarf_version", json!("3")),
            ("category", json!("spam")),
            ("type", json!("")),
            ("reporter", json!({})),
            ("url", json!("file:///x")),
        ] {
            let mut bad = sample();
            bad[key] = wrong;
            bad["source_identifier"] = json!("");
            assert!(xarf(bad.to_string().as_bytes()).is_err(), "`{key}` was taken");
        }
        assert!(form(b"url=https%3A%2F%2Fshop.test%2F&type=phishing").is_ok() && form(b"type=phishing").is_err());
    }
}
