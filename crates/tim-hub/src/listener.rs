//! Sources of connections.

use std::future::{Future, pending};
use std::io;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// A source of connections for [`Hub::serve`](crate::Hub::serve): TCP, Unix sockets, or a channel of any byte streams, such
/// as the ends of in-memory pipes.
pub trait Listener: Send {
    /// The byte stream of a connection.
    type Link: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next connection, and a name of its other end for the hub's log. Dropping the future must lose no connection.
    ///
    /// # Errors
    /// The transport's. The hub logs it and continues after a moment.
    fn accept(&mut self) -> impl Future<Output = io::Result<(Self::Link, String)>> + Send;
}

impl Listener for TcpListener {
    type Link = tokio::net::TcpStream;

    async fn accept(&mut self) -> io::Result<(Self::Link, String)> {
        let (stream, address) = Self::accept(self).await?;
        // Small frames are sent at once.
        let _ = stream.set_nodelay(true);
        Ok((stream, address.to_string()))
    }
}

#[cfg(unix)]
impl Listener for tokio::net::UnixListener {
    type Link = tokio::net::UnixStream;

    async fn accept(&mut self) -> io::Result<(Self::Link, String)> {
        let (stream, _) = Self::accept(self).await?;
        let process = stream.peer_cred().ok().and_then(|peer| peer.pid());
        Ok((
            stream,
            process.map_or_else(|| "unix".to_owned(), |pid| format!("process {pid}")),
        ))
    }
}

/// Streams from a channel. After the last sender is dropped, no more connections come.
impl<L: AsyncRead + AsyncWrite + Unpin + Send + 'static> Listener for mpsc::Receiver<L> {
    type Link = L;

    async fn accept(&mut self) -> io::Result<(L, String)> {
        match self.recv().await {
            Some(link) => Ok((link, "this process".to_owned())),
            None => pending().await,
        }
    }
}
