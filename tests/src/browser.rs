//! A browser without JavaScript: keeps cookies, follows redirects within one origin, and sends the forms of the pages it got.

use std::collections::BTreeMap;

use reqwest::header::{CONTENT_TYPE, COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::{Client, Method};

use crate::form::Form;

/// An HTTP client for this machine: no proxy, no redirects, no certificates.
#[must_use]
pub fn client() -> Client {
    let here = std::net::SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, 0));
    let builder = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).tls_certs_only([]);
    builder.resolve("localhost", here).timeout(std::time::Duration::from_secs(40)).build().unwrap()
}

#[derive(Clone, Debug)]
pub struct Page {
    pub status: u16,
    pub path: String,
    pub body: String,
}

impl Page {
    /// The form that is sent to a path, or panics with what the page says instead.
    #[must_use]
    pub fn form(&self, action: &str) -> Form {
        let found = Form::all(&self.body).into_iter().find(|form| form.action == action);
        found.unwrap_or_else(|| panic!("`{}` has no form for `{action}`: {} {}", self.path, self.status, self.text()))
    }

    #[must_use]
    pub fn text(&self) -> String {
        crate::form::readable(&self.body)
    }
}

#[derive(Clone, Debug)]
pub struct Browser {
    http: Client,
    pub origin: String,
    /// Where else a redirect may lead: the browser stops there, and the page's path is the whole address.
    pub leaves_to: Option<String>,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    #[must_use]
    pub fn new(origin: &str) -> Self {
        Self { http: client(), origin: origin.to_owned(), leaves_to: None, cookies: BTreeMap::new() }
    }

    /// The cookies as they are sent.
    #[must_use]
    pub fn cookies(&self) -> String {
        self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    pub async fn open(&mut self, path: &str) -> Page {
        self.go(Method::GET, path, None).await
    }

    /// Presses a button of a form (any submit, when the form has only unnamed ones).
    pub async fn press(&mut self, form: &Form, button: &str) -> Page {
        let body = form.body(form.button(button));
        self.go(Method::POST, &form.action, Some(body)).await
    }

    /// Sends a form body as it is, with the cookies that there are.
    pub async fn post(&mut self, path: &str, body: &str) -> Page {
        self.go(Method::POST, path, Some(body.to_owned())).await
    }

    async fn go(&mut self, method: Method, path: &str, body: Option<String>) -> Page {
        let (mut method, mut path, mut body) = (method, path.to_owned(), body);
        for _ in 0..10 {
            let mut request = self.http.request(method.clone(), format!("{}{path}", self.origin));
            let cookies = self.cookies();
            if !cookies.is_empty() {
                request = request.header(COOKIE, cookies);
            }
            if let Some(body) = body.take() {
                request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").header(ORIGIN, &self.origin).body(body);
            }
            let answer = request.send().await.unwrap();
            for cookie in answer.headers().get_all(SET_COOKIE) {
                let pair = cookie.to_str().unwrap().split(';').next().unwrap();
                let (name, value) = pair.split_once('=').unwrap();
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
            let status = answer.status();
            let Some(to) = answer.headers().get(LOCATION).filter(|_| status.is_redirection()) else {
                return Page { status: status.as_u16(), path, body: answer.text().await.unwrap() };
            };
            let to = to.to_str().unwrap();
            if self.leaves_to.as_deref().is_some_and(|away| to.starts_with(away)) {
                return Page { status: status.as_u16(), path: to.to_owned(), body: String::new() };
            }
            path = to.strip_prefix(&self.origin).unwrap_or(to).to_owned();
            assert!(path.starts_with('/') && !path.starts_with("//"), "a redirect leads away, to `{to}`");
            method = Method::GET;
        }
        panic!("too many redirects at `{path}`");
    }
}
