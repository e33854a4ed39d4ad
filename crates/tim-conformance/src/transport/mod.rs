//! A kit for authors of transports: what the drivers of tim need of a byte stream, as checks.
//!
//! A transport is a [`Connector`] on the client's side and an [`Acceptor`] on the hub's. [`check`] opens connections from one
//! to the other and reports on each property:
//!
//! ```
//! use tim_client::transport::memory_listener;
//! use tim_conformance::transport::check;
//!
//! # #[tokio::main]
//! # async fn main() {
//! let (connector, listener) = memory_listener();
//! let report = check(connector, listener).await;
//! assert!(report.is_conforming(), "{report}");
//! # }
//! ```
//!
//! Then real sessions run over the transport: in pieces of one byte, with futures that are dropped at each await, with the largest
//! frames, over connections that break at any byte or fall silent. Finally the SDK logs in over the transport, sends the largest
//! message, is cut off in the middle of a frame, and resends over the next connection what was not answered.
//!
//! [`table`] shows the reports of several transports side by side.

mod blocking;
mod bytes;
mod faults;
mod session;
mod talk;

use std::fmt;
use std::io;
use std::time::Duration;

use tim_client::transport::session::Framing;
use tim_client::transport::{Connector, MemoryListener};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};

use crate::check::{Stop, Verdict};

pub use blocking::check_blocking;
use faults::Shared;

/// How long a check may take.
const DEADLINE: Duration = Duration::from_secs(60);

/// The hub's side of a transport: where connections arrive.
pub trait Acceptor: Send {
    /// The byte stream of a connection.
    type Link: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Waits for the next connection.
    ///
    /// # Errors
    /// Why there will be no more.
    fn accept(&mut self) -> impl Future<Output = io::Result<Self::Link>> + Send;
}

impl Acceptor for MemoryListener {
    type Link = DuplexStream;

    async fn accept(&mut self) -> io::Result<DuplexStream> {
        let link = Self::accept(self).await;
        link.ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }
}

impl Acceptor for tokio::net::TcpListener {
    type Link = tokio::net::TcpStream;

    async fn accept(&mut self) -> io::Result<Self::Link> {
        let (link, _) = Self::accept(self).await?;
        link.set_nodelay(true)?;
        Ok(link)
    }
}

#[cfg(unix)]
impl Acceptor for tokio::net::UnixListener {
    type Link = tokio::net::UnixStream;

    async fn accept(&mut self) -> io::Result<Self::Link> {
        Ok(Self::accept(self).await?.0)
    }
}

/// How a transport differs from a stream such as TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransportOptions {
    /// The framing of its sessions. Default [`Framing::Stream`].
    pub framing: Framing,
    /// Whether one direction can end while the other continues. Otherwise, as with WebSocket, both end together, and bytes that were
    /// under way in the other direction must still arrive. Default true.
    pub one_direction_at_a_time: bool,
}

impl Default for TransportOptions {
    fn default() -> Self {
        Self {
            framing: Framing::Stream,
            one_direction_at_a_time: true,
        }
    }
}

/// A property of a transport, and whether it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransportCheck {
    /// The property.
    pub property: &'static str,
    /// Whether it holds; if not, why.
    pub result: Result<(), String>,
}

impl TransportCheck {
    /// A property, and why it does not hold if it does not.
    #[must_use]
    pub const fn new(property: &'static str, result: Result<(), String>) -> Self {
        Self { property, result }
    }
}

/// The result of [`check`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransportReport {
    /// The properties, in the order in which they were checked.
    pub checks: Vec<TransportCheck>,
}

impl TransportReport {
    /// Whether all properties hold.
    #[must_use]
    pub fn is_conforming(&self) -> bool {
        self.checks.iter().all(|check| check.result.is_ok())
    }

    /// The properties that do not hold.
    #[must_use]
    pub fn failed(&self) -> Vec<&'static str> {
        let failed = self.checks.iter().filter(|check| check.result.is_err());
        failed.map(|check| check.property).collect()
    }
}

/// A line for each property.
impl fmt::Display for TransportReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for TransportCheck { property, result } in &self.checks {
            match result {
                Ok(()) => writeln!(f, "pass  {property}")?,
                Err(why) => writeln!(f, "fail  {property}: {why}")?,
            }
        }
        Ok(())
    }
}

