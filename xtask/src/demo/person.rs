//! Plays the person on the real pages: signs in with the mailed code, reads the one page, accepts.

use std::time::Instant;

use super::browser::{Browser, Page};
use super::form::{self, Form};
use super::mailbox::Mailbox;
use crate::fail::{Failure, Outcome};

const MAX_PAGES: u32 = 8;

#[derive(Debug)]
pub struct Person {
    browser: Browser,
    mailbox: Mailbox,
    address: String,
}

impl Person {
    pub fn new(orchestrator: &str, mailbox: Mailbox, address: &str) -> Self {
        Self { browser: Browser::new(orchestrator), mailbox, address: address.to_owned() }
    }

    /// From the URL that the agent got to the page that asks for a decision.
    pub fn sign_in(&mut self, url: &str, user_code: &str) -> Outcome<Page> {
        let mut page = self.browser.open(url)?;
        for _ in 0..MAX_PAGES {
            let forms = Form::all(&page.body);
            if forms.iter().any(|form| form.button("accept").is_some()) {
                return Ok(page);
            }
            page = if let Some(mut form) = forms.iter().find(|form| form.asks_for("email")).cloned() {
                form.type_in("email", &self.address);
                self.submit(&page, &form)?
            } else if let Some(mut form) = forms.iter().find(|form| form.asks_for("code")).cloned() {
                let code = self.mailbox.code_for(&self.address)?;
                form.type_in("code", &code);
                self.submit(&page, &form)?
            } else if let Some(mut form) = forms.iter().find(|form| form.asks_for("user_code")).cloned() {
                form.type_in("user_code", user_code);
                self.submit(&page, &form)?
            } else {
                return Err(unexpected(&page));
            };
        }
        Err(unexpected(&page))
    }

    /// Presses Accept, the only decision of the story, and says when.
    pub fn accept(&mut self, page: &Page, user_code: &str) -> Outcome<Instant> {
        let forms = Form::all(&page.body);
        let Some(mut form) = forms.into_iter().find(|form| form.button("accept").is_some()) else { return Err(unexpected(page)) };
        form.type_in("user_code", user_code);
        let pressed = Instant::now();
        let after = self.browser.press(page, &form, form.button("accept"))?;
        let asks_again = Form::all(&after.body).iter().any(|form| form.button("accept").is_some());
        if after.status >= 400 || asks_again { Err(unexpected(&after)) } else { Ok(pressed) }
    }

    fn submit(&mut self, page: &Page, form: &Form) -> Outcome<Page> {
        let after = self.browser.press(page, form, form.buttons.first())?;
        if after.status >= 400 { Err(unexpected(&after)) } else { Ok(after) }
    }
}

fn unexpected(page: &Page) -> Failure {
    Failure::new(format!(
        "the page `{}` ({}) is not what the story expects; it says: {}",
        page.url,
        page.status,
        form::readable(&page.body)
    ))
}
