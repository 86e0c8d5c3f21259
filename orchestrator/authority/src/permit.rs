//! The authoriser.

use std::marker::PhantomData;

use purser_values::Timestamp;
use purser_values::id::OrganisationId;
use purser_values::name::{EnvironmentName, ProjectName, ProviderName, ServiceRef};

use crate::action::{Action, Rule};
use crate::caller::{Caller, Role};
use crate::denied::Denied;
use crate::grant_scope::GrantScope;

/// Time for which a person who proved that they are there may do what needs it, in seconds.
pub const STEP_UP_S: i64 = 300;

/// What is known of the case, read in the same write or read as the decision is used in.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    pub now: Timestamp,
    /// Whose object it is; absent when the action makes something new in the caller's own organisation.
    pub owner: Option<&'a OrganisationId>,
    /// The id of the object, for the permit and the audit log.
    pub subject: &'a str,
    /// The caller's grant, when the caller is an agent: absent means that it has ended.
    pub grant: Option<&'a GrantScope>,
    /// Whether the caller's agent is frozen.
    pub frozen: bool,
    pub project: Option<&'a ProjectName>,
    pub environment: Option<&'a EnvironmentName>,
    pub provider: Option<&'a ProviderName>,
    /// The service, which is one of the provider's.
    pub service: Option<&'a ServiceRef>,
}

impl<'a> Facts<'a> {
    /// Facts for an action on one object, with nothing else known.
    #[must_use]
    pub const fn new(now: Timestamp, subject: &'a str) -> Self {
        Self { now, owner: None, subject, grant: None, frozen: false, project: None, environment: None, provider: None, service: None }
    }
}

/// The right to do one action to one object, once. Only [`authorise`] makes one.
#[derive(Debug)]
#[must_use = "a permit is consumed next to the effect"]
pub struct Permit<A: Action> {
    caller: Caller,
    subject: String,
    action: PhantomData<A>,
}

impl<A: Action> Permit<A> {
    #[must_use]
    pub const fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The id that the permit is for.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The verb for the audit log.
    #[must_use]
    pub const fn verb(&self) -> &'static str {
        A::RULE.name
    }
}

/// Decides whether the caller may do `A` in this case. Denies whatever no rule allows.
///
/// # Errors
/// The first reason against, the least telling one first: what belongs to somebody else does not exist.
pub fn authorise<A: Action>(caller: &Caller, facts: &Facts<'_>) -> Result<Permit<A>, Denied> {
    let rule = A::RULE;
    if let (Some(owner), Some(own)) = (facts.owner, caller.organisation())
        && owner != own
    {
        return Err(Denied::NotFound);
    }
    match caller {
        Caller::System | Caller::Operator => {}
        Caller::Anonymous if rule.anonymous => {}
        Caller::Anonymous => return Err(Denied::Anonymous),
        Caller::Provider { .. } if rule.providers => {}
        Caller::Provider { .. } => return Err(Denied::NotFound),
        Caller::Person { role, present_at, .. } => person_may(&rule, *role, *present_at, facts.now)?,
        Caller::Agent { .. } => agent_may(&rule, facts)?,
    }
    Ok(Permit { caller: caller.clone(), subject: facts.subject.to_owned(), action: PhantomData })
}

fn person_may(rule: &Rule, role: Role, present_at: Option<Timestamp>, now: Timestamp) -> Result<(), Denied> {
    if !rule.persons.contains(&role) {
        return Err(Denied::Role { role: role.name(), action: rule.name });
    }
    if rule.step_up && !is_fresh(present_at, now) {
        return Err(Denied::StepUpRequired { action: rule.name });
    }
    Ok(())
}

/// A proof from the future is as good as none: a clock was wrong, then or now.
fn is_fresh(present_at: Option<Timestamp>, now: Timestamp) -> bool {
    present_at.is_some_and(|at| at <= now && now < at.plus_secs(STEP_UP_S))
}

