//! The line to the hub, as the device has it.

use core::future::Future;

use embedded_io_async::{ErrorType, Read, Write};

/// A line that can be opened, used in both directions at once, and closed.
///
/// # What is asked of its futures
///
/// Every one may be dropped before it is done, and is then made anew:
///
/// - reading and writing must be *cancel-safe*: a future that was dropped has taken or written nothing. The buffered
///   UARTs of the embassy HALs, `embassy_net::tcp::TcpSocket` and pipes of `embassy-sync` are;
/// - flushing, connecting and disconnecting must be *repeatable*: called again, they go on or begin again.
///
/// Reading `Ok(0)` and any error mean that the line is lost. See [`SerialLine`] for a line that is always there, and the
/// crate's front page for a TCP socket.
pub trait Line {
    /// The half that is read from.
    type Reader<'a>: Read
    where
        Self: 'a;
    /// The half that is written to.
    type Writer<'a>: Write
    where
        Self: 'a;

    /// Opens the line; whether it is open. Called when it is closed. Need not limit its time: the session does
    /// (`connect_timeout`), and drops the future.
    fn connect(&mut self) -> impl Future<Output = bool>;

    /// Both halves, which are used at the same time: two ends that only write would wait for each other for ever.
    fn split(&mut self) -> (Self::Reader<'_>, Self::Writer<'_>);

    /// Closes the line, or what a [`Line::connect`] that failed or was dropped has left of it.
    fn disconnect(&mut self) -> impl Future<Output = ()>;
}

/// How many errors of a receiver in a row, less one, are taken for noise.
pub const MAX_ERRORS: usize = 16;

/// A serial line, which is always open. Choose [`Framing::Serial`](crate::Framing::Serial) for it.
///
/// Errors of the receiver (framing, parity, overrun) are noise, which the framing tells from packets. Only a receiver that
/// reports [`MAX_ERRORS`] of them in a row, without a byte between, is a line that is lost for a while.
#[derive(Debug)]
pub struct SerialLine<R, W> {
    reader: R,
    writer: W,
}

impl<R: Read, W: Write> SerialLine<R, W> {
    /// A line out of a UART's two halves.
    #[must_use]
    pub const fn new(reader: R, writer: W) -> Self {
        Self { reader, writer }
    }
}

impl<R: Read, W: Write> Line for SerialLine<R, W> {
    type Reader<'a>
        = NoisyReader<'a, R>
    where
        Self: 'a;
    type Writer<'a>
        = &'a mut W
    where
        Self: 'a;

    async fn connect(&mut self) -> bool {
        true
    }

    fn split(&mut self) -> (NoisyReader<'_, R>, &mut W) {
        (NoisyReader(&mut self.reader), &mut self.writer)
    }

    async fn disconnect(&mut self) {}
}

/// A receiver whose errors are noise.
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
