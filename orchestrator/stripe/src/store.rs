//! What we must remember of Stripe: our organisations' customers, and Stripe's own ids of what was asked of it.

use purser_db::{Db, DbError, Migrations, params};
use purser_spend::rail::RailError;
use purser_values::id::OrganisationId;
use purser_values::{Env, Timestamp};

const TABLES: &str = "create table rail_stripe_customer (organisation {text} primary key, customer {text} not null){strict};
create table rail_stripe_order (id {text} primary key, object {text}, asked_at {int} not null){strict}";

pub const MIGRATIONS: Migrations = Migrations { domain: "stripe", steps: &[TABLES] };

/// What is known of a charge or refund of ours at Stripe.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Stripe's id, once an answer has named it.
    pub object: Option<String>,
    /// When it was asked for the first time.
    pub asked_at: Timestamp,
}

fn failed(e: DbError) -> RailError {
    RailError(e.to_string())
}

/// Written before Stripe is asked, so that a crash leaves a trace of it.
pub async fn ask(db: &Db, env: &Env, id: &str) -> Result<Asked, RailError> {
    let (id, now) = (id.to_owned(), env.now());
    let write = db.write::<_, DbError, _>(move |tx| {
        let insert = "insert into rail_stripe_order (id, asked_at) values ($1, $2) on conflict (id) do nothing";
        tx.execute(insert, params![id, now])?;
        let row = tx.query_one("select object, asked_at from rail_stripe_order where id = $1", params![id])?;
        Ok(Asked { object: row.get("object")?, asked_at: row.get("asked_at")? })
    });
    write.await.map_err(failed)
}

pub async fn answered(db: &Db, id: &str, object: &str) -> Result<(), RailError> {
    let (id, object) = (id.to_owned(), object.to_owned());
    let update = "update rail_stripe_order set object = $2 where id = $1 and object is null";
    db.write::<_, DbError, _>(move |tx| tx.execute(update, params![id, object]).map(drop)).await.map_err(failed)
}

pub async fn customer(db: &Db, organisation: &OrganisationId) -> Result<Option<String>, RailError> {
    let of = organisation.clone();
    let read = db.read::<_, DbError, _>(move |tx| {
        let row = tx.query_opt("select customer from rail_stripe_customer where organisation = $1", params![of])?;
        row.map(|row| row.get("customer")).transpose()
    });
    read.await.map_err(failed)
}

/// The first customer stands; two nodes that ask at once get the same one from Stripe, by its key.
pub async fn keep_customer(db: &Db, organisation: &OrganisationId, customer: &str) -> Result<(), RailError> {
    let (of, customer) = (organisation.clone(), customer.to_owned());
    let insert = "insert into rail_stripe_customer (organisation, customer) values ($1, $2) on conflict (organisation) do nothing";
    db.write::<_, DbError, _>(move |tx| tx.execute(insert, params![of, customer]).map(drop)).await.map_err(failed)
}
