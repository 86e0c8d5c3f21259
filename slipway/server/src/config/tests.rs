//! What the file may say and what it may not.

use super::*;

const MAIL: &str = "mail = { host = \"mail.cloud.test\", from = \"slipway@cloud.test\" }";
/// Where the world reaches us.
const REACHED: &str = "name_servers = [\"ns1.cloud.example\"]\nedge_addresses = [\"192.0.2.1\", \"2001:db8::1\"]";

fn text(profile: &str, rest: &str) -> String {
    format!(
        r#"profile = "{profile}"
        listen_api = "127.0.0.1:4001"
        listen_edge_https = "127.0.0.1:0"
        listen_edge_http = "127.0.0.1:0"
        listen_dns = "127.0.0.1:0"
        database = "sqlite:/tmp/x.db"
        data = "/tmp/x"
        workerd = "/bin/true"
        keys = "/tmp/x/keys"
        certificate = {{ chain = "/tmp/x/chain.pem", key = "/tmp/x/key.pem" }}
        {rest}
        [orchestrator]
        url = "http://localhost:4000"
        signing_secret_file = "/tmp/x/secret""#
    )
}

fn parse(text: &str) -> Result<Config, ConfigError> {
    handed(text, "")
}

fn handed(text: &str, secret: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("slipway.toml"), || Secret::new(secret.to_owned()))
}

/// Production, with addresses that are fit for it.
fn production(rest: &str) -> String {
    text("production", &format!("public_api_url = \"https://cloud.example/\"\n{REACHED}\n{MAIL}\n{rest}"))
        .replace("http://localhost:4000", "https://purser.example")
}

#[test]
fn the_public_address_is_the_listener_unless_it_is_named() {
    let config = parse(&text("sandbox", "")).unwrap();
    assert_eq!(config.public_url.as_str(), "http://127.0.0.1:4001/");
    assert_eq!(config.orchestrator.url.as_str(), "http://localhost:4000/");
    let named = parse(&text("sandbox", "public_api_url = \"https://cloud.test/client/v4\"")).unwrap();
    assert_eq!(named.public_url.as_str(), "https://cloud.test/");
    assert!(matches!(parse(&text("sandbox", "public_api_url = \"file:///x\"")), Err(ConfigError::Url(_))));
}

#[test]
fn sandbox_parts_are_refused_in_production() {
    assert!(parse(&production("")).is_ok());
    let digest = Sha256Digest::of(b"secret");
    for part in ["registry = true", "local_ca = true", &format!("unconfined_sha256 = \"{digest}\"")] {
        let refused = handed(&format!("{}\n[sandbox]\n{part}", production("")), "secret");
        assert!(matches!(refused, Err(ConfigError::SandboxOnly(_))), "`{part}` was taken");
    }
}

#[test]
fn production_speaks_https_only() {
    for (from, to) in [("https://purser.example", "http://purser.example"), ("https://cloud.example", "http://cloud.example")] {
        assert!(matches!(parse(&production("").replace(from, to)), Err(ConfigError::Plain(_))), "`{to}` was taken");
    }
    let unnamed = production("").replace("public_api_url = \"https://cloud.example/\"", "");
    assert!(matches!(parse(&unnamed), Err(ConfigError::Url("public_api_url"))));
}

#[test]
fn the_callback_is_the_orchestrators_own_and_never_plain_in_production() {
    let sandbox = parse(&text("sandbox", "")).unwrap();
    assert_eq!(sandbox.orchestrator.callback_url.as_str(), "http://localhost:4000/link/callback/slipway");
    let with = |url: &str| parse(&(production("") + &format!("\ncallback_url = \"{url}\"")));
    assert!(with("https://o.example/back").is_ok());
    for bad in ["http://o.example/back", "https://o.example/#x", "https://user@o.example/", "javascript:alert(1)", "data:text/html,x"] {
        assert!(matches!(with(bad), Err(ConfigError::Url("orchestrator.callback_url"))), "`{bad}` was taken");
    }
}

#[test]
fn owners_are_mailed_in_production_and_not_into_a_folder() {
    assert!(matches!(parse(&production("").replace(MAIL, "")), Err(ConfigError::NoMail)));
    let folder = parse(&production("").replace(MAIL, "mail = { folder = \"/tmp/mail\" }"));
    assert!(matches!(folder, Err(ConfigError::SandboxOnly("mail.folder"))));
    assert!(matches!(parse(&text("sandbox", "")).unwrap().mail, MailConfig::Folder { .. }));
}

#[test]
fn the_documented_example_is_usable() {
    let example = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples/slipway.toml"));
    let config = parse(example).unwrap();
    assert_eq!(config.profile, Profile::Production);
    assert!(config.certificate.is_some());
}

