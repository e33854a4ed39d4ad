//! Events on their way to the application.
//!
//! Every stream has its own queue. Messages are never dropped: while a queue is full, the client does not acknowledge, so
//! the hub stops delivering after one more window; nothing else is held up. States (readiness, the connection, the lists)
//! do not pile up: a newer one replaces one that was not read yet.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tim_proto::planted::{self, Fault};
use tokio::sync::Notify;

use crate::event::{Event, EventKind};
use crate::state::Mark;

/// All streams of a client.
#[derive(Debug)]
pub(crate) struct Bus {
    inner: Mutex<Inner>,
    /// How many messages a queue may hold before the hub is slowed down.
    capacity: usize,
    free_space: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    queues: Vec<Queue>,
    last_queue: u64,
    closed: bool,
    /// How many deliveries wait in the client for missing parts. They count towards the capacity.
    waiting: usize,
    /// The number of the last delivery that was published.
    published: u64,
    /// The cursors of deliveries that some stream has not processed, oldest first.
    open: VecDeque<(u64, Vec<u8>)>,
    /// The cursor behind the deliveries that every stream has processed.
    settled: Vec<u8>,
}

#[derive(Debug)]
struct Queue {
    id: u64,
    items: VecDeque<Item>,
    messages: usize,
    /// The last delivery of the event that the application is processing.
    processing: Option<u64>,
    /// How many of the queued items come from deliveries.
    marked: usize,
    /// The last delivery that the application has processed.
    done: u64,
    waker: Option<Waker>,
}

#[derive(Debug)]
struct Item {
    event: Event,
    weight: usize,
    through: Option<u64>,
}

impl Bus {
    pub(crate) fn new(capacity: usize, settled: Vec<u8>) -> Self {
        let inner = Inner {
            settled,
            ..Inner::default()
        };
        Self {
            inner: Mutex::new(inner),
            capacity: capacity.max(1),
            free_space: Notify::new(),
        }
    }

    pub(crate) fn subscribe(self: &Arc<Self>) -> EventStream {
        let mut inner = self.lock();
        inner.last_queue += 1;
        let (id, done) = (inner.last_queue, inner.published);
        inner.queues.push(Queue {
            id,
            items: VecDeque::new(),
            messages: 0,
            processing: None,
            marked: 0,
            done,
            waker: None,
        });
        EventStream {
            bus: self.clone(),
            id,
        }
    }

    /// Whether any stream is open.
    pub(crate) fn has_streams(&self) -> bool {
        !self.lock().queues.is_empty()
    }

    /// Publishes an event that no delivery has caused.
    pub(crate) fn publish(&self, event: &Event) {
        let queues = &mut self.lock().queues;
        queues.iter_mut().for_each(|queue| queue.push(event, None));
    }

    /// These deliveries are processed. Publishes the event that they caused, if any.
    pub(crate) fn deliver(&self, event: Option<&Event>, mark: Mark) {
        let mut inner = self.lock();
        if let Some(event) = event {
            let through = Some(mark.through);
            inner
                .queues
                .iter_mut()
                .for_each(|queue| queue.push(event, through));
        }
        inner.published = mark.through;
        inner
            .open
            .extend(mark.cursor.map(|cursor| (mark.through, cursor)));
        inner.settle();
    }

    /// The device's cursor at its first login, unless it resumed from one.
    pub(crate) fn start_at(&self, cursor: &[u8]) {
        let mut inner = self.lock();
        if inner.settled.is_empty() {
            inner.settled = cursor.to_vec();
        }
    }

    /// The cursor behind the last delivery that every stream has processed.
    pub(crate) fn cursor(&self) -> Vec<u8> {
        self.lock().settled.clone()
    }

    /// Whether a queue is full, together with so many deliveries that wait for missing parts. [`free_space`](Self::free_space)
    /// counts these, too, until the next call.
    pub(crate) fn is_full(&self, waiting: usize) -> bool {
        let mut inner = self.lock();
        inner.waiting = waiting;
        let backlog = inner.queues.iter().map(|queue| queue.messages).max();
        backlog.unwrap_or(0) + waiting >= self.capacity
    }

    /// The events in the longest queue.
    pub(crate) fn longest(&self) -> usize {
        self.lock()
            .queues
            .iter()
            .map(|queue| queue.items.len())
            .max()
            .unwrap_or(0)
    }

    pub(crate) const fn capacity(&self) -> usize {
        self.capacity
    }

    /// Waits until a queue that was full has free space.
    pub(crate) async fn free_space(&self) {
        self.free_space.notified().await;
    }

