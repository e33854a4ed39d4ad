//! A store that is slow or fails when a test says so.
//!
//! ```
//! # use tim_store::{Store, StoreError, NotStored, faults};
//! # fn test(store: Store) {
//! let (store, faults) = faults::wrap(store);
//! faults.next_commit_fails(StoreError::NotStored(NotStored::DiskFull));
//! // Give `store` to what is tested.
//! # drop(store);
//! # }
//! ```

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tim_groups::{Field, FieldScope, Group, Membership, Refused, Restriction};
use tim_proto::{FileId, GroupId, MessageId, UserId};

use crate::{
    Account, AllGroups, AllGroupsRequest, Changes, ChangesRequest, Commit, Contacts, Conversation,
    ConversationsPage, Entry, Epochs, File, FileContent, FileUsage, Fingerprint, GroupStatus, GroupsPage,
    ListPosition, LogKey, Member, MembersPage, MembersRequest, Merge, Page, PageRequest, PushToken, PushUser,
    ReadState, Store, StoreError, StoreReader, StoreStats, StoreWriter, Stored, Write,
};

/// Wraps a store. Without further calls it works as before.
#[must_use]
pub fn wrap(store: Store) -> (Store, Faults) {
    let faults = Faults::default();
    let writer = FaultyWriter {
        inner: store.writer,
        faults: faults.clone(),
    };
    let reader = FaultyReader {
        inner: store.reader,
        faults: faults.clone(),
    };
    ((writer, reader).into(), faults)
}

/// Decides what a wrapped store does. Clones control the same store.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<(Mutex<State>, Condvar)>);

#[derive(Debug, Default)]
struct State {
    commits_held: bool,
    reads_held: bool,
    /// The only method whose calls are held; `None` for all.
    held_method: Option<&'static str>,
    waiting: usize,
    next_commit: Option<CommitFault>,
    reads_fail: Option<StoreError>,
    checked: Option<Result<(), StoreError>>,
    before_reads: Callback<&'static str>,
    after_commits: Callback<()>,
}

/// What a test wants to be called with.
struct Callback<T>(Option<Arc<dyn Fn(T) + Send + Sync>>);

impl<T> Default for Callback<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Clone for Callback<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> fmt::Debug for Callback<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Callback").field(&self.0.is_some()).finish()
    }
}

impl<T> Callback<T> {
    fn call(&self, with: T) {
        if let Some(callback) = &self.0 {
            callback(with);
        }
    }
}

#[derive(Debug)]
enum CommitFault {
    Fails(StoreError),
    IsUnknown,
}

impl Faults {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Commits block until [`release`](Self::release). Not for a stepped writer, which would block whoever steps it.
    pub fn hold_commits(&self) {
        self.state().commits_held = true;
    }

    /// Reads block until [`release`](Self::release).
    pub fn hold_reads(&self) {
        let mut state = self.state();
        (state.reads_held, state.held_method) = (true, None);
    }

    /// Reads by this method of [`StoreReader`] block until [`release`](Self::release); others do not.
    pub fn hold_reads_by(&self, method: &'static str) {
        let mut state = self.state();
        (state.reads_held, state.held_method) = (true, Some(method));
    }

    /// Calls that are held, and later ones, go on.
    pub fn release(&self) {
        let mut state = self.state();
        (state.commits_held, state.reads_held) = (false, false);
        self.0.1.notify_all();
    }

    /// How many calls are held now.
    #[must_use]
    pub fn held(&self) -> usize {
        self.state().waiting
    }

