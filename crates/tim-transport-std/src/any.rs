//! A connector for an address of any kind.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::address::Address;
use crate::connect::{Connecting, ConnectionEnd, Connector};
use crate::failover::Failover;

/// What a connector needs to know beside the address.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ConnectOptions {
    /// Which hubs are trusted, for `tims://` and `wss://`.
    #[cfg(feature = "tls")]
    pub tls: crate::tls::ClientTls,
}

impl ConnectOptions {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Which hubs are trusted, for `tims://` and `wss://`.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_tls(mut self, tls: crate::tls::ClientTls) -> Self {
        self.tls = tls;
        self
    }
}

/// Why there is no connector for an address.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectorError {
    /// The program was built without this transport.
    Missing {
        /// The address.
        address: Address,
        /// The feature of this crate that has the transport, and of `tim-client`.
        feature: &'static str,
    },
    /// Transports of this kind do not exist on this system.
    Unsupported {
        /// The address.
        address: Address,
    },
    /// The settings of TLS do not work.
    #[cfg(feature = "tls")]
    Tls(crate::tls::TlsError),
    /// No address is given.
    NoAddress,
    /// A serial port is one of several hubs.
    SerialAmongHubs {
        /// The address.
        address: Address,
    },
}

impl fmt::Display for ConnectorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { address, feature } => write!(
                f,
                "cannot connect to {address}: this program was built without the feature {feature:?}"
            ),
            Self::Unsupported { address } => {
                write!(f, "cannot connect to {address}: this system has no such sockets")
            }
            #[cfg(feature = "tls")]
            Self::Tls(error) => error.fmt(f),
            Self::NoAddress => f.write_str("no address of a hub is given"),
            Self::SerialAmongHubs { address } => {
                write!(
                    f,
                    "{address} cannot be one of several hubs: a serial port is given alone"
                )
            }
        }
    }
}

impl std::error::Error for ConnectorError {}

/// Connects to an address of any kind; its connections have one type.
///
/// ```
/// # #[cfg(feature = "tcp")]
/// # {
/// use tim_transport_std::{AnyConnector, ConnectOptions};
/// let connector = AnyConnector::new(&"tim://127.0.0.1:7878".parse()?, &ConnectOptions::default())?;
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct AnyConnector(Box<dyn DynConnector>);

impl AnyConnector {
    /// A connector for an address.
    ///
    /// # Errors
    /// [`ConnectorError::Missing`] if the transport is not compiled in.
    pub fn new(address: &Address, options: &ConnectOptions) -> Result<Self, ConnectorError> {
        let _ = options;
        #[allow(unused_variables)] // with all features
        let missing = |feature| {
            let address = address.clone();
            Err::<Self, _>(ConnectorError::Missing { address, feature })
        };
        match address {
            #[cfg(feature = "tcp")]
            Address::Tcp(place) => Ok(Self::boxed(crate::connect::TcpConnector::new(place))),
            #[cfg(not(feature = "tcp"))]
            Address::Tcp(_) => missing("tcp"),
            #[cfg(feature = "tls")]
            Address::Tls(place) => {
                use crate::tls::{TlsConnector, TlsProtocol};
                let tcp = crate::connect::TcpConnector::new(place);
                TlsConnector::new(tcp, place.host(), &options.tls, TlsProtocol::Tim)
                    .map(Self::boxed)
                    .map_err(ConnectorError::Tls)
            }
            #[cfg(not(feature = "tls"))]
            Address::Tls(_) => missing("tls"),
            #[cfg(feature = "websocket")]
            Address::WebSocket(url) => {
                use crate::websocket::WebSocketConnector;
                let tcp = crate::connect::TcpConnector::new(url.host_port());
                if !url.is_tls() {
                    return Ok(Self::boxed(WebSocketConnector::new(tcp, url)));
                }
                #[cfg(feature = "tls")]
                {
                    use crate::tls::{TlsConnector, TlsProtocol};
                    let tls = TlsConnector::new(tcp, url.host_port().host(), &options.tls, TlsProtocol::Http)
                        .map_err(ConnectorError::Tls)?;
                    Ok(Self::boxed(WebSocketConnector::new(tls, url)))
                }
                #[cfg(not(feature = "tls"))]
                missing("tls")
            }
            #[cfg(not(feature = "websocket"))]
            Address::WebSocket(_) => missing("websocket"),
            #[cfg(all(feature = "unix", unix))]
            Address::Unix(socket) => Ok(Self::boxed(crate::unix::UnixConnector::new(socket.path()))),
            #[cfg(all(feature = "unix", not(unix)))]
            Address::Unix(_) => Err(ConnectorError::Unsupported {
                address: address.clone(),
            }),
            #[cfg(not(feature = "unix"))]
            Address::Unix(_) => missing("unix"),
            #[cfg(feature = "serial")]
            Address::Serial(port) => Ok(Self::boxed(crate::serial::SerialConnector::new(port.clone()))),
            #[cfg(not(feature = "serial"))]
            Address::Serial(_) => missing("serial"),
        }
    }

