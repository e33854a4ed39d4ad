//! Simulated links as byte streams in tokio's time.
//!
//! A [`SimulatedLink`] decides what arrives when. Here it gets wakers and a limit of the bytes in transit, so that whoever
//! sends faster than the other end reads has to wait, as on a socket.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::time::Steady;
use crate::{End, Faults, Rng, SimulatedLink};

/// What the UART of a serial line and its driver hold of what arrives while nobody reads, in bytes.
const UART: usize = 4096;

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A link with what tokio needs.
#[derive(Debug)]
struct Line {
    link: SimulatedLink,
    rng: Rng,
    steady: Steady,
    capacity: usize,
    /// What a broken link of which an end does not know has swallowed from it.
    swallowed: [usize; 2],
    /// Which ends have seen its end.
    ended: [bool; 2],
    /// The number of each end's holder, and whether it still holds it: a serial line outlives its holders.
    holders: [u64; 2],
    held: [bool; 2],
    readers: [Option<Waker>; 2],
    writers: [Option<Waker>; 2],
}

const fn other(end: End) -> End {
    match end {
        End::Device => End::Hub,
        End::Hub => End::Device,
    }
}

impl Line {
    fn wake(&mut self) {
        let wakers = self.readers.iter_mut().chain(&mut self.writers);
        wakers.filter_map(Option::take).for_each(Waker::wake);
    }

    fn wake_reader(&mut self, end: End) {
        if let Some(waker) = self.readers[end as usize].take() {
            waker.wake();
        }
    }

    /// How many bytes an end may send now.
    fn space(&self, from: End) -> usize {
        let waiting = match self.link.is_broken() {
            true => self.swallowed[from as usize],
            false => self.link.in_transit(other(from)),
        };
        self.capacity.saturating_sub(waiting)
    }

    fn send(&mut self, from: End, bytes: &[u8]) {
        let now = self.steady.now();
        if self.link.is_broken() {
            self.swallowed[from as usize] += bytes.len();
            return;
        }
        let to = other(from);
        if !self.held[to as usize] && self.link.in_transit(to) + bytes.len() > UART {
            return; // a serial line on which nobody listens
        }
        self.link.send(from, bytes, now, &mut self.rng);
        match self.link.is_broken() {
            true => self.wake(),
            false => self.wake_reader(to),
        }
    }

    /// Somebody takes an end of a serial line. What had arrived there before is in the UART, or is lost because that was reset.
    fn take(&mut self, end: End) {
        let now = self.steady.now();
        if !self.link.has_arrived(end, now) {
            return;
        }
        let most = match self.rng.below(4) {
            0 | 1 => 0,
            2 => self.rng.below(UART as u64) as usize,
            _ => UART,
        };
        self.link.overrun(end, now, most);
    }
}

/// A line of which several parties know.
#[derive(Debug, Clone)]
pub(crate) struct SharedLine(Arc<Mutex<Line>>);

impl SharedLine {
    /// A line that holds so many bytes in each direction.
    pub(super) fn new(link: SimulatedLink, rng: Rng, steady: Steady, capacity: usize) -> Self {
        Self(Arc::new(Mutex::new(Line {
            link,
            rng,
            steady,
            capacity,
            swallowed: [0; 2],
            ended: [false; 2],
            holders: [0; 2],
            held: [false; 2],
            readers: [None, None],
            writers: [None, None],
        })))
    }

    /// One of its ends. Whoever held it before holds it no longer.
    pub(crate) fn end(&self, end: End) -> LinkEnd {
        let mut line = lock(&self.0);
        line.holders[end as usize] += 1;
        line.held[end as usize] = true;
        line.take(end);
        line.wake();
        let sleep = tokio::time::sleep_until(line.steady.at(line.steady.now()));
        LinkEnd {
            line: self.clone(),
            end,
            holder: line.holders[end as usize],
            sleep: Box::pin(sleep),
        }
    }

    /// Changes the line, and lets both ends look.
    pub(super) fn change(&self, change: impl FnOnce(&mut SimulatedLink, &mut Rng, tim_session::Instant)) {
        let line = &mut *lock(&self.0);
        let now = line.steady.now();
        change(&mut line.link, &mut line.rng, now);
        line.wake();
    }

    /// Breaks it now.
    pub(crate) fn cut(&self, cut: Cut) {
        self.change(|link, rng, now| match cut {
            Cut::Noticed => {
                link.cut_after(0, [false, false]);
                link.cut(now, rng);
            }
            Cut::Silent => link.cut_silently(rng),
            Cut::HalfOpen(unaware) => {
                link.cut_after(0, [unaware == End::Device, unaware == End::Hub]);
                link.cut(now, rng);
            }
            Cut::AfterBytes(bytes) => link.cut_after(bytes.max(1), [false, false]),
        });
    }

