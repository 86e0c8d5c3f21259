//! Messages from Stripe: who signed them, when, and what they are about.
//!
//! `Stripe-Signature: t=SECONDS,v1=HEX[,v1=HEX…]`, each `v1` an HMAC-SHA-256 over `SECONDS.BODY` under one of the endpoint's secrets.
//! While a secret is being replaced there are two of them, on Stripe's side and on ours. Other schemes (`v0`) are for tests and do not count.

use purser_crypto::constant_time_eq;
use purser_crypto::mac::hmac_sha256;
use purser_spend::rail::{Chargeback, ChargebackState, RailEvent, RailNews, WebhookError};
use purser_values::{Currency, Secret, Timestamp};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::amount;
use crate::object::{Dispute, Event};
use crate::rail::NAME;

/// How far a message's time may be from ours, in seconds.
pub const TOLERANCE_S: i64 = 300;
/// Most signatures of one message that are looked at.
const SIGNATURES: usize = 8;

/// # Errors
/// When no secret of ours signed the message in the last minutes, or it cannot be read.
pub fn receive(secrets: &[Secret<String>], header: &str, body: &[u8], now: Timestamp) -> Result<Option<RailEvent>, WebhookError> {
    verify(secrets, header, body, now)?;
    let event: Event = serde_json::from_slice(body).map_err(|e| WebhookError::Form(e.to_string()))?;
    let news = news(&event)?;
    Ok(news.map(|news| RailEvent { rail: NAME.to_owned(), id: event.id, news }))
}

fn verify(secrets: &[Secret<String>], header: &str, body: &[u8], now: Timestamp) -> Result<(), WebhookError> {
    let mut time = None;
    let mut signatures = Vec::new();
    for part in header.split(',') {
        match part.trim().split_once('=') {
            Some(("t", seconds)) if time.is_none() => time = Some(seconds),
            // a second time would leave open which of them was signed
            Some(("t", _)) => return Err(WebhookError::Signature),
            Some(("v1", signature)) if signatures.len() < SIGNATURES => signatures.extend(hex::decode(signature).ok()),
            _ => {}
        }
    }
    let time = time.ok_or(WebhookError::Signature)?;
    let signed = secrets.iter().any(|secret| {
        let mac = hmac_sha256(secret.expose().as_bytes(), &[time.as_bytes(), b".", body]);
        signatures.iter().any(|signature| constant_time_eq(&mac, signature))
    });
    if !signed {
        return Err(WebhookError::Signature);
    }
    let seconds: i64 = time.parse().map_err(|_| WebhookError::Signature)?;
    if now.as_secs().abs_diff(seconds) > TOLERANCE_S.unsigned_abs() {
        return Err(WebhookError::Stale);
    }
    Ok(())
}

/// What the message is about; what is not ours, or says nothing to us, is nothing.
fn news(event: &Event) -> Result<Option<RailNews>, WebhookError> {
    let object = &event.data.object;
    Ok(match event.kind.as_str() {
        kind if kind.starts_with("payment_intent.") => ours(object, "charge").map(RailNews::Charge),
        kind if kind.starts_with("checkout.session.") || kind.starts_with("setup_intent.") => ours(object, "setup").map(RailNews::Setup),
        // The seller took something with a token of ours, or it ended.
        kind if kind.starts_with("shared_payment.issued_token.") => {
            object["shared_metadata"]["charge"].as_str().and_then(|id| id.parse().ok()).map(RailNews::Charge)
        }
        kind if kind.starts_with("charge.dispute.") => chargeback(read(object)?).map(RailNews::Chargeback),
        _ => None,
    })
}

/// The id that we wrote beside the object, if it is one of ours.
fn ours<T: std::str::FromStr>(object: &Value, name: &str) -> Option<T> {
    object["metadata"][name].as_str()?.parse().ok()
}

fn read<T: DeserializeOwned>(object: &Value) -> Result<T, WebhookError> {
    serde_json::from_value(object.clone()).map_err(|e| WebhookError::Form(e.to_string()))
}

