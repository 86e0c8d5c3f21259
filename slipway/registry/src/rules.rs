//! What a registry keeps and for how much.

use purser_values::Money;
use purser_values::name::DomainName;

/// The policy of one registry.
#[derive(Clone, Debug)]
pub struct Rules {
    /// How the registry calls itself in its greeting.
    pub server: String,
    /// The suffixes whose names it keeps, without a leading dot.
    pub zones: Vec<String>,
    pub yearly: Money,
    /// What a year of a premium name costs.
    pub premium_yearly: Money,
    /// Labels that are premium, beside those of [`Rules::premium_length`] characters or fewer.
    pub premium: Vec<String>,
    pub premium_length: usize,
    pub quirks: Quirks,
}

/// How some names behave in the sandbox, so that every path of a registrar can be walked. Nothing of it exists anywhere else.
#[derive(Clone, Debug, Default)]
pub struct Quirks {
    /// Labels that begin so are free when asked for and taken when ordered.
    pub sniped: Option<String>,
    /// A label that never gets an answer.
    pub silent: Option<String>,
}

/// Why a text is no name that can be registered here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It is no host name at all.
    Form,
    /// Its suffix is kept by somebody else.
    Zone,
    /// It is not exactly one plain label below the suffix.
    Label,
}

impl Rules {
    /// The label of a name that can be registered here.
    ///
    /// # Errors
    /// When it cannot.
    pub fn label(&self, text: &str) -> Result<(DomainName, String), Unfit> {
        let name: DomainName = text.parse().map_err(|_| Unfit::Form)?;
        let below = |zone: &String| name.as_str().strip_suffix(zone.as_str()).and_then(|rest| rest.strip_suffix('.'));
        let label = self.zones.iter().find_map(below).ok_or(Unfit::Zone)?;
        // A hyphen in the third and fourth place marks an encoded name (RFC 5891 section 4.2.3.1), and those are not kept here.
        if label.is_empty() || label.contains('.') || label.get(2..4) == Some("--") {
            return Err(Unfit::Label);
        }
        let label = label.to_owned();
        Ok((name, label))
    }

    /// Whether a host lies below a suffix of ours.
    #[must_use]
    pub fn keeps(&self, host: &str) -> bool {
        self.zones.iter().any(|zone| host.strip_suffix(zone.as_str()).is_some_and(|rest| rest.ends_with('.')))
    }

    #[must_use]
    pub fn is_premium(&self, label: &str) -> bool {
        label.len() <= self.premium_length || self.premium.iter().any(|premium| premium == label)
    }

    /// The price of so many years, or of a restoration, which costs a year.
    #[must_use]
    pub fn price(&self, label: &str, years: u32) -> Money {
        let yearly = if self.is_premium(label) { self.premium_yearly } else { self.yearly };
        Money::from_minor(yearly.minor().saturating_mul(i64::from(years)), yearly.currency())
    }

    #[must_use]
    pub fn is_sniped(&self, label: &str) -> bool {
        self.quirks.sniped.as_ref().is_some_and(|prefix| label.starts_with(prefix.as_str()))
    }

    #[must_use]
    pub fn is_silent(&self, label: &str) -> bool {
        self.quirks.silent.as_deref() == Some(label)
    }
}
