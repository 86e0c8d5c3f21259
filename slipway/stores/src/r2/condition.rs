//! Conditions on a read or a write, as RFC 9110 weighs them and R2 words them.

use serde::Deserialize;

use super::{Object, millis};
use crate::error::StoreError;

/// What must hold of the object that is there.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OnlyIf {
    etag_matches: Option<Vec<Tag>>,
    etag_does_not_match: Option<Vec<Tag>>,
    /// Milliseconds since 1970, as the two below.
    #[serde(deserialize_with = "super::binding::whole_opt")]
    uploaded_before: Option<i64>,
    #[serde(deserialize_with = "super::binding::whole_opt")]
    uploaded_after: Option<i64>,
    seconds_granularity: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
enum Tag {
    Strong { value: String },
    Weak { value: String },
    Wildcard,
}

impl OnlyIf {
    /// # Errors
    /// [`StoreError::Precondition`] when it does not hold.
    pub fn check(&self, object: Option<&Object>) -> Result<(), StoreError> {
        if self.holds(object) { Ok(()) } else { Err(StoreError::Precondition) }
    }

    fn holds(&self, object: Option<&Object>) -> bool {
        let Some(object) = object else { return self.etag_matches.is_none() && self.uploaded_after.is_none() };
        let rough = |ms: i64| if self.seconds_granularity { ms.div_euclid(1_000) * 1_000 } else { ms };
        let at = rough(millis(object.uploaded_at));
        let matches = self.etag_matches.as_ref().is_none_or(|tags| tags.iter().any(|tag| tag.is(&object.etag, false)));
        let differs = self.etag_does_not_match.as_ref().is_none_or(|tags| !tags.iter().any(|tag| tag.is(&object.etag, true)));
        let after = self.uploaded_after.is_none_or(|ms| rough(ms) < at) || (self.etag_does_not_match.is_some() && differs);
        let before = self.uploaded_before.is_none_or(|ms| at < rough(ms)) || (self.etag_matches.is_some() && matches);
        matches && differs && after && before
    }
}

impl Tag {
    fn is(&self, etag: &str, weakly: bool) -> bool {
        match self {
            Self::Strong { value } => value == etag,
            Self::Weak { value } => weakly && value == etag,
            Self::Wildcard => true,
        }
    }
}
