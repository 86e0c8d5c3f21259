//! Persons, organisations and who belongs to which.
//!
//! INVARIANT (stopped-as-a-whole): a disabled person and a member of a disabled organisation are members of nothing. Sessions,
//! tokens and grants read the membership with every call, so all of them end with the commit that disables.

use purser_authority::Role;
use purser_db::{DbError, Row, Tx, params};
use purser_values::Env;
use purser_values::id::{OrganisationId, PersonId};
use purser_values::name::Email;
use serde::Serialize;

/// The domain of the address that stands in the place of one that was taken back: nobody can have one there (RFC 6761, 6.4).
pub(crate) const RETIRED: &str = "retired.invalid";

/// Whether the login ended for good and its address was taken back.
#[must_use]
pub fn is_retired(email: &Email) -> bool {
    email.as_str().rsplit_once('@').is_some_and(|(_, domain)| domain == RETIRED)
}

/// An address as people are shown it.
#[must_use]
pub fn for_people(email: &Email) -> String {
    if is_retired(email) { "somebody who left".to_owned() } else { email.to_string() }
}

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
    where m.organisation = $1 and m.person = $2 and p.disabled_at is null and o.disabled_at is null";

/// The person's membership in an organisation, if there still is one and neither was disabled.
///
/// # Errors
/// When the store fails.
pub fn member(tx: &mut Tx<'_>, organisation: &OrganisationId, person: &PersonId) -> Result<Option<Member>, DbError> {
    tx.query_opt(MEMBER, params![organisation, person])?.map(|row| read(&row)).transpose()
}

/// Whose login an address is, disabled or not.
///
/// # Errors
/// When the store fails.
pub fn by_email(tx: &mut Tx<'_>, email: &Email) -> Result<Option<PersonId>, DbError> {
    tx.query_opt("select id from person where email = $1", params![email])?.map(|row| row.parse("id")).transpose()
}

/// The person in the organisation used last, else in the one joined first.
pub(crate) fn home(tx: &mut Tx<'_>, person: &PersonId) -> Result<Option<Member>, DbError> {
    let select = "select m.organisation as organisation from membership m join organisation o on o.id = m.organisation
        where m.person = $1 and o.disabled_at is null
        order by coalesce((select max(s.signed_in_at) from session s where s.person = m.person and s.organisation = m.organisation), 0) desc,
            m.created_at, m.organisation limit 1";
    let Some(row) = tx.query_opt(select, params![person])? else { return Ok(None) };
    member(tx, &row.parse("organisation")?, person)
}

/// Everything that the person is a member of, by name.
///
/// # Errors
/// When the store fails.
pub fn memberships(tx: &mut Tx<'_>, person: &PersonId) -> Result<Vec<Member>, DbError> {
    let select = "select p.id as person, p.email as email, o.id as organisation, o.name as organisation_name, m.role as role
        from membership m join person p on p.id = m.person join organisation o on o.id = m.organisation
        where m.person = $1 and p.disabled_at is null and o.disabled_at is null order by o.name, o.id";
    tx.query(select, params![person])?.iter().map(read).collect()
}

/// The members of an organisation who keep its money: owners, admins and those for billing.
///
/// # Errors
/// When the store fails.
pub fn payers(tx: &mut Tx<'_>, organisation: &OrganisationId) -> Result<Vec<Member>, DbError> {
    let select = "select p.id as person, p.email as email, o.id as organisation, o.name as organisation_name, m.role as role
        from membership m join person p on p.id = m.person join organisation o on o.id = m.organisation
        where m.organisation = $1 and m.role in ('owner', 'admin', 'billing') and p.disabled_at is null and o.disabled_at is null
        order by p.email";
    tx.query(select, params![organisation])?.iter().map(read).collect()
}

/// What is known of an address at sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    Nobody,
    /// A person whom the operator stopped.
    Disabled,
    /// A person who belongs to nothing (any more).
    Outside,
    Member,
}

pub(crate) fn known(tx: &mut Tx<'_>, email: &Email) -> Result<Known, DbError> {
    let select = "select p.disabled_at as disabled_at, (select count(*) from membership m join organisation o on o.id = m.organisation
        where m.person = p.id and o.disabled_at is null) as memberships from person p where p.email = $1";
    let Some(row) = tx.query_opt(select, params![email])? else { return Ok(Known::Nobody) };
    Ok(match (row.get::<Option<i64>>("disabled_at")?, row.get::<i64>("memberships")?) {
        (Some(_), _) => Known::Disabled,
        (None, 0) => Known::Outside,
        (None, _) => Known::Member,
    })
}

/// The person with this proven address; made when there is none. Tells whether it was made.
pub(crate) fn ensure(tx: &mut Tx<'_>, env: &Env, email: &Email) -> Result<(Person, bool), DbError> {
    if let Some(id) = by_email(tx, email)? {
        return Ok((Person { id, email: email.clone() }, false));
    }
    let person = Person { id: PersonId::mint(env), email: email.clone() };
    tx.execute("insert into person (id, email, created_at) values ($1, $2, $3)", params![person.id, email, env.now()])?;
    Ok((person, true))
}

/// Where a person goes on after sign-in: [`home`], else a new organisation of their own.
pub(crate) fn at_home(tx: &mut Tx<'_>, env: &Env, person: &Person) -> Result<Member, DbError> {
    match home(tx, &person.id)? {
        Some(member) => Ok(member),
        None => found(tx, env, person, person.email.as_str()),
    }
}

/// A new organisation with the person as its owner.
pub(crate) fn found(tx: &mut Tx<'_>, env: &Env, person: &Person, name: &str) -> Result<Member, DbError> {
    let id = OrganisationId::mint(env);
    tx.execute("insert into organisation (id, name, created_at) values ($1, $2, $3)", params![id, name, env.now()])?;
    join(tx, env, &id, &person.id, Role::Owner)?;
    read(&tx.query_one(MEMBER, params![id, person.id])?)
}

/// Tells whether the person was not a member before.
pub(crate) fn join(tx: &mut Tx<'_>, env: &Env, organisation: &OrganisationId, person: &PersonId, role: Role) -> Result<bool, DbError> {
    let insert = "insert into membership (organisation, person, role, created_at) values ($1, $2, $3, $4) on conflict do nothing";
    Ok(tx.execute(insert, params![organisation, person, role.name(), env.now()])? == 1)
}

pub(crate) fn read(row: &Row) -> Result<Member, DbError> {
    Ok(Member {
        person: Person { id: row.parse("person")?, email: row.parse("email")? },
        organisation: Organisation { id: row.parse("organisation")?, name: row.get("organisation_name")? },
        role: row.parse("role")?,
    })
}
