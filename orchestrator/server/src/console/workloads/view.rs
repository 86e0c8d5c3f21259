//! What the page of workloads shows.

use askama::Template;
use purser_authority::action::{WorkloadTrustAdd, WorkloadTrustRemove};
use purser_identity::agent::AgentGrants;
use purser_identity::grant::Grant;
use purser_identity::organisation::MemberRow;
use purser_identity::session::Session;
use purser_identity::workload::Trust;
use purser_values::Timestamp;
use serde_json::Value;

use super::super::page::PageContext;
use super::Typed;
use crate::membership::could;

#[derive(Template)]
#[template(path = "workloads.html")]
pub struct Workloads {
    ctx: PageContext,
    trusts: Vec<TrustView>,
    may_add: bool,
    may_remove: bool,
    /// The person's own grants that may be passed on.
    grants: Vec<GrantView>,
    typed: Typed,
    wrong: Option<String>,
}

struct TrustView {
    id: String,
    name: String,
    issuer: String,
    audience: String,
    subject: String,
    claims: Vec<(String, String)>,
    /// What they may do of what the grant allows; nothing when that is all of it.
    less: Option<String>,
    minutes: i64,
    agent: String,
    grant: String,
    /// Whether the grant is still in force: without it, nobody gets in.
    in_force: bool,
    by: String,
    since: String,
}

struct GrantView {
    id: String,
    words: String,
    chosen: bool,
}

impl Workloads {
    pub fn new(
        ctx: PageContext,
        session: &Session,
        now: Timestamp,
        (trusts, agents, members): (&[Trust], &[AgentGrants], &[MemberRow]),
        typed: Typed,
        wrong: Option<String>,
    ) -> Self {
        let (caller, person) = (session.caller(), &session.member.person.id);
        let mut grants = Vec::new();
        for known in agents {
            let own = known.grants.iter().filter(|grant| grant.person == *person && passes_on(grant, now));
            grants.extend(own.map(|grant| grant_view(known, grant, &typed)));
        }
        Self {
            ctx,
            trusts: trusts.iter().map(|trust| trust_view(trust, now, agents, members)).collect(),
            may_add: could::<WorkloadTrustAdd>(&caller),
            may_remove: could::<WorkloadTrustRemove>(&caller),
            grants,
            typed,
            wrong,
        }
    }
}

fn passes_on(grant: &Grant, now: Timestamp) -> bool {
    grant.is_in_force(now) && grant.scope.actions.iter().any(|action| action == "agent_delegate")
}

fn grant_view(known: &AgentGrants, grant: &Grant, typed: &Typed) -> GrantView {
    let scope = &grant.scope;
    GrantView {
        words: format!("{}: {} at {}, until {}", known.agent.name, scope.projects, scope.providers, scope.expires_at.for_people()),
        chosen: grant.id.as_str() == typed.grant,
        id: grant.id.to_string(),
    }
}

fn trust_view(trust: &Trust, now: Timestamp, agents: &[AgentGrants], members: &[MemberRow]) -> TrustView {
    let above = agents.iter().find_map(|known| Some((known, known.grants.iter().find(|grant| grant.id == trust.grant)?)));
    let by = members.iter().find(|member| member.person == trust.person);
    let facts = &trust.facts;
    TrustView {
        id: trust.id.to_string(),
        name: facts.name.to_string(),
        issuer: facts.issuer.clone(),
        audience: facts.audience.clone(),
        subject: facts.subject.to_string(),
        claims: facts.claims.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        less: less(&facts.details),
        minutes: facts.life_s / 60,
        agent: above.map_or_else(|| "an agent that is gone".to_owned(), |(known, _)| known.agent.name.to_string()),
        grant: trust.grant.to_string(),
        in_force: above.is_some_and(|(_, grant)| grant.is_in_force(now)),
        by: by.map_or_else(|| trust.person.to_string(), |member| member.email.to_string()),
        since: trust.created_at.for_people(),
    }
}

/// What `authorization_details` say beside their type.
fn less(details: &str) -> Option<String> {
    let mut parsed: Value = serde_json::from_str(details).ok()?;
    let said = parsed.get_mut(0)?.as_object_mut()?;
    said.remove("type");
    (!said.is_empty()).then(|| Value::Object(said.clone()).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trust_that_narrows_nothing_says_nothing() {
        assert_eq!(less(r#"[{"type":"purser_grant"}]"#), None);
        assert_eq!(less(r#"[{"type":"purser_grant","cap_minor":5}]"#).as_deref(), Some(r#"{"cap_minor":5}"#));
    }
}
