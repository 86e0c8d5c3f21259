//! What a provider wants to know before it makes a resource, and what the person answered, sealed.
//!
//! Both are gone with the purchase, whatever comes of it: the provider keeps what it needs, and nobody else has to.
//! INVARIANT (one-answer): an answer is taken by one conditional update, for the round in which it was asked.

use purser_crypto::seal::Keyring;
use purser_db::{DbError, Tx, params};
use purser_values::id::ResourceId;
use purser_values::{Env, Secret, Timestamp};
use serde_json::{Map, Value};

pub const TABLE: &str = "create table resource_information (
    resource {text} primary key, round {int} not null, schema {text} not null, sealed {blob}, expires_at {int} not null
){strict}";

/// One question of a provider.
#[derive(Clone, Debug)]
pub struct Asked {
    pub resource: ResourceId,
    /// Counts the questions about the same resource.
    pub round: u32,
    pub schema: Value,
    pub expires_at: Timestamp,
    sealed: Option<Vec<u8>>,
}

impl Asked {
    #[must_use]
    pub const fn is_answered(&self) -> bool {
        self.sealed.is_some()
    }

    #[must_use]
    pub fn is_late(&self, now: Timestamp) -> bool {
        self.expires_at <= now
    }

    /// What the person answered, if they did.
    ///
    /// # Errors
    /// When it was sealed under another key, or is no object.
    pub fn answer(&self, keyring: &Keyring) -> Result<Option<Map<String, Value>>, DbError> {
        let Some(sealed) = &self.sealed else { return Ok(None) };
        let text: Secret<String> = keyring.open_text(&aad(&self.resource), sealed).map_err(|e| DbError::Corrupt(e.to_string()))?;
        serde_json::from_str(text.expose()).map(Some).map_err(|e| DbError::Corrupt(e.to_string()))
    }
}

fn aad(resource: &ResourceId) -> String {
    format!("resource_information/{resource}")
}

/// A question, in the place of whatever was asked before.
pub fn ask(tx: &mut Tx<'_>, resource: &ResourceId, round: u32, schema: &Value, expires_at: Timestamp) -> Result<(), DbError> {
    let upsert = "insert into resource_information (resource, round, schema, expires_at) values ($1, $2, $3, $4)
                  on conflict (resource) do update set round = excluded.round, schema = excluded.schema, sealed = null,
                      expires_at = excluded.expires_at";
    tx.execute(upsert, params![resource, round, schema.to_string(), expires_at]).map(drop)
}

pub fn find(tx: &mut Tx<'_>, resource: &ResourceId) -> Result<Option<Asked>, DbError> {
    let Some(row) = tx.query_opt("select * from resource_information where resource = $1", params![resource])? else { return Ok(None) };
    let schema: String = row.get("schema")?;
    Ok(Some(Asked {
        resource: row.parse("resource")?,
        round: row.get("round")?,
        schema: serde_json::from_str(&schema).map_err(|e| DbError::Corrupt(e.to_string()))?,
        expires_at: row.get("expires_at")?,
        sealed: row.get("sealed")?,
    }))
}

/// Keeps the answer to a question. False when it was answered before, or another was asked meanwhile.
pub fn answered(tx: &mut Tx<'_>, env: &Env, keyring: &Keyring, asked: &Asked, answer: &Map<String, Value>) -> Result<bool, DbError> {
    let text = serde_json::to_string(answer).map_err(|e| DbError::Other(e.to_string()))?;
    let sealed = keyring.seal(env, &aad(&asked.resource), text.as_bytes()).map_err(|e| DbError::Other(e.to_string()))?;
    let update = "update resource_information set sealed = $3 where resource = $1 and round = $2 and sealed is null";
    Ok(tx.execute(update, params![asked.resource, asked.round, sealed])? == 1)
}

pub fn forget(tx: &mut Tx<'_>, resource: &ResourceId) -> Result<(), DbError> {
    tx.execute("delete from resource_information where resource = $1", params![resource]).map(drop)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::store::MIGRATIONS;

    #[tokio::test]
    async fn an_answer_is_taken_once_for_its_own_question_and_is_sealed() {
        purser_db::testing::each_engine(&[MIGRATIONS], |db| async move {
            db.write(move |tx| {
                let (env, _) = Env::test(purser_db::testing::START, 3);
                let keyring = Keyring::from_bytes(&Secret::new([7; 32])).map_err(|e| DbError::Other(e.to_string()))?;
                let resource = ResourceId::mint(&env);
                let until = env.now().plus_secs(60);
                ask(tx, &resource, 1, &json!({"type": "object"}), until)?;
                let first = find(tx, &resource)?.unwrap();
                assert!(!first.is_answered() && !first.is_late(env.now()) && first.is_late(until));
                let answer = json!({"name": "Ada"}).as_object().unwrap().clone();
                assert!(answered(tx, &env, &keyring, &first, &answer)?);
                assert!(!answered(tx, &env, &keyring, &first, &answer)?, "a question was answered twice");
                let kept = find(tx, &resource)?.unwrap();
                assert_eq!(kept.answer(&keyring)?.unwrap(), answer);
                assert!(!kept.sealed.unwrap().windows(3).any(|part| part == b"Ada"));

                ask(tx, &resource, 2, &json!({"type": "object"}), until)?;
                assert!(!answered(tx, &env, &keyring, &first, &answer)?, "the answer to another question was taken");
                assert!(!find(tx, &resource)?.unwrap().is_answered());
                forget(tx, &resource)?;
                assert!(find(tx, &resource)?.is_none());
                Ok::<_, DbError>(())
            })
            .await
            .unwrap();
        })
        .await;
    }
}
