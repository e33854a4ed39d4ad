//! The model of a store: lists, and loops over them.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tim_proto::{FileId, GroupId, MessageKind, UserId};

use super::World;
use super::model_files::{CONTENTS, ModelFile};
use super::model_push::{ModelPush, TOKENS};
use crate::{EntryFlags, LogKey, Merge, Quota, Stored};

/// What may happen. Users and logs are numbers; a log is one of three pairs, a note to oneself, the group, or what the
/// system tells one of the three.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// The store is closed and opened again.
    Reopen,
    Say {
        log: usize,
        user: usize,
        flags: EntryFlags,
    },
    Tip {
        log: usize,
    },
    Read {
        log: usize,
        user: usize,
        upto: Option<u64>,
    },
    Revoke {
        log: usize,
        user: usize,
        back: u64,
    },
    Delete {
        log: usize,
        user: usize,
    },
    Join {
        user: usize,
    },
    Leave {
        user: usize,
    },
    /// Whether a user wants to be notified of the group's messages.
    Receive {
        user: usize,
        notified: bool,
    },
    Upload {
        user: usize,
        content: u8,
    },
    /// A message that names a user's file.
    Send {
        log: usize,
        user: usize,
        file: (usize, u8),
    },
    Claim {
        user: usize,
        file: (usize, u8),
    },
    /// The sender of the newest message that names a file revokes it.
    TakeBack {
        file: (usize, u8),
    },
    RemoveFiles {
        keep_s: u64,
        most: u32,
    },
    Register {
        user: usize,
        token: u8,
        enabled: bool,
    },
    Unregister {
        user: usize,
        token: u8,
    },
    Pushed {
        user: usize,
        back: u64,
    },
    Wait {
        seconds: u64,
    },
    Purge {
        keep_s: u64,
        budget: u32,
    },
    /// A device reads on, at most so often: what crosses comes between two readings.
    CatchUp {
        user: usize,
        limit: usize,
        readings: usize,
    },
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let (log, user) = (prop_oneof![6 => 0..5usize, 1 => 5..8usize], 0..3usize);
    let file = (0..3usize, 0..CONTENTS);
    let some_flags = prop_oneof![4 => Just(EntryFlags::NONE), 1 => Just(EntryFlags::NO_UNREAD), 1 => Just(EntryFlags::NO_LAST)];
    prop_oneof![
        8 => (log.clone(), user.clone(), some_flags).prop_map(|(log, user, flags)| Step::Say { log, user, flags }),
        1 => log.clone().prop_map(|log| Step::Tip { log }),
        3 => (log.clone(), user.clone(), proptest::option::of(0..20u64))
            .prop_map(|(log, user, upto)| Step::Read { log, user, upto }),
        3 => (log.clone(), user.clone(), 0..6u64).prop_map(|(log, user, back)| Step::Revoke { log, user, back }),
        1 => (log, user.clone()).prop_map(|(log, user)| Step::Delete { log, user }),
        1 => user.clone().prop_map(|user| Step::Join { user }),
        1 => user.clone().prop_map(|user| Step::Leave { user }),
        1 => (user.clone(), any::<bool>()).prop_map(|(user, notified)| Step::Receive { user, notified }),
        3 => file.clone().prop_map(|(user, content)| Step::Upload { user, content }),
        7 => (0..5usize, user.clone(), file.clone()).prop_map(|(log, user, file)| Step::Send { log, user, file }),
        2 => (user.clone(), file.clone()).prop_map(|(user, file)| Step::Claim { user, file }),
        3 => file.prop_map(|file| Step::TakeBack { file }),
        2 => (prop_oneof![Just(0), 0..200u64], 1..4u32).prop_map(|(keep_s, most)| Step::RemoveFiles { keep_s, most }),
        2 => (user.clone(), 0..TOKENS, any::<bool>())
            .prop_map(|(user, token, enabled)| Step::Register { user, token, enabled }),
        1 => (user.clone(), 0..TOKENS).prop_map(|(user, token)| Step::Unregister { user, token }),
        1 => (user.clone(), 0..3u64).prop_map(|(user, back)| Step::Pushed { user, back }),
        2 => (1..100u64).prop_map(|seconds| Step::Wait { seconds }),
        2 => (prop_oneof![0..20u64, 0..200u64], 1..8u32).prop_map(|(keep_s, budget)| Step::Purge { keep_s, budget }),
        2 => (user, 1..6usize, prop_oneof![1..4usize, Just(usize::MAX)])
            .prop_map(|(user, limit, readings)| Step::CatchUp { user, limit, readings }),
        1 => Just(Step::Reopen),
    ]
}

pub(crate) struct ModelEntry {
    pub(crate) at: Stored,
    pub(crate) sender: UserId,
    pub(crate) flags: EntryFlags,
    pub(crate) kind: MessageKind,
    pub(crate) revoked_by: Option<UserId>,
    pub(crate) files: Vec<FileId>,
}

#[derive(Default)]
pub(crate) struct ModelLog {
    pub(crate) entries: Vec<ModelEntry>,
    pub(crate) purged: u64,
}

impl ModelLog {
    pub(crate) fn kept(&self) -> impl DoubleEndedIterator<Item = &ModelEntry> {
        self.entries
            .iter()
            .filter(|entry| entry.at.sequence > self.purged)
    }

    pub(crate) fn head(&self) -> u64 {
        self.entries.len() as u64
    }
}

#[derive(Default, Clone, Copy)]
pub(crate) struct ModelRow {
    pub(crate) takes_part: bool,
    pub(crate) joined_at: u64,
    pub(crate) read: u64,
    pub(crate) hidden_through: u64,
    /// In the group: its messages are not in the user's total.
    pub(crate) silent: bool,
}

