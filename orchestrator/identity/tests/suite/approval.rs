//! A person's yes to one exact request, on both engines.

use std::sync::Arc;

use purser_authority::action::{ApprovalDecide, ApprovalRequest, ResourceAdd, ResourceRemove};
use purser_authority::{Action, Caller, Denied, Done, Facts, GrantScope, Permit, Reach, Role, STEP_UP_S, authorise};
use purser_crypto::seal::Keyring;
use purser_db::testing::{START, each_engine};
use purser_db::{Db, DbError, Migrations, params};
use purser_identity::approval::{
    Answer, Approval, ApprovalError, ApprovalState, Ask, Every, Most, Reader, approval_decide, approval_request, consume, find, list,
    parties, permit, used_for, waiting,
};
use purser_identity::{Keys, Realm, SignUp};
use purser_values::env::TestClock;
use purser_values::id::{AgentId, GrantId, OrganisationId, PersonId};
use purser_values::{Currency, Env, Money, Secret, Sha256Digest};

const MIGRATIONS: &[Migrations] = &[purser_db::MIGRATIONS, purser_identity::MIGRATIONS];
const REQUEST: &str = r#"{"price":900,"service":"slipway/domain","verb":"resource_add"}"#;

#[derive(Clone)]
struct World {
    db: Db,
    realm: Realm,
    clock: Arc<TestClock>,
    organisation: OrganisationId,
    /// Owner, admin, member and auditor of the organisation.
    people: [PersonId; 4],
    agent: AgentId,
    grant: GrantId,
}

const ROLES: [Role; 4] = [Role::Owner, Role::Admin, Role::Member, Role::Auditor];

impl World {
    async fn new(db: Db) -> Self {
        let (env, clock) = Env::test(START, 5);
        let keyring = Keyring::from_bytes(&Secret::new([1; 32])).unwrap();
        let (e, k) = (env.clone(), keyring.clone());
        let keys = db.write(move |tx| Keys::load(tx, &e, &k)).await.unwrap();
        let realm = Realm::new(env.clone(), keyring, keys, "http://localhost:1/", SignUp::Open);
        let people = std::array::from_fn(|_| PersonId::mint(&env));
        let (organisation, agent, grant) = (OrganisationId::mint(&env), AgentId::mint(&env), GrantId::mint(&env));
        let world = Self { db, realm, clock, organisation, people, agent, grant };
        let (organisation, people) = (world.organisation.clone(), world.people.clone());
        let join = move |tx: &mut purser_db::Tx<'_>| {
            tx.execute("insert into organisation (id, name, created_at) values ($1, 'o', 0)", params![organisation])?;
            for (i, person) in people.iter().enumerate() {
                let email = format!("p{i}@example.test");
                tx.execute("insert into person (id, email, created_at) values ($1, $2, 0)", params![person, email.as_str()])?;
                let insert = "insert into membership (organisation, person, role, created_at) values ($1, $2, $3, 0)";
                tx.execute(insert, params![organisation, person, ROLES[i].name()])?;
            }
            Ok::<_, DbError>(())
        };
        world.db.write(join).await.unwrap();
        world
    }

    fn person(&self, i: usize) -> Caller {
        let present_at = Some(self.realm.env.now());
        Caller::Person { person: self.people[i].clone(), organisation: self.organisation.clone(), role: ROLES[i], present_at }
    }

    /// The agent that acts for the member.
    fn agent(&self) -> Caller {
        Caller::Agent {
            agent: self.agent.clone(),
            grant: self.grant.clone(),
            on_behalf_of: self.people[2].clone(),
            organisation: self.organisation.clone(),
            chain: Vec::new(),
        }
    }

    fn permit<A: Action>(&self, caller: &Caller) -> Permit<A> {
        let scope = GrantScope {
            projects: Reach::All,
            environments: Reach::All,
            providers: Reach::All,
            services: Reach::All,
            actions: purser_authority::action::grantable().map(str::to_owned).collect(),
            cap_per_provider_month: Money::zero(Currency::USD),
            caps: std::collections::BTreeMap::new(),
            total: None,
            irreversible: false,
            export: false,
            expires_at: self.realm.env.now().plus_secs(60),
        };
        authorise(caller, &Facts { grant: Some(&scope), ..Facts::new(self.realm.env.now(), "x") }).unwrap()
    }

    async fn ask(&self, caller: &Caller, request: &str, second_person: bool) -> Result<Done<Approval>, ApprovalError> {
        self.ask_at(caller, request, second_person, false).await
    }

    async fn ask_at(&self, caller: &Caller, request: &str, second_person: bool, open_price: bool) -> Result<Done<Approval>, ApprovalError> {
        let (world, caller) = (self.clone(), caller.clone());
        let ask = Ask {
            verb: "resource_add".to_owned(),
            request: request.to_owned(),
            summary: "add slipway/domain".to_owned(),
            facts: serde_json::Value::Null,
            reason: "the shop needs it".to_owned(),
            second_person,
            open_price,
        };
        self.db.write(move |tx| approval_request(tx, &world.realm, &world.permit::<ApprovalRequest>(&caller), &ask)).await
    }

    async fn decide(&self, caller: &Caller, approval: &Approval, yes: bool, shown: Sha256Digest) -> Result<Approval, ApprovalError> {
        self.answer(caller, approval, if yes { Answer::Yes } else { Answer::No }, shown).await
    }

    async fn answer(&self, caller: &Caller, approval: &Approval, answer: Answer, shown: Sha256Digest) -> Result<Approval, ApprovalError> {
        let (env, caller, id) = (self.realm.env.clone(), caller.clone(), approval.id.clone());
        let write = self.db.write(move |tx| {
            let permit = permit::<ApprovalDecide, ApprovalError>(tx, &caller, &id, env.now())?;
            approval_decide(tx, &env, &permit, answer, &shown).map(|done| done.value)
        });
        write.await
    }

    async fn consume<A: Action>(&self, caller: &Caller, approval: &Approval, request: &str) -> Result<PersonId, ApprovalError> {
        let (world, caller, id, digest) = (self.clone(), caller.clone(), approval.id.clone(), Sha256Digest::of(request.as_bytes()));
        let write = self.db.write(move |tx| {
            let permit = world.permit::<A>(&caller);
            let approved = consume(tx, world.realm.env.now(), &permit, &id, &digest, "res_1")?.value;
            assert!(approved.covers(&digest));
            Ok(approved.by().clone())
        });
        write.await
    }

    async fn state(&self, approval: &Approval) -> ApprovalState {
        let (now, id) = (self.realm.env.now(), approval.id.clone());
        self.db.read::<_, DbError, _>(move |tx| find(tx, &id, now)).await.unwrap().unwrap().state
    }
}

