//! Third parties that stay behind one wall: the web framework, the database drivers, the HTTP clients.

use crate::check::Finding;
use crate::crates::Crate;

struct Wall {
    packages: &'static [&'static str],
    /// Folders; one ending in `/` stands for everything in it.
    rooms: &'static [&'static str],
    why: &'static str,
}

const WALLS: &[Wall] = &[
    Wall {
        packages: &["axum", "axum-extra", "axum-server"],
        rooms: &["base/http", "protocol/provider", "orchestrator/server", "slipway/server", "tests"],
        why: "surfaces are thin; a domain does not know the web framework",
    },
    Wall {
        packages: &["rusqlite", "tokio-postgres", "deadpool-postgres", "sqlx", "postgres", "libsqlite3-sys"],
        // a customer's own database is a file of its own, never a table of ours
        rooms: &["base/db", "slipway/stores"],
        why: "only base/db names a database driver, and slipway/stores for its customers' databases",
    },
    Wall {
        packages: &["reqwest", "ureq", "isahc", "curl", "awc"],
        rooms: &["base/http", "protocol/", "cli", "tests", "bench"],
        why: "calls to others go through the guarded fetcher of base/http",
    },
    Wall {
        packages: &["hyper", "hyper-util"],
        // the conformance tester plays the orchestrator's few routes itself: it must not need the SDK that it tests
        rooms: &["base/http", "protocol/conformance", "slipway/edge", "slipway/workers", "tests", "bench"],
        why: "only the edge, the runtime beside it and the tester's stub speak HTTP by hand",
    },
];

pub fn check(crates: &[Crate]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for one in crates {
        for wall in WALLS.iter().filter(|wall| !wall.rooms.iter().any(|room| is_in(room, &one.folder))) {
            for package in one.imports.iter().filter(|import| wall.packages.contains(&import.as_str())) {
                findings.push(Finding::new(format!("{}/Cargo.toml", one.folder), format!("must not import `{package}`: {}", wall.why)));
            }
        }
    }
    findings
}

fn is_in(room: &str, folder: &str) -> bool {
    room == folder || (room.ends_with('/') && folder.starts_with(room))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(folder: &str, import: &str) -> usize {
        let one = Crate { name: "x".into(), folder: folder.into(), imports: vec![import.into()], test_imports: Vec::new() };
        check(&[one]).len()
    }

    #[test]
    fn a_driver_a_framework_or_a_client_in_a_wrong_room_is_caught() {
        for (folder, import) in [
            ("orchestrator/spend", "rusqlite"),
            ("orchestrator/identity", "axum"),
            ("slipway/dns", "axum"),
            ("orchestrator/provisioning", "reqwest"),
            ("slipway/server", "hyper"),
        ] {
            assert_eq!(found(folder, import), 1, "{folder} {import}");
        }
    }

    #[test]
    fn the_same_third_parties_behind_their_walls_are_fine() {
        for (folder, import) in
            [("base/db", "rusqlite"), ("slipway/server", "axum"), ("protocol/client", "reqwest"), ("slipway/edge", "hyper")]
        {
            assert_eq!(found(folder, import), 0, "{folder} {import}");
        }
    }
}
