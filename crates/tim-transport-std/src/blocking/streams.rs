//! Blocking streams, and how they are opened.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use super::{LEAST_WAIT, after};

/// A blocking byte stream whose reads and writes can be limited in time.
pub trait BlockingStream: Read + Write {
    /// Limits each following read and write; one that takes longer fails with [`io::ErrorKind::WouldBlock`] or
    /// [`io::ErrorKind::TimedOut`] and has moved no byte. `limit` is at least a millisecond.
    ///
    /// # Errors
    /// If that cannot be set.
    fn limit(&mut self, limit: Duration) -> io::Result<()>;
}

impl BlockingStream for TcpStream {
    fn limit(&mut self, limit: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(limit))?;
        self.set_write_timeout(Some(limit))
    }
}

#[cfg(unix)]
impl BlockingStream for std::os::unix::net::UnixStream {
    fn limit(&mut self, limit: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(limit))?;
        self.set_write_timeout(Some(limit))
    }
}

/// Opens blocking streams, one after another. Any closure `FnMut(Duration) -> io::Result<S>` does.
pub trait BlockingConnector {
    /// What it opens.
    type Stream: BlockingStream;

    /// Opens a stream, within `limit`.
    ///
    /// # Errors
    /// Why it could not be opened; the session tries again.
    fn open(&mut self, limit: Duration) -> io::Result<Self::Stream>;
}

impl<S: BlockingStream, F: FnMut(Duration) -> io::Result<S>> BlockingConnector for F {
    type Stream = S;

    fn open(&mut self, limit: Duration) -> io::Result<S> {
        self(limit)
    }
}

/// Opens TCP connections, with Nagle's algorithm disabled. The name is resolved for each one.
#[derive(Debug, Clone)]
pub struct TcpStreams {
    address: String,
}

impl TcpStreams {
    /// Connects to `host:port`.
    #[must_use]
    pub fn new(address: impl ToString) -> Self {
        Self {
            address: address.to_string(),
        }
    }
}

impl BlockingConnector for TcpStreams {
    type Stream = TcpStream;

    fn open(&mut self, limit: Duration) -> io::Result<TcpStream> {
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        let end = after(limit);
        for address in self.address.to_socket_addrs()? {
            let left = end.saturating_duration_since(Instant::now()).max(LEAST_WAIT);
            match TcpStream::connect_timeout(&address, left) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}
