//! The registrars that may sign in.

use purser_crypto::constant_time_eq;
use purser_crypto::mac::hmac_sha256;
use purser_db::{DbError, Tx, params};
use purser_values::{Secret, Timestamp};

/// What makes kept passwords worthless without it: 32 bytes that are never in the database.
#[derive(Clone, Debug)]
pub struct Pepper(Secret<Vec<u8>>);

/// A registrar as the operator names it.
#[derive(Clone, Debug)]
pub struct Client {
    /// 3 to 16 characters (RFC 5730 clIDType).
    pub id: String,
    pub password: Secret<String>,
    /// The SHA-256 digest of the only certificate with which it may sign in, in hexadecimal digits.
    pub certificate: Option<String>,
}

/// Why a sign-in failed; the other side is not told which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignIn {
    Welcome,
    Refused,
}

impl Pepper {
    #[must_use]
    pub const fn new(bytes: Secret<Vec<u8>>) -> Self {
        Self(bytes)
    }

    /// What is kept of a secret text of one thing.
    pub(crate) fn of(&self, kind: &str, id: &str, text: &str) -> Vec<u8> {
        hmac_sha256(self.0.expose(), &[kind.as_bytes(), b"\0", id.as_bytes(), b"\0", text.as_bytes()]).to_vec()
    }

    pub(crate) fn is(&self, kept: &[u8], kind: &str, id: &str, text: &str) -> bool {
        constant_time_eq(kept, &self.of(kind, id, text))
    }
}

const PASSWORD: &str = "password";

/// Makes the registrar or, where it is known, gives it its certificate; a password that it changed itself stays unless `reset`.
///
/// # Errors
/// When the store fails.
pub fn client_put(tx: &mut Tx<'_>, pepper: &Pepper, client: &Client, reset: bool, now: Timestamp) -> Result<(), DbError> {
    let kept = pepper.of(PASSWORD, &client.id, client.password.expose());
    tx.execute(
        "insert into epp_client (id, password, certificate, created_at) values ($1, $2, $3, $4)
         on conflict (id) do update set certificate = excluded.certificate",
        params![client.id, kept, client.certificate, now],
    )?;
    if reset {
        tx.execute("update epp_client set password = $2 where id = $1", params![client.id, kept])?;
    }
    Ok(())
}

/// Whether a registrar is who it says it is, and its new password where it names one.
pub(crate) fn sign_in(
    tx: &mut Tx<'_>,
    pepper: &Pepper,
    id: &str,
    password: &str,
    certificate: Option<&str>,
    new: Option<&str>,
) -> Result<SignIn, DbError> {
    let row = tx.query_opt("select password, certificate from epp_client where id = $1", params![id])?;
    let (kept, pinned): (Vec<u8>, Option<String>) = match &row {
        Some(row) => (row.get("password")?, row.get("certificate")?),
        // An unknown registrar takes as long as a wrong password.
        None => (Vec::new(), None),
    };
    let known = pepper.is(&kept, PASSWORD, id, password);
    let bound = match (&pinned, certificate) {
        (Some(pinned), Some(shown)) => constant_time_eq(pinned.as_bytes(), shown.as_bytes()),
        (Some(_), None) => false,
        (None, _) => true,
    };
    if !known || !bound {
        return Ok(SignIn::Refused);
    }
    if let Some(new) = new {
        tx.execute("update epp_client set password = $2 where id = $1", params![id, pepper.of(PASSWORD, id, new)])?;
    }
    Ok(SignIn::Welcome)
}