    /// Changes delays, fragments, noise.
    pub(crate) fn set_faults(&self, faults: &Faults) {
        self.change(|link, _, _| link.set_faults(faults));
    }

    /// Pulls a serial line's cable for so long.
    pub(crate) fn pull(&self, time: Duration) {
        self.change(|link, _, now| link.pull(now + time));
    }

    pub(crate) fn is_broken(&self) -> bool {
        lock(&self.0).link.is_broken()
    }

    /// When the last of what is on its way arrives.
    pub(super) fn last_arrival(&self) -> Option<tim_session::Instant> {
        lock(&self.0).link.last_arrival()
    }

    /// Whether it is broken, and the device holds it and does not know.
    pub(super) fn is_deceptive(&self) -> bool {
        let line = lock(&self.0);
        let end = End::Device as usize;
        line.link.is_broken() && line.held[end] && !line.ended[end]
    }

    pub(super) fn weak(&self) -> WeakLine {
        WeakLine(Arc::downgrade(&self.0))
    }

    /// Takes an end away from its holder.
    pub(crate) fn lose(&self, end: End, is_noticed: bool) {
        let line = &mut *lock(&self.0);
        line.holders[end as usize] += 1;
        line.held[end as usize] = false;
        let now = line.steady.now();
        match is_noticed {
            true => line.link.close(end, now, &mut line.rng),
            false => line.link.lose(&mut line.rng),
        }
        line.wake();
    }
}

/// A line that nobody holds on to by this.
#[derive(Debug)]
pub(super) struct WeakLine(Weak<Mutex<Line>>);

impl WeakLine {
    pub(super) fn upgrade(&self) -> Option<SharedLine> {
        self.0.upgrade().map(SharedLine)
    }

    /// Whether an end holds the line.
    pub(super) fn is_open(&self) -> bool {
        self.0.strong_count() > 0
    }
}

/// How a link breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Both ends notice.
    Noticed,
    /// Neither does.
    Silent,
    /// This end does not notice.
    HalfOpen(End),
    /// After so many more bytes, in both directions together; both ends notice.
    AfterBytes(u64),
}

/// One end of a link: a byte stream.
#[derive(Debug)]
pub(crate) struct LinkEnd {
    line: SharedLine,
    end: End,
    holder: u64,
    sleep: Pin<Box<Sleep>>,
}

impl LinkEnd {
    pub(crate) fn poll_receive(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            let line = &mut *lock(&self.line.0);
            let me = self.end as usize;
            if line.ended[me] || line.holders[me] != self.holder {
                return Poll::Ready(Ok(0));
            }
            let (now, mut len) = (line.steady.now(), 0);
            let open = line.link.receive(self.end, now, |bytes| {
                let taken = bytes.len().min(buffer.len() - len);
                buffer[len..len + taken].copy_from_slice(&bytes[..taken]);
                len += taken;
                taken
            });
            line.ended[me] |= !open;
            if len > 0 {
                if let Some(waker) = line.writers[other(self.end) as usize].take() {
                    waker.wake();
                }
                return Poll::Ready(Ok(len));
            }
            if !open {
                line.wake();
                return Poll::Ready(Ok(0));
            }
            line.readers[me] = Some(context.waker().clone());
            let Some(next) = line.link.next_arrival_at(self.end) else {
                return Poll::Pending;
            };
            let next = line.steady.at(next);
            if self.sleep.deadline() != next {
                self.sleep.as_mut().reset(next);
            }
            // Time has whole milliseconds: what arrives within this one is due when the timer says so.
            ready!(self.sleep.as_mut().poll(context));
        }
    }

    pub(crate) fn poll_send(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let line = &mut *lock(&self.line.0);
        let me = self.end as usize;
        if line.ended[me] || line.holders[me] != self.holder {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let len = bytes.len().min(line.space(self.end));
        if len == 0 && !bytes.is_empty() {
            line.writers[me] = Some(context.waker().clone());
            return Poll::Pending;
        }
        line.send(self.end, &bytes[..len]);
        Poll::Ready(Ok(len))
    }

    fn close(&mut self) {
        let line = &mut *lock(&self.line.0);
        let me = self.end as usize;
        if line.holders[me] != self.holder || !std::mem::take(&mut line.held[me]) {
            return;
        }
        let now = line.steady.now();
        line.link.close(self.end, now, &mut line.rng);
        // A serial line stays. Nobody holds it at this end until somebody takes it again.
        line.ended[me] = line.link.is_broken();
        line.wake();
    }
}

impl Drop for LinkEnd {
    fn drop(&mut self) {
        self.close();
    }
}

impl AsyncRead for LinkEnd {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let len = ready!(self.get_mut().poll_receive(context, buffer.initialize_unfilled()))?;
        buffer.advance(len);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for LinkEnd {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().poll_send(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().close();
        Poll::Ready(Ok(()))
    }
}
