//! One user, who is looked up for one sink: what there is to be notified of is read, and handed to the sink.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tim_proto::UserId;
use tim_proto::planted::{self, Fault};
use tim_store::Write;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::lane::Failure;
use super::notification::{Notification, PushError};
use super::pending::{Due, End};
use super::reading::{self, Found, Message, Terms};
use super::sink::Sink;
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
    pub(super) fn new(push: &Arc<Inner>, sink: usize, due: Due) -> Self {
        push.registrations.watch(due.user);
        Self {
            push: Arc::downgrade(push),
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
            inner.registrations.unwatch(&self.user);
            inner.end(self.sink, self.user, self.end);
            inner.wakeup.notify_one();
        }
    }
}

/// Notifies a user of what is behind a change, of which the newest is known.
pub(super) async fn notify(mut lookup: Lookup, due: Due) {
    let end = lookup.notify_from(due.pushed, due.newest).await;
    lookup.end = end.unwrap_or(End::Done);
}

/// When what was read was read.
#[derive(Debug, Clone, Copy)]
struct Read {
    at: Instant,
    /// What was known of the user's registrations then.
    registrations: u64,
}

/// Why the next message is not sent now.
enum Stop {
    /// A device of the user is online.
    Online,
    /// It was read too long ago.
    Stale,
    /// A notification failed. The sink may have said when to try again.
    Failed(Option<Duration>),
}

/// What has become of a notification.
enum Outcome {
    /// It needs not be sent any more.
    Settled,
    /// It is to be sent again. If the sink has answered, the user's other devices get theirs.
    Failed {
        is_answer: bool,
        retry_after: Option<Duration>,
    },
}

/// The futures here keep the hub's store open only while they do something with it. Nothing comes if the hub ends.
impl Lookup {
    async fn notify_from(&self, mut pushed: u64, newest: u64) -> Option<End> {
        let (sink, user) = (self.sink, self.user);
        loop {
            let inner = self.push.upgrade()?;
            if inner.settle_online(sink, &user, newest) {
                return Some(End::Done);
            }
            let registrations = inner.registrations.seen(&user);
            let terms = inner.terms();
            let reading = inner.read(move |store| reading::read(store, (user, sink), pushed, terms));
            drop(inner);
            let (found, at) = (reading.await, Instant::now());
            let inner = self.push.upgrade()?;
            let found = match found.ok()? {
                Ok(found) if found.has_tokens => found,
                Ok(_) => return Some(End::NoTokens),
                Err(error) => {
                    // That is no fault of the sink.
                    debug!(%user, %error, "it cannot be read now whether a user is to be notified");
                    return Some(End::Failed(newest, None));
                }
            };
            inner.count(sink, &found);
            drop(inner);
            let read = Read { at, registrations };
            for message in found.messages {
                match self.notify_of(message, read).await? {
                    Ok(()) => {}
                    Err(Stop::Online) => {
                        lock(&self.push.upgrade()?.pending).pushed(sink, &user, found.through);
                        return Some(if found.more { End::More(newest) } else { End::Done });
                    }
                    Err(Stop::Stale) => return Some(End::More(newest.max(found.through))),
                    Err(Stop::Failed(retry_after)) => {
                        return Some(End::Failed(newest.max(found.through), retry_after));
                    }
                }
            }
            lock(&self.push.upgrade()?.pending).pushed(sink, &user, found.through);
            pushed = found.through;
            if !found.more {
                // What has come since was noted.
                return Some(End::Done);
            }
        }
    }

    /// Notifies each device of a message. One that does not get it now is tried again, and keeps it from no other.
    async fn notify_of(&self, message: Message, read: Read) -> Option<Result<(), Stop>> {
        let (sink, user, change) = (self.sink, self.user, message.change);
        let left = {
            let inner = self.push.upgrade()?;
            let mut pending = lock(&inner.pending);
            // Everything before it was sent.
            pending.pushed(sink, &user, change - 1);
            pending.left((sink, &user), change, inner.taken(sink), message.notifications)
        };
        let mut failed = None;
        for (token, notification) in left {
            let inner = self.push.upgrade()?;
            if inner.presence.is_online_anywhere(&user) && !planted::is(Fault::NotifiedOnline) {
                return Some(Err(Stop::Online));
            }
            if read.at.elapsed() > FRESH {
                return Some(Err(failed.map_or(Stop::Stale, Stop::Failed)));
            }
            let sent = inner.send(sink, notification);
            drop(inner);
            let (notification, sent) = sent.await;
            let inner = self.push.upgrade()?;
            let outcome = inner.deal_with(sink, &notification, sent, || {
                inner.forget_token(&notification, token, read.registrations);
            });
            match outcome {
                Outcome::Settled => lock(&inner.pending).settled(sink, &user, change, token),
                Outcome::Failed {
                    is_answer,
                    retry_after,
                } => {
                    if inner.gives_up(sink, &notification, (change, token), is_answer) {
                        continue;
                    }
                    if !is_answer {
                        return Some(Err(Stop::Failed(retry_after)));
                    }
                    failed = Some(failed.flatten().max(retry_after));
                }
            }
        }
        Some(failed.map_or(Ok(()), |retry_after| Err(Stop::Failed(retry_after))))
    }
}