fn agent_may(rule: &Rule, facts: &Facts<'_>) -> Result<(), Denied> {
    if !rule.agents {
        return Err(Denied::AgentNever { action: rule.name });
    }
    if facts.frozen && !rule.while_frozen {
        return Err(Denied::Frozen);
    }
    let grant = facts.grant.filter(|grant| facts.now < grant.expires_at).ok_or(Denied::GrantEnded)?;
    if !grant.actions.iter().any(|a| a == rule.name) {
        return Err(Denied::NotGranted { what: format!("the action `{}`", rule.name) });
    }
    if let Some(project) = facts.project.filter(|p| !grant.projects.contains(p)) {
        return Err(Denied::NotGranted { what: format!("the project `{project}`") });
    }
    if let Some(environment) = facts.environment.filter(|e| !grant.environments.contains(e)) {
        return Err(Denied::NotGranted { what: format!("the environment `{environment}`") });
    }
    if let Some(provider) = facts.provider.or(facts.service.map(|s| &s.provider)).filter(|p| !grant.providers.contains(p)) {
        return Err(Denied::NotGranted { what: format!("the provider `{provider}`") });
    }
    if let Some(service) = facts.service.filter(|s| !grant.services.contains(s)) {
        return Err(Denied::NotGranted { what: format!("the service `{service}`") });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reach;
    use crate::action::{AgentFreeze, AgentThaw, CapSet, DeploymentCreate, GrantRevoke, ResourceAdd, TermsAccept};
    use purser_values::id::{AgentId, GrantId, PersonId};
    use purser_values::{Currency, Env, Money};

    fn env() -> Env {
        Env::test(Timestamp::from_secs(1_795_435_200), 1).0
    }

    fn agent(env: &Env, organisation: &OrganisationId) -> Caller {
        Caller::Agent {
            agent: AgentId::mint(env),
            grant: GrantId::mint(env),
            on_behalf_of: PersonId::mint(env),
            organisation: organisation.clone(),
            chain: Vec::new(),
        }
    }

    fn scope(env: &Env) -> GrantScope {
        GrantScope {
            projects: Reach::only(["shop".parse().unwrap()]),
            environments: Reach::only(["development".parse().unwrap()]),
            providers: Reach::only(["slipway".parse().unwrap()]),
            services: Reach::only(["slipway/workers".parse().unwrap()]),
            actions: crate::action::grantable().map(str::to_owned).collect(),
            cap_per_provider_month: Money::from_minor(100_00, Currency::USD),
            caps: std::collections::BTreeMap::new(),
            total: None,
            irreversible: true,
            export: false,
            expires_at: env.now().plus_secs(60),
        }
    }

    #[test]
    fn an_agent_can_never_do_what_is_for_people_whatever_its_grant_says() {
        let env = env();
        let organisation = OrganisationId::mint(&env);
        let mut grant = scope(&env);
        grant.actions = crate::action::ALL.iter().map(|rule| rule.name.to_owned()).collect();
        let facts = Facts { grant: Some(&grant), ..Facts::new(env.now(), "x") };
        let caller = agent(&env, &organisation);
        assert!(matches!(authorise::<CapSet>(&caller, &facts), Err(Denied::AgentNever { .. })));
        assert!(matches!(authorise::<TermsAccept>(&caller, &facts), Err(Denied::AgentNever { .. })));
        assert!(matches!(authorise::<AgentFreeze>(&caller, &facts), Err(Denied::AgentNever { .. })));
    }

    #[test]
    fn an_agent_may_do_what_its_grant_lists_where_it_lists_it_until_it_ends() {
        let env = env();
        let organisation = OrganisationId::mint(&env);
        let (grant, caller) = (scope(&env), agent(&env, &organisation));
        let (shop, other) = ("shop".parse().unwrap(), "other".parse().unwrap());
        let facts = Facts { grant: Some(&grant), project: Some(&shop), owner: Some(&organisation), ..Facts::new(env.now(), "x") };
        assert!(authorise::<ResourceAdd>(&caller, &facts).is_ok());
        assert!(matches!(authorise::<ResourceAdd>(&caller, &Facts { project: Some(&other), ..facts }), Err(Denied::NotGranted { .. })));
        let (production, zones) = ("production".parse().unwrap(), "slipway/zones".parse().unwrap());
        assert!(matches!(
            authorise::<ResourceAdd>(&caller, &Facts { environment: Some(&production), ..facts }),
            Err(Denied::NotGranted { .. })
        ));
        assert!(matches!(authorise::<ResourceAdd>(&caller, &Facts { service: Some(&zones), ..facts }), Err(Denied::NotGranted { .. })));
        assert!(matches!(authorise::<ResourceAdd>(&caller, &Facts { grant: None, ..facts }), Err(Denied::GrantEnded)));
        assert!(matches!(authorise::<ResourceAdd>(&caller, &Facts { now: grant.expires_at, ..facts }), Err(Denied::GrantEnded)));
        assert!(matches!(authorise::<DeploymentCreate>(&caller, &Facts { frozen: true, ..facts }), Err(Denied::Frozen)));
    }

    #[test]
    fn to_a_stranger_nothing_exists() {
        let env = env();
        let (mine, theirs) = (OrganisationId::mint(&env), OrganisationId::mint(&env));
        let stranger = Caller::Person { person: PersonId::mint(&env), organisation: theirs, role: Role::Owner, present_at: None };
        let facts = Facts { owner: Some(&mine), ..Facts::new(env.now(), "res_x") };
        assert_eq!(authorise::<ResourceAdd>(&stranger, &facts).err(), Some(Denied::NotFound));
        assert_eq!(authorise::<AgentFreeze>(&Caller::Anonymous, &facts).err(), Some(Denied::Anonymous));
    }

    #[test]
    fn an_auditor_may_only_look() {
        let env = env();
        let organisation = OrganisationId::mint(&env);
        let auditor = Caller::Person { person: PersonId::mint(&env), organisation, role: Role::Auditor, present_at: None };
        assert!(matches!(authorise::<ResourceAdd>(&auditor, &Facts::new(env.now(), "x")), Err(Denied::Role { .. })));
        assert!(authorise::<crate::action::EventRead>(&auditor, &Facts::new(env.now(), "x")).is_ok());
    }

    #[test]
    fn what_raises_authority_needs_a_person_who_was_there_within_five_minutes_and_stopping_never_does() {
        let env = env();
        let now = env.now();
        let person = |present_at| Caller::Person {
            person: PersonId::mint(&env),
            organisation: OrganisationId::mint(&env),
            role: Role::Owner,
            present_at,
        };
        let facts = Facts::new(now, "agt_x");
        for fresh in [now, now.plus_secs(1 - STEP_UP_S)] {
            assert!(authorise::<AgentThaw>(&person(Some(fresh)), &facts).is_ok(), "{fresh}");
        }
        for stale in [None, Some(now.plus_secs(-STEP_UP_S)), Some(now.plus_secs(1))] {
            let refused = authorise::<AgentThaw>(&person(stale), &facts).err();
            assert_eq!(refused, Some(Denied::StepUpRequired { action: "agent_thaw" }), "{stale:?}");
            assert!(authorise::<AgentFreeze>(&person(stale), &facts).is_ok());
            assert!(authorise::<GrantRevoke>(&person(stale), &facts).is_ok());
        }
    }

    #[test]
    fn exactly_these_actions_need_a_step_up() {
        let mut names: Vec<&str> = crate::action::ALL.iter().filter(|rule| rule.step_up).map(|rule| rule.name).collect();
        names.sort_unstable();
        let expected = [
            "agent_thaw",
            "approval_give",
            "budget_loosen",
            "cap_raise",
            "chargeback_lift",
            "client_register",
            "credential_export",
            "credit_decide",
            "email_change",
            "grant_accept",
            "member_invite",
            "member_role_raise",
            "passkey_add",
            "passkey_remove",
            "payment_method_set",
            "rate_set",
            "sso_link",
            "sso_unlink",
            "terms_accept",
            "totp_add",
            "totp_remove",
            "webhook_add",
            "webhook_rotate",
            "workload_trust_add",
        ];
        assert_eq!(names, expected, "what raises authority needs a step-up, and what stops something never does");
        let policies = crate::action::ALL.iter().filter(|rule| rule.name.starts_with("policy") && !rule.name.ends_with("_read"));
        let lax: Vec<&str> = policies.filter(|rule| !rule.step_up || rule.agents).map(|rule| rule.name).collect();
        assert_eq!(lax, Vec::<&str>::new(), "a policy is changed by a person who is there");
    }
}
