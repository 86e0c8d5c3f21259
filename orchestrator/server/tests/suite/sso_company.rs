//! What a company decides for its own people: that they come in through it alone, who is a member in which role, and that it is they.

use crate::world::company::{Asked, Company};
use crate::world::key::Key;
use crate::world::{Answer, Browser, World};
use http::StatusCode;
use purser_authority::{Attempt, Caller, Role};
use purser_db::{DbError, params};
use purser_identity::SignUp;
use purser_identity::sso::{Recycled, SsoError};
use purser_values::id::OrganisationId;
use purser_values::name::Email;
use serde_json::{Value, json};

const ADA: &str = "ada@acme.test";
const EVE: &str = "eve@else.test";

/// The form of a page that goes to an address that starts so.
fn form(page: &Answer, action: &str) -> usize {
    (0..page.body.matches("<form").count())
        .find(|at| page.form(*at).0.starts_with(action))
        .unwrap_or_else(|| panic!("no form for `{action}`: {}", page.body))
}

fn refused(answer: &Answer, code: &str) {
    assert!(answer.status.is_client_error(), "{} {}", answer.status, answer.body);
    assert!(answer.body.contains(code), "not `{code}`: {}", answer.body);
}

fn signed_in(answer: &Answer) {
    assert_eq!((answer.status, answer.headers.get("location").is_some()), (StatusCode::SEE_OTHER, true), "{}", answer.body);
    assert_eq!(answer.location(), "/agents");
}

async fn is_in(browser: &mut Browser) -> bool {
    browser.get("/agents").await.status == StatusCode::OK
}

async fn organisation_of(world: &World, email: &'static str) -> OrganisationId {
    let select = "select m.organisation as organisation from membership m join person p on p.id = m.person where p.email = $1";
    world.front.core.db.read::<_, DbError, _>(move |tx| tx.query_one(select, params![email])?.parse("organisation")).await.unwrap()
}

async fn role_of(world: &World, organisation: &OrganisationId, email: &'static str) -> Option<String> {
    let select = "select m.role as role from membership m join person p on p.id = m.person where p.email = $1 and m.organisation = $2";
    let id = organisation.clone();
    let row = world.front.core.db.read::<_, DbError, _>(move |tx| tx.query_opt(select, params![email, id])).await.unwrap();
    row.map(|row| row.get("role").unwrap())
}

async fn events(world: &World, verb: &str) -> usize {
    let rows = world.front.core.db.read::<_, DbError, _>(move |tx| tx.query("select body from audit_event", params![])).await.unwrap();
    let said = format!("\"verb\":\"{verb}\"");
    rows.iter().map(|row| row.get::<String>("body").unwrap().matches(&said).count()).sum()
}

