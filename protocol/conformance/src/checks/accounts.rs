//! Checks 9, 13, 30 to 41, 44, 46, 51 and 54: from an address to an account.
//!
//! Account requests are scarce at real providers, so each serves several checks: one for a new address, one that spells it in another case, one
//! that repeats it, one of a second person with every tolerance at once, two at the same time for a third.

use purser_values::{Secret, Timestamp};
use serde_json::{Value, json};

use crate::probe::{Answer, Signing};
use crate::world::{Account, Opened, Outcome, World};

pub async fn run(world: &mut World) {
    let email = world.email("Alpha");
    let created_nothing = unsigned(world, &email).await;
    let Some((first, first_code)) = new_account(world, &email).await else {
        world.record(37, Outcome::Skip("no account was opened afterwards".to_owned()));
        return;
    };
    world.record(37, created_nothing);
    other_case(world, &email, &first).await;
    again(world, &email, &first).await;
    if let Some(code) = first_code {
        let outcome = twice(world, &code).await;
        world.record(46, outcome);
    } else {
        world.record(46, Outcome::Skip("the provider gives tokens without a code".to_owned()));
    }
    tolerant(world).await;
    let outcome = simultaneous(world).await;
    world.record(40, outcome);
    refusals(world).await;
    known(world).await;
}

/// Somebody's address, asked for by a stranger: what comes is looked at by checks 42 and 43, and access must not.
async fn known(world: &mut World) {
    let Some(email) = world.probe.options.known_email.clone() else { return };
    let body = world.account_body("known", &email);
    match world.open(&body).await {
        Ok((answer, Opened::Redirect)) if !gives_access(&answer) => {}
        Ok((answer, _)) => world.record(38, Outcome::Fail(format!("a known address went past its owner: {}", answer.brief()))),
        Err(why) => world.record(42, Outcome::Skip(why)),
    }
}

/// Whether an answer gives something that opens an account.
fn gives_access(answer: &Answer) -> bool {
    !answer.text("/oauth/code").is_empty()
        || !answer.text("/credentials/bearer/access_token").is_empty()
        || !answer.text("/access_token").is_empty()
}

async fn unsigned(world: &mut World, email: &str) -> Outcome {
    let body = world.account_body("alpha", email);
    let mut faults = Vec::new();
    for signing in [Signing::None, Signing::WrongSecret] {
        let mut request = world.probe.post("account_requests", &body);
        request.signing = signing.clone();
        match world.probe.send(&request).await {
            Ok(answer) if answer.status == 401 && !gives_access(&answer) => {}
            Ok(answer) => faults.push(format!("{signing:?}: {}", answer.brief())),
            Err(why) => faults.push(why),
        }
    }
    Outcome::faultless(&faults)
}

/// The first account; its code, when there was one, is kept to be used twice.
async fn new_account(world: &mut World, email: &str) -> Option<(Account, Option<Secret<String>>)> {
    let body = world.account_body("alpha", email);
    let (answer, opened) = match world.open(&body).await {
        Ok(found) => found,
        Err(why) => {
            world.record(30, Outcome::Fail(why));
            return None;
        }
    };
    world.record(30, one_member(&answer, &opened));
    world.record(31, same_id(&answer, &body));
    let code = if let Opened::Code(code) = &opened { Some(code.clone()) } else { None };
    let tokens = match opened {
        Opened::Code(code) => match world.redeem(&code).await {
            Ok(answer) => {
                world.record(13, Outcome::require(answer.status == 200, answer.brief()));
                world.record(54, no_store(&answer));
                answer.json
            }
            Err(why) => {
                world.record(13, Outcome::Fail(why));
                return None;
            }
        },
        Opened::Tokens(_) => answer.json["credentials"]["bearer"].clone(),
        Opened::Redirect => {
            world.record(32, Outcome::Skip("a person has to agree before there are tokens".to_owned()));
            return None;
        }
        Opened::Other(_) => return None,
    };
    let account = world.account(&tokens);
    world.record(32, token_set(&tokens, account.as_ref()));
    let account = account.filter(|account| !account.id.is_empty())?;
    world.record(33, payment_word(&account));
    world.alpha = Some(account.clone());
    Some((account, code))
}

