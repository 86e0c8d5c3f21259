//! What a provider sends wrongly about money: each has a stable code with its line in the list of errors, and the ledger stays as it is.

use crate::world::World;
use crate::world::purchase::Sale;
use purser_authority::Caller;
use purser_db::{DbError, Row, params};
use purser_spend::freeze;
use purser_values::id::{AgentId, ChargeId};
use serde_json::{Value, json};

const PAGE: &str = include_str!("../../../../docs/errors/README.md");
const LINE_MINOR: i64 = 5_00;
const CHARGES: &str = "/v2/provisioning/charges";

/// What was bought at the provider: a line that waits to be charged, and one that was.
struct Bought {
    agent: AgentId,
    token: String,
    charged: ChargeId,
}

async fn bought(world: &World, caller: &Caller) -> Bought {
    let sale = Sale { provider: "market", lines: &["a", "b"], minor: LINE_MINOR, description: "a line".to_owned() };
    let bought = world.bought(caller, sale).await;
    Bought { agent: caller.agent().unwrap().clone(), token: bought.token.expose().clone(), charged: bought.charged }
}

/// Everything that is money, as rows.
async fn ledger(world: &World) -> Vec<String> {
    let read = world.front.core.db.read::<_, DbError, _>(|tx| {
        let mut all = Vec::new();
        for select in [
            "select id, currency, balance from ledger_account order by id",
            "select subject, id, source, target, amount, currency from ledger_transfer order by subject, id",
            "select id, state, amount from spend_hold order by id",
            "select hold, line, period, amount, state from spend_hold_line order by hold, line, period",
            "select id, state from payment_token order by id",
            "select id, amount from spend_charge where state <> 'refused' order by id",
            "select id, amount from spend_refund order by id",
        ] {
            all.extend(tx.query(select, params![])?.iter().map(|row: &Row| format!("{row:?}")));
        }
        Ok(all)
    });
    read.await.unwrap()
}

/// A body in which one field is another.
fn with(body: &Value, field: &str, value: &Value) -> String {
    let mut body = body.clone();
    body[field] = value.clone();
    body.to_string()
}

#[tokio::test]
async fn whatever_a_provider_sends_wrongly_has_its_code_and_moves_no_money() {
    let world = World::new().await;
    let mut person = world.person("ada@example.test").await;
    let (agent, tokens) = world.granted(&mut person).await;
    let caller = world.call(&agent, tokens["access_token"].as_str().unwrap()).await.unwrap().caller;
    let provider = world.provider("market").await;
    let bought = bought(&world, &caller).await;
    let before = ledger(&world).await;

    let good = json!({
        "payment_token": bought.token, "quote_id": "q", "quote_line_id": "a", "amount_minor": LINE_MINOR, "currency": "USD",
    });
    let huge: Value = serde_json::from_str("92233720368547758080").unwrap();
    let table = [
        ("a negative amount", with(&good, "amount_minor", &json!(-1)), 200, "amount_invalid"),
        ("nothing", with(&good, "amount_minor", &json!(0)), 200, "amount_invalid"),
        ("the largest number", with(&good, "amount_minor", &json!(i64::MAX)), 200, "amount_over_line"),
        ("a number beyond its type", with(&good, "amount_minor", &huge), 400, "invalid_body"),
        ("a fraction of a cent", with(&good, "amount_minor", &json!(1.5)), 400, "invalid_body"),
        ("an amount as text", with(&good, "amount_minor", &json!("500")), 400, "invalid_body"),
        ("no amount", with(&good, "amount_minor", &Value::Null), 400, "invalid_body"),
        ("a currency that nobody knows", with(&good, "currency", &json!("ABC")), 400, "invalid_body"),
        ("gold", with(&good, "currency", &json!("XAU")), 400, "invalid_body"),
        ("another currency", with(&good, "currency", &json!("EUR")), 200, "currency_mismatch"),
        ("a currency without cents", with(&good, "currency", &json!("JPY")), 200, "currency_mismatch"),
        ("more than the line", with(&good, "amount_minor", &json!(LINE_MINOR + 1)), 200, "amount_over_line"),
        ("another quote", with(&good, "quote_id", &json!("other")), 200, "quote_mismatch"),
        ("a line that is not there", with(&good, "quote_line_id", &json!("z")), 200, "line_unknown"),
        ("a line that was charged", with(&good, "quote_line_id", &json!("b")), 200, "line_charged"),
        ("a token that nobody made", with(&good, "payment_token", &json!("spt_nobody")), 200, "payment_token_unknown"),
    ];
    for (n, (what, body, status, code)) in table.iter().enumerate() {
        let (answered, said) = provider.post(CHARGES, &format!("bad-{n}"), body.clone()).await;
        assert_eq!((answered.as_u16(), said["code"].as_str()), (*status, Some(*code)), "{what}: {said}");
        assert!(PAGE.contains(&format!("`{code}`")), "`{code}` has no line in docs/errors");
        assert_eq!(ledger(&world).await, before, "{what} moved something");
    }
    // The key is bound to what came with it first, also when that was refused.
    let (status, said) = provider.post(CHARGES, "bad-0", good.to_string()).await;
    assert_eq!((status.as_u16(), said["code"].as_str()), (409, Some("idempotency_key_reused")), "{said}");

    let refunds = format!("{CHARGES}/{}/refunds", bought.charged);
    let back = json!({ "amount_minor": LINE_MINOR, "currency": "USD" });
    for (n, (what, path, body, status, code)) in [
        ("more than was charged", &refunds, with(&back, "amount_minor", &json!(LINE_MINOR + 1)), 409, "refund_over_charge"),
        ("less than nothing", &refunds, with(&back, "amount_minor", &json!(-1)), 400, "amount_invalid"),
        ("nothing back", &refunds, with(&back, "amount_minor", &json!(0)), 400, "amount_invalid"),
        ("half a cent back", &refunds, with(&back, "amount_minor", &json!(0.5)), 400, "invalid_body"),
        ("euros for dollars", &refunds, with(&back, "currency", &json!("EUR")), 400, "currency_mismatch"),
        ("of no charge", &format!("{CHARGES}/chg_x/refunds"), back.to_string(), 404, "not_found"),
    ]
    .into_iter()
    .enumerate()
    {
        let (answered, said) = provider.post(path, &format!("back-{n}"), body).await;
        assert_eq!((answered.as_u16(), said["code"].as_str()), (status, Some(code)), "{what}: {said}");
        assert!(PAGE.contains(&format!("`{code}`")), "`{code}` has no line in docs/errors");
        assert_eq!(ledger(&world).await, before, "{what} moved something");
    }

    let (of, now) = (bought.agent.clone(), world.env.now());
    world.front.core.db.write(move |tx| freeze::apply(tx, &of, true, now)).await.unwrap();
    let (status, said) = provider.post(CHARGES, "frozen", good.to_string()).await;
    assert_eq!((status.as_u16(), said["code"].as_str()), (200, Some("agent_frozen")), "{said}");
    assert!(PAGE.contains("`agent_frozen`"));
    assert_eq!(ledger(&world).await, before, "a frozen agent was charged");
}
