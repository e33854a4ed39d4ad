//! What the writing end and the readers share: the writing connection, whose turn it is to use it, and what only it can see.
//!
//! What is applied but not committed in SQLite is visible on the writing connection alone. Readers ask [`Recent`] whether that may be
//! about what they read; if so, they wait for their turn on that connection. A write is noted there before its result is reported,
//! and removed after the commit, so a reader that finds nothing sees everything that was reported in a snapshot that it takes after
//! looking.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, RwLock};

use tim_proto::{FileId, GroupId, UserId};
use tim_store::{LogKey, Write};

use super::database::Database;

pub(super) struct Shared {
    turns: Turns,
    /// `None` once it is closed, and everything is committed.
    database: Mutex<Option<Database>>,
    recent: RwLock<Recent>,
    /// The newest change that was reported.
    change: AtomicU64,
}

impl Shared {
    pub(super) fn new(mut database: Database) -> Self {
        let mut recent = Recent::default();
        database
            .take_recovered()
            .iter()
            .for_each(|write| recent.note(write));
        Self {
            turns: Turns::default(),
            change: AtomicU64::new(database.change()),
            database: Mutex::new(Some(database)),
            recent: RwLock::new(recent),
        }
    }

    /// The writing connection, after all who came before.
    pub(super) fn database(&self) -> Turn<'_> {
        self.turns.wait();
        Turn {
            turns: &self.turns,
            database: self.database.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// What is not committed yet.
    pub(super) fn recent<T>(&self, look: impl FnOnce(&Recent) -> T) -> T {
        look(&self.recent.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes what a batch has written.
    pub(super) fn note<'a>(&self, writes: impl Iterator<Item = &'a Write>, change: u64) {
        let mut recent = self.recent.write().unwrap_or_else(PoisonError::into_inner);
        for write in writes {
            recent.note(write);
        }
        drop(recent);
        self.change.store(change, Ordering::Release);
    }

    /// Everything is committed.
    pub(super) fn committed(&self, change: u64) {
        let mut recent = self.recent.write().unwrap_or_else(PoisonError::into_inner);
        recent.clear();
        drop(recent);
        self.change.store(change, Ordering::Release);
    }

    /// The newest change that was reported.
    pub(super) fn change(&self) -> u64 {
        self.change.load(Ordering::Acquire)
    }
}

/// The writing connection, for one of those who share it.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    pub(super) database: MutexGuard<'a, Option<Database>>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.turns.next();
    }
}