#[tokio::test]
async fn a_price_in_prose_wants_a_most_and_a_price_in_numbers_takes_none() {
    each_engine(MIGRATIONS, |db| async move {
        let world = World::new(db).await;
        let most = |minor| Most { amount: Money::from_minor(minor, Currency::EUR), period: Every::Month };
        let prose = world.ask_at(&world.agent(), REQUEST, false, true).await.unwrap().value;
        for answer in [Answer::Yes, Answer::UpTo(most(0)), Answer::UpTo(most(-1))] {
            let refused = world.answer(&world.person(2), &prose, answer, prose.digest).await;
            assert!(matches!(refused, Err(ApprovalError::Most(_))), "{answer:?}: {refused:?}");
        }
        let approved = world.answer(&world.person(2), &prose, Answer::UpTo(most(7_00)), prose.digest).await.unwrap();
        assert_eq!((approved.most, approved.open_price), (Some(most(7_00)), true));
        let number = world.ask(&world.agent(), &REQUEST.replace("900", "901"), false).await.unwrap().value;
        let refused = world.answer(&world.person(2), &number, Answer::UpTo(most(1)), number.digest).await;
        assert!(matches!(refused, Err(ApprovalError::Most(_))), "{refused:?}");
        // A no needs no amount.
        let other = world.ask_at(&world.agent(), &REQUEST.replace("900", "902"), false, true).await.unwrap().value;
        assert!(matches!(
            world.answer(&world.person(2), &other, Answer::No, other.digest).await.unwrap().state,
            ApprovalState::Denied { .. }
        ));
    })
    .await;
}

