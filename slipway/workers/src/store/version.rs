//! Versions: immutable, numbered within their script.

use std::collections::{BTreeMap, BTreeSet};

use purser_db::{DbError, Row, Tx, params};
use purser_values::Sha256Digest;
use purser_values::Timestamp;
use purser_values::id::CloudAccountId;

use crate::binding::Binding;
use crate::limits;
use crate::name::{BindingName, ScriptName, VersionId};
use crate::store::{author, json};
use crate::tenant::Environment;
use crate::view::{Author, ModuleInfo, Share, Version};

/// How the code of a version is put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Modules,
    ServiceWorker,
    AssetsOnly,
}

impl Form {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Modules => "modules",
            Self::ServiceWorker => "service-worker",
            Self::AssetsOnly => "assets",
        }
    }
}

impl std::str::FromStr for Form {
    type Err = ();
    fn from_str(s: &str) -> Result<Self, ()> {
        [Self::Modules, Self::ServiceWorker, Self::AssetsOnly].into_iter().find(|f| f.as_str() == s).ok_or(())
    }
}

/// A version's row without its secrets.
#[derive(Clone, Debug)]
pub struct VersionRow {
    pub id: VersionId,
    pub account: CloudAccountId,
    pub script: ScriptName,
    pub number: i64,
    pub created_at: Timestamp,
    pub author: Author,
    pub annotations: BTreeMap<String, String>,
    pub compatibility_date: String,
    pub compatibility_flags: Vec<String>,
    pub form: Form,
    /// The main module, or the one part of a service worker.
    pub main_part: Option<String>,
    pub modules: Vec<ModuleInfo>,
    pub bindings: Vec<Binding>,
    /// The blob that lists the assets.
    pub asset_list: Option<Sha256Digest>,
    pub code_digest: Sha256Digest,
    pub startup_ms: Option<i64>,
}

/// A version that is live.
#[derive(Clone, Debug)]
pub struct LiveRow {
    pub version: VersionRow,
    pub share: Share,
    pub environment: Environment,
}

/// A sealed secret of a version.
pub type Sealed = (BindingName, Vec<u8>);

/// The associated data of a secret: it opens for this name of this version only.
pub fn seal_purpose(version: &VersionId, name: &BindingName) -> String {
    format!("worker-secret/{version}/{name}")
}

pub fn insert(tx: &mut Tx<'_>, version: &VersionRow, secrets: &[Sealed]) -> Result<(), DbError> {
    let v = version;
    tx.execute(
        "insert into worker_version (id, account, script, number, created_at, author_source, author_id, author_email, annotations,
            compatibility_date, compatibility_flags, form, main_part, modules, bindings, asset_list, code_digest, startup_ms)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
        params![
            v.id,
            v.account,
            v.script,
            v.number,
            v.created_at,
            v.author.source,
            v.author.id,
            v.author.email,
            json(&v.annotations)?,
            v.compatibility_date,
            json(&v.compatibility_flags)?,
            v.form.as_str(),
            v.main_part,
            json(&v.modules)?,
            json(&v.bindings)?,
            v.asset_list,
            v.code_digest,
            v.startup_ms
        ],
    )?;
    for (name, sealed) in secrets {
        tx.execute("insert into worker_secret (version, name, sealed) values ($1, $2, $3)", params![v.id, name, sealed])?;
    }
    prune(tx, &v.account, &v.script, v.number)
}

