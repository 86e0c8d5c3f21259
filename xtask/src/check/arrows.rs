//! The arrows between our own crates point downwards (ARCHITECTURE.md). A room that is not in the table is refused, so
//! that a new room gets its place before it gets its first import.

use crate::check::Finding;
use crate::crates::Crate;

/// A room and the rooms it may import; a folder ending in `/` stands for everything in it. The first match counts.
const ARROWS: &[(&str, &[&str])] = &[
    ("base/values", &[]),
    ("base/crypto", &["base/values"]),
    ("base/db", &["base/crypto", "base/values"]),
    ("base/flow", &["base/db", "base/crypto", "base/values"]),
    ("base/http", &["base/db", "base/crypto", "base/values"]),
    ("base/notify", &["base/http", "base/db", "base/crypto", "base/values"]),
    ("guard", &["base/values"]),
    ("protocol/wire", &["base/crypto", "base/values"]),
    ("protocol/", &["protocol/wire", "base/http", "base/crypto", "base/values"]),
    ("orchestrator/authority", &["base/db", "base/crypto", "base/values"]),
    ("orchestrator/provisioning", &["orchestrator/DOMAIN", "orchestrator/authority", "protocol/client", "protocol/wire", "guard", "base/"]),
    ("orchestrator/server", &["orchestrator/", "protocol/client", "protocol/wire", "guard", "base/"]),
    // an adapter, and no domain: it speaks for the ledger to a processor
    ("orchestrator/stripe", &["orchestrator/spend", "base/"]),
    ("orchestrator/", &["orchestrator/authority", "protocol/wire", "guard", "base/"]),
    ("slipway/server", &["slipway/", "protocol/provider", "protocol/wire", "guard", "base/"]),
    // what is billed are the accounts' own orders and tokens (docs/adr/0048)
    ("slipway/billing", &["slipway/accounts", "protocol/wire", "guard", "base/"]),
    ("slipway/edge", &["slipway/workers", "slipway/dns", "guard", "base/"]),
    // a registry knows no registrar: it speaks EPP to whoever signs in
    ("slipway/registry", &["base/"]),
    ("slipway/", &["protocol/wire", "guard", "base/"]),
    ("cli", &["orchestrator/", "protocol/", "base/"]),
    ("xtask", &[]),
    ("tests", &["orchestrator/", "slipway/", "protocol/", "guard", "base/", "cli"]),
    ("bench", &["orchestrator/", "slipway/", "protocol/", "guard", "base/", "cli"]),
];

const NOT_A_DOMAIN: [&str; 4] = ["orchestrator/authority", "orchestrator/stripe", "orchestrator/provisioning", "orchestrator/server"];

pub fn check(crates: &[Crate]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for one in crates {
        let Some(allowed) = arrows_of(&one.folder) else {
            findings.push(Finding::new(&one.folder, "has no place in the table of arrows (xtask/src/check/arrows.rs)"));
            continue;
        };
        // what only tests import must keep the two sides apart too
        for import in one.imports.iter().chain(&one.test_imports) {
            let Some(other) = crates.iter().find(|it| it.name == *import) else { continue };
            if other.folder != one.folder && !allowed.iter().any(|rule| covers(rule, &other.folder)) {
                findings.push(Finding::new(format!("{}/Cargo.toml", one.folder), format!("must not import `{}`", other.folder)));
            }
        }
    }
    findings
}

fn arrows_of(folder: &str) -> Option<&'static [&'static str]> {
    ARROWS.iter().find(|(room, _)| covers(room, folder)).map(|(_, allowed)| *allowed)
}

fn covers(rule: &str, folder: &str) -> bool {
    match rule.strip_suffix("DOMAIN") {
        Some(prefix) => folder.starts_with(prefix) && !NOT_A_DOMAIN.contains(&folder),
        None => rule == folder || (rule.ends_with('/') && folder.starts_with(rule)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::said;

    fn house(imports: &[(&str, &[&str])]) -> Vec<Crate> {
        let names = |list: &[&str]| list.iter().map(|folder| folder.replace('/', "-")).collect();
        imports
            .iter()
            .map(|(folder, list)| Crate {
                name: folder.replace('/', "-"),
                folder: (*folder).to_owned(),
                imports: names(list),
                test_imports: Vec::new(),
            })
            .collect()
    }

    #[test]
    fn a_domain_that_imports_another_domain_is_caught() {
        let crates = house(&[("orchestrator/spend", &["orchestrator/vault"]), ("orchestrator/vault", &[])]);
        assert_eq!(said(&check(&crates)), ["orchestrator/spend/Cargo.toml: must not import `orchestrator/vault`"]);
    }

    #[test]
    fn the_two_sides_never_import_each_other() {
        let crates = house(&[("slipway/server", &["orchestrator/authority"]), ("orchestrator/authority", &[])]);
        assert_eq!(check(&crates).len(), 1);
        let crates = house(&[("orchestrator/server", &["slipway/dns"]), ("slipway/dns", &[])]);
        assert_eq!(check(&crates).len(), 1);
    }

    #[test]
    fn what_only_tests_import_counts_too() {
        let mut crates = house(&[("slipway/dns", &[]), ("orchestrator/spend", &[])]);
        crates[0].test_imports.push("orchestrator-spend".to_owned());
        assert_eq!(check(&crates).len(), 1);
    }

    #[test]
    fn an_arrow_upwards_is_caught_and_one_downwards_is_not() {
        let up = house(&[("base/values", &["base/db"]), ("base/db", &[])]);
        assert_eq!(check(&up).len(), 1);
        let down = house(&[
            ("base/db", &["base/values"]),
            ("base/values", &[]),
            ("orchestrator/provisioning", &["orchestrator/spend", "base/db"]),
            ("orchestrator/spend", &["orchestrator/authority"]),
            ("orchestrator/authority", &[]),
        ]);
        assert_eq!(said(&check(&down)), Vec::<String>::new());
    }

    #[test]
    fn a_room_without_a_place_is_caught() {
        assert_eq!(check(&house(&[("cellar/wine", &[])])).len(), 1);
    }
}
