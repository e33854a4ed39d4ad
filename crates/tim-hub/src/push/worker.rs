//! The task that looks up who is to be notified and hands notifications to the sink.
//!
//! It is one task of the executor, with a bounded number of users under way at a time; what it reads it reads on the read pool. So it
//! works in a stepped hub too. The fan-out and the handlers tell it that there is something; they never wait for it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

use tim_proto::planted::{self, Fault};
use tim_proto::request::PushPlatform;
use tim_proto::{GroupId, UserId};
use tim_store::{EntryFlags, LogKey, Published, PushUser, StoreReader, Write, Writer};
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::notification::{PushOptions, PushStats};
use super::notifying::{Lookup, notify};
use super::pending::{Due, End, Pending};
use super::registrations::Registrations;
use super::sink::{FIRST_PAUSE, Room, Sink};
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
/// How many users who are online are dealt with before a trial, unless more of them wait.
const SETTLED_AT_ONCE: usize = 256;
/// Of how many groups the members are looked up at a time.
const MAX_GROUPS: usize = 32;

/// The offline push of a hub, if it has a sink.
#[derive(Clone)]
pub(crate) struct Push(Option<Arc<Inner>>);

pub(super) struct Inner {
    pub(super) options: PushOptions,
    pub(super) clock: Clock,
    reads: Reads,
    pub(super) writer: OnceLock<Weak<Writer>>,
    pub(super) presence: Arc<PresenceRegistry>,
    pub(super) pending: Mutex<Pending>,
    /// As many as `pending` has, for those who must not wait for its lock.
    users: AtomicUsize,
    /// By the number of the sink.
    pub(super) sinks: Vec<Sink>,
    pub(super) wakeup: Arc<Notify>,
    is_running: AtomicBool,
    /// Whether it is this hub that notifies.
    is_leading: AtomicBool,
    pub(super) registrations: Arc<Registrations>,
    pub(super) log: LogLimiter,
}

impl Inner {
    fn is_leading(&self) -> bool {
        self.is_leading.load(Ordering::Acquire)
    }
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
                sinks: std::iter::repeat_with(Sink::default).take(sinks).collect(),
                wakeup: Arc::default(),
                is_running: AtomicBool::new(false),
                is_leading: AtomicBool::new(true),
                registrations: Arc::default(),
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
        if push.is_leading() && !push.is_running.swap(true, Ordering::AcqRel) {
            runtime.spawn(run(Arc::downgrade(push), Arc::clone(&push.wakeup)));
        }
    }

    /// Leaves it to another hub to notify, until this one [leads](Self::lead).
    pub(crate) fn wait_for_lead(&self) {
        if let Some(push) = &self.0 {
            push.is_leading.store(false, Ordering::Release);
        }
    }

    /// From now on this hub notifies for all, from where the one before it has come.
    pub(crate) fn lead(&self) {
        let Some(push) = &self.0 else { return };
        if push.is_leading.swap(true, Ordering::AcqRel) {
            return;
        }
        match (push.is_running.load(Ordering::Acquire), Handle::try_current()) {
            // It has led before.
            (true, Ok(runtime)) => {
                let push = Arc::downgrade(push);
                runtime.spawn(async move { load_all(&push).await });
            }
            _ => self.start(),
        }
    }

    /// An older hub notifies again.
    pub(crate) fn step_down(&self) {
        let Some(push) = &self.0 else { return };
        if push.is_leading.swap(false, Ordering::AcqRel) {
            *lock(&push.pending) = Pending::new(push.sinks.len());
            push.users.store(0, Ordering::Release);
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

    /// A user registers a token. Whether one of the user's tokens is being removed: then what the store says of them holds no longer.
    pub(crate) fn registers(&self, user: &UserId) -> bool {
        let push = self.0.as_ref();
        push.is_some_and(|push| push.registrations.registers(user))
    }

    /// A user has registered a token, and was notified through this change.
    pub(crate) fn registered(&self, platform: PushPlatform, user: UserId, pushed: u64) {
        let Some(push) = self.0.as_ref().filter(|push| push.is_leading()) else {
            return;
        };
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
        let (mut stats, pending) = (PushStats::default(), lock(&push.pending));
        (stats.users, stats.waiting) = (pending.users(), pending.waiting());
        drop(pending);
        push.sinks.iter().for_each(|sink| sink.counted.add_to(&mut stats));
        stats
    }

    /// What the sinks have done, and how many of them are down, by their names.
    pub(crate) fn by_name(&self) -> BTreeMap<String, (PushStats, usize)> {
        let mut names = BTreeMap::<String, (PushStats, usize)>::new();
        let Some(push) = &self.0 else { return names };
        for (number, sink) in push.sinks.iter().enumerate() {
            // As it may stand in the text of the metrics.
            let name = push.name(number).replace(['"', '\\', '\n'], "_");
            let (stats, down) = names.entry(name).or_default();
            sink.counted.add_to(stats);
            *down += usize::from(lock(&sink.state).is_down());
        }
        names
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

    pub(super) fn end(&self, sink: usize, user: UserId, end: End) {
        let mut pending = lock(&self.pending);
        pending.end(sink, user, end, Instant::now());
        self.users.store(pending.users(), Ordering::Release);
    }

    /// Reads on the read pool. Nothing comes if the pool has ended.
    pub(super) fn read<T: Send + 'static>(
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
        let state = &self.sinks.get(sink)?.state;
        let room = lock(state).room(self.options.max_concurrent, Instant::now());
        match room {
            Room::None => None,
            Room::Trial => self.take_to_try(sink),
            Room::Users(most) => lock(&self.pending).take(sink, most),
        }
    }

    /// Takes whoever is to be tried at a sink that is down. Those who are online need no notification, and would show nothing.
    fn take_to_try(&self, sink: usize) -> Option<Due> {
        for _ in 0..SETTLED_AT_ONCE {
            let due = lock(&self.pending).take_to_try(sink)?;
            if !self.settle_online(sink, &due.user, due.newest) {
                return Some(due);
            }
            self.end(sink, due.user, End::Done);
        }
        // There may be many more: the executor has other work too.
        lock(&self.pending).take_to_try(sink)
    }

    /// When the first pause of a sink ends.
    fn pause_ends(&self) -> Option<Instant> {
        let now = Instant::now();
        let pauses = self
            .sinks
            .iter()
            .filter_map(|sink| lock(&sink.state).pause_ends(now));
        pauses.min()
    }

    pub(super) fn name(&self, sink: usize) -> &str {
        self.options.routes.sink(sink).map_or("", |sink| sink.name())
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
                under_way.spawn(notify(Lookup::new(&inner, sink, due), due));
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
                if !planted::is(Fault::WaitingForgotten) {
                    inner.add(users);
                }
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
