//! OAuth clients of the world: software at another company, with PKCE, keys and no manners.

use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use purser_crypto::encoding::b64url;
use purser_crypto::jose::{Algorithm, SigningKey};
use purser_values::Sha256Digest;
use serde_json::{Value, json};

use super::{Answer, Browser, World, answer};

pub const CALLBACK: &str = "https://app.example/cb";

/// A registered client and the secrets of its requests.
#[derive(Clone, Debug)]
pub struct Client {
    pub id: String,
    pub secret: Option<String>,
    pub information: Value,
    pub key: SigningKey,
    pub verifier: String,
}

/// What came back at the redirect address.
#[derive(Debug)]
pub struct Back {
    pub to: String,
    pub parameters: std::collections::BTreeMap<String, String>,
}

impl Back {
    pub fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
        let url: url::Url = answer.location().parse().unwrap_or_else(|_| panic!("not an absolute address: {}", answer.location()));
        let parameters = url.query_pairs().map(|(n, v)| (n.into_owned(), v.into_owned())).collect();
        let mut to = url;
        to.set_query(None);
        Self { to: to.into(), parameters }
    }

    pub fn get(&self, name: &str) -> &str {
        self.parameters.get(name).unwrap_or_else(|| panic!("no `{name}` in {self:?}"))
    }
}

pub fn query(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

impl World {
    /// One request to an endpoint for clients.
    pub async fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: String) -> Answer {
        let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(&self.router, request.body(Body::from(body)).unwrap()).await
    }

    /// A form to an endpoint for clients.
    pub async fn form(&self, path: &str, headers: &[(&str, &str)], fields: &[(&str, &str)]) -> (StatusCode, Value) {
        let mut all = vec![("content-type", "application/x-www-form-urlencoded")];
        all.extend_from_slice(headers);
        let found = self.request("POST", path, &all, query(fields)).await;
        (found.status, serde_json::from_str(&found.body).unwrap_or(Value::Null))
    }

    pub async fn register(&self, metadata: Value) -> (StatusCode, Value) {
        let found = self.request("POST", "/oauth/register", &[("content-type", "application/json")], metadata.to_string()).await;
        (found.status, serde_json::from_str(&found.body).unwrap_or(Value::Null))
    }

    /// A client that registers itself with the given metadata over the usual ones.
    pub async fn client(&self, over: Value) -> Client {
        let mut metadata = json!({
            "client_name": "App",
            "redirect_uris": [CALLBACK],
            "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token"],
        });
        for (name, value) in over.as_object().unwrap() {
            metadata[name] = value.clone();
        }
        let (status, information) = self.register(metadata).await;
        assert_eq!(status, StatusCode::CREATED, "{information}");
        Client {
            id: information["client_id"].as_str().unwrap().to_owned(),
            secret: information["client_secret"].as_str().map(str::to_owned),
            information,
            key: SigningKey::generate(Algorithm::Es256).unwrap(),
            verifier: b64url(&self.env.bytes::<32>()),
        }
    }

    /// A DPoP proof by a client's key.
    pub fn proof_of(&self, client: &Client, method: &str, path: &str, token: Option<&str>) -> String {
        let ath = token.map(|t| b64url(Sha256Digest::of(t.as_bytes()).as_bytes()));
        let claims = json!({
            "htm": method, "htu": self.front.realm.url(path), "iat": self.env.now().as_secs(), "jti": b64url(&self.env.bytes::<16>()), "ath": ath,
        });
        client.key.sign_with_jwk("dpop+jwt", &claims).unwrap()
    }

    /// Redeems a code as a public client does.
    pub async fn redeem(&self, client: &Client, code: &str) -> (StatusCode, Value) {
        self.form("/oauth/token", &[], &client.redeem(code)).await
    }

    pub async fn userinfo(&self, token: &str) -> (StatusCode, Value) {
        let bearer = format!("Bearer {token}");
        let found = self.request("GET", "/oauth/userinfo", &[("authorization", &bearer)], String::new()).await;
        (found.status, serde_json::from_str(&found.body).unwrap_or(Value::Null))
    }
}

impl Client {
    pub fn challenge(&self) -> String {
        b64url(Sha256Digest::of(self.verifier.as_bytes()).as_bytes())
    }

    /// The parameters of an authorization request, with changes; an empty value leaves one out.
    pub fn asks<'a>(&'a self, challenge: &'a str, change: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let mut fields = vec![
            ("client_id", self.id.as_str()),
            ("response_type", "code"),
            ("redirect_uri", CALLBACK),
            ("scope", "openid email"),
            ("state", "st4te"),
            ("nonce", "n0nce"),
            ("code_challenge", challenge),
            ("code_challenge_method", "S256"),
        ];
        for (name, value) in change {
            fields.retain(|(n, _)| n != name);
            if !value.is_empty() {
                fields.push((name, value));
            }
        }
        fields
    }

    pub fn redeem<'a>(&'a self, code: &'a str) -> Vec<(&'a str, &'a str)> {
        vec![
            ("grant_type", "authorization_code"),
            ("client_id", &self.id),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", &self.verifier),
        ]
    }
}

impl Browser {
    /// Brings a request; what comes back is our page or an answer.
    pub async fn authorize(&mut self, client: &Client, change: &[(&str, &str)]) -> Answer {
        let challenge = client.challenge();
        self.get(&format!("/oauth/authorize?{}", query(&client.asks(&challenge, change)))).await
    }

    /// Brings a request, accepts on the page, and gives the answer.
    pub async fn allows(&mut self, client: &Client, change: &[(&str, &str)]) -> Back {
        let to_page = self.authorize(client, change).await;
        assert_eq!(to_page.status, StatusCode::SEE_OTHER, "{}", to_page.body);
        let page = self.get(to_page.location()).await;
        assert_eq!(page.status, StatusCode::OK, "{} {:?}", page.body, page.headers.get(header::LOCATION));
        Back::of(&self.submit(&page, 1, &[], Some(("decision", "accept"))).await)
    }
}
