//! Limits, budgets and sums, as an agent and as its person type them.

use serde_json::{Value, json};

use super::support::{Ran, World};

fn cap() -> Value {
    let money = |minor: i64| json!({ "amount_minor": minor, "currency": "USD" });
    json!({ "agent": "agt_1", "agent_name": null, "provider": "slipway", "cap": money(100_00), "captured": money(5_00), "held": money(0), "left": money(95_00) })
}

#[test]
fn an_agent_is_told_the_page_with_everything_filled_in_and_its_try_is_sent_to_be_recorded() {
    let world = World::ready();
    let refusal = json!({ "code": "agent_not_allowed", "kind": "needs_person", "detail": "no" });
    for _ in 0..4 {
        world.orchestrator.answer("POST /v1/caps", 403, &refusal);
        world.orchestrator.answer("PUT /v1/ceilings", 403, &refusal);
    }
    let cases: [(&[&str], &[&str]); 4] = [
        (&["billing", "update", "--limit", "200", "--provider", "slipway"], &["/limits?agent=agt_", "provider=slipway", "amount=200.00"]),
        (
            &["billing", "limit", "--limit", "50", "--project", "shop", "--period", "day"],
            &["scope=project", "subject=shop", "period=day", "amount=50.00", "#ceilings"],
        ),
        (
            &["billing", "update", "--limit", "9.50", "--project", "shop", "--environment", "production"],
            &["scope=environment", "subject=shop%2Fproduction", "period=month"],
        ),
        (&["billing", "update", "--none", "--category", "hosting"], &["scope=category", "subject=hosting"]),
    ];
    for (words, parts) in cases {
        let ran = world.run(&[words, &["--json"]].concat());
        let error = &ran.envelope()["error"];
        assert_eq!((ran.code, error["code"].as_str()), (8, Some("BROWSER_AUTH_REQUIRED")), "{words:?}");
        let url = error["details"]["url"].as_str().unwrap();
        for part in parts {
            assert!(url.contains(part), "`{part}` is missing in {url}");
        }
    }
    assert_eq!(world.orchestrator.requests("POST /v1/caps").len(), 1);
    let sent = world.orchestrator.requests("PUT /v1/ceilings");
    assert_eq!((sent.len(), &sent[0].json()["amount_minor"]), (3, &json!(5_000)));
}

#[test]
fn what_is_no_limit_is_refused_before_anything_is_sent() {
    let world = World::ready();
    for words in [
        &["billing", "update"][..],
        &["billing", "update", "--limit", "ten"],
        &["billing", "update", "--limit", "1", "--currency", "XXX"],
        &["billing", "update", "--limit", "1", "--period", "year"],
        &["billing", "update", "--limit", "1", "--project", "a", "--category", "b"],
        &["billing", "update", "--limit", "1", "--none"],
        &["spend", "--by", "colour"],
        &["spend", "--month", "2026-11", "--by", "day"],
        &["spend", "--project", "shop"],
        &["budget", "set", "300", "--threshold", "half"],
        &["up", "--allow", "nowhere"],
    ] {
        let ran = world.run(&[words, &["--json"]].concat());
        assert_eq!(ran.code, 2, "{words:?}: {}", ran.stdout);
    }
    assert!(world.orchestrator.requests("PUT /v1/ceilings").is_empty() && world.orchestrator.requests("POST /v1/caps").is_empty());
}

#[test]
fn a_person_sets_a_budget_and_an_agent_cannot() {
    let world = World::ready();
    let refusal = json!({ "code": "agent_not_allowed", "kind": "needs_person", "detail": "no" });
    for route in ["PUT /v1/budgets", "PUT /v1/ceilings/zone", "POST /v1/webhooks", "POST /v1/webhooks/whk_1/rotate"] {
        world.orchestrator.answer(route, 403, &refusal);
    }
    let cases: [(&[&str], &str, &str); 4] = [
        (
            &["budget", "set", "300", "--project", "shop", "--threshold", "66.5,100", "--action", "freeze"],
            "PUT /v1/budgets",
            "/limits?form=budget&amount=300.00&scope=project&subject=shop&period=month&currency=USD&action=freeze&act_at=100&thresholds=66.5%2C+100#budgets",
        ),
        (&["billing", "update", "--zone", "Europe/Berlin"], "PUT /v1/ceilings/zone", "/limits#ceilings"),
        (&["webhook", "add", "https://example.com/x"], "POST /v1/webhooks", "/webhooks?url=https%3A%2F%2Fexample.com%2Fx"),
        (&["webhook", "rotate", "whk_1"], "POST /v1/webhooks/whk_1/rotate", "/webhooks#whk_1"),
    ];
    for (words, route, page) in cases {
        let ran = world.run(&[words, &["--json"]].concat());
        let error = &ran.envelope()["error"];
        assert_eq!((ran.code, error["code"].as_str()), (8, Some("BROWSER_AUTH_REQUIRED")), "{words:?}");
        assert!(error["details"]["url"].as_str().unwrap().ends_with(page), "{words:?}: {error}");
        assert_eq!(world.orchestrator.requests(route).len(), 1, "{words:?} is not recorded");
    }
}

#[test]
fn limits_and_sums_are_shown_without_bars_where_nobody_watches() {
    let world = World::ready();
    let billing = json!({ "month": "2026-11", "zone": "UTC", "caps": [cap()], "ceilings": [], "budgets": [], "payment_method": null });
    world.orchestrator.answer("GET /v1/billing", 200, &billing);
    let ran = world.run(&["billing", "show"]);
    assert!(ran.code == 0 && ran.stdout.contains("slipway") && ran.stdout.contains("USD 95.00"), "{}", ran.stdout);
    assert!(!ran.stdout.contains('█') && !ran.stdout.contains("##"), "{}", ran.stdout);
    let money = |minor: i64| json!({ "amount_minor": minor, "currency": "USD" });
    let row = json!({ "key": "shop", "charges": 2, "charged": money(7_50), "refunded": money(0), "paid": money(7_50) });
    for _ in 0..2 {
        world.orchestrator.answer("GET /v1/spend/report", 200, &json!({ "by": "project", "rows": [row] }));
    }
    let ran = world.run(&["spend", "--by", "project", "--since", "2026-10"]);
    assert!(ran.stdout.contains("shop") && ran.stdout.contains("USD 7.50"), "{}", ran.stdout);
    let ran: Ran = world.run(&["spend", "--by", "project", "--csv"]);
    assert_eq!(ran.stdout, "project,currency,charges,charged_minor,refunded_minor,paid_minor,paid\r\nshop,USD,2,750,0,750,7.50\r\n");
    world.orchestrator.answer_raw("GET /v1/statement", 200, "charge,at\r\nchg_1,\"a\u{1b}[2J\"\r\n");
    let ran = world.run(&["spend", "--csv"]);
    assert_eq!(ran.stdout, "charge,at\r\nchg_1,\"a\u{fffd}[2J\"\r\n", "line ends stay, and nothing drives the terminal");
}
