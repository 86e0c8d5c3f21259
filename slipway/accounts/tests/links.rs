//! People, sign-in and links over all of their tables and with a clock that is moved, on both engines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use purser_crypto::seal::Keyring;
use purser_db::testing::{START, each_engine};
use purser_db::{DbError, Migrations, Tx, params};
use purser_values::env::TestClock;
use purser_values::id::CloudLinkId;
use purser_values::{Env, Secret, Sha256Digest};
use slipway_accounts::account::freeze::{account_freeze, account_thaw};
use slipway_accounts::account::open::{AccountOpened, AccountOpening, Opened, account_open};
use slipway_accounts::account::{AccountState, Owner};
use slipway_accounts::agent::{agent_is_stopped, agent_start, agent_stop};
use slipway_accounts::limits::{LINK_REQUEST_LIFE_S, LINK_REQUESTS_PER_ADDRESS_HOUR, MAILBOX_TRUST_S, STEP_UP_S};
use slipway_accounts::link::cut::{LinkCutError, link_cut};
use slipway_accounts::link::decide::{Accepted, Choice, LinkDecideError, link_accept};
use slipway_accounts::link::get::{connection_list, link_of};
use slipway_accounts::link::request::{LinkAsk, LinkRequestError, link_request, link_request_bind, link_request_find};
use slipway_accounts::link::scope::Scopes;
use slipway_accounts::provisioning::code::{Code, code_exchange, code_put};
use slipway_accounts::provisioning::pair::{Pair, access_find, pair_rotate};
use slipway_accounts::realm::{CodeKey, Realm};
use slipway_accounts::session::{Session, session_of};
use slipway_accounts::sign_in::code_send::{CodeSendError, Origin, sign_in_code_send};
use slipway_accounts::sign_in::code_use::{CodeUse, CodeUseError, SignedIn, sign_in_code_use};
use slipway_accounts::store::MIGRATIONS;
use slipway_accounts::suspension::suspend;
use slipway_accounts::sweep::people_sweep;

const TABLES: &[Migrations] = &[purser_db::MIGRATIONS, MIGRATIONS];
/// The steps from before there were people.
const OLD: &[Migrations] = &[purser_db::MIGRATIONS, Migrations { domain: MIGRATIONS.domain, steps: MIGRATIONS.steps.split_at(3).0 }];
const ADA: &str = "ada@example.test";

struct World<'a, 'c> {
    tx: &'a mut Tx<'c>,
    realm: Realm,
    clock: Arc<TestClock>,
}

/// Runs a story in one write on each engine.
async fn story(tell: impl Fn(&mut World<'_, '_>) + Copy + Send + 'static) {
    each_engine(TABLES, |db| async move {
        db.write(move |tx| -> Result<(), DbError> {
            let (env, clock) = Env::test(START, 4);
            tell(&mut World { tx, realm: realm(env), clock });
            Ok(())
        })
        .await
        .unwrap();
    })
    .await;
}

fn realm(env: Env) -> Realm {
    Realm {
        env,
        key: CodeKey::new(Secret::new(vec![3; 32])),
        keyring: Keyring::from_bytes(&Secret::new([7; 32])).unwrap(),
        public_url: "https://cloud.test/".into(),
    }
}

fn owner(subject: &str) -> Owner {
    Owner { issuer: "https://o.test".into(), subject: subject.into(), attested: true }
}

fn pair(name: &str) -> Pair {
    let digest = |part: &str| Sha256Digest::of(format!("{name}/{part}").as_bytes());
    Pair {
        access: digest("a"),
        refresh: digest("r"),
        access_expires_at: START.plus_secs(1 << 40),
        refresh_expires_at: START.plus_secs(1 << 40),
    }
}

impl World<'_, '_> {
    fn open(&mut self, subject: &str, email: &str) -> AccountOpened {
        let opening = AccountOpening {
            owner: owner(subject),
            email: email.parse().unwrap(),
            organisation: subject.to_owned(),
            scopes: Scopes::ALL,
            request: None,
        };
        account_open(self.tx, &self.realm, &opening).unwrap()
    }

    fn opened(&mut self, subject: &str, email: &str) -> Opened {
        match self.open(subject, email) {
            AccountOpened::Account(opened) => opened,
            AccountOpened::OwnerMustAgree => panic!("`{subject}` needs the owner of `{email}`"),
        }
    }

