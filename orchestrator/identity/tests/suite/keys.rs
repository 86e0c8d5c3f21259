//! Signing keys: what each does when, on both engines, and what a race, a crash and a forged row make of them.

use std::sync::Arc;

use purser_authority::action::{SigningKeyRead, SigningKeyRotate};
use purser_authority::{Caller, Done, Facts, authorise};
use purser_crypto::jose::{self, Algorithm, SigningKey};
use purser_crypto::seal::Keyring;
use purser_db::testing::{START, each_engine};
use purser_db::{Db, DbError, Migrations, Tx, params};
use purser_identity::address::{AddressError, address_settle};
use purser_identity::keys::{Haste, KeyState, KeysError, RotateError, Rotation, signing_key_list, signing_key_rotate, signing_key_sweep};
use purser_identity::limits::{KEY_HEAD_START_S, KEY_SETTLE_S, KEY_TOKENS_S, KEY_VERIFIES_S};
use purser_identity::{Keys, Realm, SignUp};
use purser_values::env::TestClock;
use purser_values::{Env, Secret};
use serde_json::{Value, json};

const MIGRATIONS: &[Migrations] = &[purser_db::MIGRATIONS, purser_identity::MIGRATIONS];

/// One process on a database.
#[derive(Clone)]
struct Node {
    db: Db,
    realm: Realm,
    clock: Arc<TestClock>,
}

impl Node {
    async fn on(db: Db) -> Self {
        let (env, clock) = Env::test(START, 3);
        Self::start(db, env, clock).await
    }

    async fn start(db: Db, env: Env, clock: Arc<TestClock>) -> Self {
        let keyring = Keyring::from_bytes(&Secret::new([1; 32])).unwrap();
        let (e, k) = (env.clone(), keyring.clone());
        let keys = db.write(move |tx| Keys::load(tx, &e, &k)).await.unwrap();
        Self { db, realm: Realm::new(env, keyring, keys, "http://localhost:1/", SignUp::Open), clock }
    }

    /// The same, started again.
    async fn again(&self) -> Self {
        Self::start(self.db.clone(), self.realm.env.clone(), self.clock.clone()).await
    }

    async fn rotate(&self, haste: Haste) -> Result<Done<Rotation>, RotateError> {
        let realm = self.realm.clone();
        self.db.write(move |tx| rotate(tx, &realm, haste)).await
    }

    async fn reload(&self) -> Result<bool, KeysError> {
        let keys = self.realm.keys.clone();
        self.db.read(move |tx| keys.reload(tx)).await
    }

    async fn sweep(&self) -> Vec<String> {
        let realm = self.realm.clone();
        let done = self.db.write(move |tx| signing_key_sweep(tx, &realm)).await.unwrap();
        done.events.iter().map(|event| event.verb.clone()).collect()
    }

    async fn states(&self) -> Vec<KeyState> {
        let realm = self.realm.clone();
        let read = move |tx: &mut Tx<'_>| {
            let permit = authorise::<SigningKeyRead>(&Caller::Operator, &Facts::new(realm.env.now(), "x")).unwrap();
            signing_key_list(tx, &realm, &permit)
        };
        let listed = self.db.read::<_, KeysError, _>(read).await.unwrap();
        listed.iter().filter(|key| key.algorithm == "EdDSA").map(|key| key.state).collect()
    }

    async fn sql(&self, sql: &'static str) {
        self.db.write::<_, DbError, _>(move |tx| tx.execute(sql, params![])).await.unwrap();
    }

    fn signer(&self, alg: Algorithm) -> String {
        let token = self.realm.keys.sign_with(alg, "JWT", &json!({})).unwrap();
        jose::decode_unverified::<Value>(&token, "JWT").unwrap().kid.unwrap()
    }

    fn published(&self) -> usize {
        self.realm.keys.published().len()
    }
}

fn rotate(tx: &mut Tx<'_>, realm: &Realm, haste: Haste) -> Result<Done<Rotation>, RotateError> {
    let permit = authorise::<SigningKeyRotate>(&Caller::Operator, &Facts::new(realm.env.now(), "x"))?;
    signing_key_rotate(tx, realm, &permit, haste)
}

