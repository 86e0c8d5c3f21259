//! A person: an address, a mailbox, and a browser on the real pages.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::browser::{Browser, Page};
use crate::form::{Form, Kind};
use crate::processes::until;
use crate::system::System;

/// What the person changes on the consent page before accepting.
#[derive(Clone, Debug)]
pub struct Choice {
    /// The last four digits of a sandbox card, while none is on file.
    pub card: Option<&'static str>,
    pub cap: Option<String>,
}

impl Choice {
    pub const USUAL: Self = Self { card: None, cap: None };
}

#[derive(Debug)]
pub struct Person {
    pub email: String,
    pub browser: Browser,
    mail: PathBuf,
    /// The codes that were mailed, to look for later where they must not be.
    pub codes: Vec<String>,
}

impl Person {
    #[must_use]
    pub fn new(system: &System, name: &str) -> Self {
        Self::at(&system.run.orchestrator.url, &system.run.mail, name)
    }

    /// A person at any orchestrator whose mailbox is a folder.
    #[must_use]
    pub fn at(url: &str, mail: &Path, name: &str) -> Self {
        Self { email: format!("{name}@example.test"), browser: Browser::new(url), mail: mail.to_owned(), codes: Vec::new() }
    }

    /// Opens a page; where it asks to sign in, does that first.
    pub async fn open(&mut self, path: &str) -> Page {
        let page = self.browser.open(path).await;
        if page.path.starts_with("/sign-in") { self.sign_in(&page).await } else { page }
    }

    async fn sign_in(&mut self, page: &Page) -> Page {
        let before = self.mails().len();
        let mut form = page.form("/sign-in");
        form.type_in("email", &self.email);
        let page = self.browser.press(&form, "").await;
        let code = self.code(before).await;
        let mut form = page.form("/sign-in/code");
        form.type_in("code", &code);
        self.codes.push(code);
        let page = self.browser.press(&form, "").await;
        assert_eq!(page.status, 200, "sign-in: {}", page.text());
        page
    }

    /// The sign-in code in the first mail after the `before` oldest.
    pub async fn code(&self, before: usize) -> String {
        until("a sign-in code", Duration::from_secs(20), async || self.mails().iter().skip(before).rev().find_map(|mail| six_digits(mail)))
            .await
    }

    /// The mails to this person, oldest first.
    #[must_use]
    pub fn mails(&self) -> Vec<String> {
        let mut files: Vec<PathBuf> = fs::read_dir(&self.mail).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        files.retain(|file| file.extension().is_some_and(|it| it == "eml"));
        files.sort_by_key(|file| fs::metadata(file).and_then(|found| found.modified()).ok());
        let mails = files.iter().filter_map(|file| fs::read_to_string(file).ok());
        let mails = mails.map(|mail| if mail.contains("Content-Transfer-Encoding: quoted-printable") { plain(&mail) } else { mail });
        mails.filter(|mail| mail.lines().any(|line| line.starts_with("To:") && line.contains(&self.email))).collect()
    }

    /// Reads the consent page of a request and accepts it.
    pub async fn accept(&mut self, url: &str, choice: &Choice) -> Page {
        let page = self.open(&path_of(url)).await;
        let mut form = page.form("/device");
        if let Some(cap) = &choice.cap {
            form.type_in("cap", cap);
        }
        if let Some(card) = choice.card {
            choose(&mut form, "card", card);
        }
        let page = self.browser.press(&form, "accept").await;
        assert!(page.path.starts_with("/device/done"), "accepting: {} {}", page.path, page.text());
        page
    }

    /// Sets the agent's cap at a provider (at all others, when `provider` is empty).
    pub async fn set_cap(&mut self, agent: &str, provider: &str, amount: &str) -> Page {
        let page = self.open("/limits").await;
        let has = |form: &Form, name: &str, value: &str| form.fields.iter().any(|field| field.name == name && field.value == value);
        let form = Form::all(&page.body).into_iter().find(|form| has(form, "agent", agent) && has(form, "provider", provider));
        let mut form = form.unwrap_or_else(|| panic!("no limit of {agent} at `{provider}` can be set: {}", page.text()));
        form.type_in("amount", amount);
        self.browser.press(&form, "").await
    }

    /// Puts a sandbox card on file; the newest pays.
    pub async fn put_card(&mut self, last4: &str) -> Page {
        let page = self.open("/card").await;
        let page = self.browser.press(&page.form("/card"), "").await;
        let mut form = page.form(&page.path);
        choose(&mut form, "card", last4);
        self.browser.press(&form, "").await
    }

    pub async fn thaw(&mut self, agent: &str) -> Page {
        let page = self.open("/agents").await;
        self.browser.press(&page.form(&format!("/agents/{agent}/thaw")), "").await
    }
}

fn choose(form: &mut Form, name: &str, value: &str) {
    let field = form.fields.iter_mut().find(|field| field.name == name && field.kind == Kind::Ticked);
    value.clone_into(&mut field.unwrap_or_else(|| panic!("there is no choice of `{name}`")).value);
}

/// Path and query of a URL.
fn path_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').map_or_else(|| "/".to_owned(), |at| rest[at..].to_owned())
}

fn six_digits(mail: &str) -> Option<String> {
    let mail = mail.replace("\r\n", "\n");
    let body = mail.split_once("\n\n")?.1;
    let mut words = body.split(|c: char| !c.is_ascii_alphanumeric());
    words.find(|word| word.len() == 6 && word.bytes().all(|byte| byte.is_ascii_digit())).map(str::to_owned)
}

/// The link in the newest mail that has one to a path.
#[must_use]
pub fn link_in(mail: &str, path: &str) -> Option<String> {
    let word = mail.split_whitespace().find(|word| word.contains(path))?;
    Some(path_of(word))
}

/// A quoted-printable mail as a person reads it: long lines in one piece again. All our mails are plain ASCII otherwise.
fn plain(mail: &str) -> String {
    mail.replace("=\r\n", "").replace("=\n", "").replace("=3D", "=")
}
