//! Where a command runs: folder, flags, clock, and which orchestrator it talks to.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};

use purser_values::Env;
use purser_values::error::Kind;
use purser_values::name::EnvironmentName;
use url::Url;

use crate::api::{Api, Signer};
use crate::arguments::Global;
use crate::home::{Home, decode_key};
use crate::operation::Who;
use crate::outcome::{self, Failure, Meta, Success};
use crate::project::Project;
use crate::screen;

pub const PERSON_TOKEN: &str = "PURSER_PERSON_TOKEN";
pub const PERSON_KEY: &str = "PURSER_PERSON_KEY";

#[derive(Debug)]
pub struct Context {
    pub env: Env,
    pub global: Global,
    pub folder: PathBuf,
    pub profile: RefCell<Option<String>>,
    /// The words of the command, as the envelope names it.
    pub words: &'static str,
    /// Whether the one envelope has been printed, by a command that goes on.
    pub announced: Cell<bool>,
    /// Whether whoever reads our stderr reads JSON, one object a line.
    pub logs_json: Cell<bool>,
}

impl Context {
    #[must_use]
    pub fn new(words: &'static str, global: Global) -> Self {
        let folder = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
        Self {
            env: Env::system(),
            global,
            folder,
            profile: RefCell::new(None),
            words,
            announced: Cell::new(false),
            logs_json: Cell::new(false),
        }
    }

    /// # Errors
    /// When the environment names no home.
    pub fn home(&self) -> Result<Home, Failure> {
        Ok(Home::locate()?)
    }

    /// # Errors
    /// `PROJECT_NOT_INITIALIZED`, or an unusable state file.
    pub fn project(&self) -> Result<Project, Failure> {
        let mut project = Project::find(&self.folder)?;
        if let Some(name) = &self.global.environment {
            project.state.environment = name.parse::<EnvironmentName>().map_err(|e| Failure::invalid(e.to_string()))?;
        }
        Ok(project)
    }

    /// The orchestrator: `--url`, else the system that `--data` names, else the session's, else the last one used, else the
    /// system of this machine's usual data folder.
    ///
    /// # Errors
    /// `ORCHESTRATOR_UNKNOWN` when none is named, `ORCHESTRATOR_URL` when the one named is not usable.
    pub fn orchestrator(&self) -> Result<Url, Failure> {
        if let Some(text) = self.global.url.as_ref().filter(|text| !text.is_empty()) {
            return origin(text);
        }
        if let Some(dir) = &self.global.data {
            return running(dir).and_then(|text| origin(&text));
        }
        let home = self.home()?;
        if let Some(session) = home.session()? {
            return origin(&session.url);
        }
        if let Some(text) = home.url()? {
            return origin(&text);
        }
        let usual = crate::up::usual_folder();
        usual.and_then(|dir| running(&dir).ok()).map_or_else(
            || {
                Err(Failure::new(Kind::Invalid, "ORCHESTRATOR_UNKNOWN", "no orchestrator is named")
                    .hint("pass `--url URL` or set PURSER_URL; `purser up` starts one on this machine"))
            },
            |text| origin(&text),
        )
    }

    /// The environment that was typed with this command; the one that is set for the whole terminal does not count.
    #[must_use]
    pub fn typed_environment(&self) -> Option<&str> {
        let set = std::env::var("PURSER_ENVIRONMENT").ok();
        self.global.environment.as_deref().filter(|typed| set.as_deref() != Some(*typed))
    }