    fn ask(&mut self, subject: &str, email: &str) -> Result<String, LinkRequestError> {
        let ask = LinkAsk {
            owner: owner(subject),
            key: None,
            email: email.parse().unwrap(),
            organisation: subject.to_owned(),
            agent: None,
            scopes: Scopes::ALL,
            request: None,
            challenge: None,
            confirmation: None,
            expires_at: None,
        };
        link_request(self.tx, &self.realm, &ask).map(|state| state.expose().clone())
    }

    /// The newest code that was mailed: the queue holds it sealed.
    fn mailed_code(&mut self) -> Option<String> {
        let rows = self.tx.query("select payload from job where kind = 'mail' order by id desc", params![]).unwrap();
        rows.iter().find_map(|row| {
            let payload: serde_json::Value = row.json("payload").unwrap();
            let sealed = purser_crypto::encoding::b64url_decode(payload["sealed"].as_str().unwrap()).unwrap();
            let purpose = format!("mail/{}", payload["message"].as_str().unwrap());
            let plain = self.realm.keyring.open(&purpose, &sealed).unwrap();
            let mail: serde_json::Value = serde_json::from_slice(plain.expose()).unwrap();
            let text = mail["text"].as_str().unwrap();
            text.split_whitespace().find(|w| matches!(w.len(), 6 | 10) && w.bytes().all(|b| b.is_ascii_digit())).map(str::to_owned)
        })
    }

    fn send(&mut self, email: &str) -> Result<Secret<String>, CodeSendError> {
        sign_in_code_send(self.tx, &self.realm, &email.parse().unwrap(), Origin { peer: "203.0.113.7", mark: None })
    }

    fn try_code(&mut self, attempt: &Secret<String>, code: &str) -> Result<CodeUse, CodeUseError> {
        sign_in_code_use(self.tx, &self.realm, attempt, code, None)
    }

    fn sign_in(&mut self, email: &str) -> Session {
        // codes of one moment are ordered by nothing
        self.clock.advance_secs(1);
        let attempt = self.send(email).unwrap();
        let code = self.mailed_code().unwrap();
        let Ok(CodeUse::SignedIn(SignedIn { session, .. })) = self.try_code(&attempt, &code) else { panic!("not signed in") };
        session_of(self.tx, self.realm.env.now(), session.expose()).unwrap().unwrap()
    }

    fn show(&mut self, session: &Session, state: &str) {
        let request = link_request_find(self.tx, self.realm.env.now(), state).unwrap().unwrap();
        link_request_bind(self.tx, &request.id, &session.id).unwrap();
    }

    fn accept(&mut self, session: &Session, state: &str, choice: &Choice) -> Result<Accepted, LinkDecideError> {
        self.tx.savepoint(|tx| link_accept(tx, &self.realm, session, state, choice))
    }

    /// Asks, shows and accepts; the code for it is `name`.
    fn agree(&mut self, session: &Session, subject: &str, choice: &Choice, name: &str) -> CloudLinkId {
        let state = self.ask(subject, session.person.email.as_str()).unwrap();
        self.show(session, &state);
        let accepted = self.accept(session, &state, choice).unwrap();
        self.code(accepted.account.as_str(), Some(&accepted.link), name);
        accepted.link
    }

    fn code(&mut self, account: &str, link: Option<&CloudLinkId>, name: &str) {
        let expires_at = self.realm.env.now().plus_secs(300);
        let link = link.map(ToString::to_string);
        let code = Code { account: account.to_owned(), request: None, challenge: None, link, expires_at };
        code_put(self.tx, &Sha256Digest::of(name.as_bytes()), &code).unwrap();
    }

    fn redeem(&mut self, name: &str) -> bool {
        let now = self.realm.env.now();
        code_exchange(self.tx, &Sha256Digest::of(name.as_bytes()), &pair(name), now).unwrap().is_some()
    }

    fn is_alive(&mut self, name: &str) -> bool {
        access_find(self.tx, &pair(name).access, self.realm.env.now()).unwrap().is_some()
    }
}

