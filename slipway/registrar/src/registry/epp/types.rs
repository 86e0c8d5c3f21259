//! What `instant-epp` has no types for: prices (RFC 8748), changes of DS records (RFC 5910), and answers with more than one extension.

use instant_epp::Error;
use instant_epp::common::NoExtension;
use instant_epp::domain::{DomainCheck, DomainCreate, DomainUpdate, HostInfo, InfoData, Status, transfer::TransferData};
use instant_epp::request::{Extension, Transaction};
use instant_epp::response::{EppResult, MessageQueue, ResultCode};
use instant_xml::{FromXml, ToXml};
use purser_values::name::DomainName;
use purser_values::{Currency, Money, Secret, Timestamp};

use crate::registry::{Ds, Holder, Message, Registration, RegistryError};

/// Names that one message can speak of.
const NAMES: usize = 20;
const EPP: &str = "urn:ietf:params:xml:ns:epp-1.0";
const SECDNS: &str = "urn:ietf:params:xml:ns:secDNS-1.1";
const FEE: &str = super::lines::FEE;

impl Extension for FeeCheck {
    type Response = FeeChecked;
}
impl Transaction<FeeCheck> for DomainCheck<'_> {}

/// Asks for the price of a year.
#[derive(Debug, ToXml)]
#[xml(rename = "check", ns(FEE))]
pub(super) struct FeeCheck {
    currency: String,
    command: FeeCommand,
}

#[derive(Debug, ToXml)]
#[xml(rename = "command", ns(FEE))]
struct FeeCommand {
    #[xml(attribute)]
    name: &'static str,
    period: FeePeriod,
}

#[derive(Debug, ToXml)]
#[xml(rename = "period", ns(FEE))]
struct FeePeriod {
    #[xml(attribute)]
    unit: &'static str,
    #[xml(direct)]
    years: u32,
}

impl FeeCheck {
    pub(super) fn new(yearly: Money) -> Self {
        let period = FeePeriod { unit: "y", years: 1 };
        Self { currency: yearly.currency().code().to_owned(), command: FeeCommand { name: "create", period } }
    }
}

#[derive(Debug, FromXml)]
#[xml(rename = "chkData", ns(FEE))]
pub(super) struct FeeChecked {
    currency: String,
    names: Vec<FeeName>,
}

#[derive(Debug, FromXml)]
#[xml(rename = "cd", ns(FEE))]
struct FeeName {
    #[xml(rename = "objID")]
    name: String,
    class: Option<String>,
    commands: Vec<FeeLine>,
}

#[derive(Debug, FromXml)]
#[xml(rename = "command", ns(FEE))]
struct FeeLine {
    #[xml(attribute)]
    standard: Option<bool>,
    fees: Vec<Fee>,
}

#[derive(Debug, FromXml, ToXml)]
#[xml(rename = "fee", ns(FEE))]
struct Fee {
    #[xml(direct)]
    amount: String,
}

/// The price of a name.
pub(super) struct Price {
    pub name: String,
    pub yearly: Money,
    pub premium: bool,
}

impl FeeChecked {
    /// What each name costs a year. A price that cannot be read is left out, and so the name is dearer than anybody pays.
    pub(super) fn yearly(&self, currency: Currency) -> Vec<Price> {
        let price = |name: &FeeName| {
            let line = name.commands.first()?;
            let mut sum = Money::zero(currency);
            for fee in &line.fees {
                sum = sum.checked_add(Money::parse_decimal(fee.amount.trim(), currency).ok()?).ok()?;
            }
            let readable = self.currency == currency.code() && !line.fees.is_empty();
            let special = line.standard == Some(false) || name.class.as_deref().is_some_and(|it| !it.eq_ignore_ascii_case("standard"));
            let yearly = if readable { sum } else { Money::from_minor(i64::MAX, currency) };
            Some(Price { name: name.name.clone(), yearly, premium: special || !readable })
        };
        self.names.iter().filter_map(price).collect()
    }
}

impl Extension for FeeCreate {
    type Response = FeeCreated;
}
impl Transaction<FeeCreate> for DomainCreate<'_> {}

/// The price that is agreed to.
#[derive(Debug, ToXml)]
#[xml(rename = "create", ns(FEE))]
pub(super) struct FeeCreate {
    currency: String,
    fee: Fee,
}

#[derive(Debug, FromXml)]
#[xml(rename = "creData", ns(FEE))]
pub(super) struct FeeCreated {
    #[allow(dead_code, reason = "so that the answer's extension is read as what it is")]
    currency: Option<String>,
}

impl FeeCreate {
    pub(super) fn new(price: Money) -> Self {
        Self { currency: price.currency().code().to_owned(), fee: Fee { amount: price.decimal() } }
    }
}

