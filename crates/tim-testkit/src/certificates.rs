//! Certificates for tests: an authority of its own, and hubs.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};

/// An authority, and the directory in which its files are.
pub struct Authority {
    directory: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate.
    pub file: PathBuf,
}

/// The files of a hub's certificate.
#[derive(Debug, Clone)]
pub struct Files {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// How old a certificate is.
#[derive(Debug, Clone, Copy)]
pub enum Age {
    /// From 2020 to 2100.
    Valid,
    /// Since 2021-02-03.
    Expired,
    /// From 2099-01-01 on.
    NotYetValid,
}

impl Authority {
    /// An authority of this name, which is also that of its file in the directory.
    ///
    /// # Panics
    /// If the file cannot be written.
    #[must_use]
    pub fn new(directory: &Path, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let certificate = params.self_signed(&key).unwrap();
        let file = directory.join(format!("{name}.pem"));
        fs::write(&file, certificate.pem()).unwrap();
        Self {
            directory: directory.to_owned(),
            issuer: Issuer::new(params, key),
            file,
        }
    }

    /// A certificate for these names, in files of this name.
    ///
    /// # Panics
    /// If the files cannot be written.
    #[must_use]
    pub fn sign(&self, files: &str, names: &[&str], age: Age) -> Files {
        let key = KeyPair::generate().unwrap();
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        (params.not_before, params.not_after) = match age {
            Age::Valid => (date_time_ymd(2020, 1, 1), date_time_ymd(2100, 1, 1)),
            Age::Expired => (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 2, 3)),
            Age::NotYetValid => (date_time_ymd(2099, 1, 1), date_time_ymd(2100, 1, 1)),
        };
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let files = Files {
            certificate: self.directory.join(format!("{files}.crt")),
            key: self.directory.join(format!("{files}.key")),
        };
        fs::write(&files.certificate, certificate.pem()).unwrap();
        fs::write(&files.key, key.serialize_pem()).unwrap();
        files
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without its key.
        f.debug_struct("Authority")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}