    /// No further event follows: streams end behind what is queued.
    pub(crate) fn close(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        inner.queues.iter_mut().for_each(Queue::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Moves the settled cursor up to what every stream has processed.
    fn settle(&mut self) {
        let done = self
            .queues
            .iter()
            .filter(|queue| queue.is_behind())
            .map(|queue| queue.done)
            .min();
        let done = done
            .filter(|_| !planted::is(Fault::CursorAheadOfEvents))
            .unwrap_or(self.published);
        while self.open.front().is_some_and(|(through, _)| *through <= done) {
            if let Some((_, cursor)) = self.open.pop_front() {
                self.settled = cursor;
            }
        }
    }
}

impl Queue {
    const fn is_behind(&self) -> bool {
        self.marked > 0 || self.processing.is_some()
    }

    fn push(&mut self, event: &Event, through: Option<u64>) {
        if let Some(topic) = Topic::of(event.kind()) {
            self.items
                .retain(|item| Topic::of(item.event.kind()) != Some(topic));
        }
        let weight = match event {
            Event::MessageReceived(messages) | Event::MessageRevoked(messages) => messages.len(),
            Event::Gap(_) => 1,
            _ => 0,
        };
        self.messages += weight;
        self.marked += usize::from(through.is_some());
        self.items.push_back(Item {
            event: event.clone(),
            weight,
            through,
        });
        self.wake();
    }

    fn finish_processing(&mut self) {
        if let Some(through) = self.processing.take() {
            self.done = through;
        }
    }

    fn pop(&mut self) -> Option<Event> {
        let item = self.items.pop_front()?;
        self.messages = self.messages.saturating_sub(item.weight);
        self.marked = self.marked.saturating_sub(usize::from(item.through.is_some()));
        self.processing = item.through;
        Some(item.event)
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// States of which only the newest is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Topic {
    Readiness,
    Net,
    Conversations,
    TotalUnread,
    Groups,
    Kicked,
}

impl Topic {
    const fn of(kind: EventKind) -> Option<Self> {
        match kind {
            EventKind::SdkReady | EventKind::SdkNotReady => Some(Self::Readiness),
            EventKind::NetStateChange => Some(Self::Net),
            EventKind::ConversationListUpdated => Some(Self::Conversations),
            EventKind::TotalUnreadMessageCountUpdated => Some(Self::TotalUnread),
            EventKind::GroupListUpdated => Some(Self::Groups),
            EventKind::KickedOut => Some(Self::Kicked),
            _ => None,
        }
    }
}

/// The events of a client from the moment the stream was created; from `Client::events`.
///
/// Each stream yields each message once. An event counts as processed when the next one is requested: only then does
/// `Client::cursor` move past it. A stream must be read or dropped: while it holds its capacity in messages (256 unless the
/// builder sets another), deliveries are not acknowledged, and after one more window of messages nothing is delivered to
/// *any* stream of this client; calls still work. Of states that change faster than the stream is read (readiness, the
/// connection, the lists of conversations and groups), only the newest is kept.
#[derive(Debug)]
pub struct EventStream {
    bus: Arc<Bus>,
    id: u64,
}

impl EventStream {
    /// The next event; `None` once the client has ended. Dropping the future loses no event.
    pub async fn next(&mut self) -> Option<Event> {
        std::future::poll_fn(|context| self.poll_next_event(context)).await
    }

    /// [`EventStream::next`] as a poll function.
    pub fn poll_next_event(&mut self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        let mut inner = self.bus.lock();
        let (closed, waiting) = (inner.closed, inner.waiting);
        let Some(queue) = inner.queues.iter_mut().find(|queue| queue.id == self.id) else {
            return Poll::Ready(None);
        };
        queue.finish_processing();
        let was_full = queue.messages + waiting >= self.bus.capacity;
        let event = queue.pop();
        if event.is_none() && !closed {
            queue.waker = Some(context.waker().clone());
        }
        let has_space = queue.messages + waiting < self.bus.capacity;
        inner.settle();
        if was_full && has_space {
            self.bus.free_space.notify_one();
        }
        match event {
            None if !closed => Poll::Pending,
            event => Poll::Ready(event),
        }
    }
}

impl futures_core::Stream for EventStream {
    type Item = Event;
    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        self.poll_next_event(context)
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        let mut inner = self.bus.lock();
        inner.queues.retain(|queue| queue.id != self.id);
        inner.settle();
        self.bus.free_space.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tim_proto::ConversationId;
    use tim_proto::request::Gap;

    /// A device that catches up holds deliveries back behind a revocation whose message it must look up. Together with these the
    /// stream is full; reading it must be noticed although it does not fill the capacity alone.
    #[tokio::test]
    async fn reading_is_noticed_when_the_stream_is_full_together_with_what_waits() {
        let bus = Arc::new(Bus::new(4, Vec::new()));
        let mut stream = bus.subscribe();
        let event = Event::Gap(Gap::new(ConversationId::System, 1, 1));
        bus.publish(&event);
        bus.publish(&event);
        assert!(bus.is_full(2));
        let mut noticed = std::pin::pin!(bus.free_space());
        let mut context = Context::from_waker(Waker::noop());
        assert!(noticed.as_mut().poll(&mut context).is_pending());
        stream.next().await.unwrap();
        assert!(noticed.as_mut().poll(&mut context).is_ready());
        assert!(!bus.is_full(2));
    }
}
