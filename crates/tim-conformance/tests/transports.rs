//! The kit for transports: on those that tim has, and on transports that are wrong on purpose.

#![allow(clippy::print_stdout)] // the table

use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

#[cfg(unix)]
use tim_client::transport::UnixConnector;
use tim_client::transport::address::{HostPort, WebSocketAddress};
use tim_client::transport::session::Framing;
use tim_client::transport::tls::{ClientTls, HubTls, HubTlsLink, TlsAcceptor, TlsConnector, TlsProtocol};
use tim_client::transport::websocket::{WebSocketAcceptor, WebSocketConnector, WebSocketLink};
use tim_client::transport::{Connector, MemoryConnector, TcpConnector, memory_listener};
use tim_conformance::transport::{
    Acceptor, TransportCheck, TransportOptions, TransportReport, check, check_blocking, check_with, table,
};
use tim_testkit::certificates::{Age, Authority, Files};
use tim_transport_std::blocking::{BlockingStream, TcpStreams};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// How many properties there are, of which a transport with other framing than that of streams has one less.
const PROPERTIES: usize = 14;
/// How many those of a blocking transport are.
const BLOCKING_PROPERTIES: usize = 7;

/// The report of a transport, printed with its time.
async fn report(
    name: &'static str,
    checking: impl Future<Output = TransportReport>,
) -> (&'static str, TransportReport) {
    let began = std::time::Instant::now();
    let report = checking.await;
    println!("{name}: {:.1} s\n{report}", began.elapsed().as_secs_f32());
    (name, report)
}

fn passes(name: &str, report: &TransportReport, properties: usize) {
    assert!(report.is_conforming(), "{name}:\n{report}");
    assert_eq!(report.checks.len(), properties);
}

async fn tcp_listener() -> (TcpConnector, TcpListener) {
    tim_testkit::deadline();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    (TcpConnector::new(listener.local_addr().unwrap()), listener)
}

fn web_socket<C>(connector: C, is_tls: bool) -> WebSocketConnector<C> {
    let place = HostPort::new("localhost", 1).unwrap();
    WebSocketConnector::new(connector, &WebSocketAddress::new(is_tls, place, "/tim").unwrap())
}

/// WebSocket ends both directions at once.
fn both_at_once() -> TransportOptions {
    let mut options = TransportOptions::default();
    options.one_direction_at_a_time = false;
    options
}

async fn memory() -> TransportReport {
    tim_testkit::deadline();
    let (connector, listener) = memory_listener();
    check(connector, listener).await
}

async fn serial() -> TransportReport {
    tim_testkit::deadline();
    let (connector, listener) = memory_listener();
    let mut options = TransportOptions::default();
    options.framing = Framing::Serial;
    check_with(connector, listener, options).await
}

async fn tcp() -> TransportReport {
    let (connector, listener) = tcp_listener().await;
    check(connector, listener).await
}

#[cfg(unix)]
async fn unix_socket() -> TransportReport {
    tim_testkit::deadline();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hub");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    check(UnixConnector::new(&path), listener).await
}

/// The hub's side of TLS on another one.
struct TlsSide<A>(A, TlsAcceptor);

impl<A: Acceptor> Acceptor for TlsSide<A> {
    type Link = HubTlsLink<A::Link>;

    async fn accept(&mut self) -> io::Result<Self::Link> {
        Ok(self.1.accept(self.0.accept().await?))
    }
}

/// The hub's side of WebSocket on another one.
struct WebSocketSide<A>(A, WebSocketAcceptor);

impl<A: Acceptor> Acceptor for WebSocketSide<A> {
    type Link = WebSocketLink<A::Link>;

    async fn accept(&mut self) -> io::Result<Self::Link> {
        loop {
            let stream = self.0.accept().await?;
            // A connection that was given up before it was open.
            if let Ok(accepted) = self.1.accept(stream, None).await {
                return Ok(accepted.link);
            }
        }
    }
}

/// TLS over TCP, with an authority of its own.
async fn tls_sides(protocol: TlsProtocol) -> (TlsConnector<TcpConnector>, TlsSide<TcpListener>) {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new(directory.path(), "authority");
    let Files { certificate, key } = authority.sign("hub", &["localhost"], Age::Valid);
    let (connector, listener) = tcp_listener().await;
    let client = ClientTls::new().with_roots_from(&authority.file).unwrap();
    let connector = TlsConnector::new(connector, "localhost", &client, protocol).unwrap();
    let acceptor = HubTls::from_files(certificate, key).unwrap().acceptor(protocol);
    (connector, TlsSide(listener, acceptor))
}

