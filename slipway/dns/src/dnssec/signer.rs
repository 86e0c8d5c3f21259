//! Signatures of a zone in memory.

use std::sync::Mutex;
use std::sync::PoisonError;

use hickory_proto::dnssec::crypto::EcdsaSigningKey;
use hickory_proto::dnssec::rdata::sig::SigInput;
use hickory_proto::dnssec::rdata::{CDNSKEY, CDS, DNSKEY, DNSSECRData, RRSIG};
use hickory_proto::dnssec::{Algorithm, DigestType, DnsSecError, PublicKey as _, SigningKey as _, TBS};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType, SerialNumber};
use purser_values::Env;

use super::KEY_TTL_S;
use super::keys::{Key, KeyState};

/// A signature is good for this long, and is made anew when less than half of that is left.
const GOOD_S: i64 = 14 * 86_400;
const FRESH_S: i64 = GOOD_S / 2;
/// How far clocks may be behind ours.
const SKEW_S: i64 = 3_600;

/// The keys of one zone, ready to sign.
pub struct Signer {
    env: Env,
    origin: Name,
    keys: Vec<(Key, DNSKEY, EcdsaSigningKey)>,
    /// What the parent should say, as the zone itself tells it (RFC 7344).
    wanted: Vec<u16>,
}

/// The signatures of one record set, once they were asked for.
#[derive(Default)]
pub struct Signatures(Mutex<Option<(i64, Vec<Record>)>>);

impl Signer {
    pub fn new(env: Env, origin: Name, keys: Vec<(Key, EcdsaSigningKey)>, wanted: Vec<u16>) -> Self {
        let keys = keys.into_iter().map(|(key, secret)| (key.dnskey(), key, secret)).map(|(shown, key, secret)| (key, shown, secret));
        Self { env, origin, keys: keys.collect(), wanted }
    }

    /// The tags of the keys that the parent should name.
    pub fn wanted(&self) -> &[u16] {
        &self.wanted
    }

    /// The records that tell the zone's keys: to resolvers, and to the parent.
    pub fn records(&self) -> Result<Vec<Record>, DnsSecError> {
        let record = |data| Record::from_rdata(self.origin.clone(), KEY_TTL_S, RData::DNSSEC(data));
        let mut all = Vec::new();
        for (key, shown, _) in &self.keys {
            all.push(record(DNSSECRData::DNSKEY(shown.clone())));
            if self.wanted.contains(&key.tag) {
                let digest = shown.to_digest(&self.origin, DigestType::SHA256)?.as_ref().to_vec();
                let algorithm = Some(Algorithm::ECDSAP256SHA256);
                all.push(record(DNSSECRData::CDS(CDS::new(key.tag, algorithm, DigestType::SHA256, digest))));
                all.push(record(DNSSECRData::CDNSKEY(CDNSKEY::with_flags(
                    shown.flags(),
                    algorithm,
                    shown.public_key().public_bytes().to_vec(),
                ))));
            }
        }
        Ok(all)
    }

    /// The signatures of a record set, made now if there are none that last.
    pub fn signatures(&self, set: &[Record], kept: &Signatures) -> Vec<Record> {
        let now = self.env.now().as_secs();
        let mut kept = kept.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((until, signatures)) = &*kept
            && now < *until
        {
            return signatures.clone();
        }
        match self.sign(set, now) {
            Ok(signatures) => {
                *kept = Some((now + FRESH_S, signatures.clone()));
                signatures
            }
            Err(e) => {
                tracing::error!(zone = %self.origin, error = %e, "a record set was not signed");
                Vec::new()
            }
        }
    }

    /// Signatures of a set that is made for one answer.
    pub fn at_once(&self, set: &[Record]) -> Vec<Record> {
        self.signatures(set, &Signatures::default())
    }

    fn sign(&self, set: &[Record], now: i64) -> Result<Vec<Record>, DnsSecError> {
        let Some(first) = set.first() else { return Ok(Vec::new()) };
        let kind = first.record_type();
        let of_keys = matches!(kind, RecordType::DNSKEY | RecordType::CDS | RecordType::CDNSKEY);
        // Seconds since 1970 modulo 2^32, as signatures count them (RFC 4034 section 3.1.5).
        let moment = |at: i64| SerialNumber::from(u32::try_from(at.rem_euclid(1 << 32)).unwrap_or_default());
        let mut all = Vec::new();
        for (key, _, secret) in self.keys.iter().filter(|(key, ..)| of_keys || key.state == KeyState::Active) {
            let input = SigInput {
                type_covered: kind,
                algorithm: Algorithm::ECDSAP256SHA256,
                num_labels: first.name.num_labels(),
                original_ttl: first.ttl,
                sig_expiration: moment(now + GOOD_S),
                sig_inception: moment(now - SKEW_S),
                key_tag: key.tag,
                signer_name: self.origin.clone(),
            };
            let signed = secret.sign(&TBS::from_input(&first.name, DNSClass::IN, &input, set.iter())?)?;
            let data = RData::DNSSEC(DNSSECRData::RRSIG(RRSIG::from_sig(input, signed)));
            all.push(Record::from_rdata(first.name.clone(), first.ttl, data));
        }
        Ok(all)
    }
}
