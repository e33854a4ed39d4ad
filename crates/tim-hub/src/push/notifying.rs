//! Notifies a user of what is behind a position, at one sink: reads it, and hands it over one by one.

use std::sync::Weak;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tim_proto::UserId;
use tim_store::Write;
use tokio::time::Instant;
use tracing::warn;

use super::notification::{Notification, PushError};
use super::pending::{Due, End};
use super::reading::{self, Found, Terms};
use super::sink::{Counted, Sink};
use super::worker::Inner;
use crate::threads::lock;

/// What was read longer ago is read again before it is sent: it may be read or revoked by now.
const FRESH: Duration = Duration::from_secs(1);

/// A user is looked up for a sink. When this is dropped, it has ended.
pub(super) struct Lookup {
    push: Weak<Inner>,
    sink: usize,
    user: UserId,
    end: End,
}

impl Lookup {
    pub(super) fn new(push: &Weak<Inner>, sink: usize, due: Due) -> Self {
        Self {
            push: Weak::clone(push),
            sink,
            user: due.user,
            // Unless it ends otherwise: a sink may panic.
            end: End::Failed(due.newest, None),
        }
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        if let Some(inner) = self.push.upgrade() {
            inner.end(self.sink, self.user, self.end);
            inner.wakeup.notify_one();
        }
    }
}

/// Notifies a user of what is behind a change, of which the newest is known.
pub(super) async fn notify(mut lookup: Lookup, due: Due) {
    let end = notify_from(&lookup, due.pushed, due.newest).await;
    lookup.end = end.unwrap_or(End::Done);
}

/// Nothing: the hub ends.
async fn notify_from(lookup: &Lookup, mut pushed: u64, newest: u64) -> Option<End> {
    let &Lookup {
        ref push, sink, user, ..
    } = lookup;
    loop {
        let inner = push.upgrade()?;
        if newest != u64::MAX && inner.presence.is_online(&user) {
            // The devices have it, or are about to.
            lock(&inner.pending).pushed(sink, &user, newest);
            return Some(End::Done);
        }
        let terms = inner.terms();
        let reading = inner.read(move |store| reading::read(store, (user, sink), pushed, terms));
        drop(inner);
        let (found, read_at) = (reading.await, Instant::now());
        let inner = push.upgrade()?;
        let found = match found.ok()? {
            Ok(found) if found.has_tokens => found,
            Ok(_) => return Some(End::NoTokens),
            Err(error) => {
                inner.sink_failed(sink, user, &error.to_string(), None);
                return Some(End::Failed(newest, None));
            }
        };
        inner.count(sink, &found);
        let Found {
            notifications,
            through,
            more,
            ..
        } = found;
        drop(inner);
        for (change, notification) in notifications {
            let inner = push.upgrade()?;
            let is_online = inner.presence.is_online(&user);
            if is_online {
                lock(&inner.pending).pushed(sink, &user, through);
                return Some(if more { End::More(newest) } else { End::Done });
            }
            // Everything before it was sent.
            lock(&inner.pending).pushed(sink, &user, change - 1);
            if read_at.elapsed() > FRESH {
                return Some(End::More(newest.max(through)));
            }
            let sent = inner.send(sink, notification);
            drop(inner);
            let (notification, sent) = sent.await;
            if let Err(retry_after) = push.upgrade()?.deal_with(sink, &notification, sent) {
                return Some(End::Failed(newest.max(through), retry_after));
            }
        }
        let inner = push.upgrade()?;
        lock(&inner.pending).pushed(sink, &user, through);
        pushed = through;
        if !more {
            // What has come since was noted.
            return Some(End::Done);
        }
    }
}

impl Inner {
    fn terms(&self) -> Terms {
        let max_age_ms = u64::try_from(self.options.max_age.as_millis()).unwrap_or(u64::MAX);
        Terms {
            oldest_ms: self.clock.wall_ms().saturating_sub(max_age_ms),
            max_age: max_age_ms / 1000,
            words: self.options.words,
            routes: self.options.routes.clone(),
        }
    }

    /// Hands a notification to its sink, which has a limited time. The future does not hold the hub's store open.
    fn send(
        &self,
        sink: usize,
        notification: Notification,
    ) -> impl Future<Output = (Notification, Result<(), PushError>)> + Send + use<> {
        let (sink, timeout) = (self.options.routes.sink(sink).cloned(), self.options.timeout);
        async move {
            let Some(sink) = sink else {
                return (
                    notification,
                    Err(PushError::Refused("there is no such sink".to_owned())),
                );
            };
            let sent = tokio::time::timeout(timeout, sink.send(&notification)).await;
            let sent = sent.unwrap_or_else(|_| {
                let what = format!("it has not answered within {timeout:?}");
                Err(PushError::unavailable(what))
            });
            (notification, sent)
        }
    }

    fn count(&self, sink: usize, found: &Found) {
        if let Some(Sink { counted, .. }) = self.sinks.get(sink) {
            counted.too_old.fetch_add(found.too_old, Ordering::Relaxed);
            counted.suppressed.fetch_add(found.suppressed, Ordering::Relaxed);
        }
    }

    /// The sink has answered.
    fn answered(&self, sink: usize, count: impl FnOnce(&Counted) -> &AtomicU64) {
        if let Some(sink) = self.sinks.get(sink) {
            lock(&sink.state).worked();
            count(&sink.counted).fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether the next notification of the user can be sent. If not, the error says when this one is to be tried again, if the sink has
    /// said it.
    fn deal_with(
        &self,
        sink: usize,
        notification: &Notification,
        sent: Result<(), PushError>,
    ) -> Result<(), Option<Duration>> {
        match sent {
            Ok(()) => self.answered(sink, |counted| &counted.sent),
            Err(PushError::Unavailable { what, retry_after }) => {
                self.sink_failed(sink, notification.user, &what, retry_after);
                return Err(retry_after);
            }
            Err(error) => {
                self.answered(sink, |counted| &counted.refused);
                if error == PushError::TokenUnknown {
                    self.forget_token(notification);
                }
                if let Some(suppressed) = self.log.take(self.clock.steady_ms()) {
                    let sink = self.name(sink);
                    warn!(sink, id = notification.id, user = %notification.user, %error, suppressed, "a notification is dropped");
                }
            }
        }
        Ok(())
    }

    fn forget_token(&self, notification: &Notification) {
        let Some(writer) = self.writer.get().and_then(Weak::upgrade) else {
            return;
        };
        let unregister = Write::UnregisterPush {
            user: notification.user,
            platform: notification.platform,
            token: notification.token.clone(),
        };
        let _ = writer.submit(unregister, |_| ());
    }
}