impl Extension for SecDnsUpdate {
    type Response = NoExtension;
}
impl Transaction<SecDnsUpdate> for DomainUpdate<'_> {}

/// Replaces all DS records.
#[derive(Debug, ToXml)]
#[xml(rename = "update", ns(SECDNS))]
pub(super) struct SecDnsUpdate {
    rem: Option<SecDnsRemove>,
    add: Option<SecDnsAdd>,
}

#[derive(Debug, ToXml)]
#[xml(rename = "rem", ns(SECDNS))]
struct SecDnsRemove {
    all: bool,
}

#[derive(Debug, ToXml)]
#[xml(rename = "add", ns(SECDNS))]
struct SecDnsAdd {
    ds: Vec<DsData>,
}

#[derive(Clone, Debug, FromXml, ToXml)]
#[xml(rename = "dsData", ns(SECDNS))]
pub(super) struct DsData {
    #[xml(rename = "keyTag")]
    key_tag: u16,
    alg: u8,
    #[xml(rename = "digestType")]
    digest_type: u8,
    digest: String,
}

impl SecDnsUpdate {
    pub(super) fn replacing(held: bool, ds: Vec<DsData>) -> Self {
        Self { rem: held.then_some(SecDnsRemove { all: true }), add: (!ds.is_empty()).then_some(SecDnsAdd { ds }) }
    }
}

impl From<&Ds> for DsData {
    fn from(ds: &Ds) -> Self {
        Self { key_tag: ds.key_tag, alg: ds.algorithm, digest_type: ds.digest_type, digest: ds.digest.to_ascii_uppercase() }
    }
}

#[derive(Debug, FromXml)]
#[xml(rename = "epp", ns(EPP))]
struct Document {
    response: Answer,
}

/// An answer of any kind.
#[derive(Debug, FromXml)]
#[xml(rename = "response", ns(EPP))]
pub(super) struct Answer {
    result: EppResult,
    #[xml(rename = "msgQ")]
    queue: Option<MessageQueue>,
    data: Option<ResData>,
    extension: Option<InfoExtension>,
}

#[derive(Debug, FromXml)]
#[xml(rename = "resData", ns(EPP))]
struct ResData {
    info: Option<InfoData>,
    transfer: Option<TransferData>,
}

#[derive(Debug, FromXml)]
#[xml(rename = "extension", ns(EPP))]
struct InfoExtension {
    secdns: Option<SecDnsInfo>,
}

#[derive(Debug, FromXml)]
#[xml(rename = "infData", ns(SECDNS))]
struct SecDnsInfo {
    ds: Vec<DsData>,
}

impl Answer {
    pub(super) fn read(text: &str) -> Result<Self, Error> {
        instant_xml::from_str::<Document>(text).map(|it| it.response).map_err(|e| Error::Xml(e.into()))
    }

    pub(super) fn code(&self) -> ResultCode {
        self.result.code
    }

    pub(super) fn refusal(&self) -> RegistryError {
        let reason = self.result.ext_values.first().map_or(self.result.message.as_str(), |it| it.reason.text.as_str());
        refusal(self.result.code, reason)
    }

    /// Registries name what they speak of in data of many kinds, or in their words alone: both are looked through.
    pub(super) fn message(self) -> Option<Message> {
        let queue = self.queue?;
        let text = queue.message?.text;
        let data = self.data.unwrap_or(ResData { info: None, transfer: None });
        let transfer_asked = data.transfer.as_ref().is_some_and(|it| it.transfer_status == "pending");
        let named = data.transfer.iter().map(|it| it.name.as_str()).chain(data.info.iter().map(|it| it.name.as_str()));
        let said =
            text.split_whitespace().map(|word| word.trim_matches(|c: char| !c.is_ascii_alphanumeric())).filter(|word| word.contains('.'));
        let mut about: Vec<DomainName> = named.chain(said).take(NAMES).filter_map(|name| name.to_ascii_lowercase().parse().ok()).collect();
        about.sort();
        about.dedup();
        Some(Message { id: queue.id, text, about, transfer_asked })
    }