fn one_member(answer: &Answer, opened: &Opened) -> Outcome {
    let kind = answer.text("/type");
    let others = ["oauth", "credentials", "requires_auth", "error"].iter().filter(|name| **name != kind);
    let alone = others.clone().all(|name| answer.json[*name].is_null());
    let known = !matches!(opened, Opened::Other(_));
    Outcome::require(answer.status == 200 && known && alone, format!("{}, type `{}`", answer.brief(), purser_wire::text::excerpt(kind, 24)))
}

fn same_id(answer: &Answer, body: &Value) -> Outcome {
    match &answer.json["id"] {
        Value::Null => Outcome::Pass("absent".to_owned()),
        id => Outcome::require(*id == body["id"], "another id"),
    }
}

fn token_set(tokens: &Value, account: Option<&Account>) -> Outcome {
    let expires = &tokens["expires_in"];
    let positive = expires.is_null() || expires.as_i64().is_some_and(|s| s > 0);
    Outcome::require(
        account.is_some_and(|a| !a.id.is_empty()) && positive,
        "a token, the account's id or a positive `expires_in` is missing",
    )
}

fn payment_word(account: &Account) -> Outcome {
    let known = account.payment_by.as_deref().is_none_or(|word| matches!(word, "orchestrator" | "provider"));
    Outcome::require(known, "another word")
}

fn no_store(answer: &Answer) -> Outcome {
    let value = answer.headers.get("cache-control").and_then(|v| v.to_str().ok()).unwrap_or_default();
    Outcome::require(value.contains("no-store"), "`Cache-Control: no-store` is missing")
}

async fn other_case(world: &mut World, email: &str, first: &Account) {
    let body = world.account_body("alpha-case", &email.to_uppercase());
    let outcome = match world.open(&body).await {
        Ok((answer, _)) if answer.status >= 500 => Outcome::Fail(answer.brief()),
        Ok((answer, opened)) => match world.settle(opened).await {
            Ok(second) if second.id == first.id => Outcome::Pass("the same account".to_owned()),
            Ok(_) => Outcome::Pass("another account".to_owned()),
            Err(why) => Outcome::Pass(format!("{}: {why}", answer.brief())),
        },
        Err(why) => Outcome::Skip(why),
    };
    world.record(41, outcome);
}

/// The same person again, in a body whose spelling no parser would reproduce.
async fn again(world: &mut World, email: &str, first: &Account) {
    let mut body = world.account_body("alpha-again", email);
    body["name"] = json!("Ädä Łøvelace");
    let spaced = body.to_string().replace("\",\"", "\" ,\n\t\"").replacen('{', "{  ", 1);
    let mut request = world.probe.post("account_requests", &body);
    request.body = spaced.into_bytes();
    let answer = match world.probe.send(&request).await {
        Ok(answer) => answer,
        Err(why) => return world.record(9, Outcome::Fail(why)),
    };
    world.record(9, Outcome::require(answer.status == 200, answer.brief()));
    let after_answer = alive(world, first).await;
    let mut opened = world.opened(&answer);
    if let Opened::Code(code) = &opened {
        let (outcome, given_away) = unproven_code(world, &code.clone()).await;
        world.record(51, outcome);
        // the code is used up now; the run goes on with what it bought
        opened = given_away.map_or(opened, Opened::Tokens);
    } else {
        world.record(51, Outcome::Skip("the provider gives tokens without a code".to_owned()));
    }
    if matches!(opened, Opened::Redirect) {
        world.record(38, Outcome::Pass("a person has to agree".to_owned()));
        return;
    }
    match world.settle(opened).await {
        Ok(second) => {
            world.record(38, Outcome::require(second.id == first.id, "another account for the same address"));
            let after_tokens = alive(world, first).await;
            world.record(
                39,
                Outcome::Info(format!("the first token after the second answer: {after_answer}; after its tokens: {after_tokens}")),
            );
            world.alpha = Some(second);
        }
        Err(why) => world.record(38, Outcome::Fail(why)),
    }
}

/// Whether an access token still opens something.
async fn alive(world: &mut World, account: &Account) -> &'static str {
    let request = world.authorized(world.probe.get("resources/conformance-none"), account);
    match world.probe.send(&request).await {
        Ok(answer) if answer.status == 401 => "dead",
        Ok(_) => "alive",
        Err(_) => "unknown",
    }
}

