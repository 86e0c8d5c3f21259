//! The security page: an app with its codes, another address, the list of sessions, and the way back for who has lost it all.

use std::time::{Duration, Instant};

use crate::world::key::Key;
use crate::world::{Answer, Browser, World};
use http::StatusCode;
use purser_identity::SignUp;
use totp_rs::{Builder, Secret};

const ADA: &str = "ada@example.test";
const EVE: &str = "eve@example.test";
const DAY: i64 = 86_400;

struct App {
    secret: String,
    recovery_codes: Vec<String>,
}

impl App {
    /// What the app shows now.
    fn code(&self, world: &World) -> String {
        let secret = Secret::try_from_base32(&self.secret).unwrap();
        let now = u64::try_from(world.env.now().as_secs()).unwrap();
        Builder::new().with_secret(secret).build().unwrap().generate(now).to_string()
    }
}

fn all_codes(page: &Answer) -> Vec<String> {
    page.body.split("<code>").skip(1).map(|text| text.split("</code>").next().unwrap().to_owned()).collect()
}

/// The last form of a page that goes to `action`.
fn form(page: &Answer, action: &str) -> usize {
    (0..page.body.matches("<form").count()).rev().find(|i| page.form(*i).0 == action).unwrap_or_else(|| panic!("{action}: {}", page.body))
}

async fn with_app(world: &World, person: &mut Browser) -> App {
    let page = person.get("/security").await;
    let begun = person.submit(&page, form(&page, "/security/app"), &[], None).await;
    assert!(begun.body.contains("<svg") && !begun.body.contains("otpauth:"), "{}", begun.body);
    let mut app = App { secret: all_codes(&begun).remove(0), recovery_codes: vec![] };
    let wrong = person.submit(&begun, 1, &[("code", &other(&app.code(world)))], None).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    let done = person.submit(&wrong, 1, &[("code", &app.code(world))], None).await;
    app.recovery_codes = all_codes(&done);
    assert_eq!(app.recovery_codes.len(), 10, "{}", done.body);
    app
}

fn other(code: &str) -> String {
    format!("{:06}", (code.parse::<u32>().unwrap() + 1) % 1_000_000)
}

async fn try_code(person: &mut Browser, code: &str) -> Answer {
    let asked = person.get("/step-up?next=/card").await;
    assert_eq!(asked.status, StatusCode::OK, "{} {}", asked.status, asked.body);
    person.submit(&asked, form(&asked, "/step-up/app"), &[("code", code)], None).await
}