#[tokio::test]
async fn a_code_has_five_tries_one_use_ten_minutes_and_one_browser() {
    story(|world| {
        world.opened("one", ADA);
        let attempt = world.send(ADA).unwrap();
        let code = world.mailed_code().unwrap();
        let wrong = if code == "000000" { "000001" } else { "000000" };
        for left in (0..5).rev() {
            let Ok(CodeUse::Wrong { tries_left }) = world.try_code(&attempt, wrong) else { panic!("not counted") };
            assert_eq!(tries_left, left);
        }
        assert!(matches!(world.try_code(&attempt, &code), Err(CodeUseError::NoAttempt)), "a sixth try was looked at");

        world.clock.advance_secs(61);
        let (first, code_1) = (world.send(ADA).unwrap(), world.mailed_code().unwrap());
        world.clock.advance_secs(1);
        let (second, code_2) = (world.send(ADA).unwrap(), world.mailed_code().unwrap());
        if code_1 != code_2 {
            assert!(matches!(world.try_code(&first, &code_2), Ok(CodeUse::Wrong { .. })), "a code works in another browser");
        }
        assert!(matches!(world.try_code(&second, &code_2), Ok(CodeUse::SignedIn(_))));
        assert!(matches!(world.try_code(&second, &code_2), Err(CodeUseError::NoAttempt)), "a code works twice");
        world.clock.advance_secs(600);
        assert!(matches!(world.try_code(&first, &code_1), Err(CodeUseError::NoAttempt)), "a code outlives its ten minutes");
    })
    .await;
}

#[tokio::test]
async fn an_address_of_nobody_gets_the_same_answer_and_no_code() {
    story(|world| {
        let attempt = world.send("nobody@example.test").unwrap();
        assert_eq!(world.mailed_code(), None);
        assert!(matches!(world.try_code(&attempt, "123456"), Ok(CodeUse::Wrong { tries_left: 4 })));
        for _ in 0..4 {
            world.send("nobody@example.test").unwrap();
        }
        assert!(matches!(world.send("nobody@example.test"), Err(CodeSendError::TooMany)), "codes have no limit");
    })
    .await;
}

#[tokio::test]
async fn a_request_to_connect_is_over_after_ten_minutes_and_after_its_decision() {
    story(|world| {
        world.opened("one", ADA);
        let state = world.ask("two", ADA).unwrap();
        let ada = world.sign_in(ADA);
        world.show(&ada, &state);
        world.clock.advance_secs(LINK_REQUEST_LIFE_S);
        let ada = world.sign_in(ADA);
        assert!(matches!(world.accept(&ada, &state, &Choice::New), Err(LinkDecideError::Over)), "a stale link was taken");

        let state = world.ask("two", ADA).unwrap();
        assert!(matches!(world.accept(&ada, &state, &Choice::New), Err(LinkDecideError::OtherSession)), "nobody was shown the page");
        world.show(&ada, &state);
        world.accept(&ada, &state, &Choice::New).unwrap();
        assert!(matches!(world.accept(&ada, &state, &Choice::New), Err(LinkDecideError::Over)), "a link was taken twice");
    })
    .await;
}

#[tokio::test]
async fn giving_and_taking_access_need_a_sign_in_of_the_last_minutes() {
    story(|world| {
        let first = world.opened("one", ADA);
        let state = world.ask("two", ADA).unwrap();
        let ada = world.sign_in(ADA);
        world.show(&ada, &state);
        world.clock.advance_secs(STEP_UP_S);
        assert!(matches!(world.accept(&ada, &state, &Choice::New), Err(LinkDecideError::NotRecent)));
        let cut = link_cut(world.tx, &world.realm, &ada, first.link.id.as_str());
        assert!(matches!(cut, Err(LinkCutError::NotRecent)), "{cut:?}");
    })
    .await;
}

#[tokio::test]
async fn an_agreement_connects_nothing_until_its_code_is_redeemed() {
    story(|world| {
        let first = world.opened("one", ADA);
        let ada = world.sign_in(ADA);
        world.agree(&ada, "two", &Choice::New, "late");
        assert_eq!(link_of(world.tx, &owner("two")).unwrap(), None, "a yes alone connected it");
        assert!(matches!(world.open("two", ADA), AccountOpened::OwnerMustAgree));
        world.clock.advance_secs(300);
        assert!(!world.redeem("late"), "an old code was taken");
        people_sweep(world.tx, world.realm.env.now()).unwrap();

        // cut between the yes and the redemption
        let ada = world.sign_in(ADA);
        let link = world.agree(&ada, "two", &Choice::New, "cut");
        assert!(link_cut(world.tx, &world.realm, &ada, link.as_str()).unwrap().is_some());
        assert!(!world.redeem("cut"), "a cut agreement was redeemed");

        // two agreements for one subject: the first that is redeemed stands
        world.agree(&ada, "two", &Choice::New, "a");
        world.agree(&ada, "two", &Choice::New, "b");
        assert!(world.redeem("a"));
        assert!(!world.redeem("b"), "one subject has two accounts");
        assert_ne!(world.opened("two", ADA).account.id, first.account.id);
    })
    .await;
}

