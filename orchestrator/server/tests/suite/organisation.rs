//! Organisations as people use them: invitations, roles, several organisations, leaving; and what each may never do.

use crate::world::{Answer, Browser, World};
use http::StatusCode;
use purser_authority::{Attempt, Caller};
use purser_identity::SignUp;
use purser_identity::organisation::OrganisationName;
use purser_provisioning::{organisation_disable, perform, person_disable};
use serde_json::{Value, json};

/// The form of a page whose action ends so, with its fields.
fn form(page: &Answer, action: &str) -> (String, Vec<(String, String)>) {
    let forms = page.body.matches("<form").count();
    let found = (0..forms).map(|at| page.form(at)).find(|(to, _)| to.ends_with(action));
    found.unwrap_or_else(|| panic!("no form for `{action}` in {}", page.body))
}

async fn send(browser: &mut Browser, page: &Answer, action: &str, fields: &[(&str, &str)]) -> Answer {
    let (to, mut all) = form(page, action);
    for (name, value) in fields {
        all.retain(|(n, _)| n != name);
        all.push(((*name).to_owned(), (*value).to_owned()));
    }
    browser.post(&to, &all).await
}

async fn invite(world: &World, owner: &mut Browser, email: &str, role: &str) -> String {
    let page = owner.get("/organisation").await;
    let sent = send(owner, &page, "/organisation/invitations", &[("email", email), ("role", role)]).await;
    assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.body);
    link(&world.mail_to(email).await.pop().unwrap(), "/invitation?token=")
}

/// The path of the link in a mail.
fn link(text: &str, path: &str) -> String {
    let at = text.find(path).unwrap_or_else(|| panic!("no `{path}` in {text}"));
    text[at..].split_whitespace().next().unwrap().to_owned()
}

/// Follows an invitation from the link to the sign-in and back, in a fresh browser.
async fn join(world: &World, link: &str, email: &str) -> Browser {
    let mut browser = world.browser();
    let page = browser.get(link).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    let on =
        page.body.split("class=\"button\" href=\"").nth(1).unwrap().split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&");
    browser.sign_in_at(world, &on, email).await;
    browser
}

fn id_of(page: &Answer, email: &str) -> String {
    let at = page.body.find(&format!(">{email}</a>")).unwrap_or_else(|| panic!("{email} is not in {}", page.body));
    page.body[..at].rsplit("/members/").next().unwrap().trim_end_matches('"').to_owned()
}

async fn invite_only() -> (World, Browser) {
    let world = World::with("http://localhost:4000", true, SignUp::Invite).await;
    let link = world.bootstrap().await;
    let owner = join(&world, &link, "ada@example.test").await;
    (world, owner)
}

#[tokio::test]
async fn the_first_owner_comes_by_a_link_that_works_once_and_proves_an_address() {
    let world = World::with("http://localhost:4000", false, SignUp::Invite).await;
    let nobody = world.browser().get("/bootstrap?token=pur_bs_0").await;
    assert_eq!(nobody.status, StatusCode::NOT_FOUND);
    let old = world.bootstrap().await;
    let link = world.bootstrap().await;
    assert_eq!(world.browser().get(&old).await.status, StatusCode::NOT_FOUND, "a new link ends the one before it");
    // Two people who both hold the link: one becomes the owner, the other is let in to nothing.
    let (mut first, mut second) = (world.browser(), world.browser());
    let on = format!("/sign-in?next={}", url::form_urlencoded::byte_serialize(link.as_bytes()).collect::<String>());
    second.ask_for_code(&world, &on, "eve@example.test").await;
    let code = world.last_code("eve@example.test").await;
    first.sign_in_at(&world, &on, "ada@example.test").await;
    let page = first.get("/organisation").await;
    assert!(page.body.contains("owner of ada@example.test"), "{}", page.body);
    let late = second.use_code(&on, &code).await;
    assert_eq!(late.status, StatusCode::UNAUTHORIZED, "{}", late.body);
    assert_eq!(world.browser().get(&link).await.status, StatusCode::NOT_FOUND);
    assert!(world.try_bootstrap().await.is_err(), "no second first owner");
}