#[tokio::test]
async fn a_yes_is_for_one_use_of_exactly_what_was_asked_by_whoever_asked() {
    each_engine(MIGRATIONS, |db| async move {
        let world = World::new(db).await;
        let asked = world.ask(&world.agent(), REQUEST, false).await.unwrap();
        assert_eq!(asked.jobs.len(), 3, "owner, admin and the agent's person are told, the auditor is not");
        let asked = asked.value;
        let again = world.ask(&world.agent(), REQUEST, false).await.unwrap();
        assert_eq!((again.value.id, again.jobs.len()), (asked.id.clone(), 0), "the same request waits once");
        assert!(matches!(world.consume::<ResourceAdd>(&world.agent(), &asked, REQUEST).await, Err(ApprovalError::Pending(_))));
        let approved = world.decide(&world.person(2), &asked, true, asked.digest).await.unwrap();
        assert!(matches!(approved.state, ApprovalState::Approved { .. }));

        // One changed byte, another verb, another agent, a person: none of it was approved.
        let changed = REQUEST.replace("900", "901");
        assert!(matches!(world.consume::<ResourceAdd>(&world.agent(), &asked, &changed).await, Err(ApprovalError::Mismatch(_))));
        assert!(matches!(world.consume::<ResourceRemove>(&world.agent(), &asked, REQUEST).await, Err(ApprovalError::Mismatch(_))));
        let mut other = world.clone();
        other.agent = AgentId::mint(&world.realm.env);
        assert!(matches!(world.consume::<ResourceAdd>(&other.agent(), &asked, REQUEST).await, Err(ApprovalError::Unknown)));
        assert!(matches!(world.consume::<ResourceAdd>(&world.person(0), &asked, REQUEST).await, Err(ApprovalError::Unknown)));

        // Of many at once, one uses it.
        let tasks: Vec<_> = (0..10)
            .map(|_| {
                let (world, asked) = (world.clone(), asked.clone());
                tokio::spawn(async move { world.consume::<ResourceAdd>(&world.agent(), &asked, REQUEST).await })
            })
            .collect();
        let mut used = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(by) => used += usize::from(by == world.people[2]),
                Err(ApprovalError::Used(_) | ApprovalError::Db(_)) => {}
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(used, 1);
        assert!(matches!(world.consume::<ResourceAdd>(&world.agent(), &asked, REQUEST).await, Err(ApprovalError::Used(_))));
        let (now, id) = (world.realm.env.now(), asked.id.clone());
        let by = world.db.read::<_, DbError, _>(move |tx| Ok((used_for(tx, now, &id, "res_1")?, used_for(tx, now, &id, "res_2")?)));
        assert_eq!(by.await.unwrap(), (Some(world.people[2].clone()), None));
    })
    .await;
}

#[tokio::test]
async fn nobody_approves_what_they_asked_for_and_no_agent_approves_anything() {
    each_engine(MIGRATIONS, |db| async move {
        let world = World::new(db).await;
        let asked = world.ask(&world.agent(), REQUEST, true).await.unwrap();
        assert_eq!(asked.jobs.len(), 2, "the agent's own person is not asked where a second one is wanted");
        let asked = asked.value;
        for (who, why) in [(2, "the agent's own person"), (3, "an auditor")] {
            let refused = world.decide(&world.person(who), &asked, true, asked.digest).await;
            assert!(matches!(refused, Err(ApprovalError::OwnRequest | ApprovalError::Denied(Denied::Role { .. }))), "{why}: {refused:?}");
        }
        let by_agent = world.decide(&world.agent(), &asked, true, asked.digest).await;
        assert!(matches!(by_agent, Err(ApprovalError::Denied(Denied::AgentNever { .. }))), "{by_agent:?}");
        // A person who asks for themself waits for another, owner or not.
        let own = world.ask(&world.person(0), REQUEST, false).await.unwrap().value;
        assert!(matches!(world.decide(&world.person(0), &own, true, own.digest).await, Err(ApprovalError::OwnRequest)));
        assert!(world.decide(&world.person(1), &own, true, own.digest).await.is_ok());
        assert!(world.decide(&world.person(1), &asked, true, asked.digest).await.is_ok());
        // A member who is not the agent's person is no approver of it.
        let mut colleague = world.clone();
        colleague.people.swap(0, 2);
        let asked = colleague.ask(&colleague.agent(), "{}", false).await.unwrap().value;
        let refused = world.decide(&world.person(2), &asked, true, asked.digest).await;
        assert!(matches!(refused, Err(ApprovalError::Denied(Denied::Role { .. }))), "{refused:?}");
    })
    .await;
}

