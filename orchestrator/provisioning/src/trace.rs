//! `trace`: which human, which agent, which grant, what was paid, which code, running where.
//!
//! The start may be a URL, a domain, an account, the shown part of a token, a charge, a refund, a resource, a deployment or a code
//! digest. Everything is looked up within the caller's organisation only: to a stranger every object is `not_found`.

use purser_authority::action::TraceRead;
use purser_authority::{Caller, Denied, authorise};
use purser_crypto::jose::Jwk;
use purser_db::Tx;
use purser_identity::{agent, grant, person, standing, terms};
use purser_spend::refund::{self, due};
use purser_spend::{charge, hold, token};
use purser_values::id::{AccountId, ChargeId, OrganisationId, RefundId, ResourceId};
use purser_values::name::HostName;
use serde_json::{Value, json};

use crate::app::App;
use crate::error::OpError;
use crate::store::resource::{self, Resource};
use crate::store::{account, deployment};

/// Longest question, in bytes.
const QUESTION_BYTES: usize = 2_048;
/// Deployments of one resource that are told.
const DEPLOYMENTS: i64 = 20;

/// Answers with everything that led to the thing.
///
/// # Errors
/// `not_found` when there is no such thing in the caller's organisation.
pub async fn trace(app: &App, caller: &Caller, of: String) -> Result<Value, OpError> {
    let (env, caller, keys) = (app.core.env.clone(), caller.clone(), app.realm.keys.clone());
    app.core
        .db
        .read(move |tx| {
            if of.is_empty() || of.len() > QUESTION_BYTES {
                return Err(OpError::Invalid("ask for a URL, domain, account, token prefix, charge or resource".to_owned()));
            }
            let standing = standing(tx, env.now(), &caller)?;
            let organisation = caller.organisation().ok_or(Denied::Anonymous)?;
            let _permit = authorise::<TraceRead>(&caller, &standing.facts(env.now(), &of))?;
            let mut found = find(tx, organisation, of.trim())?.ok_or(Denied::NotFound)?;
            // An agent sees what its grant covers; the rest of its organisation does not exist for it.
            if let Some(grant) = &standing.grant {
                found.resources.retain(|r| {
                    grant.projects.contains(&r.project_name)
                        && grant.environments.contains(&r.environment)
                        && grant.providers.contains(&r.provider)
                        && grant.services.contains(&r.service_ref())
                });
                if found.resources.is_empty() {
                    return Err(Denied::NotFound.into());
                }
            }
            tell(tx, &keys.kept(), organisation, &of, found)
        })
        .await
}

/// What a question leads to.
struct Found {
    kind: &'static str,
    resources: Vec<Resource>,
    /// The deployment asked for, when the question names one.
    deployment: Option<String>,
    account: Option<account::Account>,
}

impl Found {
    fn resource(kind: &'static str, resources: Vec<Resource>) -> Self {
        Self { kind, resources, deployment: None, account: None }
    }
}

fn find(tx: &mut Tx<'_>, organisation: &OrganisationId, of: &str) -> Result<Option<Found>, OpError> {
    let own = |row: Option<Resource>| row.filter(|r| r.organisation == *organisation);
    if let Ok(id) = of.parse::<ResourceId>() {
        return Ok(own(resource::get(tx, &id)?).map(|r| Found::resource("resource", vec![r])));
    }
    let refunded = match of.parse::<RefundId>() {
        Ok(id) => refund::find(tx, &id)?.map(|refund| refund.charge),
        Err(_) => None,
    };
    if let Some(id) = refunded.or_else(|| of.parse::<ChargeId>().ok()) {
        let Some(hold_id) = charge::find_own(tx, organisation, &id)?.and_then(|c| c.hold) else { return Ok(None) };
        let held = hold::find(tx, &hold_id)?;
        let row = match held {
            Some(held) => own(resource::get(tx, &held.resource)?),
            None => None,
        };
        return Ok(row.map(|r| Found::resource("charge", vec![r])));
    }
    if let Some(found) = deployment::get(tx, organisation, of)? {
        let row = own(resource::get(tx, &found.resource)?);
        return Ok(row.map(|r| Found { deployment: Some(found.id.to_string()), ..Found::resource("deployment", vec![r]) }));
    }
    if let Some(found) = deployment::by_digest(tx, organisation, of)?.first() {
        let row = own(resource::get(tx, &found.resource)?);
        return Ok(row.map(|r| Found { deployment: Some(found.id.to_string()), ..Found::resource("code", vec![r]) }));
    }
    if let Some(found) = find_account(tx, organisation, of)? {
        let rows = resource::of_organisation(tx, organisation, &found.provider)?;
        return Ok(Some(Found { kind: "account", resources: rows, deployment: None, account: Some(found) }));
    }
    if let Some(found) = find_token(tx, organisation, of)? {
        return Ok(own(resource::get(tx, &found)?).map(|r| Found::resource("token", vec![r])));
    }
    find_host(tx, organisation, of)
}

