//! The certificates of one local control plane: a throwaway authority, the
//! API server's certificate, and the administrator's.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

/// Why the certificates could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// The library refused a certificate.
    #[error("cannot make a certificate")]
    Certificate(#[from] rcgen::Error),
    /// A file could not be written.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

/// A certificate and its key, as PEM.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// The private key, PKCS#8.
    pub key: String,
}

/// Everything the control plane and its administrator need.
#[derive(Clone, Debug)]
pub struct Pki {
    /// The authority's certificate, PEM: what clients trust.
    pub ca: String,
    /// A member of `system:masters`.
    pub admin: Pair,
    /// The file with the authority's certificate.
    pub ca_file: PathBuf,
    /// The API server's certificate file.
    pub server_certificate: PathBuf,
    /// The API server's key file.
    pub server_key: PathBuf,
    /// The key file that signs service-account tokens.
    pub service_account_key: PathBuf,
    /// The public key file that checks them.
    pub service_account_public_key: PathBuf,
}

impl Pki {
    /// Makes new keys and certificates and writes into `dir` what the API
    /// server reads from files. Valid from 1975 to 4096, as rcgen has it: they
    /// live as long as the world does.
    ///
    /// # Errors
    /// When a certificate cannot be made or a file cannot be written.
    pub fn create(dir: &Path) -> Result<Self, PkiError> {
        let (ca, issuer) = authority()?;
        let server = signed(&issuer, "kube-apiserver", None, ExtendedKeyUsagePurpose::ServerAuth)?;
        let admin = signed(&issuer, "sandbar-dev", Some("system:masters"), ExtendedKeyUsagePurpose::ClientAuth)?;
        let accounts = KeyPair::generate()?;
        Ok(Self {
            ca_file: write(dir, "ca.crt", &ca)?,
            server_certificate: write(dir, "server.crt", &server.certificate)?,
            server_key: write(dir, "server.key", &server.key)?,
            service_account_key: write(dir, "service-accounts.key", &accounts.serialize_pem())?,
            service_account_public_key: write(dir, "service-accounts.pub", &accounts.public_key_pem())?,
            ca,
            admin,
        })
    }
}

fn authority() -> Result<(String, Issuer<'static, KeyPair>), PkiError> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "sandbar-dev-ca");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign];
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?.pem();
    Ok((certificate, Issuer::new(params, key)))
}

fn signed(
    issuer: &Issuer<'static, KeyPair>,
    name: &str,
    group: Option<&str>,
    usage: ExtendedKeyUsagePurpose,
) -> Result<Pair, PkiError> {
    let mut params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    params.distinguished_name.push(DnType::CommonName, name);
    if let Some(group) = group {
        params.distinguished_name.push(DnType::OrganizationName, group);
    }
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    let key = KeyPair::generate()?;
    Ok(Pair { certificate: params.signed_by(&key, issuer)?.pem(), key: key.serialize_pem() })
}

fn write(dir: &Path, name: &str, text: &str) -> Result<PathBuf, PkiError> {
    let path = dir.join(name);
    private_file(&path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|source| PkiError::Write { path: path.clone(), source })?;
    Ok(path)
}

/// Creates or empties a file that only its owner may read.
///
/// # Errors
/// When it cannot be opened for writing.
pub fn private_file(path: &Path) -> io::Result<fs::File> {
    fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path)
}
