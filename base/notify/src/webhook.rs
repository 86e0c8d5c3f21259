//! Signed messages to programs, as Standard Webhooks 1.0 has them (https://www.standardwebhooks.com).
//!
//! A message has an id, the moment of the try, and a body; `v1` is HMAC-SHA256 over `id.timestamp.body` with a secret that is written
//! `whsec_` and base64. While a secret is being replaced the message carries a signature by each of the two. The same id with every
//! try lets the receiver take a message once; the timestamp lets it refuse an old one that somebody sends again.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use purser_crypto::mac::hmac_sha256;
use purser_values::{Env, Secret, Timestamp};

const PREFIX: &str = "whsec_";
/// Bytes of a new secret; the specification wants 24 to 64.
const SECRET_BYTES: usize = 32;

/// The names of the three headers.
pub const ID: &str = "webhook-id";
pub const TIMESTAMP: &str = "webhook-timestamp";
pub const SIGNATURE: &str = "webhook-signature";

/// What sender and receiver share.
#[derive(Clone, Debug)]
pub struct WebhookSecret(Secret<Vec<u8>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a secret of a webhook is `whsec_` and the base64 of 24 to 64 bytes")]
pub struct ParseWebhookSecretError;

impl WebhookSecret {
    #[must_use]
    pub fn mint(env: &Env) -> Self {
        Self(Secret::new(env.bytes::<SECRET_BYTES>().to_vec()))
    }

    /// # Errors
    /// When the text is none.
    pub fn parse(text: &Secret<String>) -> Result<Self, ParseWebhookSecretError> {
        let encoded = text.expose().strip_prefix(PREFIX).ok_or(ParseWebhookSecretError)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| ParseWebhookSecretError)?;
        if (24..=64).contains(&bytes.len()) { Ok(Self(Secret::new(bytes))) } else { Err(ParseWebhookSecretError) }
    }

    /// As the receiver gets it, once.
    #[must_use]
    pub fn text(&self) -> Secret<String> {
        Secret::new(format!("{PREFIX}{}", STANDARD.encode(self.0.expose())))
    }

    fn sign(&self, id: &str, at: &str, body: &[u8]) -> String {
        let mac = hmac_sha256(self.0.expose(), &[id.as_bytes(), b".", at.as_bytes(), b".", body]);
        format!("v1,{}", STANDARD.encode(mac))
    }
}

/// The headers of one try, by name. Ids hold no full stop, so nothing of one part can be taken for another.
#[must_use]
pub fn headers(id: &str, at: Timestamp, body: &[u8], secrets: &[WebhookSecret]) -> [(&'static str, String); 3] {
    let at = at.as_secs().to_string();
    let signatures: Vec<String> = secrets.iter().map(|secret| secret.sign(id, &at, body)).collect();
    [(ID, id.to_owned()), (TIMESTAMP, at), (SIGNATURE, signatures.join(" "))]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's reference libraries.
    #[test]
    fn the_signature_is_that_of_the_reference_libraries() {
        let secret = WebhookSecret::parse(&Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned())).unwrap();
        let body = br#"{"test": 2432232314}"#;
        let [id, at, signature] = headers("msg_p5jXN8AQM9LWM0D4loKWxJek", Timestamp::from_secs(1_614_265_330), body, &[secret]);
        assert_eq!((id.1.as_str(), at.1.as_str()), ("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330"));
        assert_eq!(signature, (SIGNATURE, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=".to_owned()));
    }

    #[test]
    fn a_secret_reads_back_is_never_shown_and_what_is_none_is_refused() {
        let (env, _) = Env::test(Timestamp::from_secs(1_795_435_200), 1);
        let secret = WebhookSecret::mint(&env);
        let text = secret.text();
        assert_eq!(WebhookSecret::parse(&text).unwrap().text().expose(), text.expose());
        assert!(!format!("{secret:?}").contains(&text.expose()["whsec_".len()..]));
        for bad in ["", "whsec_", "whsec_AAAA", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!"] {
            assert!(WebhookSecret::parse(&Secret::new(bad.to_owned())).is_err(), "`{bad}` was taken");
        }
    }

    #[test]
    fn while_a_secret_is_replaced_both_sign() {
        let (env, _) = Env::test(Timestamp::from_secs(1_795_435_200), 1);
        let two = [WebhookSecret::mint(&env), WebhookSecret::mint(&env)];
        let [.., (_, signatures)] = headers("alr_1", env.now(), b"{}", &two);
        let one = |secret: &WebhookSecret| headers("alr_1", env.now(), b"{}", std::slice::from_ref(secret))[2].1.clone();
        assert_eq!(signatures, format!("{} {}", one(&two[0]), one(&two[1])));
    }
}
