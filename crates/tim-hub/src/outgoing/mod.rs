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

use std::fmt;

use sha2::{Digest as _, Sha256};
use tim_transport_std::tls::ClientTls;

/// How the hub calls itself.
const AGENT: &str = concat!("tim/", env!("CARGO_PKG_VERSION"));

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
}

impl Endpoint {
    /// Without a token, and with the authorities that the system trusts.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            token: String::new(),
            tls: ClientTls::new(),
        }
    }

    /// The parameters of the signature; empty without a token.
    pub(crate) fn signature(&self, unix_seconds: u64) -> String {
        if self.token.is_empty() {
            return String::new();
        }
        let time = unix_seconds.to_string();
        let digest = Sha256::new()
            .chain_update(&self.token)
            .chain_update(&time)
            .finalize();
        let sign: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("Sign={sign}&RequestTime={time}")
    }
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
        let mut endpoint = Endpoint::new("http://localhost/");
        assert_eq!(endpoint.signature(1), "");
        endpoint.token = "xxxxyyyy".to_owned();
        assert_eq!(
            endpoint.signature(1_669_872_112),
            "Sign=17773bc39a671d7b9aa835458704d2a6db81360a5940292b587d6d760d484061&RequestTime=1669872112"
        );
    }
}