#[tokio::test]
async fn the_first_owners_link_runs_out() {
    let world = World::with("http://localhost:4000", false, SignUp::Invite).await;
    let link = world.bootstrap().await;
    world.clock.advance_secs(86_400);
    assert_eq!(world.browser().get(&link).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn who_is_invited_joins_with_that_address_and_gets_no_organisation_of_their_own() {
    let (world, mut ada) = invite_only().await;
    let link = invite(&world, &mut ada, "bob@example.test", "member").await;
    // Without the link the address is nobody's, and the link lets no other address in.
    for (on, email) in [
        ("/sign-in", "bob@example.test"),
        (&*format!("/sign-in?next={}", url::form_urlencoded::byte_serialize(link.as_bytes()).collect::<String>()), "eve@example.test"),
    ] {
        let mails = world.mail_to(email).await.len();
        world.browser().ask_for_code(&world, on, email).await;
        assert_eq!(world.mail_to(email).await.len(), mails, "{email} at {on} got a code");
    }
    let mut bob = join(&world, &link, "bob@example.test").await;
    let page = bob.get("/organisation").await;
    assert!(page.body.contains("member of ada@example.test") && !page.body.contains("id=\"switch\""), "{}", page.body);
    let again = world.browser().get(&link).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND, "a link works once");
    // A member changes nobody's role and invites nobody, not by hand either.
    let csrf = form(&page, "/sign-out").1.remove(0).1;
    let ada_id = id_of(&page, "ada@example.test");
    for (path, fields) in [
        ("/organisation/invitations".to_owned(), vec![("email", "mallory@example.test"), ("role", "owner")]),
        (format!("/organisation/members/{}/role", id_of(&page, "bob@example.test")), vec![("role", "owner")]),
        (format!("/organisation/members/{ada_id}/remove"), vec![]),
        ("/organisation/rename".to_owned(), vec![("name", "Bob's")]),
        ("/organisation/create".to_owned(), vec![("name", "Bob's")]),
    ] {
        let mut all: Vec<_> = fields.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        all.push(("csrf".to_owned(), csrf.clone()));
        assert_eq!(bob.post(&path, &all).await.status, StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test]
async fn an_invitation_is_taken_by_the_invited_person_only_and_not_after_it_was_taken_back_or_its_sender_left() {
    let (world, mut ada) = invite_only().await;
    let for_bob = invite(&world, &mut ada, "bob@example.test", "admin").await;
    let mut bob = join(&world, &for_bob, "bob@example.test").await;
    // Somebody else who is signed in sees it and cannot take it.
    let for_carol = invite(&world, &mut bob, "carol@example.test", "member").await;
    let seen = ada.get(&for_carol).await;
    assert!(seen.body.contains("another address") && !seen.body.contains("action=\"/invitation\""), "{}", seen.body);
    let page = ada.get("/organisation").await;
    let csrf = form(&page, "/sign-out").1.remove(0).1;
    let token = for_carol.split("token=").nth(1).unwrap().to_owned();
    let forced = ada.post("/invitation", &[("csrf".to_owned(), csrf), ("token".to_owned(), token)]).await;
    assert_eq!(forced.status, StatusCode::FORBIDDEN, "{}", forced.body);
    // Its sender is made a member: may no longer invite, so the offer is void; as an admin again it stands.
    let bob_id = id_of(&page, "bob@example.test");
    for (role, status) in [("member", StatusCode::NOT_FOUND), ("admin", StatusCode::OK)] {
        let page = ada.get("/organisation").await;
        send(&mut ada, &page, &format!("{bob_id}/role"), &[("role", role)]).await;
        assert_eq!(world.browser().get(&for_carol).await.status, status, "{role}");
    }
    // Taken back.
    let page = ada.get("/organisation").await;
    send(&mut ada, &page, "/revoke", &[]).await;
    assert_eq!(world.browser().get(&for_carol).await.status, StatusCode::NOT_FOUND);
    // Its sender is removed: a link they kept for themselves does not bring them back.
    let back_door = invite(&world, &mut bob, "bob+again@example.test", "admin").await;
    let page = ada.get(&format!("/organisation/members/{bob_id}")).await;
    send(&mut ada, &page, "/remove", &[]).await;
    assert_eq!(world.browser().get(&back_door).await.status, StatusCode::NOT_FOUND);
    // One that runs out.
    let late = invite(&world, &mut ada, "dan@example.test", "member").await;
    world.clock.advance_secs(7 * 86_400);
    assert_eq!(world.browser().get(&late).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn only_owners_make_owners_nobody_raises_themselves_and_one_owner_always_stays() {
    let (world, mut ada) = invite_only().await;
    let link = invite(&world, &mut ada, "bob@example.test", "admin").await;
    let mut bob = join(&world, &link, "bob@example.test").await;
    let page = bob.get("/organisation").await;
    let (ada_id, bob_id) = (id_of(&page, "ada@example.test"), id_of(&page, "bob@example.test"));
    let csrf = form(&page, "/sign-out").1.remove(0).1;
    let role = |role: &str| vec![("csrf".to_owned(), csrf.clone()), ("role".to_owned(), role.to_owned())];
    for (id, to) in [(&bob_id, "owner"), (&ada_id, "member")] {
        let refused = bob.post(&format!("/organisation/members/{id}/role"), &role(to)).await;
        assert!(refused.status == StatusCode::FORBIDDEN && refused.body.contains("owner_required"), "{}", refused.body);
    }
    let removed = bob.post(&format!("/organisation/members/{ada_id}/remove"), &role("x")).await;
    assert!(removed.body.contains("owner_required"), "{}", removed.body);
    let offered = [role("owner"), vec![("email".to_owned(), "eve@example.test".to_owned())]].concat();
    assert!(bob.post("/organisation/invitations", &offered).await.body.contains("owner_required"));
    // The last owner neither leaves nor steps down.
    let page = ada.get("/organisation").await;
    assert!(page.body.contains("You are the only owner") && !page.body.contains("/organisation/leave"), "{}", page.body);
    let csrf = form(&page, "/sign-out").1.remove(0);
    let left = ada.post("/organisation/leave", &[csrf]).await;
    assert!(left.status == StatusCode::CONFLICT && left.body.contains("last_owner"), "{}", left.body);
    let down = send(&mut ada, &page, &format!("{ada_id}/role"), &[("role", "admin")]).await;
    assert!(down.body.contains("last_owner"), "{}", down.body);
    let made = send(&mut ada, &page, &format!("{bob_id}/role"), &[("role", "owner")]).await;
    assert_eq!(made.status, StatusCode::SEE_OTHER, "{}", made.body);
    let down = send(&mut ada, &page, &format!("{ada_id}/role"), &[("role", "admin")]).await;
    assert_eq!(down.status, StatusCode::SEE_OTHER, "{}", down.body);
    let up = send(&mut ada, &page, &format!("{ada_id}/role"), &[("role", "owner")]).await;
    assert_eq!(up.status, StatusCode::FORBIDDEN, "who stepped down does not step up alone: {}", up.body);
}

#[tokio::test]
async fn of_two_owners_who_leave_at_once_one_stays() {
    let (world, mut ada) = invite_only().await;
    let link = invite(&world, &mut ada, "bob@example.test", "owner").await;
    let mut bob = join(&world, &link, "bob@example.test").await;
    let (one, two) = (ada.get("/organisation").await, bob.get("/organisation").await);
    let (one, two) = tokio::join!(send(&mut ada, &one, "/organisation/leave", &[]), send(&mut bob, &two, "/organisation/leave", &[]));
    let mut statuses = [one.status, two.status];
    statuses.sort();
    assert_eq!(statuses, [StatusCode::SEE_OTHER, StatusCode::CONFLICT]);
}

#[tokio::test]
async fn whoever_is_removed_is_out_with_their_terminals_and_agents_and_what_they_decided_stays_to_be_read() {
    let (world, mut ada) = invite_only().await;
    let link = invite(&world, &mut ada, "bob@example.test", "admin").await;
    let mut bob = join(&world, &link, "bob@example.test").await;
    // What another agent asked for, Bob approves.
    let (asks, for_it) = world.granted(&mut ada).await;
    let approval = format!("/approvals/{}", world.approval(&asks, &for_it).await);
    let page = bob.get(&approval).await;
    let (to, mut fields) = form(&page, &approval);
    fields.push(("decision".to_owned(), "approve".to_owned()));
    let approved = bob.post(&to, &fields).await;
    assert_eq!(approved.status, StatusCode::SEE_OTHER, "{}", approved.body);
    let (agent, tokens) = world.granted_in(&mut bob, "blog").await;
    let (terminal, person_token) = world.terminal(&mut bob).await;
    let access = tokens["access_token"].as_str().unwrap();
    world.call(&agent, access).await.unwrap();
    let page = ada.get("/organisation").await;
    let bob_id = id_of(&page, "bob@example.test");
    let before = ada.get(&format!("/organisation/members/{bob_id}")).await;
    assert!(
        before.body.contains("in force") && before.body.contains("grant_decide") && before.body.contains("approval_decide"),
        "{}",
        before.body
    );
    let removed = send(&mut ada, &before, "/remove", &[]).await;
    assert_eq!(removed.status, StatusCode::SEE_OTHER, "{}", removed.body);

    let refused = world.call(&agent, access).await.unwrap_err();
    assert_eq!(purser_values::error::PublicError::code(&refused), "grant_ended");
    assert!(world.call(&terminal, &person_token).await.is_err(), "the terminal still acts");
    assert_eq!(agent.refresh(&tokens).await.0, StatusCode::BAD_REQUEST);
    assert!(bob.get("/agents").await.location().starts_with("/sign-in"));
    let after = ada.get(removed.location()).await;
    assert!(
        ["No longer a member", "ended", "terms_accept", "approval_decide", &approval["/approvals/".len()..]]
            .iter()
            .all(|part| after.body.contains(part)),
        "{}",
        after.body
    );
    // The address is known and lets nobody in any more.
    let mails = world.mail_to("bob@example.test").await.len();
    world.browser().ask_for_code(&world, "/sign-in", "bob@example.test").await;
    assert_eq!(world.mail_to("bob@example.test").await.len(), mails);
    // To another organisation the person does not exist.
    let other = World::new().await;
    let stranger = other.person("eve@example.test").await.get(&format!("/organisation/members/{bob_id}")).await;
    assert_eq!(stranger.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_role_that_may_not_grant_ends_what_was_granted() {
    let (world, mut ada) = invite_only().await;
    let link = invite(&world, &mut ada, "bob@example.test", "admin").await;
    let mut bob = join(&world, &link, "bob@example.test").await;
    let (agent, tokens) = world.granted(&mut bob).await;
    let page = ada.get("/organisation").await;
    let bob_id = id_of(&page, "bob@example.test");
    for (role, acts) in [("member", true), ("auditor", false)] {
        let set = send(&mut ada, &page, &format!("{bob_id}/role"), &[("role", role)]).await;
        assert_eq!(set.status, StatusCode::SEE_OTHER, "{}", set.body);
        assert_eq!(world.call(&agent, tokens["access_token"].as_str().unwrap()).await.is_ok(), acts, "{role}");
    }
}

#[tokio::test]
async fn a_person_of_several_organisations_sees_which_is_in_use_and_a_form_of_one_changes_nothing_in_another() {
    let world = World::new().await;
    let (mut ada, mut bob) = (world.person("ada@example.test").await, world.person("bob@example.test").await);
    let link = invite(&world, &mut ada, "bob@example.test", "admin").await;
    let stale = bob.get("/organisation").await;
    let page = bob.get(&link).await;
    let joined = send(&mut bob, &page, "/invitation", &[]).await;
    assert_eq!(joined.status, StatusCode::SEE_OTHER, "{}", joined.body);
    for path in ["/", "/agents", "/limits", "/card", "/spend", "/events", "/organisation"] {
        let page = bob.get(path).await;
        assert!(
            page.body.contains("admin of ada@example.test") && page.body.contains("selected>ada@example.test"),
            "{path}: {}",
            page.body
        );
    }
    let forged = send(&mut bob, &stale, "/organisation/rename", &[("name", "Renamed")]).await;
    assert_eq!(forged.status, StatusCode::FORBIDDEN, "a form of the other organisation counted: {}", forged.body);
    // Back to the own one, and the next sign-in goes where the person was last.
    let page = bob.get("/agents").await;
    let own = page.body.split("<option value=\"").find(|o| o.contains(">bob@example.test<")).unwrap().split('"').next().unwrap();
    let switched = send(&mut bob, &page, "/organisation/switch", &[("organisation", own)]).await;
    assert_eq!(switched.status, StatusCode::SEE_OTHER, "{}", switched.body);
    assert!(bob.get("/agents").await.body.contains("owner of bob@example.test"));
    let next = world.person("bob@example.test").await.get("/agents").await;
    assert!(next.body.contains("owner of bob@example.test"), "{}", next.body);
    // Nobody switches to what they do not belong to.
    let page = ada.get("/organisation").await;
    let csrf = form(&page, "/sign-out").1.remove(0).1;
    let fields = [("csrf".to_owned(), csrf), ("organisation".to_owned(), own.to_owned())];
    assert_eq!(ada.post("/organisation/switch", &fields).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_disabled_person_and_everybody_of_a_disabled_organisation_are_out_at_once() {
    let world = World::new().await;
    let (mut ada, mut bob) = (world.person("ada@example.test").await, world.person("bob@example.test").await);
    let ((one, one_tokens), (two, two_tokens)) = (world.granted(&mut ada).await, world.granted(&mut bob).await);
    let (one_token, two_token) = (one_tokens["access_token"].as_str().unwrap(), two_tokens["access_token"].as_str().unwrap());
    let Caller::Agent { on_behalf_of, .. } = world.call(&one, one_token).await.unwrap().caller else { panic!("an agent calls") };
    let env = world.env.clone();
    let attempt = Attempt::new("person_disable", &Caller::Operator, on_behalf_of.as_str());
    let ended = perform(&world.front.core, attempt, move |tx| person_disable(tx, &env, &Caller::Operator, &on_behalf_of)).await.unwrap();
    assert_eq!(ended.len(), 1);
    assert!(world.call(&one, one_token).await.is_err() && world.call(&two, two_token).await.is_ok());
    assert!(ada.get("/agents").await.location().starts_with("/sign-in"));
    let mails = world.mail_to("ada@example.test").await.len();
    world.browser().ask_for_code(&world, "/sign-in", "ada@example.test").await;
    assert_eq!(world.mail_to("ada@example.test").await.len(), mails, "open sign-up does not bring a disabled person back");

    let organisation = world.call(&two, two_token).await.unwrap().caller.organisation().unwrap().clone();
    let env = world.env.clone();
    let attempt = Attempt::new("organisation_disable", &Caller::Operator, organisation.as_str());
    perform(&world.front.core, attempt, move |tx| organisation_disable(tx, &env, &Caller::Operator, &organisation)).await.unwrap();
    assert!(world.call(&two, two_token).await.is_err());
    assert!(bob.get("/agents").await.location().starts_with("/sign-in"));
}

#[tokio::test]
async fn the_api_says_who_belongs_and_off_boards_like_the_page() {
    let (world, mut ada) = invite_only().await;
    let link = invite(&world, &mut ada, "bob@example.test", "admin").await;
    let mut bob = join(&world, &link, "bob@example.test").await;
    let (agent, tokens) = world.granted(&mut bob).await;
    let terminal = world.terminal(&mut ada).await;
    let call = async |method: &str, path: &str, body: Value| {
        let (content, body) = if method == "GET" { ("", String::new()) } else { ("application/json", body.to_string()) };
        world.api(Some((&terminal.0, &terminal.1)), method, path, content, body).await
    };
    let (status, people) = call("GET", "/v1/organisation", Value::Null).await;
    assert_eq!(status, StatusCode::OK, "{people}");
    let bob_id = people["members"].as_array().unwrap().iter().find(|m| m["email"] == "bob@example.test").unwrap()["person"].clone();
    let bob_id = bob_id.as_str().unwrap();
    let (_, record) = call("GET", &format!("/v1/organisation/members/{bob_id}"), Value::Null).await;
    assert_eq!(record["grants"][0]["in_force"], true, "{record}");
    let (status, gone) = call("POST", &format!("/v1/organisation/members/{bob_id}/remove"), json!({})).await;
    assert_eq!((status, gone["grants"].as_array().unwrap().len()), (StatusCode::OK, 1), "{gone}");
    assert!(world.call(&agent, tokens["access_token"].as_str().unwrap()).await.is_err());
    let (_, record) = call("GET", &format!("/v1/organisation/members/{bob_id}"), Value::Null).await;
    assert!(record["member"].is_null() && record["grants"][0]["in_force"] == false, "{record}");
    let (status, refused) = call("POST", &format!("/v1/organisation/members/{bob_id}/remove"), json!({})).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{refused}");
}

#[tokio::test]
async fn nobody_fills_a_mailbox_with_invitations() {
    let (world, mut ada) = invite_only().await;
    for _ in 0..5 {
        invite(&world, &mut ada, "bob@example.test", "member").await;
    }
    let page = ada.get("/organisation").await;
    let sixth = send(&mut ada, &page, "/organisation/invitations", &[("email", "bob@example.test"), ("role", "member")]).await;
    assert_eq!(sixth.status, StatusCode::TOO_MANY_REQUESTS, "{}", sixth.body);
}

#[test]
fn an_organisations_name_hides_nothing_and_holds_no_link() {
    for good in ["Acme", "Müller & Söhne", "ada@example.test"] {
        assert!(good.parse::<OrganisationName>().is_ok(), "{good}");
    }
    for bad in ["", " ", "a\nb", "pay\u{202e}lap", "see https://evil.test", &"x".repeat(81)] {
        assert!(bad.parse::<OrganisationName>().is_err(), "{bad:?}");
    }
}
