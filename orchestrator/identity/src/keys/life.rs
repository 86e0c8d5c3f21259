//! The times of a signing key, and what it does at a moment.

use purser_values::Timestamp;
use serde::Serialize;

use crate::limits::{
    ID_TOKEN_LIFE_S, KEY_HEAD_START_S, KEY_SET_FRESH_S, KEY_TOKENS_S, KEY_TRUST_S, KEY_VERIFIES_S, LOGOUT_TOKEN_LIFE_S, SIGN_ON_LIFE_S,
};

const _: () = {
    use purser_values::limits::{ACCESS_TOKEN_LIFE_S, PERSON_TOKEN_LIFE_S};
    assert!(KEY_HEAD_START_S > KEY_TRUST_S && KEY_HEAD_START_S > KEY_SET_FRESH_S, "somebody would not have the key when it signs");
    assert!(KEY_TOKENS_S > ACCESS_TOKEN_LIFE_S && KEY_TOKENS_S > PERSON_TOKEN_LIFE_S, "a token would end before its time");
    assert!(KEY_TOKENS_S > ID_TOKEN_LIFE_S && KEY_TOKENS_S > LOGOUT_TOKEN_LIFE_S, "a token would end before its time");
    assert!(KEY_VERIFIES_S > KEY_TOKENS_S && KEY_VERIFIES_S >= SIGN_ON_LIFE_S, "an ID token is a hint for as long as its sign-on");
};

/// When a key does what. Each time is in its row; what it does at a moment is [`KeyLife::state`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct KeyLife {
    /// From here on it is published.
    pub created_at: Timestamp,
    pub signs_from: Timestamp,
    /// It signs no more; unset until its successor is made.
    pub retired_at: Option<Timestamp>,
    /// It is published no more.
    pub leaves_at: Option<Timestamp>,
}

/// What a key does at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// Published, and does not sign yet.
    Announced,
    Signing,
    /// What it signed still counts.
    Verifying,
    /// Kept for old records only.
    Left,
}

impl KeyState {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Announced => "announced",
            Self::Signing => "signing",
            Self::Verifying => "verifying",
            Self::Left => "left",
        }
    }
}

impl KeyLife {
    #[must_use]
    pub fn state(&self, now: Timestamp) -> KeyState {
        if self.leaves_at.is_some_and(|at| at <= now) {
            KeyState::Left
        } else if self.retired_at.is_some_and(|at| at <= now) {
            KeyState::Verifying
        } else if now < self.signs_from {
            KeyState::Announced
        } else {
            KeyState::Signing
        }
    }

    /// Whether a token that it signed can be alive.
    pub(super) fn has_tokens(&self, now: Timestamp) -> bool {
        self.state(now) != KeyState::Left && self.retired_at.is_none_or(|at| now < at.plus_secs(KEY_TOKENS_S))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_announced_then_signs_then_verifies_then_leaves() {
        let at = Timestamp::from_secs;
        let life = KeyLife { created_at: at(10), signs_from: at(20), retired_at: Some(at(30)), leaves_at: Some(at(30 + KEY_VERIFIES_S)) };
        let states = [19, 20, 29, 30, 29 + KEY_VERIFIES_S, 30 + KEY_VERIFIES_S].map(|now| life.state(at(now)).name());
        assert_eq!(states, ["announced", "signing", "signing", "verifying", "verifying", "left"]);
        assert!(life.has_tokens(at(29 + KEY_TOKENS_S)) && !life.has_tokens(at(30 + KEY_TOKENS_S)));
    }
}
