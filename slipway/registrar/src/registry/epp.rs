//! Any registry that speaks EPP (RFC 5730 to 5734), through `instant-epp`.
//!
//! INVARIANT (intent-first): a lost answer is never guessed. The order is sent again under the same transaction id, and a registry that
//! says the name is taken is asked whether it is taken by this very order: only that order's `authInfo` proves it.

mod lines;
mod types;

use std::time::Duration;

use instant_epp::Error;
use instant_epp::domain::{
    DomainCheck, DomainContact, DomainCreate, DomainDelete, DomainUpdate, HostInfo, HostObj, NameServers, Period, PeriodLength, Status,
    update::{DomainAdd, DomainRemove},
};
use instant_epp::host::HostCreate;
use instant_epp::response::ResultCode;
use purser_crypto::encoding::b64url;
use purser_crypto::mac::hmac_sha256;
use purser_values::id::DomainId;
use purser_values::name::{DomainName, HostName};
use purser_values::{Env, Money, Secret, Sha256Digest, Timestamp};

use super::{Availability, Ds, Holder, Message, Order, Pending, Registration, Registry, RegistryError, Renewal};
use lines::Lines;
pub use lines::{Account, Dial, Wire, over_tls};
use types::{DsData, FeeCheck, FeeCreate, SecDnsUpdate, escaped};

/// How long a registry may take to answer.
const ANSWER: Duration = Duration::from_secs(20);
/// Characters of an `authInfo` (pwAuthInfoType knows no bound; 32 are more than enough and few enough for every registry).
const AUTH_INFO: usize = 32;
/// What the holder of a name is for it beside its registrant, at registries that want each named.
const ROLES: [&str; 3] = ["admin", "tech", "billing"];
/// Names in one check.
const CHECKED: usize = 20;

/// A registry behind EPP.
pub struct EppRegistry {
    suffixes: Vec<String>,
    /// The price of a year where the registry tells none.
    yearly: Money,
    lines: Lines,
    secret: Secret<Vec<u8>>,
    env: Env,
}

/// Signs in and does nothing: whether a registry takes what it is to be spoken to with.
pub struct Probe(Lines);

impl Probe {
    #[must_use]
    pub fn new(account: Account, dial: Dial) -> Self {
        Self(Lines::new(account, dial))
    }

    /// # Errors
    /// When the registry cannot be reached, or does not let us in.
    pub async fn sign_in(&self) -> Result<(), RegistryError> {
        self.0.features().await.map(drop).map_err(|e| refused(&e))
    }
}

impl EppRegistry {
    /// `secret` is what every `authInfo` is derived from: 32 bytes that are kept outside of the database.
    #[must_use]
    pub fn new(suffixes: Vec<String>, yearly: Money, account: Account, dial: Dial, secret: Secret<Vec<u8>>, env: Env) -> Self {
        Self { suffixes, yearly, lines: Lines::new(account, dial), secret, env }
    }

    /// The secret of a name that an order registers.
    fn auth_info(&self, order: &DomainId) -> String {
        let mut text = b64url(&hmac_sha256(self.secret.expose(), &[b"authInfo\0", order.as_str().as_bytes()]));
        text.truncate(AUTH_INFO);
        text
    }

    /// A transaction id that nothing hangs on.
    fn fresh(&self) -> String {
        format!("slp-{}", b64url(&self.env.bytes::<16>()))
    }