async fn unproven_code(world: &mut World, code: &Secret<String>) -> (Outcome, Option<Account>) {
    let mut request = world.form(&[("grant_type", "authorization_code"), ("code", code.expose())]);
    request.signing = Signing::None;
    match world.probe.send(&request).await {
        Ok(answer) => {
            let refused = answer.status >= 400 && answer.status < 500 && !gives_access(&answer);
            (Outcome::require(refused, answer.brief()), world.account(&answer.json))
        }
        Err(why) => (Outcome::Fail(why), None),
    }
}

async fn twice(world: &mut World, code: &Secret<String>) -> Outcome {
    match world.redeem(code).await {
        Ok(answer) => Outcome::require(answer.status == 400 && answer.error_code() == "invalid_grant", answer.brief()),
        Err(why) => Outcome::Fail(why),
    }
}

/// A second person, with unknown fields and explicit nulls.
async fn tolerant(world: &mut World) {
    let email = world.email("beta");
    let mut body = world.account_body("beta", &email);
    for optional in ["name", "phone", "country", "kyc", "actor", "code_challenge", "code_challenge_method"] {
        body[optional] = Value::Null;
    }
    let nulls = body.clone();
    body["conformance_extra"] = json!({"deep": [1, "two"]});
    let opened = match world.open(&body).await {
        Ok((answer, _)) if answer.status != 200 => {
            // which of the two was it? only now is another request worth it
            let without_extra = world.open(&nulls).await;
            let fine = without_extra.as_ref().is_ok_and(|(a, _)| a.status == 200);
            world.extras.push(("account_requests", !fine));
            world.record(44, Outcome::require(fine, answer.brief()));
            match without_extra {
                Ok((_, opened)) => opened,
                Err(_) => return,
            }
        }
        Ok((_, opened)) => {
            world.extras.push(("account_requests", true));
            world.record(44, Outcome::pass());
            opened
        }
        Err(why) => return world.record(44, Outcome::Skip(why)),
    };
    if let Opened::Code(code) = &opened {
        let request = world.form(&[("grant_type", "authorization_code"), ("code", code.expose()), ("conformance_extra", "1")]);
        if let Ok(answer) = world.probe.send(&request).await {
            world.extras.push(("oauth/token", answer.status == 200));
            world.beta = world.account(&answer.json);
        }
    } else {
        world.beta = world.settle(opened).await.ok();
    }
}

async fn simultaneous(world: &mut World) -> Outcome {
    let email = world.email("gamma");
    let bodies = [world.account_body("gamma-1", &email), world.account_body("gamma-2", &email)];
    let requests = bodies.map(|body| world.probe.post("account_requests", &body));
    let (a, b) = world.probe.send_both(&requests[0], &requests[1]).await;
    let (a, b) = match (a, b) {
        (Ok(a), Ok(b)) => (a, b),
        (Err(why), _) | (_, Err(why)) => return Outcome::Skip(why),
    };
    if a.status == 429 || b.status == 429 {
        return Outcome::Skip("rate limited".to_owned());
    }
    if a.status >= 500 || b.status >= 500 {
        return Outcome::Fail(format!("{}; {}", a.brief(), b.brief()));
    }
    let (first, second) = (world.opened(&a), world.opened(&b));
    if matches!(first, Opened::Redirect) || matches!(second, Opened::Redirect) {
        return Outcome::Pass("one of them has to be agreed to".to_owned());
    }
    match (world.settle(first).await, world.settle(second).await) {
        (Ok(first), Ok(second)) => Outcome::require(first.id == second.id, "two accounts"),
        (Err(why), _) | (_, Err(why)) => Outcome::Fail(why),
    }
}

async fn refusals(world: &mut World) {
    let email = world.email("delta");
    let mut late = world.account_body("late", &email);
    late["expires_at"] = json!(Timestamp::from_secs(world.now().as_secs() - 60));
    let mut nobody = world.account_body("nobody", &email);
    let mut stranger = world.account_body("stranger", &email);
    if let (Some(nobody), Some(stripe)) = (nobody.as_object_mut(), stranger["orchestrator"]["stripe"].as_object_mut()) {
        nobody.remove("email");
        stripe.remove("account");
    }
    for (number, body) in [(34, late), (35, nobody), (36, stranger)] {
        let outcome = match world.open(&body).await {
            Ok((answer, _)) => {
                let typed = number != 34 || answer.text("/type") == "error";
                Outcome::require(answer.refused() && typed && !gives_access(&answer), answer.brief())
            }
            Err(why) => Outcome::Skip(why),
        };
        world.record(number, outcome);
    }
}
