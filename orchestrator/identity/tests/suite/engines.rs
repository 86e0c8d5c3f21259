//! The state machines on both engines, one by one and against each other.

use std::collections::BTreeMap;
use std::sync::Arc;

use purser_authority::action::{
    AgentDelegate, AgentFreeze, AgentRead, AgentThaw, GrantDecide, GrantRequest, GrantRevoke, SignIn, SigningKeyRotate, TokenIssue,
};
use purser_authority::{Action, Caller, Denied, Done, Facts, GrantScope, Permit, Reach, Role, authorise};
use purser_crypto::jose::{self, Algorithm, SigningKey};
use purser_crypto::seal::Keyring;
use purser_db::testing::{START, each_engine};
use purser_db::{Db, DbError, Migrations, Tx, params};
use purser_identity::agent::{self, FreezeError, ThawError, agent_freeze, agent_thaw, agents_list};
use purser_identity::consent::TermsSeen;
use purser_identity::grant::{self, Derive, DeriveError, Derived, GrantRecord, RevokeError, agent_delegate, grant_revoke};
use purser_identity::grant_request::{
    Accept, Ask, AskedScope, Asker, DecideError, Decided, Decision, device_authorization_start, device_decision,
};
use purser_identity::keys::{Haste, signing_key_rotate};
use purser_identity::limits::KEY_SETTLE_S;
use purser_identity::session::Place;
use purser_identity::sign_in::{CodeUse, CodeUseError, Origin, sign_in_code_send, sign_in_code_use};
use purser_identity::terms::{TermsDocument, terms_in_force, terms_keep};
use purser_identity::token::dpop::{Proof, ProofError};
use purser_identity::token::{RefreshError, Refreshed, TokenIssueError, Tokens, token_issue, token_refresh};
use purser_identity::whoami::whoami;
use purser_identity::{CallContext, CallerError, Keys, Presented, Realm, SignUp, caller_of, standing, sweep};
use purser_values::env::TestClock;
use purser_values::id::{AgentId, GrantId, GrantRequestId};
use purser_values::name::{Email, ProviderName};
use purser_values::{Currency, Env, Money, Secret, Sha256Digest};
use serde_json::json;

const MIGRATIONS: &[Migrations] = &[purser_db::MIGRATIONS, purser_identity::MIGRATIONS];

struct World {
    db: Db,
    realm: Realm,
    clock: Arc<TestClock>,
}

fn allowed<A: Action>(caller: &Caller, realm: &Realm, subject: &str) -> Permit<A> {
    authorise::<A>(caller, &Facts::new(realm.env.now(), subject)).unwrap()
}

impl World {
    async fn new(db: Db) -> Self {
        let (env, clock) = Env::test(START, 3);
        let keyring = Keyring::from_bytes(&Secret::new([1; 32])).unwrap();
        let (e, k) = (env.clone(), keyring.clone());
        let keys = db.write(move |tx| Keys::load(tx, &e, &k)).await.unwrap();
        let realm = Realm::new(env, keyring, keys, "http://localhost:1/", SignUp::Open);
        let world = Self { db, realm, clock };
        world.terms("1").await;
        world
    }

