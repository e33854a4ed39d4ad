//! The byte stream between the device and the hub.

use core::future::Future;

use embedded_io_async::{ErrorType, Read, Write};

/// A byte stream that can be opened, used in both directions at once, and closed.
///
/// A read, a write or a flush that has begun is polled until it completes, so none of them need be cancel-safe: a UART whose
/// bytes DMA carries, or a TLS connection, is a transport like any other. The driver drops their futures only when the connection has
/// ended, or is given up because nothing gets through; [`Transport::disconnect`] follows. Bytes are flushed when there are no more to
/// write for now.
///
/// `Ok(0)` from a read, and any error, mean that the connection is lost. [`SerialPort`] is a transport that is always
/// connected; the crate's front page has one for TCP.
pub trait Transport {
    /// An open connection: the two halves, `(TcpReader<'a>, TcpWriter<'a>)`, or an object that is split into them.
    type Connection<'a>: Connection
    where
        Self: 'a;

    /// Opens the connection; `None` if that fails. Called only while it is closed. It needs no timeout of its own: the session
    /// limits its time (`connect_timeout`) and drops the future.
    fn connect(&mut self) -> impl Future<Output = Option<Self::Connection<'_>>>;

    /// Closes the connection, or discards what a [`Transport::connect`] that failed or was dropped left behind. It must not wait for
    /// the peer without a limit.
    fn disconnect(&mut self) -> impl Future<Output = ()>;
}

/// An open connection of a [`Transport`].
pub trait Connection {
    /// The half that is read from.
    type Reader<'a>: Read
    where
        Self: 'a;
    /// The half that is written to.
    type Writer<'a>: Write
    where
        Self: 'a;

    /// Both halves. They are used at the same time: two peers that only write would block each other.
    fn split(&mut self) -> (Self::Reader<'_>, Self::Writer<'_>);
}

impl<R: Read, W: Write> Connection for (R, W) {
    type Reader<'a>
        = &'a mut R
    where
        Self: 'a;
    type Writer<'a>
        = &'a mut W
    where
        Self: 'a;

    fn split(&mut self) -> (&mut R, &mut W) {
        (&mut self.0, &mut self.1)
    }
}

/// How many consecutive receive errors of a [`SerialPort`], in a single read, count as a lost connection.
pub const MAX_ERRORS: usize = 16;

/// A serial port, which is always connected. Configure [`Framing::Serial`](crate::Framing::Serial) with it.
///
/// Receive errors (framing, parity, overrun) are treated as noise, which the framing filters out. Only [`MAX_ERRORS`]
/// consecutive errors, without a byte in between, count as a lost connection.
#[derive(Debug)]
pub struct SerialPort<R, W> {
    pub(crate) reader: R,
    pub(crate) writer: W,
}

impl<R, W> SerialPort<R, W> {
    /// A serial port made of the two halves of a UART.
    #[must_use]
    pub const fn new(reader: R, writer: W) -> Self {
        Self { reader, writer }
    }
}

impl<R: Read, W: Write> Transport for SerialPort<R, W> {
    type Connection<'a>
        = (NoisyReader<'a, R>, &'a mut W)
    where
        Self: 'a;

    async fn connect(&mut self) -> Option<(NoisyReader<'_, R>, &mut W)> {
        Some((NoisyReader(&mut self.reader), &mut self.writer))
    }

    async fn disconnect(&mut self) {}
}

/// The reader of a [`SerialPort`], which skips receive errors.
#[derive(Debug)]
pub struct NoisyReader<'a, R>(&'a mut R);

impl<R: Read> ErrorType for NoisyReader<'_, R> {
    type Error = R::Error;
}

impl<R: Read> Read for NoisyReader<'_, R> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, R::Error> {
        for _ in 1..MAX_ERRORS {
            if let Ok(len) = self.0.read(buffer).await {
                return Ok(len);
            }
        }
        self.0.read(buffer).await
    }
}