#[tokio::test]
async fn two_organisations_never_hold_one_account_however_they_race() {
    story(|world| {
        let first = world.opened("one", ADA);
        let ada = world.sign_in(ADA);
        let existing = Choice::Existing(first.account.id.clone());
        let state = world.ask("two", ADA).unwrap();
        world.show(&ada, &state);
        assert!(matches!(world.accept(&ada, &state, &existing), Err(LinkDecideError::Held)));
        link_cut(world.tx, &world.realm, &ada, first.link.id.as_str()).unwrap();
        // both were free when they were agreed to
        world.agree(&ada, "two", &existing, "two");
        world.agree(&ada, "three", &existing, "three");
        assert!(world.redeem("two"));
        assert!(!world.redeem("three"), "a second organisation got the account");
        assert!(world.is_alive("two") && !world.is_alive("three"));
    })
    .await;
}

#[tokio::test]
async fn a_cut_ends_every_token_of_its_link_at_once_and_of_no_other() {
    story(|world| {
        let first = world.opened("one", ADA);
        let other = world.opened("bob", "bob@example.test");
        for (name, opened) in [("one", &first), ("bob", &other)] {
            world.code(opened.account.id.as_str(), Some(&opened.link.id), name);
            assert!(world.redeem(name));
        }
        let bob = world.sign_in("bob@example.test");
        let foreign = link_cut(world.tx, &world.realm, &bob, first.link.id.as_str());
        assert!(matches!(foreign, Err(LinkCutError::NotFound)), "somebody else cut it");

        let ada = world.sign_in(ADA);
        world.code(first.account.id.as_str(), Some(&first.link.id), "waiting");
        assert!(link_cut(world.tx, &world.realm, &ada, first.link.id.as_str()).unwrap().is_some());
        assert!(!world.is_alive("one") && world.is_alive("bob"));
        assert!(!world.redeem("waiting"), "a code that waited outlived the cut");
        let now = world.realm.env.now();
        assert_eq!(pair_rotate(world.tx, &pair("one").refresh, &pair("new"), now).unwrap(), None, "a refresh outlived the cut");
        assert!(link_cut(world.tx, &world.realm, &ada, first.link.id.as_str()).unwrap().is_none(), "it was cut twice");

        // the same organisation and account again are known under the same id, so that a repeated order is a repeat
        let again = world.agree(&ada, "one", &Choice::Existing(first.account.id.clone()), "again");
        assert_eq!(again, first.link.id);
        assert!(world.redeem("again") && !world.is_alive("one"), "a dead token came back with the link");
        assert_eq!(connection_list(world.tx, &ada.person.id).unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_recycled_address_reaches_nothing_of_its_last_holder() {
    story(|world| {
        let first = world.opened("one", ADA);
        let before = world.sign_in(ADA);
        assert_eq!(connection_list(world.tx, &before.person.id).unwrap().len(), 1);
        // used within the year, also by the organisation that is connected alone: it is still hers
        world.clock.advance_secs(MAILBOX_TRUST_S - 3_600);
        world.opened("one", ADA);
        world.clock.advance_secs(MAILBOX_TRUST_S - 3_600);
        assert_eq!(world.sign_in(ADA).person.id, before.person.id);

        // another subject's word about the address shows nothing about its holder
        world.clock.advance_secs(MAILBOX_TRUST_S);
        assert!(matches!(world.open("stranger", ADA), AccountOpened::OwnerMustAgree));
        let after = world.sign_in(ADA);
        assert_ne!(after.person.id, before.person.id);
        assert!(connection_list(world.tx, &after.person.id).unwrap().is_empty(), "the new holder sees the old one's accounts");
        let state = world.ask("stranger", ADA).unwrap();
        world.show(&after, &state);
        let taken = world.accept(&after, &state, &Choice::Existing(first.account.id.clone()));
        assert!(matches!(taken, Err(LinkDecideError::NoSuchAccount)), "{taken:?}");
        // the organisation that had it goes on
        assert_eq!(world.opened("one", ADA).account.id, first.account.id);
    })
    .await;
}

#[tokio::test]
async fn nobody_can_flood_an_owner_with_requests() {
    story(|world| {
        world.opened("one", ADA);
        for n in 0..LINK_REQUESTS_PER_ADDRESS_HOUR {
            world.ask(&format!("s{n}"), ADA).unwrap();
        }
        assert!(matches!(world.ask("another", ADA), Err(LinkRequestError::TooMany { .. })));
        world.clock.advance_secs(3_601);
        assert!(world.ask("another", ADA).is_ok());
    })
    .await;
}

#[tokio::test]
async fn a_freeze_is_lifted_by_the_link_that_made_it_or_with_its_cut() {
    story(|world| {
        let first = world.opened("one", ADA);
        let (account, one, two) = (first.account.id, first.link.id, CloudLinkId::mint(&world.realm.env));
        account_freeze(world.tx, &account, Some(&one), true, START).unwrap();
        account_freeze(world.tx, &account, Some(&two), false, START).unwrap();
        assert_eq!(
            account_thaw(world.tx, &account, Some(&two)).unwrap(),
            AccountState::Frozen { dark: true },
            "another's freeze was undone"
        );
        account_freeze(world.tx, &account, Some(&two), false, START).unwrap();
        assert_eq!(account_thaw(world.tx, &account, Some(&one)).unwrap(), AccountState::Frozen { dark: false });
        assert_eq!(account_thaw(world.tx, &account, Some(&two)).unwrap(), AccountState::Active);

        let agent = "agt_1".parse().unwrap();
        agent_stop(world.tx, &account, Some(&one), &agent, START).unwrap();
        agent_start(world.tx, &account, Some(&two), &agent).unwrap();
        assert!(agent_is_stopped(world.tx, &account, &agent).unwrap(), "another's stop was undone");
        account_freeze(world.tx, &account, Some(&one), true, START).unwrap();
        let ada = world.sign_in(ADA);
        link_cut(world.tx, &world.realm, &ada, one.as_str()).unwrap();
        assert_eq!(account_thaw(world.tx, &account, None).unwrap(), AccountState::Active, "nobody can lift it any more");
        assert!(!agent_is_stopped(world.tx, &account, &agent).unwrap());
    })
    .await;
}

#[tokio::test]
async fn a_suspended_orchestrator_does_not_ask_for_connections() {
    story(|world| {
        world.opened("one", ADA);
        let mark = "orchestrator=https://o.test".parse().unwrap();
        suspend(world.tx, &world.realm.env, &mark, "phishing").unwrap();
        assert!(matches!(world.ask("two", ADA), Err(LinkRequestError::Suspended)));
    })
    .await;
}

#[tokio::test]
async fn accounts_from_before_there_were_people_get_their_owner_and_their_link() {
    each_engine(OLD, |db| async move {
        let (env, _) = Env::test(START, 4);
        let account = "sac_01hq3000000000000000000000";
        db.write(move |tx| -> Result<(), DbError> {
            let insert = "insert into cloud_account (id, hex, issuer, subject, attested, email, organisation, state, created_at)
                          values ($1, '0123456789abcdef0123456789abcdef', 'https://o.test', 'one', 1, $2, 'Ada', 'dark', 1)";
            tx.execute(insert, params![account, ADA])?;
            tx.execute("insert into cloud_member (account, email, role, added_at) values ($1, $2, 'owner', 1)", params![account, ADA])?;
            let pair = pair("old");
            let insert = "insert into provisioning_pair (access, refresh, account, access_expires_at, refresh_expires_at)
                          values ($1, $2, $3, $4, $4)";
            tx.execute(insert, params![pair.access, pair.refresh, account, pair.access_expires_at]).map(drop)
        })
        .await
        .unwrap();
        db.migrate(&env, TABLES).await.unwrap();
        db.write(move |tx| -> Result<(), DbError> {
            let (env, clock) = Env::test(START, 5);
            let mut world = World { tx, realm: realm(env), clock };
            let again = world.opened("one", ADA);
            assert!(!again.is_new && again.account.id.as_str() == account, "the organisation lost its account");
            assert!(world.is_alive("old"), "its tokens died with the upgrade");
            assert_eq!(again.account.state, AccountState::Frozen { dark: true }, "a freeze was lost");
            let state = account_thaw(world.tx, &again.account.id, Some(&again.link.id)).unwrap();
            assert_eq!(state, AccountState::Active, "nobody can lift an old freeze");
            assert!(matches!(world.open("two", ADA), AccountOpened::OwnerMustAgree));
            let ada = world.sign_in(ADA);
            let connections = connection_list(world.tx, &ada.person.id).unwrap();
            assert_eq!(connections[0].account.id.as_str(), account);
            assert!(link_cut(world.tx, &world.realm, &ada, connections[0].link.id.as_str()).unwrap().is_some());
            assert!(!world.is_alive("old"));
            Ok(())
        })
        .await
        .unwrap();
    })
    .await;
}