/// The reports of several transports as a table in Markdown: a row for each property, a column for each transport.
#[must_use]
pub fn table(reports: &[(&str, &TransportReport)]) -> String {
    let names: Vec<_> = reports.iter().map(|(name, _)| *name).collect();
    let mut table = format!(
        "| property | {} |\n|---|{}\n",
        names.join(" | "),
        "---|".repeat(names.len())
    );
    let mut properties: Vec<&str> = Vec::new();
    for check in reports.iter().flat_map(|(_, report)| &report.checks) {
        if !properties.contains(&check.property) {
            properties.push(check.property);
        }
    }
    for property in properties {
        let cells = reports.iter().map(|(_, report)| {
            let check = report.checks.iter().find(|check| check.property == property);
            match check.map(|check| check.result.is_ok()) {
                Some(true) => "pass",
                Some(false) => "FAIL",
                None => "-",
            }
        });
        let cells: Vec<_> = cells.collect();
        table += &format!("| {property} | {} |\n", cells.join(" | "));
    }
    table
}

/// The two sides of a transport.
struct Ends<C, A> {
    connector: Shared<C>,
    acceptor: A,
    options: TransportOptions,
}

impl<C: Connector, A: Acceptor> Ends<C, A> {
    /// A connection: the client's end and the hub's.
    ///
    /// Some transports bring a connection to the hub's side only with its first byte, so one is sent each way.
    async fn open(&mut self) -> Result<(C::Link, A::Link), Stop> {
        let connecting = self.connector.connect();
        let client = async {
            let mut link = connecting.await?;
            bytes::send(&mut link, &[0x11]).await?;
            Ok::<_, Stop>(link)
        };
        // A handshake may be part of reading at the hub's side.
        let hub = async {
            let mut link = self.acceptor.accept().await?;
            bytes::expect(&mut link, &[0x11]).await?;
            Ok::<_, Stop>(link)
        };
        let (mut client, mut hub) = tokio::try_join!(client, hub)?;
        bytes::send(&mut hub, &[0x22]).await?;
        bytes::expect(&mut client, &[0x22]).await?;
        Ok((client, hub))
    }
}

/// Checks a transport. Must be called on a tokio runtime whose time is enabled. `connector` must lead to `acceptor`, and nobody
/// else may connect to it meanwhile.
pub async fn check<C: Connector, A: Acceptor>(connector: C, acceptor: A) -> TransportReport {
    check_with(connector, acceptor, TransportOptions::default()).await
}

/// [`check`] for a transport that is not as the default options say.
pub async fn check_with<C: Connector, A: Acceptor>(
    connector: C,
    acceptor: A,
    options: TransportOptions,
) -> TransportReport {
    let connector = Shared::new(connector);
    let mut ends = Ends {
        connector,
        acceptor,
        options,
    };
    let mut checks = Checks::default();
    macro_rules! properties {
        ($($property:literal: $check:path),+ $(,)?) => {$(
            let verdict = checks.within($check(&mut ends)).await;
            checks.add($property, verdict);
        )+};
    }
    properties! {
        "bytes arrive in order, both ways at once": bytes::in_order,
        "bytes arrive without more behind them": bytes::single_bytes,
        "a future that is dropped loses and repeats nothing": bytes::dropped_futures,
        "a connection ends with all its bytes delivered, one direction at a time": bytes::close,
        "the end of a connection that is dropped is noticed": bytes::dropped,
        "a writer waits for its reader": bytes::back_pressure,
        "connections do not share bytes": bytes::separate,
        "a connection that is given up while it opens does no harm": bytes::given_up,
    }
    // Each of these is held by the client's driver and the hub's connection. All messages arrive, each once and in order.
    properties! {
        "sessions: pieces of one byte, and of a few": talk::pieces,
        "sessions: the client's futures are dropped at each await": talk::dropped_futures,
        "sessions: the largest frames, both ways": talk::largest,
        "sessions: the connection breaks at any byte": talk::breaks_anywhere,
        "sessions: the connection falls silent at either end": talk::half_open,
    }
    let Ends {
        connector,
        acceptor,
        options,
    } = ends;
    if options.framing == Framing::Stream {
        let session = session::over(connector, acceptor);
        let verdict = checks.within(session).await;
        checks.add(
            "a session logs in, sends the largest message, is cut in a frame, and goes on",
            verdict,
        );
    }
    checks.into_report()
}

/// The checks so far.
#[derive(Default)]
struct Checks(Vec<TransportCheck>);

impl Checks {
    /// The verdict of a check, which has until the deadline.
    async fn within(&self, check: impl Future<Output = Verdict>) -> Result<(), String> {
        match tokio::time::timeout(DEADLINE, check).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(stop)) => Err(stop.to_string()),
            Err(_) => Err(format!("not decided after {} s", DEADLINE.as_secs())),
        }
    }

    fn add(&mut self, property: &'static str, result: Result<(), String>) {
        self.0.push(TransportCheck { property, result });
    }

    fn into_report(self) -> TransportReport {
        TransportReport { checks: self.0 }
    }
}
