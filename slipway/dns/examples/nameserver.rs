//! The name server alone, for measurements and for judges: `nameserver ADDRESS ZONE ZONE-FILE [limit] [signed] [SECONDARY…]`.
//!
//! Prints `ready ADDRESS` and the zone's DS, then answers until its input ends.

#![allow(clippy::print_stdout, reason = "who started it reads its answers there")]

use std::io::Read as _;
use std::path::PathBuf;

use purser_crypto::seal::Keyring;
use purser_db::{Db, DbConfig};
use purser_values::Env;
use purser_values::id::CloudAccountId;
use purser_values::name::DomainName;
use slipway_dns::dnssec::keys::{KeysError, keys, zone_sign};
use slipway_dns::server::{ANSWERS_PER_SECOND, DnsConfig, Nameserver};
use slipway_dns::store;
use slipway_dns::zone::change::{Author, Change, zone_change};
use slipway_dns::zone::create::zone_create;
use slipway_dns::zone::file;

type Failed = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failed> {
    let mut args = std::env::args().skip(1);
    let mut next = || args.next().ok_or("ADDRESS ZONE ZONE-FILE");
    let (listen, zone, path) = (next()?.parse()?, next()?.parse::<DomainName>()?, PathBuf::from(next()?));
    let rest: Vec<String> = args.collect();
    let has = |word: &str| rest.iter().any(|arg| arg == word);
    let folder = tempfile::tempdir()?;
    let db = Db::open(&DbConfig::Sqlite { path: folder.path().join("dns.sqlite") }).await?;
    let env = Env::system();
    db.migrate(&env, &[store::MIGRATIONS]).await?;
    let keyring = Keyring::from_hex(&Keyring::generate_hex(&env))?;
    let records = file::read(&std::fs::read_to_string(path)?, &zone)?;
    let (e, k, sign) = (env.clone(), keyring.clone(), has("signed"));
    let ds = db
        .write(move |tx| {
            let account = CloudAccountId::mint(&e);
            let made = zone_create(tx, &e, &account, &zone)?;
            let changes = records.iter().cloned().map(Change::Create).collect();
            zone_change(tx, &e, &made, &Author { token: "example", common: None }, changes)?;
            if sign {
                zone_sign(tx, &e, &k, &made)?;
            }
            keys(tx, &made)?.iter().map(|key| key.ds(&zone)).collect::<Result<Vec<_>, KeysError>>()
        })
        .await?;
    let config = DnsConfig {
        listen,
        name_servers: vec!["ns1.slipway.test".parse()?],
        edge_v4: vec!["127.0.0.1".parse()?],
        edge_v6: Vec::new(),
        common_domain: None,
        secondaries: rest.iter().filter_map(|arg| arg.parse().ok()).collect(),
        answers_per_second: has("limit").then_some(ANSWERS_PER_SECOND),
    };
    let server = Nameserver::start(config, db, env, keyring).await?;
    println!("ready {}", server.addr);
    for ds in ds {
        println!("DS {} {} {} {}", ds.key_tag, ds.algorithm, ds.digest_type, ds.digest);
    }
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    Ok(())
}