/// Forgets versions that are old and not deployed now.
fn prune(tx: &mut Tx<'_>, account: &CloudAccountId, script: &ScriptName, newest: i64) -> Result<(), DbError> {
    let oldest = newest - limits::VERSIONS_KEPT;
    const DEPLOYED: &str = "select d.version from worker_deployment d join worker_script s on s.account = d.account and s.name = d.script
        and s.deployments = d.number where d.account = $1 and d.script = $2";
    let Some(deployed) = tx.query_opt(DEPLOYED, params![account, script])?.map(|r| r.get::<String>("version")).transpose()? else {
        return Ok(());
    };
    tx.execute(
        "delete from worker_secret where version in
            (select id from worker_version where account = $1 and script = $2 and number <= $3 and id <> $4
                and id not in (select version from worker_deployment_minor where account = $1 and script = $2))",
        params![account, script, oldest, deployed],
    )?;
    tx.execute(
        "delete from worker_version where account = $1 and script = $2 and number <= $3 and id <> $4
            and id not in (select version from worker_deployment_minor where account = $1 and script = $2)",
        params![account, script, oldest, deployed],
    )
    .map(drop)
}

pub fn get(tx: &mut Tx<'_>, account: &CloudAccountId, script: &ScriptName, id: &VersionId) -> Result<Option<VersionRow>, DbError> {
    const SQL: &str = "select * from worker_version where account = $1 and script = $2 and id = $3";
    tx.query_opt(SQL, params![account, script, id])?.map(|row| read(&row)).transpose()
}

pub fn newest(tx: &mut Tx<'_>, account: &CloudAccountId, script: &ScriptName) -> Result<Option<VersionRow>, DbError> {
    const SQL: &str = "select * from worker_version where account = $1 and script = $2 order by number desc limit 1";
    tx.query_opt(SQL, params![account, script])?.map(|row| read(&row)).transpose()
}

pub fn list(tx: &mut Tx<'_>, account: &CloudAccountId, script: &ScriptName) -> Result<Vec<VersionRow>, DbError> {
    const SQL: &str = "select * from worker_version where account = $1 and script = $2 order by number desc";
    tx.query(SQL, params![account, script])?.iter().map(read).collect()
}

/// Everything an account has live now, each with the share of requests that it answers; of two versions of one Worker the one with
/// the larger share comes last.
pub fn deployed(tx: &mut Tx<'_>, account: &CloudAccountId) -> Result<Vec<LiveRow>, DbError> {
    const SQL: &str =
        "select v.*, s.environment, d.version as major_version, m.version as minor_version, m.share as minor_share from worker_script s
        join worker_deployment d on d.account = s.account and d.script = s.name and d.number = s.deployments
        left join worker_deployment_minor m on m.deployment = d.id
        join worker_version v on v.id = d.version or v.id = m.version where s.account = $1
        order by s.name, case when v.id = d.version then 1 else 0 end";
    let share = |row: &Row, version: &VersionRow| {
        let minor = super::deployment::minor(row)?;
        Ok::<_, DbError>(match minor {
            None => Share::ALL,
            Some(minor) if minor.version == version.id => minor.share,
            Some(minor) => minor.share.rest(),
        })
    };
    let rows = tx.query(SQL, params![account])?;
    rows.iter()
        .map(|row| {
            let version = read(row)?;
            Ok(LiveRow { share: share(row, &version)?, environment: row.parse("environment")?, version })
        })
        .collect()
}

/// The modules of all versions of an account, and the blobs that list their assets.
pub fn blobs(tx: &mut Tx<'_>, account: &CloudAccountId) -> Result<(BTreeSet<Sha256Digest>, BTreeSet<Sha256Digest>), DbError> {
    let (mut modules, mut lists) = (BTreeSet::new(), BTreeSet::new());
    for row in tx.query("select modules, asset_list from worker_version where account = $1", params![account])? {
        modules.extend(row.json::<Vec<ModuleInfo>>("modules")?.into_iter().map(|module| module.sha256));
        lists.extend(row.get::<Option<Sha256Digest>>("asset_list")?);
    }
    Ok((modules, lists))
}

pub fn secrets(tx: &mut Tx<'_>, version: &VersionId) -> Result<Vec<Sealed>, DbError> {
    let rows = tx.query("select name, sealed from worker_secret where version = $1 order by name", params![version])?;
    rows.iter().map(|row| Ok((row.parse("name")?, row.get("sealed")?))).collect()
}

