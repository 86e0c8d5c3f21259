//! Proofs of presence on both engines, several at once.

use std::sync::Arc;

use purser_authority::action::{SignIn, StepUp as StepUpAction, TotpAdd};
use purser_authority::{Action, Caller, Done, Facts, Permit, authorise};
use purser_crypto::seal::Keyring;
use purser_db::testing::{START, each_engine};
use purser_db::{Db, DbError, Migrations, Tx};
use purser_identity::recovery::{Recovery, recovery_of, recovery_start};
use purser_identity::session::{Place, Session, session_of};
use purser_identity::sign_in::{CodeUse, Origin, sign_in_code_send, sign_in_code_use};
use purser_identity::step_up::{StepUp, StepUpError, step_up_code_send, step_up_code_use, step_up_totp};
use purser_identity::totp::{Confirm, totp_add_begin, totp_add_confirm};
use purser_identity::{Keys, Realm, SignUp};
use purser_values::env::TestClock;
use purser_values::name::Email;
use purser_values::{Env, Secret};

const MIGRATIONS: &[Migrations] = &[purser_db::MIGRATIONS, purser_identity::MIGRATIONS];

struct World {
    db: Db,
    realm: Realm,
    clock: Arc<TestClock>,
}

fn allowed<A: Action>(caller: &Caller, realm: &Realm) -> Permit<A> {
    authorise::<A>(caller, &Facts::new(realm.env.now(), "x")).unwrap()
}

impl World {
    async fn new(db: Db) -> Arc<Self> {
        let (env, clock) = Env::test(START, 3);
        let keyring = Keyring::from_bytes(&Secret::new([1; 32])).unwrap();
        let (e, k) = (env.clone(), keyring.clone());
        let keys = db.write(move |tx| Keys::load(tx, &e, &k)).await.unwrap();
        Arc::new(Self { db, realm: Realm::new(env, keyring, keys, "http://localhost:1/", SignUp::Open), clock })
    }