/// First come, first served: the writer, which always has work, does not get in before readers who wait.
#[derive(Debug, Default)]
struct Turns {
    state: Mutex<TurnState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct TurnState {
    /// The number that the next one draws.
    next: u64,
    /// Whose turn it is.
    now: u64,
}

impl Turns {
    fn wait(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = state.next;
        state.next += 1;
        while state.now != mine {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn next(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.now += 1;
        let is_waited_for = state.now != state.next;
        drop(state);
        if is_waited_for {
            self.changed.notify_all();
        }
    }
}

/// What a read is about.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scope<'a> {
    /// Anything.
    All,
    /// One log.
    Log(&'a LogKey),
    /// Whether users have accounts.
    Accounts(&'a [UserId]),
    /// One user's part in one log.
    Part(&'a UserId, &'a LogKey),
    /// The parts of users in one log.
    Parts(&'a [UserId], &'a LogKey),
    /// Everything of a user: all logs that the user takes part in.
    User(&'a UserId),
    /// One file.
    File(&'a FileId),
    /// The files of a user.
    FilesOf(&'a UserId),
}

/// What is applied and not committed: which new accounts, and what of which users and logs.
///
/// Groups, their members and profiles are not in it: what changes them is committed at once.
#[derive(Debug, Default)]
pub(super) struct Recent {
    accounts: HashSet<UserId>,
    users: HashSet<UserId>,
    logs: HashSet<LogKey>,
    groups: HashSet<GroupId>,
    /// New files, and their owners.
    files: HashSet<FileId>,
    owners: HashSet<UserId>,
    /// How often everything was committed.
    commits: u64,
}

impl Recent {
    /// How many users and logs.
    pub(super) fn len(&self) -> usize {
        let files = self.files.len() + self.owners.len();
        self.accounts.len() + self.users.len() + self.logs.len() + self.groups.len() + files
    }

    fn clear(&mut self) {
        self.accounts.clear();
        self.users.clear();
        self.logs.clear();
        self.groups.clear();
        self.files.clear();
        self.owners.clear();
        self.commits += 1;
    }

    /// Whether a read of this scope may have to see it. For a user, groups are asked for with [`has_groups`](Self::has_groups).
    pub(super) fn has(&self, scope: Scope<'_>) -> bool {
        let has = |users: &[UserId]| users.iter().any(|user| self.users.contains(user));
        match scope {
            Scope::All => self.len() > 0,
            Scope::Log(log) => self.has_log(log),
            Scope::Accounts(users) => users.iter().any(|user| self.accounts.contains(user)),
            Scope::Part(user, log) => self.users.contains(user) || self.has_log(log),
            Scope::Parts(users, log) => has(users) || self.has_log(log),
            Scope::User(user) => self.users.contains(user) || self.accounts.contains(user),
            Scope::File(file) => self.files.contains(file),
            Scope::FilesOf(user) => self.owners.contains(user),
        }
    }

    /// Whether it is about groups at all; the number says until when that is so.
    pub(super) fn has_groups(&self) -> Option<u64> {
        (!self.groups.is_empty()).then_some(self.commits)
    }

    /// Whether it is about one of these groups, or was committed since `since`.
    pub(super) fn has_one_of(&self, groups: &[GroupId], since: u64) -> bool {
        self.commits != since || groups.iter().any(|group| self.groups.contains(group))
    }

    fn has_log(&self, log: &LogKey) -> bool {
        match log {
            LogKey::Group(group) => self.groups.contains(group),
            log => self.logs.contains(log),
        }
    }

    fn note_log(&mut self, log: &LogKey) {
        match log {
            LogKey::C2c(pair) => {
                let (low, high) = pair.users();
                self.users.extend([low, high]);
                self.logs.insert(*log);
            }
            LogKey::Group(group) => {
                self.groups.insert(*group);
            }
            LogKey::System(user) => {
                self.users.insert(*user);
                self.logs.insert(*log);
            }
        }
    }

    fn note(&mut self, write: &Write) {
        match write {
            Write::EnsureAccount(user) => {
                self.accounts.insert(*user);
            }
            Write::EnsureAccounts(users) => self.accounts.extend(users),
            Write::WithAccounts { users, write } => {
                self.accounts.extend(users);
                self.note(write);
            }
            Write::Append(append) => {
                self.users.insert(append.sender);
                self.note_log(&append.log);
            }
            Write::AppendSystem { log, .. } => self.note_log(log),
            Write::Revoke(revoke) => {
                self.users.insert(revoke.by);
                self.note_log(&revoke.log);
            }
            Write::MarkRead { user, .. } | Write::DeleteConversation { user, .. } => {
                self.users.insert(*user);
            }
            Write::AddFile(add) => {
                self.files.insert(add.file.id);
                self.owners.insert(add.file.owner);
            }
            Write::Pushed(users) => self.users.extend(users.iter().map(|pushed| pushed.user)),
            // No read is about it.
            Write::ClaimFile { .. } => {}
            // They are committed at once.
            Write::SetUserProfile { .. }
            | Write::CreateGroup(_)
            | Write::ChangeGroup(_)
            | Write::ImportMessages(_)
            | Write::SetUnread { .. }
            | Write::VoidUserSigs { .. }
            | Write::DeleteAccount { .. }
            | Write::ChangeContacts(_)
            | Write::Purge(_)
            | Write::RemoveFiles(_)
            | Write::RegisterPush(_)
            | Write::Block { .. }
            | Write::UnregisterPush { .. } => {}
        }
    }
}