async fn tls() -> TransportReport {
    let (connector, acceptor) = tls_sides(TlsProtocol::Tim).await;
    check(connector, acceptor).await
}

async fn ws() -> TransportReport {
    let (connector, listener) = tcp_listener().await;
    let acceptor = WebSocketSide(listener, WebSocketAcceptor::default());
    check_with(web_socket(connector, false), acceptor, both_at_once()).await
}

async fn wss() -> TransportReport {
    let (connector, acceptor) = tls_sides(TlsProtocol::Http).await;
    let acceptor = WebSocketSide(acceptor, WebSocketAcceptor::default());
    check_with(web_socket(connector, true), acceptor, both_at_once()).await
}

/// A pipe that holds a few bytes, so that everything above it is cut.
struct NarrowConnector(mpsc::Sender<DuplexStream>);

impl Connector for NarrowConnector {
    type Link = DuplexStream;

    fn connect(&mut self) -> impl Future<Output = io::Result<DuplexStream>> + Send + 'static {
        let (here, there) = tokio::io::duplex(61);
        let hub = self.0.clone();
        async move {
            hub.send(there).await.map_err(io::Error::other)?;
            Ok(here)
        }
    }
}

struct NarrowListener(mpsc::Receiver<DuplexStream>);

impl Acceptor for NarrowListener {
    type Link = DuplexStream;

    async fn accept(&mut self) -> io::Result<DuplexStream> {
        self.0
            .recv()
            .await
            .ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }
}

async fn ws_in_pieces() -> TransportReport {
    tim_testkit::deadline();
    let (sender, receiver) = mpsc::channel(8);
    let acceptor = WebSocketSide(NarrowListener(receiver), WebSocketAcceptor::default());
    check_with(
        web_socket(NarrowConnector(sender), false),
        acceptor,
        both_at_once(),
    )
    .await
}

async fn blocking_tcp() -> TransportReport {
    let (_, listener) = tcp_listener().await;
    let connector = TcpStreams::new(listener.local_addr().unwrap());
    check_blocking(connector, listener).await
}

#[cfg(unix)]
async fn blocking_unix_socket() -> TransportReport {
    tim_testkit::deadline();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hub");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let connector = move |_| std::os::unix::net::UnixStream::connect(&path);
    check_blocking(connector, listener).await
}

/// Every transport of tim has every property. With `--nocapture`, the table is printed.
#[tokio::test]
async fn every_transport_has_every_property() {
    let reports = [
        report("memory", memory()).await,
        report("TCP", tcp()).await,
        #[cfg(unix)]
        report("Unix socket", unix_socket()).await,
        report("TLS", tls()).await,
        report("WebSocket", ws()).await,
        report("WebSocket over TLS", wss()).await,
        report("serial framing", serial()).await,
        report("TCP, blocking", blocking_tcp()).await,
        #[cfg(unix)]
        report("Unix socket, blocking", blocking_unix_socket()).await,
    ];
    let columns: Vec<_> = reports.iter().map(|(name, report)| (*name, report)).collect();
    println!("{}", table(&columns));
    for (name, report) in &reports {
        let properties = match *name {
            "serial framing" => PROPERTIES - 1,
            name if name.ends_with("blocking") => BLOCKING_PROPERTIES,
            _ => PROPERTIES,
        };
        passes(name, report, properties);
    }
}

#[tokio::test]
async fn web_socket_over_a_stream_that_cuts_everything() {
    passes("61 bytes at a time", &ws_in_pieces().await, PROPERTIES);
}

/// A stream whose reads do not wait.
struct Impatient(std::net::TcpStream);

impl Read for Impatient {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.set_nonblocking(true)?;
        self.0.read(buffer)
    }
}

impl Write for Impatient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.set_nonblocking(false)?;
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl BlockingStream for Impatient {
    fn limit(&mut self, limit: Duration) -> io::Result<()> {
        self.0.limit(limit)
    }
}