#[tokio::test]
async fn a_yes_needs_presence_and_the_digest_shown_a_no_needs_neither_and_time_ends_both() {
    each_engine(MIGRATIONS, |db| async move {
        let world = World::new(db).await;
        let asked = world.ask(&world.agent(), REQUEST, false).await.unwrap().value;
        let stale = world.person(0);
        world.clock.advance_secs(STEP_UP_S);
        let refused = world.decide(&stale, &asked, true, asked.digest).await;
        assert!(matches!(refused, Err(ApprovalError::Denied(Denied::StepUpRequired { .. }))), "{refused:?}");
        let other = Sha256Digest::of(b"something else");
        assert!(matches!(world.decide(&world.person(0), &asked, true, other).await, Err(ApprovalError::NotShown)));
        let denied = world.decide(&stale, &asked, false, asked.digest).await.unwrap();
        assert!(matches!(denied.state, ApprovalState::Denied { .. }));
        assert!(matches!(world.decide(&world.person(0), &asked, true, asked.digest).await, Err(ApprovalError::Decided(_))));
        assert!(matches!(world.consume::<ResourceAdd>(&world.agent(), &asked, REQUEST).await, Err(ApprovalError::Refused(_))));

        let late = world.ask(&world.agent(), REQUEST, false).await.unwrap().value;
        assert_ne!(late.id, asked.id, "a denied request does not wait");
        world.clock.advance_secs(3_600);
        assert_eq!(world.state(&late).await, ApprovalState::Expired);
        assert!(matches!(world.decide(&world.person(0), &late, true, late.digest).await, Err(ApprovalError::Expired(_))));
        let good = world.ask(&world.agent(), REQUEST, false).await.unwrap().value;
        world.decide(&world.person(0), &good, true, good.digest).await.unwrap();
        world.clock.advance_secs(3_600);
        assert!(matches!(world.consume::<ResourceAdd>(&world.agent(), &good, REQUEST).await, Err(ApprovalError::Expired(_))));

        // Who approved and left approves nothing.
        let left = world.ask(&world.agent(), REQUEST, false).await.unwrap().value;
        world.decide(&world.person(1), &left, true, left.digest).await.unwrap();
        let gone = world.people[1].clone();
        world.db.write::<_, DbError, _>(move |tx| tx.execute("delete from membership where person = $1", params![gone])).await.unwrap();
        assert!(matches!(world.consume::<ResourceAdd>(&world.agent(), &left, REQUEST).await, Err(ApprovalError::Expired(_))));
    })
    .await;
}

#[tokio::test]
async fn to_strangers_and_other_agents_there_is_no_approval_and_nobody_can_flood_the_page() {
    each_engine(MIGRATIONS, |db| async move {
        let world = World::new(db).await;
        let asked = world.ask(&world.agent(), REQUEST, false).await.unwrap().value;
        let mut stranger = world.clone();
        stranger.organisation = OrganisationId::mint(&world.realm.env);
        let refused = world.decide(&stranger.person(0), &asked, true, asked.digest).await;
        assert!(matches!(refused, Err(ApprovalError::Denied(Denied::NotFound))), "{refused:?}");
        let mut other = world.clone();
        other.agent = AgentId::mint(&world.realm.env);
        assert!(Reader(&world.agent()).sees(&asked) && Reader(&world.person(3)).sees(&asked));
        assert!(!Reader(&other.agent()).sees(&asked) && !Reader(&stranger.person(0)).sees(&asked));
        for i in 1..20 {
            let _ = world.ask(&world.agent(), &format!("{{\"n\":{i}}}"), false).await.unwrap();
        }
        assert!(matches!(world.ask(&world.agent(), "{}", false).await, Err(ApprovalError::TooMany)));
        assert!(world.ask(&other.agent(), "{}", false).await.is_ok());
        let (organisation, now) = (world.organisation.clone(), world.realm.env.now());
        let all = world.db.read::<_, DbError, _>(move |tx| list(tx, &organisation, now)).await.unwrap();
        assert_eq!(all.len(), 21);
    })
    .await;
}

