//! Sources of connections.

use std::future::{Future, pending};
use std::io;
use std::net::{IpAddr, SocketAddr};

#[cfg(feature = "tls")]
use tim_transport_std::tls::{HubTls, HubTlsLink, TlsAcceptor, TlsProtocol};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// The other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    name: String,
    address: Option<IpAddr>,
}

impl Peer {
    /// A peer of this name, which the hub's log shows, without an address: the limits of an address do not apply to it.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            address: None,
        }
    }

    /// The same peer with an address, whose limits apply to it.
    #[must_use]
    pub fn with_address(self, address: IpAddr) -> Self {
        let address = Some(address);
        Self { address, ..self }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address, if it has one.
    #[must_use]
    pub const fn address(&self) -> Option<IpAddr> {
        self.address
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        Self::new(address.to_string()).with_address(address.ip())
    }
}

impl From<String> for Peer {
    fn from(name: String) -> Self {
        Self::new(name)
    }
}

/// A source of connections for [`Hub::serve`](crate::Hub::serve): TCP, Unix sockets, or a channel of any byte streams, such
/// as the ends of in-memory pipes.
pub trait Listener: Send {
    /// The byte stream of a connection.
    type Link: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next connection, and its other end. Dropping the future must lose no connection.
    ///
    /// # Errors
    /// The transport's. The hub logs it and continues after a moment.
    fn accept(&mut self) -> impl Future<Output = io::Result<(Self::Link, Peer)>> + Send;
}

impl Listener for TcpListener {
    type Link = tokio::net::TcpStream;

    async fn accept(&mut self) -> io::Result<(Self::Link, Peer)> {
        let (stream, address) = Self::accept(self).await?;
        // Small frames are sent at once.
        let _ = stream.set_nodelay(true);
        Ok((stream, address.into()))
    }
}

#[cfg(unix)]
impl Listener for tokio::net::UnixListener {
    type Link = tokio::net::UnixStream;

    async fn accept(&mut self) -> io::Result<(Self::Link, Peer)> {
        let (stream, _) = Self::accept(self).await?;
        let process = stream.peer_cred().ok().and_then(|peer| peer.pid());
        Ok((
            stream,
            process.map_or_else(|| Peer::new("unix"), |pid| Peer::new(format!("process {pid}"))),
        ))
    }
}

/// TLS on the connections of another listener.
///
/// A connection is the hub's from the moment it is accepted: its handshake takes place on its own task and in a place of those that
/// have not logged in, so [`HubOptions::max_half_open`](crate::HubOptions::max_half_open) limits handshakes too. Handshakes under way
/// end when this is dropped.
#[cfg(feature = "tls")]
#[derive(Debug)]
pub struct TlsListener<L> {
    listener: L,
    acceptor: TlsAcceptor,
}

#[cfg(feature = "tls")]
impl<L: Listener> TlsListener<L> {
    /// Puts TLS on the connections of `listener`, with this certificate: what `tims://` addresses lead to.
    pub fn new(listener: L, tls: &HubTls) -> Self {
        Self::with_protocol(listener, tls, TlsProtocol::Tim)
    }

    /// [`new`](Self::new) with another protocol inside TLS: [`TlsProtocol::Http`] below a `WebSocketListener`, which is what `wss://`
    /// addresses lead to.
    pub fn with_protocol(listener: L, tls: &HubTls, protocol: TlsProtocol) -> Self {
        Self {
            listener,
            acceptor: tls.acceptor(protocol),
        }
    }
}

#[cfg(feature = "tls")]
impl<L: Listener> Listener for TlsListener<L> {
    type Link = HubTlsLink<L::Link>;

    async fn accept(&mut self) -> io::Result<(Self::Link, Peer)> {
        let (link, peer) = self.listener.accept().await?;
        Ok((self.acceptor.accept(link), peer))
    }
}

/// Streams from a channel. After the last sender is dropped, no more connections come.
impl<L: AsyncRead + AsyncWrite + Unpin + Send + 'static> Listener for mpsc::Receiver<L> {
    type Link = L;

    async fn accept(&mut self) -> io::Result<(L, Peer)> {
        match self.recv().await {
            Some(link) => Ok((link, Peer::new("this process"))),
            None => pending().await,
        }
    }
}