#[tokio::test]
async fn a_domain_under_company_sso_is_entered_through_the_company_and_in_no_other_way() {
    let mut world = World::new().await;
    let mut company = Company::start("acme", &world.env).await;
    // before the operator says so: a login, a passkey, a session, a code on its way, and a stranger on the way to the domain
    let (mut before, mut key) = (world.person(ADA).await, Key::default());
    key.add(&mut before, "laptop").await;
    let mut late = world.browser();
    late.ask_for_code(&world, "/sign-in?next=/agents", ADA).await;
    let code = world.last_code(ADA).await;
    let mut eve = world.person(EVE).await;
    let page = eve.get("/security").await;
    let typed = eve.submit(&page, form(&page, "/security/email"), &[("email", "eve@acme.test")], None).await;
    let to_acme = world.last_code("eve@acme.test").await;
    assert!(is_in(&mut before).await);

    company.required = true;
    world.sign_in_through(&[&company]);
    for browser in [&mut before, &mut late, &mut eve] {
        browser.follow(&world);
    }
    assert!(!is_in(&mut before).await, "a session from before goes on");
    refused(&late.use_code("/sign-in?next=/agents", &code).await, "sso_required");
    refused(&key.sign_in(&mut world.browser()).await, "sso_required");
    assert!(is_in(&mut eve).await, "another domain is another's");
    refused(&eve.submit(&typed, form(&typed, "/security/email/confirm"), &[("code", &to_acme)], None).await, "sso_required");
    let page = eve.get("/security").await;
    refused(&eve.submit(&page, form(&page, "/security/email"), &[("email", "EVE@Acme.test")], None).await, "sso_required");

    // whoever types such an address is sent to the company, and no mail goes out
    let mails = world.mail_to(ADA).await.len();
    let mut ada = world.browser();
    let page = ada.get("/sign-in?next=/agents").await;
    let asked = Asked::on(&ada.submit(&page, 0, &[("email", ADA)], None).await);
    assert_eq!((asked.get("login_hint").as_str(), world.mail_to(ADA).await.len()), (ADA, mails));
    // the login is its holder's: they show the passkey once, and then the company is enough
    let page = ada.get(&company.answer(&asked, "ada", &[])).await;
    let answer = key.get(crate::world::key::options(&page)).await;
    signed_in(&ada.submit(&page, 0, &[("answer", &answer)], None).await);
    assert!(is_in(&mut ada).await);
    refused(&key.sign_in(&mut world.browser()).await, "sso_required");
    // and neither address nor connection is theirs to change
    let page = ada.get("/security").await;
    assert!(!page.body.contains("/security/email\"") && !page.body.contains("/unlink"), "what would be refused is offered: {}", page.body);
    let mut fields = page.form(0).1;
    fields.push(("email".to_owned(), "ada@home.test".to_owned()));
    refused(&ada.post("/security/email", &fields).await, "sso_required");
    let select = "select i.id from sso_identity i join person p on p.id = i.person where p.email = $1";
    let identity: String =
        world.front.core.db.read::<_, DbError, _>(move |tx| tx.query_one(select, params![ADA])?.get("id")).await.unwrap();
    refused(&ada.post(&format!("/security/sso/{identity}/unlink"), &fields).await, "sso_required");
    world.clock.advance_secs(360);
    let asked = ada.get("/step-up?next=/card").await;
    assert!(!asked.body.contains("/step-up/mail") && !asked.body.contains("Recover my login"), "{}", asked.body);
    refused(&ada.post("/step-up/recovery", &asked.form(0).1).await, "sso_required");
    // nor does a company vouch for the domain of another
    let evil = Company::start("evil", &world.env).await;
    world.sign_in_through(&[&company, &evil]);
    let mut mallory = world.browser();
    refused(&evil.sign_in(&mut mallory, "x", &[("email", json!(ADA))]).await, "sso_domain_refused");
    // when the operator takes the company away, its sessions go with it
    world.sign_in_through(&[&evil]);
    ada.follow(&world);
    assert!(!is_in(&mut ada).await, "a session of a company that is gone goes on");
}

#[tokio::test]
async fn the_groups_at_the_company_decide_the_role_at_every_sign_in_and_what_was_granted_ends_with_it() {
    let admitted = SignUp::Domains(vec!["else.test".parse().unwrap()]);
    let mut world = World::with("http://localhost:4000", true, admitted).await;
    let mut company = Company::start("acme", &world.env).await;
    world.person(EVE).await;
    let organisation = organisation_of(&world, EVE).await;
    company.organisation = Some(organisation.clone());
    company.roles = vec![("platform", Role::Admin), ("staff", Role::Member), ("books", Role::Billing), ("founders", Role::Owner)];
    world.sign_in_through(&[&company]);

    let groups = |groups: Value| [("groups", groups)];
    for (said, role) in [
        (json!(["staff", "else"]), "member"),
        (json!(["staff", "platform"]), "admin"),
        (json!("staff"), "member"),
        (json!(["founders"]), "owner"),
        (json!(["staff"]), "member"),
    ] {
        signed_in(&company.sign_in(&mut world.browser(), "ada", &groups(said.clone())).await);
        assert_eq!(role_of(&world, &organisation, ADA).await.as_deref(), Some(role), "{said}");
    }
    assert_eq!(events(&world, "sso_role_set").await, 5);

    // an agent that she let act ends with the role that let her
    let mut ada = world.browser();
    company.sign_in(&mut ada, "ada", &groups(json!(["staff"]))).await;
    let (agent, tokens) = world.granted(&mut ada).await;
    let token = tokens["access_token"].as_str().unwrap();
    assert!(world.call(&agent, token).await.is_ok());
    signed_in(&company.sign_in(&mut world.browser(), "ada", &groups(json!(["books"]))).await);
    assert_eq!(role_of(&world, &organisation, ADA).await.as_deref(), Some("billing"));
    assert!(world.call(&agent, token).await.is_err(), "a grant of somebody who may not grant any more goes on");

    // no group, no membership, and the sessions in it end
    let mut gone = world.browser();
    for none in [json!([]), Value::Null, json!(["Staff", "owner", "admin"])] {
        company.state.lock().unwrap().userinfo = json!({ "sub": "ada" });
        refused(&company.sign_in(&mut gone, "ada", &groups(none)).await, "sso_not_admitted");
        assert_eq!(role_of(&world, &organisation, ADA).await, None);
        assert!(!is_in(&mut gone).await && !is_in(&mut ada).await);
    }
    // somebody new without a group is nobody here, and back in the group one is back
    let invite_only = [("groups", json!(["staff"]))];
    signed_in(&company.sign_in(&mut gone, "ada", &invite_only).await);
    assert_eq!(role_of(&world, &organisation, ADA).await.as_deref(), Some("member"));
}