    /// A client that signs as the one the operation is for.
    ///
    /// # Errors
    /// `NOT_AUTHENTICATED` when there is no session or token to sign with.
    pub fn api(&self, who: Who) -> Result<Api<'_>, Failure> {
        let signer = match who {
            Who::Agent => self.agent()?,
            Who::Person => self.person()?,
            Who::Either => self.person().or_else(|_| self.agent())?,
            Who::Machine => return Err(Failure::new(Kind::Internal, "INTERNAL", "this command has nobody to sign as")),
        };
        Api::new(self, self.orchestrator()?, signer)
    }

    fn agent(&self) -> Result<Signer, Failure> {
        let home = self.home()?;
        let missing = || {
            Failure::new(Kind::Unauthenticated, "NOT_AUTHENTICATED", "this agent has no grant yet")
                .hint("run `purser login` and give the URL it prints to the person")
                .next("purser login")
        };
        let session = home.session()?.ok_or_else(missing)?;
        let url = self.orchestrator()?;
        if origin(&session.url)? != url {
            let message = format!("the grant in `{}` is for {}, not for {}", home.dir().display(), session.url, address(&url));
            return Err(Failure::new(Kind::Unauthenticated, "NOT_AUTHENTICATED", message)
                .hint("run `purser login` for that orchestrator, or use another PURSER_HOME for it"));
        }
        *self.profile.borrow_mut() = session.profile.clone();
        let key = home.key(&self.env)?;
        Ok(Signer::Agent { home, key, session: RefCell::new(session) })
    }

    fn person(&self) -> Result<Signer, Failure> {
        let read = |name| std::env::var(name).ok().filter(|v| !v.is_empty());
        let missing = || {
            Failure::new(Kind::NeedsPerson, "BROWSER_AUTH_REQUIRED", "this command is for a person, who is not signed in here")
                .hint("the person runs `eval \"$(purser login --person)\"`; the token lasts ten minutes and is never on disk")
        };
        let (Some(token), Some(key)) = (read(PERSON_TOKEN), read(PERSON_KEY)) else { return Err(missing()) };
        let key = decode_key(&key).ok_or_else(missing)?;
        Ok(Signer::Person { token: token.into(), key })
    }

    /// # Errors
    /// When the answer is no, or there is nobody to ask and no `--yes`.
    pub fn confirm(&self, question: &str) -> Result<(), Failure> {
        if self.global.yes {
            return Ok(());
        }
        if self.global.json || self.global.non_interactive || !screen::can_ask() {
            return Err(Failure::new(Kind::Invalid, "JSON_REQUIRES_CONFIRMATION", format!("nobody can be asked: {question}"))
                .hint("repeat the command with `--yes`"));
        }
        if screen::confirm(question) {
            return Ok(());
        }
        Err(Failure::new(Kind::Invalid, "NOT_CONFIRMED", "nothing was changed"))
    }

    /// The key under which a change is made once, however often it is sent.
    #[must_use]
    pub fn idempotency_key(&self) -> String {
        let fresh = || self.env.bytes::<16>().iter().map(|b| format!("{b:02x}")).collect();
        self.global.idempotency_key.clone().unwrap_or_else(fresh)
    }

    /// Prints the result now, for a command that stays.
    pub fn announce(&self, success: &Success) {
        if self.global.json {
            let outcome = Ok(success.clone());
            screen::result(&outcome::envelope(self.words, &outcome, &self.meta()));
        } else {
            crate::entry::success(success);
        }
        self.announced.set(true);
    }

    #[must_use]
    pub fn meta(&self) -> Meta {
        let session = self.home().ok().and_then(|home| home.session().ok().flatten());
        let person = std::env::var_os(PERSON_TOKEN).is_some();
        let profile = self.profile.borrow().clone().or_else(|| session.as_ref().and_then(|s| s.profile.clone()));
        Meta { authenticated: session.is_some() || person, project_initialized: Project::find(&self.folder).is_ok(), profile }
    }
}

/// The address as people write it: without the slash.
#[must_use]
pub fn address(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

/// An orchestrator's address: scheme, host and port. Plain HTTP is for this machine only.
///
/// # Errors
/// `ORCHESTRATOR_URL`.
pub fn origin(text: &str) -> Result<Url, Failure> {
    let refuse = |why: &str| {
        Failure::new(Kind::Invalid, "ORCHESTRATOR_URL", format!("`{text}` is no address of an orchestrator: {why}"))
            .hint("it looks like `https://purser.example.com` or `http://localhost:7310`")
    };
    let url = Url::parse(text).map_err(|e| refuse(&e.to_string()))?;
    let local = is_local(&url);
    match url.scheme() {
        "https" => {}
        "http" if local => {}
        "http" => return Err(refuse("plain HTTP would show every token on the way")),
        _ => return Err(refuse("it needs `https://`")),
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() || url.path() != "/" {
        return Err(refuse("it is more than scheme, host and port"));
    }
    Ok(url)
}

/// Whether the address is on this machine by its very text.
#[must_use]
pub fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn running(dir: &Path) -> Result<String, Failure> {
    let run = crate::up::read_run(dir)?;
    let missing = || {
        Failure::new(Kind::Unavailable, "NOT_RUNNING", format!("nothing runs on `{}`", dir.display()))
            .hint(format!("start it with `purser up --data {}`", dir.display()))
    };
    run.map(|run| run.orchestrator.url).ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_do_not_travel_in_the_open() {
        for good in ["https://purser.example.com", "http://localhost:7310", "http://127.0.0.1:1/", "http://[::1]:1"] {
            assert!(origin(good).is_ok(), "`{good}` was refused");
        }
        for bad in [
            "http://example.com",
            "http://localhost.example.com",
            "http://10.0.0.1",
            "https://u:p@x.test",
            "https://x.test/a",
            "ftp://x",
            "x",
            "",
        ] {
            assert!(origin(bad).is_err(), "`{bad}` was taken");
        }
    }
}