#[tokio::test]
async fn a_blocking_stream_that_does_not_wait_is_found() {
    let (_, listener) = tcp_listener().await;
    let address = listener.local_addr().unwrap();
    let connector = move |_| std::net::TcpStream::connect(address).map(Impatient);
    let report = check_blocking(connector, listener).await;
    assert!(
        report
            .failed()
            .contains(&"a read or write that takes too long moves nothing"),
        "{report}"
    );
}

#[test]
fn a_table_shows_what_failed_and_what_was_not_checked() {
    let report = |checks: &[(&'static str, bool)]| {
        let mut report = TransportReport::default();
        for (property, holds) in checks {
            let result = if *holds { Ok(()) } else { Err("why".to_owned()) };
            report.checks.push(TransportCheck::new(property, result));
        }
        report
    };
    let (one, other) = (report(&[("a", true), ("b", false)]), report(&[("b", true)]));
    assert_eq!(
        table(&[("one", &one), ("other", &other)]),
        "| property | one | other |\n|---|---|---|\n| a | pass | - |\n| b | FAIL | pass |\n"
    );
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
    /// A write takes its bytes first, and reports them once they have left: a write that is dropped meanwhile is reported by the
    /// next one, whose own bytes are lost.
    ReportsLate,
    /// A write that has to wait has lost its first byte by then. (Later connections are whole: sessions over this one would go on trying
    /// until the end of their time.)
    LosesByteOfWait,
}

struct Faulty {
    link: DuplexStream,
    fault: Fault,
    written: usize,
    held: Vec<u8>,
    closed: bool,
    waits: bool,
    is_whole: bool,
}

#[derive(Clone)]
struct FaultyConnector(MemoryConnector, Fault, u32);

impl Connector for FaultyConnector {
    type Link = Faulty;

    fn connect(&mut self) -> impl Future<Output = io::Result<Faulty>> + Send + 'static {
        let (connecting, fault) = (self.0.connect(), self.1);
        self.2 += 1;
        let is_whole = fault == Fault::LosesByteOfWait && self.2 > 10;
        async move {
            Ok(Faulty {
                link: connecting.await?,
                fault,
                written: 0,
                held: Vec::new(),
                closed: false,
                waits: false,
                is_whole,
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
            Fault::ReportsLate => {
                if self.held.is_empty() {
                    self.held.extend(bytes);
                }
                self.push(context, 1)?;
                return match self.held.is_empty() {
                    true => Poll::Ready(Ok(bytes.len())),
                    false => Poll::Pending,
                };
            }
            Fault::LosesByteOfWait => {
                let lost = usize::from(std::mem::take(&mut self.waits));
                let bytes = &bytes[lost.min(bytes.len())..];
                let written = Pin::new(&mut self.link).poll_write(context, bytes);
                self.waits = written.is_pending() && !self.is_whole;
                return written.map_ok(|len| len + lost);
            }
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

const DROPPED_FUTURES: &str = "a future that is dropped loses and repeats nothing";
const IN_ORDER: &str = "bytes arrive in order, both ways at once";
const SINGLE: &str = "bytes arrive without more behind them";
const HALF_CLOSE: &str = "a connection ends with all its bytes delivered, one direction at a time";
const BACK_PRESSURE: &str = "a writer waits for its reader";
const SESSION: &str = "a session logs in, sends the largest message, is cut in a frame, and goes on";

/// Which properties do not hold, in virtual time: what waits in vain waits for nobody.
async fn failed(fault: Fault) -> Vec<&'static str> {
    tim_testkit::deadline();
    let (connector, listener) = memory_listener();
    check(FaultyConnector(connector, fault, 0), listener)
        .await
        .failed()
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

#[tokio::test(start_paused = true)]
async fn writes_that_lose_bytes_when_they_are_dropped_are_found() {
    let failed = failed(Fault::ReportsLate).await;
    assert!(failed.contains(&DROPPED_FUTURES), "{failed:?}");
    // Nothing but a dropped future shows it.
    assert!(
        !failed.contains(&IN_ORDER) && !failed.contains(&SINGLE),
        "{failed:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_byte_that_is_lost_while_a_write_waits_is_found() {
    let failed = failed(Fault::LosesByteOfWait).await;
    assert!(failed.contains(&DROPPED_FUTURES), "{failed:?}");
}
