//! The registry: its tables, its rules and its clock.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use purser_db::{Db, DbError, Tx};
use purser_values::Env;

use crate::client::{Client, Pepper, client_put};
use crate::doors::Doors;
use crate::rules::Rules;
use crate::{domain, lifecycle, limits};

/// A running registry; cheap to clone.
#[derive(Clone)]
pub struct Registry {
    pub db: Db,
    pub env: Env,
    pub rules: Arc<Rules>,
    pub(crate) pepper: Pepper,
    pub(crate) doors: Doors,
    sessions: Arc<Mutex<HashMap<String, usize>>>,
}

/// A name that is somebody's from the start.
#[derive(Clone, Debug)]
pub struct Seed {
    pub name: String,
    pub client: String,
}

impl Registry {
    #[must_use]
    pub fn new(db: Db, env: Env, rules: Rules, pepper: Pepper) -> Self {
        Self { db, env, rules: Arc::new(rules), pepper, doors: Doors::default(), sessions: Arc::default() }
    }

    /// Makes the registrars known, with the passwords given here, and registers the names that are taken from the start.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn prepare(&self, clients: Vec<Client>, reset: bool, seeds: Vec<Seed>) -> Result<(), DbError> {
        let (env, pepper) = (self.env.clone(), self.pepper.clone());
        let prepare = move |tx: &mut Tx<'_>| {
            for client in &clients {
                client_put(tx, &pepper, client, reset, env.now())?;
            }
            seeds.iter().try_for_each(|seed| domain::seed(tx, &env, &seed.name, &seed.client))
        };
        self.db.write(prepare).await
    }

    /// Ends what is due by the clock. Run it now and then; every command does the same for the names that it meets.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn round(&self) -> Result<(), DbError> {
        let env = self.env.clone();
        self.db.write(move |tx| lifecycle::round(tx, &env, env.now())).await
    }

    /// A place for one more session of a registrar, given back when it is dropped.
    pub(crate) fn place(&self, client: &str) -> Option<Place> {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let held = sessions.entry(client.to_owned()).or_default();
        if *held >= limits::SESSIONS_EACH {
            return None;
        }
        *held += 1;
        Some(Place { client: client.to_owned(), sessions: self.sessions.clone() })
    }
}

/// A session that is counted.
pub(crate) struct Place {
    client: String,
    sessions: Arc<Mutex<HashMap<String, usize>>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = sessions.get_mut(&self.client) {
            *held = held.saturating_sub(1);
            if *held == 0 {
                sessions.remove(&self.client);
            }
        }
    }
}
