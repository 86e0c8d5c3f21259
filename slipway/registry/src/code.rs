//! Result codes (RFC 5730 section 3).

/// One result code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    Done,
    Pending,
    NoMessages,
    Message,
    Ended,
    UnknownCommand,
    Syntax,
    Use,
    Missing,
    Range,
    Value,
    Version,
    Command,
    OptionUnknown,
    Extension,
    Renewal,
    Ineligible,
    Authentication,
    Authorisation,
    AuthInfo,
    PendingTransfer,
    NoTransfer,
    Exists,
    NotFound,
    Status,
    Association,
    Policy,
    ObjectService,
    Failed,
    FailedClosing,
    AuthenticationClosing,
    SessionsClosing,
}

impl Code {
    /// The number and the text that the standard gives it.
    #[must_use]
    pub const fn parts(self) -> (u16, &'static str) {
        match self {
            Self::Done => (1000, "Command completed successfully"),
            Self::Pending => (1001, "Command completed successfully; action pending"),
            Self::NoMessages => (1300, "Command completed successfully; no messages"),
            Self::Message => (1301, "Command completed successfully; ack to dequeue"),
            Self::Ended => (1500, "Command completed successfully; ending session"),
            Self::UnknownCommand => (2000, "Unknown command"),
            Self::Syntax => (2001, "Command syntax error"),
            Self::Use => (2002, "Command use error"),
            Self::Missing => (2003, "Required parameter missing"),
            Self::Range => (2004, "Parameter value range error"),
            Self::Value => (2005, "Parameter value syntax error"),
            Self::Version => (2100, "Unimplemented protocol version"),
            Self::Command => (2101, "Unimplemented command"),
            Self::OptionUnknown => (2102, "Unimplemented option"),
            Self::Extension => (2103, "Unimplemented extension"),
            Self::Renewal => (2105, "Object is not eligible for renewal"),
            Self::Ineligible => (2106, "Object is not eligible for transfer"),
            Self::Authentication => (2200, "Authentication error"),
            Self::Authorisation => (2201, "Authorization error"),
            Self::AuthInfo => (2202, "Invalid authorization information"),
            Self::PendingTransfer => (2300, "Object pending transfer"),
            Self::NoTransfer => (2301, "Object not pending transfer"),
            Self::Exists => (2302, "Object exists"),
            Self::NotFound => (2303, "Object does not exist"),
            Self::Status => (2304, "Object status prohibits operation"),
            Self::Association => (2305, "Object association prohibits operation"),
            Self::Policy => (2306, "Parameter value policy error"),
            Self::ObjectService => (2307, "Unimplemented object service"),
            Self::Failed => (2400, "Command failed"),
            Self::FailedClosing => (2500, "Command failed; server closing connection"),
            Self::AuthenticationClosing => (2501, "Authentication error; server closing connection"),
            Self::SessionsClosing => (2502, "Session limit exceeded; server closing connection"),
        }
    }

    /// Whether the connection ends with this answer.
    #[must_use]
    pub const fn closes(self) -> bool {
        matches!(self, Self::Ended | Self::FailedClosing | Self::AuthenticationClosing | Self::SessionsClosing)
    }
}
