//! Keeping and finding, on both engines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use purser_catalogue::{Listing, Period, Price, get, keep, list, search};
use purser_db::testing::{START, each_engine};
use purser_db::{DbError, Migrations};
use purser_values::{Currency, Env, Money};

const TABLES: &[Migrations] = &[purser_catalogue::MIGRATIONS];

fn listing(service: &str, category: &str, description: &str) -> Listing {
    Listing {
        service: service.parse().unwrap(),
        description: description.to_owned(),
        kind: "plan".to_owned(),
        categories: vec![category.to_owned()],
        price: Price::Known {
            amount: Money::from_minor(500, Currency::USD),
            period: Period::Month,
            unit: None,
            refundable: false,
            irreversible: false,
            metered: Vec::new(),
        },
        parents: Vec::new(),
        configuration_schema: None,
        credentials: Default::default(),
    }
}

#[tokio::test]
async fn what_a_provider_drops_is_no_longer_on_offer() {
    each_engine(TABLES, |db| async move {
        let env = Env::test(START, 1).0;
        let (workers, domain) =
            (listing("slipway/workers", "compute", "run\ncode"), listing("slipway/registrar:domain", "domains", "buy a name"));
        let (both, one) = (vec![workers.clone(), domain.clone()], vec![workers.clone()]);
        let first = env.clone();
        db.write::<_, DbError, _>(move |tx| keep(tx, &first, &"slipway".parse().unwrap(), "Slipway", &both)).await.unwrap();
        let found = db.read::<_, DbError, _>(|tx| search(tx, "BUY name")).await.unwrap();
        assert_eq!(found[0].service, domain.service);
        assert_eq!(db.read::<_, DbError, _>(|tx| list(tx, Some("compute"))).await.unwrap()[0].description, "run code");
        db.write::<_, DbError, _>(move |tx| keep(tx, &env, &"slipway".parse().unwrap(), "Slipway", &one)).await.unwrap();
        assert!(db.read::<_, DbError, _>(move |tx| get(tx, &domain.service)).await.unwrap().is_none());
        assert_eq!(db.read::<_, DbError, _>(|tx| list(tx, None)).await.unwrap().len(), 1);
    })
    .await;
}