    /// Waits until so many calls are held.
    pub fn wait_until_held(&self, count: usize) {
        let mut state = self.state();
        while state.waiting < count {
            state = self.0.1.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The next commit stores nothing and fails with this error.
    pub fn next_commit_fails(&self, error: StoreError) {
        self.state().next_commit = Some(CommitFault::Fails(error));
    }

    /// The next commit is stored, but reported as [`StoreError::Unknown`].
    pub fn next_commit_is_unknown(&self) {
        self.state().next_commit = Some(CommitFault::IsUnknown);
    }

    /// The next commit is an ordinary one after all.
    pub fn forget_next(&self) {
        self.state().next_commit = None;
    }

    /// What [`StoreReader::check`] says from now on; `None` for what the store says.
    pub fn check_says(&self, result: Option<Result<(), StoreError>>) {
        self.state().checked = result;
    }

    /// Reads fail with this error from now on, or work again with `None`.
    pub fn reads_fail(&self, error: Option<StoreError>) {
        self.state().reads_fail = error;
    }

    /// Calls `callback` before each read, with the name of the method of [`StoreReader`]: a test can do there what comes between two
    /// reads of one job.
    pub fn before_reads(&self, callback: impl Fn(&'static str) + Send + Sync + 'static) {
        self.state().before_reads = Callback(Some(Arc::new(callback)));
    }

    /// Calls `callback` after each commit that is durable, before anybody is told of it.
    pub fn after_commits(&self, callback: impl Fn() + Send + Sync + 'static) {
        self.state().after_commits = Callback(Some(Arc::new(move |()| callback())));
    }

    /// Waits for as long as `held` says so.
    fn wait(&self, held: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let mut state = self.state();
        state.waiting += 1;
        self.0.1.notify_all();
        while held(&state) {
            state = self.0.1.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.waiting -= 1;
        state
    }

    fn read(&self, method: &'static str) -> Result<(), StoreError> {
        let state =
            self.wait(|state| state.reads_held && state.held_method.is_none_or(|held| held == method));
        let (fails, callback) = (state.reads_fail.clone(), state.before_reads.clone());
        drop(state);
        callback.call(method);
        fails.map_or(Ok(()), Err)
    }

    fn committed(&self) {
        let callback = self.state().after_commits.clone();
        callback.call(());
    }
}

struct FaultyWriter {
    inner: Box<dyn StoreWriter>,
    faults: Faults,
}

impl StoreWriter for FaultyWriter {
    fn commit(&mut self, now_ms: u64, batch: &[Write]) -> Result<Commit, StoreError> {
        let fault = self.faults.wait(|state| state.commits_held).next_commit.take();
        let is_unknown = match fault {
            Some(CommitFault::Fails(error)) => return Err(error),
            Some(CommitFault::IsUnknown) => true,
            None => false,
        };
        let commit = self.inner.commit(now_ms, batch)?;
        self.faults.committed();
        match is_unknown {
            true => Err(StoreError::Unknown("a test wants it so".to_owned())),
            false => Ok(commit),
        }
    }
}

struct FaultyReader {
    inner: Arc<dyn StoreReader>,
    faults: Faults,
}

/// Reads that may be held or fail.
macro_rules! reads {
    ($(fn $name:ident($($argument:ident: $type:ty),*) -> $found:ty;)*) => {
        $(fn $name(&self, $($argument: $type),*) -> Result<$found, StoreError> {
            self.faults.read(stringify!($name))?;
            self.inner.$name($($argument),*)
        })*
    };
}

impl StoreReader for FaultyReader {
    fn on_fatal(&self, callback: Box<dyn Fn(&StoreError) + Send + Sync>) {
        self.inner.on_fatal(callback);
    }

    fn back_up(&self, to: &Path) -> Result<(), StoreError> {
        self.faults.read("back_up")?;
        self.inner.back_up(to)
    }

    fn stats(&self) -> StoreStats {
        self.inner.stats()
    }

    fn check(&self) -> Option<Result<(), StoreError>> {
        let checked = self.faults.state().checked.clone();
        checked.or_else(|| self.inner.check())
    }

    fn epochs(&self) -> Arc<Epochs> {
        self.inner.epochs()
    }

    reads! {
        fn head_change() -> u64;
        fn newest_time_ms() -> Option<u64>;
        fn page(request: &PageRequest) -> Page;
        fn entry(log: &LogKey, sequence: u64) -> Option<Entry>;
        fn stored(sender: &UserId, id: &MessageId, fingerprint: Fingerprint) -> Option<Result<Stored, Refused>>;
        fn changes_since(request: &ChangesRequest) -> Changes;
        fn changes_after(request: &ChangesRequest, merge: &mut Merge) -> Changes;
        fn conversations(user: &UserId, after: Option<ListPosition>, limit: usize) -> ConversationsPage;
        fn conversation(user: &UserId, log: &LogKey) -> Option<Conversation>;
        fn read_states(log: &LogKey, users: &[UserId], below: u64) -> Vec<ReadState>;
        fn group(group: &GroupId) -> Option<Group>;
        fn members_page(request: &MembersRequest) -> MembersPage;
        fn managers(group: &GroupId) -> Vec<Member>;
        fn group_and_membership(group: &GroupId, user: &UserId) -> Option<(Group, Option<Membership>)>;
        fn all_groups(request: &AllGroupsRequest) -> AllGroups;
        fn group_status(group: &GroupId) -> Option<GroupStatus>;
        fn muted_users(group: &GroupId, now_ms: u64, limit: usize) -> Vec<(UserId, u64)>;
        fn fields(group: &GroupId, of: &[FieldScope]) -> Vec<Vec<Field>>;
        fn restriction(group: &GroupId, user: &UserId) -> Restriction;
        fn membership(group: &GroupId, user: &UserId) -> Option<Membership>;
        fn groups_of(user: &UserId) -> Vec<Group>;
        fn groups_page(user: &UserId, after: Option<ListPosition>, limit: usize) -> GroupsPage;
        fn accounts(users: &[UserId]) -> Vec<Account>;
        fn account(user: &UserId) -> Option<Account>;
        fn user_sigs_valid_from(user: &UserId) -> u64;
        fn contacts(user: &UserId) -> Contacts;
        fn is_blocked(user: &UserId) -> bool;
        fn unused_since(user: &UserId) -> Option<u64>;
        fn file(file: &FileId) -> Option<File>;
        fn file_with(content: &FileContent) -> Option<File>;
        fn file_usage(owner: &UserId) -> FileUsage;
        fn files_of(log: &LogKey, sequence: u64) -> Vec<FileId>;
        fn may_send_file(user: &UserId, file: &FileId) -> bool;
        fn push_tokens(user: &UserId) -> Vec<PushToken>;
        fn push_users(after: Option<UserId>, limit: usize) -> Vec<PushUser>;
        fn push_members(group: &GroupId) -> Vec<UserId>;
    }
}
