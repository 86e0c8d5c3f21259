//! What a run has learned so far, and what it writes down.

use purser_http::{Fetcher, Origin};
use purser_values::{Secret, Timestamp};
use purser_wire::assertion::IdentityAssertion;
use purser_wire::manifest::{Extension, Manifest};
use serde_json::{Map, Value, json};
use url::Url;

use crate::options::Options;
use crate::probe::{Answer, Exchange, Memory, Probe, Request};
use crate::report::{Check, Level, Report, Verdict};
use crate::table;

/// What a check found out.
#[derive(Debug)]
pub enum Outcome {
    Pass(String),
    /// A lesser part does not hold.
    Warn(String),
    Fail(String),
    Info(String),
    Skip(String),
}

impl Outcome {
    pub fn pass() -> Self {
        Self::Pass(String::new())
    }

    pub fn require(holds: bool, evidence: impl Into<String>) -> Self {
        if holds { Self::pass() } else { Self::Fail(evidence.into()) }
    }

    /// Holds when no fault was found.
    pub fn faultless(faults: &[String]) -> Self {
        Self::require(faults.is_empty(), faults.iter().take(5).cloned().collect::<Vec<_>>().join("; "))
    }
}

/// An account that a run may use.
#[derive(Clone, Debug)]
pub struct Account {
    pub id: String,
    pub access: Secret<String>,
    pub refresh: Option<Secret<String>>,
    pub payment_by: Option<String>,
}

/// What an account request came to.
#[derive(Debug)]
pub enum Opened {
    Code(Secret<String>),
    Tokens(Account),
    Redirect,
    Other(String),
}

#[derive(Debug)]
pub struct World {
    pub probe: Probe,
    pub manifest: Option<Manifest>,
    pub token_url: Url,
    pub run_id: String,
    pub catalog: Vec<Value>,
    pub alpha: Option<Account>,
    pub beta: Option<Account>,
    /// POSTs that carried an unknown field, and whether they worked.
    pub extras: Vec<(&'static str, bool)>,
    /// The resource of account alpha, with the access configuration as it was last given.
    pub resource: Option<(String, Value)>,
    pub redirects: Vec<Value>,
    checks: Vec<Check>,
}

impl World {
    pub async fn start(mut options: Options) -> Result<Self, String> {
        if !options.base_url.path().ends_with('/') {
            let path = format!("{}/", options.base_url.path());
            options.base_url.set_path(&path);
        }
        let named = [Some(&options.base_url), options.token_url.as_ref()];
        // the operator named these addresses, so they may be local
        let allow: Vec<Origin> = named.into_iter().flatten().filter_map(Origin::of).collect();
        let fetcher = Fetcher::new(allow).map_err(|e| e.to_string())?;
        let manifest = read_manifest(&fetcher, &options.base_url).await;
        if let (Some(payment), Some(manifest)) = (&options.payment, &manifest) {
            payment.trust(manifest.keys.iter().filter_map(|key| serde_json::from_value(key.clone()).ok()).collect());
        }
        let from_manifest = manifest.as_ref().map(|m| m.token_url.clone()).filter(|url| Origin::of(url) == Origin::of(&options.base_url));
        let default = || options.base_url.join("oauth/token").ok();
        let token_url = options.token_url.clone().or(from_manifest).or_else(default).ok_or("the base URL cannot carry a path")?;
        let run_id = hex::encode(options.env.bytes::<6>());
        let memory = Memory { secrets: vec![options.secret.clone()], ..Memory::default() };
        Ok(Self {
            probe: Probe { fetcher, options, memory },
            manifest,
            token_url,
            run_id,
            catalog: Vec::new(),
            alpha: None,
            beta: None,
            extras: Vec::new(),
            resource: None,
            redirects: Vec::new(),
            checks: Vec::new(),
        })
    }

    pub fn now(&self) -> Timestamp {
        self.probe.options.env.now()
    }

    pub fn speaks(&self, extension: &Extension) -> bool {
        self.manifest.as_ref().is_some_and(|m| m.speaks(extension))
    }

    /// Writes a finding down under its number.
    pub fn record(&mut self, number: u16, outcome: Outcome) {
        let Some(&(number, level, sentence)) = table::CHECKS.iter().find(|(n, ..)| *n == number) else { return };
        let (verdict, evidence) = match outcome {
            Outcome::Pass(text) if level == Level::I => (Verdict::Info, text),
            Outcome::Pass(text) => (Verdict::Pass, text),
            Outcome::Warn(text) => (Verdict::Warn, text),
            Outcome::Fail(text) => match level {
                Level::M => (Verdict::Fail, text),
                Level::S => (Verdict::Warn, text),
                Level::I => (Verdict::Info, text),
            },
            Outcome::Info(text) => (Verdict::Info, text),
            Outcome::Skip(text) => (Verdict::Skip, text),
        };
        self.checks.push(Check { number, level, sentence, verdict, evidence: purser_wire::text::excerpt(&evidence, 400) });
    }

    pub fn report(mut self, base_url: Url, started_at: Timestamp) -> Report {
        for (number, ..) in table::CHECKS {
            if !self.checks.iter().any(|check| check.number == *number) {
                self.record(*number, Outcome::Skip("an earlier check did not give what this one needs".to_owned()));
            }
        }
        Report::new(base_url, started_at, self.checks)
    }

    /// An address that is new in this run.
    pub fn email(&self, name: &str) -> String {
        format!("{}-{name}@{}", self.run_id, self.probe.options.email_domain)
    }