    /// A connector for one of several hubs, as [`Failover`] chooses it; `seed` is a random number, different for each client.
    ///
    /// # Errors
    /// As [`AnyConnector::new`]; also if there is no address, or one of several is a serial port.
    pub fn among(addresses: &[Address], options: &ConnectOptions, seed: u64) -> Result<Self, ConnectorError> {
        if let [address] = addresses {
            return Self::new(address, options);
        }
        let mut hubs = Vec::with_capacity(addresses.len());
        for address in addresses {
            if address.framing() != tim_session::Framing::Stream {
                let address = address.clone();
                return Err(ConnectorError::SerialAmongHubs { address });
            }
            hubs.push((address, Self::new(address, options)?));
        }
        let failover = Failover::new(hubs, seed).ok_or(ConnectorError::NoAddress)?;
        Ok(Self::boxed(failover))
    }

    /// Any other connector, behind the same type.
    #[must_use]
    pub fn boxed<C: Connector + Clone + Sync>(connector: C) -> Self {
        Self(Box::new(connector))
    }
}

impl Clone for AnyConnector {
    fn clone(&self) -> Self {
        Self(self.0.duplicate())
    }
}

impl fmt::Debug for AnyConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyConnector").finish_non_exhaustive()
    }
}

impl Connector for AnyConnector {
    type Link = AnyLink;

    fn connect(&mut self) -> impl Future<Output = io::Result<AnyLink>> + Send + 'static {
        self.0.open()
    }

    fn logged_in(&mut self) {
        self.0.logged_in();
    }

    fn ended(&mut self, end: ConnectionEnd) -> Option<Duration> {
        self.0.ended(end)
    }
}

/// A [`Connector`] of any type.
trait DynConnector: Send + Sync {
    fn open(&mut self) -> Connecting<AnyLink>;
    fn logged_in(&mut self);
    fn ended(&mut self, end: ConnectionEnd) -> Option<Duration>;
    fn duplicate(&self) -> Box<dyn DynConnector>;
}

impl<C: Connector + Clone + Sync> DynConnector for C {
    fn open(&mut self) -> Connecting<AnyLink> {
        let connecting = self.connect();
        Box::pin(async move { Ok(AnyLink::new(connecting.await?)) })
    }

    fn logged_in(&mut self) {
        Connector::logged_in(self);
    }

    fn ended(&mut self, end: ConnectionEnd) -> Option<Duration> {
        Connector::ended(self, end)
    }

    fn duplicate(&self) -> Box<dyn DynConnector> {
        Box::new(self.clone())
    }
}

/// A byte stream of any type.
pub struct AnyLink(Box<dyn Stream>);

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl AnyLink {
    /// A byte stream behind this type.
    pub fn new(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        Self(Box::new(stream))
    }
}

impl fmt::Debug for AnyLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyLink").finish_non_exhaustive()
    }
}

impl AsyncRead for AnyLink {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, bytes)
    }
}

impl AsyncWrite for AnyLink {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_compiled_in_is_named_with_its_feature() {
        for (text, feature, is_there) in [
            ("tim://hub", "tcp", cfg!(feature = "tcp")),
            ("unix:/run/tim.sock", "unix", cfg!(feature = "unix")),
            ("serial:/dev/ttyS0", "serial", cfg!(feature = "serial")),
            // Without the roots of the system, nothing is trusted.
            #[cfg(any(not(feature = "tls"), feature = "tls-platform"))]
            ("tims://hub", "tls", cfg!(feature = "tls")),
            ("ws://hub", "websocket", cfg!(feature = "websocket")),
        ] {
            let address: Address = text.parse().unwrap();
            match AnyConnector::new(&address, &ConnectOptions::default()) {
                Ok(_) => assert!(is_there, "{text}"),
                Err(error) => {
                    assert!(!is_there, "{error}");
                    let error = error.to_string();
                    assert!(error.contains(text) && error.contains(feature), "{error}");
                }
            }
        }
    }
}
