//! Stands for hardware on this host: a port that is read and written asynchronously is a TCP connection here.

use std::io::{self, ErrorKind::WouldBlock, Read as _, Write as _};
use std::net::TcpStream;

use embassy_time::Timer;
use embedded_io_async::{ErrorKind, ErrorType, Read, Write};

/// Connects to `address` and returns the receiving and the sending half.
pub(crate) fn open(address: &str) -> io::Result<(Receiver, Sender)> {
    let stream = TcpStream::connect(address)?;
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    Ok((Receiver(stream.try_clone()?), Sender(stream)))
}

/// Repeats an operation until it does not block any more.
async fn ready(mut operation: impl FnMut() -> io::Result<usize>) -> Result<usize, ErrorKind> {
    loop {
        match operation() {
            Err(error) if error.kind() == WouldBlock => Timer::after_millis(1).await,
            result => return result.map_err(|_| ErrorKind::Other),
        }
    }
}

/// What arrives.
pub(crate) struct Receiver(TcpStream);

impl ErrorType for Receiver {
    type Error = ErrorKind;
}

impl Read for Receiver {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        ready(|| self.0.read(buffer)).await
    }
}

/// What leaves.
pub(crate) struct Sender(TcpStream);

impl ErrorType for Sender {
    type Error = ErrorKind;
}

impl Write for Sender {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        ready(|| self.0.write(bytes)).await
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}
