//! Serial ports, which outlive the sessions on them.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;

use tim_session::Framing;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;

use super::Hub;
use crate::connection::Connection;

/// Aborts the task when nobody waits for it any more.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Hub {
    /// Serves a serial port (COBS, CRC-32 and a counter, `SPEC.md`), one session after the other. `port` is a tty in raw mode, or
    /// another stream of the same bytes, such as a terminal server's TCP connection. It counts as one of
    /// [`HubOptions::max_connections`](crate::HubOptions::max_connections).
    ///
    /// Ready when the port is closed or the hub has stopped; a port that is silent, cut or noisy is still served. Runs on a
    /// task of its own, which is aborted when the returned future is dropped.
    ///
    /// # Errors
    /// The port's. [`io::ErrorKind::ResourceBusy`] if there are too many connections.
    pub async fn serve_serial<L>(&self, port: L) -> io::Result<()>
    where
        L: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let permit = Arc::clone(&self.capacity).try_acquire_owned().map_err(|_| {
            self.note_turned_away("a serial port");
            io::Error::new(io::ErrorKind::ResourceBusy, "there are too many connections")
        })?;
        let services = Arc::clone(&self.services);
        let stopping = Arc::clone(&self.status.stopping);
        let mut task = AbortOnDrop(tokio::spawn(async move {
            let _permit = permit;
            let mut connection = Connection::new(services, port, Framing::Serial, "a serial port".to_owned());
            tokio::select! {
                biased;
                () = stopping.wait() => {}
                ended = poll_fn(|context| connection.poll(context)) => return ended,
            }
            // A client that is logged in gets a GOODBYE, and the port is closed behind it.
            poll_fn(|context| match connection.poll(context) {
                Poll::Pending if connection.is_vacant() => Poll::Ready(Ok(())),
                poll => poll,
            })
            .await
        }));
        (&mut task.0)
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
    }
}