impl Inner {
    /// Whether a user is online, of whom everything through the newest change is dealt with then: the devices have it, or are about to.
    pub(super) fn settle_online(&self, sink: usize, user: &UserId, newest: u64) -> bool {
        let is_settled = newest != u64::MAX
            && self.presence.is_online_anywhere(user)
            && !planted::is(Fault::NotifiedOnline);
        if is_settled {
            lock(&self.pending).pushed(sink, user, newest);
        }
        is_settled
    }

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

    /// What follows from an answer, for the sink and for the user; `forget` removes the token. Whatever was answered, the sink works then.
    fn deal_with(
        &self,
        sink: usize,
        notification: &Notification,
        sent: Result<(), PushError>,
        forget: impl FnOnce(),
    ) -> Outcome {
        if let Some(Sink { state, counted }) = self.sinks.get(sink) {
            match &sent {
                Err(PushError::Unavailable { retry_after, .. }) => {
                    lock(state).failed(notification.user, *retry_after, Instant::now());
                }
                _ => lock(state).worked(),
            }
            let counted = match &sent {
                Ok(()) => &counted.sent,
                Err(PushError::Unavailable { .. } | PushError::NotTaken { .. }) => &counted.failed,
                Err(_) => &counted.refused,
            };
            counted.fetch_add(1, Ordering::Relaxed);
        }
        if let Err(error) = &sent {
            self.tell(sink, notification, error);
        }
        match sent {
            Err(PushError::Unavailable { .. }) if planted::is(Fault::FailureSettles) => Outcome::Settled,
            Err(PushError::Unavailable { retry_after, .. }) => Outcome::Failed {
                is_answer: false,
                retry_after,
            },
            Err(PushError::NotTaken { retry_after, .. }) => Outcome::Failed {
                is_answer: true,
                retry_after,
            },
            Err(PushError::TokenUnknown) => {
                forget();
                Outcome::Settled
            }
            Ok(()) | Err(PushError::Refused(_)) => Outcome::Settled,
        }
    }

    /// How many notifications a sink has taken.
    fn taken(&self, sink: usize) -> u64 {
        let sink = self.sinks.get(sink);
        sink.map_or(0, |sink| sink.counted.sent.load(Ordering::Relaxed))
    }

    /// Whether a notification that has failed for a token is given up, of the message at this change.
    fn gives_up(
        &self,
        sink: usize,
        Notification { id, user, .. }: &Notification,
        (change, token): (u64, u64),
        is_answer: bool,
    ) -> bool {
        let taken = self.taken(sink);
        let failure = Failure { is_answer, taken };
        let gives_up = lock(&self.pending).failed((sink, user), (change, token), failure, Instant::now());
        if gives_up {
            if let Some(sink) = self.sinks.get(sink) {
                sink.counted.given_up.fetch_add(1, Ordering::Relaxed);
            }
            if let Some(suppressed) = self.log.take(self.clock.steady_ms()) {
                let sink = self.name(sink);
                warn!(sink, id, %user, suppressed, "a notification is given up: the sink takes others, and not this one");
            }
        }
        gives_up
    }

    fn tell(&self, sink: usize, notification: &Notification, error: &PushError) {
        let Some(suppressed) = self.log.take(self.clock.steady_ms()) else {
            return;
        };
        let sink = self.name(sink);
        let Notification { id, user, .. } = notification;
        match error {
            PushError::Unavailable { .. } | PushError::NotTaken { .. } => {
                warn!(sink, id, %user, %error, suppressed, "a notification cannot be sent now; trying again later");
            }
            _ => warn!(sink, id, %user, %error, suppressed, "a notification is dropped"),
        }
    }

    /// Removes the token with this number, unless the user has registered one since this was seen.
    fn forget_token(&self, notification: &Notification, number: u64, seen: u64) {
        let Some(writer) = self.writer.get().and_then(Weak::upgrade) else {
            return;
        };
        let user = notification.user;
        let unregister = Write::UnregisterPush {
            user,
            platform: notification.platform,
            token: notification.token.clone(),
            written: None,
            number: Some(number),
        };
        let registrations = Arc::clone(&self.registrations);
        self.registrations.remove(&user, seen, || {
            let removed = move |_| registrations.removed(&user);
            writer.submit(unregister, removed).is_ok()
        });
    }
}