#[tokio::test]
async fn what_was_asked_under_a_grant_that_is_over_waits_no_more_and_is_not_used() {
    each_engine(MIGRATIONS, |db| async move {
        let world = World::new(db).await;
        let (waits, approved) =
            (world.ask(&world.agent(), REQUEST, false).await.unwrap().value, world.ask(&world.agent(), "{}", false).await.unwrap().value);
        world.decide(&world.person(0), &approved, true, approved.digest).await.unwrap();
        let (grant, organisation, agent, person) =
            (world.grant.clone(), world.organisation.clone(), world.agent.clone(), world.people[2].clone());
        let until = world.realm.env.now().plus_secs(120);
        let put = move |tx: &mut purser_db::Tx<'_>| {
            let insert = "insert into agent_grant (id, organisation, person, agent, request, scope, terms, record, record_digest,
                          accepted_at, expires_at) values ($1, $2, $3, $4, 'gr_1', '{}', '[]', '', '', 0, $5)";
            tx.execute(insert, params![grant, organisation, person, agent, until])
        };
        world.db.write::<_, DbError, _>(put).await.unwrap();
        let stands = async |approval: &Approval| {
            let (id, now) = (approval.id.clone(), world.realm.env.now());
            world.db.read::<_, DbError, _>(move |tx| find(tx, &id, now)).await.unwrap().unwrap().state
        };
        let waiting = async || {
            let (organisation, now) = (world.organisation.clone(), world.realm.env.now());
            world.db.read::<_, DbError, _>(move |tx| waiting(tx, &organisation, now)).await.unwrap()
        };
        assert_eq!((stands(&waits).await, waiting().await), (ApprovalState::Pending, 1));
        world.clock.advance_secs(120);
        let ran_out = ApprovalState::Ended { how: "the grant ran out".to_owned() };
        assert_eq!((stands(&waits).await, stands(&approved).await, waiting().await), (ran_out.clone(), ran_out, 0));
        world.clock.advance_secs(-60);
        let revoke = "update agent_grant set revoked_at = 1, revoked_how = 'agents page'";
        world.db.write::<_, DbError, _>(move |tx| tx.execute(revoke, params![])).await.unwrap();
        let revoked = ApprovalState::Ended { how: "the grant was revoked (agents page)".to_owned() };
        assert_eq!((stands(&waits).await, stands(&approved).await, waiting().await), (revoked.clone(), revoked, 0));
        let refused = world.decide(&world.person(0), &waits, true, waits.digest).await;
        assert!(matches!(refused, Err(ApprovalError::Ended { .. })), "{refused:?}");
        let refused = world.consume::<ResourceAdd>(&world.agent(), &approved, "{}").await;
        assert!(matches!(refused, Err(ApprovalError::Ended { .. })), "{refused:?}");
        // what waited under the old grant is not in the way of a new one
        let mut anew = world.clone();
        anew.grant = GrantId::mint(&world.realm.env);
        for i in 0..purser_identity::limits::APPROVALS_PER_REQUESTER {
            let _ = anew.ask(&anew.agent(), &format!("{{\"n\":{i}}}"), false).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn an_approval_names_who_asks_and_for_whom() {
    each_engine(MIGRATIONS, |db| async move {
        let world = World::new(db).await;
        let by_agent = world.ask(&world.agent(), REQUEST, false).await.unwrap().value;
        let by_person = world.ask(&world.person(2), "{}", false).await.unwrap().value;
        let named = async |approval: &Approval| {
            let of = approval.clone();
            world.db.read::<_, DbError, _>(move |tx| parties(tx, &of)).await.unwrap()
        };
        let (agents, persons) = (named(&by_agent).await, named(&by_person).await);
        assert_eq!((agents.requested_by.kind, &agents.requested_by.id), ("agent", &world.agent.to_string()));
        assert_eq!(agents.for_person.name.as_deref(), Some("p2@example.test"));
        assert_eq!(persons.requested_by, persons.for_person);
        assert_eq!(persons.for_person, agents.for_person);
    })
    .await;
}

/// Where an approval stands, told naively: a state, and the moment at which it is over.
#[derive(Clone, Copy, Debug)]
struct Told {
    state: &'static str,
    ends_s: i64,
}

/// What may be done to it, at a moment in seconds.
#[derive(Clone, Copy, Debug)]
enum Way {
    Decide { at_s: i64, by_agent: bool, present: bool, yes: bool, shown: bool },
    Use { at_s: i64, same: bool },
}

/// What the lives after a step came to; the step itself is undone.
struct Undone(Result<u64, ApprovalError>);

impl From<DbError> for Undone {
    fn from(e: DbError) -> Self {
        Self(Err(e.into()))
    }
}

impl Told {
    fn tell(&mut self, way: Way) -> &'static str {
        let (Way::Decide { at_s, .. } | Way::Use { at_s, .. }) = way;
        let over = matches!(self.state, "pending" | "approved") && at_s >= self.ends_s;
        match way {
            Way::Decide { by_agent: true, .. } => "agent_not_allowed",
            Way::Decide { .. } if over => "approval_expired",
            Way::Decide { .. } if self.state != "pending" => "approval_decided",
            Way::Decide { shown: false, .. } => "approval_not_shown",
            Way::Decide { yes: true, present: false, .. } => "step_up_required",
            Way::Decide { yes, .. } => {
                if yes {
                    *self = Self { state: "approved", ends_s: at_s + 3_600 };
                } else {
                    self.state = "denied";
                }
                "ok"
            }
            Way::Use { same: false, .. } => "approval_mismatch",
            Way::Use { .. } if over => "approval_expired",
            Way::Use { .. } => match self.state {
                "pending" => "approval_pending",
                "denied" => "approval_denied",
                "used" => "approval_used",
                _ => {
                    self.state = "used";
                    "ok"
                }
            },
        }
    }
}

impl World {
    /// The same, done.
    fn go(&self, tx: &mut purser_db::Tx<'_>, asked: &Approval, way: Way) -> Result<(), ApprovalError> {
        let (Way::Decide { at_s, .. } | Way::Use { at_s, .. }) = way;
        let env = Env::test(purser_values::Timestamp::from_secs(at_s), 9).0;
        match way {
            Way::Decide { by_agent, present, yes, shown, .. } => {
                let present_at = present.then(|| env.now());
                let (person, organisation) = (self.people[0].clone(), self.organisation.clone());
                let owner = Caller::Person { person, organisation, role: Role::Owner, present_at };
                let caller = if by_agent { self.agent() } else { owner };
                let permit = permit::<ApprovalDecide, ApprovalError>(tx, &caller, &asked.id, env.now())?;
                let digest = if shown { asked.digest } else { Sha256Digest::of(b"another page") };
                approval_decide(tx, &env, &permit, if yes { Answer::Yes } else { Answer::No }, &digest).map(drop)
            }
            Way::Use { same, .. } => {
                let digest = if same { asked.digest } else { Sha256Digest::of(b"another request") };
                let permit = self.permit::<ResourceAdd>(&self.agent());
                consume(tx, env.now(), &permit, &asked.id, &digest, "res_1").map(drop)
            }
        }
    }

    /// Goes on in every way, and undoes each before the next. Answers how many lives there were.
    fn every_way_on(&self, tx: &mut purser_db::Tx<'_>, asked: &Approval, told: Told, depth: u32) -> Result<u64, ApprovalError> {
        if depth == 0 {
            return Ok(1);
        }
        // The second moment is beyond what waits and within what was approved at the first; the third is beyond both.
        let moments = [60, 3_630, 3_660].map(|after| START.as_secs() + after);
        let decide = |at_s| Way::Decide { at_s, by_agent: false, present: true, yes: true, shown: true };
        let [soon, later, late] = moments;
        let ways = [
            decide(soon),
            decide(later),
            Way::Decide { at_s: soon, by_agent: true, present: true, yes: true, shown: true },
            Way::Decide { at_s: soon, by_agent: false, present: false, yes: true, shown: true },
            Way::Decide { at_s: soon, by_agent: false, present: false, yes: false, shown: true },
            Way::Decide { at_s: soon, by_agent: false, present: true, yes: true, shown: false },
            Way::Use { at_s: soon, same: true },
            Way::Use { at_s: soon, same: false },
            Way::Use { at_s: later, same: true },
            Way::Use { at_s: late, same: true },
        ];
        let mut lives = 0;
        for way in ways {
            let mut after = told;
            let must = after.tell(way);
            let undone = tx.savepoint(|tx| -> Result<(), Undone> {
                let is = match tx.savepoint(|tx| self.go(tx, asked, way)) {
                    Ok(()) => "ok",
                    Err(ApprovalError::Db(e)) => return Err(e.into()),
                    Err(e) => purser_values::error::PublicError::code(&e),
                };
                assert_eq!(is, must, "{way:?} when it stood at {told:?}");
                Err(Undone(self.every_way_on(tx, asked, after, depth - 1)))
            });
            lives += undone.err().unwrap().0?;
        }
        Ok(lives)
    }
}

#[tokio::test]
async fn every_short_life_of_an_approval_ends_as_a_naive_telling_of_it_says() {
    let depth = if std::env::var_os("PURSER_DEEP").is_some() { 5 } else { 4 };
    let world = World::new(purser_db::testing::sqlite(MIGRATIONS).await).await;
    let asked = world.ask(&world.agent(), REQUEST, false).await.unwrap().value;
    let told = Told { state: "pending", ends_s: asked.expires_at.as_secs() };
    assert_eq!(told.ends_s, START.as_secs() + 3_600);
    let within = world.clone();
    let lives = world.db.write(move |tx| within.every_way_on(tx, &asked, told, depth)).await.unwrap();
    assert_eq!(lives, 10_u64.pow(depth));
}
