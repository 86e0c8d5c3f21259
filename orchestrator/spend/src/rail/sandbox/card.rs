//! The cards that there are, by what they do.

use super::REQUIRES_ACTION;

/// Named by the last four digits of the numbers that processors publish for tests; the numbers themselves are nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SandboxCard {
    Pays,
    /// Pays, and takes nothing back.
    KeepsRefunds,
    Declines,
    LacksFunds,
    /// 3-D Secure once: after the first confirmation it pays by itself.
    WantsAuthentication,
    /// 3-D Secure for every payment.
    AlwaysAuthenticates,
    Expired,
    DisputesLater,
}

impl SandboxCard {
    pub const ALL: [Self; 8] = [
        Self::Pays,
        Self::KeepsRefunds,
        Self::Declines,
        Self::LacksFunds,
        Self::WantsAuthentication,
        Self::AlwaysAuthenticates,
        Self::Expired,
        Self::DisputesLater,
    ];

    /// The last four digits, which also name the card on forms and in the table.
    #[must_use]
    pub const fn last4(self) -> &'static str {
        match self {
            Self::Pays => "4242",
            Self::KeepsRefunds => "5126",
            Self::Declines => "0002",
            Self::LacksFunds => "9995",
            Self::WantsAuthentication => "3155",
            Self::AlwaysAuthenticates => "3184",
            Self::Expired => "0069",
            Self::DisputesLater => "0259",
        }
    }

    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::Pays => "pays every charge",
            Self::KeepsRefunds => "pays every charge, refuses every refund",
            Self::Declines => "declines every charge",
            Self::LacksFunds => "declines for lack of funds",
            Self::WantsAuthentication => "pays after you confirm once with your bank (3-D Secure)",
            Self::AlwaysAuthenticates => "waits for you at your bank at every charge (3-D Secure)",
            Self::Expired => "declines as expired",
            Self::DisputesLater => "pays, and disputes the payment later",
        }
    }

    #[must_use]
    pub fn from_last4(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|card| card.last4() == text)
    }

    /// Why the card does not simply pay a charge, if it does not.
    pub(super) const fn refusal(self, authenticated: bool) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Pays | Self::KeepsRefunds | Self::DisputesLater => None,
            Self::Declines => Some(("card_declined", "the card was declined")),
            Self::LacksFunds => Some(("insufficient_funds", "the card has not enough funds")),
            Self::Expired => Some(("expired_card", "the card has expired")),
            Self::WantsAuthentication if authenticated => None,
            Self::WantsAuthentication | Self::AlwaysAuthenticates => Some((REQUIRES_ACTION, "the bank wants the person to confirm")),
        }
    }
}
