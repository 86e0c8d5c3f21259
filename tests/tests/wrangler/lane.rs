//! A customer that rows of the table run as, one after another.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cloud::{Cloud, Customer, project, run, said};
use crate::outcome::{Done, Ended};

/// What every Worker of the table is written for.
pub const DATE: &str = "2026-04-01";
/// How long a visitor waits for what should be there soon.
const SOON: Duration = Duration::from_secs(10);

pub struct Lane<'a> {
    pub cloud: &'a Cloud,
    pub wrangler: &'a std::path::Path,
    pub customer: Customer,
    pub home: PathBuf,
    /// A name for the row's Worker and whatever else it makes: rows share an account, not their things.
    pub name: String,
}

/// A row's folder.
pub struct Project<'a> {
    lane: &'a Lane<'a>,
    pub at: PathBuf,
}

impl<'a> Lane<'a> {
    /// A project with this configuration on top of the name and the date.
    pub fn project(&'a self, config: Value, files: &[(&str, &str)]) -> Project<'a> {
        let files: Vec<(&str, &[u8])> = files.iter().map(|(path, text)| (*path, text.as_bytes())).collect();
        let mut whole = json!({"name": self.name, "compatibility_date": DATE});
        whole.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
        Project { lane: self, at: project(&self.home, &self.name, &whole, &files) }
    }

    /// A Worker of one module.
    pub fn worker(&'a self, code: &str) -> Project<'a> {
        self.project(json!({"main": "index.js"}), &[("index.js", code)])
    }

    /// A folder without anything of wrangler's in it but the account.
    pub fn bare(&'a self) -> Project<'a> {
        self.project(json!({}), &[])
    }

    /// One call of the API, its result.
    pub async fn api(&self, method: reqwest::Method, path: &str) -> Done<Value> {
        let account = self.customer.variable("CLOUDFLARE_ACCOUNT_ID");
        let url = self.cloud.api.join(&format!("client/v4/accounts/{account}/{path}")).unwrap();
        let call = reqwest::Client::new().request(method, url).bearer_auth(self.customer.variable("CLOUDFLARE_API_TOKEN"));
        let answer: Value = call.send().await.unwrap().json().await.map_err(|e| Ended::failed(format!("`{path}` answers no JSON: {e}")))?;
        if answer["success"] == json!(true) { Ok(answer["result"].clone()) } else { Err(Ended::failed(answer.to_string())) }
    }

    /// Takes away what a row may have left.
    pub async fn clear(&self) {
        drop(self.api(reqwest::Method::DELETE, &format!("workers/scripts/{}?force=true", self.name)).await);
        drop(fs::remove_dir_all(self.home.join(&self.name)));
    }
}

impl Project<'_> {
    /// Runs a command line; words in double quotes are one. What it said when it succeeded.
    pub async fn run(&self, line: &str) -> Done<String> {
        self.run_with(line, "").await
    }

    pub async fn run_with(&self, line: &str, input: &str) -> Done<String> {
        let arguments = words(line);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.run_words(&arguments, input).await
    }

    pub async fn run_words(&self, words: &[&str], input: &str) -> Done<String> {
        let output = run(self.lane.wrangler, &self.at, &self.lane.home, words, &self.lane.customer.variables, input).await;
        let text = said(&output);
        if output.status.success() { Ok(text) } else { Err(Ended::of(&format!("wrangler {}\n{text}", words.join(" ")))) }
    }

    /// Runs a command line whose output must hold a text.
    pub async fn says(&self, line: &str, expected: &str) -> Done<String> {
        let text = self.run(line).await?;
        holds(&text, expected).map(|()| text).map_err(|e| Ended::failed(format!("wrangler {line}\n{e}")))
    }

    /// Runs a command line that must be refused with a code.
    pub async fn refused(&self, line: &str, expected: u32) -> Done<String> {
        match self.run(line).await {
            Err(Ended::Refused { code, sentence }) if code == expected => Ok(sentence),
            Err(other) => Err(Ended::failed(format!("not refused with {expected}: {other}"))),
            Ok(text) => Err(Ended::failed(format!("not refused: wrangler {line}\n{text}"))),
        }
    }

    pub fn write(&self, path: &str, text: &str) {
        fs::write(self.at.join(path), text).unwrap();
    }

    pub fn read(&self, path: &str) -> Done<String> {
        fs::read_to_string(self.at.join(path)).map_err(|e| Ended::failed(format!("`{path}` cannot be read: {e}")))
    }

    /// The Worker's host name below the common domain.
    pub async fn host(&self) -> Done<String> {
        let worker = self.lane.api(reqwest::Method::GET, &format!("workers/workers/{}", self.lane.name)).await?;
        let url = worker["subdomain"]["url"].as_str().unwrap_or_default();
        url.strip_prefix("https://").map(str::to_owned).ok_or_else(|| Ended::failed(format!("no host name in {worker}")))
    }

    pub async fn answer(&self, path: &str) -> Done<reqwest::Response> {
        Ok(self.lane.cloud.answer(&self.host().await?, path).await)
    }

    /// The answer of the Worker must be this, soon.
    pub async fn answers(&self, path: &str, expected: &str) -> Done {
        let (host, begun) = (self.host().await?, Instant::now());
        loop {
            let (status, text) = self.lane.cloud.visit(&host, path).await;
            if text == expected {
                return Ok(());
            }
            if begun.elapsed() > SOON {
                return Err(Ended::failed(format!("`{path}` answers {status} `{text}` and not `{expected}`")));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

pub fn holds(text: &str, expected: &str) -> Done {
    if text.contains(expected) { Ok(()) } else { Err(Ended::failed(format!("`{expected}` is not in:\n{text}"))) }
}

/// The first thing in a text that looks like an id: 32 hexadecimal digits, with or without dashes.
pub fn id_in(text: &str) -> Done<String> {
    let hex = |word: &&str| word.chars().filter(char::is_ascii_hexdigit).count() == 32;
    let words = text.split(|c: char| !(c.is_ascii_hexdigit() || c == '-'));
    words.map(|word| word.trim_matches('-')).find(hex).map(str::to_owned).ok_or_else(|| Ended::failed(format!("no id in:\n{text}")))
}

fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (number, part) in line.split('"').enumerate() {
        match number % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}
