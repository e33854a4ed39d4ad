//! The hub's end of a connection over any tokio byte stream.
//!
//! All functions poll, so that the hub can wait for the stream, the clock and its own work in one place. An idle connection
//! holds no buffer: bytes are read into a buffer on the stack, and the session releases its buffers when they are empty.

use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tim_session::{GrowBuffer, HubConfig, HubSession, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// How many bytes are read at a time.
const SCRATCH: usize = 8 * 1024;

/// A byte stream and its session.
#[derive(Debug)]
pub struct HubConnection<L> {
    link: L,
    session: HubSession<GrowBuffer>,
    started: tokio::time::Instant,
    timer: Pin<Box<Sleep>>,
}

impl<L: AsyncRead + AsyncWrite + Unpin> HubConnection<L> {
    /// A connection that was just accepted, or a serial port that was just opened. It queues at most `max_outgoing` bytes.
    pub fn new(link: L, config: HubConfig, max_outgoing: usize) -> Self {
        let started = tokio::time::Instant::now();
        let rx = GrowBuffer::new(config.framing.buffer_len(config.max_frame as usize));
        Self {
            link,
            session: HubSession::new(config, rx, GrowBuffer::new(max_outgoing), Instant::ZERO),
            started,
            timer: Box::pin(tokio::time::sleep_until(started)),
        }
    }

    /// The session.
    pub const fn session(&mut self) -> &mut HubSession<GrowBuffer> {
        &mut self.session
    }

    /// The current time, as the session counts it.
    #[must_use]
    pub fn now(&self) -> Instant {
        let micros = self.started.elapsed().as_micros();
        Instant::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// Receives available bytes, as far as the session has capacity. `Ready(Ok(false))` is the end of the stream.
    ///
    /// # Errors
    /// The stream's.
    pub fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let capacity = self.session.receive_capacity().min(SCRATCH);
        if capacity == 0 {
            return Poll::Pending; // responding to a request frees capacity, and polls again
        }
        let mut scratch = [const { MaybeUninit::uninit() }; SCRATCH];
        let mut bytes = ReadBuf::uninit(scratch.get_mut(..capacity).unwrap_or(&mut []));
        ready!(Pin::new(&mut self.link).poll_read(context, &mut bytes))?;
        let now = self.now();
        let taken = self.session.receive(now, bytes.filled());
        debug_assert_eq!(
            taken,
            bytes.filled().len(),
            "the session has the capacity that it reported"
        );
        Poll::Ready(Ok(taken > 0))
    }

    /// Sends outgoing bytes. `Ready` when all of them are sent.
    ///
    /// # Errors
    /// The stream's.
    pub fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.session.outgoing().is_empty() {
            let sent = ready!(Pin::new(&mut self.link).poll_write(context, self.session.outgoing()))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.session.transmitted(sent);
        }
        Pin::new(&mut self.link).poll_flush(context)
    }

    /// `Ready` at `moment`. If that is later than the last one, the task is also woken then: most moments are put off before they
    /// come, with each byte of the client, and setting a timer costs more than asking for the time.
    pub fn poll_until(&mut self, context: &mut Context<'_>, moment: Instant) -> Poll<()> {
        let deadline = self.started + moment.since(Instant::ZERO);
        if deadline < self.timer.deadline() {
            self.timer.as_mut().reset(deadline);
        }
        ready!(self.timer.as_mut().poll(context));
        if self.timer.deadline() < deadline {
            self.timer.as_mut().reset(deadline);
            ready!(self.timer.as_mut().poll(context));
        }
        Poll::Ready(())
    }

    /// Shuts down the stream's write half.
    ///
    /// # Errors
    /// The stream's.
    pub fn poll_close(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.link).poll_shutdown(context)
    }
}
