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
//! The checks end with a session: the SDK logs in over the transport, sends the largest message, is cut off in the middle of a
//! frame, and resends over the next connection what was not answered.

mod bytes;
mod session;

use std::fmt;
use std::io;
use std::time::Duration;

use tim_client::transport::{Connector, MemoryListener};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};

use crate::check::{Stop, Verdict};

/// How long a check may take.
const DEADLINE: Duration = Duration::from_secs(20);

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

/// A property of a transport, and whether it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransportCheck {
    /// The property.
    pub property: &'static str,
    /// Why it does not hold.
    pub result: Result<(), String>,
}

/// The result of [`check`].
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// The two sides of a transport.
struct Ends<C, A> {
    connector: C,
    acceptor: A,
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
        let hub = async { Ok::<_, Stop>(self.acceptor.accept().await?) };
        let (mut client, mut hub) = tokio::try_join!(client, hub)?;
        bytes::expect(&mut hub, &[0x11]).await?;
        bytes::send(&mut hub, &[0x22]).await?;
        bytes::expect(&mut client, &[0x22]).await?;
        Ok((client, hub))
    }
}

/// Checks a transport. Must be called on a tokio runtime whose time is enabled. `connector` must lead to `acceptor`, and nobody
/// else may connect to it meanwhile.
pub async fn check<C: Connector, A: Acceptor>(connector: C, acceptor: A) -> TransportReport {
    let mut ends = Ends { connector, acceptor };
    let mut checks = Vec::new();
    let mut add = |property, verdict: Result<Verdict, tokio::time::error::Elapsed>| {
        let result = match verdict {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(stop)) => Err(stop.to_string()),
            Err(_) => Err(format!("not decided after {} s", DEADLINE.as_secs())),
        };
        checks.push(TransportCheck { property, result });
    };
    macro_rules! properties {
        ($($property:literal: $check:path),+ $(,)?) => {
            $(add($property, tokio::time::timeout(DEADLINE, $check(&mut ends)).await);)+
        };
    }
    properties! {
        "bytes arrive in order, both ways at once": bytes::in_order,
        "bytes arrive without more behind them": bytes::single_bytes,
        "a connection ends with all its bytes delivered, one direction at a time": bytes::half_close,
        "the end of a connection that is dropped is noticed": bytes::dropped,
        "a writer waits for its reader": bytes::back_pressure,
        "connections do not share bytes": bytes::separate,
        "a connection that is given up while it opens does no harm": bytes::given_up,
    }
    let Ends { connector, acceptor } = ends;
    let session = session::over(connector, acceptor);
    add(
        "a session logs in, sends the largest message, is cut in a frame, and goes on",
        tokio::time::timeout(DEADLINE, session).await,
    );
    TransportReport { checks }
}
