//! Check 92: credits (extension `credits`). Nothing is redeemed: the tester has no eligible organisation, and must get nothing.

use purser_crypto::jose::{Algorithm, SigningKey};
use purser_values::Sha256Digest;
use purser_wire::credit::CreditAttestation;
use purser_wire::manifest::{Extension, Manifest};
use serde_json::json;

use crate::world::{Account, Outcome, World};

pub async fn run(world: &mut World) {
    let outcome = if world.speaks(&Extension::Credits) {
        match (world.beta.clone().or_else(|| world.alpha.clone()), world.manifest.clone()) {
            (Some(account), Some(manifest)) => {
                let mut faults = programmes(&manifest);
                faults.extend(unattested(world, &account, &manifest).await);
                Outcome::faultless(&faults)
            }
            _ => Outcome::Skip("there is no account".to_owned()),
        }
    } else {
        Outcome::Skip("the manifest does not name `credits`".to_owned())
    };
    world.record(92, outcome);
}

/// A person is shown what a programme gives and for how long.
fn programmes(manifest: &Manifest) -> Vec<String> {
    let all = &manifest.credit_programmes;
    let unusable =
        all.iter().filter(|programme| !programme.is_usable()).map(|p| format!("the programme `{}` gives nothing or never ends", p.id));
    let twice = all.iter().enumerate().filter(|(n, one)| all.iter().skip(n + 1).any(|other| other.id == one.id));
    unusable.chain(twice.map(|(_, p)| format!("the programme `{}` is there twice", p.id))).collect()
}

/// Everything that is no attestation of the orchestrator's for this account is refused, and nothing is there after it.
async fn unattested(world: &mut World, account: &Account, manifest: &Manifest) -> Vec<String> {
    let mut faults = Vec::new();
    for (what, token) in forgeries(world, manifest) {
        let request = world.authorized(world.probe.post("credits", &json!({ "attestation": token })), account);
        match world.probe.send(&request).await {
            Ok(answer) if answer.refused() && (400..500).contains(&answer.status) => {}
            Ok(answer) => faults.push(format!("{what}: {}", answer.brief())),
            Err(why) => faults.push(format!("{what}: {why}")),
        }
    }
    let request = world.authorized(world.probe.get("credits"), account);
    match world.probe.send(&request).await {
        Ok(answer) if answer.status == 200 && answer.json["credits"].as_array().is_some_and(Vec::is_empty) => {}
        Ok(answer) => faults.push(format!("an account without credits: {}", answer.brief())),
        Err(why) => faults.push(why),
    }
    faults
}

/// Texts that must give nothing, with what is wrong with each.
fn forgeries(world: &World, manifest: &Manifest) -> Vec<(&'static str, String)> {
    let mut all = vec![("no token at all", "x".to_owned())];
    let now = world.now().as_secs();
    let programme = manifest.credit_programmes.first().map_or_else(|| "none".to_owned(), |programme| programme.id.clone());
    let issuer = world.probe.options.attestor.as_ref().map_or_else(|| "https://o.example/".to_owned(), |by| by.issuer.to_string());
    let claims = |audience: &str, life: i64, jti: &str| CreditAttestation {
        iss: issuer.clone(),
        aud: audience.to_owned(),
        sub: format!("stranger-{}", world.run_id),
        programme: programme.clone(),
        names: vec![format!("stranger-{}", world.run_id)],
        evidence: Sha256Digest::of(b"none"),
        application: format!("{}-{jti}", world.run_id),
        approved_at: now,
        jti: format!("{}-{jti}", world.run_id),
        iat: now,
        exp: now + life,
    };
    let base = manifest.base_url.as_str();
    let mut add = |what, key: &SigningKey, claims: CreditAttestation| {
        if let Ok(token) = claims.sign(key) {
            all.push((what, token.expose().clone()));
        }
    };
    if let Ok(stranger) = SigningKey::generate(Algorithm::EdDsa) {
        add("a stranger's key", &stranger, claims(base, 120, "a"));
    }
    if let Some(by) = &world.probe.options.attestor {
        add("another provider's", &by.key, claims("https://elsewhere.example/", 120, "b"));
        add("one that lives for a day", &by.key, claims(base, 86_400, "c"));
        add("one that is over", &by.key, claims(base, -600, "d"));
        add("another organisation's", &by.key, claims(base, 120, "e"));
    }
    all
}
