//! `docs/cli.md` says what is true.

use purser_cli::operation::OPERATIONS;
use purser_values::error::Kind;

const DOCUMENT: &str = include_str!("../../../docs/cli.md");

const KINDS: [Kind; 12] = [
    Kind::Invalid,
    Kind::Unauthenticated,
    Kind::Forbidden,
    Kind::NotFound,
    Kind::Conflict,
    Kind::Payment,
    Kind::NeedsPerson,
    Kind::TooLarge,
    Kind::RateLimited,
    Kind::Provider,
    Kind::Unavailable,
    Kind::Internal,
];

#[test]
fn the_table_of_exit_codes_is_true() {
    for kind in KINDS {
        let found = DOCUMENT.lines().any(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            cells.len() > 3
                && cells[1] == kind.exit_code().to_string()
                && cells[2].split(", ").any(|name| name == format!("`{}`", kind.name()))
        });
        assert!(found, "docs/cli.md has no row `{}` with exit code {}", kind.name(), kind.exit_code());
    }
}

#[test]
fn the_table_of_commands_is_whole() {
    for row in OPERATIONS {
        let line = format!("| `{}` | `{}` | {} |", row.command, row.name, row.who.name());
        assert!(DOCUMENT.lines().any(|found| found.starts_with(&line)), "docs/cli.md has no row {line}");
    }
}
