//! The task that looks up who is to be notified and hands notifications to the sink.
//!
//! It is one task of the executor, with a bounded number of users under way at a time; what it reads it reads on the read pool. So it
//! works in a stepped hub too. The fan-out and the handlers tell it that there is something; they never wait for it.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

use tim_proto::request::PushPlatform;
use tim_proto::{GroupId, UserId};
use tim_store::{EntryFlags, LogKey, Published, PushUser, StoreReader, Write, Writer};
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::notification::{Notification, PushError, PushOptions, PushStats};
use super::pending::{Due, End, Pending};
use super::reading::{self, Found, Terms};
use super::sink::{FIRST_PAUSE, SinkState};
use crate::admission::LogLimiter;
use crate::clock::Clock;
use crate::presence::PresenceRegistry;
use crate::reads::Reads;
use crate::threads::lock;

/// How many users are read at a time when the hub starts.
const PAGE: usize = 512;
/// After how long cursors are stored, and how many at a time.
const SAVE_INTERVAL: Duration = Duration::from_secs(1);
const SAVED_AT_ONCE: usize = 256;
/// Of how many groups the members are looked up at a time.
const MAX_GROUPS: usize = 32;
/// What was read longer ago is read again before it is sent: it may be read or revoked by now.
const FRESH: Duration = Duration::from_secs(1);

/// The offline push of a hub, if it has a sink.
pub(crate) struct Push(Option<Arc<Inner>>);

struct Inner {
    options: PushOptions,
    clock: Clock,
    reads: Reads,
    writer: OnceLock<Weak<Writer>>,
    presence: Arc<PresenceRegistry>,
    pending: Mutex<Pending>,
    /// As many as `pending` has, for those who must not wait for its lock.
    users: AtomicUsize,
    /// By the number of the sink.
    sinks: Vec<Mutex<SinkState>>,
    wakeup: Arc<Notify>,
    is_running: AtomicBool,
    counted: Counted,
    log: LogLimiter,
}

#[derive(Default)]
struct Counted {
    sent: AtomicU64,
    failed: AtomicU64,
    refused: AtomicU64,
    too_old: AtomicU64,
    suppressed: AtomicU64,
}

impl Push {
    pub(crate) fn new(
        options: Option<PushOptions>,
        clock: Clock,
        reads: Reads,
        presence: Arc<PresenceRegistry>,
    ) -> Self {
        Self(options.map(|options| {
            let sinks = options.routes.len();
            Arc::new(Inner {
                options,
                clock,
                reads,
                writer: OnceLock::new(),
                presence,
                pending: Mutex::new(Pending::new(sinks)),
                users: AtomicUsize::new(0),
                sinks: std::iter::repeat_with(Mutex::default).take(sinks).collect(),
                wakeup: Arc::default(),
                is_running: AtomicBool::new(false),
                counted: Counted::default(),
                log: LogLimiter::new(),
            })
        }))
    }

    /// Another handle, for the hooks of the writer.
    pub(crate) fn handle(&self) -> Self {
        Self(self.0.clone())
    }

    pub(crate) fn set_writer(&self, writer: &Arc<Writer>) {
        if let Some(push) = &self.0 {
            // It is set once.
            let _ = push.writer.set(Arc::downgrade(writer));
        }
    }

    /// Starts the task, unless it runs or there is no runtime yet.
    pub(crate) fn start(&self) {
        let Some(push) = &self.0 else { return };
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        if !push.is_running.swap(true, Ordering::AcqRel) {
            runtime.spawn(run(Arc::downgrade(push), Arc::clone(&push.wakeup)));
        }
    }

    /// A commit has published entries. Nothing is looked up here: this is the writer's thread.
    pub(crate) fn committed(&self, published: &[Published]) {
        let Some(push) = &self.0 else { return };
        if push.users.load(Ordering::Acquire) == 0 {
            return;
        }
        let mut pending = lock(&push.pending);
        for Published { log, entry, .. } in published {
            let Some(entry) = entry
                .as_ref()
                .filter(|entry| !entry.flags.contains(EntryFlags::SYSTEM))
            else {
                continue;
            };
            match log {
                LogKey::C2c(pair) => {
                    let (one, other) = pair.users();
                    for user in [one, other] {
                        if user != entry.sender {
                            pending.note(user, entry.change);
                        }
                    }
                }
                LogKey::Group(group) => pending.note_group(*group, entry.change),
                LogKey::System(_) => {}
            }
        }
        let waits = pending.has_due();
        drop(pending);
        if waits {
            push.wakeup.notify_one();
        }
    }

