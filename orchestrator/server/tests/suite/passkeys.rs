//! Passkeys from the pages: adding, signing in, stepping up, removing; and what stolen, copied and replayed answers are worth.

use crate::world::key::{Key, options};
use crate::world::{Browser, World};
use http::{HeaderValue, StatusCode, header};
use purser_db::{DbError, Tx};
use purser_identity::passkey::{AssertionAnswer, PasskeyError, SignedAssertion, sign_challenge, signing_options};
use purser_values::Sha256Digest;

const ADA: &str = "ada@example.test";
const EVE: &str = "eve@example.test";

/// A person with a passkey.
async fn with_passkey(world: &World, email: &str) -> (Browser, Key) {
    let (mut person, mut key) = (world.person(email).await, Key::default());
    let added = key.add(&mut person, "laptop").await;
    assert_eq!(added.location(), "/security", "{}", added.body);
    (person, key)
}

#[tokio::test]
async fn a_passkey_is_added_signs_in_and_steps_up_and_each_change_is_told_by_mail() {
    let world = World::new().await;
    let (mut person, mut key) = with_passkey(&world, ADA).await;
    assert!(person.get("/security").await.body.contains("laptop"));
    world.clock.advance_secs(1);
    assert!(world.mail_to(ADA).await.iter().any(|mail| mail.contains("\"laptop\" was added")));

    let mut elsewhere = world.browser();
    let done = key.sign_in(&mut elsewhere).await;
    assert_eq!(done.location(), "/agents", "{}", done.body);
    assert!(elsewhere.get("/security").await.body.contains("by passkey"));
    // a sign-in with it counts as being there
    assert_eq!(elsewhere.get("/step-up?next=/card").await.location(), "/card");
    world.clock.advance_secs(360);
    let asked = elsewhere.get("/step-up?next=/card").await;
    assert!(!asked.body.contains("Mail me a code"), "{}", asked.body);
    let before = elsewhere.cookies["purser-session"].clone();
    assert_eq!(key.step_up(&mut elsewhere, &asked).await.location(), "/card");
    assert_ne!(elsewhere.cookies["purser-session"], before);

    let page = elsewhere.get("/security").await;
    let removed = elsewhere.submit(&page, 1, &[], None).await;
    assert_eq!(removed.location(), "/security", "{}", removed.body);
    assert!(!elsewhere.get("/security").await.body.contains("laptop"));
    world.clock.advance_secs(1);
    assert!(world.mail_to(ADA).await.iter().any(|mail| mail.contains("\"laptop\" was removed")));
    let refused = key.sign_in(&mut world.browser()).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "a removed passkey signs in");
    // the mailbox is the way in that is always left, and enough again
    let mut again = world.person(ADA).await;
    assert_eq!(again.get("/step-up?next=/card").await.location(), "/card");
}

#[tokio::test]
async fn whoever_reads_the_mailbox_of_somebody_with_a_passkey_cannot_raise_anything() {
    let world = World::new().await;
    let (_, mut key) = with_passkey(&world, ADA).await;
    let mut thief = world.person(ADA).await;
    let page = thief.get("/card").await;
    let asked = thief.submit(&page, page.body.matches("<form").count() - 1, &[("card", "4242")], None).await;
    assert_eq!(asked.status, StatusCode::FORBIDDEN);
    assert!(asked.body.contains("Is it you?") && !asked.body.contains("/step-up/mail"), "{}", asked.body);
    for path in ["/step-up/mail", "/step-up/code", "/step-up/recovery/mail", "/step-up/recovery/code"] {
        let fields = [("csrf".to_owned(), page.form(0).1[0].1.clone()), ("code".to_owned(), "123456".to_owned())];
        let refused = thief.post(path, &fields).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{path}");
        assert!(refused.body.contains("stronger_proof_needed"), "{path}: {}", refused.body);
    }
    assert_eq!(thief.get("/security/passkeys").await.location(), "/step-up?next=%2Fsecurity%2Fpasskeys");
    // the person goes on where the thief cannot
    let done = key.step_up(&mut thief, &asked).await;
    assert!(thief.submit(&done, 1, &[], None).await.location().starts_with("/sandbox/cards/"));
}

