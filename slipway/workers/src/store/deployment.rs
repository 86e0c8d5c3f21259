//! Deployments: which version is live since when. The newest number is the one that counts.

use purser_db::{DbError, Row, Tx, params};
use purser_values::Env;
use purser_values::id::CloudAccountId;

use crate::name::{ScriptName, Uuid, VersionId};
use crate::store::{author, json, script};
use crate::view::{Author, Deployment, Minor, Share};

/// One version goes live.
pub struct NewDeployment<'a> {
    pub account: &'a CloudAccountId,
    pub script: &'a ScriptName,
    pub version: &'a VersionId,
    pub minor: Option<&'a Minor>,
    pub author: &'a Author,
    pub annotations: &'a std::collections::BTreeMap<String, String>,
}

pub fn insert(tx: &mut Tx<'_>, env: &Env, new: &NewDeployment<'_>) -> Result<Deployment, DbError> {
    let (id, now) = (Uuid::mint(env), env.now());
    let number = script::next_deployment(tx, new.account, new.script, now)?;
    tx.execute(
        "insert into worker_deployment (id, account, script, number, version, created_at, author_source, author_id, author_email, annotations)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        params![
            id,
            new.account,
            new.script,
            number,
            new.version,
            now,
            new.author.source,
            new.author.id,
            new.author.email,
            json(new.annotations)?
        ],
    )?;
    if let Some(minor) = new.minor {
        tx.execute(
            "insert into worker_deployment_minor (deployment, account, script, version, share) values ($1, $2, $3, $4, $5)",
            params![id, new.account, new.script, minor.version, minor.share.hundredths()],
        )?;
    }
    Ok(Deployment {
        id,
        script: new.script.clone(),
        version: new.version.clone(),
        minor: new.minor.cloned(),
        created_at: now,
        author: new.author.clone(),
        annotations: new.annotations.clone(),
    })
}

/// Newest first.
pub fn list(tx: &mut Tx<'_>, account: &CloudAccountId, script: &ScriptName) -> Result<Vec<Deployment>, DbError> {
    const SQL: &str = "select d.*, m.version as minor_version, m.share as minor_share from worker_deployment d
        left join worker_deployment_minor m on m.deployment = d.id
        where d.account = $1 and d.script = $2 order by d.number desc limit 100";
    tx.query(SQL, params![account, script])?.iter().map(read).collect()
}

pub fn minor(row: &Row) -> Result<Option<Minor>, DbError> {
    let Some(version) = row.parse_opt("minor_version")? else { return Ok(None) };
    let hundredths: i64 = row.get("minor_share")?;
    let share = u32::try_from(hundredths).ok().and_then(|n| Share::of_percent(f64::from(n) / 100.0));
    let share = share.ok_or_else(|| DbError::Corrupt("a share of a deployment is out of range".into()))?;
    Ok(Some(Minor { version, share }))
}

fn read(row: &Row) -> Result<Deployment, DbError> {
    Ok(Deployment {
        id: row.parse("id")?,
        script: row.parse("script")?,
        version: row.parse("version")?,
        minor: minor(row)?,
        created_at: row.get("created_at")?,
        author: author(row)?,
        annotations: row.json("annotations")?,
    })
}
