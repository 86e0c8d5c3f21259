//! The sandbox's own certificate authority.
//!
//! It is made on the first start and kept in the keys folder. It can vouch for names below `.test` and `.localhost` only: the
//! name constraints in its certificate (RFC 5280 section 4.2.1.10) make every other certificate it might sign invalid, IP
//! addresses included. It is never put into a trust store; whoever wants to check a sandbox site names the
//! file. The key never leaves the folder.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use purser_values::env::Env;
use purser_values::name::HostName;
use purser_values::timestamp::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, NameConstraints, SanType,
};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use time::OffsetDateTime;

const KEY_FILE: &str = "edge-ca.key";
const CERTIFICATE_FILE: &str = "edge-ca.pem";
const CA_LIFE_S: i64 = 10 * 365 * 24 * 3600;
/// Life of a site's certificate; it is made anew when less than half is left.
pub const LEAF_LIFE_S: i64 = 30 * 24 * 3600;
/// Clocks that go slow by up to a day still accept a new certificate.
const BACKDATED_S: i64 = 24 * 3600;
const SUFFIXES: [&str; 2] = ["test", "localhost"];

/// The authority with its key.
pub struct LocalCa {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    leaf_key: KeyPair,
}

/// Why the authority cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    #[error("cannot use `{path}`: {source}; check that the folder exists and belongs to this user")]
    File { path: PathBuf, source: io::Error },
    #[error("the certificate authority is damaged: {0}; move `edge-ca.key` and `edge-ca.pem` away to get a new one")]
    Damaged(rcgen::Error),
    #[error("`{0}` is not below `.test` or `.localhost`, so the sandbox authority cannot vouch for it")]
    Outside(HostName),
}

impl LocalCa {
    /// Reads the authority from `keys`, or makes it there, and publishes its certificate as `public`.
    ///
    /// # Errors
    /// When a file cannot be read or written, or does not hold what it should.
    pub fn open(keys: &Path, public: &Path, env: &Env) -> Result<Self, CaError> {
        let (key_path, certificate_path) = (keys.join(KEY_FILE), keys.join(CERTIFICATE_FILE));
        // The certificate is written last: without it the authority was never complete and nobody has seen it.
        if !certificate_path.exists() {
            let key = KeyPair::generate().map_err(CaError::Damaged)?;
            let certificate = authority(env).and_then(|params| params.self_signed(&key)).map_err(CaError::Damaged)?;
            replace(&key_path, key.serialize_pem().as_bytes(), 0o600)?;
            replace(&certificate_path, certificate.pem().as_bytes(), 0o644)?;
        }
        let key = KeyPair::from_pem(&read(&key_path)?).map_err(CaError::Damaged)?;
        let pem = read(&certificate_path)?;
        let certificate = CertificateDer::from(pem_bytes(&pem).ok_or(CaError::Damaged(rcgen::Error::CouldNotParseCertificate))?);
        if read(public).ok().as_deref() != Some(&pem) {
            replace(public, pem.as_bytes(), 0o644)?;
        }
        let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(CaError::Damaged)?;
        Ok(Self { issuer, certificate, leaf_key: KeyPair::generate().map_err(CaError::Damaged)? })
    }

    /// A certificate for `host` (with the authority's behind it) and when to replace it.
    ///
    /// # Errors
    /// When the name is not one that the authority may vouch for.
    pub fn issue(&self, host: &HostName, env: &Env) -> Result<(Vec<CertificateDer<'static>>, Timestamp), CaError> {
        let inside = host.as_str().rsplit_once('.').is_some_and(|(_, suffix)| SUFFIXES.contains(&suffix));
        if !inside {
            return Err(CaError::Outside(host.clone()));
        }
        let leaf = self.sign(host.as_str(), env).map_err(CaError::Damaged)?;
        Ok((vec![leaf, self.certificate.clone()], env.now().plus_secs(LEAF_LIFE_S / 2)))
    }

    /// The key of every certificate that this process issues.
    #[must_use]
    pub fn leaf_key(&self) -> PrivatePkcs8KeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.leaf_key.serialize_der())
    }

    fn sign(&self, host: &str, env: &Env) -> Result<CertificateDer<'static>, rcgen::Error> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::DnsName(host.try_into()?)];
        params.distinguished_name = DistinguishedName::new();
        params.serial_number = Some(env.bytes::<16>().to_vec().into());
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        params.not_before = date(env.now().plus_secs(-BACKDATED_S));
        params.not_after = date(env.now().plus_secs(LEAF_LIFE_S));
        Ok(params.signed_by(&self.leaf_key, &self.issuer)?.der().clone())
    }
}

