//! What a device has on this host: a TCP socket, a clock, and the pin of a certificate.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use embedded_io_async::ErrorKind;
use sha2::{Digest as _, Sha256};
use tim_device_tls::{PIN_LEN, Socket};
use tim_transport_embedded::{Clock, Instant};
use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

/// A TCP socket. Clones are of the same connection.
#[derive(Clone)]
pub(crate) struct Tcp(Rc<State>);

struct State {
    port: u16,
    stream: RefCell<Option<Rc<TcpStream>>>,
    connects: Cell<u32>,
    /// How many bytes are read until the connection is cut.
    cut_after: Cell<usize>,
}

impl Tcp {
    /// A socket to this port, not connected.
    pub(crate) fn new(port: u16) -> Self {
        Self(Rc::new(State {
            port,
            stream: RefCell::default(),
            connects: Cell::new(0),
            cut_after: Cell::new(usize::MAX),
        }))
    }

    /// How often it has connected.
    pub(crate) fn connects(&self) -> u32 {
        self.0.connects.get()
    }

    /// Cuts the connection when so many more bytes are read; the next one lasts.
    #[allow(dead_code)] // not all that include this module cut it
    pub(crate) fn cut_after(&self, bytes: usize) {
        self.0.cut_after.set(bytes);
    }

    fn stream(&self) -> Result<Rc<TcpStream>, ErrorKind> {
        self.0.stream.borrow().clone().ok_or(ErrorKind::NotConnected)
    }
}

impl Socket for Tcp {
    async fn connect(&self) -> bool {
        self.0.connects.set(self.0.connects.get() + 1);
        let stream = TcpStream::connect(("127.0.0.1", self.0.port)).await.ok();
        *self.0.stream.borrow_mut() = stream.map(Rc::new);
        self.0.stream.borrow().is_some()
    }

    async fn disconnect(&self) {
        self.0.stream.take();
    }

    async fn read(&self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        let stream = self.stream()?;
        let left = self.0.cut_after.get();
        if left == 0 {
            self.0.cut_after.set(usize::MAX);
            self.0.stream.take();
            return Err(ErrorKind::ConnectionReset);
        }
        let len = buffer.len().min(left);
        loop {
            stream.readable().await.map_err(|_| ErrorKind::Other)?;
            match stream.try_read(&mut buffer[..len]) {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Ok(read) => {
                    if left != usize::MAX {
                        self.0.cut_after.set(left - read);
                    }
                    return Ok(read);
                }
                Err(_) => return Err(ErrorKind::ConnectionReset),
            }
        }
    }

    async fn write(&self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        let stream = self.stream()?;
        loop {
            stream.writable().await.map_err(|_| ErrorKind::Other)?;
            match stream.try_write(bytes) {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                written => return written.map_err(|_| ErrorKind::ConnectionReset),
            }
        }
    }

    async fn flush(&self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

/// Time since it was made.
pub(crate) struct Time(tokio::time::Instant);

impl Time {
    pub(crate) fn new() -> Self {
        Self(tokio::time::Instant::now())
    }
}

impl Clock for Time {
    fn now(&self) -> Instant {
        Instant::from_micros(self.0.elapsed().as_micros() as u64)
    }

    async fn wait_until(&self, moment: Instant) {
        let after = Duration::from_micros(moment.as_micros());
        tokio::time::sleep_until(self.0 + after).await;
    }
}

/// The pin of a certificate's key, found in another way than the verifier does.
pub(crate) fn pin(certificate: &Path) -> [u8; PIN_LEN] {
    let certificate = CertificateDer::from_pem_file(certificate).expect("a certificate");
    let oid = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]; // prime256v1
    let at = certificate.windows(oid.len()).position(|bytes| bytes == oid);
    let at = at.expect("a key of P-256");
    Sha256::digest(&certificate[at - 15..at + 76]).into()
}