    /// The form in which a token is kept.
    pub(crate) fn token<'a>(&self, platform: PushPlatform, token: &'a str) -> Result<Cow<'a, str>, String> {
        match &self.0 {
            Some(push) => push.options.routes.token(platform, token),
            None => Ok(Cow::Borrowed(token)),
        }
    }

    /// A user has registered a token, and was notified through this change.
    pub(crate) fn registered(&self, platform: PushPlatform, user: UserId, pushed: u64) {
        let Some(push) = &self.0 else { return };
        let Some(sink) = push.options.routes.number(platform) else {
            return;
        };
        let mut pending = lock(&push.pending);
        pending.add_to(sink, user, pushed);
        push.users.store(pending.users(), Ordering::Release);
        drop(pending);
        push.wakeup.notify_one();
    }

    /// Hands cursors that are not stored yet to the writer, which is about to end.
    pub(crate) fn save(&self) {
        if let Some(push) = &self.0 {
            push.save();
        }
    }

    pub(crate) fn stats(&self) -> PushStats {
        let Some(push) = &self.0 else {
            return PushStats::default();
        };
        let pending = lock(&push.pending);
        let count = |number: &AtomicU64| number.load(Ordering::Relaxed);
        PushStats {
            users: pending.users(),
            waiting: pending.waiting(),
            sent: count(&push.counted.sent),
            failed: count(&push.counted.failed),
            refused: count(&push.counted.refused),
            too_old: count(&push.counted.too_old),
            suppressed: count(&push.counted.suppressed),
        }
    }
}

/// The task ends with the hub.
impl Drop for Inner {
    fn drop(&mut self) {
        self.wakeup.notify_one();
    }
}

impl Inner {
    fn add(&self, users: impl IntoIterator<Item = PushUser>) {
        let mut pending = lock(&self.pending);
        for PushUser { user, pushed } in users {
            pending.add(user, pushed);
        }
        self.users.store(pending.users(), Ordering::Release);
    }

    fn end(&self, sink: usize, user: UserId, end: End) {
        let mut pending = lock(&self.pending);
        pending.end(sink, user, end, Instant::now());
        self.users.store(pending.users(), Ordering::Release);
    }

    /// Reads on the read pool. Nothing comes if the pool has ended.
    fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn StoreReader) -> T + Send + 'static,
    ) -> oneshot::Receiver<T> {
        let (sender, receiver) = oneshot::channel();
        let reads = self.reads.clone();
        self.reads
            .run_detached(None, move || drop(sender.send(read(reads.store()))));
        receiver
    }

    /// Takes who is to be looked up next for a sink, as far as that takes notifications.
    fn take(&self, sink: usize) -> Option<Due> {
        let state = self.sinks.get(sink)?;
        let most = lock(state).concurrency(self.options.max_concurrent, Instant::now());
        lock(&self.pending).take(sink, most)
    }

    /// When the first pause of a sink ends.
    fn pause_ends(&self) -> Option<Instant> {
        let now = Instant::now();
        let pauses = self.sinks.iter().filter_map(|sink| lock(sink).pause_ends(now));
        pauses.min()
    }

    fn sink_worked(&self, sink: usize) {
        if let Some(state) = self.sinks.get(sink) {
            lock(state).worked();
        }
    }

    /// Nothing can be sent to a user now.
    fn sink_failed(&self, sink: usize, user: UserId, what: &str, retry_after: Option<Duration>) {
        if let Some(state) = self.sinks.get(sink) {
            lock(state).failed(user, retry_after, Instant::now());
        }
        self.counted.failed.fetch_add(1, Ordering::Relaxed);
        if let Some(suppressed) = self.log.take(self.clock.steady_ms()) {
            let sink = self.options.routes.sink(sink).map_or("", |sink| sink.name());
            warn!(sink, %user, what, suppressed, "a notification cannot be sent now; trying again later");
        }
    }

    /// Stores cursors. One that is lost costs a notification more.
    fn save(&self) {
        let Some(writer) = self.writer.get().and_then(Weak::upgrade) else {
            return;
        };
        loop {
            let users = lock(&self.pending).take_unsaved(SAVED_AT_ONCE);
            if users.is_empty() {
                return;
            }
            let submitted = writer.submit(Write::Pushed(users), |result| {
                if let Err(error) = result {
                    debug!(%error, "it is not stored who was notified");
                }
            });
            if submitted.is_err() {
                return;
            }
        }
    }
}

