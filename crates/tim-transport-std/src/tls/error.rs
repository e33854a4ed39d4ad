//! What can go wrong with TLS, in words for whoever operates an end of it.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{fmt, io};

use tokio_rustls::rustls::pki_types::pem;
use tokio_rustls::rustls::{AlertDescription, CertificateError, Error};

/// Why TLS does not work.
///
/// A connection that fails for such a reason fails with an [`io::Error`] that contains it: [`TlsError::of`] finds it there.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read, or is not what it should be.
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The private key belongs to another certificate.
    KeyMismatch {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
    },
    /// No authority is trusted: none from a file, and those of the system need the feature `tls-platform`.
    NoRoots,
    /// The host is not a name that a certificate can be for.
    BadName(String),
    /// The certificate is for other names.
    WrongName {
        /// The name that it should be for.
        expected: String,
        /// Those that it is for.
        presented: Vec<String>,
    },
    /// The certificate is signed by an authority that is not trusted.
    UnknownIssuer {
        /// The hub.
        hub: String,
    },
    /// The certificate has expired.
    Expired {
        /// The hub.
        hub: String,
        /// Since when, in seconds since 1970.
        since: u64,
    },
    /// The certificate is not valid yet.
    NotYetValid {
        /// The hub.
        hub: String,
        /// From when on, in seconds since 1970.
        from: u64,
    },
    /// The other end does not speak TLS.
    NotTls,
    /// The other end speaks something else inside TLS.
    OtherProtocol,
    /// The other end has refused the connection, and says why.
    Refused(String),
    /// The other end has closed the connection during the handshake.
    Closed,
    /// The other end has not completed the handshake in this time.
    TimedOut(Duration),
    /// The hub stops.
    Stopped,
    /// Something else.
    Other(String),
}

impl TlsError {
    /// The reason in the error of a connection, if TLS was the reason.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    pub(super) fn file(path: &Path, reason: impl fmt::Display) -> Self {
        Self::File {
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }

    /// A file whose PEM cannot be read.
    pub(super) fn pem(path: &Path, error: &pem::Error) -> Self {
        match error {
            pem::Error::Io(error) => Self::file(path, error),
            other => Self::file(path, format_args!("it is no PEM file: {other}")),
        }
    }

    /// What failed in a handshake; `peer` is the other end.
    pub(super) fn of_handshake(error: io::Error, peer: &str) -> io::Error {
        let reason = match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(fault) => Self::of_rustls(fault, peer),
            None if error.kind() == io::ErrorKind::UnexpectedEof => Self::Closed,
            // The stream's own.
            None => return error,
        };
        reason.into()
    }

    fn of_rustls(fault: &Error, hub: &str) -> Self {
        let hub = || hub.to_owned();
        match fault {
            Error::InvalidCertificate(fault) => match fault {
                CertificateError::NotValidForNameContext { presented, .. } => Self::WrongName {
                    expected: hub(),
                    presented: presented.iter().map(|name| plain_name(name)).collect(),
                },
                CertificateError::NotValidForName => Self::WrongName {
                    expected: hub(),
                    presented: Vec::new(),
                },
                CertificateError::UnknownIssuer => Self::UnknownIssuer { hub: hub() },
                CertificateError::ExpiredContext { not_after, .. } => Self::Expired {
                    hub: hub(),
                    since: not_after.as_secs(),
                },
                CertificateError::NotValidYetContext { not_before, .. } => Self::NotYetValid {
                    hub: hub(),
                    from: not_before.as_secs(),
                },
                other => Self::Other(format!("the certificate of {} is not accepted: {other}", hub())),
            },
            Error::InvalidMessage(_) => Self::NotTls,
            Error::NoApplicationProtocol => Self::OtherProtocol,
            Error::AlertReceived(AlertDescription::NoApplicationProtocol) => Self::OtherProtocol,
            Error::AlertReceived(alert) => Self::Refused(of_alert(*alert)),
            other => Self::Other(other.to_string()),
        }
    }

    const fn kind(&self) -> io::ErrorKind {
        match self {
            Self::TimedOut(_) => io::ErrorKind::TimedOut,
            Self::Closed => io::ErrorKind::UnexpectedEof,
            Self::Refused(_) => io::ErrorKind::ConnectionRefused,
            Self::Stopped => io::ErrorKind::ConnectionAborted,
            _ => io::ErrorKind::InvalidData,
        }
    }
}