#[tokio::test]
async fn the_last_owner_stays_one_whatever_the_groups_say() {
    let mut world = World::new().await;
    let mut company = Company::start("acme", &world.env).await;
    world.person(ADA).await;
    let organisation = organisation_of(&world, ADA).await;
    company.organisation = Some(organisation.clone());
    company.roles = vec![("staff", Role::Member), ("founders", Role::Owner)];
    world.sign_in_through(&[&company]);
    for said in [json!(["staff"]), json!([])] {
        signed_in(&company.sign_in(&mut world.browser(), "ada", &[("groups", said)]).await);
        assert_eq!(role_of(&world, &organisation, ADA).await.as_deref(), Some("owner"));
    }
    // once there is another, she is what the groups say
    signed_in(&company.sign_in(&mut world.browser(), "bob", &[("groups", json!(["founders"]))]).await);
    signed_in(&company.sign_in(&mut world.browser(), "ada", &[("groups", json!(["staff"]))]).await);
    assert_eq!(role_of(&world, &organisation, ADA).await.as_deref(), Some("member"));
}

#[tokio::test]
async fn somebody_new_comes_in_under_the_rules_of_the_installation_or_into_the_companys_organisation() {
    let mut world = World::with("http://localhost:4000", true, SignUp::Invite).await;
    let mut company = Company::start("acme", &world.env).await;
    company.required = true;
    world.sign_in_through(&[&company]);
    let mut ada = world.browser();
    refused(&company.sign_in(&mut ada, "ada", &[]).await, "sso_not_admitted");
    let count = "select count(*) as n from person";
    let people: i64 = world.front.core.db.read::<_, DbError, _>(move |tx| tx.query_one(count, params![])?.get("n")).await.unwrap();
    assert_eq!(people, 0, "somebody who was not let in was written down");
    // the first owner may come through the company too
    let link = world.bootstrap().await;
    let asked = company.asked(&mut ada, &url::form_urlencoded::byte_serialize(link.as_bytes()).collect::<String>()).await;
    assert_eq!(ada.get(&company.answer(&asked, "ada", &[])).await.location(), "/organisation");
    assert!(is_in(&mut ada).await);
    refused(&company.sign_in(&mut world.browser(), "bob", &[]).await, "sso_not_admitted");
    company.organisation = Some(organisation_of(&world, ADA).await);
    world.sign_in_through(&[&company]);
    signed_in(&company.sign_in(&mut world.browser(), "bob", &[]).await);
    assert_eq!(role_of(&world, company.organisation.as_ref().unwrap(), "bob@acme.test").await.as_deref(), Some("member"));
    // an organisation that is not there lets nobody in
    company.organisation = Some("org_00000000000000000000000000".parse().unwrap());
    world.sign_in_through(&[&company]);
    refused(&company.sign_in(&mut world.browser(), "carl", &[]).await, "sso_not_admitted");
}

async fn to_company(browser: &mut Browser, page: &Answer, action: &str) -> Asked {
    Asked::on(&browser.submit(page, form(page, action), &[], None).await)
}