    /// The registered name, if it is kept for `client`.
    pub(super) fn registration(self, client: &str) -> Result<Registration, RegistryError> {
        let unreadable = || RegistryError::Transient("the registry's answer cannot be read".to_owned());
        let info = self.data.and_then(|it| it.info).ok_or_else(unreadable)?;
        if info.client_id != client {
            return Err(RegistryError::Taken);
        }
        let statuses = info.statuses.unwrap_or_default();
        let hosts = info.ns.map(|it| it.ns.into_owned()).unwrap_or_default();
        let names = hosts.iter().map(|host| match host {
            HostInfo::Obj(host) => host.name.parse(),
            HostInfo::Attr(host) => host.name.parse(),
        });
        let ds = self.extension.and_then(|it| it.secdns).map(|it| it.ds).unwrap_or_default();
        let at = |micros: i64| Timestamp::from_micros(micros);
        Ok(Registration {
            registered_at: info.created_at.map(|it| at(it.timestamp_micros())).ok_or_else(unreadable)?,
            expires_at: info.expiring_at.map(|it| at(it.timestamp_micros())).ok_or_else(unreadable)?,
            name_servers: names.collect::<Result<_, _>>().map_err(|_| unreadable())?,
            locked: statuses.iter().any(|it| matches!(it, Status::ClientTransferProhibited | Status::ServerTransferProhibited)),
            held: statuses.contains(&Status::ClientHold),
            deleted: statuses.contains(&Status::PendingDelete),
            ds: ds
                .into_iter()
                .map(|it| Ds {
                    key_tag: it.key_tag,
                    algorithm: it.alg,
                    digest_type: it.digest_type,
                    digest: it.digest.to_ascii_uppercase(),
                })
                .collect(),
        })
    }
}

/// What a refusal means for an order. Whatever says nothing of the order itself leaves its outcome open.
pub(super) fn refusal(code: ResultCode, reason: &str) -> RegistryError {
    match code {
        ResultCode::ObjectExists => RegistryError::Taken,
        ResultCode::BillingFailure
        | ResultCode::CommandFailed
        | ResultCode::CommandFailedServerClosingConnection
        | ResultCode::AuthenticationError
        | ResultCode::AuthenticationErrorServerClosingConnection
        | ResultCode::SessionLimitExceededServerClosingConnection
        | ResultCode::CommandUseError => RegistryError::Transient(reason.to_owned()),
        _ => RegistryError::Invalid(reason.to_owned()),
    }
}

/// `contact:create`, as a document's part: what `instant-epp` has types for logs what it says.
pub(super) fn contact_create(id: &str, holder: &Holder, auth: &str) -> String {
    let leaf = |tag: &str, text: &str| format!("<c:{tag}>{}</c:{tag}>", escaped(text));
    let maybe = |tag: &str, text: Option<&String>| text.map(|text| leaf(tag, text)).unwrap_or_default();
    format!(
        "<create><c:create xmlns:c=\"urn:ietf:params:xml:ns:contact-1.0\">{}<c:postalInfo type=\"loc\">{}{}<c:addr>{}{}{}{}{}</c:addr></c:postalInfo>{}{}<c:authInfo>{}</c:authInfo></c:create></create>",
        leaf("id", id),
        leaf("name", &holder.name),
        maybe("org", holder.organization.as_ref()),
        leaf("street", &holder.street),
        leaf("city", &holder.city),
        maybe("sp", holder.state.as_ref()),
        leaf("pc", &holder.postal_code),
        leaf("cc", &holder.country),
        leaf("voice", &holder.phone),
        leaf("email", &holder.email),
        leaf("pw", auth),
    )
}

/// `domain:renew`, as a document's part: its answer may bear a price.
pub(super) fn renew(name: &DomainName, from: &str, years: u32, price: Option<Money>) -> String {
    let fee = price.map(|price| {
        format!(
            "<extension><f:renew xmlns:f=\"{FEE}\"><f:currency>{}</f:currency><f:fee>{}</f:fee></f:renew></extension>",
            price.currency(),
            price.decimal()
        )
    });
    format!(
        "<renew><d:renew xmlns:d=\"urn:ietf:params:xml:ns:domain-1.0\"><d:name>{name}</d:name><d:curExpDate>{from}</d:curExpDate><d:period unit=\"y\">{years}</d:period></d:renew></renew>{}",
        fee.unwrap_or_default()
    )
}

/// `domain:transfer`, as a document's part: what `instant-epp` has a type for logs the secret.
pub(super) fn transfer(name: &DomainName, op: &str, secret: Option<&Secret<String>>) -> String {
    let auth = secret.map(|it| format!("<d:authInfo><d:pw>{}</d:pw></d:authInfo>", escaped(it.expose()))).unwrap_or_default();
    format!(
        "<transfer op=\"{op}\"><d:transfer xmlns:d=\"urn:ietf:params:xml:ns:domain-1.0\"><d:name>{name}</d:name>{auth}</d:transfer></transfer>"
    )
}

/// `domain:update` with another registrant.
pub(super) fn registrant(name: &DomainName, id: &str) -> String {
    format!(
        "<update><d:update xmlns:d=\"urn:ietf:params:xml:ns:domain-1.0\"><d:name>{name}</d:name><d:chg><d:registrant>{}</d:registrant></d:chg></d:update></update>",
        escaped(id)
    )
}

/// Text as it stands in a document.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c < ' ' && !matches!(c, '\t' | '\n' | '\r') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