    async fn write<T: Send + 'static, E: From<DbError> + Send + 'static>(
        &self,
        work: impl Fn(&mut Tx<'_>, &Realm) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let realm = self.realm.clone();
        self.db.write(move |tx| work(tx, &realm)).await
    }

    async fn terms(&self, version: &'static str) {
        let documents = vec![TermsDocument {
            url: "https://slipway.test/terms".to_owned(),
            version: version.to_owned(),
            title: "Terms".to_owned(),
            body: version.as_bytes().to_vec(),
        }];
        self.write::<_, DbError>(move |tx, realm| terms_keep(tx, &realm.env, &slipway(), &documents)).await.unwrap();
    }

    async fn seen(&self) -> Vec<TermsSeen> {
        self.write(|tx, _| terms_in_force(tx, &slipway())).await.unwrap()
    }

    /// Sends a code and reads it from the sealed mail, as the person would from the mailbox.
    async fn code(&self, email: &str) -> (Secret<String>, String) {
        let email: Email = email.parse().unwrap();
        let done = self
            .write(move |tx, realm| {
                sign_in_code_send(
                    tx,
                    realm,
                    allowed::<SignIn>(&Caller::Anonymous, realm, "x"),
                    &email,
                    Origin { peer: "192.0.2.1", mark: None, ticket: None },
                )
            })
            .await
            .unwrap();
        let payload = &done.jobs[0].payload;
        let sealed = purser_crypto::encoding::b64url_decode(payload["sealed"].as_str().unwrap()).unwrap();
        let plain = self.realm.keyring.open(&format!("mail/{}", payload["message"].as_str().unwrap()), &sealed).unwrap();
        let text = String::from_utf8(plain.expose().clone()).unwrap();
        let code = text.split("\\n\\n").map(str::trim).find(|w| w.len() == 6 && w.bytes().all(|b| b.is_ascii_digit())).unwrap();
        (done.value.attempt, code.to_owned())
    }

    async fn try_code(&self, attempt: &Secret<String>, code: &str) -> Result<Done<CodeUse>, CodeUseError> {
        let (attempt, code) = (attempt.clone(), code.to_owned());
        self.write(move |tx, realm| {
            sign_in_code_use(tx, realm, allowed::<SignIn>(&Caller::Anonymous, realm, "x"), &attempt, &code, Place::default(), None)
        })
        .await
    }

    async fn person(&self, email: &str) -> Caller {
        let (attempt, code) = self.code(email).await;
        let CodeUse::SignedIn(signed_in) = self.try_code(&attempt, &code).await.unwrap().value else { panic!("the code is right") };
        Caller::Person {
            person: signed_in.member.person.id,
            organisation: signed_in.member.organisation.id,
            role: signed_in.member.role,
            present_at: Some(self.realm.env.now()),
        }
    }

    fn proof(&self, key: &SigningKey) -> Proof {
        let jti = format!("{:?}", self.realm.env.bytes::<8>());
        let claims = json!({ "htm": "POST", "htu": "http://localhost:1/t", "iat": self.realm.env.now().as_secs(), "jti": jti });
        Proof::check(&key.sign_with_jwk("dpop+jwt", &claims).unwrap(), "POST", "http://localhost:1/t", None, self.realm.env.now()).unwrap()
    }

    fn asked() -> AskedScope {
        AskedScope {
            projects: Reach::only(["shop".parse().unwrap()]),
            environments: Reach::All,
            providers: Reach::only([slipway()]),
            services: Reach::All,
            actions: Reach::All,
            cap: usd(100_00),
            caps: BTreeMap::new(),
            total: None,
            export: false,
            irreversible: true,
            delegate: false,
            life_s: 86_400,
        }
    }

    async fn ask(&self, key: &SigningKey) -> (GrantRequestId, Secret<String>) {
        self.ask_for(key, Self::asked()).await
    }

    async fn ask_for(&self, key: &SigningKey, asked: AskedScope) -> (GrantRequestId, Secret<String>) {
        let ask = Ask { asker: Asker::Agent(Box::new(asked)), name: "bot".parse().unwrap(), peer: "192.0.2.9".to_owned() };
        let proof = self.proof(key);
        let started = self
            .write(move |tx, realm| {
                device_authorization_start(tx, realm, allowed::<GrantRequest>(&Caller::Anonymous, realm, "x"), &ask, &proof)
            })
            .await
            .unwrap()
            .value;
        (started.id, started.device_code)
    }

    async fn decide(&self, person: &Caller, id: &GrantRequestId, decision: Decision) -> Result<Done<Decided>, DecideError> {
        let (person, id) = (person.clone(), id.clone());
        self.write(move |tx, realm| device_decision(tx, realm, &allowed::<GrantDecide>(&person, realm, id.as_str()), &decision)).await
    }

    async fn accept(&self) -> Accept {
        Accept { allowed: AskedScope { cap: usd(50_00), ..Self::asked() }, terms: self.seen().await, answer: None }
    }

    async fn issue(&self, code: &Secret<String>, key: &SigningKey) -> Result<Tokens, TokenIssueError> {
        let (code, proof) = (code.clone(), self.proof(key));
        self.write(move |tx, realm| token_issue(tx, realm, allowed::<TokenIssue>(&Caller::Anonymous, realm, "x"), &code, &proof))
            .await
            .map(|done| done.value)
    }

    async fn refresh(&self, token: &Secret<String>, key: &SigningKey) -> Result<Refreshed, RefreshError> {
        let (token, proof) = (token.clone(), self.proof(key));
        self.write(move |tx, realm| token_refresh(tx, realm, allowed::<TokenIssue>(&Caller::Anonymous, realm, "x"), &token, &proof))
            .await
            .map(|done| done.value)
    }

    async fn granted(&self, person: &Caller, key: &SigningKey) -> Tokens {
        let (id, code) = self.ask(key).await;
        let _ = self.decide(person, &id, Decision::Accept(Box::new(self.accept().await))).await.unwrap();
        self.issue(&code, key).await.unwrap()
    }

    async fn call(&self, tokens: &Tokens, key: &SigningKey) -> Result<CallContext, CallerError> {
        let (url, token) = ("http://localhost:1/v1/x", tokens.access_token.expose());
        let ath = purser_crypto::encoding::b64url(Sha256Digest::of(token.as_bytes()).as_bytes());
        let claims = json!({ "htm": "GET", "htu": url, "iat": self.realm.env.now().as_secs(), "jti": format!("{:?}", self.realm.env.bytes::<8>()), "ath": ath });
        let presented = Presented::check(&self.realm, token, &key.sign_with_jwk("dpop+jwt", &claims).unwrap(), "GET", url)?;
        self.write(move |tx, realm| caller_of(tx, realm.env.now(), &presented)).await
    }

    async fn freeze(&self, person: &Caller, id: &AgentId) -> Result<(), FreezeError> {
        let (person, id) = (person.clone(), id.clone());
        self.write(move |tx, realm| {
            let permit = agent::permit::<AgentFreeze, FreezeError>(tx, &person, &id, realm.env.now())?;
            agent_freeze(tx, &realm.env, permit, false).map(drop)
        })
        .await
    }

    async fn thaw(&self, caller: &Caller, id: &AgentId) -> Result<(), ThawError> {
        let (caller, id) = (caller.clone(), id.clone());
        self.write(move |tx, realm| {
            let permit = agent::permit::<AgentThaw, ThawError>(tx, &caller, &id, realm.env.now())?;
            agent_thaw(tx, permit).map(drop)
        })
        .await
    }
}

fn slipway() -> ProviderName {
    "slipway".parse().unwrap()
}

fn usd(minor: i64) -> Money {
    Money::from_minor(minor, Currency::USD)
}

fn key() -> SigningKey {
    SigningKey::generate(Algorithm::EdDsa).unwrap()
}

#[tokio::test]
async fn a_person_gets_one_organisation_and_a_second_sign_in_finds_it_again() {
    each_engine(MIGRATIONS, |db| async {
        let world = World::new(db).await;
        let first = world.person("Ada@Example.test").await;
        assert!(matches!(first, Caller::Person { role: Role::Owner, .. }));
        assert_eq!(first, world.person("ada@example.test").await);
        assert_ne!(first.organisation(), world.person("eve@example.test").await.organisation());
    })
    .await;
}

#[tokio::test]
async fn twenty_guesses_at_once_share_five_tries() {
    each_engine(MIGRATIONS, |db| async {
        let world = Arc::new(World::new(db).await);
        let (attempt, code) = world.code("ada@example.test").await;
        let wrong = format!("{:06}", (code.parse::<u32>().unwrap() + 1) % 1_000_000);
        let tries: Vec<_> = (0..20)
            .map(|_| {
                let (world, attempt, wrong) = (world.clone(), attempt.clone(), wrong.clone());
                tokio::spawn(async move { world.try_code(&attempt, &wrong).await })
            })
            .collect();
        let mut counted = 0;
        for t in tries {
            counted += usize::from(matches!(t.await.unwrap(), Ok(Done { value: CodeUse::Wrong { .. }, .. })));
        }
        assert_eq!(counted, 5);
        assert!(matches!(world.try_code(&attempt, &code).await, Err(CodeUseError::NoAttempt)));
    })
    .await;
}

#[tokio::test]
async fn of_two_decisions_at_once_one_counts() {
    each_engine(MIGRATIONS, |db| async {
        let world = Arc::new(World::new(db).await);
        let person = world.person("ada@example.test").await;
        let (id, _) = world.ask(&key()).await;
        let accept = Decision::Accept(Box::new(world.accept().await));
        let both: Vec<_> = [accept.clone(), Decision::Deny, accept]
            .into_iter()
            .map(|decision| {
                let (world, person, id) = (world.clone(), person.clone(), id.clone());
                tokio::spawn(async move { world.decide(&person, &id, decision).await })
            })
            .collect();
        let mut taken = 0;
        for decision in both {
            taken += usize::from(decision.await.unwrap().is_ok());
        }
        assert_eq!(taken, 1);
    })
    .await;
}

#[tokio::test]
async fn of_two_refreshes_at_once_by_the_same_key_one_answer_works_and_a_late_reuse_ends_the_family() {
    each_engine(MIGRATIONS, |db| async {
        let world = Arc::new(World::new(db).await);
        let (person, key) = (world.person("ada@example.test").await, key());
        let tokens = world.granted(&person, &key).await;
        let refresh = tokens.agent.as_ref().unwrap().refresh_token.clone().unwrap();
        let both: Vec<_> = (0..2)
            .map(|_| {
                let (world, refresh, key) = (world.clone(), refresh.clone(), key.clone());
                tokio::spawn(async move { world.refresh(&refresh, &key).await })
            })
            .collect();
        let mut successors = Vec::new();
        for outcome in both {
            let Refreshed::Issued(tokens) = outcome.await.unwrap().unwrap() else { panic!("a lost answer was taken for a theft") };
            successors.push(tokens.agent.unwrap().refresh_token.unwrap());
        }
        let mut alive = 0;
        for successor in &successors {
            alive += usize::from(matches!(world.refresh(successor, &key).await, Ok(Refreshed::Issued(_))));
        }
        assert_eq!(alive, 1, "both answers of one refresh work");
        // its successor was used: whoever brings the first token now has a copy of an old one
        assert!(matches!(world.refresh(&refresh, &key).await, Ok(Refreshed::Reused)));
        assert!(matches!(world.call(&tokens, &key).await, Err(CallerError::GrantEnded)));
    })
    .await;
}

#[tokio::test]
async fn a_grant_is_a_record_that_anybody_can_verify_with_the_public_key_also_after_a_rotation() {
    each_engine(MIGRATIONS, |db| async {
        let world = World::new(db).await;
        let (person, agent_key) = (world.person("ada@example.test").await, key());
        let tokens = world.granted(&person, &agent_key).await;
        let before = world.realm.keys.active();
        let permit = |realm: &Realm| allowed::<SigningKeyRotate>(&Caller::Operator, realm, "x");
        let _events = world.write(move |tx, realm| signing_key_rotate(tx, realm, &permit(realm), Haste::Now)).await.unwrap();
        world.write(|tx, realm| realm.keys.reload(tx)).await.unwrap();
        world.clock.advance_secs(KEY_SETTLE_S);
        assert_ne!(before.public(), world.realm.keys.active().public());
        assert!(world.call(&tokens, &agent_key).await.is_ok(), "a token of the retired key");

        let id = tokens.agent.as_ref().unwrap().grant.clone();
        let grant = world.write(move |tx, _| grant::find(tx, &id)).await.unwrap().unwrap();
        let kid = jose::decode_unverified::<serde_json::Value>(&grant.record, "grant+jwt").unwrap().kid.unwrap();
        let record =
            jose::verify::<GrantRecord>(&grant.record, "grant+jwt", &world.realm.keys.find_published(&kid).unwrap()).unwrap().claims;
        assert_eq!((&record.scope, &record.terms), (&grant.scope, &grant.terms));
        assert_eq!(record.agent.jkt, agent_key.public().thumbprint());
        assert_eq!(record.terms[0].sha256, Sha256Digest::of(b"1"));
    })
    .await;
}

#[tokio::test]
async fn a_decision_is_within_what_was_asked_and_over_the_terms_in_force() {
    each_engine(MIGRATIONS, |db| async {
        let world = World::new(db).await;
        let person = world.person("ada@example.test").await;
        let (id, _) = world.ask(&key()).await;
        let good = world.accept().await;
        let old = world.seen().await;
        world.terms("2").await;
        let stale = world.decide(&person, &id, Decision::Accept(Box::new(good.clone()))).await;
        assert!(matches!(stale, Err(DecideError::TermsChanged(_))));
        let good = Accept { terms: world.seen().await, ..good };
        let with = |change: fn(&mut AskedScope)| {
            let mut accept = good.clone();
            change(&mut accept.allowed);
            accept
        };
        let bad = [
            with(|a| a.export = true),
            with(|a| a.delegate = true),
            with(|a| a.projects = Reach::All),
            with(|a| a.projects = Reach::only([])),
            with(|a| a.providers = Reach::only(["other".parse().unwrap()])),
            with(|a| a.providers = Reach::only([])),
            with(|a| a.life_s += 1),
            with(|a| a.life_s = 0),
            with(|a| a.cap = usd(-1)),
            with(|a| a.cap = Money::from_minor(1, Currency::EUR)),
            with(|a| a.total = Some(usd(-1))),
            Accept { terms: vec![], ..good.clone() },
            Accept { terms: [good.terms.clone(), old].concat(), ..good.clone() },
        ];
        for accept in bad {
            assert!(world.decide(&person, &id, Decision::Accept(Box::new(accept.clone()))).await.is_err(), "{accept:?}");
        }
        // a member may give a grant and may not raise the cap above the default
        let Caller::Person { person: who, organisation, .. } = person.clone() else { panic!() };
        let member = Caller::Person { person: who, organisation, role: Role::Member, present_at: Some(world.realm.env.now()) };
        let raised = world.decide(&member, &id, Decision::Accept(Box::new(with(|a| a.cap = usd(100_01))))).await;
        assert!(matches!(raised, Err(DecideError::Denied(Denied::Role { .. }))));
        let done = world.decide(&member, &id, Decision::Accept(Box::new(good.clone()))).await.unwrap();
        assert_eq!(done.events.iter().map(|e| e.verb.as_str()).collect::<Vec<_>>(), ["grant_decide", "terms_accept"]);
    })
    .await;
}

#[tokio::test]
async fn frozen_revoked_and_ended_are_seen_by_the_next_call_and_agents_can_change_none_of_it() {
    each_engine(MIGRATIONS, |db| async {
        let world = World::new(db).await;
        let (person, key) = (world.person("ada@example.test").await, key());
        let tokens = world.granted(&person, &key).await;
        let agent = tokens.agent.as_ref().unwrap();
        let context = world.call(&tokens, &key).await.unwrap();
        assert!(matches!(world.thaw(&context.caller, &agent.agent).await, Err(ThawError::Denied(Denied::AgentNever { .. }))));
        let eve = world.person("eve@example.test").await;
        assert!(matches!(world.freeze(&eve, &agent.agent).await, Err(FreezeError::Denied(Denied::NotFound))));

        world.freeze(&person, &agent.agent).await.unwrap();
        assert!(world.call(&tokens, &key).await.unwrap().frozen);
        assert!(matches!(world.refresh(agent.refresh_token.as_ref().unwrap(), &key).await, Err(RefreshError::Frozen)));
        world.thaw(&person, &agent.agent).await.unwrap();
        let context = world.call(&tokens, &key).await.unwrap();
        assert!(!context.frozen);
        let who = world.write(move |tx, _| whoami(tx, &context)).await.unwrap();
        assert_eq!(who.person.unwrap().email.as_str(), "ada@example.test");
        assert_eq!(who.grant.unwrap().cap, usd(50_00));

        let (p, id): (Caller, GrantId) = (person.clone(), agent.grant.clone());
        world
            .write(move |tx, realm| {
                let permit = grant::permit::<GrantRevoke, RevokeError>(tx, &p, &id, realm.env.now())?;
                grant_revoke(tx, realm.env.now(), permit, "test").map(drop)
            })
            .await
            .unwrap();
        assert!(matches!(world.call(&tokens, &key).await, Err(CallerError::GrantEnded)));

        // a second grant of the same key is the same agent; it ends with its time
        let tokens = world.granted(&person, &key).await;
        assert_eq!(tokens.agent.as_ref().unwrap().agent, agent.agent);
        let caller = world.call(&tokens, &key).await.unwrap().caller;
        let p = person.clone();
        let listed = world.write(move |tx, realm| agents_list(tx, &allowed::<AgentRead>(&p, realm, "x"))).await.unwrap();
        assert_eq!((listed.len(), listed[0].grants.len()), (1, 2));
        world.clock.advance_secs(86_401);
        assert!(matches!(world.write(move |tx, realm| standing(tx, realm.env.now(), &caller)).await, Err(CallerError::GrantEnded)));
    })
    .await;
}

#[tokio::test]
async fn a_person_who_leaves_the_organisation_takes_sessions_and_grants_along() {
    each_engine(MIGRATIONS, |db| async {
        let world = World::new(db).await;
        let (person, key) = (world.person("ada@example.test").await, key());
        let tokens = world.granted(&person, &key).await;
        world.write::<_, DbError>(|tx, _| tx.execute("delete from membership", params![])).await.unwrap();
        assert!(matches!(world.call(&tokens, &key).await, Err(CallerError::GrantEnded)));
    })
    .await;
}

#[tokio::test]
async fn a_proof_counts_once_also_when_it_comes_many_times_at_once_and_is_forgotten_when_it_is_stale() {
    each_engine(MIGRATIONS, |db| async {
        let world = Arc::new(World::new(db).await);
        let proof = world.proof(&key());
        let uses: Vec<_> = (0..10)
            .map(|_| {
                let (world, proof) = (world.clone(), proof.clone());
                tokio::spawn(async move { world.write::<_, ProofError>(move |tx, _| proof.consume(tx)).await })
            })
            .collect();
        let mut taken = 0;
        for used in uses {
            taken += usize::from(used.await.unwrap().is_ok());
        }
        assert_eq!(taken, 1);
        world.clock.advance_secs(120);
        world.write(|tx, realm| sweep(tx, realm.env.now())).await.unwrap();
        let left = world.write::<_, DbError>(|tx, _| tx.query_one("select count(*) as n from dpop_proof", params![])).await.unwrap();
        assert_eq!(left.get::<i64>("n").unwrap(), 0);
    })
    .await;
}

impl World {
    /// The grant and caller of an agent that a person let act, and that may let in helpers.
    async fn delegator(&self, person: &Caller, key: &SigningKey) -> (Tokens, CallContext) {
        let (id, code) = self.ask_for(key, AskedScope { delegate: true, ..Self::asked() }).await;
        let accept = Accept { allowed: AskedScope { delegate: true, ..Self::asked() }, terms: self.seen().await, answer: None };
        let _ = self.decide(person, &id, Decision::Accept(Box::new(accept))).await.unwrap();
        let tokens = self.issue(&code, key).await.unwrap();
        let context = self.call(&tokens, key).await.unwrap();
        (tokens, context)
    }