    /// A well-formed account request.
    pub fn account_body(&mut self, id: &str, email: &str) -> Value {
        let options = &self.probe.options;
        let secret = hex::encode(options.env.bytes::<16>());
        let mut body = json!({
            "id": format!("{}-{id}", self.run_id), "object": "account_request", "email": email, "scopes": [], "client_capabilities": ["browser"],
            "confirmation_secret": secret, "expires_at": Timestamp::from_secs(options.env.now().as_secs() + 600),
            "orchestrator": {"type": "stripe", "stripe": {"account": "acct_conformance", "organization": "org_conformance",
                "organisation": "org_conformance"}},
        });
        if let Some(configuration) = &options.account_configuration {
            body["configuration"] = Value::Object(configuration.clone());
        }
        if let Some(assertion) = self.assertion(email) {
            body["identity_assertion"] = Value::String(assertion);
        }
        self.probe.memory.secrets.push(secret.into());
        body
    }

    /// An identity assertion, when the tester has a key and the provider speaks of them.
    fn assertion(&self, email: &str) -> Option<String> {
        let attestor = self.probe.options.attestor.as_ref()?;
        let manifest = self.manifest.as_ref().filter(|m| m.speaks(&Extension::IdentityAssertion))?;
        let iat = self.now().as_secs();
        let assertion = IdentityAssertion {
            iss: attestor.issuer.to_string(),
            aud: manifest.base_url.to_string(),
            sub: format!("conformance-{}", email.to_ascii_lowercase()),
            email: email.parse().ok()?,
            email_verified: true,
            agent_jkt: None,
            terms: manifest.terms.iter().map(|document| document.sha256).collect(),
            jti: hex::encode(self.probe.options.env.bytes::<16>()),
            iat,
            exp: iat + purser_wire::limits::ASSERTION_LIFE_S,
        };
        assertion.sign(&attestor.key).ok().map(|token| token.expose().clone())
    }

    /// Sends an account request and reads what it came to.
    pub async fn open(&mut self, body: &Value) -> Result<(Answer, Opened), String> {
        let request = self.probe.post("account_requests", body);
        let answer = self.probe.send(&request).await?;
        let opened = self.opened(&answer);
        Ok((answer, opened))
    }

    pub fn opened(&mut self, answer: &Answer) -> Opened {
        match answer.text("/type") {
            "oauth" if !answer.text("/oauth/code").is_empty() => {
                let code = Secret::new(answer.text("/oauth/code").to_owned());
                self.probe.memory.secrets.push(code.clone());
                Opened::Code(code)
            }
            "credentials" => match self.account(&answer.json["credentials"]["bearer"]) {
                Some(account) => Opened::Tokens(account),
                None => Opened::Other("`credentials.bearer` without token or account".to_owned()),
            },
            "requires_auth" => {
                self.redirects.push(answer.json["requires_auth"].clone());
                Opened::Redirect
            }
            _ => Opened::Other(answer.brief()),
        }
    }

    /// Reads the token set of an answer and remembers its secrets.
    pub fn account(&mut self, bearer: &Value) -> Option<Account> {
        let part = |name: &str| bearer[name].as_str().filter(|t| !t.is_empty()).map(|t| Secret::new(t.to_owned()));
        let (access, refresh) = (part("access_token")?, part("refresh_token"));
        self.probe.memory.secrets.extend([Some(access.clone()), refresh.clone()].into_iter().flatten());
        Some(Account {
            id: bearer["account"]["id"].as_str().unwrap_or_default().to_owned(),
            access,
            refresh,
            payment_by: bearer["account"]["payment_credentials"].as_str().map(str::to_owned),
        })
    }

    /// A request to the token endpoint.
    pub fn form(&self, fields: &[(&str, &str)]) -> Request {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields);
        Request {
            url: self.token_url.clone(),
            body: form.finish().into_bytes(),
            form: true,
            version: None,
            ..self.probe.request(http::Method::POST, "")
        }
    }

    pub async fn redeem(&mut self, code: &Secret<String>) -> Exchange {
        let request = self.form(&[("grant_type", "authorization_code"), ("code", code.expose())]);
        self.probe.send(&request).await
    }

    /// The account behind what an account request came to.
    pub async fn settle(&mut self, opened: Opened) -> Result<Account, String> {
        match opened {
            Opened::Tokens(account) => Ok(account),
            Opened::Code(code) => {
                let answer = self.redeem(&code).await?;
                self.account(&answer.json).ok_or_else(|| format!("the code was not redeemed: {}", answer.brief()))
            }
            Opened::Redirect => Err("a person has to agree first".to_owned()),
            Opened::Other(why) => Err(why),
        }
    }

    /// A request with a bearer token.
    pub fn authorized(&self, mut request: Request, account: &Account) -> Request {
        request.bearer = Some(account.access.clone());
        request
    }

    pub fn create_body(&self, service: &str, configuration: &Map<String, Value>, name: &str) -> Value {
        json!({
            "service_id": service, "configuration": configuration, "project_id": format!("prj-{}", self.run_id),
            "orchestrator_resource_id": format!("{}-{name}", self.run_id), "environment": "dev",
        })
    }
}

async fn read_manifest(fetcher: &Fetcher, base_url: &Url) -> Option<Manifest> {
    let url = base_url.join(&format!("/{}", purser_wire::manifest::PATH)).ok()?;
    let answer = fetcher.get(&url, http::HeaderMap::new()).await.ok()?;
    serde_json::from_slice(&answer.body).ok()
}
