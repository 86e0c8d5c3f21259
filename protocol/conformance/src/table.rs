//! Every check by its number in section 14 of the reference, its level and what must hold.

use crate::report::Level::{self, I, M, S};

pub const CHECKS: &[(u16, Level, &str)] = &[
    (1, M, "health with a good signature is 200, `ok`, and supports 0.1d"),
    (2, M, "health without a signature is 401"),
    (3, M, "a signature with a wrong secret is 401"),
    (4, M, "a signature over another body is 401"),
    (5, M, "a signature of 310 s ago is 401, one of 290 s ago is taken"),
    (6, I, "a signature from 310 s ahead"),
    (7, M, "a malformed signature header is 401 and never a server error"),
    (8, M, "a GET signed over the empty body is taken, one signed over `{}` is not"),
    (9, M, "a body with unusual spacing and non-ASCII text is verified by its raw bytes"),
    (10, I, "two `v1` entries, the valid one first and last"),
    (11, I, "a signature in upper-case hexadecimal"),
    (12, I, "a wrong and a missing `API-Version`"),
    (13, M, "the token endpoint works without `API-Version`"),
    (14, I, "a garbage `Stripe-Signature-V2` beside a good signature"),
    (15, S, "error answers are JSON in one of the protocol's envelopes"),
    (16, M, "unknown request fields are ignored on every POST"),
    (17, M, "no error message repeats a secret, a code or a token"),
    (18, M, "the catalogue is not empty and its ids are unique"),
    (19, M, "every service has a description, a category and a known pricing type"),
    (20, S, "categories, kind, scope and direction are of the known words"),
    (21, M, "`paid` is present exactly for paid services, options exactly for components"),
    (22, M, "freeform entries have a text, stripe_price entries a price"),
    (23, S, "at most one entry or option is the default"),
    (24, M, "every parent and every allowed update is in the catalogue"),
    (25, S, "parents are plans"),
    (26, M, "configuration schemas compile and are of type object"),
    (27, S, "constraints are of the known form"),
    (28, S, "pages end and repeat no id, and two calls give the same catalogue"),
    (29, S, "services have the members of the published schema"),
    (30, M, "a new address gets 200 with a known type and the member of that type alone"),
    (31, S, "`id` is the request's id"),
    (32, M, "tokens come with `access_token`, `account.id` and a positive `expires_in`"),
    (33, S, "`payment_credentials` is `orchestrator` or `provider`"),
    (34, M, "a request past its `expires_at` gets a typed error and nothing else"),
    (35, M, "a request without an address is refused"),
    (36, S, "a request without `orchestrator.stripe.account` is refused"),
    (37, M, "unsigned and badly signed requests create nothing"),
    (38, M, "the same address again is no second account"),
    (39, I, "whether a second request ends the first access token"),
    (40, S, "two simultaneous requests for a new address are one account"),
    (41, M, "an address that differs in case only is no server error"),
    (42, M, "`requires_auth` gives an absolute https address without a token"),
    (43, S, "`requires_auth` has the nested form"),
    (44, S, "optional fields sent as null count as absent"),
    (45, I, "PKCE: a challenge is honoured, `plain` is refused"),
    (46, M, "a code works once"),
    (47, M, "unknown codes, unknown grants and missing codes are refused by name"),
    (48, M, "with a challenge, a missing or wrong verifier is refused and the right one taken"),
    (49, S, "a wrong verifier does not use up the code"),
    (50, S, "a code older than 300 s is refused"),
    (51, M, "without PKCE and without a signature a code is refused"),
    (52, M, "a refresh gives two new tokens and ends both old ones"),
    (53, I, "`account` on refresh, and refresh without a signature"),
    (54, S, "token answers are `no-store`"),
    (55, M, "no bearer, an unknown bearer and a bearer without a signature are 401"),
    (56, M, "creating a free service completes in time"),
    (57, M, "a deployable that is complete carries its access configuration"),
    (58, M, "an unknown service is refused in the status envelope"),
    (59, S, "a configuration against the schema is refused and creates nothing"),
    (60, M, "GET answers with the same id and a known status"),
    (61, M, "another account's token reaches nothing and changes nothing"),
    (62, S, "the same idempotency key and body twice are one resource"),
    (64, S, "the same idempotency key of another account is another resource"),
    (65, M, "a paid service without payment is refused"),
    (66, M, "a declined payment is refused and leaves nothing to use"),
    (67, M, "a good payment token is charged once, within its limit and in its currency"),
    (68, M, "a metered line of a quote costs nothing at once, and the catalogue says what use costs"),
    (69, M, "what was paid can end with its period or go on after it, and works meanwhile"),
    (72, M, "rotating changes a value, and the old one is gone"),
    (73, M, "removing answers `removed`, and twice is no server error"),
    (74, M, "a removed resource gives no credentials"),
    (91, M, "a control with a lower number than one that was carried out is answered `superseded`"),
    (92, M, "a credit is given on the orchestrator's attestation for that account alone, and programmes say what they give"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_that_is_promised_is_there_once() {
        let numbers: Vec<u16> = CHECKS.iter().map(|(number, ..)| *number).collect();
        for number in (1..=61).chain(65..=69).chain(72..=74) {
            assert_eq!(numbers.iter().filter(|n| **n == number).count(), 1, "check {number}");
        }
        assert!(numbers.is_sorted());
    }
}
