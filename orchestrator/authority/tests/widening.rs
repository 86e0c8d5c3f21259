//! No grant in any tree of grants allows what its parent does not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::{Index, subsequence};
use purser_authority::action::ResourceAdd;
use purser_authority::{Caller, Facts, GrantScope, Reach, authorise};
use purser_values::id::{AgentId, GrantId, OrganisationId, PersonId};
use purser_values::name::{EnvironmentName, ProjectName, ProviderName, ServiceRef};
use purser_values::{Currency, Env, Money, Timestamp};

const PROJECTS: [&str; 3] = ["shop", "blog", "lab"];
const ENVIRONMENTS: [&str; 2] = ["development", "production"];
const PROVIDERS: [&str; 3] = ["slipway", "acme", "globex"];
const SERVICES: [&str; 4] = ["slipway/workers", "slipway/zones", "acme/db", "globex/mail"];
const ACTIONS: [&str; 4] = ["resource_add", "resource_remove", "deployment_create", "agent_delegate"];
const START_S: i64 = 1_795_435_200;

fn parsed<T: Ord + std::str::FromStr<Err: std::fmt::Debug>>(names: Vec<&str>) -> Reach<T> {
    Reach::only(names.into_iter().map(|n| n.parse().unwrap()))
}

fn reach<T: Ord + Clone + std::fmt::Debug + std::str::FromStr<Err: std::fmt::Debug>>(
    names: &'static [&'static str],
) -> impl Strategy<Value = Reach<T>> {
    prop_oneof![1 => Just(Reach::All), 3 => subsequence(names, 0..=names.len()).prop_map(parsed)]
}

fn usd(minor: i64) -> Money {
    Money::from_minor(minor, Currency::USD)
}

fn caps() -> impl Strategy<Value = BTreeMap<ProviderName, Money>> {
    subsequence(&PROVIDERS[..], 0..=3)
        .prop_flat_map(|names| {
            let n = names.len();
            (Just(names), prop::collection::vec(0_i64..5, n))
        })
        .prop_map(|(names, amounts)| names.into_iter().map(|n| n.parse().unwrap()).zip(amounts.into_iter().map(usd)).collect())
}

prop_compose! {
    fn scope()(
        projects in reach(&PROJECTS), environments in reach(&ENVIRONMENTS), providers in reach(&PROVIDERS), services in reach(&SERVICES),
        actions in subsequence(&ACTIONS[..], 0..=4), cap in 0_i64..5, caps in caps(), total in prop::option::of(0_i64..5),
        irreversible: bool, export: bool, life in 1_i64..5,
    ) -> GrantScope {
        GrantScope {
            projects, environments, providers, services, actions: actions.into_iter().map(str::to_owned).collect(),
            cap_per_provider_month: usd(cap), caps, total: total.map(usd), irreversible, export,
            expires_at: Timestamp::from_secs(START_S + life),
        }
    }
}

/// What `own` and `parent` both allow: what an honest agent would ask for its helper.
fn meet(own: &GrantScope, parent: &GrantScope) -> GrantScope {
    fn both<T: Ord + Clone>(a: &Reach<T>, b: &Reach<T>) -> Reach<T> {
        match (a, b) {
            (Reach::All, other) | (other, Reach::All) => other.clone(),
            (Reach::Only(a), Reach::Only(b)) => Reach::only(a.intersection(b).cloned()),
        }
    }
    let less = |a: Money, b: Money| if a.minor() < b.minor() { a } else { b };
    let mut caps = BTreeMap::new();
    for name in own.caps.keys().chain(parent.caps.keys()) {
        caps.insert(name.clone(), less(own.cap_at(name), parent.cap_at(name)));
    }
    GrantScope {
        projects: both(&own.projects, &parent.projects),
        environments: both(&own.environments, &parent.environments),
        providers: both(&own.providers, &parent.providers),
        services: both(&own.services, &parent.services),
        actions: own.actions.iter().filter(|a| parent.actions.contains(a)).cloned().collect(),
        cap_per_provider_month: less(own.cap_per_provider_month, parent.cap_per_provider_month),
        caps,
        total: match (own.total, parent.total) {
            (Some(a), Some(b)) => Some(less(a, b)),
            (one, other) => one.or(other),
        },
        irreversible: own.irreversible && parent.irreversible,
        export: own.export && parent.export,
        expires_at: own.expires_at.min(parent.expires_at),
    }
}

/// One thing that can be asked for under a grant.
struct Ask {
    project: ProjectName,
    environment: EnvironmentName,
    service: ServiceRef,
    at: Timestamp,
    minor: i64,
}

fn asks() -> Vec<Ask> {
    let mut all = Vec::new();
    for project in PROJECTS {
        for environment in ENVIRONMENTS {
            for service in SERVICES {
                for (second, minor) in [(0, 1), (2, 2), (3, 4)] {
                    all.push(Ask {
                        project: project.parse().unwrap(),
                        environment: environment.parse().unwrap(),
                        service: service.parse().unwrap(),
                        at: Timestamp::from_secs(START_S + second),
                        minor,
                    });
                }
            }
        }
    }
    all
}