    async fn write<T: Send + 'static, E: From<DbError> + Send + 'static>(
        &self,
        work: impl Fn(&mut Tx<'_>, &Realm) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let realm = self.realm.clone();
        self.db.write(move |tx| work(tx, &realm)).await
    }

    /// The digits in the sealed mail of the outcome.
    fn digits<T>(&self, done: &Done<T>) -> String {
        let payload = &done.jobs[0].payload;
        let sealed = purser_crypto::encoding::b64url_decode(payload["sealed"].as_str().unwrap()).unwrap();
        let plain = self.realm.keyring.open(&format!("mail/{}", payload["message"].as_str().unwrap()), &sealed).unwrap();
        let text = String::from_utf8(plain.expose().clone()).unwrap();
        text.split("\\n\\n").map(str::trim).find(|w| w.len() == 6 && w.bytes().all(|b| b.is_ascii_digit())).unwrap().to_owned()
    }

    async fn session(&self) -> Session {
        let email: Email = "ada@example.test".parse().unwrap();
        let sent = self
            .write(move |tx, realm| {
                let origin = Origin { peer: "192.0.2.1", mark: None, ticket: None };
                sign_in_code_send(tx, realm, allowed::<SignIn>(&Caller::Anonymous, realm), &email, origin)
            })
            .await
            .unwrap();
        let (attempt, code) = (sent.value.attempt.clone(), self.digits(&sent));
        let used = self.write(move |tx, realm| {
            sign_in_code_use(tx, realm, allowed::<SignIn>(&Caller::Anonymous, realm), &attempt, &code, Place::default(), None)
        });
        let CodeUse::SignedIn(signed_in) = used.await.unwrap().value else { panic!("the code is right") };
        let find = move |tx: &mut Tx<'_>, realm: &Realm| session_of(tx, realm, signed_in.session.expose());
        self.write::<_, DbError>(find).await.unwrap().unwrap()
    }

    async fn try_totp(&self, session: &Session, code: &str) -> Result<StepUp, StepUpError> {
        let (session, code) = (session.clone(), code.to_owned());
        self.write(move |tx, realm| step_up_totp(tx, realm, allowed::<StepUpAction>(&session.caller(), realm), &session, &code))
            .await
            .map(|done| done.value)
    }

    fn totp(&self, secret: &str) -> String {
        let secret = totp_rs::Secret::try_from_base32(secret).unwrap();
        let now = u64::try_from(self.realm.env.now().as_secs()).unwrap();
        totp_rs::Builder::new().with_secret(secret).build().unwrap().generate(now).to_string()
    }
}

#[tokio::test]
async fn of_many_uses_of_one_code_of_an_app_at_once_one_counts_and_guesses_share_five_tries() {
    each_engine(MIGRATIONS, |db| async {
        let world = World::new(db).await;
        let session = world.session().await;
        let of = session.clone();
        let begun = world.write(move |tx, realm| totp_add_begin(tx, realm, &allowed::<TotpAdd>(&of.caller(), realm), &of)).await;
        let secret = begun.unwrap().value.text.expose().clone();
        let (of, code) = (session.clone(), world.totp(&secret));
        let confirm =
            world.write(move |tx, realm| totp_add_confirm(tx, realm, allowed::<TotpAdd>(&of.caller(), realm), &of, &code)).await.unwrap();
        let Confirm::Confirmed { recovery_codes } = confirm.value else { panic!("the code is right") };
        world.clock.advance_secs(30);
        let mut sessions = Vec::new();
        for _ in 0..6 {
            sessions.push(world.session().await);
        }
        assert!(sessions.iter().all(|s| s.present_at.is_none()), "a code by mail proves that a person with an app is there");

        for code in [world.totp(&secret), recovery_codes[0].expose().clone()] {
            let all: Vec<_> = sessions
                .iter()
                .take(3)
                .map(|session| {
                    let (world, session, code) = (world.clone(), session.clone(), code.clone());
                    tokio::spawn(async move { world.try_totp(&session, &code).await })
                })
                .collect();
            let (mut taken, mut wrong) = (0, 0);
            for outcome in all {
                match outcome.await.unwrap() {
                    Ok(StepUp::Done(_)) => taken += 1,
                    Ok(StepUp::Wrong { .. }) => wrong += 1,
                    Err(other) => panic!("{other}"),
                }
            }
            assert_eq!((taken, wrong), (1, 2));
            sessions.rotate_left(3);
        }
        world.clock.advance_secs(901);
        let guesser = world.session().await;
        let guesses: Vec<_> = (0..20)
            .map(|n| {
                let (world, guesser) = (world.clone(), guesser.clone());
                tokio::spawn(async move { world.try_totp(&guesser, &format!("{n:05}x")).await })
            })
            .collect();
        let mut counted = 0;
        for guess in guesses {
            counted += usize::from(matches!(guess.await.unwrap(), Ok(StepUp::Wrong { .. })));
        }
        assert_eq!(counted, 5);
    })
    .await;
}

#[tokio::test]
async fn twenty_guesses_of_a_mailed_code_at_once_share_five_tries() {
    each_engine(MIGRATIONS, |db| async {
        let world = World::new(db).await;
        let session = world.session().await;
        let of = session.clone();
        let sent =
            world.write(move |tx, realm| step_up_code_send(tx, realm, allowed::<StepUpAction>(&of.caller(), realm), &of)).await.unwrap();
        let code = world.digits(&sent);
        let wrong = format!("{:06}", (code.parse::<u32>().unwrap() + 1) % 1_000_000);
        let try_code = |code: String| {
            let (world, of) = (world.clone(), session.clone());
            tokio::spawn(async move {
                world
                    .write(move |tx, realm| step_up_code_use(tx, realm, allowed::<StepUpAction>(&of.caller(), realm), &of, &code))
                    .await
                    .map(|done| done.value)
            })
        };
        let tries: Vec<_> = (0..20).map(|_| try_code(wrong.clone())).collect();
        let mut counted = 0;
        for one in tries {
            counted += usize::from(matches!(one.await.unwrap(), Ok(StepUp::Wrong { .. })));
        }
        assert_eq!(counted, 5);
        assert!(matches!(try_code(code).await.unwrap(), Err(StepUpError::Use(_))));
    })
    .await;
}

#[tokio::test]
async fn a_recovery_begins_once_and_is_open_for_a_week_after_its_day() {
    each_engine(MIGRATIONS, |db| async {
        let world = World::new(db).await;
        let session = world.session().await;
        let begin = || {
            let of = session.clone();
            world.write(move |tx, realm| recovery_start(tx, realm, allowed::<StepUpAction>(&of.caller(), realm), &of))
        };
        let first = begin().await.unwrap();
        assert_eq!(first.jobs.len(), 1);
        world.clock.advance_secs(3_600);
        let again = begin().await.unwrap();
        assert_eq!((again.value, again.jobs.len()), (first.value, 0), "asking again moves the end or sends another mail");
        let stands = async || {
            let person = session.member.person.id.clone();
            world.write::<_, DbError>(move |tx, realm| recovery_of(tx, &person, realm.env.now())).await.unwrap()
        };
        assert_eq!(stands().await, Recovery::Waiting { ready_at: first.value });
        world.clock.advance_secs(86_400 - 3_600);
        assert!(matches!(stands().await, Recovery::Ready { .. }));
        world.clock.advance_secs(7 * 86_400);
        assert_eq!(stands().await, Recovery::None);
    })
    .await;
}
