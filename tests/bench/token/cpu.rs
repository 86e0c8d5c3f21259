//! What a token costs beside its bare signature, in thread time: who else uses the machine meanwhile does not count.

use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use purser_crypto::encoding::b64url_decode;
use purser_crypto::jose::{Algorithm, SigningKey, verify_bytes};
use purser_crypto::seal::Keyring;
use purser_db::{Db, DbConfig};
use purser_identity::client::{Client, RawMetadata, Trust};
use purser_identity::token::{AccessClaims, Confirmation, client_token};
use purser_identity::{Keys, Realm, SignUp, context};
use purser_values::id::{OrganisationId, PersonId, TokenId};
use purser_values::{Env, Secret};
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;

const ISSUER: &str = "https://purser.test";
const ROUNDS: usize = 5;
/// How long one operation is repeated, at least.
const LONG: Duration = Duration::from_millis(100);
/// How often, between two looks at the clock.
const BATCH: u32 = 20;

/// Medians over rounds of a token's cost by that of its bare signature.
pub struct Ratios {
    /// Claims, encoding and signature (ES256) of a client's token by the signature.
    pub issue: f64,
    /// Parsing, looking the key up, verifying and checking the claims of an agent's token (EdDSA) by the verification.
    pub verify: f64,
}

pub async fn ratios(folder: &Path) -> Ratios {
    let realm = realm(folder).await;
    let client = client();
    let issue = || black_box(client_token(&realm, &client, None, None, None).unwrap());
    let issued = issue().access_token.expose().clone();
    let signed = issued.rsplit_once('.').unwrap().0;
    let bare = SigningKey::generate(Algorithm::Es256).unwrap();
    let sign = || black_box(bare.sign_bytes(signed.as_bytes()).unwrap());

    let token = access_token(&realm);
    let (text, signature) = token.rsplit_once('.').unwrap();
    let (signature, key) = (b64url_decode(signature).unwrap(), realm.keys.active().public().clone());
    let verify = || black_box(context::access_claims(&realm, &token).unwrap());
    let check = || verify_bytes(&key, text.as_bytes(), black_box(&signature)).unwrap();

    let (mut issuing, mut verifying) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        issuing.push(each(issue) / each(sign));
        verifying.push(each(verify) / each(check));
    }
    Ratios { issue: crate::median(issuing.into_iter()), verify: crate::median(verifying.into_iter()) }
}

/// Thread time of one call, in microseconds.
fn each<T>(work: impl Fn() -> T) -> f64 {
    let (began, mut count) = (used(), 0);
    while used() - began < LONG {
        (0..BATCH).for_each(|_| drop(work()));
        count += BATCH;
    }
    (used() - began).as_secs_f64() * 1e6 / f64::from(count)
}

fn used() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap(), u32::try_from(time.tv_nsec).unwrap())
}

async fn realm(folder: &Path) -> Realm {
    let env = Env::system();
    let db = Db::open(&DbConfig::Sqlite { path: folder.join("keys.db") }).await.unwrap();
    db.migrate(&env, &[purser_db::MIGRATIONS, purser_identity::MIGRATIONS]).await.unwrap();
    let keyring = Keyring::from_bytes(&Secret::new([7; 32])).unwrap();
    let (for_keys, ring) = (env.clone(), keyring.clone());
    let keys = db.write(move |tx| Keys::load(tx, &for_keys, &ring)).await.unwrap();
    Realm::new(env, keyring, keys, ISSUER, SignUp::default())
}

fn client() -> Client {
    let said = json!({ "grant_types": ["client_credentials"], "token_endpoint_auth_method": "client_secret_basic" });
    let metadata = RawMetadata::read(said.to_string().as_bytes()).unwrap().well_formed(Trust::Operator, false).unwrap();
    Client { id: "machine".parse().unwrap(), trust: Trust::Operator, organisation: None, metadata, secret_hash: None }
}

fn access_token(realm: &Realm) -> String {
    let (now, env) = (realm.env.now().as_secs(), &realm.env);
    let claims = AccessClaims {
        iss: ISSUER.to_owned(),
        aud: ISSUER.to_owned(),
        sub: PersonId::mint(env),
        org: OrganisationId::mint(env),
        act: None,
        cnf: Confirmation { jkt: realm.keys.active().public().thumbprint() },
        jti: TokenId::mint(env),
        iat: now,
        exp: now + 300,
    };
    realm.keys.sign("at+jwt", &claims).unwrap()
}
