//! What the operator does beside the process that serves: the first owner's link, stopping a person or an organisation, and new signing
//! keys.
//!
//! Each is one write into the database that the other process reads with its every call, so that it bites within a moment there. The
//! jobs that follow are found and run by that process.

use std::time::Duration;

use purser_authority::action::{BootstrapMint, LedgerAcknowledge, OrganisationEnable, PersonEnable, SigningKeyRead, SigningKeyRotate};
use purser_authority::{Attempt, Caller, Facts, authorise};
use purser_db::{Db, DbConfig, DbError, Tx};
use purser_identity::address::{AddressError, address_check};
use purser_identity::bootstrap::{BootstrapError, BootstrapLink, bootstrap_mint};
use purser_identity::keys::{ListedKey, RotateError, Rotation, signing_key_list, signing_key_rotate};
use purser_identity::organisation::{DisableError, organisation_enable, person_enable};
use purser_identity::sso::SsoError;
use purser_identity::{Keys, Realm, person};
use purser_provisioning::{organisation_disable, perform_beside, person_disable, sso_forget};
use purser_spend::reconcile::{self, Known, ReconcileError};
use purser_spend::verify;
use purser_values::Env;
use purser_values::id::{GrantId, OrganisationId, PersonId};
use purser_values::name::Email;

pub use purser_identity::keys::Haste;
pub use purser_identity::sso::Recycled;

use crate::config::Config;
use crate::serve::{ServeError, TABLES, is_sealed, keyring, part};

/// The operator's own look at one installation.
pub struct Operator {
    db: Db,
    realm: Realm,
}

impl Operator {
    /// Opens the store of a configuration. What this version has to migrate is left to `purser serve`.
    ///
    /// # Errors
    /// When it cannot be opened, was never served, or is of another version.
    pub async fn open(config: &Config, env: &Env) -> Result<Self, ServeError> {
        let database: DbConfig = config.database.parse().map_err(|e| part("database")(&e))?;
        if let DbConfig::Sqlite { path } = &database
            && !path.is_file()
        {
            return Err(part("database")(&"it does not exist yet; `purser serve` makes it"));
        }
        let db = Db::open(&database).await?;
        let migrated = db.read::<_, DbError, _>(|tx| purser_db::is_migrated(tx, TABLES)).await;
        if !matches!(migrated, Ok(true)) {
            return Err(part("database")(&"this version has not migrated it; start `purser serve` once"));
        }
        let (issuer, was) = (config.issuer(), config.issuer_before());
        db.read(move |tx| address_check(tx, &issuer, was.as_deref())).await.map_err(|e: AddressError| part("public_url")(&e))?;
        let keyring = keyring(env, &config.keys, is_sealed(&db).await?)?;
        let (load_env, load_ring) = (env.clone(), keyring.clone());
        let keys = db.write(move |tx| Keys::load(tx, &load_env, &load_ring)).await.map_err(|e| part("keys")(&e))?;
        let realm = Realm::new(env.clone(), keyring, keys, config.public_url.as_str(), config.sign_up());
        Ok(Self { db, realm })
    }

    /// # Errors
    /// [`BootstrapError::NotFirst`] when there is anybody.
    pub async fn bootstrap(&self) -> Result<BootstrapLink, BootstrapError> {
        bootstrap(&self.db, &self.realm).await
    }

    /// Stops a person everywhere. The answer is the grants that ended.
    ///
    /// # Errors
    /// When nobody has this address.
    pub async fn person_disable(&self, email: Email) -> Result<Vec<GrantId>, DisableError> {
        let (env, person) = (self.realm.env.clone(), self.person(email).await?);
        let attempt = Attempt::new("person_disable", &Caller::Operator, person.as_str());
        perform_beside(&self.db, &self.realm.env, attempt, move |tx| person_disable(tx, &env, &Caller::Operator, &person)).await
    }

    /// Lets a person sign in again. No grant comes back.
    ///
    /// # Errors
    /// When nobody has this address.
    pub async fn person_enable(&self, email: Email) -> Result<(), DisableError> {
        let (env, person) = (self.realm.env.clone(), self.person(email).await?);
        let attempt = Attempt::new("person_enable", &Caller::Operator, person.as_str());
        perform_beside(&self.db, &self.realm.env, attempt, move |tx| {
            person_enable(tx, &authorise::<PersonEnable>(&Caller::Operator, &Facts::new(env.now(), person.as_str()))?)
        })
        .await
    }

    /// Parts a login from an address or a company account that changed hands. The answer is the grants that ended.
    ///
    /// # Errors
    /// When nobody has this address, or the new one is another's.
    pub async fn sso_forget(&self, email: Email, recycled: Recycled) -> Result<Vec<GrantId>, SsoError> {
        let find = move |tx: &mut Tx<'_>| person::by_email(tx, &email)?.ok_or(SsoError::Nobody(email.clone()));
        let person = self.db.read(find).await?;
        let realm = self.realm.clone();
        let attempt = Attempt::new("sso_forget", &Caller::Operator, person.as_str());
        let forget = move |tx: &mut Tx<'_>| sso_forget(tx, &realm, &Caller::Operator, &person, &recycled);
        perform_beside(&self.db, &self.realm.env, attempt, forget).await
    }

