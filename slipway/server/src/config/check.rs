//! `slipway check-config`: everything because of which `serve` would refuse a file, at once.
//!
//! The meaning of the file is what `serve` reads; then what it names is looked at: files that must be there and closed to others, folders
//! that must be writable, addresses that must be ours, a database that must answer. Nothing is kept, nothing is made, no secret is shown.

use std::io::{ErrorKind, Read as _};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use purser_db::{Db, DbConfig, DbError, params};
use purser_notify::MailConfig;
use serde::Serialize;
use slipway_edge::edge::check_certificate;
use slipway_registrar::registry::epp::Probe;
use slipway_stores::objects::s3::S3Objects;
use toml::{Table, Value};

use super::file::File;
use super::{Config, Objects, Profile};
use crate::domain;
use crate::keys::secret_text;

/// Time for the database to answer.
const DATABASE_ANSWERS: Duration = Duration::from_secs(10);
/// Time for the bucket to answer.
const BUCKET_ANSWERS: Duration = Duration::from_secs(10);
/// The first bytes of a database file of SQLite.
const SQLITE: &[u8] = b"SQLite format 3\0";

/// What a check found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Findings {
    /// `serve` would refuse the file for each of these.
    pub problems: Vec<String>,
    /// It would not, and somebody should know.
    pub warnings: Vec<String>,
}

/// Looks at the file and at what it names. Must be called within a tokio runtime.
pub async fn check(path: &Path) -> Findings {
    let mut found = Findings::default();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) => {
            found.problems.push(format!("`{}` cannot be read: {e}", path.display()));
            return found;
        }
    };
    let Some(file) = form(&text, &mut found) else { return found };
    if file.sandbox.as_ref().is_some_and(|sandbox| sandbox.unconfined_sha256.is_some()) {
        found.warnings.push("only the `purser up` that wrote this file can serve it: Workers run without a jail".to_owned());
    }
    match Config::of(file) {
        Ok(config) => {
            files(&config, &mut found);
            addresses(&config, &mut found);
            database(&config.database, &mut found).await;
            objects(&config, &mut found).await;
            registry(&config, &mut found).await;
        }
        Err(refusals) => found.problems.extend(refusals.iter().map(ToString::to_string)),
    }
    found
}

/// The file in its form; every unknown key is told, not only the first.
fn form(text: &str, found: &mut Findings) -> Option<File> {
    let mut table: Table = match toml::from_str(text) {
        Ok(table) => table,
        Err(e) => {
            found.problems.push(format!("the file is not TOML: {}", e.to_string().trim()));
            return None;
        }
    };
    loop {
        let why = match Value::Table(table.clone()).try_into::<File>() {
            Ok(file) => return Some(file),
            Err(e) => e.message().lines().next().unwrap_or_default().to_owned(),
        };
        let unknown = why.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next()).map(str::to_owned);
        found.problems.push(why);
        if !unknown.is_some_and(|name| remove(&mut table, &name)) {
            return None;
        }
    }
}

fn remove(table: &mut Table, name: &str) -> bool {
    table.remove(name).is_some() || table.iter_mut().filter_map(|(_, value)| value.as_table_mut()).any(|inner| remove(inner, name))
}

