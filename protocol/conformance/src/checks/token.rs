//! Checks 45, 47 to 50, 52 and 53: PKCE, refusals by name, refresh.

use std::time::Duration;

use purser_crypto::encoding::b64url;
use purser_values::{Secret, Sha256Digest};
use purser_wire::limits::CODE_LIFE_S;

use crate::probe::{Answer, Signing};
use crate::world::{Account, Opened, Outcome, World};

pub async fn run(world: &mut World) {
    let outcome = by_name(world).await;
    world.record(47, outcome);
    pkce(world).await;
    if world.alpha.is_some() {
        let outcome = refresh(world).await;
        world.record(52, outcome);
    }
    if world.beta.is_some() {
        let outcome = unsigned_refresh(world).await;
        world.record(53, outcome);
    }
    let outcome = old_code(world).await;
    world.record(50, outcome);
}

async fn by_name(world: &mut World) -> Outcome {
    let mut faults = Vec::new();
    for (fields, code) in [
        (&[("grant_type", "authorization_code"), ("code", "conformance-unknown-code")][..], "invalid_grant"),
        (&[("grant_type", "password"), ("username", "a")][..], "unsupported_grant_type"),
        (&[("grant_type", "authorization_code")][..], ""),
    ] {
        let request = world.form(fields);
        match world.probe.send(&request).await {
            Ok(answer) if answer.status == 400 && (code.is_empty() || answer.error_code() == code) => {}
            Ok(answer) => faults.push(format!("wanted 400 `{code}`: {}", answer.brief())),
            Err(why) => faults.push(why),
        }
    }
    Outcome::faultless(&faults)
}

async fn exchange(world: &mut World, code: &Secret<String>, verifier: Option<&str>) -> Result<Answer, String> {
    let mut fields = vec![("grant_type", "authorization_code"), ("code", code.expose().as_str())];
    fields.extend(verifier.map(|v| ("code_verifier", v)));
    let request = world.form(&fields);
    world.probe.send(&request).await
}

async fn pkce(world: &mut World) {
    let verifier = b64url(&world.probe.options.env.bytes::<32>());
    let email = world.email("pkce");
    let mut body = world.account_body("pkce", &email);
    body["code_challenge"] = b64url(Sha256Digest::of(verifier.as_bytes()).as_bytes()).into();
    body["code_challenge_method"] = "S256".into();
    let code = match world.open(&body).await {
        Ok((_, Opened::Code(code))) => code,
        Ok((answer, _)) => {
            for number in [45, 48, 49] {
                world.record(number, Outcome::Skip(format!("no code to prove: {}, type `{}`", answer.brief(), answer.text("/type"))));
            }
            return;
        }
        Err(why) => return world.record(48, Outcome::Skip(why)),
    };
    let missing = exchange(world, &code, None).await;
    let wrong = exchange(world, &code, Some(&"w".repeat(43))).await;
    let right = exchange(world, &code, Some(&verifier)).await;
    let (Ok(missing), Ok(wrong), Ok(right)) = (missing, wrong, right) else {
        return world.record(48, Outcome::Skip("the token endpoint did not answer".to_owned()));
    };
    let honoured = missing.status >= 400 && wrong.status >= 400;
    let evidence = format!("missing: {}; wrong: {}; right: {}", missing.brief(), wrong.brief(), right.brief());
    world.record(48, Outcome::require(honoured, evidence.clone()));
    world.record(49, Outcome::require(!honoured || right.status == 200, evidence));
    world.account(&right.json);

    let mut plain = world.account_body("plain", &email);
    plain["code_challenge"] = "p".repeat(43).into();
    plain["code_challenge_method"] = "plain".into();
    let plain = world.open(&plain).await.map_or_else(|why| why, |(answer, _)| answer.brief());
    world.record(45, Outcome::Info(format!("challenge {}; `plain`: {plain}", if honoured { "honoured" } else { "ignored" })));
}

async fn refreshed(world: &mut World, account: &Account, signing: Signing) -> Result<Answer, String> {
    let refresh = account.refresh.clone().ok_or("the account has no refresh token")?;
    let mut request = world.form(&[("grant_type", "refresh_token"), ("refresh_token", refresh.expose())]);
    request.signing = signing;
    world.probe.send(&request).await
}

async fn refresh(world: &mut World) -> Outcome {
    let Some(old) = world.alpha.clone() else { return Outcome::Skip("no account".to_owned()) };
    if old.refresh.is_none() {
        return Outcome::Skip("the provider gives no refresh token".to_owned());
    }
    let answer = match refreshed(world, &old, Signing::Good).await {
        Ok(answer) => answer,
        Err(why) => return Outcome::Fail(why),
    };
    let Some(new) = world.account(&answer.json).filter(|_| answer.status == 200) else { return Outcome::Fail(answer.brief()) };
    let differ = new.access.expose() != old.access.expose()
        && new.refresh.as_ref().is_some_and(|r| Some(r.expose()) != old.refresh.as_ref().map(Secret::expose));
    world.alpha = Some(Account { id: old.id.clone(), payment_by: old.payment_by.clone(), ..new });

    let with_old = world.authorized(world.probe.get("resources/conformance-none"), &old);
    let old_access = world.probe.send(&with_old).await;
    let old_refresh = refreshed(world, &old, Signing::Good).await;
    match (old_access, old_refresh) {
        (Ok(access), Ok(again)) => Outcome::require(
            differ && access.status == 401 && again.refused() && again.json["access_token"].is_null(),
            format!("new tokens differ: {differ}; old access: {}; old refresh: {}", access.brief(), again.brief()),
        ),
        (Err(why), _) | (_, Err(why)) => Outcome::Fail(why),
    }
}

async fn unsigned_refresh(world: &mut World) -> Outcome {
    let Some(beta) = world.beta.clone() else { return Outcome::Skip("no account".to_owned()) };
    let unsigned = match refreshed(world, &beta, Signing::None).await {
        Ok(answer) => answer,
        Err(why) => return Outcome::Skip(why),
    };
    let verdict = unsigned.brief();
    let answer = if unsigned.status == 200 { Ok(unsigned) } else { refreshed(world, &beta, Signing::Good).await };
    let Ok(answer) = answer else { return Outcome::Info(format!("without a signature: {verdict}")) };
    let told = if answer.json["account"].is_null() { "absent" } else { "present" };
    if let Some(new) = world.account(&answer.json) {
        world.beta = Some(Account { id: beta.id, payment_by: beta.payment_by, ..new });
    }
    Outcome::Info(format!("`account` on refresh is {told}; without a signature: {verdict}"))
}

async fn old_code(world: &mut World) -> Outcome {
    if !world.probe.options.slow {
        return Outcome::Skip("takes five minutes; ask for slow checks to run it".to_owned());
    }
    let email = world.email("alpha");
    let body = world.account_body("slow", &email);
    match world.open(&body).await {
        Ok((_, Opened::Code(code))) => {
            tokio::time::sleep(Duration::from_secs(CODE_LIFE_S.unsigned_abs() + 1)).await;
            match world.redeem(&code).await {
                Ok(answer) => Outcome::require(answer.refused(), answer.brief()),
                Err(why) => Outcome::Fail(why),
            }
        }
        Ok((answer, _)) => Outcome::Skip(format!("no code to wait for: {}", answer.brief())),
        Err(why) => Outcome::Skip(why),
    }
}