    async fn derive(&self, above: &CallContext, key: &SigningKey, scope: GrantScope) -> Result<Derived, DeriveError> {
        let (caller, derive) = (above.caller.clone(), Derive { key: key.public().clone(), name: "helper".parse().unwrap(), scope });
        self.write(move |tx, realm| {
            let now = realm.env.now();
            let standing = standing(tx, now, &caller).map_err(|_| Denied::GrantEnded)?;
            let permit = authorise::<AgentDelegate>(&caller, &standing.facts(now, "x"))?;
            agent_delegate(tx, realm, &permit, &derive).map(|done| done.value)
        })
        .await
    }

    async fn stands(&self, derived: &Derived) -> Result<CallContext, CallerError> {
        let id = derived.grant.id.clone();
        self.write(move |tx, realm| {
            let now = realm.env.now();
            let grant = grant::find(tx, &id)?.unwrap();
            let caller = grant::chain(tx, &grant, now)?.caller(&grant);
            standing(tx, now, &caller)
        })
        .await
    }

    async fn revoke(&self, person: &Caller, id: &GrantId) -> Vec<GrantId> {
        let (person, id) = (person.clone(), id.clone());
        let done = self.write(move |tx, realm| {
            let permit = grant::permit::<GrantRevoke, RevokeError>(tx, &person, &id, realm.env.now())?;
            grant_revoke(tx, realm.env.now(), permit, "test").map(|done| done.value)
        });
        done.await.unwrap().below.into_iter().map(|grant| grant.id).collect()
    }
}

#[tokio::test]
async fn a_derived_grant_is_narrower_names_its_parent_and_carries_the_chain() {
    each_engine(MIGRATIONS, |db| async move {
        let world = World::new(db).await;
        let person = world.person("ada@example.test").await;
        let (_, above) = world.delegator(&person, &key()).await;
        let scope = above.grant.clone().unwrap();
        for wider in [
            GrantScope { projects: Reach::All, ..scope.clone() },
            GrantScope { cap_per_provider_month: usd(100_01), ..scope.clone() },
            GrantScope { export: true, ..scope.clone() },
            GrantScope { expires_at: scope.expires_at.plus_secs(1), ..scope.clone() },
            GrantScope { actions: [scope.actions.clone(), vec!["cap_set".to_owned()]].concat(), ..scope.clone() },
        ] {
            assert!(matches!(world.derive(&above, &key(), wider).await, Err(DeriveError::Wider(_))));
        }
        let nothing = GrantScope { projects: Reach::only([]), ..scope.clone() };
        assert!(matches!(world.derive(&above, &key(), nothing).await, Err(DeriveError::Nothing)));
        let one = world.derive(&above, &key(), GrantScope { cap_per_provider_month: usd(5_00), ..scope.clone() }).await.unwrap();
        let context = world.stands(&one).await.unwrap();
        let Caller::Agent { agent, grant, .. } = &above.caller else { panic!() };
        assert_eq!(context.caller.chain(), [purser_authority::Delegator { agent: agent.clone(), grant: grant.clone() }]);
        assert_eq!((context.caller.person(), context.links.len()), (above.caller.person(), 2));
        let signer = world.realm.keys.active().public().clone();
        let record = jose::verify::<GrantRecord>(&one.grant.record, "grant+jwt", &signer).unwrap().claims;
        assert_eq!((record.request, record.parent.map(|p| p.grant)), (None, Some(grant.clone())));
        // A caller that leaves its chain out is none of ours.
        let Caller::Agent { agent, grant, on_behalf_of, organisation, .. } = context.caller.clone() else { panic!() };
        let bare = Caller::Agent { agent, grant, on_behalf_of, organisation, chain: vec![] };
        let refused = world.write(move |tx, realm| standing(tx, realm.env.now(), &bare)).await;
        assert!(matches!(refused, Err(CallerError::GrantEnded)));
    })
    .await;
}

#[tokio::test]
async fn helpers_fall_with_what_is_above_them_and_a_thaw_gives_back_only_what_was_not_frozen_by_itself() {
    each_engine(MIGRATIONS, |db| async move {
        let world = World::new(db).await;
        let person = world.person("ada@example.test").await;
        let (_, above) = world.delegator(&person, &key()).await;
        let scope = above.grant.clone().unwrap();
        let one = world.derive(&above, &key(), scope.clone()).await.unwrap();
        let two = world.derive(&world.stands(&one).await.unwrap(), &key(), scope.clone()).await.unwrap();
        let top = above.caller.agent().unwrap().clone();
        let below = top.clone();
        let agents = world.write(move |tx, _| grant::agents_below(tx, &below)).await.unwrap();
        let mut both = vec![one.agent.id.clone(), two.agent.id.clone()];
        both.sort();
        assert_eq!(agents, both);

        world.freeze(&person, &one.agent.id).await.unwrap();
        assert!(world.stands(&one).await.unwrap().frozen && world.stands(&two).await.unwrap().frozen);
        world.freeze(&person, &top).await.unwrap();
        world.thaw(&person, &top).await.unwrap();
        assert!(world.stands(&two).await.unwrap().frozen, "the one between is still frozen");
        let frozen = world.derive(&world.stands(&one).await.unwrap(), &key(), scope.clone()).await;
        assert!(matches!(frozen, Err(DeriveError::Denied(Denied::Frozen))), "{frozen:?}");
        world.thaw(&person, &one.agent.id).await.unwrap();
        assert!(!world.stands(&two).await.unwrap().frozen);

        let Caller::Agent { grant, .. } = &above.caller else { panic!() };
        let ended = world.revoke(&person, grant).await;
        assert_eq!(ended.len(), 2);
        assert!(matches!(world.stands(&one).await, Err(CallerError::GrantEnded)));
        assert!(matches!(world.stands(&two).await, Err(CallerError::GrantEnded)));
    })
    .await;
}

#[tokio::test]
async fn delegation_has_an_end_a_key_of_its_own_and_must_be_granted() {
    each_engine(MIGRATIONS, |db| async move {
        let world = World::new(db).await;
        let person = world.person("ada@example.test").await;
        let plain_key = key();
        let plain = world.granted(&person, &plain_key).await;
        let plain = world.call(&plain, &plain_key).await.unwrap();
        let refused = world.derive(&plain, &key(), plain.grant.clone().unwrap()).await;
        assert!(matches!(refused, Err(DeriveError::Denied(Denied::NotGranted { .. }))), "{refused:?}");

        let top_key = key();
        let (_, top) = world.delegator(&person, &top_key).await;
        let scope = top.grant.clone().unwrap();
        // The keys of agents that a person let act, the agent's own among them, cannot be had as helpers.
        for taken in [&plain_key, &top_key] {
            assert!(matches!(world.derive(&top, taken, scope.clone()).await, Err(DeriveError::KeyTaken)));
        }
        let (mut at, mut helper) = (top.clone(), key());
        for _ in 0..purser_identity::limits::GRANT_DEPTH {
            helper = key();
            at = world.stands(&world.derive(&at, &helper, scope.clone()).await.unwrap()).await.unwrap();
        }
        assert!(matches!(world.derive(&at, &key(), scope.clone()).await, Err(DeriveError::TooDeep)));
        // Nobody else's helper can be taken over, and no agent can become its own helper's helper.
        assert!(matches!(world.derive(&top, &helper, scope.clone()).await, Err(DeriveError::KeyTaken)));
        // A second grant for one's own helper is another grant of the same agent.
        let own = key();
        let first = world.derive(&top, &own, scope.clone()).await.unwrap();
        let second = world.derive(&top, &own, scope.clone()).await.unwrap();
        assert_eq!((first.agent.id.clone(), first.grant.id == second.grant.id), (second.agent.id, false));
        // It ends with its parent, whatever anybody does.
        world.clock.advance_secs(86_400);
        assert!(matches!(world.stands(&first).await, Err(CallerError::GrantEnded)));
    })
    .await;
}