fn authority(env: &Env) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "slipway sandbox authority (.test and .localhost only)");
    params.serial_number = Some(env.bytes::<16>().to_vec().into());
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: SUFFIXES.iter().map(|s| GeneralSubtree::DnsName((*s).to_owned())).collect(),
        // A constraint binds only its own kind of name, so addresses are shut out by themselves.
        excluded_subtrees: vec![
            GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix([0; 4], 0)),
            GeneralSubtree::IpAddress(CidrSubnet::from_v6_prefix([0; 16], 0)),
        ],
    });
    params.not_before = date(env.now().plus_secs(-BACKDATED_S));
    params.not_after = date(env.now().plus_secs(CA_LIFE_S));
    Ok(params)
}

fn date(t: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(t.as_secs()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn pem_bytes(pem: &str) -> Option<Vec<u8>> {
    use rustls::pki_types::pem::PemObject as _;
    CertificateDer::from_pem_slice(pem.as_bytes()).ok().map(|der| der.to_vec())
}

fn read(path: &Path) -> Result<String, CaError> {
    fs::read_to_string(path).map_err(|source| CaError::File { path: path.to_owned(), source })
}

/// Writes a whole file or none: a crash leaves the old one.
fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), CaError> {
    let temporary = path.with_extension("new");
    let write = || -> io::Result<()> {
        match fs::remove_file(&temporary) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().map_err(|source| CaError::File { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::Arc;

    use rustls::RootCertStore;
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier as _;
    use rustls::pki_types::{ServerName, UnixTime};

    fn open(folder: &Path, env: &Env) -> LocalCa {
        LocalCa::open(folder, &folder.join("ca.pem"), env).unwrap()
    }

    fn accepted(ca: &LocalCa, leaf: &CertificateDer<'_>, name: &str, env: &Env) -> Result<(), rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add(ca.certificate.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(env.now().as_secs().try_into().unwrap()));
        let name = ServerName::try_from(name.to_owned()).unwrap();
        verifier.verify_server_cert(leaf, &[], &name, &[], now).map(|_| ())
    }

    #[test]
    fn a_certificate_for_a_test_name_is_accepted_and_kept_across_starts() {
        let (folder, env) = (tempfile::tempdir().unwrap(), Env::system());
        let first = open(folder.path(), &env);
        let (chain, _) = first.issue(&"shop.test".parse().unwrap(), &env).unwrap();
        let second = open(folder.path(), &env);
        accepted(&second, &chain[0], "shop.test", &env).unwrap();
        assert!(accepted(&second, &chain[0], "other.test", &env).is_err());
        let mode = fs::metadata(folder.path().join(KEY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn names_outside_test_and_localhost_are_not_issued() {
        let (folder, env) = (tempfile::tempdir().unwrap(), Env::system());
        let ca = open(folder.path(), &env);
        for outside in ["example.com", "test", "test.example.com", "10.0.0.1", "localhost"] {
            assert!(matches!(ca.issue(&outside.parse().unwrap(), &env), Err(CaError::Outside(_))), "`{outside}` was issued");
        }
    }

    #[test]
    fn even_a_stolen_key_cannot_vouch_for_other_names() {
        let (folder, env) = (tempfile::tempdir().unwrap(), Env::system());
        let ca = open(folder.path(), &env);
        let forged = ca.sign("example.com", &env).unwrap();
        let refused = format!("{:?}", accepted(&ca, &forged, "example.com", &env).unwrap_err());
        assert!(refused.contains("NameConstraint"), "{refused}");
        let forged = ca.sign("nottest", &env).unwrap();
        assert!(accepted(&ca, &forged, "nottest", &env).is_err());

        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::IpAddress("127.0.0.1".parse().unwrap())];
        let forged = params.signed_by(&ca.leaf_key, &ca.issuer).unwrap();
        let refused = format!("{:?}", accepted(&ca, forged.der(), "127.0.0.1", &env).unwrap_err());
        assert!(refused.contains("NameConstraint"), "{refused}");
    }

    #[test]
    fn a_half_made_authority_is_made_again() {
        let (folder, env) = (tempfile::tempdir().unwrap(), Env::system());
        drop(open(folder.path(), &env));
        fs::remove_file(folder.path().join(CERTIFICATE_FILE)).unwrap();
        let ca = open(folder.path(), &env);
        assert_eq!(read(&folder.path().join("ca.pem")).unwrap(), read(&folder.path().join(CERTIFICATE_FILE)).unwrap());
        assert!(ca.issue(&"a.test".parse().unwrap(), &env).is_ok());
        fs::write(folder.path().join(CERTIFICATE_FILE), "nonsense").unwrap();
        assert!(matches!(LocalCa::open(folder.path(), &folder.path().join("ca.pem"), &env), Err(CaError::Damaged(_))));
    }
}