#[tokio::test]
async fn a_company_confirms_that_it_is_the_person_when_it_has_just_asked_them() {
    let mut world = World::new().await;
    let company = Company::start("acme", &world.env).await;
    world.sign_in_through(&[&company]);
    let mut ada = world.browser();
    signed_in(&company.sign_in(&mut ada, "ada", &[]).await);
    world.clock.advance_secs(360);
    // a form that waits for it is gone on with
    let page = ada.get("/security").await;
    let asked = ada.submit(&page, form(&page, "/security/app"), &[], None).await;
    assert!(asked.body.contains("Is it you?") && !asked.body.contains("/step-up/mail"), "{}", asked.body);
    let away = to_company(&mut ada, &asked, "/step-up/sso").await;
    assert_eq!((away.get("prompt").as_str(), away.get("max_age").as_str()), ("login", "0"));
    // long ago, never, or somebody else's account there
    let now = world.env.now().as_secs();
    for (subject, said, code) in
        [("ada", json!(now - 100), "sso_stale"), ("ada", Value::Null, "sso_stale"), ("bob", json!(now), "sso_other_person")]
    {
        let away = to_company(&mut ada, &asked, "/step-up/sso").await;
        refused(&ada.get(&company.answer(&away, subject, &[("auth_time", said)])).await, code);
    }
    // from another browser with the same cookie for what waits, but not the session
    let mut copy = ada.clone();
    copy.cookies.retain(|name, _| !name.contains("session"));
    let stolen = to_company(&mut ada, &asked, "/step-up/sso").await;
    refused(&copy.get(&company.answer(&stolen, "ada", &[])).await, "sso_over");

    let before = ada.cookies["purser-session"].clone();
    let done = ada.get(&company.answer(&away, "ada", &[])).await;
    assert_ne!(ada.cookies["purser-session"], before);
    let begun = ada.submit(&done, form(&done, "/security/app"), &[], None).await;
    assert!(begun.body.contains("<svg"), "the form was lost: {}", begun.body);
    assert_eq!(ada.get("/step-up?next=/card").await.location(), "/card");
    assert!(away.get("claims").contains("auth_time"));
    // a code by mail is not enough for somebody whose company signs them in
    let mut thief = world.person(ADA).await;
    let asked = thief.get("/step-up?next=/card").await;
    assert!(asked.body.contains("Is it you?") && !asked.body.contains("/step-up/mail"), "{}", asked.body);
}

#[tokio::test]
async fn a_login_is_connected_and_disconnected_by_a_person_who_is_there_and_is_told_by_mail() {
    let mut world = World::new().await;
    let company = Company::start("acme", &world.env).await;
    world.sign_in_through(&[&company]);
    let mut eve = world.person(EVE).await;
    world.clock.advance_secs(360);
    let page = eve.get("/security").await;
    let link = form(&page, "/security/sso/acme/link");
    let asked = eve.submit(&page, link, &[], None).await;
    assert!(asked.body.contains("Is it you?"), "{}", asked.body);
    let done = eve.step_up(&world, EVE, &asked).await;
    let away = to_company(&mut eve, &done, "/security/sso/acme/link").await;
    assert_eq!(away.get("prompt"), "login");
    // it must be an account of the company's, verified, and nobody's yet
    let unverified = company.answer(&away, "eve", &[("email_verified", json!(false))]);
    refused(&eve.get(&unverified).await, "sso_email_unverified");
    signed_in(&company.sign_in(&mut world.browser(), "ada", &[]).await);
    let page = eve.get("/security").await;
    let away = to_company(&mut eve, &page, "/security/sso/acme/link").await;
    refused(&eve.get(&company.answer(&away, "ada", &[])).await, "sso_linked");

    let away = to_company(&mut eve, &page, "/security/sso/acme/link").await;
    assert_eq!(eve.get(&company.answer(&away, "e-7", &[("email", json!("eve.at.work@acme.test"))])).await.location(), "/security");
    world.clock.advance_secs(1);
    assert!(world.mail_to(EVE).await.iter().any(|mail| mail.contains("eve.at.work@acme.test at acme Ltd")));
    let mut elsewhere = world.browser();
    signed_in(&company.sign_in(&mut elsewhere, "e-7", &[("email", json!("eve.at.work@acme.test"))]).await);
    assert!(elsewhere.get("/security").await.body.contains(EVE), "another login was made");
    // a second account there is not connected too
    let page = eve.get("/security").await;
    assert!(!page.body.contains("/security/sso/acme/link"), "{}", page.body);
    // somebody else's is not hers to disconnect
    let mut ada = world.browser();
    signed_in(&company.sign_in(&mut ada, "ada", &[]).await);
    let theirs = ada.get("/security").await;
    let (action, _) = theirs.form(form(&theirs, "/security/sso/sso_"));
    let own = page.form(form(&page, "/security/sso/sso_"));
    assert_eq!(eve.post(&action, &own.1).await.status, StatusCode::NOT_FOUND);
    assert_eq!(eve.post(&own.0, &own.1).await.location(), "/security");
    world.clock.advance_secs(1);
    assert!(world.mail_to(EVE).await.iter().any(|mail| mail.contains("no longer connected")));
    let mut later = world.browser();
    signed_in(&company.sign_in(&mut later, "e-7", &[("email", json!("eve.at.work@acme.test"))]).await);
    assert!(!later.get("/security").await.body.contains(EVE), "what was disconnected still signs in");
}

#[tokio::test]
async fn a_company_that_cannot_be_asked_anew_locks_nobody_out_of_what_asks_for_it() {
    let mut world = World::new().await;
    let mut company = Company::start("acme", &world.env).await;
    (company.required, company.confirms) = (true, false);
    world.sign_in_through(&[&company]);
    let mut ada = world.browser();
    signed_in(&company.sign_in(&mut ada, "ada", &[("auth_time", Value::Null)]).await);
    let asked = ada.get("/step-up?next=/card").await;
    assert!(!asked.body.contains("/step-up/sso"), "{}", asked.body);
    assert_eq!(ada.step_up(&world, ADA, &asked).await.location(), "/card");
}

