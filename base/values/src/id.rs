//! Typed, prefixed identifiers from one registry.
//!
//! An id reads `agt_01hq3…`: a prefix of three letters that names its kind, and 26 characters of Crockford base 32 that
//! hold 48 bits of milliseconds and 80 random bits, so that ids of one kind sort by the time they were made.
//! A provider's own ids are not ours and never get one of these types.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::env::Env;

/// The kind of thing an id names.
pub trait Kind: 'static {
    const PREFIX: &'static str;
}

/// The id of one thing of kind `K`.
pub struct Id<K>(Arc<str>, PhantomData<fn() -> K>);

#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not a whole id: one is `{prefix}_` and 26 letters and digits")]
pub struct ParseIdError {
    text: String,
    prefix: &'static str,
}

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const BODY: usize = 26;

impl<K: Kind> Id<K> {
    /// A fresh id.
    #[must_use]
    pub fn mint(env: &Env) -> Self {
        let millis = u128::from((env.now().as_micros() / 1_000).unsigned_abs()) & ((1 << 48) - 1);
        let random = u128::from_be_bytes(env.bytes::<16>()) & ((1 << 80) - 1);
        let mut bits = (millis << 80) | random;
        let mut body = [0_u8; BODY];
        for slot in body.iter_mut().rev() {
            *slot = ALPHABET[usize::try_from(bits & 31).unwrap_or(0)];
            bits >>= 5;
        }
        let mut text = String::with_capacity(K::PREFIX.len() + 1 + BODY);
        text.push_str(K::PREFIX);
        text.push('_');
        text.extend(body.into_iter().map(char::from));
        Self(text.into(), PhantomData)
    }

    /// The text alone, without a copy.
    #[must_use]
    pub fn into_text(self) -> Arc<str> {
        self.0
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<K: Kind> FromStr for Id<K> {
    type Err = ParseIdError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let body = s.strip_prefix(K::PREFIX).and_then(|rest| rest.strip_prefix('_'));
        match body {
            Some(body) if body.len() == BODY && body.bytes().all(|b| ALPHABET.contains(&b)) => Ok(Self(s.into(), PhantomData)),
            _ => Err(ParseIdError { text: s.chars().take(64).collect(), prefix: K::PREFIX }),
        }
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<K> Eq for Id<K> {}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}
impl<K> std::hash::Hash for Id<K> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
impl<K> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl<K> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl<K> AsRef<str> for Id<K> {
    fn as_ref(&self) -> &str {
        &self.0
    }
}
impl<K> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}
impl<'de, K: Kind> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let s = std::borrow::Cow::<'de, str>::deserialize(d)?;
        s.parse().map_err(serde::de::Error::custom)
    }
}

