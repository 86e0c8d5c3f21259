//! Extension `quotes`: a price that is bound to one exact request, with a digest and an expiry.
//!
//! `POST provisioning/quotes` answers a [`Quote`]; `quote_id` on the create accepts it. Each charge then names one line and is
//! never more than that line's amount.
//!
//! INVARIANT (quote-binds): the digest covers the request and every number of the quote, so neither side can change either
//! after a person has said yes to it.

use purser_values::money::MoneyError;
use purser_values::name::ProviderName;
use purser_values::{Currency, Money, Sha256Digest, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::catalog::Period;
use crate::id::{AccountId, ProjectId, QuoteId, QuoteLineId, ResourceId, ServiceId};
use crate::{canonical, limits, plain};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuoteRequest {
    pub service_id: ServiceId,
    #[serde(default, deserialize_with = "plain::or_default")]
    pub configuration: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
    /// The resource that an update would change; absent for a create.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_id: Option<ResourceId>,
    /// Extension `quote_parties`: who sells, and which account pays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parties: Option<Parties>,
}

/// Between whom a quote is, so that its digest is for nobody else. For providers that speak `quote_parties`: the digest of others does not know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parties {
    /// The provider, by the name in its manifest.
    pub provider: ProviderName,
    /// The account that pays, by the provider's own id.
    pub payer: AccountId,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuoteLine {
    pub id: QuoteLineId,
    #[serde(default, deserialize_with = "plain::or_default")]
    pub description: String,
    #[serde(flatten)]
    pub amount: Money,
    pub period: Period,
    /// How much of the first payment the account's credit at the provider pays (extension `credits`). Never there for an account without
    /// one, so that the digest is the same for a reader who has not heard of it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub credit_minor: i64,
}

const fn is_zero(minor: &i64) -> bool {
    *minor == 0
}

impl QuoteLine {
    /// What the payment token may be charged at first: the amount less what the credit pays.
    #[must_use]
    pub const fn charged(&self) -> Money {
        Money::from_minor(self.amount.minor().saturating_sub(self.credit_minor), self.amount.currency())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    pub id: QuoteId,
    pub lines: Vec<QuoteLine>,
    /// What is due at once: the sum of the lines.
    pub total_minor: i64,
    pub currency: Currency,
    #[serde(default = "yes")]
    pub irreversible: bool,
    #[serde(default)]
    pub refundable: bool,
    pub expires_at: Timestamp,
    pub digest: Sha256Digest,
}

const fn yes() -> bool {
    true
}

/// Why a quote must not be shown to a person, let alone accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuoteError {
    #[error("the quote's digest does not match its content")]
    Digest,
    #[error("the quote's total is not the sum of its lines")]
    Total,
    #[error("the quote has a negative amount, more credit than it costs, or more than {max} lines", max = limits::LINES_PER_QUOTE)]
    Lines,
    #[error("the quote mixes currencies")]
    Currency,
    #[error("the quote expired at {0}")]
    Expired(Timestamp),
}

impl Quote {
    /// A quote for `request` whose total and digest follow from the rest.
    ///
    /// # Errors
    /// When the lines mix currencies or do not add up to an amount that fits.
    pub fn new(
        id: QuoteId,
        request: &QuoteRequest,
        currency: Currency,
        lines: Vec<QuoteLine>,
        terms: QuoteTerms,
    ) -> Result<Self, MoneyError> {
        let total = lines.iter().try_fold(Money::zero(currency), |sum, line| sum.checked_add(line.amount))?;
        let mut quote = Self {
            id,
            lines,
            total_minor: total.minor(),
            currency,
            irreversible: terms.irreversible,
            refundable: terms.refundable,
            expires_at: terms.expires_at,
            digest: Sha256Digest::from_bytes([0; 32]),
        };
        quote.digest = quote.compute_digest(request);
        Ok(quote)
    }

    #[must_use]
    pub const fn total(&self) -> Money {
        Money::from_minor(self.total_minor, self.currency)
    }

    #[must_use]
    pub fn line(&self, id: &QuoteLineId) -> Option<&QuoteLine> {
        self.lines.iter().find(|line| line.id == *id)
    }

    /// What the payment token may be charged at once: the total less what the account's credit pays.
    #[must_use]
    pub fn charged(&self) -> Money {
        let credit = self.lines.iter().fold(0_i64, |sum, line| sum.saturating_add(line.credit_minor));
        Money::from_minor(self.total_minor.saturating_sub(credit), self.currency)
    }

    /// The digest over the request and every member of the quote but the digest itself.
    #[must_use]
    pub fn compute_digest(&self, request: &QuoteRequest) -> Sha256Digest {
        let mut quote = json!(self);
        if let Some(map) = quote.as_object_mut() {
            map.remove("digest");
        }
        canonical::digest(&json!({"request": request, "quote": quote}))
    }

    /// Checks everything that a reader relies on.
    ///
    /// # Errors
    /// When the quote is not for `request`, does not add up, or is over at `now`.
    pub fn verify(&self, request: &QuoteRequest, now: Timestamp) -> Result<(), QuoteError> {
        let bad = |line: &QuoteLine| line.amount.minor() < 0 || !(0..=line.amount.minor()).contains(&line.credit_minor);
        if self.lines.len() > limits::LINES_PER_QUOTE || self.lines.iter().any(bad) {
            return Err(QuoteError::Lines);
        }
        let sum = self.lines.iter().try_fold(Money::zero(self.currency), |sum, line| sum.checked_add(line.amount));
        match sum {
            Ok(sum) if sum == self.total() => {}
            Ok(_) | Err(MoneyError::Overflow) => return Err(QuoteError::Total),
            Err(_) => return Err(QuoteError::Currency),
        }
        if self.compute_digest(request) != self.digest {
            return Err(QuoteError::Digest);
        }
        if self.expires_at <= now {
            return Err(QuoteError::Expired(self.expires_at));
        }
        Ok(())
    }
}

/// The parts of a quote that are not money.
#[derive(Clone, Copy, Debug)]
pub struct QuoteTerms {
    pub irreversible: bool,
    pub refundable: bool,
    pub expires_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quote() -> (QuoteRequest, Quote) {
        let request = QuoteRequest {
            service_id: "registrar:domain".parse().unwrap(),
            configuration: json!({"domain": "example.test"}).as_object().unwrap().clone(),
            project_id: Some("prj_1".parse().unwrap()),
            resource_id: Some("res_1".parse().unwrap()),
            parties: Some(Parties { provider: "shop".parse().unwrap(), payer: "acct_1".parse().unwrap() }),
        };
        let line = |id: &str, minor| QuoteLine {
            id: QuoteLineId::try_from(id.to_owned()).unwrap(),
            description: "one year".to_owned(),
            amount: Money::from_minor(minor, Currency::USD),
            period: Period::Year,
            credit_minor: 0,
        };
        let terms = QuoteTerms { irreversible: true, refundable: false, expires_at: Timestamp::from_secs(600) };
        let quote = Quote::new("q1".parse().unwrap(), &request, Currency::USD, vec![line("l1", 900), line("l2", 15)], terms).unwrap();
        (request, quote)
    }

    #[test]
    fn a_credit_pays_a_part_of_a_line_and_never_more() {
        let (request, mut quote) = quote();
        let plain = serde_json::to_string(&quote).unwrap();
        assert!(!plain.contains("credit"), "{plain}");
        quote.lines[0].credit_minor = 400;
        assert_eq!(quote.verify(&request, Timestamp::from_secs(0)), Err(QuoteError::Digest));
        quote.digest = quote.compute_digest(&request);
        assert_eq!(quote.verify(&request, Timestamp::from_secs(0)), Ok(()));
        assert_eq!((quote.charged().minor(), quote.lines[0].charged().minor()), (515, 500));
        for credit in [901, -1] {
            quote.lines[0].credit_minor = credit;
            quote.digest = quote.compute_digest(&request);
            assert_eq!(quote.verify(&request, Timestamp::from_secs(0)), Err(QuoteError::Lines), "{credit}");
        }
    }

    #[test]
    fn a_quote_holds_after_the_wire_and_until_its_expiry() {
        let (request, quote) = quote();
        let quote: Quote = serde_json::from_str(&serde_json::to_string(&quote).unwrap()).unwrap();
        assert_eq!(quote.total_minor, 915);
        assert_eq!(quote.verify(&request, Timestamp::from_secs(599)), Ok(()));
        assert_eq!(quote.verify(&request, Timestamp::from_secs(600)), Err(QuoteError::Expired(Timestamp::from_secs(600))));
    }

    /// The JSON documents that differ from this one in one place: a value changed, or a member left out.
    fn neighbours(value: &Value) -> Vec<Value> {
        let mut found = Vec::new();
        match value {
            Value::Object(members) => {
                for (name, inner) in members {
                    let mut without = members.clone();
                    without.remove(name);
                    found.push(Value::Object(without));
                    for other in neighbours(inner) {
                        let mut with = members.clone();
                        with.insert(name.clone(), other);
                        found.push(Value::Object(with));
                    }
                }
            }
            Value::Array(items) => {
                for (n, inner) in items.iter().enumerate() {
                    let with = |other: Option<Value>| {
                        let mut with = items.clone();
                        match other {
                            Some(other) => with[n] = other,
                            None => drop(with.remove(n)),
                        }
                        Value::Array(with)
                    };
                    found.push(with(None));
                    found.extend(neighbours(inner).into_iter().map(|other| with(Some(other))));
                }
                let turned: Vec<Value> = items.iter().rev().cloned().collect();
                found.extend((turned != *items).then_some(Value::Array(turned)));
            }
            Value::String(text) => found.extend((0..text.len()).map(|at| {
                let mut bytes = text.clone().into_bytes();
                bytes[at] = if bytes[at] == b'1' { b'2' } else { b'1' };
                Value::String(String::from_utf8(bytes).unwrap())
            })),
            Value::Number(number) => found.extend([1, -1].map(|by| json!(number.as_i64().unwrap() + by))),
            Value::Bool(flag) => found.push(json!(!flag)),
            Value::Null => found.push(json!(0)),
        }
        found
    }

    #[test]
    fn one_changed_byte_of_request_or_quote_is_refused() {
        let (request, quote) = quote();
        assert_eq!(quote.verify(&request, Timestamp::EPOCH), Ok(()));
        let (mut requests, mut quotes) = (0, 0);
        for other in neighbours(&json!(request)) {
            // What is no request at all is refused before.
            let Ok(other) = serde_json::from_value::<QuoteRequest>(other) else { continue };
            requests += 1;
            assert_eq!(quote.verify(&other, Timestamp::EPOCH), Err(QuoteError::Digest), "{other:?}");
        }
        for other in neighbours(&json!(quote)) {
            let Ok(other) = serde_json::from_value::<Quote>(other) else { continue };
            // What is left out and means what it says anyway is the same quote.
            if other == quote {
                continue;
            }
            quotes += 1;
            assert!(other.verify(&request, Timestamp::EPOCH).is_err(), "{other:?}");
        }
        assert!(requests > 30 && quotes > 100, "{requests} requests and {quotes} quotes were tried");
    }

    #[test]
    fn a_total_that_hides_a_line_is_refused() {
        let (request, mut quote) = quote();
        quote.total_minor = 900;
        quote.digest = quote.compute_digest(&request);
        assert_eq!(quote.verify(&request, Timestamp::EPOCH), Err(QuoteError::Total));
        quote.lines[1].amount = Money::from_minor(-15, Currency::USD);
        assert_eq!(quote.verify(&request, Timestamp::EPOCH), Err(QuoteError::Lines));
    }
}
