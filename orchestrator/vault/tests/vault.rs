//! Delivery, names and erasure, on both engines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use purser_crypto::seal::Keyring;
use purser_db::testing::{START, each_engine};
use purser_db::{DbError, Migrations};
use purser_values::id::{OrganisationId, ProjectId, ResourceId};
use purser_values::{Env, Secret};
use purser_vault::{Delivery, OpenError, deliver, find_by_prefix, forget, names, open};

const TABLES: &[Migrations] = &[purser_vault::MIGRATIONS];
const TOKEN: &str = "slp_AbCdEfGh1234567890AbCdEfGh1234567890AbCdEfGh";

fn values(token: &str) -> BTreeMap<String, Secret<String>> {
    [("CLOUDFLARE_API_TOKEN", token), ("CLOUDFLARE_ACCOUNT_ID", "0123456789abcdef0123456789abcdef")]
        .into_iter()
        .map(|(k, v)| (k.to_owned(), Secret::new(v.to_owned())))
        .collect()
}

#[tokio::test]
async fn names_are_plain_for_the_first_resource_and_prefixed_for_the_second_and_never_change() {
    each_engine(TABLES, |db| async move {
        let env = Env::test(START, 2).0;
        let ring = Keyring::from_hex(&Keyring::generate_hex(&env)).unwrap();
        let (organisation, project) = (OrganisationId::mint(&env), ProjectId::mint(&env));
        let to = |name: &str| Delivery {
            organisation: organisation.clone(),
            project: project.clone(),
            environment: "development".parse().unwrap(),
            resource: ResourceId::mint(&env),
            resource_name: name.parse().unwrap(),
        };
        let (first, second) = (to("workers"), to("my-api"));
        let run = |to: Delivery, token: &'static str| {
            let (env, ring) = (env.clone(), ring.clone());
            db.write(move |tx| deliver(tx, &env, &ring, &to, &values(token)))
        };
        assert_eq!(run(first.clone(), TOKEN).await.unwrap(), ["CLOUDFLARE_ACCOUNT_ID", "CLOUDFLARE_API_TOKEN"]);
        assert_eq!(run(second.clone(), "slp_other").await.unwrap(), ["MY_API_CLOUDFLARE_ACCOUNT_ID", "MY_API_CLOUDFLARE_API_TOKEN"]);
        assert_eq!(run(first.clone(), "slp_rotated").await.unwrap(), ["CLOUDFLARE_ACCOUNT_ID", "CLOUDFLARE_API_TOKEN"]);

        let (p, e, r) = (project.clone(), first.environment.clone(), ring.clone());
        let opened = db.read::<_, OpenError, _>(move |tx| open(tx, &r, &p, &e)).await.unwrap();
        let token = opened.iter().find(|o| o.credential.variable == "CLOUDFLARE_API_TOKEN").unwrap();
        assert_eq!((token.value.expose().as_str(), token.credential.version), ("slp_rotated", 2));

        let gone = first.resource.clone();
        db.write::<_, DbError, _>(move |tx| forget(tx, &gone)).await.unwrap();
        let (p, e) = (project.clone(), first.environment.clone());
        let left = db.read::<_, DbError, _>(move |tx| names(tx, &p, &e)).await.unwrap();
        assert_eq!(
            left.iter().map(|c| c.variable.as_str()).collect::<Vec<_>>(),
            ["MY_API_CLOUDFLARE_ACCOUNT_ID", "MY_API_CLOUDFLARE_API_TOKEN"]
        );
    })
    .await;
}

#[tokio::test]
async fn a_token_is_found_by_its_public_prefix_in_its_own_organisation_only() {
    each_engine(TABLES, |db| async move {
        let env = Env::test(START, 2).0;
        let ring = Keyring::from_hex(&Keyring::generate_hex(&env)).unwrap();
        let (mine, theirs) = (OrganisationId::mint(&env), OrganisationId::mint(&env));
        let to = Delivery {
            organisation: mine.clone(),
            project: ProjectId::mint(&env),
            environment: "development".parse().unwrap(),
            resource: ResourceId::mint(&env),
            resource_name: "workers".parse().unwrap(),
        };
        db.write(move |tx| deliver(tx, &env, &ring, &to, &values(TOKEN))).await.unwrap();
        let found = db.read::<_, DbError, _>(move |tx| find_by_prefix(tx, &mine, "slp_AbCdEfGh")).await.unwrap();
        assert_eq!(found.len(), 1);
        assert!(db.read::<_, DbError, _>(move |tx| find_by_prefix(tx, &theirs, "slp_AbCdEfGh")).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_name_no_shell_would_take_is_refused() {
    let db = purser_db::testing::sqlite(TABLES).await;
    for name in ["", "1A", "A B", "A=B", "LD\nPRELOAD"] {
        let env = Env::test(START, 2).0;
        let ring = Keyring::from_hex(&Keyring::generate_hex(&env)).unwrap();
        let to = Delivery {
            organisation: OrganisationId::mint(&env),
            project: ProjectId::mint(&env),
            environment: "development".parse().unwrap(),
            resource: ResourceId::mint(&env),
            resource_name: "workers".parse().unwrap(),
        };
        let result = db.write(move |tx| deliver(tx, &env, &ring, &to, &[(name.to_owned(), Secret::new("x".to_owned()))].into())).await;
        assert!(result.is_err(), "`{name}` was taken");
    }
}

#[tokio::test]
async fn a_provider_cannot_deliver_a_variable_that_changes_how_programs_run() {
    let db = purser_db::testing::sqlite(TABLES).await;
    for name in ["LD_PRELOAD", "path", "NODE_OPTIONS", "GIT_SSH_COMMAND"] {
        let env = Env::test(START, 2).0;
        let ring = Keyring::from_hex(&Keyring::generate_hex(&env)).unwrap();
        let to = Delivery {
            organisation: OrganisationId::mint(&env),
            project: ProjectId::mint(&env),
            environment: "development".parse().unwrap(),
            resource: ResourceId::mint(&env),
            resource_name: "evil".parse().unwrap(),
        };
        let value: BTreeMap<String, Secret<String>> = [(name.to_owned(), Secret::new("x".to_owned()))].into();
        let variables = db.write(move |tx| deliver(tx, &env, &ring, &to, &value)).await.unwrap();
        assert_eq!(variables, [format!("EVIL_{}", name.to_ascii_uppercase())]);
    }
}
