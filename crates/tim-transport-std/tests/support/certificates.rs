//! Certificates for tests: an authority of its own, and hubs.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};

/// An authority, and the directory in which its files are.
pub(crate) struct Authority {
    directory: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate.
    pub(crate) file: PathBuf,
}

/// The files of a hub's certificate.
#[derive(Clone)]
pub(crate) struct Files {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// How old a certificate is.
#[derive(Clone, Copy)]
pub(crate) enum Age {
    Valid,
    Expired,
    NotYetValid,
}

impl Authority {
    pub(crate) fn new(directory: &Path, name: &str) -> Self {
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
    pub(crate) fn sign(&self, files: &str, names: &[&str], age: Age) -> Files {
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