#[tokio::test]
async fn an_app_steps_up_with_each_code_once_and_a_recovery_code_stands_in_for_it_once() {
    let world = World::new().await;
    let mut person = world.person(ADA).await;
    let app = with_app(&world, &mut person).await;
    let enrolled_with = app.code(&world);
    world.clock.advance_secs(1);
    assert!(world.mail_to(ADA).await.iter().any(|mail| mail.contains("An app was added")));
    // a sign-in by mail is not enough any more
    let mut person = world.person(ADA).await;
    let used = try_code(&mut person, &enrolled_with).await;
    assert_eq!(used.status, StatusCode::UNPROCESSABLE_ENTITY, "the code of the enrolment counts twice");
    world.clock.advance_secs(30);
    let code = app.code(&world);
    assert_eq!(try_code(&mut person, &code).await.location(), "/card");
    let mut second = world.person(ADA).await;
    assert_eq!(try_code(&mut second, &code).await.status, StatusCode::UNPROCESSABLE_ENTITY, "a code counts twice");

    let typed = app.recovery_codes[0].to_uppercase().replace('-', " ");
    assert_eq!(try_code(&mut second, &typed).await.location(), "/card");
    world.clock.advance_secs(1);
    assert!(world.mail_to(ADA).await.iter().any(|mail| mail.contains("9 are left")));
    let mut third = world.person(ADA).await;
    assert_eq!(try_code(&mut third, &app.recovery_codes[0]).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(try_code(&mut third, &app.recovery_codes[1]).await.location(), "/card");

    let page = third.get("/security").await;
    assert_eq!(third.submit(&page, form(&page, "/security/app/remove"), &[], None).await.location(), "/security");
    let mut fourth = world.person(ADA).await;
    assert_eq!(fourth.get("/step-up?next=/card").await.location(), "/card", "a code by mail is enough again");
}

#[tokio::test]
async fn whoever_guesses_the_codes_of_an_app_is_stopped_after_five_also_with_recovery_codes() {
    let world = World::new().await;
    let app = with_app(&world, &mut world.person(ADA).await).await;
    world.clock.advance_secs(901);
    let mut thief = world.person(ADA).await;
    for n in 0..5 {
        let guess = if n % 2 == 0 { other(&app.code(&world)) } else { "aaaaa-aaaaa".to_owned() };
        assert_eq!(try_code(&mut thief, &guess).await.status, StatusCode::UNPROCESSABLE_ENTITY, "guess {n}");
    }
    // in another session too, and though the code is right
    let mut again = world.person(ADA).await;
    for right in [app.code(&world), app.recovery_codes[0].clone()] {
        assert_eq!(try_code(&mut again, &right).await.status, StatusCode::TOO_MANY_REQUESTS);
    }
    world.clock.advance_secs(901);
    let mut person = world.person(ADA).await;
    assert_eq!(try_code(&mut person, &app.code(&world)).await.location(), "/card");
}

#[tokio::test]
async fn an_address_is_changed_by_who_reads_the_new_one_and_put_back_from_the_old_one() {
    let world = World::new().await;
    // a thief at a signed-in browser of a person without passkeys
    let (mut thief, mut elsewhere) = (world.person(ADA).await, world.person(ADA).await);
    let mut key = Key::default();
    assert_eq!(key.add(&mut thief, "thief's").await.location(), "/security");
    let page = thief.get("/security").await;
    world.clock.advance_secs(1);
    let sent = thief.submit(&page, form(&page, "/security/email"), &[("email", "Mallory@example.test")], None).await;
    assert_eq!(sent.status, StatusCode::OK, "{}", sent.body);
    let code = world.last_code("mallory@example.test").await;
    assert_eq!(thief.submit(&sent, 1, &[("code", &other(&code))], None).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    world.clock.advance_secs(1);
    assert_eq!(thief.submit(&sent, 1, &[("code", &code)], None).await.location(), "/security");
    assert!(thief.get("/security").await.body.contains("mallory@example.test"));
    // the code counts once
    assert_eq!(thief.submit(&sent, 1, &[("code", &code)], None).await.status, StatusCode::UNAUTHORIZED);

    let told = world.mail_to(ADA).await.pop().unwrap();
    let path = told.split("http://localhost:4000").find(|part| part.starts_with("/security/undo")).unwrap();
    let path = path.split_whitespace().next().unwrap();
    let mut owner = world.browser();
    let look = owner.get(path).await;
    assert!(look.body.contains("That was not you?"), "{}", look.body);
    assert!(thief.get("/security").await.body.contains("mallory@example.test"), "looking at the link changed something");
    let undone = owner.submit(&look, 0, &[], None).await;
    assert!(undone.body.contains("Put right"), "{}", undone.body);
    for browser in [&mut thief, &mut elsewhere] {
        assert!(browser.get("/security").await.location().starts_with("/sign-in"), "a browser is still signed in");
    }
    assert_eq!(key.sign_in(&mut world.browser()).await.status, StatusCode::UNAUTHORIZED, "the thief's passkey is left");
    assert_eq!(owner.get(path).await.status, StatusCode::NOT_FOUND, "the link counts twice");
    let mut ada = world.person(ADA).await;
    assert!(ada.get("/security").await.body.contains(ADA));
}

#[tokio::test]
async fn an_address_of_somebody_else_is_refused_and_only_its_reader_learns_that_it_is_one() {
    let world = World::new().await;
    let (mut ada, _) = (world.person(ADA).await, world.person(EVE).await);
    let page = ada.get("/security").await;
    let mut answers = Vec::new();
    for email in [EVE, "nobody@example.test"] {
        world.clock.advance_secs(1);
        let sent = ada.submit(&page, form(&page, "/security/email"), &[("email", email)], None).await;
        answers.push((sent.status, sent.body.clone()));
        world.clock.advance_secs(1);
        if email == EVE {
            let code = world.last_code(EVE).await;
            let taken = ada.submit(&sent, 1, &[("code", &code)], None).await;
            assert_eq!(taken.status, StatusCode::CONFLICT);
            assert!(taken.body.contains("email_taken"), "{}", taken.body);
        }
    }
    assert_eq!(answers[0], answers[1]);
    assert!(ada.get("/security").await.body.contains(ADA));
    // and it waits for a step-up
    world.clock.advance_secs(300);
    let asked = ada.submit(&page, form(&page, "/security/email"), &[("email", "new@example.test")], None).await;
    assert_eq!(asked.status, StatusCode::FORBIDDEN);
    assert!(world.mail_to("new@example.test").await.is_empty());
}

#[tokio::test]
async fn who_has_lost_everything_comes_back_after_a_day_and_the_others_are_signed_out() {
    let world = World::new().await;
    let (mut old, mut key) = (world.person(ADA).await, Key::default());
    key.add(&mut old, "lost").await;
    let mut person = world.person(ADA).await;
    let asked = person.get("/step-up?next=/card").await;
    world.clock.advance_secs(1);
    let waits = person.submit(&asked, form(&asked, "/step-up/recovery"), &[], None).await;
    assert!(waits.body.contains("is being recovered"), "{}", waits.body);
    assert!(world.mail_to(ADA).await.pop().unwrap().contains("/security/undo?token="));
    assert!(old.get("/agents").await.body.contains("Somebody is recovering your login"), "the person is not told on their pages");

    world.clock.advance_secs(DAY - 60);
    let mut person = world.person(ADA).await;
    let early = person.get("/step-up?next=/card").await;
    assert!(!early.body.contains("/step-up/recovery/mail"), "{}", early.body);
    world.clock.advance_secs(60);
    let ready = person.get("/step-up?next=/card").await;
    world.clock.advance_secs(1);
    let sent = person.submit(&ready, form(&ready, "/step-up/recovery/mail"), &[], None).await;
    let code = world.last_code(ADA).await;
    let mut other_browser = world.person(ADA).await;
    let done = person.submit(&sent, form(&sent, "/step-up/recovery/code"), &[("code", &code)], None).await;
    assert_eq!(done.location(), "/card", "{}", done.body);
    assert!(!person.get("/security").await.body.contains("<q>lost</q>"));
    assert!(other_browser.get("/agents").await.location().starts_with("/sign-in"), "another browser is still signed in");
    assert_eq!(key.sign_in(&mut world.browser()).await.status, StatusCode::UNAUTHORIZED);
    world.clock.advance_secs(1);
    assert!(world.mail_to(ADA).await.pop().unwrap().contains("recovered"));
}

#[tokio::test]
async fn a_thief_of_the_mailbox_is_stopped_by_the_passkey_and_by_the_link() {
    let world = World::new().await;
    let (mut ada, mut key) = (world.person(ADA).await, Key::default());
    key.add(&mut ada, "laptop").await;
    for stop_by_link in [false, true] {
        let mut thief = world.person(ADA).await;
        let asked = thief.get("/step-up?next=/card").await;
        world.clock.advance_secs(1);
        thief.submit(&asked, form(&asked, "/step-up/recovery"), &[], None).await;
        if stop_by_link {
            let told = world.mail_to(ADA).await.pop().unwrap();
            let path = told.split("http://localhost:4000").find(|part| part.starts_with("/security/undo")).unwrap();
            let mut browser = world.browser();
            let look = browser.get(path.split_whitespace().next().unwrap()).await;
            assert!(browser.submit(&look, 0, &[], None).await.body.contains("has ended"));
            assert!(thief.get("/agents").await.location().starts_with("/sign-in"), "the thief is still signed in");
        } else {
            assert_eq!(key.sign_in(&mut world.browser()).await.status, StatusCode::SEE_OTHER);
        }
        world.clock.advance_secs(DAY + 1);
        let mut thief = world.person(ADA).await;
        let late = thief.get("/step-up?next=/card").await;
        assert!(!late.body.contains("/step-up/recovery/mail"), "the recovery went on: {}", late.body);
    }
}

#[tokio::test]
async fn a_person_sees_where_they_are_signed_in_and_signs_the_others_out_without_a_step_up() {
    let world = World::new().await;
    let (mut here, mut phone, mut tablet, eve) =
        (world.person(ADA).await, world.person(ADA).await, world.person(ADA).await, world.person(EVE).await);
    world.clock.advance_secs(360);
    let page = here.get("/security").await;
    assert_eq!(page.body.matches("Sign it out").count(), 2);
    assert!(page.body.contains("203.0.113.7") && page.body.contains("this browser"), "{}", page.body);
    // one of them: the newest is first
    assert_eq!(here.submit(&page, form(&page, "/security/sessions/end") - 2, &[], None).await.location(), "/security");
    let ended = [&mut phone, &mut tablet].map(|b| b.clone());
    let mut left = 0;
    for mut browser in ended {
        left += usize::from(browser.get("/agents").await.status == StatusCode::OK);
    }
    assert_eq!(left, 1);
    let all = here.submit(&page, form(&page, "/security/sessions/end"), &[], None).await;
    assert_eq!(all.location(), "/security");
    for browser in [&mut phone, &mut tablet] {
        assert!(browser.get("/agents").await.location().starts_with("/sign-in"));
    }
    assert_eq!(here.get("/agents").await.status, StatusCode::OK);
    assert_eq!(eve.clone().get("/agents").await.status, StatusCode::OK);
    // somebody else's session is not theirs to end
    let hers = eve.clone().get("/security").await;
    assert!(!hers.body.contains("Sign it out"));
    let mine = here.submit(&page, form(&page, "/security/sessions/end") - 1, &[("session", "ses_00000000000000000000000000")], None).await;
    assert_eq!(mine.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn nobody_learns_from_the_sign_in_who_has_a_login() {
    let world = World::with("http://localhost:4000", false, SignUp::Domains(vec!["example.test".parse().unwrap()])).await;
    let mut with_key = world.person(ADA).await;
    Key::default().add(&mut with_key, "laptop").await;
    world.person(EVE).await;
    // the pages, the headers and the cookies of all three are the same but for what is random
    let shape = |answer: &Answer| {
        let names: Vec<String> = answer
            .headers
            .iter()
            .map(|(name, value)| {
                let value = value.to_str().unwrap();
                format!("{name}: {}", if name == "set-cookie" { value.split_once('=').unwrap().0 } else { value })
            })
            .collect();
        let words: Vec<&str> = answer.body.split('"').filter(|word| word.len() < 40).collect();
        (answer.status, names, words.join("\""))
    };
    let mut seen = Vec::new();
    for email in [ADA, EVE, "nobody@elsewhere.test"] {
        let mut browser = world.browser();
        let page = browser.get("/sign-in").await;
        let sent = browser.submit(&page, 0, &[("email", email)], None).await;
        let code = browser.get(sent.location()).await;
        let wrong = browser.submit(&code, 0, &[("code", "000000")], None).await;
        seen.push([shape(&page), shape(&sent), shape(&code), shape(&wrong)]);
    }
    assert_eq!(seen[0], seen[1], "a passkey shows");
    assert_eq!(seen[0], seen[2], "a login shows");

    // and so does the time, as far as a noisy machine lets a test say: the medians stay within a factor of three
    let mut times: [Vec<Duration>; 2] = [vec![], vec![]];
    for n in 0..40 {
        let mut browser = world.browser();
        browser.peer = format!("192.0.2.{n}:1").parse().unwrap();
        world.clock.advance_secs(901);
        let page = browser.get("/sign-in").await;
        let email = [EVE, "nobody@elsewhere.test"][n % 2];
        let begun = Instant::now();
        browser.submit(&page, 0, &[("email", email)], None).await;
        times[n % 2].push(begun.elapsed());
    }
    let [known, unknown] = times.map(|mut all| {
        all.sort();
        all[all.len() / 2]
    });
    assert!(known < unknown * 3 && unknown < known * 3, "{known:?} against {unknown:?}");
}