#[tokio::test]
async fn a_new_key_is_published_then_signs_and_the_old_one_verifies_until_the_longest_grant_has_ended() {
    each_engine(MIGRATIONS, |db| async {
        let node = Node::on(db).await;
        let old = [Algorithm::EdDsa, Algorithm::Es256].map(|alg| node.signer(alg));
        let done = node.rotate(Haste::Announced).await.unwrap();
        assert_eq!((done.events.len(), done.value.keys.len()), (2, 2), "one event for each algorithm");
        assert!(done.events.iter().all(|event| event.related.len() == 1 && event.verb == "signing_key_rotate"));
        assert!(node.reload().await.unwrap() && !node.reload().await.unwrap());
        assert_eq!((node.published(), node.states().await), (4, vec![KeyState::Announced, KeyState::Signing]));

        node.clock.advance_secs(KEY_HEAD_START_S - 1);
        assert_eq!([Algorithm::EdDsa, Algorithm::Es256].map(|alg| node.signer(alg)), old);
        assert!(node.sweep().await.is_empty());
        node.clock.advance_secs(1);
        let new = [Algorithm::EdDsa, Algorithm::Es256].map(|alg| node.signer(alg));
        assert_eq!(new.to_vec(), done.value.keys, "no reload is needed for what time alone changes");
        assert_eq!(node.sweep().await, ["signing_key_begin"; 2]);
        assert!(node.sweep().await.is_empty(), "recorded once");

        assert!(node.realm.keys.find(&old[0]).is_some());
        node.clock.advance_secs(KEY_TOKENS_S);
        assert!(node.realm.keys.find(&old[0]).is_none(), "a thief of the retired key makes tokens of it");
        assert!(node.realm.keys.find_published(&old[0]).is_some());
        assert_eq!(node.published(), 4);

        node.clock.advance_secs(KEY_VERIFIES_S - KEY_TOKENS_S);
        assert_eq!((node.published(), node.states().await), (2, vec![KeyState::Signing, KeyState::Left]));
        assert_eq!(node.sweep().await, ["signing_key_leave"; 2]);
        assert!(node.sweep().await.is_empty(), "recorded once");
        assert!(node.reload().await.unwrap());
        for node in [&node, &node.again().await] {
            assert!(node.realm.keys.find_published(&old[0]).is_none());
            let kept = node.realm.keys.kept();
            assert!(old.iter().all(|kid| kept.iter().any(|key| key.thumbprint() == *kid)), "old records can no longer be verified");
            assert_eq!(node.signer(Algorithm::EdDsa), new[0]);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_rotations_at_once_one_wins_and_the_others_say_when_its_keys_sign() {
    each_engine(MIGRATIONS, |db| async {
        let node = Node::on(db).await;
        let both: Vec<_> =
            (0..4).map(|_| node.clone()).map(|node| tokio::spawn(async move { node.rotate(Haste::Announced).await })).collect();
        let mut won = 0;
        for outcome in both {
            match outcome.await.unwrap() {
                Ok(_) => won += 1,
                Err(e) => assert!(matches!(e, RotateError::Waiting(at) if at == START.plus_secs(KEY_HEAD_START_S)), "{e}"),
            }
        }
        node.reload().await.unwrap();
        assert_eq!((won, node.published()), (1, 4));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_start_at_once_on_an_empty_database_have_the_same_keys() {
    each_engine(MIGRATIONS, |db| async move {
        let nodes: Vec<_> = (0..3).map(|_| tokio::spawn(Node::on(db.clone()))).collect();
        let mut names = Vec::new();
        for node in nodes {
            let node = node.await.unwrap();
            node.reload().await.unwrap();
            names.push((node.signer(Algorithm::EdDsa), node.signer(Algorithm::Es256), node.published()));
        }
        assert!(names.iter().all(|name| *name == names[0] && name.2 == 2), "{names:?}");
    })
    .await;
}

#[tokio::test]
async fn in_an_emergency_announced_keys_begin_at_once_and_compromised_ones_leave() {
    each_engine(MIGRATIONS, |db| async {
        let node = Node::on(db).await;
        let first = node.signer(Algorithm::EdDsa);
        let announced = node.rotate(Haste::Announced).await.unwrap().value.keys;
        let begun = node.rotate(Haste::Now).await.unwrap().value;
        assert_eq!(begun.keys, announced, "clients have these already");
        assert!(matches!(node.rotate(Haste::Now).await, Err(RotateError::Waiting(_))), "they begin in a moment");
        node.reload().await.unwrap();
        assert_eq!(node.signer(Algorithm::EdDsa), first, "other nodes have not read them");
        node.clock.advance_secs(KEY_SETTLE_S);
        assert_eq!(node.signer(Algorithm::EdDsa), announced[0]);
        assert!(node.realm.keys.find(&first).is_some());

        let waiting = node.rotate(Haste::Announced).await.unwrap().value.keys;
        let clean = node.rotate(Haste::Compromised).await.unwrap().value.keys;
        assert!(clean.iter().all(|kid| !waiting.contains(kid)));
        node.reload().await.unwrap();
        node.clock.advance_secs(KEY_SETTLE_S);
        assert_eq!((node.signer(Algorithm::EdDsa), node.published()), (clean[0].clone(), 2));
        for old in [&first, &announced[0], &waiting[0]] {
            assert!(node.realm.keys.find(old).is_none(), "{old} is in other hands");
        }
        assert_eq!(node.sweep().await.len(), 4 + 6, "four begin, six leave, and those that never signed do not begin");
    })
    .await;
}

#[tokio::test]
async fn a_crash_in_the_middle_of_a_rotation_leaves_the_keys_as_they_were() {
    each_engine(MIGRATIONS, |db| async {
        let node = Node::on(db).await;
        let before = node.signer(Algorithm::EdDsa);
        let realm = node.realm.clone();
        let crashed = node.db.write(move |tx| {
            let _events = rotate(tx, &realm, Haste::Now)?;
            Err::<(), _>(RotateError::Db(DbError::Other("the process died".to_owned())))
        });
        assert!(crashed.await.is_err());
        assert!(!node.reload().await.unwrap());
        let again = node.again().await;
        assert_eq!((again.published(), again.signer(Algorithm::EdDsa)), (2, before.clone()));
        // Dead between the write and the first signature: whoever starts next goes on where the times say.
        let next = node.rotate(Haste::Now).await.unwrap().value.keys;
        assert_eq!(node.again().await.signer(Algorithm::EdDsa), before);
        node.clock.advance_secs(KEY_SETTLE_S);
        assert_eq!(node.again().await.signer(Algorithm::EdDsa), next[0]);
    })
    .await;
}

#[tokio::test]
async fn a_row_that_was_not_sealed_here_is_refused_and_the_keys_go_on_as_they_were() {
    each_engine(MIGRATIONS, |db| async {
        let node = Node::on(db).await;
        let signer = node.signer(Algorithm::EdDsa);
        let foreign = SigningKey::generate(Algorithm::EdDsa).unwrap();
        let (kid, public) = (foreign.public().thumbprint(), json!(foreign.public()));
        let slip_in = |sealed: Vec<u8>, left: Option<i64>| {
            let (kid, public) = (kid.clone(), public.clone());
            let insert = "insert into signing_key (kid, sealed, public, created_at, signs_from, retired_at, left_at)
                          values ($1, $2, $3, 1, 1, 1, $4)";
            node.db.write::<_, DbError, _>(move |tx| tx.execute(insert, params![kid, sealed, public, left]))
        };
        for left in [None, Some(1)] {
            slip_in(vec![7; 64], left).await.unwrap();
            assert!(matches!(node.reload().await, Err(KeysError::Seal(_))), "a foreign key became ours");
            assert!(node.realm.keys.find(&kid).is_none() && node.realm.keys.kept().len() == 2);
            node.sql("delete from signing_key where created_at = 1").await;
        }
        // The row of another key under its own seal.
        node.sql("update signing_key set public = (select max(public) from signing_key), kid = kid").await;
        let keyring = node.realm.keyring.clone();
        let opened = node.db.read(move |tx| Keys::opens(tx, &keyring)).await;
        assert!(matches!(opened, Err(KeysError::Altered(_) | KeysError::Key(_))), "{opened:?}");
        assert_eq!(node.signer(Algorithm::EdDsa), signer);
    })
    .await;
}

#[tokio::test]
async fn a_node_whose_clock_is_behind_signs_with_the_first_key_all_the_same() {
    each_engine(MIGRATIONS, |db| async {
        let node = Node::on(db).await;
        let (env, clock) = Env::test(START.plus_secs(-90), 4);
        let behind = Node::start(node.db.clone(), env, clock).await;
        assert_eq!((behind.signer(Algorithm::EdDsa), behind.published()), (node.signer(Algorithm::EdDsa), 2));
    })
    .await;
}

#[tokio::test]
async fn an_installation_stays_at_its_address_unless_the_operator_names_the_old_one() {
    each_engine(MIGRATIONS, |db| async move {
        let node = Node::on(db).await;
        let at = async |url: &str, was: Option<&str>| {
            let (realm, was) = (Realm { issuer: url.into(), ..node.realm.clone() }, was.map(str::to_owned));
            let settled = node.db.write::<_, AddressError, _>(move |tx| Ok(address_settle(tx, &realm, was.as_deref())?.events.len())).await;
            settled.map_err(|e| e.to_string())
        };
        assert_eq!(at("https://one.example", None).await, Ok(1), "the first start says where it is");
        assert_eq!(at("https://one.example", None).await, Ok(0));
        for was in [None, Some("https://two.example"), Some("https://other.example")] {
            let refused = at("https://two.example", was).await.unwrap_err();
            assert!(refused.contains("https://one.example") && refused.contains("public_url_was"), "{refused}");
        }
        assert_eq!(at("https://two.example", Some("https://one.example")).await, Ok(1), "a move is recorded");
        assert_eq!(at("https://two.example", Some("https://one.example")).await, Ok(0), "and the line may stay");
        assert!(at("https://one.example", Some("https://one.example")).await.is_err(), "there is no way back without a word");
    })
    .await;
}
