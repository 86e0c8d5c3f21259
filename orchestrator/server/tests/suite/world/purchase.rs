//! Something that an agent bought and its provider charges.

use purser_authority::action::{ChargeCreate, ResourceAdd};
use purser_authority::{Attempt, Caller, Facts, GrantScope, Reach, authorise};
use purser_db::DbError;
use purser_provisioning::perform;
use purser_spend::charge::{self, ChargeAsk, ChargeError, ChargeStep};
use purser_spend::hold::{self, Purchase};
use purser_spend::quote::{Line, Quote, Recurs};
use purser_spend::rail::RailOutcome;
use purser_spend::{Spender, token};
use purser_values::id::{ChargeId, ResourceId};
use purser_values::{Currency, Money, Secret, Sha256Digest};

use super::World;

/// What is sold: lines with these names at one price each, of which the last is charged.
#[derive(Clone)]
pub struct Sale {
    pub provider: &'static str,
    pub lines: &'static [&'static str],
    pub minor: i64,
    pub description: String,
}

/// The token of the purchase, and the charge that was captured.
pub struct Bought {
    pub token: Secret<String>,
    pub charged: ChargeId,
}

impl World {
    /// The whole way of it, with everything that follows from it in the queue.
    pub async fn bought(&self, caller: &Caller, sale: Sale) -> Bought {
        let (env, who) = (self.env.clone(), caller.clone());
        let begun = self.front.core.db.write::<_, DbError, _>(move |tx| {
            let Caller::Agent { agent, grant, organisation, .. } = who.clone() else { panic!("an agent buys") };
            let scope = GrantScope {
                projects: Reach::only([]),
                environments: Reach::All,
                providers: Reach::only([]),
                services: Reach::All,
                actions: vec!["resource_add".to_owned()],
                cap_per_provider_month: Money::zero(Currency::USD),
                caps: std::collections::BTreeMap::new(),
                total: None,
                irreversible: false,
                export: false,
                expires_at: env.now().plus_secs(60),
            };
            let adding = authorise::<ResourceAdd>(&who, &Facts { grant: Some(&scope), ..Facts::new(env.now(), "x") }).unwrap();
            let provider = Caller::Provider { provider: sale.provider.parse().unwrap() };
            let charging = authorise::<ChargeCreate>(&provider, &Facts::new(env.now(), "x")).unwrap();
            let amount = Money::from_minor(sale.minor, Currency::USD);
            let line = |id: &&str| Line { id: (*id).to_owned(), description: sale.description.clone(), amount, recurs: Recurs::Once };
            let lines: Vec<Line> = sale.lines.iter().map(line).collect();
            let purchase = Purchase {
                spender: Spender { organisation, agent },
                grant,
                total: None,
                above: Vec::new(),
                provider: sale.provider.parse().unwrap(),
                project: "shop".parse().unwrap(),
                environment: "production".parse().unwrap(),
                categories: vec!["hosting".to_owned()],
                resource: ResourceId::mint(&env),
                quote: Quote { id: "q".to_owned(), digest: Sha256Digest::of(b"q"), lines, irreversible: false },
                by_credit: std::collections::BTreeMap::new(),
                irreversible_allowed: false,
                key: ResourceId::mint(&env).to_string(),
                limits_url: String::new(),
                card_url: String::new(),
            };
            let held = hold::place(tx, &env, &adding, &purchase).unwrap().value;
            let plain = token::issue(tx, &env, &adding, &held.id).unwrap().value.plain;
            let line = (*sale.lines.last().unwrap()).to_owned();
            let (key, token, quote) = (purchase.key, Secret::new(plain.expose().clone()), "q".to_owned());
            let ask = ChargeAsk { key, token, quote, line, amount, remote_resource: None, period: None };
            let ChargeStep::Capture(order) = charge::begin(tx, &env, &charging, &ask).unwrap().value else { panic!("it is captured") };
            Ok(Bought { token: plain, charged: order.charge })
        });
        let bought = begun.await.unwrap();
        let (id, env) = (bought.charged.clone(), self.env.clone());
        let attempt = Attempt::new("charge_create", &Caller::System, id.as_str());
        let captured = perform(&self.front.core, attempt, move |tx| {
            charge::finish(tx, &env, &id, &RailOutcome::Captured { reference: "r".to_owned() })
        });
        captured.await.map_err(|e: ChargeError| e.to_string()).unwrap();
        bought
    }
}
