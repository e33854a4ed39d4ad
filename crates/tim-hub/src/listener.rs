//! Where connections come from.

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

    /// The next connection, and who is at its other end, for the hub's log. Dropping the future must lose no connection.
    ///
    /// # Errors
    /// The transport's; the hub logs it and goes on after a moment.
    fn accept(&mut self) -> impl Future<Output = io::Result<(Self::Link, String)>> + Send;
}

impl Listener for TcpListener {
    type Link = tokio::net::TcpStream;

    async fn accept(&mut self) -> io::Result<(Self::Link, String)> {
        let (stream, address) = Self::accept(self).await?;
        // Small frames should not wait for each other.
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

/// Streams that come through a channel. Once nobody can send any more, nothing comes.
impl<L: AsyncRead + AsyncWrite + Unpin + Send + 'static> Listener for mpsc::Receiver<L> {
    type Link = L;

    async fn accept(&mut self) -> io::Result<(L, String)> {
        match self.recv().await {
            Some(link) => Ok((link, "this process".to_owned())),
            None => pending().await,
        }
    }
}
