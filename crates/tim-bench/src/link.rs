//! Members without sockets: the hub's end of a connection is a real byte stream, and behind it is a [`RawClient`] in the
//! same memory, which answers at once. A process may have some thousands of sockets; of these there can be a hundred thousand.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tim_proto::wire::{Encode, FrameKind};
use tim_testkit::RawClient;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

use crate::Result;

/// The time limit of each phase.
const PATIENCE: Duration = Duration::from_secs(120);

/// Counters over all members.
#[derive(Debug)]
pub(crate) struct Tally {
    start: Instant,
    pub(crate) synced: Goal,
    pub(crate) answered: Goal,
    pub(crate) delivered: Goal,
    /// Members that the hub refused.
    pub(crate) failed: AtomicU64,
}

/// A counter with a goal.
#[derive(Debug, Default)]
pub(crate) struct Goal {
    count: AtomicU64,
    wanted: AtomicU64,
    /// When the goal was reached, in microseconds from the start.
    reached: AtomicU64,
    notify: Notify,
}

impl Goal {
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    fn add(&self, more: u64, start: Instant) {
        let before = self.count.fetch_add(more, Ordering::AcqRel);
        let wanted = self.wanted.load(Ordering::Acquire);
        if before < wanted && before + more >= wanted {
            self.reached
                .store(start.elapsed().as_micros() as u64, Ordering::Release);
            self.notify.notify_one();
        }
    }
}

impl Tally {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            synced: Goal::default(),
            answered: Goal::default(),
            delivered: Goal::default(),
            failed: AtomicU64::new(0),
        })
    }

    /// The time from the start of `go` until the counter has grown by `more`.
    pub(crate) async fn until<T>(
        &self,
        goal: &Goal,
        more: u64,
        go: impl Future<Output = Result<T>>,
    ) -> Result<Duration> {
        goal.wanted.store(goal.count() + more, Ordering::Release);
        let start = self.start.elapsed();
        go.await?;
        let waited = tokio::time::timeout(PATIENCE, goal.notify.notified()).await;
        match self.failed.load(Ordering::Acquire) {
            0 if waited.is_ok() => {}
            0 => {
                return Err("the members did not receive everything in time".into());
            }
            failed => return Err(format!("the hub refused {failed} members").into()),
        }
        let reached = Duration::from_micros(goal.reached.load(Ordering::Acquire));
        Ok(reached.saturating_sub(start))
    }
}

#[derive(Debug)]
struct End {
    raw: RawClient,
    /// The hub's task, while it waits for bytes of this member.
    hub: Option<Waker>,
    tally: Arc<Tally>,
}

/// The members' end.
#[derive(Debug, Clone)]
pub(crate) struct Member(Arc<Mutex<End>>);

/// The hub's end.
#[derive(Debug)]
pub(crate) struct Link(Arc<Mutex<End>>);

/// A member, and the connection for the hub to serve.
pub(crate) fn pair(raw: RawClient, tally: &Arc<Tally>) -> (Member, Link) {
    let end = Arc::new(Mutex::new(End {
        raw,
        hub: None,
        tally: Arc::clone(tally),
    }));
    (Member(Arc::clone(&end)), Link(end))
}

/// The memory that a member takes besides the hub's.
pub(crate) const fn own_size() -> usize {
    size_of::<Mutex<End>>() + size_of::<Member>() + 2 * size_of::<usize>()
}

fn lock(end: &Mutex<End>) -> MutexGuard<'_, End> {
    end.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Member {
    pub(crate) fn request(&self, kind: FrameKind, id: u32, body: &impl Encode) {
        let mut end = lock(&self.0);
        end.raw.request(kind, id, body);
        let hub = end.hub.take();
        drop(end);
        if let Some(hub) = hub {
            hub.wake();
        }
    }
}

impl AsyncRead for Link {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut end = lock(&self.0);
        if end.raw.outgoing.is_empty() {
            end.hub = Some(context.waker().clone());
            return Poll::Pending;
        }
        let len = end.raw.outgoing.len().min(into.remaining());
        into.put_slice(&end.raw.outgoing[..len]);
        if len == end.raw.outgoing.len() {
            end.raw.outgoing = Vec::new();
        } else {
            drop(end.raw.outgoing.drain(..len));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Link {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut end = lock(&self.0);
        let raw = &mut end.raw;
        let before = (raw.synced, raw.answered, raw.delivered);
        let taken = raw.receive(bytes);
        let synced = u64::from(raw.synced && !before.0);
        let answered = u64::from(raw.answered - before.1);
        let delivered = raw.delivered - before.2;
        // The hub's task reads the member's response when it is polled next.
        let hub = if end.raw.outgoing.is_empty() {
            None
        } else {
            end.hub.take()
        };
        let tally = Arc::clone(&end.tally);
        drop(end);
        if taken.is_err() {
            tally.failed.fetch_add(1, Ordering::AcqRel);
        }
        tally.synced.add(synced, tally.start);
        tally.answered.add(answered, tally.start);
        tally.delivered.add(delivered, tally.start);
        if let Some(hub) = hub {
            hub.wake();
        }
        match taken {
            Ok(()) => Poll::Ready(Ok(bytes.len())),
            Err(_) => Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