/// `DnsName("hub.example.org")` and `IpAddress(192.0.2.1)` as the name alone.
fn plain_name(presented: &str) -> String {
    let mut inside = presented.split(['(', ')', '"']).filter(|part| !part.is_empty());
    inside.next_back().unwrap_or(presented).to_owned()
}

/// What the other end holds against this one.
fn of_alert(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::UnknownCA => "it does not trust the authority of this certificate".to_owned(),
        AlertDescription::CertificateExpired => "this certificate has expired".to_owned(),
        AlertDescription::BadCertificate => {
            "this certificate is not for the name it has asked for".to_owned()
        }
        AlertDescription::ProtocolVersion => "it does not speak TLS 1.3".to_owned(),
        other => format!("alert {other:?}"),
    }
}

impl From<TlsError> for io::Error {
    fn from(error: TlsError) -> Self {
        Self::new(error.kind(), error)
    }
}

impl std::error::Error for TlsError {}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, reason } => write!(f, "{}: {reason}", path.display()),
            Self::KeyMismatch { certificate, key } => write!(
                f,
                "the private key in {} does not belong to the certificate in {}",
                key.display(),
                certificate.display()
            ),
            Self::NoRoots => f.write_str(
                "no authority is trusted: name a file with its certificate, or build the program with the feature \"tls-platform\" to trust those of the system",
            ),
            Self::BadName(name) => write!(f, "{name:?} is not a name that a certificate can be for"),
            Self::WrongName { expected, presented } if presented.is_empty() => {
                write!(f, "the certificate is not for {expected}, nor for any other name")
            }
            Self::WrongName { expected, presented } => {
                write!(f, "the certificate is not for {expected}, but for {}", presented.join(", "))
            }
            Self::UnknownIssuer { hub } => {
                write!(f, "the certificate of {hub} is signed by an authority that is not trusted here")
            }
            Self::Expired { hub, since } => write!(
                f,
                "the certificate of {hub} has expired on {}, and it is {} here: renew it, or set the clock of this machine",
                Day(*since),
                Day(today())
            ),
            Self::NotYetValid { hub, from } => write!(
                f,
                "the certificate of {hub} is valid from {} on, but it is {} here: set the clock of this machine",
                Day(*from),
                Day(today())
            ),
            Self::NotTls => f.write_str("the other end does not speak TLS at this address"),
            Self::OtherProtocol => f.write_str("the other end speaks TLS, but not the protocol of tim inside it"),
            Self::Refused(reason) => write!(f, "the other end has refused the TLS connection: {reason}"),
            Self::Closed => f.write_str("the other end has closed the connection during the TLS handshake"),
            Self::TimedOut(time) => {
                write!(f, "the TLS handshake was not completed in {} s", time.as_secs_f32())
            }
            Self::Stopped => f.write_str("the hub stops"),
            Self::Other(reason) => f.write_str(reason),
        }
    }
}

fn today() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// Seconds since 1970 as a date: `2026-01-31`.
struct Day(u64);

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ERA_DAYS: u64 = 146_097; // 400 years
        // Years begin with March, so that the leap day is the last.
        let days = self.0 / 86_400 + 719_468;
        let (era, day) = (days / ERA_DAYS, days % ERA_DAYS);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let (month, next) = if month < 10 {
            (month + 3, 0)
        } else {
            (month - 9, 1)
        };
        write!(f, "{:04}-{month:02}-{day:02}", era * 400 + year + next)
    }
}

#[cfg(test)]
mod tests {
    use super::Day;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (seconds, day) in [
            (0, "1970-01-01"),
            (951_782_399, "2000-02-28"),
            (951_782_400, "2000-02-29"),
            (951_868_800, "2000-03-01"),
            (1_798_675_200, "2026-12-31"),
            (1_798_761_600, "2027-01-01"),
            (4_107_542_400, "2100-03-01"),
        ] {
            assert_eq!(Day(seconds).to_string(), day);
        }
    }
}
