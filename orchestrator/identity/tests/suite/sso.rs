//! A company's answers on both engines, several at once.

use std::sync::Arc;

use purser_authority::action::SignIn;
use purser_authority::{Caller, Facts, Permit, authorise};
use purser_crypto::seal::Keyring;
use purser_db::testing::{START, each_engine};
use purser_db::{Db, DbError, Migrations, Tx, params};
use purser_identity::session::{Place, session_of};
use purser_identity::sso::{Begin, Connection, Let, SsoError, SsoFacts, Vouched, sso_begin, sso_return, sso_sign_in};
use purser_identity::{Keys, Realm, SignUp};
use purser_values::{Env, Secret, Sha256Digest};

const MIGRATIONS: &[Migrations] = &[purser_db::MIGRATIONS, purser_identity::MIGRATIONS];

fn acme() -> Connection {
    Connection {
        name: "acme".parse().unwrap(),
        label: "Acme".to_owned(),
        issuer: "https://id.acme.test".to_owned(),
        client_id: "purser".to_owned(),
        domains: vec!["acme.test".parse().unwrap()],
        required: true,
        organisation: None,
        groups_claim: "groups".to_owned(),
        roles: vec![],
        default_role: None,
        confirms: true,
    }
}

fn ada(realm: &Realm) -> Vouched {
    let facts = SsoFacts {
        connection: acme().name,
        subject: None,
        sid: None,
        auth_time: Some(realm.env.now()),
        acr: None,
        amr: vec!["mfa".to_owned()],
    };
    Vouched { subject: "a-1".to_owned(), email: "ada@acme.test".parse().unwrap(), groups: vec![], facts }
}

#[derive(Clone)]
struct World {
    db: Db,
    realm: Realm,
}

impl World {
    async fn new(db: Db) -> Self {
        let (env, _) = Env::test(START, 3);
        let keyring = Keyring::from_bytes(&Secret::new([1; 32])).unwrap();
        let (e, k) = (env.clone(), keyring.clone());
        let keys = db.write(move |tx| Keys::load(tx, &e, &k)).await.unwrap();
        let realm = Realm::new(env, keyring, keys, "http://localhost:1/", SignUp::Open);
        Self { db, realm: Realm { sso: [acme()].into_iter().collect(), ..realm } }
    }

    async fn write<T: Send + 'static, E: From<DbError> + Send + 'static>(
        &self,
        work: impl Fn(&mut Tx<'_>, &Realm) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let realm = self.realm.clone();
        self.db.write(move |tx| work(tx, &realm)).await
    }

    fn permit(realm: &Realm) -> Permit<SignIn> {
        authorise::<SignIn>(&Caller::Anonymous, &Facts::new(realm.env.now(), "acme")).unwrap()
    }

    async fn count(&self, select: &'static str) -> i64 {
        self.write::<i64, DbError>(move |tx, _| tx.query_one(select, params![])?.get("n")).await.unwrap()
    }
}

#[tokio::test]
async fn of_many_answers_with_one_state_at_once_one_counts() {
    each_engine(MIGRATIONS, |db| async {
        let world = World::new(db).await;
        let browser = Sha256Digest::of(b"a browser");
        let begun = world.write(move |tx, realm| {
            sso_begin(tx, realm, &acme(), &Begin::SignIn(World::permit(realm)), &browser, "192.0.2.1", r#"{"next":"/"}"#)
        });
        let state: Arc<str> = begun.await.unwrap().value.state.expose().as_str().into();
        let answers: Vec<_> = (0..8)
            .map(|_| {
                let (world, state) = (world.clone(), state.clone());
                tokio::spawn(async move {
                    world.write(move |tx, realm| sso_return(tx, realm, &World::permit(realm), &acme().name, &state, &browser)).await
                })
            })
            .collect();
        let mut taken = 0;
        for answer in answers {
            match answer.await.unwrap() {
                Ok(returned) => {
                    assert_eq!((returned.value.going.as_str(), returned.value.verifier.expose().len()), (r#"{"next":"/"}"#, 43));
                    taken += 1;
                }
                Err(SsoError::Over) => {}
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(taken, 1);
    })
    .await;
}

#[tokio::test]
async fn of_many_first_sign_ins_at_once_one_makes_the_person_and_all_are_that_person() {
    each_engine(MIGRATIONS, |db| async {
        let world = World::new(db).await;
        let all: Vec<_> = (0..8)
            .map(|_| {
                let world = world.clone();
                tokio::spawn(async move {
                    let sign_in = world
                        .write(|tx, realm| sso_sign_in(tx, realm, &World::permit(realm), &acme(), &ada(realm), Place::default(), None));
                    let Let::In(signed_in) = sign_in.await.unwrap().value.outcome else { panic!("she is let in") };
                    signed_in
                })
            })
            .collect();
        let mut people = Vec::new();
        for one in all {
            let signed_in = one.await.unwrap();
            people.push((signed_in.member.person.id.clone(), signed_in.fresh));
            let session = world.write::<_, DbError>(move |tx, realm| session_of(tx, realm, signed_in.session.expose())).await.unwrap();
            assert_eq!(session.unwrap().sso.unwrap().amr, ["mfa"]);
        }
        assert_eq!(people.iter().filter(|(_, fresh)| *fresh).count(), 1);
        assert!(people.iter().all(|(id, _)| *id == people[0].0));
        for select in
            ["select count(*) as n from person", "select count(*) as n from sso_identity", "select count(*) as n from organisation"]
        {
            assert_eq!(world.count(select).await, 1, "{select}");
        }
    })
    .await;
}
