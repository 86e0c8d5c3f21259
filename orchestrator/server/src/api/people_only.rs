//! `POST /v1/payment_methods`, `/v1/terms_acceptances`: what no program may do; and how an agent is refused where its person may.
//!
//! INVARIANT (agent-cannot-widen): these routes exist so that an attempt is refused by the authoriser and recorded, with the page
//! on which a person does it. Nothing is behind them; the pages have use cases of their own.

use axum::extract::State;
use purser_authority::action::{Action, PaymentMethodSet, TermsAccept};
use purser_authority::{Attempt, Denied, Done, authorise};
use purser_db::DbError;
use purser_http::Problem;
use purser_provisioning::perform;
use purser_values::error::{Kind, PublicError};
use serde_json::json;

use super::Api;
use super::caller::Called;

#[derive(Debug, thiserror::Error)]
enum PeopleOnlyError {
    #[error("{why}")]
    Denied { why: Denied, url: String },
    #[error("this is done on a page, signed in, and not by a command")]
    OnPage { url: String },
    #[error(transparent)]
    Store(#[from] DbError),
}

impl PublicError for PeopleOnlyError {
    fn code(&self) -> &'static str {
        match self {
            Self::Denied { why, .. } => why.code(),
            Self::OnPage { .. } => "page_required",
            Self::Store(e) => e.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Denied { why, .. } => why.kind(),
            Self::OnPage { .. } => Kind::NeedsPerson,
            Self::Store(e) => e.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Denied { url, .. } | Self::OnPage { url } => Some(format!("a person does this at {url}")),
            Self::Store(e) => e.hint(),
        }
    }

    fn details(&self) -> Option<serde_json::Value> {
        match self {
            Self::Denied { url, .. } | Self::OnPage { url } => Some(json!({ "url": url })),
            Self::Store(_) => None,
        }
    }
}

pub async fn payment_method_set(State(api): State<Api>, called: Called) -> Problem {
    refuse::<PaymentMethodSet>(&api, called, "/card").await
}

pub async fn terms_accept(State(api): State<Api>, called: Called) -> Problem {
    refuse::<TermsAccept>(&api, called, "/terms").await
}

/// Refuses and records an attempt, and names the page on which a person does it.
pub(super) async fn refuse<A: Action>(api: &Api, called: Called, page: &str) -> Problem {
    let (context, now, url) = (called.context, api.app.core.env.now(), api.app.realm.url(page));
    let subject = context.caller.organisation().map(ToString::to_string).unwrap_or_default();
    let attempt = Attempt::new(A::RULE.name, &context.caller, subject.clone());
    let refused = perform::<(), PeopleOnlyError, _>(&api.app.core, attempt, move |_| -> Result<Done<()>, _> {
        let permit = authorise::<A>(&context.caller, &context.facts(now, &subject));
        let _permit = permit.map_err(|why| PeopleOnlyError::Denied { why, url: url.clone() })?;
        Err(PeopleOnlyError::OnPage { url: url.clone() })
    });
    match refused.await {
        Err(error) => error.into(),
        Ok(()) => Problem::not_found(),
    }
}
