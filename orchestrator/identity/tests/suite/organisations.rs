//! Organisations, invitations and the first owner's link on both engines, one by one and against each other.

use std::sync::Arc;

use purser_authority::action::{
    BootstrapMint, InvitationAccept, InvitationRevoke, MemberInvite, MemberLeave, MemberRemove, MemberRoleSet, MembershipRead,
    OrganisationCreate, OrganisationDisable, PersonDisable, PersonEnable,
};
use purser_authority::{Action, Caller, Denied, Facts, Permit, Role, authorise};
use purser_crypto::encoding::b64url_decode;
use purser_crypto::seal::Keyring;
use purser_db::testing::{START, each_engine};
use purser_db::{Db, DbError, Migrations, Tx, params};
use purser_identity::bootstrap::{BootstrapError, bootstrap_is_open, bootstrap_mint};
use purser_identity::invitation::{InvitationError, invitation_accept, invitation_of, invitation_revoke, invitations_list, member_invite};
use purser_identity::organisation::{
    MemberError, member_leave, member_remove, member_role_set, members_list, organisation_create, organisation_disable, person_disable,
    person_enable,
};
use purser_identity::person::{self, Organisation, Person};
use purser_identity::{Keys, Realm, SignUp};
use purser_values::env::TestClock;
use purser_values::id::{OrganisationId, PersonId};
use purser_values::{Env, Secret};

const MIGRATIONS: &[Migrations] = &[purser_db::MIGRATIONS, purser_identity::MIGRATIONS];

struct World {
    db: Db,
    realm: Realm,
    clock: Arc<TestClock>,
}

impl World {
    async fn new(db: Db) -> Self {
        let (env, clock) = Env::test(START, 5);
        let keyring = Keyring::from_bytes(&Secret::new([1; 32])).unwrap();
        let (e, k) = (env.clone(), keyring.clone());
        let keys = db.write(move |tx| Keys::load(tx, &e, &k)).await.unwrap();
        Self { db, realm: Realm::new(env, keyring, keys, "http://localhost:1/", SignUp::Invite), clock }
    }