/// Whether the authoriser and the ceilings of this one grant let it through.
fn allows(scope: &GrantScope, caller: &Caller, ask: &Ask) -> bool {
    let facts = Facts {
        grant: Some(scope),
        project: Some(&ask.project),
        environment: Some(&ask.environment),
        provider: Some(&ask.service.provider),
        service: Some(&ask.service),
        ..Facts::new(ask.at, "x")
    };
    authorise::<ResourceAdd>(caller, &facts).is_ok()
        && ask.minor <= scope.cap_at(&ask.service.provider).minor()
        && scope.total.is_none_or(|total| ask.minor <= total.minor())
}

fn caller() -> Caller {
    let (env, _) = Env::test(Timestamp::from_secs(START_S), 1);
    Caller::Agent {
        agent: AgentId::mint(&env),
        grant: GrantId::mint(&env),
        on_behalf_of: PersonId::mint(&env),
        organisation: OrganisationId::mint(&env),
        chain: Vec::new(),
    }
}

/// Goes one step beyond `parent` in one direction; nothing where `parent` has no end in that direction.
fn widen(child: &GrantScope, parent: &GrantScope, direction: usize) -> Option<GrantScope> {
    fn beyond<T: Ord + Clone + std::str::FromStr<Err: std::fmt::Debug>>(own: &Reach<T>, parent: &Reach<T>, all: bool) -> Option<Reach<T>> {
        match parent {
            Reach::All => None,
            Reach::Only(_) if all => Some(Reach::All),
            Reach::Only(_) => {
                Some(Reach::only(own.named().cloned().chain(["new".parse().ok().or_else(|| "new/thing".parse().ok()).unwrap()])))
            }
        }
    }
    let mut wider = child.clone();
    match direction {
        0 | 1 => wider.projects = beyond(&child.projects, &parent.projects, direction == 0)?,
        2 | 3 => wider.environments = beyond(&child.environments, &parent.environments, direction == 2)?,
        4 | 5 => wider.providers = beyond(&child.providers, &parent.providers, direction == 4)?,
        6 | 7 => wider.services = beyond(&child.services, &parent.services, direction == 6)?,
        8 => wider.actions.push("cap_set".to_owned()),
        9 => {
            let name = child.providers.named().next()?;
            wider.caps.insert(name.clone(), usd(parent.cap_at(name).minor() + 1));
        }
        10 => {
            wider.providers = parent.providers.clone();
            wider.providers.named().next()?;
            wider.caps.clear();
            let most = parent.providers.named().map(|p| parent.cap_at(p).minor()).max()?;
            wider.cap_per_provider_month = usd(most + 1);
        }
        11 => wider.total = Some(usd(parent.total?.minor() + 1)),
        12 => {
            parent.total?;
            wider.total = None;
        }
        13 => {
            let name = child.providers.named().next()?;
            wider.caps.insert(name.clone(), Money::from_minor(0, Currency::EUR));
        }
        14 if !parent.irreversible => wider.irreversible = true,
        15 if !parent.export => wider.export = true,
        16 => wider.expires_at = parent.expires_at.plus_secs(1),
        _ => return None,
    }
    Some(wider)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_a_grant_within_its_parent_allows_its_parent_allows_too(own in scope(), parent in scope(), honest: bool) {
        let child = if honest { meet(&own, &parent) } else { own };
        if honest {
            prop_assert_eq!(child.wider_than(&parent), None);
        }
        if child.is_within(&parent) {
            let caller = caller();
            for ask in asks() {
                prop_assert!(!allows(&child, &caller, &ask) || allows(&parent, &caller, &ask));
            }
            prop_assert!(!child.irreversible || parent.irreversible);
            prop_assert!(!child.export || parent.export);
        }
    }

    #[test]
    fn any_widening_of_any_grant_in_a_random_tree_is_refused(
        tree in prop::collection::vec((scope(), any::<Index>()), 1..12), at: Index, direction in 0_usize..17,
    ) {
        // Each grant is narrowed from an earlier one, so the vector is a tree.
        let mut grants: Vec<(GrantScope, Option<usize>)> = Vec::new();
        for (wish, parent) in tree {
            let parent = (!grants.is_empty()).then(|| parent.index(grants.len()));
            let made = parent.map_or_else(|| wish.clone(), |p| meet(&wish, &grants[p].0));
            if let Some(p) = parent {
                prop_assert_eq!(made.wider_than(&grants[p].0), None);
            }
            grants.push((made, parent));
        }
        // Within is transitive: every grant is within every ancestor, and its widening is beyond each that it passes.
        for (made, parent) in &grants {
            let mut up = *parent;
            while let Some(p) = up {
                prop_assert!(made.is_within(&grants[p].0));
                up = grants[p].1;
            }
        }
        let (child, parent) = &grants[at.index(grants.len())];
        if let Some(wider) = parent.and_then(|p| widen(child, &grants[p].0, direction)) {
            prop_assert!(!wider.is_within(&grants[parent.unwrap()].0), "{:?} was taken under {:?}", wider, grants[parent.unwrap()].0);
        }
    }
}
