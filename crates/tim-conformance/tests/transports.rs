//! The kit for transports: on those that tim has, and on transports that are wrong on purpose.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tim_client::transport::tls::{ClientTls, HubTls, HubTlsLink, TlsAcceptor, TlsProtocol};
use tim_client::transport::{
    AnyConnector, ConnectOptions, Connector, MemoryConnector, TcpConnector, memory_listener,
};
#[cfg(unix)]
use tim_client::transport::{UnixConnector, unix};
use tim_conformance::transport::{Acceptor, check};
use tim_testkit::certificates::{Age, Authority, Files};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

#[tokio::test]
async fn memory() {
    tim_testkit::deadline();
    let (connector, listener) = memory_listener();
    let report = check(connector, listener).await;
    assert!(report.is_conforming(), "{report}");
    assert_eq!(report.checks.len(), 8);
}

#[tokio::test]
async fn tcp() {
    tim_testkit::deadline();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let connector = TcpConnector::new(listener.local_addr().unwrap());
    let report = check(connector, listener).await;
    assert!(report.is_conforming(), "{report}");
}

#[cfg(unix)]
#[tokio::test]
async fn unix_sockets() {
    tim_testkit::deadline();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hub");
    let (listener, _file) = unix::listen(&path, 0o600).await.unwrap();
    let report = check(UnixConnector::new(path), listener).await;
    assert!(report.is_conforming(), "{report}");
}

/// Connections whose TLS handshake is over.
struct Secured(mpsc::Receiver<HubTlsLink<TcpStream>>);

impl Acceptor for Secured {
    type Link = HubTlsLink<TcpStream>;

    async fn accept(&mut self) -> io::Result<Self::Link> {
        self.0
            .recv()
            .await
            .ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }
}

/// Completes each TLS handshake on a task of its own: the kit waits for both ends of a connection before it uses one.
async fn secure(
    mut listener: TcpListener,
    acceptor: TlsAcceptor,
    secured: mpsc::Sender<HubTlsLink<TcpStream>>,
) {
    while let Ok(link) = Acceptor::accept(&mut listener).await {
        let (mut link, secured) = (acceptor.accept(link), secured.clone());
        tokio::spawn(async move {
            if link.handshake().await.is_ok() {
                let _ = secured.send(link).await;
            }
        });
    }
}

#[tokio::test]
async fn tls() {
    tim_testkit::deadline();
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path(), "authority");
    let Files { certificate, key } = authority.sign("hub", &["127.0.0.1"], Age::Valid);
    let acceptor = HubTls::from_files(certificate, key)
        .unwrap()
        .acceptor(TlsProtocol::Tim);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("tims://{}", listener.local_addr().unwrap());
    let trusting = ClientTls::new().with_roots_from(&authority.file).unwrap();
    let options = ConnectOptions::new().with_tls(trusting);
    let connector = AnyConnector::new(&address.parse().unwrap(), &options).unwrap();
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(secure(listener, acceptor, sender));
    let report = check(connector, Secured(receiver)).await;
    assert!(report.is_conforming(), "{report}");
}

/// What is wrong with the client's end of a connection.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    /// Every thousandth byte that is written is lost.
    LosesBytes,
    /// Bytes stay in a buffer until there are 64 of them, whatever is flushed.
    HoldsBack,
    /// The end of the writing direction is not said.
    NoShutdown,
    /// Shutting the writing direction down closes both.
    ShutsBoth,
    /// Everything is taken at once, into a buffer without a limit.
    NoLimit,
    /// A frame's worth of bytes in one piece is cut off at its end.
    CutsBigWrites,
}

struct Faulty {
    link: DuplexStream,
    fault: Fault,
    written: usize,
    held: Vec<u8>,
    closed: bool,
}

#[derive(Clone)]
struct FaultyConnector(MemoryConnector, Fault);

impl Connector for FaultyConnector {
    type Link = Faulty;

    fn connect(&mut self) -> impl Future<Output = io::Result<Faulty>> + Send + 'static {
        let (connecting, fault) = (self.0.connect(), self.1);
        async move {
            Ok(Faulty {
                link: connecting.await?,
                fault,
                written: 0,
                held: Vec::new(),
                closed: false,
            })
        }
    }
}