fn files(config: &Config, found: &mut Findings) {
    let mut secrets = vec![("orchestrator.signing_secret_file", &config.orchestrator.signing_secret_file)];
    if let MailConfig::Smtp(smtp) = &config.mail {
        secrets.extend(smtp.password_file.iter().map(|file| ("mail.password_file", file)));
        readable("mail.ca_file", smtp.ca_file.as_ref(), found);
    }
    if let Some(acme) = &config.acme {
        secrets.extend(acme.external_account.iter().map(|account| ("acme.external_account.key_file", &account.key_file)));
        readable("acme.ca_file", acme.ca_file.as_ref(), found);
    }
    if let Some(registry) = &config.registry {
        secrets.push(("registry.password_file", &registry.password_file));
        secrets.extend(registry.certificate.iter().map(|shown| ("registry.certificate.key", &shown.key)));
        readable("registry.ca_file", Some(&registry.ca_file), found);
        readable("registry.certificate.chain", registry.certificate.as_ref().map(|shown| &shown.chain), found);
    }
    secrets.extend(config.objects.iter().map(|objects| ("objects.s3.secret_access_key_file", &objects.s3.secret_access_key_file)));
    for (key, file) in secrets {
        if let Err(e) = secret_text(file) {
            found.problems.push(format!("`{key}`: {e}"));
        }
    }
    if let Some(certificate) = &config.certificate
        && let Err(e) = check_certificate(&certificate.chain, &certificate.key)
    {
        found.problems.push(format!("`certificate`: {e}"));
    }
    match std::fs::metadata(&config.workerd) {
        Ok(there) if there.is_file() && there.permissions().mode() & 0o111 != 0 => {}
        Ok(_) => found.problems.push(format!("`workerd`: `{}` cannot be run", config.workerd.display())),
        Err(e) => found.problems.push(format!("`workerd`: `{}`: {e}", config.workerd.display())),
    }
    for (key, folder) in [("data", &config.data), ("keys", &config.keys)] {
        if let Some(why) = no_room(folder) {
            found.problems.push(format!("`{key}`: {why}"));
        }
    }
    for key in ["sealing.key", "signing.pkcs8", "codes.key"].map(|name| config.keys.join(name)).iter().filter(|key| key.exists()) {
        if let Err(e) = secret_text(key) {
            found.problems.push(format!("`keys`: {e}"));
        }
    }
    if config.profile == Profile::Production && config.acme.is_none() {
        found
            .warnings
            .push("without `[acme]`, `[certificate]` must cover every name that is to be served, and be renewed by somebody".to_owned());
    }
}

fn readable(key: &str, file: Option<&PathBuf>, found: &mut Findings) {
    if let Some(Err(e)) = file.map(std::fs::read) {
        found.problems.push(format!("`{key}`: {e}"));
    }
}

/// Why nothing can be written into a folder, or below the nearest one that is there.
fn no_room(folder: &Path) -> Option<String> {
    let there = folder.ancestors().find(|above| above.as_os_str().is_empty() || above.exists())?;
    let there = if there.as_os_str().is_empty() { Path::new(".") } else { there };
    if !there.is_dir() {
        return Some(format!("`{}` is not a folder", there.display()));
    }
    // an unnamed file leaves nothing behind, whatever happens
    let flags = rustix::fs::OFlags::TMPFILE | rustix::fs::OFlags::WRONLY;
    match rustix::fs::open(there, flags, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR) {
        Ok(_) | Err(rustix::io::Errno::OPNOTSUPP) => None,
        Err(e) => Some(format!("`{}` cannot be written: {e}", there.display())),
    }
}

/// An address that is not this machine's, or a port that we may not have. One in use may be our own, running.
fn addresses(config: &Config, found: &mut Findings) {
    let tcp: fn(SocketAddr) -> std::io::Result<()> = |address| TcpListener::bind(address).map(drop);
    let udp: fn(SocketAddr) -> std::io::Result<()> = |address| UdpSocket::bind(address).map(drop);
    let listeners = [
        ("listen_api", config.listen_api, tcp),
        ("listen_edge_https", config.listen_edge_https, tcp),
        ("listen_edge_http", config.listen_edge_http, tcp),
        ("listen_dns", config.listen_dns, tcp),
        ("listen_dns", config.listen_dns, udp),
    ];
    for (key, address, bind) in listeners {
        match bind(address) {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::AddrInUse => {
                found.warnings.push(format!("`{key}`: somebody listens on `{address}`; that may be slipway itself"));
            }
            Err(e) => found.problems.push(format!("`{key}`: cannot listen on `{address}`: {e}")),
        }
    }
}

async fn database(config: &DbConfig, found: &mut Findings) {
    let path = match config {
        DbConfig::Sqlite { path } => path,
        DbConfig::Postgres { .. } => {
            let answer = async {
                let db = Db::open(config).await?;
                db.read(|tx| -> Result<i64, DbError> { tx.query_one("select 1 as one", params![])?.get("one") }).await
            };
            match tokio::time::timeout(DATABASE_ANSWERS, answer).await {
                Ok(Ok(_)) => {}
                Ok(Err(e)) => found.problems.push(format!("`database`: {e}")),
                Err(_) => found.problems.push(format!("`database` gives no answer within {} s", DATABASE_ANSWERS.as_secs())),
            }
            return;
        }
    };
    let mut head = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(SQLITE.len() as u64).read_to_end(&mut head));
    let problem = match read {
        Ok(_) if head.is_empty() || head == SQLITE => None,
        Ok(_) => Some(format!("`{}` is no database of SQLite", path.display())),
        Err(e) if e.kind() == ErrorKind::NotFound => path.parent().and_then(no_room),
        Err(e) => Some(format!("`{}` cannot be read: {e}", path.display())),
    };
    found.problems.extend(problem.map(|why| format!("`database`: {why}")));
}

