//! A person's authenticator: the `passkey` crate, which somebody else wrote.

use passkey::authenticator::{Authenticator, UiHint, UserCheck, UserValidationMethod};
use passkey::client::{Client, DefaultClientData};
use passkey::crypto::AvailableBackend;
use passkey::types::Passkey;
use passkey::types::ctap2::{Aaguid, Ctap2Error};
use purser_crypto::encoding::b64url;
use serde_json::{Value, json};

use super::{Answer, Browser};

struct Owner;

#[async_trait::async_trait]
impl UserValidationMethod for Owner {
    type PasskeyItem = Passkey;
    async fn check_user<'a>(&self, _: UiHint<'a, Passkey>, presence: bool, verification: bool) -> Result<UserCheck, Ctap2Error> {
        Ok(UserCheck { presence, verification })
    }
    fn is_presence_enabled(&self) -> bool {
        true
    }
    fn is_verification_enabled(&self) -> Option<bool> {
        Some(true)
    }
}

/// One authenticator with at most one passkey. A clone of it is a copy of the device.
#[derive(Clone, Default)]
pub struct Key {
    stored: Option<Passkey>,
    /// Whether it counts its uses, as a security key does.
    counts: bool,
}

const ORIGIN: &str = "http://localhost:4000";

impl Key {
    pub fn counting() -> Self {
        Self { counts: true, ..Self::default() }
    }

    /// What `navigator.credentials.create` answers, as the page sends it.
    pub async fn create(&mut self, options: Value) -> String {
        let mut authenticator = Authenticator::new(Aaguid::new_empty(), self.stored.clone(), Owner, AvailableBackend);
        authenticator.set_make_credentials_with_signature_counter(self.counts);
        let mut client = Client::new(authenticator).allows_insecure_localhost(true);
        let options = serde_json::from_value(json!({ "publicKey": options })).unwrap();
        let made = client.register(&url::Url::parse(ORIGIN).unwrap(), options, DefaultClientData).await.unwrap();
        self.stored = client.authenticator().store().clone();
        let response = json!({ "clientDataJSON": b64url(&made.response.client_data_json), "attestationObject": b64url(&made.response.attestation_object) });
        json!({ "id": made.id, "type": "public-key", "response": response }).to_string()
    }

    /// What `navigator.credentials.get` answers.
    pub async fn get(&mut self, options: Value) -> String {
        let mut client = Client::new(Authenticator::new(Aaguid::new_empty(), self.stored.clone(), Owner, AvailableBackend))
            .allows_insecure_localhost(true);
        let options = serde_json::from_value(json!({ "publicKey": options })).unwrap();
        let signed = client.authenticate(&url::Url::parse(ORIGIN).unwrap(), options, DefaultClientData).await.unwrap();
        self.stored = client.authenticator().store().clone();
        let part = &signed.response;
        let response = json!({
            "clientDataJSON": b64url(&part.client_data_json), "authenticatorData": b64url(&part.authenticator_data),
            "signature": b64url(&part.signature), "userHandle": part.user_handle.as_ref().map(|handle| b64url(handle)),
        });
        json!({ "id": signed.id, "type": "public-key", "response": response }).to_string()
    }

    /// Adds a passkey on the person's security page.
    pub async fn add(&mut self, person: &mut Browser, name: &str) -> Answer {
        let page = person.get("/security/passkeys").await;
        let answer = self.create(options(&page)).await;
        person.submit(&page, 1, &[("name", name), ("answer", &answer)], None).await
    }

    /// Signs a browser in from its sign-in page.
    pub async fn sign_in(&mut self, browser: &mut Browser) -> Answer {
        let page = browser.get("/sign-in?next=/agents").await;
        let answer = self.get(options(&page)).await;
        browser.submit(&page, 1, &[("answer", &answer)], None).await
    }

    /// Confirms on a page that asks whether it is the person.
    pub async fn step_up(&mut self, person: &mut Browser, asked: &Answer) -> Answer {
        let answer = self.get(options(asked)).await;
        person.submit(asked, 1, &[("answer", &answer)], None).await
    }
}

/// What the page hands to the browser's authenticator.
pub fn options(page: &Answer) -> Value {
    let text = page.body.split("data-options=\"").nth(1).unwrap_or_else(|| panic!("no passkey is asked for: {}", page.body));
    let text = text.split('"').next().unwrap().replace("&#34;", "\"").replace("&quot;", "\"").replace("&#39;", "'");
    serde_json::from_str(&text).unwrap()
}
