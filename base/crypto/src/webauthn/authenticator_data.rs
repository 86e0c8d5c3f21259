//! What the authenticator signs (Web Authentication, 6.1).

use ciborium::Value;
use purser_values::Sha256Digest;

use super::{PART_BYTES, PublicKey, State, WebauthnError};
use crate::constant_time_eq;

const USER_PRESENT: u8 = 1;
const USER_VERIFIED: u8 = 1 << 2;
const BACKUP_ELIGIBLE: u8 = 1 << 3;
const BACKED_UP: u8 = 1 << 4;
const HAS_CREDENTIAL: u8 = 1 << 6;
const HAS_EXTENSIONS: u8 = 1 << 7;

/// Longest credential id, in bytes.
const ID_BYTES: usize = 1023;

pub(super) struct AuthenticatorData {
    rp_id_hash: [u8; 32],
    flags: u8,
    pub state: State,
    /// The id and the key of a credential that was just made.
    pub credential: Option<(Vec<u8>, PublicKey)>,
}

impl AuthenticatorData {
    /// Every byte must belong to a part that the flags announce.
    pub fn read(bytes: &[u8]) -> Result<Self, WebauthnError> {
        if bytes.len() > PART_BYTES {
            return Err(WebauthnError::Form);
        }
        let mut rest = bytes;
        let rp_id_hash: [u8; 32] = take(&mut rest)?;
        let [flags] = take::<1>(&mut rest)?;
        let sign_count = u32::from_be_bytes(take(&mut rest)?);
        let credential = if flags & HAS_CREDENTIAL == 0 {
            None
        } else {
            let _model: [u8; 16] = take(&mut rest)?;
            let length = usize::from(u16::from_be_bytes(take(&mut rest)?));
            if length == 0 || length > ID_BYTES {
                return Err(WebauthnError::Form);
            }
            let (id, after) = rest.split_at_checked(length).ok_or(WebauthnError::Form)?;
            rest = after;
            Some((id.to_vec(), PublicKey::read(&mut rest)?))
        };
        if flags & HAS_EXTENSIONS != 0 {
            let extensions: Value = ciborium::from_reader(&mut rest).map_err(|_| WebauthnError::Form)?;
            if !extensions.is_map() {
                return Err(WebauthnError::Form);
            }
        }
        if !rest.is_empty() {
            return Err(WebauthnError::Form);
        }
        let state = State { sign_count, backup_eligible: flags & BACKUP_ELIGIBLE != 0, backed_up: flags & BACKED_UP != 0 };
        if state.backed_up && !state.backup_eligible {
            return Err(WebauthnError::Form);
        }
        Ok(Self { rp_id_hash, flags, state, credential })
    }

    /// It is for this site, and its user was there and was verified.
    pub fn check(&self, rp_id: &str) -> Result<(), WebauthnError> {
        if !constant_time_eq(&self.rp_id_hash, Sha256Digest::of(rp_id.as_bytes()).as_bytes()) {
            return Err(WebauthnError::Origin);
        }
        let needed = USER_PRESENT | USER_VERIFIED;
        if self.flags & needed == needed { Ok(()) } else { Err(WebauthnError::NotVerified) }
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], WebauthnError> {
    let (head, after) = rest.split_first_chunk::<N>().ok_or(WebauthnError::Form)?;
    *rest = after;
    Ok(*head)
}