/// Whether the bucket lets us look into it.
async fn objects(config: &Config, found: &mut Findings) {
    let Some(Ok(s3)) = config.objects.as_ref().map(Objects::open) else { return };
    let looked = async { S3Objects::open(&s3)?.look().await };
    match tokio::time::timeout(BUCKET_ANSWERS, looked).await {
        Ok(Ok(())) => {}
        Ok(Err(e)) => found.problems.push(format!("`objects.s3`: the bucket `{}` cannot be used: {e}", s3.bucket)),
        Err(_) => found.problems.push(format!("`objects.s3` gives no answer within {} s", BUCKET_ANSWERS.as_secs())),
    }
}

/// `serve` starts without its registry, and sells nothing until it answers.
async fn registry(config: &Config, found: &mut Findings) {
    let Some(table) = config.registry.as_ref().filter(|_| found.problems.is_empty()) else { return };
    match domain::registry::line(table) {
        Ok((dial, account)) => {
            let probe = Probe::new(account, dial);
            if let Err(e) = probe.sign_in().await {
                found.warnings.push(format!("`registry`: cannot sign in at `{}`: {e}", table.host));
            }
        }
        Err(e) => found.problems.push(format!("`registry`: {e}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everything_that_is_wrong_is_told_at_once_and_what_is_right_passes() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().display();
        let file = folder.path().join("slipway.toml");
        let write = |text: &str| std::fs::write(&file, text).unwrap();
        let secret = folder.path().join("secret");
        std::fs::write(&secret, "0123456789abcdef").unwrap();
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
        let sound = format!(
            "profile = \"sandbox\"\nlisten_api = \"127.0.0.1:0\"\nlisten_edge_https = \"127.0.0.1:0\"\nlisten_edge_http = \"127.0.0.1:0\"\n\
             listen_dns = \"127.0.0.1:0\"\ndatabase = \"sqlite:{here}/x.db\"\ndata = \"{here}/data\"\nworkerd = \"/bin/true\"\nkeys = \"{here}/keys\"\n\
             [sandbox]\nlocal_ca = true\n[orchestrator]\nurl = \"http://localhost:4000\"\nsigning_secret_file = \"{here}/secret\"\n"
        );
        write(&sound);
        let good = check(&file).await;
        assert!(good.problems.is_empty(), "{good:?}");
        assert!(!folder.path().join("x.db").exists() && !folder.path().join("data").exists(), "nothing is made");

        let broken = sound.replace("\"sandbox\"", "\"production\"").replace("127.0.0.1:0\"\nlisten_dns", "127.0.0.1:9\"\nlisten_dns");
        write(&format!("colour = 1\n{broken}flavour = 2\n"));
        let told = check(&file).await.problems.join("\n");
        for part in ["`colour`", "`flavour`", "sandbox.local_ca", "orchestrator.url", "public_api_url", "[mail]", "name_servers"] {
            assert!(told.contains(part), "nothing about {part}: {told}");
        }

        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o644)).unwrap();
        std::fs::write(folder.path().join("x.db"), "no database at all").unwrap();
        write(&sound.replace("/bin/true", "/bin/nothing").replace("listen_api = \"127.0.0.1:0\"", "listen_api = \"192.0.2.1:80\""));
        let told = check(&file).await.problems.join("\n");
        for part in ["chmod 600", "x.db", "/bin/nothing", "192.0.2.1:80"] {
            assert!(told.contains(part), "nothing about {part}: {told}");
        }
        write(&sound.replace(&format!("sqlite:{here}/x.db"), "postgres://nobody@127.0.0.1:1/none"));
        let told = check(&file).await.problems.join("\n");
        assert!(told.contains("`database`") && !told.contains("127.0.0.1:1/none"), "{told}");
    }
}
