//! Proofs that a name is ours, for as long as an order looks at them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use purser_values::name::HostName;

use super::ZoneWriter;

/// What the authority may find while orders are under way.
#[derive(Default)]
pub struct Proofs {
    /// By token: whose it is, and what it is answered with.
    http: Mutex<HashMap<String, (HostName, String)>>,
    /// By name: the account and the text in its zone.
    dns: Mutex<HashMap<HostName, Vec<(String, String)>>>,
}

impl Proofs {
    /// Only for the name that the token was made for: another tenant's host does not answer for it.
    pub fn answer(&self, host: &HostName, token: &str) -> Option<String> {
        let http = self.http.lock().unwrap_or_else(PoisonError::into_inner);
        http.get(token).filter(|(whose, _)| whose == host).map(|(_, answer)| answer.clone())
    }

    pub fn over_http(&self, host: &HostName, token: &str, answer: &str) {
        self.http.lock().unwrap_or_else(PoisonError::into_inner).insert(token.to_owned(), (host.clone(), answer.to_owned()));
    }

    pub fn by_record(&self, host: &HostName, account: &str, text: &str) {
        let mut dns = self.dns.lock().unwrap_or_else(PoisonError::into_inner);
        dns.entry(host.clone()).or_default().push((account.to_owned(), text.to_owned()));
    }

    /// Takes everything back that was shown for a name, however its order ended.
    pub async fn withdraw(&self, host: &HostName, zones: &dyn ZoneWriter) {
        self.http.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, (whose, _)| whose != host);
        let texts = self.dns.lock().unwrap_or_else(PoisonError::into_inner).remove(host).unwrap_or_default();
        for (account, text) in texts {
            zones.withdraw(&account, host, &text).await;
        }
    }
}
