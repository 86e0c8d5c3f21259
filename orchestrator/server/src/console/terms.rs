//! `/terms`: the texts that were accepted, those that have changed since, and accepting these.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderValue, header};
use purser_authority::action::{TermsAccept, TermsRead};
use purser_authority::{Attempt, Facts, authorise};
use purser_db::Tx;
use purser_identity::consent::TermsSeen;
use purser_identity::person;
use purser_identity::terms::{
    ExportError, ProviderTerms, TermsError, TermsStanding, terms_accept, terms_body, terms_export, terms_in_force, terms_ledger,
};
use purser_provisioning::perform;
use purser_values::Sha256Digest;
use purser_values::id::OrganisationId;
use purser_values::name::ProviderName;
use serde::Deserialize;
use similar::{ChangeTag, TextDiff};

use super::failure::PageError;
use super::form::SignedForm;
use super::page::{Page, PageContext};
use super::session::SignedIn;
use crate::front::Front;

/// Longest text whose changes are shown line by line, in bytes, and most lines shown.
const DIFF_BYTES: usize = 200_000;
const DIFF_LINES: usize = 400;

#[derive(Template)]
#[template(path = "terms.html")]
pub struct Terms {
    ctx: PageContext,
    providers: Vec<ProviderView>,
}

struct ProviderView {
    name: String,
    open: bool,
    seen: String,
    documents: Vec<DocumentView>,
}

struct DocumentView {
    title: String,
    url: String,
    version: String,
    sha256: String,
    /// Who accepted it, when and how.
    accepted: Option<String>,
    /// The digest of the text that was accepted before.
    before: Option<String>,
    lines: Vec<LineView>,
}

struct LineView {
    mark: &'static str,
    text: String,
}

pub async fn get(State(front): State<Front>, SignedIn(session): SignedIn) -> Result<Page<Terms>, PageError> {
    let caller = session.caller();
    let permit = authorise::<TermsRead>(&caller, &Facts::new(front.realm.env.now(), "terms"))?;
    let organisation = session.member.organisation.id.clone();
    let read = move |tx: &mut Tx<'_>| -> Result<Vec<ProviderView>, TermsError> {
        terms_ledger(tx, &permit)?.iter().map(|one| provider(tx, &organisation, one)).collect()
    };
    let providers = front.core.db.read(read).await?;
    Ok(Page::ok(Terms { ctx: PageContext::of(&front, &session, "Terms"), providers }))
}

fn provider(tx: &mut Tx<'_>, organisation: &OrganisationId, one: &ProviderTerms) -> Result<ProviderView, TermsError> {
    let documents = one.documents.iter().map(|standing| document(tx, organisation, standing)).collect::<Result<_, _>>()?;
    let seen: Vec<&TermsSeen> = one.documents.iter().map(|standing| &standing.document).collect();
    Ok(ProviderView { name: one.provider.to_string(), open: one.is_open(), seen: seen_digest(&seen).to_string(), documents })
}

fn document(tx: &mut Tx<'_>, organisation: &OrganisationId, standing: &TermsStanding) -> Result<DocumentView, TermsError> {
    let TermsStanding { document, accepted, before } = standing;
    let accepted = match accepted {
        Some(a) => {
            let who = person::member(tx, organisation, &a.person)?.map_or_else(|| a.person.to_string(), |m| m.person.email.to_string());
            Some(format!("{who}, {}, on the {}", a.accepted_at.for_people(), a.method))
        }
        None => None,
    };
    let lines = match before {
        Some(old) => changes(terms_body(tx, &old.sha256)?, terms_body(tx, &document.sha256)?),
        None => Vec::new(),
    };
    Ok(DocumentView {
        title: document.title.clone(),
        url: document.url.clone(),
        version: document.version.clone(),
        sha256: document.sha256.to_string(),
        accepted,
        before: before.as_ref().map(|a| a.sha256.to_string()),
        lines,
    })
}

/// The lines that went and those that came. Nothing for what is no text, or too long: both copies can be read.
fn changes(old: Option<Vec<u8>>, new: Option<Vec<u8>>) -> Vec<LineView> {
    let text = |bytes: Option<Vec<u8>>| bytes.filter(|b| b.len() <= DIFF_BYTES).and_then(|b| String::from_utf8(b).ok());
    let (Some(old), Some(new)) = (text(old), text(new)) else { return Vec::new() };
    let diff = TextDiff::from_lines(&old, &new);
    let line = |change: similar::Change<&str>| {
        let mark = match change.tag() {
            ChangeTag::Equal => return None,
            ChangeTag::Delete => "gone",
            ChangeTag::Insert => "new",
        };
        Some(LineView { mark, text: change.value().trim_end().to_owned() })
    };
    diff.iter_all_changes().filter_map(line).filter(|line| !line.text.is_empty()).take(DIFF_LINES).collect()
}

#[derive(Deserialize)]
pub struct Accept {
    provider: String,
    seen: String,
}

pub async fn accept(State(front): State<Front>, signed: SignedForm<Accept>) -> Result<Response, PageError> {
    let SignedForm { session, form } = signed;
    let provider: ProviderName = form.provider.parse().map_err(|_| PageError::not_found())?;
    let (caller, env) = (session.caller(), front.realm.env.clone());
    perform(&front.core, Attempt::new("terms_accept", &caller, provider.as_str()), move |tx| {
        let permit = authorise::<TermsAccept>(&caller, &Facts::new(env.now(), provider.as_str()))?;
        let shown = terms_in_force(tx, &provider)?;
        if seen_digest(&shown.iter().collect::<Vec<_>>()).to_string() != form.seen {
            return Err(TermsError::Changed(provider.clone()));
        }
        terms_accept(tx, &env, &permit, &provider, &shown)
    })
    .await?;
    Ok(Redirect::to("/terms").into_response())
}

/// What was on the page.
fn seen_digest(shown: &[&TermsSeen]) -> Sha256Digest {
    Sha256Digest::of(serde_json::json!(shown).to_string().as_bytes())
}

pub async fn export(State(front): State<Front>, SignedIn(session): SignedIn) -> Result<Response, PageError> {
    let (caller, realm) = (session.caller(), front.realm.clone());
    let bundle = front.core.db.read::<_, ExportError, _>(move |tx| {
        let permit = authorise::<TermsRead>(&caller, &Facts::new(realm.env.now(), "terms"))?;
        terms_export(tx, &realm, &permit)
    });
    let mut response = axum::Json(bundle.await?).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"purser-terms.json\""));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_and_what_came_is_shown_line_by_line_and_no_bytes_that_are_no_text() {
        let lines = changes(Some(b"be good\npay in 30 days\n".to_vec()), Some(b"be good\npay in 10 days\nno refunds\n".to_vec()));
        let shown: Vec<_> = lines.iter().map(|l| (l.mark, l.text.as_str())).collect();
        assert_eq!(shown, [("gone", "pay in 30 days"), ("new", "pay in 10 days"), ("new", "no refunds")]);
        assert!(changes(Some(vec![0xff]), Some(b"x".to_vec())).is_empty() && changes(None, Some(b"x".to_vec())).is_empty());
    }
}