/// Looks up the members of a group who have tokens. The futures here keep the hub's store open only while they do something with it.
async fn look_up(push: Weak<Inner>, group: GroupId, change: u64) {
    let Some(inner) = push.upgrade() else { return };
    let reading = inner.read(move |store| store.push_members(&group));
    drop(inner);
    let Ok(found) = reading.await else { return };
    let Some(inner) = push.upgrade() else { return };
    match found {
        Ok(users) => {
            let mut pending = lock(&inner.pending);
            users.into_iter().for_each(|user| pending.note(user, change));
        }
        Err(error) => {
            debug!(%error, "the members of a group cannot be read now");
            drop(inner);
            tokio::time::sleep(FIRST_PAUSE).await;
            if let Some(inner) = push.upgrade() {
                lock(&inner.pending).note_group(group, change);
            }
        }
    }
}

/// Until the hub is gone.
async fn run(push: Weak<Inner>, wakeup: Arc<Notify>) {
    if !load_all(&push).await {
        return;
    }
    let (mut groups, mut under_way) = (JoinSet::new(), JoinSet::new());
    let mut save_at = None;
    loop {
        let Some(inner) = push.upgrade() else { return };
        lock(&inner.pending).wake(Instant::now());
        // Before it is asked how many may be under way: a pause that ends in between is slept for, not forgotten.
        let pause_ends = inner.pause_ends();
        while groups.len() < MAX_GROUPS {
            let Some((group, change)) = lock(&inner.pending).take_group() else {
                break;
            };
            groups.spawn(look_up(Weak::clone(&push), group, change));
        }
        for sink in 0..inner.sinks.len() {
            while let Some(due) = inner.take(sink) {
                under_way.spawn(notify(Lookup::new(&push, sink, due), due));
            }
        }
        if save_at.is_some_and(|at| at <= Instant::now()) {
            inner.save();
            save_at = None;
        }
        if lock(&inner.pending).has_unsaved() {
            save_at = save_at.or_else(|| Some(Instant::now() + SAVE_INTERVAL));
        }
        let rest_ends = lock(&inner.pending).rest_ends();
        let wakes_at = [pause_ends, rest_ends, save_at].into_iter().flatten().min();
        drop(inner);
        tokio::select! {
            biased;
            Some(_) = groups.join_next() => {}
            Some(_) = under_way.join_next() => {}
            () = wakeup.notified() => {}
            () = tokio::time::sleep_until(wakes_at.unwrap_or_else(Instant::now)), if wakes_at.is_some() => {}
        }
    }
}

/// Reads all users with tokens; whether the hub is still there.
async fn load_all(push: &Weak<Inner>) -> bool {
    let mut after = None;
    loop {
        let Some(inner) = push.upgrade() else { return false };
        let reading = inner.read(move |store| store.push_users(after, PAGE));
        drop(inner);
        let Ok(found) = reading.await else { return false };
        let Some(inner) = push.upgrade() else { return false };
        match found {
            Ok(users) => {
                after = users.last().filter(|_| users.len() == PAGE).map(|last| last.user);
                inner.add(users);
                if after.is_none() {
                    return true;
                }
            }
            Err(error) => {
                warn!(%error, "who is to be notified cannot be read; trying again");
                drop(inner);
                tokio::time::sleep(FIRST_PAUSE).await;
            }
        }
    }
}

/// A user is looked up for a sink. When this is dropped, it has ended.
struct Lookup {
    push: Weak<Inner>,
    sink: usize,
    user: UserId,
    end: End,
}

impl Lookup {
    fn new(push: &Weak<Inner>, sink: usize, due: Due) -> Self {
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
async fn notify(mut lookup: Lookup, due: Due) {
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
        inner.count(&found);
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

    fn count(&self, found: &Found) {
        self.counted.too_old.fetch_add(found.too_old, Ordering::Relaxed);
        self.counted
            .suppressed
            .fetch_add(found.suppressed, Ordering::Relaxed);
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
            Ok(()) => {
                self.sink_worked(sink);
                self.counted.sent.fetch_add(1, Ordering::Relaxed);
            }
            Err(PushError::Unavailable { what, retry_after }) => {
                self.sink_failed(sink, notification.user, &what, retry_after);
                return Err(retry_after);
            }
            Err(error) => {
                // It has answered.
                self.sink_worked(sink);
                self.counted.refused.fetch_add(1, Ordering::Relaxed);
                if error == PushError::TokenUnknown {
                    self.forget_token(notification);
                }
                if let Some(suppressed) = self.log.take(self.clock.steady_ms()) {
                    let sink = self.options.routes.sink(sink).map_or("", |sink| sink.name());
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