    async fn create(&self, order: &Order, contact: Option<&str>) -> Result<Registration, Error> {
        let hosts: Vec<HostInfo<'_>> = order.name_servers.iter().map(host_info).collect();
        let years = Period::Years(PeriodLength::new(u8::try_from(order.years).unwrap_or_default())?);
        let auth = self.auth_info(&order.transaction);
        let contacts = contact.map(|id| ROLES.map(|role| DomainContact { contact_type: role.into(), id: id.into() }));
        let contacts = contacts.as_ref().map(<[DomainContact<'_>; 3]>::as_slice);
        let create = DomainCreate::new(order.name.as_str(), years, Some(&hosts), contact, &auth, contacts);
        let id = order.transaction.as_str();
        let made = if self.lines.features().await?.fee {
            // Naming the price keeps one that changed meanwhile from being paid by accident.
            let fee = FeeCreate::new(order.price);
            self.lines.say((&create, &fee).into(), id).await?.res_data().map(|it| (it.created_at, it.expiring_at))
        } else {
            self.lines.say((&create).into(), id).await?.res_data().map(|it| (it.created_at, it.expiring_at))
        };
        let (created, expires) = made.ok_or_else(|| Error::Other("the registry says nothing of the name that it registered".into()))?;
        let registered_at = Timestamp::from_micros(created.timestamp_micros());
        let months = i32::try_from(order.years).unwrap_or_default().saturating_mul(12);
        Ok(Registration {
            registered_at,
            expires_at: expires.map_or_else(|| registered_at.plus_months(months), |at| Timestamp::from_micros(at.timestamp_micros())),
            name_servers: order.name_servers.clone(),
            locked: false,
            held: false,
            ds: Vec::new(),
            deleted: false,
        })
    }

    /// The contact of a holder, made if it is not there. Its id follows from what it says of whom, so that a repeated one is the same.
    async fn contact(&self, name: &DomainName, holder: &Holder) -> Result<String, RegistryError> {
        let said = serde_json::to_vec(holder).map_err(|e| RegistryError::Invalid(e.to_string()))?;
        let key = hmac_sha256(self.secret.expose(), &[b"contact\0", name.as_str().as_bytes(), b"\0", &said]);
        let id = format!("C{}", key.iter().take(7).map(|b| format!("{b:02X}")).collect::<String>());
        let mut auth = b64url(&hmac_sha256(self.secret.expose(), &[b"contact-auth\0", id.as_bytes()]));
        auth.truncate(AUTH_INFO);
        let answer = self.lines.raw(&types::contact_create(&id, holder, &auth), &self.fresh()).await.map_err(|e| refused(&e))?;
        match answer.code() {
            code if code.is_success() => Ok(id),
            ResultCode::ObjectExists => Ok(id),
            _ => Err(answer.refusal()),
        }
    }

    /// Asks for a name that another registrar keeps. It is ours when that registrar agrees, or says nothing for some days; asking again while
    /// the question is open changes nothing.
    ///
    /// # Errors
    /// When the secret is wrong, the name is locked, or the registry gives no answer.
    pub async fn request_transfer(&self, name: &DomainName, secret: &Secret<String>) -> Result<(), RegistryError> {
        let command = types::transfer(name, "request", Some(secret));
        let answer = self.lines.raw(&command, &self.fresh()).await.map_err(|e| refused(&e))?;
        match answer.code() {
            code if code.is_success() => Ok(()),
            ResultCode::ObjectPendingTransfer => Ok(()),
            _ => Err(answer.refusal()),
        }
    }

    /// What the registry holds under a name; with the secret of an order, only if that order made it.
    async fn look(&self, name: &DomainName, auth: Option<&str>) -> Result<Option<Registration>, RegistryError> {
        let auth = auth.map(|pw| format!("<d:authInfo><d:pw>{}</d:pw></d:authInfo>", escaped(pw))).unwrap_or_default();
        let command = format!(
            "<info><d:info xmlns:d=\"urn:ietf:params:xml:ns:domain-1.0\"><d:name hosts=\"del\">{name}</d:name>{auth}</d:info></info>"
        );
        let answer = self.lines.raw(&command, &self.fresh()).await.map_err(|e| refused(&e))?;
        match answer.code() {
            ResultCode::CommandCompletedSuccessfully => {}
            ResultCode::ObjectDoesNotExist => return Ok(None),
            ResultCode::InvalidAuthorizationInformation => return Err(RegistryError::Taken),
            _ => return Err(answer.refusal()),
        }
        answer.registration(self.lines.account()).map(Some)
    }

    /// The name, which must be registered and ours.
    async fn ours(&self, name: &DomainName) -> Result<Registration, RegistryError> {
        self.look(name, None).await?.ok_or_else(|| RegistryError::Invalid("the name is not registered".to_owned()))
    }

    /// Makes the hosts known that names are to be delegated to.
    async fn hosts(&self, hosts: &[HostName]) -> Result<(), RegistryError> {
        for host in hosts {
            let create = HostCreate::new(host.as_str(), None);
            match self.lines.say((&create).into(), &self.fresh()).await {
                Ok(_) => {}
                Err(e) if code(&e) == Some(ResultCode::ObjectExists) => {}
                Err(e) => return Err(refused(&e)),
            }
        }
        Ok(())
    }

    async fn set_status(&self, name: &DomainName, status: Status, is: bool, wanted: bool) -> Result<(), RegistryError> {
        if is == wanted {
            return Ok(());
        }
        let statuses = [status];
        let mut update = DomainUpdate::new(name.as_str());
        if wanted {
            update.add(DomainAdd { ns: None, contacts: None, statuses: Some(&statuses) });
        } else {
            update.remove(DomainRemove { ns: None, contacts: None, statuses: Some(&statuses) });
        }
        self.update(&update).await
    }

    async fn update(&self, update: &DomainUpdate<'_>) -> Result<(), RegistryError> {
        self.lines.say(update.into(), &self.fresh()).await.map(drop).map_err(|e| refused(&e))
    }
}

impl Registry for EppRegistry {
    fn suffixes(&self) -> &[String] {
        &self.suffixes
    }

    fn check<'a>(&'a self, name: &'a DomainName) -> Pending<'a, Availability> {
        Box::pin(async move {
            let one = self.check_all(std::slice::from_ref(name)).await?;
            one.first().copied().ok_or_else(|| RegistryError::Transient("the registry says nothing of the name".to_owned()))
        })
    }

    fn check_all<'a>(&'a self, names: &'a [DomainName]) -> Pending<'a, Vec<Availability>> {
        Box::pin(async move {
            let fee = self.lines.features().await.map_err(|e| refused(&e))?.fee;
            let mut all = Vec::new();
            for some in names.chunks(CHECKED) {
                let texts: Vec<&str> = some.iter().map(DomainName::as_str).collect();
                let check = DomainCheck { domains: &texts };
                let (checked, prices) = if fee {
                    let asked = FeeCheck::new(self.yearly);
                    let said = self.lines.say((&check, &asked).into(), &self.fresh()).await.map_err(|e| refused(&e))?;
                    let prices = said.extension().map(|it| it.yearly(self.yearly.currency())).unwrap_or_default();
                    (said.res_data.map(instant_epp::response::ResponseData::into_inner), prices)
                } else {
                    let said = self.lines.say((&check).into(), &self.fresh()).await.map_err(|e| refused(&e))?;
                    (said.res_data.map(instant_epp::response::ResponseData::into_inner), Vec::new())
                };
                let checked = checked.ok_or_else(|| RegistryError::Transient("the registry answers a check with nothing".to_owned()))?;
                for name in some {
                    let found = checked.list.iter().find(|it| it.name.value.eq_ignore_ascii_case(name.as_str()));
                    let found = found.ok_or_else(|| RegistryError::Transient(format!("the registry says nothing of `{name}`")))?;
                    let price = prices.iter().find(|it| it.name.eq_ignore_ascii_case(name.as_str()));
                    all.push(match (found.name.available, price) {
                        (false, _) => Availability::Taken,
                        (true, Some(price)) if price.premium => Availability::Premium { yearly: price.yearly },
                        (true, Some(price)) => Availability::Free { yearly: price.yearly },
                        (true, None) => Availability::Free { yearly: self.yearly },
                    });
                }
            }
            Ok(all)
        })
    }

    fn register<'a>(&'a self, order: &'a Order) -> Pending<'a, Registration> {
        Box::pin(async move {
            let contact = match &order.holder {
                Some(holder) => Some(self.contact(&order.name, holder).await?),
                None => None,
            };
            let mut made = self.create(order, contact.as_deref()).await;
            if made.as_ref().is_err_and(|e| code(e) == Some(ResultCode::ObjectDoesNotExist)) {
                self.hosts(&order.name_servers).await?;
                made = self.create(order, contact.as_deref()).await;
            }
            match made {
                Ok(made) => Ok(made),
                Err(e) if code(&e) == Some(ResultCode::ObjectExists) => {
                    // Taken, but by whom? An order of ours whose answer was lost knows its own secret.
                    match self.look(&order.name, Some(&self.auth_info(&order.transaction))).await {
                        Ok(Some(ours)) => Ok(ours),
                        // Kept back by the registry, or another's: what has no such secret was not made by this order.
                        Ok(None) | Err(RegistryError::Invalid(_)) => Err(RegistryError::Taken),
                        Err(e) => Err(e),
                    }
                }
                Err(e) => Err(refused(&e)),
            }
        })
    }

    fn renew<'a>(&'a self, order: &'a Renewal) -> Pending<'a, Registration> {
        Box::pin(async move {
            let from = order.from.to_string();
            let date = from.get(..10).unwrap_or_default();
            let digest =
                Sha256Digest::of_parts(&[order.name.as_str().as_bytes(), b"\0", from.as_bytes(), b"\0", &order.years.to_be_bytes()]);
            let id = format!("rnw-{}", b64url(&digest.as_bytes()[..24]));
            let price = if self.lines.features().await.map_err(|e| refused(&e))?.fee { order.price } else { None };
            let command = types::renew(&order.name, date, order.years, price);
            let answer = self.lines.raw(&command, &id).await.map_err(|e| refused(&e))?;
            match answer.code() {
                // What is read is the whole state: a renewal that was carried out long ago is answered as it is now.
                code if code.is_success() => self.ours(&order.name).await,
                // The name does not end where the order says: it was renewed from there, or its end is not what we think.
                ResultCode::ParameterValueRangeError => self.ours(&order.name).await,
                _ => Err(answer.refusal()),
            }
        })
    }

    fn info<'a>(&'a self, name: &'a DomainName) -> Pending<'a, Option<Registration>> {
        Box::pin(self.look(name, None))
    }

    fn set_name_servers<'a>(&'a self, name: &'a DomainName, name_servers: &'a [HostName]) -> Pending<'a, ()> {
        Box::pin(async move {
            let held = self.ours(name).await?.name_servers;
            let new: Vec<HostInfo<'_>> = name_servers.iter().filter(|it| !held.contains(it)).map(host_info).collect();
            let old: Vec<HostInfo<'_>> = held.iter().filter(|it| !name_servers.contains(it)).map(host_info).collect();
            if new.is_empty() && old.is_empty() {
                return Ok(());
            }
            let made: Vec<HostName> = name_servers.iter().filter(|it| !held.contains(it)).cloned().collect();
            self.hosts(&made).await?;
            let mut update = DomainUpdate::new(name.as_str());
            if !new.is_empty() {
                update.add(DomainAdd { ns: Some(NameServers { ns: new.into() }), contacts: None, statuses: None });
            }
            if !old.is_empty() {
                update.remove(DomainRemove { ns: Some(NameServers { ns: old.into() }), contacts: None, statuses: None });
            }
            self.update(&update).await
        })
    }