#[tokio::test]
async fn an_answer_counts_once_in_the_browser_that_was_asked_for_five_minutes_and_for_one_thing() {
    let world = World::new().await;
    let (mut person, mut key) = with_passkey(&world, ADA).await;
    let mut browser = world.browser();
    let page = browser.get("/sign-in").await;
    let answer = key.get(options(&page)).await;
    // a thief who copied it from the wire, in a browser of their own
    let mut thief = world.browser();
    let theirs = thief.get("/sign-in").await;
    assert_eq!(thief.submit(&theirs, 1, &[("answer", &answer)], None).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(browser.submit(&page, 1, &[("answer", &answer)], None).await.status, StatusCode::SEE_OTHER);
    let mut replay = browser.clone();
    replay.cookies.retain(|name, _| !name.contains("session"));
    let again = replay.submit(&page, 1, &[("answer", &answer)], None).await;
    assert_eq!(again.status, StatusCode::UNAUTHORIZED);
    assert!(again.body.contains("passkey_over"), "{}", again.body);

    let mut late = world.browser();
    let page = late.get("/sign-in").await;
    let answer = key.get(options(&page)).await;
    world.clock.advance_secs(300);
    assert_eq!(late.submit(&page, 1, &[("answer", &answer)], None).await.status, StatusCode::UNAUTHORIZED);

    // an answer for a sign-in is none for a step-up, and made-up challenges are none at all
    let asked = person.get("/step-up?next=/").await;
    let sign_in = world.browser().get("/sign-in").await;
    let mut made_up = options(&asked);
    made_up["challenge"] = purser_crypto::encoding::b64url(&[7; 56]).into();
    for wrong in [options(&sign_in), made_up] {
        let answer = key.get(wrong).await;
        assert_eq!(person.submit(&asked, 1, &[("answer", &answer)], None).await.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(key.step_up(&mut person, &asked).await.location(), "/");
}

#[tokio::test]
async fn a_passkey_is_its_persons_alone() {
    let world = World::new().await;
    let (mut ada, _) = with_passkey(&world, ADA).await;
    let (mut eve, mut hers) = with_passkey(&world, EVE).await;
    world.clock.advance_secs(360);
    let asked = ada.get("/step-up?next=/").await;
    let mut any = options(&asked);
    any.as_object_mut().unwrap().remove("allowCredentials");
    let answer = hers.get(any).await;
    let refused = ada.submit(&asked, 1, &[("answer", &answer)], None).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert!(refused.body.contains("passkey_unknown"), "{}", refused.body);

    let page = ada.get("/security").await;
    let path = page.form(1).0;
    let asked = eve.get("/step-up?next=/security").await;
    hers.step_up(&mut eve, &asked).await;
    let token = eve.get("/").await.form(0).1;
    assert_eq!(eve.post(&path, &token).await.status, StatusCode::NOT_FOUND, "another person's passkey was removed");
    assert!(ada.get("/security").await.body.contains("laptop"));
}

#[tokio::test]
async fn a_passkey_nobody_added_signs_nobody_in_and_one_is_on_file_once() {
    let world = World::new().await;
    let (mut ada, mut key) = with_passkey(&world, ADA).await;
    let mut stranger = Key::default();
    let mut eve = world.person(EVE).await;
    let page = eve.get("/security/passkeys").await;
    stranger.create(options(&page)).await;
    let refused = stranger.sign_in(&mut world.browser()).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert!(refused.body.contains("passkey_unknown"), "{}", refused.body);
    // the page leaves the authenticator out that holds one already
    let page = ada.get("/security/passkeys").await;
    let held = options(&key_page(&mut ada).await)["excludeCredentials"][0]["id"].clone();
    assert!(key.get(serde_json::json!({ "challenge": "AAAA", "rpId": "localhost" })).await.contains(held.as_str().unwrap()));
    // an answer that names another person's challenge
    let answer = Key::default().create(options(&page)).await;
    let theirs = eve.get("/security/passkeys").await;
    assert_eq!(eve.submit(&theirs, 1, &[("name", "x"), ("answer", &answer)], None).await.status, StatusCode::UNAUTHORIZED);
    // a name that hides text, and rubbish
    let answer = Key::default().create(options(&page)).await;
    let named = ada.submit(&page, 1, &[("name", "a\u{202e}b"), ("answer", &answer)], None).await;
    assert_eq!(named.status, StatusCode::BAD_REQUEST);
    assert_eq!(ada.submit(&page, 1, &[("name", "x"), ("answer", "{}")], None).await.status, StatusCode::UNAUTHORIZED);
}

async fn key_page(person: &mut Browser) -> crate::world::Answer {
    person.get("/security/passkeys").await
}

#[tokio::test]
async fn a_copy_of_a_passkey_that_counts_is_noticed() {
    let world = World::new().await;
    let (mut person, mut key) = (world.person(ADA).await, Key::counting());
    assert_eq!(key.add(&mut person, "stick").await.location(), "/security");
    let mut copy = key.clone();
    assert_eq!(key.sign_in(&mut world.browser()).await.status, StatusCode::SEE_OTHER);
    assert_eq!(key.sign_in(&mut world.browser()).await.status, StatusCode::SEE_OTHER);
    let refused = copy.sign_in(&mut world.browser()).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert!(refused.body.contains("passkey_copied"), "{}", refused.body);
}

#[tokio::test]
async fn another_site_cannot_sign_a_visitor_in_with_a_passkey_of_its_own() {
    let world = World::new().await;
    let (_, mut hers) = with_passkey(&world, EVE).await;
    // eve makes a good answer for a page of her own browser and has the visitor's browser send it
    let mut eve = world.browser();
    let page = eve.get("/sign-in").await;
    let (action, mut fields) = page.form(1);
    fields.iter_mut().find(|(name, _)| name == "answer").unwrap().1 = hers.get(options(&page)).await;
    let mut visitor = world.browser();
    visitor.get("/sign-in").await;
    assert_eq!(visitor.post(&action, &fields).await.status, StatusCode::FORBIDDEN);
    eve.headers.insert("origin", HeaderValue::from_static("https://evil.test"));
    assert_eq!(eve.post(&action, &fields).await.status, StatusCode::FORBIDDEN);
    assert!(!visitor.cookies.contains_key("purser-session"));
}

#[tokio::test]
async fn only_the_pages_that_ask_for_a_passkey_run_a_script_and_only_that_one() {
    let world = World::new().await;
    let (mut person, _) = with_passkey(&world, ADA).await;
    world.clock.advance_secs(360);
    let policy = |page: &crate::world::Answer| page.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
    for path in ["/sign-in", "/step-up?next=/"] {
        let page = if path == "/sign-in" { world.browser().get(path).await } else { person.get(path).await };
        assert!(policy(&page).ends_with("; script-src http://localhost:4000/passkey.js"), "{path}: {}", policy(&page));
        assert!(page.body.contains("<script src=\"/passkey.js\" defer></script>") && page.body.matches("<script").count() == 1);
    }
    for path in ["/", "/agents", "/security", "/card", "/limits"] {
        let page = person.get(path).await;
        assert!(!policy(&page).contains("script-src") && !page.body.contains("<script"), "{path}");
    }
    let script = world.browser().get("/passkey.js").await;
    assert_eq!(script.headers[header::CONTENT_TYPE], "text/javascript; charset=utf-8");
}

#[tokio::test]
async fn a_person_signs_a_document_and_anybody_can_verify_what_is_kept() {
    let world = World::new().await;
    let (mut ada, mut key) = with_passkey(&world, ADA).await;
    let (_, mut hers) = with_passkey(&world, EVE).await;
    let (agent, tokens) = world.granted(&mut ada).await;
    let person = world.caller(&agent, &tokens).await.person().unwrap().clone();
    let digest = Sha256Digest::of(b"a grant with the id of its request in it");
    let (realm, of) = (world.front.realm.clone(), person.clone());
    let asked = world.front.core.db.read::<_, DbError, _>(move |tx| signing_options(tx, &realm, &of, &digest)).await.unwrap().unwrap();
    let sign = async |answer: String, digest: Sha256Digest| -> Result<SignedAssertion, PasskeyError> {
        let (realm, person, answer) = (world.front.realm.clone(), person.clone(), answer.parse::<AssertionAnswer>().unwrap());
        world.front.core.db.write(move |tx: &mut Tx<'_>| sign_challenge(tx, &realm, &person, &digest, &answer)).await
    };
    let mut theirs = asked.clone();
    theirs.as_object_mut().unwrap().remove("allowCredentials");
    assert!(matches!(sign(hers.get(theirs).await, digest).await, Err(PasskeyError::Unknown)), "another person's passkey signed");
    let answer = key.get(asked).await;
    let other = Sha256Digest::of(b"another grant");
    assert!(matches!(sign(answer.clone(), other).await, Err(PasskeyError::Refused(_))), "it signs another document too");
    let kept = serde_json::to_string(&sign(answer, digest).await.unwrap()).unwrap();

    let read: SignedAssertion = serde_json::from_str(&kept).unwrap();
    assert_eq!(read.person, person);
    read.verify(&digest).unwrap();
    assert!(read.verify(&other).is_err());
    let forged = SignedAssertion { origin: "http://localhost:4001".to_owned(), ..read.clone() };
    assert!(forged.verify(&digest).is_err());
}
