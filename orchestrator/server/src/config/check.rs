//! `purser check-config`: everything that is wrong with a configuration, at once.
//!
//! The file is read key by key, so that one mistake does not hide the next; then the parts are compared with each other and with the
//! machine. Nothing is kept, nothing is asked of a network, and no secret is shown.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use purser_db::{Db, DbConfig, DbError};
use purser_identity::address::{AddressError, address_check};
use purser_notify::MailConfig;
use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use crate::serve::{TABLES, clients};

use super::{Config, ConfigError, SignUpMode};

/// What a check found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Findings {
    /// `purser serve` would refuse the file for each of these.
    pub problems: Vec<String>,
    /// It would not, and somebody should know.
    pub warnings: Vec<String>,
}

/// Keys without which the rest of a file cannot be judged, with a value that is right.
const STAND_INS: &str = r#"
profile = "production"
listen = "127.0.0.1:8080"
public_url = "https://purser.example"
database = "sqlite:purser.db"
data = "data"
keys = "keys"
mail = { host = "mail.example", from = "purser@purser.example" }
"#;

/// Looks at the file and at what it names, a SQLite database included.
pub async fn check(path: &Path) -> Findings {
    let mut findings = Findings::default();
    let usable = match std::fs::read_to_string(path) {
        Ok(text) => look(&text, &mut findings),
        Err(e) => {
            findings.problems.push(format!("`{}` cannot be read: {e}", path.display()));
            None
        }
    };
    if let Some(config) = usable
        && let Err(why) = same_address(&config).await
    {
        findings.problems.push(format!("`public_url`: {why}"));
    }
    findings
}

/// Whether the database of the configuration, where it is a file that was served, is known at this address. Anything else that may be
/// wrong with it is not for here.
async fn same_address(config: &Config) -> Result<(), AddressError> {
    let Ok(database @ DbConfig::Sqlite { .. }) = config.database.parse::<DbConfig>() else { return Ok(()) };
    let DbConfig::Sqlite { path } = &database else { return Ok(()) };
    if !path.is_file() {
        return Ok(());
    }
    let Ok(db) = Db::open(&database).await else { return Ok(()) };
    let served = db.read::<_, DbError, _>(|tx| purser_db::is_migrated(tx, TABLES)).await;
    if !matches!(served, Ok(true)) {
        return Ok(());
    }
    let (issuer, was) = (config.issuer(), config.issuer_before());
    db.read(move |tx| address_check(tx, &issuer, was.as_deref())).await
}

fn look(text: &str, findings: &mut Findings) -> Option<Config> {
    let table: Table = match toml::from_str(text) {
        Ok(table) => table,
        Err(e) => {
            findings.problems.push(format!("the file is not TOML: {}", e.to_string().trim()));
            return None;
        }
    };
    let config = usable(&table, findings)?;
    let mixed = config.refusals().into_iter().map(|e: ConfigError| e.to_string());
    findings.problems.extend(mixed);
    files(&config, &table, findings);
    if let Err(e) = clients(&config) {
        findings.problems.push(e.to_string());
    }
    if let Some(stripe) = &config.rail.stripe {
        findings.problems.extend(stripe.secrets_look_wrong(config.is_sandbox()));
    }
    warn(&config, &table, findings);
    Some(config).filter(|_| table.contains_key("public_url") && table.contains_key("database"))
}

/// The configuration with a stand-in for whatever is missing or wrong, so that the rest can be looked at.
fn usable(table: &Table, findings: &mut Findings) -> Option<Config> {
    let stand_ins: Table = toml::from_str(STAND_INS).ok()?;
    let mut whole = stand_ins.clone();
    for key in stand_ins.keys().filter(|key| !table.contains_key(*key)) {
        findings.problems.push(format!("`{key}` is missing"));
    }
    for (key, value) in table {
        let mut sound = Vec::new();
        for (name, part) in parts(key, value) {
            match try_one(&stand_ins, key, part.clone()) {
                Ok(()) => sound.push(part),
                Err(problems) => findings.problems.extend(problems.into_iter().map(|why| format!("`{name}`: {why}"))),
            }
        }
        match (value, sound.as_slice()) {
            (Value::Array(all), _) if all.iter().all(Value::is_table) => {
                let elements = sound.into_iter().filter_map(|part| part.as_array()?.first().cloned());
                whole.insert(key.clone(), Value::Array(elements.collect()));
            }
            (_, [whole_value]) => {
                whole.insert(key.clone(), whole_value.clone());
            }
            _ => {}
        }
    }
    into::<Config>(&whole).map_err(|why| findings.problems.push(why)).ok()
}

