//! Serial lines: connections that last longer than the sessions on them.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;

use tim_session::Framing;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;

use crate::connection::Connection;
use crate::hub::Hub;

/// Ends the task when nobody waits for it any more.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Hub {
    /// Speaks on a raw serial line (COBS, CRC-32 and a counter, `SPEC.md`), with whoever is at its other end, one session
    /// after the other. `line` is a tty, or what carries its bytes elsewhere, such as a terminal server's TCP connection.
    /// It takes one of [`crate::HubOptions::max_connections`] places, and its users have the limits that all have.
    ///
    /// Ready when the line is closed or the hub has stopped; a line that is merely silent, cut or noisy is served on. Runs
    /// on a task of its own, which ends when the returned future is dropped.
    ///
    /// # Errors
    /// The line's. [`io::ErrorKind::ResourceBusy`] if there are too many connections.
    pub async fn serve_serial<L>(&self, line: L) -> io::Result<()>
    where
        L: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            self.note_turned_away("a serial line");
            io::Error::new(io::ErrorKind::ResourceBusy, "there are too many connections")
        })?;
        let shared = Arc::clone(&self.shared);
        let mut stopping = self.stopping.subscribe();
        let mut task = AbortOnDrop(tokio::spawn(async move {
            let _place = place;
            let mut connection = Connection::new(shared, line, Framing::Serial, "a serial line".to_owned());
            tokio::select! {
                ended = poll_fn(|context| connection.poll(context)) => return ended,
                _ = stopping.wait_for(|stopping| *stopping) => {}
            }
            // Who is logged in is told, and the line ends behind that.
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
