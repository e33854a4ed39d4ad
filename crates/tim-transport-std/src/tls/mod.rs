//! TLS 1.3, through [rustls](https://docs.rs/rustls), over any byte stream.
//!
//! The client's side is [`TlsConnector`], around another connector, with [`ClientTls`] for which hubs are trusted. The hub's side is
//! [`HubTls`], which holds the certificate and replaces it while the hub runs, and [`TlsAcceptor`], which makes the streams.
//!
//! A connection that is cut ends as one without TLS does; the session knows whether something is missing.
//!
//! Dropping the future of a read, of a write or of opening a connection loses nothing that a stream of plain bytes would not lose.

mod client;
mod error;
mod hub;

pub use client::{ClientTls, ClientTlsLink, TlsConnector};
pub use error::TlsError;
pub use hub::{HubTls, HubTlsLink, TlsAcceptor};

use std::io;
use std::sync::Arc;

use tokio_rustls::rustls::SupportedProtocolVersion;
use tokio_rustls::rustls::crypto::CryptoProvider;

/// The protocol inside TLS, on which both ends agree (ALPN).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TlsProtocol {
    /// `tim/1`: frames as over TCP.
    Tim,
    /// `http/1.1`, with which WebSocket begins: for `wss://`.
    Http,
    /// `h2`: HTTP/2.
    Http2,
}

impl TlsProtocol {
    fn names(self) -> Vec<Vec<u8>> {
        match self {
            Self::Tim => vec![b"tim/1".to_vec()],
            Self::Http => vec![b"http/1.1".to_vec()],
            Self::Http2 => vec![b"h2".to_vec()],
        }
    }
}

/// The one version where both ends are ours.
const VERSIONS: &[&SupportedProtocolVersion] = &[&tokio_rustls::rustls::version::TLS13];
/// With an end that is somebody else's.
#[cfg(feature = "tls12")]
const OLDER_VERSIONS: &[&SupportedProtocolVersion] = &[
    &tokio_rustls::rustls::version::TLS13,
    &tokio_rustls::rustls::version::TLS12,
];

/// Takes a cut connection for its end, as without TLS.
fn ended(read: io::Result<()>) -> io::Result<()> {
    match read {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
        read => read,
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(tokio_rustls::rustls::crypto::ring::default_provider())
}