/// A list of tables is looked at one by one; all else as it is.
fn parts(key: &str, value: &Value) -> Vec<(String, Value)> {
    match value {
        Value::Array(all) if !all.is_empty() && all.iter().all(Value::is_table) => {
            let one = |(at, element): (usize, &Value)| (format!("{key}[{at}]"), Value::Array(vec![element.clone()]));
            all.iter().enumerate().map(one).collect()
        }
        _ => vec![(key.to_owned(), value.clone())],
    }
}

/// One key beside stand-ins for all others. Of a table, every unknown key is named.
fn try_one(stand_ins: &Table, key: &str, mut part: Value) -> Result<(), Vec<String>> {
    let mut problems = Vec::new();
    loop {
        let mut table = stand_ins.clone();
        table.insert(key.to_owned(), part.clone());
        let Err(why) = into::<Config>(&table) else { break };
        let unknown = unknown_field(&why).map(str::to_owned);
        problems.push(why);
        // Without the unknown key the next mistake shows.
        let removed = unknown.is_some_and(|name| remove(&mut part, &name));
        if !removed {
            break;
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

fn into<T: DeserializeOwned>(table: &Table) -> Result<T, String> {
    Value::Table(table.clone()).try_into().map_err(|e: toml::de::Error| {
        // one line: the rest repeats where in the file it is, which is lost by now
        with_example(e.message().lines().next().unwrap_or_default())
    })
}

/// The parser's words for a place, with something that would do there.
fn with_example(said: &str) -> String {
    let example = [
        ("invalid socket address syntax", "write an address and a port, such as `127.0.0.1:8080`"),
        ("expected u16", "write a whole number up to 65535, such as `587`"),
        ("relative URL without a base", "write a whole address, such as `https://purser.example`"),
        ("expected a boolean", "write `true` or `false`"),
    ]
    .into_iter()
    .find(|(words, _)| said.contains(words));
    example.map_or_else(|| said.to_owned(), |(_, example)| format!("{said}; {example}"))
}

fn unknown_field(why: &str) -> Option<&str> {
    why.strip_prefix("unknown field `")?.split('`').next()
}

fn remove(part: &mut Value, name: &str) -> bool {
    match part {
        Value::Table(table) => table.remove(name).is_some(),
        Value::Array(all) => all.iter_mut().any(|element| remove(element, name)),
        _ => false,
    }
}

/// What the file names must be there, and closed to others.
fn files(config: &Config, table: &Table, findings: &mut Findings) {
    if table.contains_key("database")
        && let Err(e) = config.database.parse::<DbConfig>()
    {
        findings.problems.push(format!("`database`: {e}"));
    }
    let mut secrets: Vec<(&str, &Path)> =
        config.providers.iter().filter_map(|p| Some(("signing_secret_file", p.signing_secret_file.as_deref()?))).collect();
    let sso = config.sign_in.sso.iter().filter_map(|one| one.client_secret_file.as_deref());
    secrets.extend(sso.map(|file| ("sign_in.sso.client_secret_file", file)));
    if let Some(stripe) = &config.rail.stripe {
        secrets.push(("rail.stripe.secret_key_file", stripe.secret_key_file.as_path()));
        secrets.extend(stripe.webhook_secret_files.iter().map(|file| ("rail.stripe.webhook_secret_files", file.as_path())));
    }
    if let MailConfig::Smtp(smtp) = &config.mail {
        secrets.extend(smtp.password_file.as_deref().map(|file| ("mail.password_file", file)));
        if let Some(file) = smtp.ca_file.as_deref().filter(|file| !file.is_file()) {
            findings.problems.push(format!("`mail.ca_file`: `{}` is not there", file.display()));
        }
    }
    if config.metrics_listen == Some(config.listen) {
        findings.problems.push("`metrics_listen` is the same as `listen`".to_owned());
    }
    judge_database(config, findings);
    let kek = config.keys.join("kek.hex");
    if kek.exists() {
        secrets.push(("keys", &kek));
    }
    for (key, file) in secrets {
        match std::fs::metadata(file) {
            Err(e) => findings.problems.push(format!("`{key}`: `{}` cannot be read: {e}", file.display())),
            Ok(found) if found.permissions().mode() & 0o077 != 0 => {
                findings.problems.push(format!("`{key}`: others can read `{}`; run `chmod 600` on it", file.display()));
            }
            Ok(found) if found.len() == 0 => findings.problems.push(format!("`{key}`: `{}` is empty", file.display())),
            Ok(_) => {}
        }
    }
    for (key, folder) in [("data", &config.data), ("keys", &config.keys)] {
        if !table.contains_key(key) {
            continue;
        }
        if there_is_no_room(folder) {
            findings.problems.push(format!("`{key}`: `{}` cannot be written", folder.display()));
            continue;
        }
        let (there, parent) = (folder.exists(), folder.parent().is_none_or(|p| p.as_os_str().is_empty() || p.exists()));
        if there && !folder.is_dir() {
            findings.problems.push(format!("`{key}`: `{}` is not a folder", folder.display()));
        } else if !there && !parent {
            findings.problems.push(format!("`{key}`: neither `{}` nor the folder above it is there", folder.display()));
        }
    }
}

/// Whether the folder, or the one that it would be made in, is there and takes no file.
fn there_is_no_room(folder: &Path) -> bool {
    let Some(there) = [Some(folder), folder.parent()].into_iter().flatten().find(|f| f.is_dir()) else { return false };
    let probe = there.join(format!(".purser-check-{}", std::process::id()));
    let written = std::fs::File::create_new(&probe).is_ok();
    drop(std::fs::remove_file(&probe));
    !written
}

/// The file of a SQLite database, and the key that it is sealed under.
fn judge_database(config: &Config, findings: &mut Findings) {
    let Ok(DbConfig::Sqlite { path }) = config.database.parse() else { return };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        findings.problems.push(format!("`database`: the folder `{}` is not there", folder.display()));
    } else if there_is_no_room(folder) {
        findings.problems.push(format!("`database`: `{}` cannot be written", folder.display()));
    }
    let kek = config.keys.join("kek.hex");
    if std::fs::metadata(&path).is_ok_and(|file| file.len() > 0) && !kek.exists() {
        let said = format!("`keys`: `{}` is not there, and the database is sealed under it: put it back from its backup", kek.display());
        findings.problems.push(said);
    }
}

fn warn(config: &Config, table: &Table, findings: &mut Findings) {
    let mut warn = |text: &str| findings.warnings.push(text.to_owned());
    if config.is_sandbox() {
        warn("`profile` is \"sandbox\": no real money, and shortcuts that production refuses");
    }
    if config.sign_up.mode == SignUpMode::Open && !config.is_sandbox() {
        warn("`sign_up.mode` is \"open\": everybody who can read mail at any address may sign in");
    }
    if config.keys.starts_with(&config.data) && table.contains_key("keys") && table.contains_key("data") {
        warn("`keys` lies inside `data`: whoever copies the one for a backup takes the other along");
    }
    if config.listen.ip().is_loopback() && !table.contains_key("trusted_proxies") && !config.is_sandbox() {
        warn("`trusted_proxies` is not set: behind a proxy all visitors share one address, and its limits");
    }
    if config.metrics_listen.is_some_and(|at| at.ip().is_unspecified()) {
        warn("`metrics_listen` listens on every address: keep strangers from it");
    }
    if !config.sandbox.rail && config.rail.stripe.is_none() {
        warn("there is no `rail`: nobody can put a card on file, so nothing that costs money can be bought");
    }
    if config.providers.is_empty() {
        warn("there are no `providers`: nothing can be bought here");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let mut findings = Findings::default();
        look(text, &mut findings);
        findings.problems
    }

    #[test]
    fn every_problem_is_named_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let exposed = folder.path().join("password");
        std::fs::write(&exposed, "secret").unwrap();
        std::fs::set_permissions(&exposed, std::fs::Permissions::from_mode(0o644)).unwrap();
        let text = format!(
            r#"
            profile = "production"
            listen = "nowhere"
            public_url = "http://purser.example"
            database = "oracle:x"
            colour = 1
            keys = "/nowhere/at/all/keys"
            fetch_allow = ["127.0.0.1:80"]
            [mail]
            host = "mail.example"
            from = "purser@purser.example"
            password_file = "{}"
            size = 3
            shape = 4
            [sandbox]
            rail = true
            open_sign_up = true
            [sign_up]
            mode = "domains"
            [[providers]]
            name = "one"
            url = "https://one.example/"
            signing_secret_file = "/nowhere/secret"
            [[providers]]
            name = "Not A Name"
            url = "https://two.example/"
            signing_secret_file = "/nowhere/secret"
            "#,
            exposed.display()
        );
        let found = problems(&text);
        for part in [
            "`data` is missing",
            "`listen`: invalid socket address syntax; write an address and a port, such as `127.0.0.1:8080`",
            "`colour`",
            "`database`",
            "https",
            "unknown field `size`",
            "unknown field `shape`",
            "sandbox.rail",
            "sandbox.open_sign_up",
            "fetch_allow",
            "sign_up.domains",
            "providers[1]",
            "/nowhere/secret",
            "`keys`",
        ] {
            assert!(found.iter().any(|problem| problem.contains(part)), "nothing about {part}: {found:#?}");
        }
        assert!(!found.iter().any(|problem| problem.contains("secret\"")), "{found:#?}");
    }

    #[test]
    fn a_good_file_has_none() {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "{}\n",
            STAND_INS
                .replace("\"data\"", &format!("{:?}", folder.path()))
                .replace("\"keys\"", &format!("{:?}", folder.path().join("keys")))
        );
        assert_eq!(problems(&text), Vec::<String>::new());
    }
}