macro_rules! registry {
    ($($(#[$doc:meta])* $name:ident = $kind:ident $prefix:literal;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug)]
            pub enum $kind {}
            impl Kind for $kind { const PREFIX: &'static str = $prefix; }
            $(#[$doc])*
            pub type $name = Id<$kind>;
        )*
        /// Every prefix that is in use, for the test that keeps them apart.
        pub const PREFIXES: &[&str] = &[$($prefix),*];
    };
}

registry! {
    /// A human with a login.
    PersonId = Person "per";
    /// An organisation that persons belong to.
    OrganisationId = Organisation "org";
    /// An offer to join an organisation.
    InvitationId = Invitation "inv";
    /// A person's signed-in browser session.
    SessionId = Session "ses";
    /// A person's account at their company's OpenID provider, connected with their login here.
    SsoIdentityId = SsoIdentity "sso";
    /// A person's passkey.
    PasskeyId = Passkey "psk";
    /// Software that acts for a person.
    AgentId = Agent "agt";
    /// The signed record by which a person lets one agent act.
    GrantId = Grant "grt";
    /// An agent's request for a grant that waits for a person.
    GrantRequestId = GrantRequest "grq";
    /// What a person lets workloads of another issuer do.
    WorkloadTrustId = WorkloadTrust "wlt";
    /// One access token, as its `jti`.
    TokenId = Token "tok";
    /// The refresh tokens that follow from one acceptance.
    TokenFamilyId = TokenFamily "tfm";
    /// An OAuth client that was registered here.
    ClientRegistrationId = ClientRegistration "cli";
    /// A client's request for authorization that waits for a person.
    AuthorizationId = Authorization "aut";
    /// One person signed in at one client, from one browser session of ours.
    SignOnId = SignOn "sgn";
    /// A terms document that was accepted, by whom and when.
    TermsAcceptanceId = TermsAcceptance "trm";
    /// One application.
    ProjectId = Project "prj";
    /// A provider in the catalogue.
    ProviderId = Provider "prv";
    /// The organisation's account at a provider (our record of it, not the provider's own id).
    AccountId = Account "acc";
    /// One provisioned instance of a service.
    ResourceId = Resource "res";
    /// One version of code running at a provider.
    DeploymentId = Deployment "dpl";
    /// A payment method on file at the processor.
    PaymentMethodId = PaymentMethod "pmt";
    /// A person on the way to put a payment method on file.
    PaymentSetupId = PaymentSetup "pms";
    /// A permission for one provider to charge a payment method.
    PaymentTokenId = PaymentToken "ptk";
    /// Money set aside for a purchase.
    HoldId = Hold "hld";
    /// Money taken by a provider.
    ChargeId = Charge "chg";
    /// Money that a provider gives back.
    RefundId = Refund "rfd";
    /// Money that somebody asked a provider to give back.
    RefundRequestId = RefundRequest "rrq";
    /// A movement between ledger accounts.
    TransferId = Transfer "trf";
    /// A price bound to an exact request.
    QuoteId = Quote "quo";
    /// A person's yes to one exact request.
    ApprovalId = Approval "apr";
    /// An entry of the audit log.
    EventId = Event "evt";
    /// A durable saga.
    SagaId = Saga "sag";
    /// A follow-up effect.
    JobId = Job "job";
    /// An alert that was or will be sent.
    AlertId = Alert "alr";
    /// What an organisation means to spend on something in a period.
    BudgetId = Budget "bdg";
    /// An organisation's application for a provider's credit.
    CreditApplicationId = CreditApplication "cra";
    /// Cloud side: a credit that was redeemed.
    CreditId = Credit "crd";
    /// An address that an organisation wants to be told at.
    WebhookId = Webhook "whk";
    /// A message to a person.
    MessageId = Message "msg";
    /// A request, for logs and problem documents.
    RequestId = Request "req";
    /// Cloud side: a customer account of slipway.
    CloudAccountId = CloudAccount "sac";
    /// Cloud side: a subscription to a plan.
    SubscriptionId = Subscription "sub";
    /// Cloud side: a person with a mailbox.
    CloudPersonId = CloudPerson "cpr";
    /// Cloud side: a signed-in browser.
    CloudSessionId = CloudSession "cse";
    /// Cloud side: what connects a subject of an orchestrator with an account.
    CloudLinkId = CloudLink "lnk";
    /// Cloud side: a request to connect that waits for the owner.
    CloudLinkRequestId = CloudLinkRequest "lrq";
    /// Cloud side: a registered domain.
    DomainId = Domain "dom";
    /// Cloud side: a provisioned resource.
    CloudResourceId = CloudResource "srs";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timestamp::Timestamp;

    #[test]
    fn prefixes_are_unique_and_of_three_letters() {
        let mut seen = std::collections::BTreeSet::new();
        for prefix in PREFIXES {
            assert_eq!(prefix.len(), 3);
            assert!(seen.insert(prefix), "prefix `{prefix}` is used twice");
        }
    }

    #[test]
    fn ids_sort_by_the_time_they_were_made() {
        let (env, clock) = Env::test(Timestamp::from_secs(1_795_000_000), 3);
        let a = AgentId::mint(&env);
        clock.advance_secs(1);
        let b = AgentId::mint(&env);
        assert!(a < b);
        assert_eq!(a.as_str().parse::<AgentId>().unwrap(), a);
    }

    #[test]
    fn an_id_of_another_kind_is_refused() {
        let (env, _) = Env::test(Timestamp::EPOCH, 3);
        assert!(AgentId::mint(&env).as_str().parse::<GrantId>().is_err());
        assert!("agt_".parse::<AgentId>().is_err());
        assert!("agt_0000000000000000000000000O".parse::<AgentId>().is_err());
    }
}
