//! Agents that let helpers in, by token exchange (RFC 8693).

use http::StatusCode;
use purser_crypto::encoding::b64url;
use serde_json::{Value, json};

use super::{Agent, Browser, World};

pub const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
pub const ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";
pub const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

impl World {
    /// An agent that may let others in.
    pub async fn delegator(&self, person: &mut Browser) -> (Agent, Value) {
        let agent = self.agent();
        let asked = agent.ask(&[("project", "shop"), ("providers", "slipway"), ("delegate", "1"), ("cap_minor", "5000")]).await;
        let page = person.get(&format!("/device?user_code={}", asked["user_code"].as_str().unwrap())).await;
        let after = person.submit(&page, 1, &[], Some(("decision", "accept"))).await;
        assert_eq!(after.status, StatusCode::SEE_OTHER, "{}", after.body);
        let (status, tokens) = agent.poll(&asked).await;
        assert_eq!(status, StatusCode::OK, "{tokens}");
        (agent, tokens)
    }
}

impl Agent {
    /// A helper's word that it wants to act, changed where a test wants it.
    pub fn statement(&self, change: &[(&str, Value)]) -> String {
        let now = self.env.now().as_secs();
        let mut claims =
            json!({ "aud": self.issuer, "jti": b64url(&self.env.bytes::<16>()), "iat": now, "exp": now + 60, "name": "Tester" });
        for (name, value) in change {
            claims[*name] = value.clone();
        }
        self.key.sign_with_jwk("agent+jwt", &claims).unwrap()
    }

    pub async fn exchange(&self, subject: &str, statement: &str, details: &str) -> (StatusCode, Value) {
        let fields = [
            ("grant_type", EXCHANGE),
            ("subject_token", subject),
            ("subject_token_type", ACCESS),
            ("actor_token", statement),
            ("actor_token_type", JWT),
            ("authorization_details", details),
        ];
        self.post("/oauth/token", &fields).await
    }

    /// Lets a helper in, within what these tokens allow.
    pub async fn let_in(&self, tokens: &Value, helper: &Agent, details: &str) -> (StatusCode, Value) {
        self.exchange(tokens["access_token"].as_str().unwrap(), &helper.statement(&[]), details).await
    }
}