fn find_account(tx: &mut Tx<'_>, organisation: &OrganisationId, of: &str) -> Result<Option<account::Account>, OpError> {
    let id: Option<AccountId> = of.parse().ok();
    let all = account::list(tx, organisation)?;
    Ok(all.into_iter().find(|a| Some(&a.id) == id.as_ref() || a.provider_account.as_deref() == Some(of)))
}

/// A credential or a payment token, by the part of it that may be shown. The whole token works too: only its start is used.
fn find_token(tx: &mut Tx<'_>, organisation: &OrganisationId, of: &str) -> Result<Option<ResourceId>, OpError> {
    let prefix = purser_crypto::token::public_prefix(of);
    if prefix.is_empty() || !prefix.contains('_') {
        return Ok(None);
    }
    if let Some(found) = purser_vault::find_by_prefix(tx, organisation, &prefix)?.into_iter().next() {
        return Ok(Some(found.resource));
    }
    let Some(found) = token::by_prefix(tx, organisation, &prefix)?.into_iter().next() else { return Ok(None) };
    Ok(hold::find(tx, &found.hold)?.map(|h| h.resource))
}

fn find_host(tx: &mut Tx<'_>, organisation: &OrganisationId, of: &str) -> Result<Option<Found>, OpError> {
    let host = url::Url::parse(of).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_else(|| of.to_owned());
    // `name.test.localhost:8080` is how a browser without our DNS reaches `name.test`.
    let host = host.strip_suffix(".localhost").unwrap_or(&host);
    let Ok(host) = host.parse::<HostName>() else { return Ok(None) };
    let mut found = Found::resource("host", Vec::new());
    for (id, deployed) in resource::endpoints_of(tx, organisation, &host)? {
        if let Some(row) = resource::get(tx, &id)? {
            found.resources.push(row);
        }
        found.deployment = deployed.or(found.deployment);
    }
    Ok((!found.resources.is_empty()).then_some(found))
}

