//! An organisation with one of everything that a route or a page can name.

use purser_authority::Caller;
use purser_db::{DbError, params};
use purser_identity::approval::{ApprovalError, Ask, approval_request};
use purser_spend::credit::{Programme, programmes_keep};
use purser_values::id::{PersonId, SagaId};
use purser_values::{Currency, Money};
use serde_json::{Value, json};

use super::{Agent, Browser, World};

/// The ids of it all.
pub struct Standing {
    pub agent: String,
    pub grant: String,
    /// A resource that is being made, and its saga.
    pub resource: String,
    pub saga: String,
    /// Another member of the organisation, who keeps its cards.
    pub member: String,
    pub invitation: String,
    /// What the agent has asked a person's yes for.
    pub approval: String,
    /// A registered client, and workloads that are let in.
    pub client: String,
    pub trust: String,
    pub budget: String,
    pub webhook: String,
    /// An application for credit that waits.
    pub credit: String,
}

/// The canonical text of what is asked for.
pub const REQUEST: &str = "{}";

impl World {
    /// All of it for the organisation of an agent that may let others in, and of its person.
    pub async fn standing(&self, agent: &Agent, tokens: &Value, person: &mut Browser) -> Standing {
        let Caller::Agent { organisation, .. } = self.caller(agent, tokens).await else { panic!("an agent calls") };
        let text = |name: &str| tokens[name].as_str().unwrap().to_owned();
        let resource = self.resource(agent, tokens, "slipway").await;
        let saga = SagaId::mint(&self.env);
        let (env, id, state, of) = (self.env.clone(), saga.clone(), json!({ "resource": resource }).to_string(), organisation.clone());
        let begin = move |tx: &mut purser_db::Tx<'_>| purser_flow::begin(tx, &env, &id, "resource_remove", of.as_str(), &state);
        self.front.core.db.write::<_, DbError, _>(begin).await.unwrap();

        let member = PersonId::mint(&self.env);
        let (joins, of) = (member.clone(), organisation);
        let join = move |tx: &mut purser_db::Tx<'_>| {
            tx.execute("insert into person (id, email, created_at) values ($1, $2, 0)", params![joins, "cal@example.test"])?;
            tx.execute("insert into membership (organisation, person, role, created_at) values ($1, $2, 'billing', 0)", params![of, joins])
        };
        self.front.core.db.write::<_, DbError, _>(join).await.unwrap();

        let terminal = self.terminal(person).await;
        let made_by = async |method: &str, path: &str, body: Value| {
            let (status, made) = self.api(Some((&terminal.0, &terminal.1)), method, path, "application/json", body.to_string()).await;
            assert!(status.is_success(), "{path}: {status} {made}");
            made
        };
        let make = async |path: &str, body: Value| made_by("POST", path, body).await;
        let invited = make("/v1/organisation/invitations", json!({ "email": "dee@example.test", "role": "member" })).await;
        let client = make("/v1/clients", json!({ "redirect_uris": ["https://app.test/cb"] })).await;
        let workload = json!({
            "grant": text("grant_id"), "name": "CI", "issuer": "https://ci.example", "audience": "purser",
            "subject": "repo:acme/shop", "authorization_details": [{ "type": "purser_grant" }], "life_s": 600,
        });
        let trust = make("/v1/workload_trusts", workload).await;
        let budget = made_by("PUT", "/v1/budgets", json!({ "scope": "organisation", "amount_minor": 50_000 })).await;
        let webhook = make("/v1/webhooks", json!({ "url": "https://hooks.example/first" })).await;
        let programme = Programme {
            provider: "slipway".parse().unwrap(),
            id: "start-up".to_owned(),
            title: "Start-up".to_owned(),
            description: String::new(),
            amount: Money::from_minor(100_000_00, Currency::USD),
            months: 12,
            covers: vec!["plans".to_owned()],
        };
        let now = self.env.now();
        let offer = move |tx: &mut purser_db::Tx<'_>| programmes_keep(tx, &programme.provider, std::slice::from_ref(&programme), now);
        self.front.core.db.write::<_, DbError, _>(offer).await.unwrap();
        let credit = make("/v1/credits", json!({ "provider": "slipway", "programme": "start-up", "evidence": "we are young" })).await;
        let id = |made: &Value, name: &str| made[name].as_str().unwrap().to_owned();
        Standing {
            agent: text("agent_id"),
            grant: text("grant_id"),
            resource,
            saga: saga.to_string(),
            member: member.to_string(),
            invitation: id(&invited, "invitation"),
            approval: self.approval(agent, tokens).await,
            client: id(&client, "client_id"),
            trust: id(&trust, "id"),
            budget: id(&budget["budget"], "id"),
            webhook: id(&webhook["webhook"], "id"),
            credit: id(&credit, "id"),
        }
    }

    /// An approval that the agent has asked for and nobody has given.
    pub async fn approval(&self, agent: &Agent, tokens: &Value) -> String {
        let context = self.call(agent, tokens["access_token"].as_str().unwrap()).await.unwrap();
        let realm = self.front.realm.clone();
        let ask = move |tx: &mut purser_db::Tx<'_>| {
            let permit = purser_authority::authorise(&context.caller, &context.facts(realm.env.now(), "x"))?;
            let ask = Ask {
                verb: "resource_add".to_owned(),
                request: REQUEST.to_owned(),
                summary: "add it".to_owned(),
                facts: Value::Null,
                reason: "it is needed".to_owned(),
                second_person: false,
                open_price: false,
            };
            approval_request(tx, &realm, &permit, &ask)
        };
        self.front.core.db.write::<_, ApprovalError, _>(ask).await.unwrap().value.id.to_string()
    }
}