    /// Stops an organisation. The answer is the grants that ended.
    ///
    /// # Errors
    /// When there is none.
    pub async fn organisation_disable(&self, id: OrganisationId) -> Result<Vec<GrantId>, DisableError> {
        let env = self.realm.env.clone();
        let attempt = Attempt::new("organisation_disable", &Caller::Operator, id.as_str());
        perform_beside(&self.db, &self.realm.env, attempt, move |tx| organisation_disable(tx, &env, &Caller::Operator, &id)).await
    }

    /// Lets an organisation go on. No grant comes back.
    ///
    /// # Errors
    /// When there is none.
    pub async fn organisation_enable(&self, id: OrganisationId) -> Result<(), DisableError> {
        let env = self.realm.env.clone();
        let attempt = Attempt::new("organisation_enable", &Caller::Operator, id.as_str());
        perform_beside(&self.db, &self.realm.env, attempt, move |tx| {
            organisation_enable(tx, &authorise::<OrganisationEnable>(&Caller::Operator, &Facts::new(env.now(), id.as_str()))?)
        })
        .await
    }

    /// Every signing key that there ever was.
    ///
    /// # Errors
    /// When the store fails or a key does not open.
    pub async fn signing_keys(&self) -> Result<Vec<ListedKey>, RotateError> {
        let realm = self.realm.clone();
        let read = move |tx: &mut Tx<'_>| {
            let permit = authorise::<SigningKeyRead>(&Caller::Operator, &Facts::new(realm.env.now(), &realm.issuer))?;
            Ok(signing_key_list(tx, &realm, &permit)?)
        };
        self.db.read(read).await
    }

    /// Puts new signing keys in the place of those that sign. Every node that serves picks them up by itself; where they sign at once,
    /// the answer comes when they do.
    ///
    /// # Errors
    /// When the last rotation has not come to its end.
    pub async fn signing_key_rotate(&self, haste: Haste) -> Result<Rotation, RotateError> {
        let realm = self.realm.clone();
        let attempt = Attempt::new("signing_key_rotate", &Caller::Operator, &*realm.issuer);
        let rotation = perform_beside(&self.db, &self.realm.env, attempt, move |tx| {
            let permit = authorise::<SigningKeyRotate>(&Caller::Operator, &Facts::new(realm.env.now(), &realm.issuer))?;
            signing_key_rotate(tx, &realm, &permit, haste)
        })
        .await?;
        if haste != Haste::Announced {
            let left = rotation.signs_from.as_micros() - self.realm.env.now().as_micros();
            tokio::time::sleep(Duration::from_micros(u64::try_from(left).unwrap_or_default())).await;
        }
        Ok(rotation)
    }

    /// Recomputes the ledger now, and answers what does not add up with what was found before.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn ledger_check(&self) -> Result<Vec<Known>, DbError> {
        let (env, found) = (self.realm.env.clone(), self.db.read(verify::check).await?);
        let attempt = Attempt::new("ledger_reconcile", &Caller::Operator, "ledger");
        perform_beside(&self.db, &self.realm.env, attempt, move |tx| reconcile::stop(tx, &env, &found)).await?;
        self.db.read(reconcile::all).await
    }

    /// New holds are taken again although the books did not add up. Answers what was acknowledged.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn ledger_acknowledge(&self) -> Result<Vec<Known>, ReconcileError> {
        let env = self.realm.env.clone();
        let attempt = Attempt::new("ledger_acknowledge", &Caller::Operator, "ledger");
        perform_beside(&self.db, &self.realm.env, attempt, move |tx| {
            reconcile::acknowledge(tx, &env, &authorise::<LedgerAcknowledge>(&Caller::Operator, &Facts::new(env.now(), "ledger"))?)
        })
        .await
    }

    async fn person(&self, email: Email) -> Result<PersonId, DisableError> {
        self.db.read(move |tx| person::by_email(tx, &email)?.ok_or(DisableError::Nobody(email.clone()))).await
    }
}

/// Makes the link by which the first owner comes.
pub(crate) async fn bootstrap(db: &Db, realm: &Realm) -> Result<BootstrapLink, BootstrapError> {
    let of = realm.clone();
    let attempt = Attempt::new("bootstrap_mint", &Caller::System, &*realm.issuer);
    perform_beside(db, &realm.env, attempt, move |tx| {
        let facts = Facts::new(of.env.now(), &of.issuer);
        let permit = authorise::<BootstrapMint>(&Caller::Operator, &facts).map_err(|_| BootstrapError::Unknown)?;
        bootstrap_mint(tx, &of, &permit)
    })
    .await
}
