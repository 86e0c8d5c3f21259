//! The registrar over the Cloudflare API, its rehearsal, and RDAP: as clients of their contracts see them.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use slipway_registrar::domain::change::{Change, ChangeError, domain_change_while};

use crate::support::{Customer, Workers, World};

struct Names {
    world: World,
    ada: Customer,
    own: Workers,
}

impl Names {
    async fn new() -> Option<Self> {
        let world = World::start().await?;
        let ada = world.customer("ada").await;
        let own = world.workers(&ada, "agt_ada").await;
        world.domain(&ada, "hers.test", "agt_ada").await;
        Some(Self { world, ada, own })
    }

    async fn call(&self, method: Method, below: &str, body: Option<Value>) -> (StatusCode, Value) {
        self.world.api(&self.own.token, method, &format!("/accounts/{}/{below}", self.own.account), body).await
    }

    async fn good(&self, method: Method, below: &str, body: Option<Value>) -> Value {
        let (status, answer) = self.call(method, below, body).await;
        assert!(status.is_success(), "{below}: {answer}");
        answer["result"].clone()
    }

    async fn rdap(&self, path: &str) -> (u16, String, Value) {
        let answer = reqwest::get(format!("{}rdap/{path}", self.world.config.public_url)).await.unwrap();
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        (answer.status().as_u16(), kind, answer.json().await.unwrap())
    }
}

