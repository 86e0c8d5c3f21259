//! `[rail.stripe]`: the account through which money moves. Its secrets are in files of their own.

use std::path::PathBuf;

use purser_http::Origin;
use purser_stripe::{Settings, Tokens};
use purser_values::Secret;
use serde::Deserialize;
use url::Url;

use crate::serve::{ServeError, part, read_secret};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RailConfig {
    #[serde(default)]
    pub stripe: Option<StripeConfig>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StripeConfig {
    /// Holds `sk_…` or, better, a restricted key `rk_…`.
    pub secret_key_file: PathBuf,
    /// Each holds a `whsec_…` of the webhook endpoint: the newest, and those that are being replaced.
    pub webhook_secret_files: Vec<PathBuf>,
    /// A connected account for which we act: `acct_…`.
    #[serde(default)]
    pub account: Option<String>,
    /// Somewhere else than Stripe, in a sandbox.
    #[serde(default)]
    pub api_base: Option<Url>,
    #[serde(default)]
    pub shared_payment_tokens: TokensConfig,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokensConfig {
    /// Where the account has them.
    #[default]
    Auto,
    Off,
}

impl RailConfig {
    /// Why the parts cannot be used together.
    pub(super) fn refusals(&self, sandbox_rail: bool, sandbox: bool) -> Vec<&'static str> {
        let Some(stripe) = &self.stripe else { return Vec::new() };
        let base = stripe.api_base.as_ref();
        let plain = base.is_some_and(|url| url.scheme() != "https" && !Origin::of(url).is_some_and(|origin| origin.is_this_machine()));
        let found = [
            (sandbox_rail, "`sandbox.rail` and `rail.stripe` cannot both be there: one of them takes the money"),
            (stripe.webhook_secret_files.is_empty(), "`stripe.webhook_secret_files` is empty: nothing that Stripe says could be believed"),
            (base.is_some() && !sandbox, "`stripe.api_base` is for the sandbox only"),
            (plain, "`stripe.api_base` must be https, or this machine"),
            (base.is_some_and(|url| !url.path().ends_with('/')), "`stripe.api_base` must end with a slash"),
            (stripe.account.as_ref().is_some_and(|account| !account.starts_with("acct_")), "`stripe.account` must begin with `acct_`"),
        ];
        found.into_iter().filter(|(wrong, _)| *wrong).map(|(_, why)| why).collect()
    }
}

impl StripeConfig {
    /// The account with its secrets.
    ///
    /// # Errors
    /// When a secret cannot be read or is not what it should be.
    pub(crate) fn settings(&self, sandbox: bool) -> Result<Settings, ServeError> {
        let secret_key = read_secret(&self.secret_key_file)?;
        if let Some(why) = wrong_key(&secret_key, sandbox) {
            return Err(part("rail.stripe.secret_key_file")(&why));
        }
        let webhook_secrets = self.webhook_secret_files.iter().map(|file| read_secret(file)).collect::<Result<Vec<_>, _>>()?;
        if webhook_secrets.iter().any(is_wrong_webhook_secret) {
            return Err(part("rail.stripe.webhook_secret_files")(&WEBHOOK_FORM));
        }
        let tokens = if self.shared_payment_tokens == TokensConfig::Off { Tokens::Off } else { Tokens::Auto };
        Ok(Settings { secret_key, webhook_secrets, api_base: self.api_base.clone(), account: self.account.clone(), tokens })
    }

    /// What is wrong with the secrets, without showing them. What cannot be read is said elsewhere.
    pub(super) fn secrets_look_wrong(&self, sandbox: bool) -> Vec<String> {
        let key = read_secret(&self.secret_key_file).ok().and_then(|key| wrong_key(&key, sandbox));
        let mut found: Vec<String> = key.map(|why| format!("`rail.stripe.secret_key_file`: {why}")).into_iter().collect();
        let secrets = self.webhook_secret_files.iter().filter_map(|file| read_secret(file).ok());
        found.extend(secrets.filter(is_wrong_webhook_secret).map(|_| format!("`rail.stripe.webhook_secret_files`: {WEBHOOK_FORM}")));
        found
    }
}

const WEBHOOK_FORM: &str = "it must begin with `whsec_`";

fn is_wrong_webhook_secret(secret: &Secret<String>) -> bool {
    !secret.expose().starts_with("whsec_") || secret.expose().len() < 16
}

/// INVARIANT (sandbox-only): a live key moves real money, which no sandbox does.
fn wrong_key(key: &Secret<String>, sandbox: bool) -> Option<&'static str> {
    let key = key.expose();
    if !(key.starts_with("sk_") || key.starts_with("rk_")) {
        return Some("it must begin with `sk_` or `rk_`; a publishable key (`pk_`) cannot take money");
    }
    (sandbox && (key.starts_with("sk_live_") || key.starts_with("rk_live_"))).then_some("a live key is not used in a sandbox")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripe(more: &str) -> RailConfig {
        toml::from_str(&format!("[stripe]\nsecret_key_file = \"k\"\nwebhook_secret_files = [\"w\"]\n{more}")).unwrap()
    }

    #[test]
    fn mistakes_are_named() {
        assert!(stripe("").refusals(false, false).is_empty());
        assert!(stripe("api_base = \"http://127.0.0.1:8420/\"").refusals(false, true).is_empty());
        for (more, sandbox_rail, sandbox, part) in [
            ("", true, true, "both"),
            ("api_base = \"https://stripe.example/\"", false, false, "sandbox only"),
            ("api_base = \"http://stripe.example/\"", false, true, "https"),
            ("api_base = \"https://stripe.example/v1\"", false, true, "slash"),
            ("account = \"cus_1\"", false, false, "acct_"),
        ] {
            let found = stripe(more).refusals(sandbox_rail, sandbox);
            assert!(found.len() == 1 && found[0].contains(part), "{more}: {found:?}");
        }
        let none: RailConfig = toml::from_str("[stripe]\nsecret_key_file = \"k\"\nwebhook_secret_files = []").unwrap();
        assert_eq!(none.refusals(false, false).len(), 1);
        assert!(toml::from_str::<RailConfig>("[stripe]\nsecret_key = \"sk_live_1\"").is_err(), "a secret is never in the file itself");
    }

    #[test]
    fn a_key_is_of_the_right_kind() {
        let wrong = |key: &str, sandbox| wrong_key(&Secret::new(key.to_owned()), sandbox).is_some();
        assert!(!wrong("sk_test_1", true) && !wrong("sk_live_1", false) && !wrong("rk_live_1", false) && !wrong("sk_test_1", false));
        assert!(wrong("pk_live_1", false) && wrong("sk_live_1", true) && wrong("rk_live_1", true) && wrong("", false));
    }
}