/// A device that catches up now and then.
#[derive(Default)]
pub(crate) struct Device {
    pub(crate) cursor: u64,
    /// The same, as the device keeps it.
    pub(crate) kept: Vec<u8>,
    pub(crate) got: Vec<u64>,
    /// What its last reading has left.
    pub(crate) merge: Merge,
}

pub(crate) struct Model {
    pub(crate) users: Vec<UserId>,
    pub(crate) keys: Vec<LogKey>,
    pub(crate) logs: Vec<ModelLog>,
    pub(crate) rows: BTreeMap<(usize, usize), ModelRow>,
    pub(crate) devices: Vec<Device>,
    pub(crate) files: Vec<ModelFile>,
    pub(crate) push: ModelPush,
    pub(crate) change: u64,
}

pub(crate) const GROUP: usize = 4;
/// The first user's notices; the others' follow.
pub(crate) const SYSTEM: usize = 5;

impl Model {
    /// The store is shared by all cases; names keep them apart.
    pub(crate) fn new(world: &mut World, case: usize) -> Self {
        let users: Vec<UserId> = (0..3)
            .map(|n| world.user(&format!("case{case}-user{n}")))
            .collect();
        let group: GroupId = world.group(&format!("case{case}"), &users);
        let [a, b, c] = [users[0], users[1], users[2]];
        let keys = vec![
            LogKey::c2c(a, b),
            LogKey::c2c(b, c),
            LogKey::c2c(c, a),
            LogKey::c2c(a, a),
            LogKey::Group(group),
            LogKey::System(a),
            LogKey::System(b),
            LogKey::System(c),
        ];
        let change = world.reader().head_change().unwrap();
        let mut rows = BTreeMap::new();
        for user in 0..3 {
            rows.insert(
                (GROUP, user),
                ModelRow {
                    takes_part: true,
                    ..ModelRow::default()
                },
            );
        }
        let logs = keys.iter().map(|_| ModelLog::default()).collect();
        let devices = (0..3)
            .map(|_| Device {
                cursor: change,
                kept: world
                    .reader()
                    .epochs()
                    .cursor(change)
                    .to_bytes()
                    .as_ref()
                    .to_vec(),
                got: Vec::new(),
                merge: Merge::default(),
            })
            .collect();
        Self {
            users,
            keys,
            logs,
            rows,
            devices,
            files: Vec::new(),
            push: ModelPush::default(),
            change,
        }
    }

    pub(crate) fn group(&self) -> GroupId {
        let LogKey::Group(group) = self.keys[GROUP] else {
            panic!("this log is the group")
        };
        group
    }

    pub(crate) fn is_party(&self, log: usize, user: usize) -> bool {
        match &self.keys[log] {
            LogKey::C2c(pair) => pair.peer_of(&self.users[user]).is_some(),
            LogKey::System(owner) => *owner == self.users[user],
            LogKey::Group(_) => self.rows.get(&(log, user)).is_some_and(|row| row.takes_part),
        }
    }

    pub(crate) fn row(&self, log: usize, user: usize) -> Option<ModelRow> {
        self.rows.get(&(log, user)).copied().filter(|row| row.takes_part)
    }

    pub(crate) fn push(
        &mut self,
        log: usize,
        sender: UserId,
        flags: EntryFlags,
        kind: MessageKind,
        now_ms: u64,
    ) -> Stored {
        for user in 0..3 {
            if log != GROUP && self.is_party(log, user) {
                self.rows.entry((log, user)).or_default().takes_part = true;
            }
        }
        self.change += 1;
        let at = Stored {
            sequence: self.logs[log].head() + 1,
            change: self.change,
            time_ms: now_ms,
        };
        self.logs[log].entries.push(ModelEntry {
            at,
            sender,
            flags,
            kind,
            revoked_by: None,
            files: Vec::new(),
        });
        at
    }

    /// What was removed counts as read.
    pub(crate) fn read_to(&self, log: usize, user: usize) -> u64 {
        self.rows[&(log, user)].read.max(self.logs[log].purged)
    }

    pub(crate) fn unread(&self, log: usize, user: usize) -> u64 {
        let read = self.rows[&(log, user)].read;
        let counts = |entry: &&ModelEntry| {
            entry.at.sequence > read
                && !entry.flags.contains(EntryFlags::NO_UNREAD)
                && entry.sender != self.users[user]
                && entry.revoked_by.is_none()
        };
        self.logs[log].kept().filter(counts).count() as u64
    }

    /// What the user's entries count for. Each message is one byte.
    pub(crate) fn stored_bytes(&self, user: usize) -> u64 {
        let own = |entry: &&ModelEntry| entry.sender == self.users[user];
        let cost = |entry: &ModelEntry| match entry.revoked_by {
            Some(_) => Quota::cost(entry.flags | EntryFlags::REVOKED, 1),
            None => Quota::cost(entry.flags, 1),
        };
        self.logs
            .iter()
            .flat_map(ModelLog::kept)
            .filter(own)
            .map(cost)
            .sum()
    }

    /// How many of the pairs the user was the first to write to.
    pub(crate) fn begun(&self, user: usize) -> u64 {
        let firsts = self.logs[..GROUP].iter().filter_map(|log| log.entries.first());
        firsts.filter(|first| first.sender == self.users[user]).count() as u64
    }

    pub(crate) fn last(&self, log: usize, user: usize) -> Option<&ModelEntry> {
        let joined_at = self.rows[&(log, user)].joined_at;
        // The newest that shows, if it is kept: what is older and kept does not take its place.
        let last = self.logs[log]
            .entries
            .iter()
            .rev()
            .find(|entry| !entry.flags.contains(EntryFlags::NO_LAST))?;
        (last.at.sequence > self.logs[log].purged && last.at.sequence > joined_at).then_some(last)
    }
}