#[test]
fn the_orchestrator_must_sign_and_attest_unless_the_sandbox_says_otherwise() {
    let strict = parse(&text("sandbox", "")).unwrap().orchestrator;
    assert!(strict.require_v2 && strict.require_assertion);
    for lax in ["require_v2 = false", "require_assertion = false"] {
        assert!(parse(&(text("sandbox", "") + "\n" + lax)).is_ok());
        let refused = parse(&(production("") + "\n" + lax));
        assert!(matches!(refused, Err(ConfigError::SandboxOnly(_))), "`{lax}` was taken");
    }
}

#[test]
fn only_who_wrote_the_file_can_run_workers_without_a_jail() {
    let digest = Sha256Digest::of(b"secret");
    let open = format!("{}\n[sandbox]\nunconfined_sha256 = \"{digest}\"", text("sandbox", ""));
    for wrong in ["", "another", &digest.to_string()] {
        assert!(matches!(handed(&open, wrong), Err(ConfigError::ByHand)), "`{wrong}` was taken");
    }
    assert!(handed(&open, "secret").unwrap().unconfined);
    assert!(!handed(&text("sandbox", ""), "secret").unwrap().unconfined);
}

#[test]
fn an_unknown_setting_is_an_error_and_not_silence() {
    assert!(matches!(parse(&text("sandbox", "listen = \"x\"")), Err(ConfigError::Form { .. })));
}

#[test]
fn production_says_under_which_names_and_addresses_it_is_reached() {
    let config = parse(&production("domain_suffix = \"workers.cloud.example\"")).unwrap();
    assert_eq!((config.names.suffix.unwrap().as_str(), config.names.edge.len()), ("workers.cloud.example", 2));
    for (key, missing) in [("name_servers", "[\"ns1.cloud.example\"]"), ("edge_addresses", "[\"192.0.2.1\", \"2001:db8::1\"]")] {
        let refused = parse(&production("").replace(&format!("{key} = {missing}"), ""));
        assert!(matches!(refused, Err(ConfigError::Missing(_))), "nothing was missed without `{key}`");
    }
    for nobody in ["127.0.0.1", "0.0.0.0"] {
        assert!(matches!(parse(&production("").replace("192.0.2.1", nobody)), Err(ConfigError::EdgeAddress(_))), "`{nobody}` was taken");
    }
    assert_eq!(parse(&text("sandbox", "")).unwrap().names.suffix.unwrap().as_str(), "workers.slipway.test");
}

#[test]
fn an_authority_is_used_when_its_terms_were_agreed_with_and_never_in_the_clear() {
    let with = |profile: &str, url: &str, rest: &str| {
        let table = format!("[acme]\ndirectory = \"{url}\"\n{rest}");
        parse(&if profile == "sandbox" { text(profile, "") + "\n" + &table } else { production("") + "\n" + &table })
    };
    let own = "https://ca.example/directory";
    assert_eq!(with("production", own, "terms_agreed = true").unwrap().acme.unwrap().prove_by, ProveBy::Http);
    assert!(matches!(with("production", own, ""), Err(ConfigError::AcmeTerms)));
    assert!(matches!(with("production", "http://ca.example/", "terms_agreed = true"), Err(ConfigError::Plain("acme.directory"))));
    assert!(with("sandbox", "http://localhost:14000/dir", "terms_agreed = true\nprove_by = \"dns\"").is_ok());
}

#[test]
fn two_listeners_do_not_share_an_address() {
    let same = parse(&text("sandbox", "").replace("listen_dns = \"127.0.0.1:0\"", "listen_dns = \"127.0.0.1:4001\""));
    assert!(matches!(same, Err(ConfigError::SameAddress("listen_api", "listen_dns"))));
}

#[test]
fn a_registry_is_one_and_its_table_says_what_it_can_mean() {
    let table = |change: (&str, &str)| {
        let good = "[registry]\nhost = \"epp.registry.example\"\nca_file = \"/x/ca.pem\"\naccount = \"slipway\"\npassword_file = \"/x/password\"\n\
                    suffixes = [\"example\"]\nyearly = \"9.15\"";
        good.replace(change.0, change.1)
    };
    let registry = parse(&production(&table(("", "")))).unwrap().registry.unwrap();
    assert_eq!((registry.port, registry.price().unwrap().minor()), (700, 915));
    for wrong in [
        ("\"example\"", "\".example\""),
        ("[\"example\"]", "[]"),
        ("9.15", "-1"),
        ("9.15", "cheap"),
        ("\"slipway\"", "\"me\""),
        ("epp.registry.example", "no host"),
    ] {
        assert!(matches!(parse(&production(&table(wrong))), Err(ConfigError::Registry(..))), "`{}` was taken", wrong.1);
    }
    let two = format!("{}\n[sandbox]\nregistry = true", text("sandbox", &table(("", ""))));
    assert!(matches!(parse(&two), Err(ConfigError::TwoRegistries)));
}
