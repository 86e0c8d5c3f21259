//! Passkeys against an authenticator that somebody else wrote (the `passkey` crate), and against one that lies.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use ciborium::{Value, cbor};
use passkey::authenticator::{Authenticator, UiHint, UserCheck, UserValidationMethod};
use passkey::client::{Client, DefaultClientData};
use passkey::crypto::AvailableBackend;
use passkey::types::Passkey;
use passkey::types::ctap2::{Aaguid, Ctap2Error};
use purser_crypto::encoding::b64url;
use purser_crypto::jose::{Algorithm, SigningKey};
use purser_crypto::webauthn::{Assertion, Expected, NewCredential, PublicKey, WebauthnError, register, verify};
use purser_values::Sha256Digest;
use serde_json::json;

const ORIGIN: &str = "https://purser.example";
const EXPECTED: Expected<'static> = Expected { challenge: &[7; 32], origin: ORIGIN, rp_id: "purser.example" };

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

/// Registers with one algorithm and signs a challenge.
async fn passkey(algorithm: i64, challenge: [u8; 32]) -> (NewCredential, Assertion) {
    let mut client = Client::new(Authenticator::new(Aaguid::new_empty(), None::<Passkey>, Owner, AvailableBackend));
    let url = url::Url::parse(ORIGIN).unwrap();
    let create = json!({ "publicKey": {
        "rp": { "id": "purser.example", "name": "Purser" },
        "user": { "id": b64url(b"per_1"), "name": "ada", "displayName": "ada" },
        "challenge": b64url(&[7; 32]), "pubKeyCredParams": [{ "type": "public-key", "alg": algorithm }],
        "authenticatorSelection": { "residentKey": "required", "requireResidentKey": true, "userVerification": "required" },
    } });
    let made = client.register(&url, serde_json::from_value(create).unwrap(), DefaultClientData).await.unwrap();
    let new = register(EXPECTED, &made.response.client_data_json, &made.response.attestation_object).unwrap();
    assert_eq!(new.id, made.raw_id.to_vec());
    let get = json!({ "publicKey": { "challenge": b64url(&challenge), "rpId": "purser.example", "userVerification": "required" } });
    let signed = client.authenticate(&url, serde_json::from_value(get).unwrap(), DefaultClientData).await.unwrap().response;
    let assertion = Assertion {
        client_data_json: signed.client_data_json.to_vec(),
        authenticator_data: signed.authenticator_data.to_vec(),
        signature: signed.signature.to_vec(),
    };
    (new, assertion)
}

#[tokio::test]
async fn a_passkey_signs_a_challenge_that_we_chose_and_its_kept_key_verifies_it_later() {
    for algorithm in [-7, -8] {
        let digest = Sha256Digest::of(b"a grant");
        let (new, assertion) = passkey(algorithm, *digest.as_bytes()).await;
        let kept = PublicKey::from_cose(new.key.cose()).unwrap();
        assert_eq!(kept, new.key);
        let expected = Expected { challenge: digest.as_bytes(), ..EXPECTED };
        assert!(verify(expected, &kept, &assertion).is_ok(), "{algorithm}");
        for (wrong, why) in [
            (Expected { challenge: &[0; 32], ..expected }, WebauthnError::Challenge),
            (Expected { origin: "https://purser.example:8443", ..expected }, WebauthnError::Origin),
            (Expected { origin: "http://purser.example", ..expected }, WebauthnError::Origin),
            (Expected { rp_id: "example", ..expected }, WebauthnError::Origin),
        ] {
            assert_eq!(verify(wrong, &kept, &assertion).unwrap_err(), why, "{wrong:?}");
        }
        let (other, _) = passkey(algorithm, [7; 32]).await;
        assert_eq!(verify(expected, &other.key, &assertion).unwrap_err(), WebauthnError::Signature);
    }
}

#[tokio::test]
async fn every_changed_byte_of_an_assertion_is_noticed() {
    let (new, good) = passkey(-8, [7; 32]).await;
    assert!(verify(EXPECTED, &new.key, &good).is_ok());
    let changed = |part: fn(&mut Assertion) -> &mut Vec<u8>| {
        for at in 0..part(&mut good.clone()).len() {
            let mut bad = good.clone();
            part(&mut bad)[at] ^= 1;
            assert!(verify(EXPECTED, &new.key, &bad).is_err(), "byte {at}");
        }
    };
    changed(|a| &mut a.client_data_json);
    changed(|a| &mut a.authenticator_data);
    changed(|a| &mut a.signature);
}

/// An authenticator that says what it is told to.
#[derive(Clone)]
struct Liar {
    key: SigningKey,
    flags: u8,
    extra: Vec<u8>,
    client: serde_json::Value,
}

impl Liar {
    fn new() -> Self {
        let client = json!({ "type": "webauthn.get", "challenge": b64url(&[7; 32]), "origin": ORIGIN, "crossOrigin": false, "other": 1 });
        Self { key: SigningKey::generate(Algorithm::EdDsa).unwrap(), flags: 0b1_1101, extra: vec![], client }
    }

    fn public(&self) -> PublicKey {
        PublicKey::from_cose(&okp(self.key.public().public_bytes())).unwrap()
    }

    fn data(&self) -> Vec<u8> {
        let head = [Sha256Digest::of(b"purser.example").as_bytes().as_slice(), &[self.flags], &9_u32.to_be_bytes()].concat();
        [head, self.extra.clone()].concat()
    }

    fn sign(&self) -> Assertion {
        let client_data_json = self.client.to_string().into_bytes();
        let signed = [self.data(), Sha256Digest::of(&client_data_json).as_bytes().to_vec()].concat();
        Assertion { client_data_json, authenticator_data: self.data(), signature: self.key.sign_bytes(&signed).unwrap() }
    }
}

