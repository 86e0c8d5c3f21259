//! What a person says that a purchase may cost at most, where its price is prose: the hold is of that, and of nothing the provider says.

use purser_values::Money;
use serde::{Deserialize, Serialize};

/// How often it may cost that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Every {
    Once,
    Month,
    Year,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Most {
    #[serde(flatten)]
    pub amount: Money,
    pub period: Every,
}

/// A person's answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    No,
    /// Exactly what is shown, at the price that is shown.
    Yes,
    /// Exactly what is shown, for at most so much: only where the price is prose.
    UpTo(Most),
}
