//! The usual way: a stored function of PostgreSQL that does the four writes of an authorisation in one call, driven by `pgbench`.

use std::process::Command;
use std::time::Duration;

use purser_db::testing::START;
use purser_db::{Db, DbConfig, DbError, Migrations, params};
use purser_values::Env;

use crate::load::{CALLERS, Measured};

/// Caps to choose from when the load is spread.
const CAPS: u32 = 10_000;

const TABLES: &[Migrations] = &[Migrations {
    domain: "naive",
    steps: &["create table naive_key (id uuid primary key);
        create table naive_cap (id bigint primary key, most bigint not null, reserved bigint not null);
        create table naive_entry (id bigserial primary key, cap bigint not null, amount bigint not null);
        insert into naive_cap select n, 1000000000000, 0 from generate_series(1, 10000) as n;
        create function naive_hold(of bigint, wanted bigint) returns boolean language plpgsql as $$
        begin
            insert into naive_key values (gen_random_uuid()) on conflict do nothing;
            if not found then return false; end if;
            update naive_cap set reserved = reserved + wanted where id = of and reserved + wanted <= most;
            if not found then raise exception 'the cap is reached'; end if;
            insert into naive_entry (cap, amount) values (of, wanted), (of, -wanted);
            return true;
        end $$"],
}];

pub struct Naive {
    db: Db,
    url: String,
    folder: tempfile::TempDir,
}

impl Naive {
    pub async fn prepare(url: &str) -> Self {
        let db = Db::open(&DbConfig::Postgres { url: url.to_owned() }).await.unwrap();
        db.migrate(&Env::test(START, 1).0, TABLES).await.unwrap();
        Self { db, url: url.to_owned(), folder: tempfile::tempdir().unwrap() }
    }

    /// Every client at the same cap.
    pub fn hot(&self, window: Duration) -> Measured {
        self.pgbench("select naive_hold(1, 1);\n", window)
    }

    /// Each call at a cap of its own choice.
    pub fn spread(&self, window: Duration) -> Measured {
        self.pgbench(&format!("\\set cap random(1, {CAPS})\nselect naive_hold(:cap, 1);\n"), window)
    }

    fn pgbench(&self, script: &str, window: Duration) -> Measured {
        let (file, log) = (self.folder.path().join("script.sql"), self.folder.path().join("log"));
        std::fs::write(&file, script).unwrap();
        let program = std::env::var("PURSER_BENCH_PGBENCH").unwrap_or_else(|_| "pgbench".to_owned());
        let (seconds, clients) = (window.as_secs().max(1).to_string(), CALLERS.to_string());
        let mut command = Command::new(program);
        command.args(["-n", "-M", "prepared", "-j", "2", "-c", &clients, "-T", &seconds, "-f"]).arg(&file);
        // Each call's latency goes into one file for each thread.
        command.args(["-l", "--log-prefix"]).arg(&log);
        let (user, rest) = self.url.strip_prefix("postgres://").unwrap().split_once('@').unwrap();
        let (user, password) = user.split_once(':').unwrap_or((user, ""));
        let (place, database) = rest.split_once('/').unwrap();
        let (host, port) = place.split_once(':').unwrap();
        command.env("PGUSER", user).env("PGPASSWORD", password).env("PGHOST", host).env("PGPORT", port);
        let output = command.arg(database).output().expect("pgbench runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        let rate = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split_whitespace().next()?.parse().ok());
        let mut took = Vec::new();
        for entry in std::fs::read_dir(self.folder.path()).unwrap().flatten() {
            if entry.file_name().to_string_lossy().starts_with("log.") {
                let text = std::fs::read_to_string(entry.path()).unwrap();
                took.extend(text.lines().filter_map(|line| line.split_whitespace().nth(2)?.parse().ok()).map(Duration::from_micros));
                std::fs::remove_file(entry.path()).unwrap();
            }
        }
        Measured { rate: rate.expect("pgbench says its rate"), ..crate::load::measured(took, window) }
    }

    /// The sums of the naive tables agree too, or the comparison would be with something that is wrong.
    pub async fn is_sound(&self) {
        let sums = self.db.read::<_, DbError, _>(|tx| {
            let select =
                "select cast((select sum(reserved) from naive_cap) as bigint) as reserved, (select count(*) from naive_key) as keys,
                          (select count(*) from naive_entry) as entries";
            let row = tx.query_one(select, params![])?;
            Ok((row.get::<i64>("reserved")?, row.get::<i64>("keys")?, row.get::<i64>("entries")?))
        });
        let (reserved, keys, entries) = sums.await.unwrap();
        assert_eq!((reserved, keys * 2), (keys, entries), "the naive function lost count");
    }
}