    fn set_ds<'a>(&'a self, name: &'a DomainName, ds: &'a [Ds]) -> Pending<'a, ()> {
        Box::pin(async move {
            let held = self.ours(name).await?.ds;
            if held.len() == ds.len() && ds.iter().all(|it| held.contains(it)) {
                return Ok(());
            }
            if !self.lines.features().await.map_err(|e| refused(&e))?.secdns {
                return Err(RegistryError::Invalid("the registry keeps no DS records".to_owned()));
            }
            // New ones first in the same command: at no moment is the name without a record that it should have.
            let change = SecDnsUpdate::replacing(!held.is_empty(), ds.iter().map(DsData::from).collect());
            let update = DomainUpdate::new(name.as_str());
            self.lines.say((&update, &change).into(), &self.fresh()).await.map(drop).map_err(|e| refused(&e))
        })
    }

    fn set_lock<'a>(&'a self, name: &'a DomainName, locked: bool) -> Pending<'a, ()> {
        Box::pin(async move {
            let is = self.ours(name).await?.locked;
            self.set_status(name, Status::ClientTransferProhibited, is, locked).await
        })
    }

    fn set_hold<'a>(&'a self, name: &'a DomainName, held: bool) -> Pending<'a, ()> {
        Box::pin(async move {
            let is = self.ours(name).await?.held;
            self.set_status(name, Status::ClientHold, is, held).await
        })
    }

    fn transfer_secret(&self, order: &DomainId) -> Secret<String> {
        Secret::new(self.auth_info(order))
    }

    fn answer_transfer<'a>(&'a self, name: &'a DomainName, agreed: bool) -> Pending<'a, ()> {
        Box::pin(async move {
            let command = types::transfer(name, if agreed { "approve" } else { "reject" }, None);
            let answer = self.lines.raw(&command, &self.fresh()).await.map_err(|e| refused(&e))?;
            match answer.code() {
                code if code.is_success() => Ok(()),
                // Answered before: by an order of ours whose answer was lost, or by the registry's clock.
                ResultCode::ObjectNotPendingTransfer => Ok(()),
                _ => Err(answer.refusal()),
            }
        })
    }

    fn set_holder<'a>(&'a self, name: &'a DomainName, holder: &'a Holder) -> Pending<'a, ()> {
        Box::pin(async move {
            let id = self.contact(name, holder).await?;
            let answer = self.lines.raw(&types::registrant(name, &id), &self.fresh()).await.map_err(|e| refused(&e))?;
            if answer.code().is_success() { Ok(()) } else { Err(answer.refusal()) }
        })
    }

    fn delete<'a>(&'a self, name: &'a DomainName) -> Pending<'a, ()> {
        Box::pin(async move {
            let delete = DomainDelete::new(name.as_str());
            match self.lines.say((&delete).into(), &self.fresh()).await {
                Ok(_) => Ok(()),
                Err(e) if code(&e) == Some(ResultCode::ObjectDoesNotExist) => Ok(()),
                Err(e) if code(&e) == Some(ResultCode::ObjectStatusProhibitsOperation) && self.ours(name).await?.deleted => Ok(()),
                Err(e) => Err(refused(&e)),
            }
        })
    }

    fn poll(&self) -> Pending<'_, Option<Message>> {
        Box::pin(async move {
            let answer = self.lines.raw("<poll op=\"req\"/>", &self.fresh()).await.map_err(|e| refused(&e))?;
            match answer.code() {
                code if code.is_success() => Ok(answer.message()),
                _ => Err(answer.refusal()),
            }
        })
    }

    fn acknowledge<'a>(&'a self, id: &'a str) -> Pending<'a, ()> {
        Box::pin(async move {
            let command = format!("<poll op=\"ack\" msgID=\"{}\"/>", escaped(id));
            let answer = self.lines.raw(&command, &self.fresh()).await.map_err(|e| refused(&e))?;
            match answer.code() {
                ResultCode::ObjectDoesNotExist => Ok(()),
                code if code.is_success() => Ok(()),
                _ => Err(answer.refusal()),
            }
        })
    }
}

fn host_info(name: &HostName) -> HostInfo<'_> {
    HostInfo::Obj(HostObj { name: name.as_str().into() })
}

fn code(e: &Error) -> Option<ResultCode> {
    match e {
        Error::Command(status) => Some(status.result.code),
        _ => None,
    }
}

/// A registry's no, or that it gave none.
fn refused(e: &Error) -> RegistryError {
    match e {
        Error::Command(status) => {
            let reason = status.result.ext_values.first().map_or(status.result.message.as_str(), |it| it.reason.text.as_str());
            types::refusal(status.result.code, reason)
        }
        other => RegistryError::Transient(other.to_string()),
    }
}