fn read(row: &Row) -> Result<VersionRow, DbError> {
    Ok(VersionRow {
        id: row.parse("id")?,
        account: row.parse("account")?,
        script: row.parse("script")?,
        number: row.get("number")?,
        created_at: row.get("created_at")?,
        author: author(row)?,
        annotations: row.json("annotations")?,
        compatibility_date: row.get("compatibility_date")?,
        compatibility_flags: row.json("compatibility_flags")?,
        form: row.parse("form")?,
        main_part: row.get("main_part")?,
        modules: row.json("modules")?,
        bindings: row.json("bindings")?,
        asset_list: row.get("asset_list")?,
        code_digest: row.get("code_digest")?,
        startup_ms: row.get("startup_ms")?,
    })
}

impl VersionRow {
    pub fn view(self) -> Version {
        let bindings = self.bindings.iter().filter_map(|b| serde_json::to_value(b).ok()).collect();
        Version {
            main_module: self.main_part.filter(|_| self.form == Form::Modules),
            id: self.id,
            number: self.number,
            script: self.script,
            created_at: self.created_at,
            author: self.author,
            annotations: self.annotations,
            compatibility_date: self.compatibility_date,
            compatibility_flags: self.compatibility_flags,
            modules: self.modules,
            bindings,
            code_digest: self.code_digest,
            has_assets: self.asset_list.is_some(),
            startup_time_ms: self.startup_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::deployment::{self, NewDeployment};
    use crate::store::{MIGRATIONS, script};
    use purser_values::Env;

    fn row(account: &CloudAccountId, script: &ScriptName, env: &Env, number: i64) -> VersionRow {
        VersionRow {
            id: VersionId::mint(env),
            account: account.clone(),
            script: script.clone(),
            number,
            created_at: env.now(),
            author: Author { source: "test".into(), id: "t".into(), email: None },
            annotations: BTreeMap::new(),
            compatibility_date: "2026-11-01".into(),
            compatibility_flags: vec![],
            form: Form::AssetsOnly,
            main_part: None,
            modules: vec![],
            bindings: vec![],
            asset_list: None,
            code_digest: Sha256Digest::of(b""),
            startup_ms: None,
        }
    }

    #[tokio::test]
    async fn old_versions_are_forgotten_and_the_deployed_one_never() {
        purser_db::testing::each_engine(&[MIGRATIONS], |db| async move {
            let (env, _) = Env::test(purser_db::testing::START, 5);
            let (account, name) = (CloudAccountId::mint(&env), "a".parse::<ScriptName>().unwrap());
            let numbers = db
                .write(move |tx| {
                    script::ensure(tx, &env, &account, &Environment::default(), &name, env.now())?;
                    let secret = ("S".parse().map_err(|_| DbError::Corrupt(String::new()))?, vec![1]);
                    for number in 1..=limits::VERSIONS_KEPT + 5 {
                        let row = row(&account, &name, &env, number);
                        insert(tx, &row, std::slice::from_ref(&secret))?;
                        if number == 2 {
                            let author = &row.author;
                            let annotations = &row.annotations;
                            let new =
                                NewDeployment { account: &account, script: &name, version: &row.id, minor: None, author, annotations };
                            deployment::insert(tx, &env, &new)?;
                        }
                    }
                    let secrets = tx.query_one("select count(*) as n from worker_secret", params![])?.get::<i64>("n")?;
                    let numbers: Vec<i64> = list(tx, &account, &name)?.iter().map(|v| v.number).collect();
                    assert_eq!(usize::try_from(secrets).unwrap(), numbers.len());
                    Ok::<_, DbError>(numbers)
                })
                .await
                .unwrap();
            assert_eq!(numbers.len(), 101);
            assert_eq!(numbers.last(), Some(&2));
            assert_eq!(numbers[99], 6);
        })
        .await;
    }
}