fn chargeback(dispute: Dispute) -> Option<Chargeback> {
    let currency: Currency = dispute.currency.to_ascii_uppercase().parse().ok()?;
    let state = match dispute.status.as_str() {
        "won" | "warning_closed" | "prevented" => ChargebackState::Won,
        "lost" => ChargebackState::Lost,
        _ => ChargebackState::Open,
    };
    Some(Chargeback {
        capture: dispute.payment_intent?,
        reference: dispute.id,
        amount: amount::from_stripe(dispute.amount, currency)?,
        reason: dispute.reason,
        state,
    })
}

#[cfg(test)]
mod tests {
    use purser_values::id::ChargeId;
    use purser_values::{Env, Money};

    use super::*;

    const NOW: i64 = 1_780_000_000;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    fn sign(secret: &str, time: i64, body: &[u8]) -> String {
        hex::encode(hmac_sha256(secret.as_bytes(), &[time.to_string().as_bytes(), b".", body]))
    }

    fn take(header: &str, body: &[u8]) -> Result<Option<RailEvent>, WebhookError> {
        receive(&[secret("whsec_new"), secret("whsec_old")], header, body, Timestamp::from_micros(NOW * 1_000_000))
    }

    #[test]
    fn only_what_stripe_signed_just_now_is_taken() {
        let body = br#"{"id":"evt_1","type":"ping","data":{"object":{}}}"#;
        let good = |secret: &str, time: i64| format!("t={time},v1={}", sign(secret, time, body));
        for header in [
            good("whsec_new", NOW),
            good("whsec_old", NOW - TOLERANCE_S),
            format!("t={NOW},v1={},v1={},v0=aa", "ab".repeat(32), sign("whsec_new", NOW, body)),
        ] {
            assert_eq!(take(&header, body), Ok(None), "{header}");
        }
        let old = NOW - TOLERANCE_S - 1;
        assert_eq!(take(&good("whsec_new", old), body), Err(WebhookError::Stale));
        assert_eq!(take(&good("whsec_new", NOW + TOLERANCE_S + 1), body), Err(WebhookError::Stale));
        let v1 = sign("whsec_new", NOW, body);
        for header in [
            String::new(),
            "t=".to_owned(),
            format!("v1={v1}"),
            format!("t={NOW}"),
            format!("t={NOW},v0={v1}"),
            format!("t={NOW},v1={}", &v1[..62]),
            format!("t={old},v1={v1}"),
            format!("t={old},t={NOW},v1={v1}"),
            good("whsec_other", NOW),
        ] {
            assert_eq!(take(&header, body), Err(WebhookError::Signature), "{header}");
        }
        assert_eq!(take(&good("whsec_new", NOW), b"{ }"), Err(WebhookError::Signature), "one byte more or less is another message");
        let garbage = format!("t={NOW},v1={}", sign("whsec_new", NOW, b"garbage"));
        assert!(matches!(take(&garbage, b"garbage"), Err(WebhookError::Form(_))));
    }

    #[test]
    fn messages_are_read_for_what_is_ours() {
        let charge = ChargeId::mint(&Env::test(Timestamp::from_micros(NOW * 1_000_000), 1).0);
        let read = |kind: &str, object: Value| {
            let body = serde_json::json!({"id": "evt_1", "type": kind, "data": {"object": object}}).to_string();
            let header = format!("t={NOW},v1={}", sign("whsec_new", NOW, body.as_bytes()));
            take(&header, body.as_bytes()).unwrap().map(|event| event.news)
        };
        let intent = serde_json::json!({"id": "pi_1", "metadata": {"charge": charge}});
        assert_eq!(read("payment_intent.succeeded", intent), Some(RailNews::Charge(charge)));
        assert_eq!(read("payment_intent.succeeded", serde_json::json!({"id": "pi_1", "metadata": {}})), None);
        assert_eq!(read("customer.created", serde_json::json!({})), None);
        let dispute = |status: &str| serde_json::json!({"id": "dp_1", "amount": 500, "currency": "usd", "reason": "fraudulent", "status": status, "payment_intent": "pi_1"});
        for (status, state) in [("needs_response", ChargebackState::Open), ("won", ChargebackState::Won), ("lost", ChargebackState::Lost)] {
            let Some(RailNews::Chargeback(news)) = read("charge.dispute.updated", dispute(status)) else { panic!("{status}") };
            assert_eq!((news.state, news.amount, news.capture.as_str()), (state, Money::from_minor(500, Currency::USD), "pi_1"));
        }
    }
}