    async fn write<T: Send + 'static, E: From<DbError> + Send + 'static>(
        &self,
        work: impl Fn(&mut Tx<'_>, &Realm) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let realm = self.realm.clone();
        self.db.write(move |tx| work(tx, &realm)).await
    }

    async fn person(&self, name: &str) -> Person {
        let person = Person { id: PersonId::mint(&self.realm.env), email: format!("{name}@example.test").parse().unwrap() };
        let made = person.clone();
        let insert = "insert into person (id, email, created_at) values ($1, $2, 0)";
        self.write::<_, DbError>(move |tx, _| tx.execute(insert, params![made.id, made.email])).await.unwrap();
        person
    }

    /// An organisation with the person in a role.
    async fn organisation(&self, members: &[(&Person, Role)]) -> OrganisationId {
        let id = OrganisationId::mint(&self.realm.env);
        let (of, members): (_, Vec<_>) = (id.clone(), members.iter().map(|(person, role)| (person.id.clone(), *role)).collect());
        self.write::<_, DbError>(move |tx, _| {
            tx.execute("insert into organisation (id, name, created_at) values ($1, 'Acme', 0)", params![of])?;
            for (person, role) in &members {
                let insert = "insert into membership (organisation, person, role, created_at) values ($1, $2, $3, 0)";
                tx.execute(insert, params![of, person, role.name()])?;
            }
            Ok(())
        })
        .await
        .unwrap();
        id
    }

    fn caller(&self, person: &Person, organisation: &OrganisationId, role: Role) -> Caller {
        let now = self.realm.env.now();
        Caller::Person { person: person.id.clone(), organisation: organisation.clone(), role, present_at: Some(now) }
    }

    /// The token of a new invitation, as its mail has it.
    async fn invite(&self, caller: &Caller, email: &str, role: Role) -> Result<String, InvitationError> {
        let (caller, email) = (caller.clone(), email.parse().unwrap());
        let done = self.write(move |tx, realm| member_invite(tx, realm, &may::<MemberInvite>(&caller, realm, "x")?, &email, role)).await?;
        let payload = &done.jobs[0].payload;
        let sealed = b64url_decode(payload["sealed"].as_str().unwrap()).unwrap();
        let plain = self.realm.keyring.open(&format!("mail/{}", payload["message"].as_str().unwrap()), &sealed).unwrap();
        let text = String::from_utf8(plain.expose().clone()).unwrap();
        Ok(text.split("token=").nth(1).unwrap().split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap().to_owned())
    }

    async fn accept(&self, organisation: &OrganisationId, person: &Person, link: &str) -> Result<Role, InvitationError> {
        let (caller, person, link) = (self.caller(person, organisation, Role::Member), person.clone(), link.to_owned());
        self.write(move |tx, realm| {
            let permit = may::<InvitationAccept>(&caller, realm, "x")?;
            Ok(invitation_accept(tx, &realm.env, &permit, &person, &link)?.value.role)
        })
        .await
    }

    async fn roles(&self, organisation: &OrganisationId, reader: &Person) -> Vec<(String, Role)> {
        let caller = self.caller(reader, organisation, Role::Auditor);
        let list = move |tx: &mut Tx<'_>, realm: &Realm| members_list(tx, &may::<MembershipRead>(&caller, realm, "x").unwrap());
        self.write::<_, DbError>(list).await.unwrap().into_iter().map(|row| (row.email.to_string(), row.role)).collect()
    }

    async fn leave(&self, caller: Caller) -> Result<(), MemberError> {
        self.write(move |tx, realm| member_leave(tx, realm.env.now(), &may::<MemberLeave>(&caller, realm, "x")?).map(drop)).await
    }
}

fn may<A: Action>(caller: &Caller, realm: &Realm, subject: &str) -> Result<Permit<A>, Denied> {
    authorise::<A>(caller, &Facts::new(realm.env.now(), subject))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_is_good_once_for_its_address_and_its_time() {
    each_engine(MIGRATIONS, |db| async {
        let world = World::new(db).await;
        let (ada, bob, eve) = (world.person("ada").await, world.person("bob").await, world.person("eve").await);
        let acme = world.organisation(&[(&ada, Role::Owner), (&eve, Role::Member)]).await;
        let owner = world.caller(&ada, &acme, Role::Owner);
        let link = world.invite(&owner, "bob@example.test", Role::Billing).await.unwrap();
        assert!(matches!(world.accept(&acme, &eve, &link).await, Err(InvitationError::OtherAddress)));
        let twice = tokio::join!(world.accept(&acme, &bob, &link), world.accept(&acme, &bob, &link));
        let taken = [&twice.0, &twice.1].into_iter().filter(|r| matches!(r, Ok(Role::Billing))).count();
        assert_eq!(taken, 1, "{twice:?}");
        assert!(matches!(world.invite(&owner, "bob@example.test", Role::Owner).await, Err(InvitationError::AlreadyMember(_))));
        let expected = [("ada@example.test", Role::Owner), ("eve@example.test", Role::Member), ("bob@example.test", Role::Billing)];
        assert_eq!(world.roles(&acme, &ada).await, expected.map(|(email, role)| (email.to_owned(), role)));

        // Taken back, offered anew, run out.
        let one = world.invite(&owner, "dan@example.test", Role::Member).await.unwrap();
        let two = world.invite(&owner, "dan@example.test", Role::Member).await.unwrap();
        let look = async |link: &str| {
            let link = link.to_owned();
            world.write::<_, DbError>(move |tx, realm| invitation_of(tx, realm.env.now(), &link)).await.unwrap()
        };
        assert!(look(&one).await.is_none() && look(&two).await.is_some());
        let (reader, taker) = (owner.clone(), owner.clone());
        let waiting = world.write::<_, InvitationError>(move |tx, realm| {
            let waiting = invitations_list(tx, realm.env.now(), &may::<MembershipRead>(&reader, realm, "x")?)?;
            let revoked = invitation_revoke(tx, realm.env.now(), &may::<InvitationRevoke>(&taker, realm, waiting[0].id.as_str())?)?;
            assert_eq!(revoked.events.len(), 1);
            Ok(waiting.len())
        });
        assert_eq!(waiting.await.unwrap(), 1);
        assert!(look(&two).await.is_none());
        let three = world.invite(&owner, "dan@example.test", Role::Member).await.unwrap();
        world.clock.advance_secs(7 * 86_400);
        assert!(look(&three).await.is_none());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_owners_who_go_at_once_one_stays_and_a_stranger_is_nobody() {
    each_engine(MIGRATIONS, |db| async {
        let world = World::new(db).await;
        let (ada, bob, eve) = (world.person("ada").await, world.person("bob").await, world.person("eve").await);
        let acme = world.organisation(&[(&ada, Role::Owner), (&bob, Role::Owner)]).await;
        let other = world.organisation(&[(&eve, Role::Owner)]).await;
        // To another organisation's owner the members do not exist.
        let (stranger, target) = (world.caller(&eve, &other, Role::Owner), bob.id.clone());
        let removed = world.write::<_, MemberError>(move |tx, realm| {
            member_remove(tx, realm.env.now(), &may::<MemberRemove>(&stranger, realm, target.as_str())?).map(drop)
        });
        assert!(matches!(removed.await, Err(MemberError::Denied(Denied::NotFound))));
        let (one, two) = (world.caller(&ada, &acme, Role::Owner), world.caller(&bob, &acme, Role::Owner));
        let both = tokio::join!(world.leave(one), world.leave(two));
        assert!(matches!(both, (Ok(()), Err(MemberError::LastOwner)) | (Err(MemberError::LastOwner), Ok(()))), "{both:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_raised_by_others_with_a_fresh_proof_and_lowered_by_anybody_who_may() {
    each_engine(MIGRATIONS, |db| async {
        let world = World::new(db).await;
        let (ada, bob) = (world.person("ada").await, world.person("bob").await);
        let acme = world.organisation(&[(&ada, Role::Owner), (&bob, Role::Member)]).await;
        let set = async |caller: Caller, person: &Person, role: Role| {
            let id = person.id.clone();
            world
                .write(move |tx, realm| {
                    let permit = may::<MemberRoleSet>(&caller, realm, id.as_str())?;
                    member_role_set(tx, realm.env.now(), &permit, role).map(|done| done.value.role)
                })
                .await
        };
        let stale = Caller::Person { person: ada.id.clone(), organisation: acme.clone(), role: Role::Owner, present_at: None };
        let unproved = set(stale.clone(), &bob, Role::Admin).await;
        assert!(matches!(unproved, Err(MemberError::Denied(Denied::StepUpRequired { .. }))), "{unproved:?}");
        assert_eq!(set(world.caller(&ada, &acme, Role::Owner), &bob, Role::Admin).await.unwrap(), Role::Admin);
        let admin = world.caller(&bob, &acme, Role::Admin);
        assert!(matches!(set(admin.clone(), &bob, Role::Owner).await, Err(MemberError::OwnerRequired)));
        assert!(matches!(set(admin.clone(), &ada, Role::Member).await, Err(MemberError::OwnerRequired)));
        assert_eq!(set(stale.clone(), &bob, Role::Auditor).await.unwrap(), Role::Auditor, "lowering waits for nobody");
        let auditor = world.caller(&bob, &acme, Role::Auditor);
        assert!(matches!(set(auditor, &bob, Role::Admin).await, Err(MemberError::Denied(Denied::Role { .. }))));
        assert!(matches!(set(stale, &ada, Role::Admin).await, Err(MemberError::LastOwner)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_person_and_a_disabled_organisation_have_no_members_until_they_are_enabled() {
    each_engine(MIGRATIONS, |db| async {
        let world = World::new(db).await;
        let ada = world.person("ada").await;
        let acme = world.organisation(&[(&ada, Role::Owner)]).await;
        let owner = world.caller(&ada, &acme, Role::Owner);
        let made = world.write(move |tx, realm| {
            let name = "Second".parse().unwrap();
            organisation_create(tx, &realm.env, &may::<OrganisationCreate>(&owner, realm, "x")?, &name)
        });
        let Organisation { id: second, .. } = made.await.unwrap().value.organisation;
        let memberships = async || {
            let id = ada.id.clone();
            world.write::<_, DbError>(move |tx, _| Ok(person::memberships(tx, &id)?.len())).await.unwrap()
        };
        assert_eq!(memberships().await, 2);
        let (id, back) = (ada.id.clone(), ada.id.clone());
        let stopped = world
            .write(move |tx, realm| person_disable(tx, realm.env.now(), &may::<PersonDisable>(&Caller::Operator, realm, id.as_str())?));
        assert_eq!(stopped.await.unwrap().value.len(), 2);
        assert_eq!(memberships().await, 0);
        let enabled = world.write(move |tx, realm| person_enable(tx, &may::<PersonEnable>(&Caller::Operator, realm, back.as_str())?));
        let _ = enabled.await.unwrap();
        let closed = world.write(move |tx, realm| {
            organisation_disable(tx, realm.env.now(), &may::<OrganisationDisable>(&Caller::Operator, realm, second.as_str())?)
        });
        let _ = closed.await.unwrap();
        assert_eq!(memberships().await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_owners_link_is_open_while_there_is_nobody_and_the_last_one_counts() {
    each_engine(MIGRATIONS, |db| async {
        let world = World::new(db).await;
        let mint = async || {
            let minted = world.write(|tx, realm| {
                let permit = may::<BootstrapMint>(&Caller::Operator, realm, "x").map_err(|_| BootstrapError::Unknown)?;
                bootstrap_mint(tx, realm, &permit)
            });
            minted.await.map(|done| done.value.url.expose().split("token=").nth(1).unwrap().to_owned())
        };
        let open = async |link: &str| {
            let link = link.to_owned();
            world.write::<_, DbError>(move |tx, realm| bootstrap_is_open(tx, realm.env.now(), &link)).await.unwrap()
        };
        let (one, two) = (mint().await.unwrap(), mint().await.unwrap());
        assert!(!open(&one).await && open(&two).await && !open("pur_bs_x").await);
        let ada = world.person("ada").await;
        let own = world.organisation(&[(&ada, Role::Owner)]).await;
        assert!(!open(&two).await);
        assert!(matches!(mint().await, Err(BootstrapError::NotFirst)));
        // Whose last owner's login was ended has nobody who could ask another in.
        let id = ada.id.clone();
        let ended = world
            .write(move |tx, realm| person_disable(tx, realm.env.now(), &may::<PersonDisable>(&Caller::Operator, realm, id.as_str())?));
        assert_eq!(ended.await.unwrap().value.len(), 1, "{own}");
        assert!(mint().await.is_ok());
    })
    .await;
}
