//! Why a charge is refused before the rail is asked. Each is a dispute, because the provider asked for what was not agreed; but for a
//! renewal that was agreed and that we refuse, since nothing could be set aside for it.

/// In the order in which they are looked at, so that one request always gets the same answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Also for a token of another provider: who has no right to it learns nothing of it.
    #[error("there is no such payment token")]
    TokenUnknown,
    #[error("the payment token was revoked")]
    TokenRevoked,
    #[error("the payment token is spent")]
    TokenSpent,
    #[error("the payment token has expired")]
    TokenExpired,
    #[error("the agent is frozen by a person")]
    AgentFrozen,
    #[error("the payment token was issued for another quote")]
    QuoteMismatch,
    #[error("the quote has no such line")]
    LineUnknown,
    #[error("the line was charged for this period already")]
    LineCharged,
    #[error("another charge of this line is under way")]
    LineBusy,
    #[error("the money that was held for the line was given back")]
    LineReleased,
    #[error("the time for which the money was held is over")]
    HoldExpired,
    #[error("no money is set aside for this period yet")]
    NotReserved,
    #[error("the period has not begun")]
    NotDue,
    #[error("the line is in another currency")]
    Currency,
    #[error("the amount is not positive")]
    Amount,
    #[error("the amount is more than the line's")]
    AmountOverLine,
    #[error("the cap of this month has no room for it")]
    CapReached,
    #[error("a ceiling that a person set has no room for it")]
    CeilingReached,
    #[error("the payment method was removed")]
    PaymentMethodRemoved,
    #[error("the cardholder disputes a payment to this provider")]
    PaymentDisputed,
}

impl Refusal {
    /// Whether the provider asked for a further period as it may, and it is us who find no room for it.
    #[must_use]
    pub const fn is_of_renewal(self, names_period: bool) -> bool {
        names_period && matches!(self, Self::NotReserved | Self::CapReached | Self::CeilingReached)
    }

    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::TokenUnknown => "payment_token_unknown",
            Self::TokenRevoked => "payment_token_revoked",
            Self::TokenSpent => "payment_token_spent",
            Self::TokenExpired => "payment_token_expired",
            Self::AgentFrozen => "agent_frozen",
            Self::QuoteMismatch => "quote_mismatch",
            Self::LineUnknown => "line_unknown",
            Self::LineCharged => "line_charged",
            Self::LineBusy => "line_busy",
            Self::LineReleased => "line_released",
            Self::HoldExpired => "hold_expired",
            Self::NotReserved => "period_not_reserved",
            Self::NotDue => "period_not_due",
            Self::Currency => "currency_mismatch",
            Self::Amount => "amount_invalid",
            Self::AmountOverLine => "amount_over_line",
            Self::CapReached => "cap_reached",
            Self::CeilingReached => "ceiling_reached",
            Self::PaymentMethodRemoved => "payment_method_removed",
            Self::PaymentDisputed => "payment_disputed",
        }
    }
}
