//! What every public error has: a stable code, a kind and a hint.
//!
//! The kind decides the HTTP status, the exit code of the command line and whether to try again, in one exhaustive match,
//! so that the three never disagree. The message (`Display`) says what happened; the hint says what to do.

pub mod advice;

/// The classes of failure that callers can tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request itself is wrong: change it.
    Invalid,
    /// Nobody, or nobody known, is calling.
    Unauthenticated,
    /// The caller is known and may not.
    Forbidden,
    /// There is no such thing, or it is not the caller's to see.
    NotFound,
    /// It contradicts something that exists.
    Conflict,
    /// A ceiling would be passed, or the payment was declined.
    Payment,
    /// Only a person can go on.
    NeedsPerson,
    /// The body or answer is too large.
    TooLarge,
    /// Too many requests.
    RateLimited,
    /// The provider refused or answered nonsense.
    Provider,
    /// The provider or the store is not reachable now.
    Unavailable,
    /// Our own fault.
    Internal,
}

impl Kind {
    #[must_use]
    pub const fn http_status(self) -> u16 {
        match self {
            Self::Invalid => 400,
            Self::Unauthenticated => 401,
            Self::Payment => 402,
            Self::Forbidden | Self::NeedsPerson => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::RateLimited => 429,
            Self::Internal => 500,
            Self::Provider => 502,
            Self::Unavailable => 503,
        }
    }

    /// The kind that a status alone tells of.
    #[must_use]
    pub const fn of_http_status(status: u16) -> Self {
        match status {
            401 => Self::Unauthenticated,
            402 => Self::Payment,
            403 => Self::Forbidden,
            404 | 410 => Self::NotFound,
            409 | 412 => Self::Conflict,
            413 => Self::TooLarge,
            429 => Self::RateLimited,
            502 => Self::Provider,
            503 | 504 => Self::Unavailable,
            400..=499 => Self::Invalid,
            _ => Self::Internal,
        }
    }

    /// The exit code of the command line; `docs/cli.md` has the table.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Invalid | Self::TooLarge => 2,
            Self::Unauthenticated => 3,
            Self::Forbidden => 4,
            Self::NotFound => 5,
            Self::Conflict => 6,
            Self::Payment => 7,
            Self::NeedsPerson => 8,
            Self::Provider => 9,
            Self::Unavailable | Self::RateLimited => 10,
            Self::Internal => 1,
        }
    }

    /// Whether the same request may work a little later.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        matches!(self, Self::Unavailable | Self::RateLimited)
    }

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Payment => "payment",
            Self::NeedsPerson => "needs_person",
            Self::TooLarge => "too_large",
            Self::RateLimited => "rate_limited",
            Self::Provider => "provider",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }
}

/// An error that may be shown to a caller.
pub trait PublicError: std::error::Error {
    /// Stable, lower case with underscores; `docs/errors/` has a row for each.
    fn code(&self) -> &'static str;
    fn kind(&self) -> Kind;
    /// What the reader can do about it, where the error knows more than its code says.
    fn hint(&self) -> Option<String> {
        None
    }
    /// What the reader can do about it, always: what everybody who shows an error shows.
    fn advice(&self) -> String {
        self.hint().unwrap_or_else(|| advice::of(self.code(), self.kind()).to_owned())
    }
    /// Facts for programs: limits, ids, what is left. Never a secret.
    fn details(&self) -> Option<serde_json::Value> {
        None
    }
}
