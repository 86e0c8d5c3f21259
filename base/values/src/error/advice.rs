//! What to do about an error that brings no advice of its own: by its code, else by its kind. So nobody is left with a bare "no".
//!
//! Most errors know better than this table, since they know the name, the page or the amount; they say so in `hint`. Here are those whose
//! advice is the same wherever they come from: the store's, the standard codes of OAuth, and our own faults.

use super::Kind;

/// Codes whose advice does not depend on where they come from, in the order of `docs/errors/README.md`.
const BY_CODE: &[(&str, &str)] = &[
    ("invalid_token", "ask for a new token; an agent does it with `purser login`"),
    ("invalid_client", "check the `client_id` and how the client proves itself: it does so in the one way that it is registered for"),
    ("unauthorized_client", "use a grant type that the client is registered for, or register it for this one"),
    ("invalid_redirect_uri", "send an address that the client registered, character by character"),
    ("invalid_client_metadata", "correct the member that the message names, and register again"),
    ("invalid_target", "leave `resource` out, or name an audience that this installation issues tokens for"),
    ("invalid_scope", "ask for scopes that the discovery document lists and the client is registered for"),
    ("insufficient_scope", "ask for a token with the scope that the message names"),
    ("invalid_authorization_details", "send one object of the type `purser_grant`, with projects and providers that are there"),
    ("unsupported_response_type", "ask for `code`, with PKCE"),
    ("login_required", "send the person again without `prompt=none`"),
    ("consent_required", "send the person again without `prompt=none`"),
    ("interaction_required", "send the person again without `prompt=none`"),
    ("access_denied", "ask the person before you try again"),
    ("authorization_pending", "ask again after the interval: nobody has decided yet"),
    ("expired_token", "start again: nobody decided in time"),
    ("invalid_grant", "start again: codes and refresh tokens work once, and not for ever"),
    ("invalid_request", "correct what the message names and send it again: nothing was changed"),
    ("request_not_supported", "send the parameters as they are, or push them (PAR)"),
    ("registration_not_supported", "register the client first"),
    ("subject_not_exchangeable", "an agent's token can be exchanged; a person's cannot"),
    ("workload_trust_invalid", "correct the part of the trust that the message names"),
    ("rail_unavailable", "nothing to do: it is asked again under the same id"),
    ("rail_unknown", "the operator looks at the payment rails of the configuration"),
    ("charge_not_captured", "give back what was captured: the charge's state is in its receipt"),
    ("amount_invalid", "write an amount above zero, in whole minor units"),
    ("currency_mismatch", "use the currency of what this belongs to"),
    ("sealing_failed", "the operator checks that `kek.hex` is the installation's own"),
    ("credential_unreadable", "the operator checks that `kek.hex` is the installation's own; `purser rotate` gets a new credential"),
    ("provider_garbage", "nothing was kept; tell the provider, whose answer makes no sense"),
    ("link_not_asked", "nothing to do: the account is connected already, or nobody waits for it any more"),
    ("record_owner_invalid", "write the name as letters, digits and hyphens between dots, within the zone; `@` is the zone itself"),
    ("record_ttl_invalid", "write seconds within the range that the message names"),
    ("record_text_too_long", "shorten the text, or split it over several records"),
    ("record_caa_invalid", "write flags, tag and value, such as `0 issue \"ca.example\"`"),
    ("record_outside_zone", "write a name that ends with the zone's, or add it to the zone that it belongs to"),
    ("record_not_at_apex", "put it at a name below the zone's own, such as `www`"),
    ("zone_taken", "use the zone that is there, or remove the domain that holds it"),
    ("zone_not_found", "look at the zones of the account; a zone comes with its domain"),
    ("domain_not_found", "look at the domains of the account, and at the spelling"),
    (
        "email_mismatch",
        "sign out and sign in with the address that was asked for; to connect another account, let the agent's person sign in with its address",
    ),
    ("expired_or_invalid_state", "let the agent ask again, and use the page that it names then"),
    ("other_session", "sign in again in this browser and load the page from the agent's link anew"),
    ("sign_in_old", "sign in again, then decide"),
    ("account_not_accessible", "choose an account of which you are the owner"),
    ("account_held", "cut the other connection first, on the page of connections"),
    ("sign_in_over", "ask for a new code"),
    ("not_a_code", "type the six digits from the newest mail"),
    ("rate_limited", "wait a quarter of an hour, or use the newest code in your mailbox"),
    ("server_error", "nothing was changed: try again in a moment"),
    ("not_found", "check the spelling and the organisation: what belongs to another one is not shown"),
    ("idempotency_key_reused", "use a fresh key for a different request"),
    ("body_not_readable", "send it again, whole"),
    ("body_too_large", "send less at once"),
    ("method_not_allowed", "use a method that the `Allow` header names"),
    ("unsupported_media_type", "set `Content-Type` to what the message names"),
    ("store_unavailable", "nothing was changed: send it again in a moment, with the same `Idempotency-Key`"),
    ("disk_full", "nothing was changed: the operator makes room on the disk, then send it again"),
    ("backup_nothing", "check `database` in the configuration: it is the one of the installation that serves"),
    ("backup_file", "check the path, its owner and the room on the disk; a folder that was begun can be removed"),
    ("DEPLOY_CONFIG", "correct the file: `wrangler.jsonc` needs `main`, or `assets.directory`"),
    ("STOPPED", "start it again with `purser up`; what was live is live again"),
    ("INVALID_ARGUMENT", "`purser help COMMAND` says what it takes"),
    ("CONFIG_UNUSABLE", "correct the file; docs/production.md has every key, and docs/examples a whole one"),
    ("SERVE_FAILED", "`purser check-config FILE` says what is wrong; docs/production.md describes each part"),
    ("STORE_UNUSABLE", "check `database` in the configuration, and that `purser serve` ran once on it"),
    ("NOT_CONFIRMED", "answer `y`, or repeat the command with `--yes`"),
    ("VARIABLE_VALUE", "nothing was written; tell the provider which variable it delivers so"),
];