#[tokio::test]
async fn names_are_searched_and_checked_with_prices_in_strings() {
    let Some(names) = Names::new().await else { return };
    let asked = json!({"domains": ["free.test", "taken.test", "premium.test", "hers.test", "shop.com", "no name", "FREE.test"]});
    let checked = names.good(Method::POST, "registrar/domain-check", Some(asked)).await;
    let of = |name: &str| checked["domains"].as_array().unwrap().iter().find(|it| it["name"] == name).unwrap().clone();
    let pricing = json!({"currency": "USD", "registration_cost": "9.15", "renewal_cost": "9.15"});
    assert_eq!((&of("free.test")["registrable"], &of("free.test")["pricing"]), (&json!(true), &pricing));
    for (name, reason) in [
        ("taken.test", "domain_unavailable"),
        ("hers.test", "domain_unavailable"),
        ("premium.test", "domain_premium"),
        ("shop.com", "extension_not_supported"),
    ] {
        assert_eq!((&of(name)["registrable"], &of(name)["reason"]), (&json!(false), &json!(reason)), "{name}");
    }
    assert_eq!(checked["domains"].as_array().unwrap().len(), 5, "what is no name is left out, and twice is once: {checked}");
    let many: Vec<String> = (0..21).map(|n| format!("n{n}.test")).collect();
    assert_eq!(names.call(Method::POST, "registrar/domain-check", Some(json!({"domains": many}))).await.0, 400);
    let found = names.good(Method::GET, "registrar/domain-search?q=coffee%20shop&limit=3", None).await;
    let found: Vec<&str> = found["domains"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(found, ["coffeeshop.test", "coffee-shop.test", "coffeeshopapp.test"]);
    assert_eq!(names.call(Method::GET, "registrar/domain-search?q=", None).await.0, 400);
    assert_eq!(names.good(Method::GET, "registrar/extensions/test", None).await["metadata"], json!({"name": "test", "tld": "test"}));
    assert_eq!(names.call(Method::GET, "registrar/extensions/com", None).await.0, 404);
}

#[tokio::test]
async fn a_token_of_the_api_buys_nothing_and_says_who_can() {
    let Some(names) = Names::new().await else { return };
    for _ in 0..2 {
        let (status, answer) = names.call(Method::POST, "registrar/registrations", Some(json!({"domain_name": "free.test"}))).await;
        assert_eq!((status, &answer["result"]["state"]), (StatusCode::ACCEPTED, &json!("action_required")), "{answer}");
        assert!(answer["result"]["context"]["message"].as_str().unwrap().contains("purser add slipway/registrar:domain"), "{answer}");
        let at = answer["result"]["links"]["self"].as_str().unwrap();
        assert_eq!(names.world.api(&names.own.token, Method::GET, at, None).await.1["result"]["completed"], false);
    }
    assert_eq!(names.call(Method::GET, "registrar/registrations/free.test", None).await.0, 404);
    assert_eq!(names.rdap("domain/free.test").await.0, 404, "it was bought");
    for bad in ["taken.test", "premium.test", "shop.com", "a.b.test"] {
        let (status, answer) = names.call(Method::POST, "registrar/registrations", Some(json!({"domain_name": bad}))).await;
        assert_eq!(status, 400, "{bad}: {answer}");
    }
    // One letter from a name of the account's own, or of a company that everybody knows.
    for (slip, meant) in [("herss.test", "`hers`"), ("dropbxo.test", "`dropbox`")] {
        let (_, answer) = names.call(Method::POST, "registrar/registrations", Some(json!({"domain_name": slip}))).await;
        assert!(answer["result"]["context"]["message"].as_str().unwrap().contains(meant), "{answer}");
    }
}

#[tokio::test]
async fn a_name_that_was_bought_is_listed_locked_and_asked_for_again_without_effect() {
    let Some(names) = Names::new().await else { return };
    let (status, again) = names.call(Method::POST, "registrar/registrations", Some(json!({"domain_name": "hers.test"}))).await;
    assert_eq!(
        (status, &again["result"]["state"], &again["result"]["completed"]),
        (StatusCode::CREATED, &json!("succeeded"), &json!(true))
    );
    let registration = &again["result"]["context"]["registration"];
    assert_eq!(
        (&registration["status"], &registration["auto_renew"], &registration["locked"]),
        (&json!("active"), &json!(false), &json!(false))
    );
    assert_eq!(names.good(Method::GET, "registrar/registrations", None).await, json!([registration]));
    for _ in 0..2 {
        let locked = names.good(Method::PUT, "registrar/domains/hers.test", Some(json!({"locked": true}))).await;
        assert_eq!((&locked["locked"], &locked["registry_statuses"]), (&json!(true), &json!("clientTransferProhibited")));
    }
    let (_, _, seen) = names.rdap("domain/hers.test").await;
    assert!(seen["status"].as_array().unwrap().contains(&json!("client transfer prohibited")), "the registry was not told: {seen}");
    let (registrar, account) = (names.world.cloud.registrar.as_ref().unwrap(), names.ada.account.parse().unwrap());
    // stopped between the first look at its token and the change
    let late = domain_change_while(registrar, &account, &"hers.test".parse().unwrap(), Change::Lock(false), |_| Ok(false)).await;
    assert!(matches!(late, Err(ChangeError::Stopped)), "{late:?}");
    let (_, _, seen) = names.rdap("domain/hers.test").await;
    assert!(seen["status"].as_array().unwrap().contains(&json!("client transfer prohibited")), "it was unlocked all the same: {seen}");
    let (status, edit) = names.call(Method::PATCH, "registrar/registrations/hers.test", Some(json!({"auto_renew": true}))).await;
    assert_eq!(
        (status, &edit["result"]["state"]),
        (StatusCode::ACCEPTED, &json!("action_required")),
        "a token promised another year's money"
    );
    let (status, edit) = names.call(Method::PATCH, "registrar/registrations/hers.test", Some(json!({"auto_renew": false}))).await;
    assert_eq!((status, &edit["result"]["state"]), (StatusCode::OK, &json!("succeeded")), "{edit}");
    assert_eq!(names.call(Method::PUT, "registrar/domains/hers.test", Some(json!({"privacy": false}))).await.0, 400);

    let eve = names.world.customer("eve").await;
    let other = names.world.workers(&eve, "agt_eve").await;
    let path = format!("/accounts/{}/registrar/registrations/hers.test", other.account);
    assert_eq!(names.world.api(&other.token, Method::GET, &path, None).await.0, 404, "another account's name was told");
    let path = format!("/accounts/{}/registrar/domains/hers.test", other.account);
    assert_eq!(names.world.api(&other.token, Method::PUT, &path, Some(json!({"locked": false}))).await.0, 404);
}

#[tokio::test]
async fn a_name_is_given_back_by_its_buyer_alone_with_its_price_its_zone_and_its_order() {
    let Some(names) = Names::new().await else { return };
    let path = "registrar/registrations/hers.test";
    let second = names.world.workers(&names.ada, "agt_second").await;
    let at = format!("/accounts/{}/{path}", second.account);
    assert_eq!(names.world.api(&second.token, Method::DELETE, &at, None).await.0, 400, "an agent gave back what another bought");
    let (status, refused) = names.call(Method::POST, &format!("{path}/auth-code"), None).await;
    assert_eq!(status, 400, "an agent got the code with which a name is taken elsewhere: {refused}");
    assert_eq!(names.call(Method::POST, &format!("{path}/transfer-out"), Some(json!({"agreed": true}))).await.0, 400);

    names.good(Method::DELETE, path, None).await;
    assert_eq!(names.call(Method::DELETE, path, None).await.0, 404);
    assert_eq!(names.rdap("domain/hers.test").await.0, 404, "the registry keeps it");
    for _ in 0..200 {
        if !names.world.stub.refunded().is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(names.world.stub.refunded().iter().map(|money| money.minor()).collect::<Vec<_>>(), [915]);
    let eve = names.world.customer("eve").await;
    names.world.domain(&eve, "hers.test", "agt_eve").await;
    assert_eq!(names.call(Method::GET, path, None).await.0, 404);
}

#[tokio::test]
async fn a_rehearsal_registers_for_nothing_and_exists_nowhere_else() {
    let Some(names) = Names::new().await else { return };
    let new = json!({"domain_name": "mine.test", "auto_renew": true, "years": 2});
    let (status, made) = names.call(Method::POST, "registrar-sandbox/registrations", Some(new.clone())).await;
    assert_eq!((status, &made["result"]["state"]), (StatusCode::CREATED, &json!("succeeded")), "{made}");
    let (status, again) = names.call(Method::POST, "registrar-sandbox/registrations", Some(new)).await;
    assert_eq!((status, &again["result"]), (StatusCode::CREATED, &made["result"]));
    for n in 0..2 {
        names.good(Method::POST, "registrar-sandbox/registrations", Some(json!({"domain_name": format!("more-{n}.test")}))).await;
    }
    let (mut walked, mut cursor) = (Vec::new(), String::new());
    loop {
        let (_, page) = names.call(Method::GET, &format!("registrar-sandbox/registrations?per_page=1&cursor={cursor}"), None).await;
        walked.extend(page["result"].as_array().unwrap().iter().map(|it| it["domain_name"].as_str().unwrap().to_owned()));
        page["result_info"]["cursor"].as_str().unwrap().clone_into(&mut cursor);
        if cursor.is_empty() {
            break;
        }
    }
    assert_eq!(walked, ["mine.test", "more-0.test", "more-1.test"]);
    let check = |domains: Value| json!({"domains": domains});
    let held = names.good(Method::POST, "registrar-sandbox/domain-check", Some(check(json!(["mine.test", "hers.test"])))).await;
    assert_eq!((&held["domains"][0]["registrable"], &held["domains"][1]["registrable"]), (&json!(false), &json!(true)), "{held}");
    let real = names.good(Method::POST, "registrar/domain-check", Some(check(json!(["mine.test"])))).await;
    assert_eq!(real["domains"][0]["registrable"], true, "a rehearsed name is taken for real");
    assert_eq!(names.rdap("domain/mine.test").await.0, 404);
    assert_eq!(names.call(Method::GET, "registrar-sandbox/registrations/hers.test", None).await.0, 404);
    let edited = names.good(Method::PATCH, "registrar-sandbox/registrations/mine.test", Some(json!({"auto_renew": false}))).await;
    assert_eq!(edited["context"]["registration"]["auto_renew"], false);
}

#[tokio::test]
async fn rdap_tells_of_names_and_their_delegation_and_of_no_person() {
    let Some(names) = Names::new().await else { return };
    let (status, kind, found) = names.rdap("domain/HERS.test").await;
    assert_eq!((status, kind.as_str()), (200, "application/rdap+json"));
    assert_eq!((&found["objectClassName"], &found["ldhName"]), (&json!("domain"), &json!("hers.test")));
    assert_eq!(found["nameservers"].as_array().unwrap().len(), names.world.config.names.servers.len());
    assert!(!found["redacted"].as_array().unwrap().is_empty());
    assert!(!found.to_string().contains("ada"), "a person is told of: {found}");
    let registrar = &found["entities"][0];
    let (status, _, entity) = names.rdap(&format!("entity/{}", registrar["handle"].as_str().unwrap())).await;
    assert_eq!((status, &entity["roles"]), (200, &json!(["registrar"])));
    let server = found["nameservers"][0]["ldhName"].as_str().unwrap();
    assert_eq!(names.rdap(&format!("nameserver/{server}")).await.2["ldhName"], server);
    for (path, status) in
        [("domain/free.test", 404), ("domain/no%20name", 400), ("ip/192.0.2.1", 404), ("domains?name=h*", 404), ("help", 200)]
    {
        let (said, _, body) = names.rdap(path).await;
        assert_eq!(said, status, "{path}");
        assert!(body["rdapConformance"].as_array().unwrap().contains(&json!("rdap_level_0")));
        assert!(status == 200 || body["errorCode"] == status, "{body}");
    }
}
