//! Ways to open a connection to a hub.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
#[cfg(feature = "tcp")]
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// Opens connections, one after another, for a session that outlives them.
pub trait Connector: Send + 'static {
    /// The byte stream of a connection.
    type Link: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Opens a connection. The future owns what it needs, so that it can be dropped when the session's timeout expires.
    ///
    /// # Errors
    /// Why the connection could not be opened; the session tries again.
    fn connect(&mut self) -> impl Future<Output = io::Result<Self::Link>> + Send + 'static;

    /// The hub of the connection that was opened last has let the session in.
    fn logged_in(&mut self) {}

    /// The connection that was opened last has ended, and the session goes on. Returns after how long it opens the next one at the latest;
    /// with `None`, which is the default, it waits for its back-off.
    fn ended(&mut self, end: ConnectionEnd) -> Option<Duration> {
        let _ = end;
        None
    }
}

/// How a connection ended, for a connector that can choose among [several hubs](crate::Failover).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionEnd {
    /// It was lost, or the hub has closed it for now.
    Lost,
    /// What has answered is not a hub, or one with which this program has no version of the protocol in common.
    Unfit,
}

/// A connection that is being opened.
pub(crate) type Connecting<L> = Pin<Box<dyn Future<Output = io::Result<L>> + Send>>;

/// Connects over TCP, with Nagle's algorithm disabled. The name is resolved for each connection, so a hub may move.
#[cfg(feature = "tcp")]
#[derive(Debug, Clone)]
pub struct TcpConnector {
    address: String,
}

#[cfg(feature = "tcp")]
impl TcpConnector {
    /// Connects to `host:port`.
    #[must_use]
    pub fn new(address: impl ToString) -> Self {
        Self {
            address: address.to_string(),
        }
    }
}

#[cfg(feature = "tcp")]
impl Connector for TcpConnector {
    type Link = TcpStream;

    fn connect(&mut self) -> impl Future<Output = io::Result<TcpStream>> + Send + 'static {
        let address = self.address.clone();
        async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        }
    }
}

/// How many bytes an in-memory connection holds in each direction.
const MEMORY_LINK: usize = 64 * 1024;
/// How many in-memory connections can wait to be accepted.
const MEMORY_BACKLOG: usize = 16;

/// An in-memory transport: a connector for clients and a listener for a hub.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use tim_transport_std::{Connector, memory_listener};
/// let (mut connector, mut listener) = memory_listener();
/// let (client, hub) = tokio::join!(connector.connect(), listener.accept());
/// assert!(client.is_ok() && hub.is_some());
/// # });
/// ```
#[must_use]
pub fn memory_listener() -> (MemoryConnector, MemoryListener) {
    let (sender, receiver) = mpsc::channel(MEMORY_BACKLOG);
    (MemoryConnector { sender }, MemoryListener { receiver })
}

/// Connects to a [`MemoryListener`]; the connection is refused once the listener is dropped. From [`memory_listener`].
#[derive(Debug, Clone)]
pub struct MemoryConnector {
    sender: mpsc::Sender<DuplexStream>,
}

/// Accepts the connections of a [`MemoryConnector`]. From [`memory_listener`].
#[derive(Debug)]
pub struct MemoryListener {
    receiver: mpsc::Receiver<DuplexStream>,
}

impl MemoryListener {
    /// The next connection; `None` once all connectors are dropped.
    pub async fn accept(&mut self) -> Option<DuplexStream> {
        self.receiver.recv().await
    }
}

impl Connector for MemoryConnector {
    type Link = DuplexStream;

    fn connect(&mut self) -> impl Future<Output = io::Result<DuplexStream>> + Send + 'static {
        let sender = self.sender.clone();
        async move {
            let (ours, theirs) = tokio::io::duplex(MEMORY_LINK);
            sender
                .send(theirs)
                .await
                .map_err(|_| io::Error::from(io::ErrorKind::ConnectionRefused))?;
            Ok(ours)
        }
    }
}