/// What the operator does with a login whose address changed hands.
async fn forgets(world: &World, email: &'static str, recycled: Recycled) -> Result<usize, SsoError> {
    let of: Email = email.parse().unwrap();
    let person = world.front.core.db.read::<_, DbError, _>(move |tx| purser_identity::person::by_email(tx, &of)).await.unwrap().unwrap();
    let (realm, attempt) = (world.front.realm.clone(), Attempt::new("sso_forget", &Caller::Operator, person.as_str()));
    let forget = move |tx: &mut purser_db::Tx<'_>| purser_provisioning::sso_forget(tx, &realm, &Caller::Operator, &person, &recycled);
    purser_provisioning::perform(&world.front.core, attempt, forget).await.map(|grants| grants.len())
}

#[tokio::test]
async fn the_operator_frees_an_address_that_changed_hands_and_its_new_holder_begins_with_nothing() {
    let mut world = World::new().await;
    let company = Company::start("acme", &world.env).await;
    world.sign_in_through(&[&company]);
    let mut ada = world.browser();
    signed_in(&company.sign_in(&mut ada, "ada", &[]).await);
    let (agent, tokens) = world.granted(&mut ada).await;
    let next = [("email", json!(ADA))];
    refused(&company.sign_in(&mut world.browser(), "ada-2", &next).await, "sso_other_account");

    assert_eq!(forgets(&world, ADA, Recycled::Left).await.unwrap(), 1);
    assert!(!is_in(&mut ada).await, "the last holder is still in");
    assert!(world.call(&agent, tokens["access_token"].as_str().unwrap()).await.is_err(), "their agent acts on");
    world.clock.advance_secs(1);
    assert!(world.mail_to(ADA).await.iter().any(|mail| mail.contains("The address is free")));
    assert_eq!(events(&world, "sso_forget").await, 1);
    let mut new = world.browser();
    signed_in(&company.sign_in(&mut new, "ada-2", &next).await);
    let page = new.get("/agents").await;
    assert!(page.status == StatusCode::OK && !page.body.contains("Builder"), "{}", page.body);
    // the last holder does not come back by their account there, whatever address it has now
    refused(&company.sign_in(&mut world.browser(), "ada", &[("email", json!("ada.old@acme.test"))]).await, "sso_not_admitted");
}

#[tokio::test]
async fn a_login_goes_on_under_its_holders_new_address_or_with_their_new_account() {
    let mut world = World::new().await;
    let company = Company::start("acme", &world.env).await;
    world.sign_in_through(&[&company]);
    let mut ada = world.browser();
    signed_in(&company.sign_in(&mut ada, "ada", &[]).await);
    let (agent, tokens) = world.granted(&mut ada).await;
    world.person(EVE).await;
    // never onto another's address
    assert!(matches!(forgets(&world, ADA, Recycled::Moved { to: EVE.parse().unwrap() }).await, Err(SsoError::AddressTaken)));
    let married = "ada.king@acme.test";
    assert_eq!(forgets(&world, ADA, Recycled::Moved { to: married.parse().unwrap() }).await.unwrap(), 0);
    assert!(world.call(&agent, tokens["access_token"].as_str().unwrap()).await.is_ok(), "their agent was stopped");
    world.clock.advance_secs(1);
    assert!(world.mail_to(married).await.iter().any(|mail| mail.contains("has this address now")));
    let mut other = world.browser();
    signed_in(&company.sign_in(&mut other, "ada-2", &[("email", json!(ADA))]).await);
    assert!(!other.get("/agents").await.body.contains("Builder"), "the new holder has what the last one left");
    let mut ada = world.browser();
    signed_in(&company.sign_in(&mut ada, "ada", &[("email", json!(married))]).await);
    assert!(ada.get("/agents").await.body.contains("Builder"));
    // the same person with another account there
    refused(&company.sign_in(&mut world.browser(), "ada-3", &[("email", json!(married))]).await, "sso_other_account");
    assert_eq!(forgets(&world, "ada.king@acme.test", Recycled::SamePerson).await.unwrap(), 0);
    let mut ada = world.browser();
    signed_in(&company.sign_in(&mut ada, "ada-3", &[("email", json!(married))]).await);
    assert!(ada.get("/agents").await.body.contains("Builder"));
}
