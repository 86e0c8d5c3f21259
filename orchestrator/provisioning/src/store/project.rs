//! Projects.

use purser_db::{DbError, Row, Tx, params};
use purser_values::Env;
use purser_values::id::{OrganisationId, ProjectId};
use purser_values::name::ProjectName;

/// One application of one organisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    pub id: ProjectId,
    pub organisation: OrganisationId,
    pub name: ProjectName,
}

/// The project with this name, made now if there is none.
pub fn ensure(tx: &mut Tx<'_>, env: &Env, organisation: &OrganisationId, name: &ProjectName) -> Result<(Project, bool), DbError> {
    let insert =
        "insert into project (id, organisation, name, created_at) values ($1, $2, $3, $4) on conflict (organisation, name) do nothing";
    let made = tx.execute(insert, params![ProjectId::mint(env), organisation, name, env.now()])? == 1;
    Ok((by_name(tx, organisation, name)?.ok_or(DbError::NoRow)?, made))
}

pub fn by_name(tx: &mut Tx<'_>, organisation: &OrganisationId, name: &ProjectName) -> Result<Option<Project>, DbError> {
    let select = "select id, organisation, name from project where organisation = $1 and name = $2";
    tx.query_opt(select, params![organisation, name])?.map(|row| read(&row)).transpose()
}

pub fn list(tx: &mut Tx<'_>, organisation: &OrganisationId) -> Result<Vec<Project>, DbError> {
    tx.query("select id, organisation, name from project where organisation = $1 order by name", params![organisation])?
        .iter()
        .map(read)
        .collect()
}

fn read(row: &Row) -> Result<Project, DbError> {
    Ok(Project { id: row.parse("id")?, organisation: row.parse("organisation")?, name: row.parse("name")? })
}