/// What the reader of an error can do. Never empty.
#[must_use]
pub fn of(code: &str, kind: Kind) -> &'static str {
    match BY_CODE.iter().find(|(named, _)| *named == code) {
        Some((_, advice)) => advice,
        None => of_kind(kind),
    }
}

const fn of_kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Invalid => "correct what the message names and try again: nothing was changed",
        Kind::Unauthenticated => "sign in again; an agent does it with `purser login`",
        Kind::Forbidden => "ask an owner or admin of the organisation; an agent asks its person",
        Kind::NotFound => "check the spelling, and that it is yours: what belongs to others is not shown",
        Kind::Conflict => "look at how things stand, then decide whether to try again",
        Kind::Payment => "nothing was bought; a person looks at the limits and the card",
        Kind::NeedsPerson => "ask your person: only they can go on",
        Kind::TooLarge => "send less at once",
        Kind::RateLimited => "wait a little, then try again",
        Kind::Provider => "nothing is left behind; look at the provider's own words, and ask there if it stays",
        Kind::Unavailable => "try again in a moment; if it stays, tell whoever runs this installation",
        Kind::Internal => "this is a fault on this side: try again, and if it stays give the request id to whoever runs this installation",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pages of all codes: who names a code here that nobody can meet is told.
    const PAGES: &str = include_str!("../../../../docs/errors/README.md");

    #[test]
    fn there_is_advice_for_every_code_that_has_a_page_and_for_no_other() {
        let mut seen = std::collections::BTreeSet::new();
        for (code, advice) in BY_CODE {
            assert!(PAGES.contains(&format!("`{code}`")), "`{code}` has no page");
            assert!(seen.insert(code), "`{code}` is there twice");
            assert!(!advice.is_empty() && !advice.ends_with('.'), "{advice}");
        }
        let codes = PAGES.lines().filter_map(|line| line.strip_prefix("| `")).filter_map(|rest| rest.split(" |").next());
        for code in codes.flat_map(|cell| cell.split(", ")).map(|code| code.trim_matches('`')) {
            assert!(!of(code, Kind::Internal).is_empty(), "{code}");
        }
    }
}