fn bytes(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    ciborium::into_writer(value, &mut out).unwrap();
    out
}

fn okp(x: &[u8]) -> Vec<u8> {
    bytes(&cbor!({ 1 => 1, 3 => -8, -1 => 6, -2 => Value::Bytes(x.to_vec()) }).unwrap())
}

#[test]
fn an_authenticator_without_its_user_or_for_another_page_is_refused_though_the_signature_is_right() {
    let honest = Liar::new();
    let state = verify(EXPECTED, &honest.public(), &honest.sign()).unwrap();
    assert_eq!((state.sign_count, state.backup_eligible, state.backed_up), (9, true, true));

    type Lie = (&'static str, fn(&mut Liar), WebauthnError);
    let cases: [Lie; 11] = [
        ("user not verified", |l| l.flags &= !0b100, WebauthnError::NotVerified),
        ("user not present", |l| l.flags &= !0b1, WebauthnError::NotVerified),
        ("backed up though not eligible", |l| l.flags &= !0b1000, WebauthnError::Form),
        ("bytes after the end", |l| l.extra = vec![0], WebauthnError::Form),
        ("extensions that are not there", |l| l.flags |= 1 << 7, WebauthnError::Form),
        ("a credential that is not there", |l| l.flags |= 1 << 6, WebauthnError::Form),
        ("a registration", |l| l.client["type"] = json!("webauthn.create"), WebauthnError::Type),
        ("another page", |l| l.client["origin"] = json!("https://purser.example.evil.test"), WebauthnError::Origin),
        ("a frame in another page", |l| l.client["crossOrigin"] = json!(true), WebauthnError::Origin),
        ("a top page", |l| l.client["topOrigin"] = json!("https://evil.test"), WebauthnError::Origin),
        ("a longer challenge", |l| l.client["challenge"] = json!(b64url(&[7; 33])), WebauthnError::Challenge),
    ];
    for (what, change, why) in cases {
        let mut liar = Liar::new();
        change(&mut liar);
        assert_eq!(verify(EXPECTED, &liar.public(), &liar.sign()).unwrap_err(), why, "{what}");
    }
    let mut twice = honest.sign();
    twice.client_data_json = br#"{"type":"webauthn.get","type":"webauthn.get","challenge":"","origin":""}"#.to_vec();
    assert_eq!(verify(EXPECTED, &honest.public(), &twice).unwrap_err(), WebauthnError::Form);
}

#[test]
fn a_registration_is_read_whole_or_not_at_all() {
    let liar = Liar { flags: 0b100_0101, ..Liar::new() };
    let client = json!({ "type": "webauthn.create", "challenge": b64url(&[7; 32]), "origin": ORIGIN }).to_string();
    let key = okp(liar.key.public().public_bytes());
    let credential = |id: &[u8], key: &[u8]| [&[0; 16], u16::try_from(id.len()).unwrap().to_be_bytes().as_slice(), id, key].concat();
    let object = |extra: Vec<u8>| {
        let data = Liar { extra, ..liar.clone() }.data();
        bytes(&cbor!({ "fmt" => "none", "attStmt" => {}, "authData" => Value::Bytes(data) }).unwrap())
    };
    let good = object(credential(b"id", &key));
    assert_eq!(register(EXPECTED, client.as_bytes(), &good).unwrap().id, b"id");
    let wrong_curve = bytes(&cbor!({ 1 => 1, 3 => -8, -1 => 7, -2 => Value::Bytes(vec![1; 32]) }).unwrap());
    let short = bytes(&cbor!({ 1 => 1, 3 => -8, -1 => 6, -2 => Value::Bytes(vec![1; 31]) }).unwrap());
    // the algorithm is there twice
    let twice = [vec![0xa5], key[1..].to_vec(), vec![0x03, 0x27]].concat();
    for bad in [
        object(vec![]),
        object(credential(b"", &key)),
        object(credential(b"id", &key[..key.len() - 1])),
        object(credential(b"id", &wrong_curve)),
        object(credential(b"id", &short)),
        object(credential(b"id", &twice)),
        object([credential(b"id", &key), vec![0]].concat()),
        [good.clone(), vec![0]].concat(),
        good[..good.len() - 1].to_vec(),
        bytes(&cbor!({ "fmt" => "none" }).unwrap()),
        vec![0x9f; 400],
        vec![],
    ] {
        assert!(register(EXPECTED, client.as_bytes(), &bad).is_err(), "{bad:02x?}");
    }
}

#[test]
fn an_rsa_key_of_windows_verifies_and_a_short_one_does_not() {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let public = pair.public_key();
    let (n, e) =
        (public.modulus().big_endian_without_leading_zero().to_vec(), public.exponent().big_endian_without_leading_zero().to_vec());
    let cose = |n: Vec<u8>| bytes(&cbor!({ 1 => 3, 3 => -257, -1 => Value::Bytes(n), -2 => Value::Bytes(e.clone()) }).unwrap());
    let liar = Liar::new();
    let mut assertion = liar.sign();
    let signed = [liar.data(), Sha256Digest::of(&assertion.client_data_json).as_bytes().to_vec()].concat();
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), &signed, &mut signature).unwrap();
    assertion.signature = signature;
    assert!(verify(EXPECTED, &PublicKey::from_cose(&cose(n.clone())).unwrap(), &assertion).is_ok());
    let short = PublicKey::from_cose(&cose(n[..128].to_vec())).unwrap();
    assert_eq!(verify(EXPECTED, &short, &assertion).unwrap_err(), WebauthnError::Signature);
}
