//! What the kit puts between a session and the transport: reads and writes of any size, and connections that break.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tim_client::transport::Connector;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How a link breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Break {
    /// It is dropped.
    Dropped,
    /// Nothing arrives any more, and what is written is lost.
    Silent,
}

/// What is wrong with a link.
#[derive(Debug, Clone, Copy)]
pub(super) struct Faults {
    /// The most bytes of a read or a write.
    pub(super) piece: usize,
    /// How it breaks, after so many bytes of both directions.
    pub(super) breaks: Option<(u64, Break)>,
}

impl Faults {
    pub(super) const NONE: Self = Self {
        piece: usize::MAX,
        breaks: None,
    };

    /// The faults of the next link; those after it do not break.
    pub(super) const fn next(&mut self) -> Self {
        let breaks = self.breaks.take();
        Self { breaks, ..*self }
    }
}

/// A link with faults.
pub(super) struct FaultyLink<L> {
    /// `None` once it was dropped.
    link: Option<L>,
    faults: Faults,
    passed: u64,
}

impl<L> FaultyLink<L> {
    pub(super) const fn new(link: L, faults: Faults) -> Self {
        Self {
            link: Some(link),
            faults,
            passed: 0,
        }
    }

    /// How many bytes may pass now; `None` if the link is silent.
    pub(super) fn allowance(&mut self) -> io::Result<Option<usize>> {
        let Some((after, how)) = self.faults.breaks else {
            return Ok(Some(self.faults.piece));
        };
        match (after.saturating_sub(self.passed), how) {
            (0, Break::Silent) => Ok(None),
            (0, Break::Dropped) => {
                self.link = None;
                Err(io::ErrorKind::ConnectionReset.into())
            }
            (left, _) => Ok(Some(
                self.faults.piece.min(usize::try_from(left).unwrap_or(usize::MAX)),
            )),
        }
    }

    pub(super) fn link(&mut self) -> io::Result<&mut L> {
        self.link
            .as_mut()
            .ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// So many bytes have passed.
    pub(super) const fn pass(&mut self, len: usize) {
        self.passed += len as u64;
    }
}

impl<L: AsyncRead + Unpin> AsyncRead for FaultyLink<L> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(most) = self.allowance()? else {
            return Poll::Pending;
        };
        let mut part = buffer.take(most);
        let read = Pin::new(self.link()?).poll_read(context, &mut part);
        let filled = part.filled().to_vec();
        self.pass(filled.len());
        buffer.put_slice(&filled);
        read
    }
}

impl<L: AsyncWrite + Unpin> AsyncWrite for FaultyLink<L> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Some(most) = self.allowance()? else {
            return Poll::Ready(Ok(bytes.len()));
        };
        let part = bytes.get(..most.min(bytes.len())).unwrap_or_default();
        let written = Pin::new(self.link()?).poll_write(context, part);
        if let Poll::Ready(Ok(len)) = written {
            self.pass(len);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.link()?).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.link()?).poll_shutdown(context)
    }
}

/// A connector that several can use.
pub(super) struct Shared<C>(Arc<Mutex<C>>);

impl<C> Shared<C> {
    pub(super) fn new(connector: C) -> Self {
        Self(Arc::new(Mutex::new(connector)))
    }
}

impl<C> Clone for Shared<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C: Connector> Connector for Shared<C> {
    type Link = C::Link;

    fn connect(&mut self) -> impl Future<Output = io::Result<C::Link>> + Send + 'static {
        let mut connector = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // In a type of its own, which does not borrow from the guard.
        let connecting: Pin<Box<dyn Future<Output = io::Result<C::Link>> + Send>> =
            Box::pin(connector.connect());
        connecting
    }
}

/// Opens links with faults: the first one with those that break it, if there are such, and the others without.
pub(super) struct FaultyConnector<C> {
    pub(super) connector: C,
    pub(super) faults: Faults,
}

impl<C: Connector> Connector for FaultyConnector<C> {
    type Link = FaultyLink<C::Link>;

    fn connect(&mut self) -> impl Future<Output = io::Result<Self::Link>> + Send + 'static {
        let faults = self.faults.next();
        let connecting = self.connector.connect();
        async move { Ok(FaultyLink::new(connecting.await?, faults)) }
    }
}
