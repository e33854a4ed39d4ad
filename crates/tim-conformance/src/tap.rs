//! Connections of the SDK whose outgoing bytes are recorded, and that can be cut at a frame.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tim_client::transport::Connector;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::check::Stop;
use crate::spec::{self, RawFrame, kind};
use crate::target::{Link, Target};

/// What a client has written on its connections.
#[derive(Clone, Default)]
pub(crate) struct Tap(Arc<Mutex<Recorded>>);

#[derive(Default)]
struct Recorded {
    /// Bytes of each connection, from its first.
    connections: Vec<Vec<u8>>,
    /// Cut the connection behind the next SEND.
    cut: bool,
}

impl Tap {
    fn recorded(&self) -> MutexGuard<'_, Recorded> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The whole frames of all connections.
    pub(crate) fn frames(&self) -> Result<Vec<RawFrame>, Stop> {
        let mut all = Vec::new();
        for bytes in &self.recorded().connections {
            all.extend(spec::frames_behind_hello(bytes)?);
        }
        Ok(all)
    }

    /// The bodies of the SENDs.
    pub(crate) fn sends(&self) -> Result<Vec<Vec<u8>>, Stop> {
        let frames = self.frames()?;
        let sends = frames.into_iter().filter(|frame| frame.kind == kind::SEND);
        Ok(sends.map(|frame| frame.body).collect())
    }

    /// Cuts the connection right behind the next SEND: it leaves, and its answer does not come.
    pub(crate) fn cut_behind_next_send(&self) {
        self.recorded().cut = true;
    }
}

/// Connects to a target through a tap.
pub(crate) struct Connect {
    target: Target,
    tap: Tap,
}

impl Connect {
    pub(crate) const fn new(target: Target, tap: Tap) -> Self {
        Self { target, tap }
    }
}

impl Connector for Connect {
    type Link = TappedLink;

    fn connect(&mut self) -> impl Future<Output = io::Result<TappedLink>> + Send + 'static {
        let (connecting, tap) = (self.target.connect(), self.tap.clone());
        async move {
            let link = connecting.await?;
            let number = {
                let mut recorded = tap.recorded();
                recorded.connections.push(Vec::new());
                recorded.connections.len() - 1
            };
            Ok(TappedLink {
                link,
                tap,
                number,
                is_cut: false,
            })
        }
    }
}

pub(crate) struct TappedLink {
    link: Link,
    tap: Tap,
    number: usize,
    is_cut: bool,
}

impl TappedLink {
    /// Records what was written. True: the connection is to be cut here.
    fn record(&self, bytes: &[u8]) -> bool {
        let mut recorded = self.tap.recorded();
        let cut = recorded.cut;
        let Some(all) = recorded.connections.get_mut(self.number) else {
            return false;
        };
        let sends = |bytes: &[u8]| {
            let frames = spec::frames_behind_hello(bytes).unwrap_or_default();
            frames.iter().filter(|frame| frame.kind == kind::SEND).count()
        };
        let before = if cut { sends(all) } else { 0 };
        all.extend_from_slice(bytes);
        let cut_here = cut && sends(all) > before;

        if cut_here {
            recorded.cut = false;
        }
        cut_here
    }
}

impl AsyncRead for TappedLink {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_cut {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.link).poll_read(context, buffer)
    }
}

impl AsyncWrite for TappedLink {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_cut {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let written = Pin::new(&mut self.link).poll_write(context, bytes);
        if let Poll::Ready(Ok(len)) = written
            && let Some(bytes) = bytes.get(..len)
            && self.record(bytes)
        {
            self.is_cut = true;
            context.waker().wake_by_ref();
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.link).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.link).poll_shutdown(context)
    }
}
