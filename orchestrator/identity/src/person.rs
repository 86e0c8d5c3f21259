//! Persons, organisations and who belongs to which.

use purser_authority::Role;
use purser_db::{DbError, Row, Tx, params};
use purser_values::Env;
use purser_values::id::{OrganisationId, PersonId};
use purser_values::name::Email;
use serde::Serialize;

/// A human with a login.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Person {
    pub id: PersonId,
    pub email: Email,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Organisation {
    pub id: OrganisationId,
    pub name: String,
}

/// A person in one organisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub person: Person,
    pub organisation: Organisation,
    pub role: Role,
}

const MEMBER: &str = "select p.id as person, p.email as email, o.id as organisation, o.name as organisation_name, m.role as role
    from membership m join person p on p.id = m.person join organisation o on o.id = m.organisation
    where m.organisation = $1 and m.person = $2";

/// The person's membership in an organisation, if there still is one.
///
/// # Errors
/// When the store fails.
pub fn member(tx: &mut Tx<'_>, organisation: &OrganisationId, person: &PersonId) -> Result<Option<Member>, DbError> {
    tx.query_opt(MEMBER, params![organisation, person])?.map(|row| read(&row)).transpose()
}

pub(crate) fn exists(tx: &mut Tx<'_>, email: &Email) -> Result<bool, DbError> {
    Ok(by_email(tx, email)?.is_some())
}

/// Whose login an address is.
pub(crate) fn by_email(tx: &mut Tx<'_>, email: &Email) -> Result<Option<PersonId>, DbError> {
    tx.query_opt("select id from person where email = $1", params![email])?.map(|row| row.parse("id")).transpose()
}

/// The person in the organisation that they joined first.
pub(crate) fn home(tx: &mut Tx<'_>, person: &PersonId) -> Result<Option<Member>, DbError> {
    let first = "select organisation from membership where person = $1 order by created_at, organisation limit 1";
    let Some(row) = tx.query_opt(first, params![person])? else { return Ok(None) };
    member(tx, &row.parse("organisation")?, person)
}

/// The person with this proven address and the organisation that they joined first; both are made when there are none.
pub(crate) fn find_or_create(tx: &mut Tx<'_>, env: &Env, email: &Email) -> Result<(Member, bool), DbError> {
    let now = env.now();
    let found = tx.query_opt("select id from person where email = $1", params![email])?;
    let (person, fresh) = match found {
        Some(row) => (row.parse("id")?, false),
        None => {
            let id = PersonId::mint(env);
            tx.execute("insert into person (id, email, created_at) values ($1, $2, $3)", params![id, email, now])?;
            (id, true)
        }
    };
    let first = "select organisation from membership where person = $1 order by created_at, organisation limit 1";
    let organisation: OrganisationId = match tx.query_opt(first, params![person])? {
        Some(row) => row.parse("organisation")?,
        None => {
            let id = OrganisationId::mint(env);
            let insert = "insert into organisation (id, name, created_at) values ($1, $2, $3)";
            tx.execute(insert, params![id, email.as_str(), now])?;
            let join = "insert into membership (organisation, person, role, created_at) values ($1, $2, $3, $4)";
            tx.execute(join, params![id, person, Role::Owner.name(), now])?;
            id
        }
    };
    Ok((read(&tx.query_one(MEMBER, params![organisation, person])?)?, fresh))
}

fn read(row: &Row) -> Result<Member, DbError> {
    Ok(Member {
        person: Person { id: row.parse("person")?, email: row.parse("email")? },
        organisation: Organisation { id: row.parse("organisation")?, name: row.get("organisation_name")? },
        role: row.parse("role")?,
    })
}
