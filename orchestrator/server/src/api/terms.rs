//! `/v1/terms`: which texts are in force, who accepted which, and all of it as one signed file.

use axum::Json;
use axum::extract::State;
use purser_authority::action::TermsRead;
use purser_authority::{Denied, authorise};
use purser_http::Problem;
use purser_identity::names::names_of;
use purser_identity::terms::{self, Bundle, ExportError, TermsAcceptance, terms_export, terms_ledger};
use serde_json::{Value, json};

use super::Api;
use super::caller::Called;

pub async fn list(State(api): State<Api>, called: Called) -> Result<Json<Value>, Problem> {
    let (context, now) = (called.context, api.app.core.env.now());
    let found = api.app.core.db.read::<_, ExportError, _>(move |tx| {
        let organisation = context.caller.organisation().cloned().ok_or(Denied::Anonymous)?;
        let permit = authorise::<TermsRead>(&context.caller, &context.facts(now, organisation.as_str()))?;
        Ok((terms_ledger(tx, &permit)?, terms::accepted(tx, &organisation)?, names_of(tx, &organisation)?))
    });
    let (providers, acceptances, names) = found.await?;
    let with_name = |acceptance: &TermsAcceptance| {
        let mut told = json!(acceptance);
        told["by"] = json!(names.of(acceptance.person.as_str()));
        told
    };
    let acceptances: Vec<Value> = acceptances.iter().map(with_name).collect();
    let open: Vec<_> = providers.iter().filter(|p| p.is_open()).map(|p| &p.provider).collect();
    Ok(Json(json!({ "providers": providers, "to_accept": open, "acceptances": acceptances, "url": api.app.page("/terms") })))
}

pub async fn export(State(api): State<Api>, called: Called) -> Result<Json<Bundle>, Problem> {
    let (context, realm) = (called.context, api.app.realm.clone());
    let found = api.app.core.db.read::<_, ExportError, _>(move |tx| {
        let organisation = context.caller.organisation().cloned().ok_or(Denied::Anonymous)?;
        let permit = authorise::<TermsRead>(&context.caller, &context.facts(realm.env.now(), organisation.as_str()))?;
        terms_export(tx, &realm, &permit)
    });
    Ok(Json(found.await?))
}
