//! Requests of the hub to servers of the application, by HTTP/1.1, and to push services.

mod body;
mod client;
#[cfg(feature = "web-push")]
mod hosts;
#[cfg(feature = "apns")]
mod http2;
mod place;
mod pool;

pub(crate) use client::HttpClient;
#[cfg(feature = "web-push")]
pub(crate) use hosts::HostsClient;
#[cfg(feature = "apns")]
pub(crate) use http2::Http2Client;
#[cfg(feature = "web-push")]
pub(crate) use place::Place;
#[cfg(any(feature = "apns", feature = "web-push"))]
pub(crate) use pool::Head;
pub(crate) use pool::{Again, Progress};

use std::fmt;

use sha2::{Digest as _, Sha256};
use tim_transport_std::Connector;
use tim_transport_std::tls::ClientTls;

use self::place::Over;

/// How the hub calls itself.
const AGENT: &str = concat!("tim/", env!("CARGO_PKG_VERSION"));

/// Why a request has no answer that can be used.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) fault: Fault,
    pub(crate) what: String,
}

/// What a failure says of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// There was no connection.
    Unreachable,
    /// There was one, but no answer.
    Unanswered,
    /// It has answered, with something that cannot be used.
    Useless,
}

impl Fault {
    pub(crate) fn because(self, what: impl fmt::Display) -> Failed {
        Failed {
            fault: self,
            what: what.to_string(),
        }
    }
}

impl From<Failed> for String {
    fn from(failed: Failed) -> Self {
        failed.what
    }
}

/// Where requests of a hub go, and how they are signed.
#[derive(Clone)]
#[non_exhaustive]
pub struct Endpoint {
    /// An `http://` or `https://` URL, which may have a query.
    pub url: String,
    /// With a token, `Sign` and `RequestTime` are added to the query, so that the receiver knows the request to be the hub's: the SHA-256
    /// of the token and the time, as lower-case hexadecimal digits, and the time, Unix time in seconds. Empty: they are not.
    pub token: String,
    /// Which servers are trusted at an `https://` URL.
    pub tls: ClientTls,
    /// What opens connections in place of TCP and TLS.
    over: Option<Over>,
}

impl Endpoint {
    /// Without a token, and with the authorities that the system trusts.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            token: String::new(),
            tls: ClientTls::new(),
            over: None,
        }
    }

    /// The same, over connections that `connector` opens in place of TCP and TLS: to a server in the same process, or through a proxy. The
    /// scheme, the host and the port of the URL are names then.
    ///
    /// ```
    /// use tim_hub::Endpoint;
    /// use tim_transport_std::memory_listener;
    ///
    /// let (connector, _listener) = memory_listener();
    /// let endpoint = Endpoint::new("http://application/callbacks").over(connector);
    /// assert_eq!(endpoint.url, "http://application/callbacks");
    /// ```
    #[must_use]
    pub fn over(mut self, connector: impl Connector) -> Self {
        self.over = Some(Over::new(connector));
        self
    }
}

/// The parameters of the signature; empty without a token.
fn signature(token: &str, unix_seconds: u64) -> String {
    if token.is_empty() {
        return String::new();
    }
    let time = unix_seconds.to_string();
    let digest = Sha256::new().chain_update(token).chain_update(&time).finalize();
    let sign: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("Sign={sign}&RequestTime={time}")
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The token, and maybe the URL, are secrets.
        f.debug_struct("Endpoint").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of the vendor's document.
    #[test]
    fn the_signature_is_the_vendors() {
        assert_eq!(signature("", 1), "");
        assert_eq!(
            signature("xxxxyyyy", 1_669_872_112),
            "Sign=17773bc39a671d7b9aa835458704d2a6db81360a5940292b587d6d760d484061&RequestTime=1669872112"
        );
    }

    #[test]
    fn a_url_that_cannot_be_is_refused_at_once() {
        for url in [
            "http://127.0.0.1/",
            "http://hub.example.org:8443/a?b",
            "http://[::1]:80/",
        ] {
            assert!(HttpClient::new(Endpoint::new(url)).is_ok(), "{url}");
        }
        for url in [
            "",
            "hub.example.org",
            "ftp://hub.example.org/",
            "http://user@hub/",
            "http://127.0.0.1:99999/",
            "http://127.0.0.1:0/",
            "http://[::1]:65536/",
            "http://hub:/",
        ] {
            assert!(HttpClient::new(Endpoint::new(url)).is_err(), "{url}");
        }
    }
}
