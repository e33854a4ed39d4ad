//! A transport that puts TLS on a socket.

use core::fmt;

use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use embedded_tls::{
    Aes128GcmSha256, CryptoProvider, CryptoRngCore, TlsConfig, TlsConnection, TlsContext, TlsError,
    TlsReader, TlsVerifier, TlsWriter,
};
use tim_transport_embedded::{Connection, Transport};

use crate::pins::{PIN_LEN, Pins};

/// A socket to the hub, whose functions take `&self`, because one future reads while another one writes.
pub trait Socket {
    /// Opens the socket, which may be open, and returns whether it is.
    fn connect(&self) -> impl Future<Output = bool>;
    /// Closes the socket.
    fn disconnect(&self) -> impl Future<Output = ()>;
    /// Reads at least one byte; 0 at the end.
    ///
    /// # Errors
    /// The connection is lost.
    fn read(&self, buffer: &mut [u8]) -> impl Future<Output = Result<usize, ErrorKind>>;
    /// Writes at least one byte.
    ///
    /// # Errors
    /// The connection is lost.
    fn write(&self, bytes: &[u8]) -> impl Future<Output = Result<usize, ErrorKind>>;
    /// Sends what is buffered.
    ///
    /// # Errors
    /// The connection is lost.
    fn flush(&self) -> impl Future<Output = Result<(), ErrorKind>>;
}

/// A socket for both halves of the TLS connection.
#[derive(Debug)]
pub struct Shared<'s, S>(&'s S);

impl<S> Clone for Shared<'_, S> {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

impl<S> ErrorType for Shared<'_, S> {
    type Error = ErrorKind;
}

impl<S: Socket> Read for Shared<'_, S> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        self.0.read(buffer).await
    }
}

impl<S: Socket> Write for Shared<'_, S> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        match self.0.write(bytes).await {
            Ok(0) => Err(ErrorKind::WriteZero),
            written => written,
        }
    }
    async fn flush(&mut self) -> Result<(), ErrorKind> {
        self.0.flush().await
    }
}

/// A hub behind TLS 1.3, which is known by its key.
pub struct TlsTransport<'p, S, R> {
    socket: S,
    random: R,
    pins: &'p [[u8; PIN_LEN]],
    received: &'p mut [u8],
    sent: &'p mut [u8],
}

impl<S, R> fmt::Debug for TlsTransport<'_, S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsTransport").finish_non_exhaustive()
    }
}

impl<'p, S, R> TlsTransport<'p, S, R> {
    /// TLS on `socket`. `random` must be the chip's random number generator, or one that is seeded from it: with numbers that can be
    /// guessed, whoever listens can read everything.
    ///
    /// `received` holds the longest record that the hub sends, `sent` what is written between two flushes and 128 bytes more; the front
    /// page says how long they are.
    pub const fn new(
        socket: S,
        random: R,
        pins: &'p [[u8; PIN_LEN]],
        received: &'p mut [u8],
        sent: &'p mut [u8],
    ) -> Self {
        Self {
            socket,
            random,
            pins,
            received,
            sent,
        }
    }
}

/// What the handshake uses.
struct Provider<'r, 'p, R> {
    random: &'r mut R,
    pins: Pins<'p>,
}

impl<R: CryptoRngCore> CryptoProvider for Provider<'_, '_, R> {
    type CipherSuite = Aes128GcmSha256;
    type Signature = [u8; 0];

    fn rng(&mut self) -> impl CryptoRngCore {
        &mut *self.random
    }

    fn verifier(&mut self) -> Result<&mut impl TlsVerifier<Aes128GcmSha256>, TlsError> {
        Ok(&mut self.pins)
    }
}

/// An open connection.
pub struct Link<'a, S: Socket>(TlsConnection<'a, Shared<'a, S>, Aes128GcmSha256>);

impl<S: Socket> fmt::Debug for Link<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Link").finish_non_exhaustive()
    }
}

impl<'s, S: Socket> Connection for Link<'s, S> {
    type Reader<'a>
        = TlsReader<'a, Shared<'s, S>, Aes128GcmSha256>
    where
        Self: 'a;
    type Writer<'a>
        = TlsWriter<'a, Shared<'s, S>, Aes128GcmSha256>
    where
        Self: 'a;

    fn split(&mut self) -> (Self::Reader<'_>, Self::Writer<'_>) {
        self.0.split()
    }
}

impl<S: Socket, R: CryptoRngCore> Transport for TlsTransport<'_, S, R> {
    type Connection<'a>
        = Link<'a, S>
    where
        Self: 'a;

    async fn connect(&mut self) -> Option<Link<'_, S>> {
        if !self.socket.connect().await {
            return None;
        }
        let mut provider = Provider {
            random: &mut self.random,
            pins: Pins::new(self.pins),
        };
        let mut tls = TlsConnection::new(Shared(&self.socket), &mut *self.received, &mut *self.sent);
        let config = TlsConfig::new();
        let opened = tls.open(TlsContext::new(&config, &mut provider)).await;
        opened
            .is_ok_and(|()| provider.pins.is_verified())
            .then_some(Link(tls))
    }

    async fn disconnect(&mut self) {
        self.socket.disconnect().await;
    }
}
