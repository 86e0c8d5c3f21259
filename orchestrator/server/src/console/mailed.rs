//! What the link of a mail brings.

use purser_values::Secret;
use serde::Deserialize;

/// The token behind the `?`. A link that was cut there is answered like one that nobody knows: its reader copied it, and can
/// copy the whole of it.
#[derive(Deserialize)]
pub struct Mailed {
    token: Option<Secret<String>>,
}

impl Mailed {
    pub fn token(self) -> Secret<String> {
        self.token.unwrap_or_else(|| Secret::new(String::new()))
    }
}
