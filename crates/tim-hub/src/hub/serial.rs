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
use crate::listener::Peer;

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
    /// [`HubOptions::max_serial_ports`](crate::HubOptions::max_serial_ports).
    ///
    /// Ready when the port is closed or the hub has stopped; a port that is silent, cut or noisy is still served. Runs on a
    /// task of its own, which is aborted when the returned future is dropped.
    ///
    /// # Errors
    /// The port's. [`io::ErrorKind::ResourceBusy`] if there are too many serial ports.
    pub async fn serve_serial<L>(&self, port: L) -> io::Result<()>
    where
        L: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.serve_port(port, Peer::new("a serial port"), false).await
    }

    /// As [`serve_serial`](Self::serve_serial), for a port that anybody can connect to the hub: it is closed when nobody is logged in on
    /// it for as long as a stream may be silent, and the limits of the peer's address apply to it. If there are too many ports, one on
    /// which nobody is logged in is dropped: one of the address that has most of those.
    ///
    /// # Errors
    /// As [`serve_serial`](Self::serve_serial).
    pub async fn serve_accepted_serial<L>(&self, port: L, peer: Peer) -> io::Result<()>
    where
        L: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.serve_port(port, peer, true).await
    }

    async fn serve_port<L>(&self, port: L, peer: Peer, ends_when_vacant: bool) -> io::Result<()>
    where
        L: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let network = self.services.network_of(peer.address());
        let places = &self.services.places;
        let place = match ends_when_vacant {
            true => places.enter_accepted_serial(network),
            false => places.enter_serial(),
        };
        let place = place.ok_or_else(|| {
            self.note_turned_away(peer.name());
            io::Error::new(io::ErrorKind::ResourceBusy, "there are too many serial ports")
        })?;
        let taken = Arc::clone(&place);
        let services = Arc::clone(&self.services);
        let stopping = Arc::clone(&self.status.stopping).listener();
        let mut task = AbortOnDrop(tokio::spawn(async move {
            let name = peer.name().into();
            let mut connection = Connection::new(services, port, Framing::Serial, taken, name);
            if ends_when_vacant {
                connection.end_when_vacant();
            }
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
        place.set_task(task.0.abort_handle());
        drop(place);
        (&mut task.0)
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
    }
}