fn tell(tx: &mut Tx<'_>, keys: &[Jwk], organisation: &OrganisationId, of: &str, found: Found) -> Result<Value, OpError> {
    let mut resources = Vec::with_capacity(found.resources.len());
    let mut charges = Vec::new();
    let mut deployments = Vec::new();
    for row in &found.resources {
        resources.push(json!({
            "id": row.id, "service": row.service_ref(), "name": row.name, "project": row.project_name, "environment": row.environment,
            "state": row.state.name(), "provider_resource": row.provider_resource, "endpoints": row.endpoints, "quote": row.facts["quote"],
            "agent": row.agent, "grant": row.grant, "created_at": row.created_at,
        }));
        for held in hold::of_resource(tx, &row.id)? {
            for c in charge::of_hold(tx, &held.id)? {
                charges.push(json!({
                    "id": c.id, "amount": c.amount, "state": c.state, "line": c.line, "period": c.period, "resource": row.id, "at": c.begun_at,
                    "refunds": refund::of_charge(tx, &c.id)?, "owed": due::of_charge(tx, &c.id)?,
                }));
            }
        }
        for d in deployment::of_resource(tx, &row.id, DEPLOYMENTS)? {
            deployments.push(json!({
                "id": d.id, "script": d.script, "version": d.version, "state": d.state, "code_digest": d.code_digest, "urls": d.urls,
                "domain": d.domain, "agent": d.agent, "grant": d.grant, "at": d.created_at, "confirmed_by_provider_at": d.confirmed_at,
            }));
        }
    }
    let code = deployments.iter().find(|d| found.deployment.as_deref() == d["id"].as_str()).or_else(|| deployments.first());
    let code_digest = code.map(|d| d["code_digest"].clone());
    let running = match code.and_then(|d| d["id"].as_str()) {
        Some(id) => deployment::get(tx, organisation, id)?,
        None => None,
    };
    // Who put the code there counts before who ordered the resource below it.
    let who = match (running, found.resources.last(), &found.account) {
        (Some(d), _, _) => who(tx, keys, organisation, &d.agent, &d.grant, &d.provider)?,
        (None, Some(row), _) => who(tx, keys, organisation, &row.agent, &row.grant, &row.provider)?,
        (None, None, Some(a)) => who(tx, keys, organisation, &a.agent, &a.grant, &a.provider)?,
        (None, None, None) => Value::Null,
    };
    let provider = found.resources.last().map(|r| r.provider.clone()).or_else(|| found.account.as_ref().map(|a| a.provider.clone()));
    let at_provider = match provider {
        Some(name) => account::find(tx, organisation, &name)?.map(|a| {
            json!({"id": a.id, "provider": a.provider, "provider_account": a.provider_account, "opened_by_agent": a.agent, "under_grant": a.grant, "since": a.created_at})
        }),
        None => None,
    };
    let mut events = Vec::new();
    for id in found.resources.iter().map(|r| r.id.to_string()).chain(found.deployment.clone()) {
        events.extend(purser_audit::about(tx, organisation, &id)?);
    }
    events.sort_by_key(|e| e.at);
    events.dedup_by(|a, b| a.id == b.id);
    Ok(json!({
        "of": of, "kind": found.kind, "organisation": organisation, "person": who["person"], "agent": who["agent"], "grant": who["grant"],
        "terms": who["terms"], "account": at_provider, "resources": resources, "charges": charges, "deployments": deployments,
        "deployment": found.deployment, "code_digest": code_digest, "events": events,
    }))
}

/// The human, the software and the record that binds them.
fn who(
    tx: &mut Tx<'_>,
    keys: &[Jwk],
    organisation: &OrganisationId,
    agent_id: &purser_values::id::AgentId,
    grant_id: &purser_values::id::GrantId,
    provider: &purser_values::name::ProviderName,
) -> Result<Value, OpError> {
    let known = grant::find(tx, grant_id)?.ok_or(Denied::NotFound)?;
    let member = person::member(tx, organisation, &known.person)?;
    let agent = agent::find(tx, agent_id)?.ok_or(Denied::NotFound)?;
    // The one that a person gave; helpers act within it.
    let through = grant::chain(tx, &known, known.accepted_at)?.delegators();
    let given = match through.last() {
        Some(top) => grant::find(tx, &top.grant)?.ok_or(Denied::NotFound)?,
        None => known.clone(),
    };
    let signed = match grant::record_verify(&given.record, keys) {
        Ok(true) => json!("the person's passkey signed it, and the signature holds"),
        Ok(false) => Value::Null,
        Err(fault) => json!(format!("does not hold: {fault}")),
    };
    let accepted: Vec<Value> = terms::accepted(tx, organisation)?
        .into_iter()
        .filter(|t| t.provider == *provider)
        .map(|t| json!({"provider": t.provider, "url": t.url, "version": t.version, "sha256": t.sha256, "accepted_by": t.person, "accepted_at": t.accepted_at, "grant": t.grant}))
        .collect();
    Ok(json!({
        "person": {"id": known.person, "email": member.map(|m| m.person.email)},
        "agent": {"id": agent.id, "name": agent.name, "key": agent.jkt, "frozen": agent.is_frozen()},
        "grant": {"id": known.id, "record_sha256": known.record_digest, "accepted_at": known.accepted_at, "scope": known.scope, "signed_by_person": signed, "derived_through": through},
        "terms": accepted,
    }))
}