impl Faulty {
    /// Passes on what is held, as far as it goes.
    fn push(&mut self, context: &mut Context<'_>, keep: usize) -> io::Result<()> {
        while self.held.len() >= keep.max(1) {
            match Pin::new(&mut self.link).poll_write(context, &self.held) {
                Poll::Ready(Ok(len)) => drop(self.held.drain(..len)),
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => break,
            }
        }
        Ok(())
    }
}

impl AsyncRead for Faulty {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.closed {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.link).poll_read(context, buffer)
    }
}

impl AsyncWrite for Faulty {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let before = self.written;
        match self.fault {
            Fault::LosesBytes => {
                let kept = (before..).zip(bytes).filter(|(at, _)| at % 1000 != 999);
                let kept: Vec<u8> = kept.map(|(_, byte)| *byte).collect();
                self.held.extend(kept);
            }
            Fault::CutsBigWrites => {
                let kept = &bytes[..bytes.len().min(8192)];
                self.held.extend(kept);
            }
            Fault::HoldsBack | Fault::NoLimit => self.held.extend(bytes),
            Fault::NoShutdown | Fault::ShutsBoth => {
                return Pin::new(&mut self.link).poll_write(context, bytes);
            }
        }
        self.written += bytes.len();
        let keep = if self.fault == Fault::HoldsBack { 64 } else { 1 };
        self.push(context, keep)?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let keep = if self.fault == Fault::HoldsBack { 64 } else { 1 };
        self.push(context, keep)?;
        match self.held.len() >= keep {
            true => Poll::Pending,
            false => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.fault {
            Fault::NoShutdown => return Poll::Ready(Ok(())),
            Fault::ShutsBoth => self.closed = true,
            _ => self.push(context, 1)?,
        }
        Pin::new(&mut self.link).poll_shutdown(context)
    }
}

const IN_ORDER: &str = "bytes arrive in order, both ways at once";
const SINGLE: &str = "bytes arrive without more behind them";
const HALF_CLOSE: &str = "a connection ends with all its bytes delivered, one direction at a time";
const BACK_PRESSURE: &str = "a writer waits for its reader";
const SESSION: &str = "a session logs in, sends the largest message, is cut in a frame, and goes on";

/// Which properties do not hold, in virtual time: what waits in vain waits for nobody.
async fn failed(fault: Fault) -> Vec<&'static str> {
    tim_testkit::deadline();
    let (connector, listener) = memory_listener();
    check(FaultyConnector(connector, fault), listener).await.failed()
}

#[tokio::test(start_paused = true)]
async fn lost_bytes_are_found() {
    let failed = failed(Fault::LosesBytes).await;
    assert!(
        failed.contains(&IN_ORDER) && failed.contains(&HALF_CLOSE) && failed.contains(&SESSION),
        "{failed:?}"
    );
    assert!(!failed.contains(&SINGLE), "{failed:?}");
}

#[tokio::test(start_paused = true)]
async fn bytes_that_are_held_back_are_found() {
    let failed = failed(Fault::HoldsBack).await;
    assert!(failed.contains(&SINGLE), "{failed:?}");
}

#[tokio::test(start_paused = true)]
async fn an_end_that_is_not_said_is_found() {
    assert_eq!(failed(Fault::NoShutdown).await, [HALF_CLOSE]);
}

#[tokio::test(start_paused = true)]
async fn an_end_of_both_directions_is_found() {
    assert_eq!(failed(Fault::ShutsBoth).await, [HALF_CLOSE]);
}

#[tokio::test(start_paused = true)]
async fn a_buffer_without_a_limit_is_found() {
    let failed = failed(Fault::NoLimit).await;
    assert!(failed.contains(&BACK_PRESSURE), "{failed:?}");
    assert!(!failed.contains(&SINGLE), "{failed:?}");
}

#[tokio::test(start_paused = true)]
async fn big_writes_that_are_cut_are_found() {
    let failed = failed(Fault::CutsBigWrites).await;
    assert!(
        failed.contains(&IN_ORDER) && failed.contains(&SESSION),
        "{failed:?}"
    );
}
