//! What the hub has acknowledged: the reference that a reading is compared with.

use std::collections::BTreeMap;

use tim_client::ConversationId;
use tim_testkit::{Rng, c2c, group, user};

/// The users of a run.
pub(crate) const PEOPLE: [&str; 4] = ["alice", "bob", "carol", "dave"];
/// The group that all of them are in.
pub(crate) const GROUP: &str = "crew";
/// The entry of the group's log that reports its creation.
pub(crate) const CREATION: u64 = 1;

/// The conversations of a run, each with its users as indices into [`PEOPLE`].
pub(crate) const LOGS: [Log; 4] = [Log::C2c(0, 1), Log::C2c(2, 3), Log::C2c(0, 2), Log::Group];

/// A conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Log {
    C2c(usize, usize),
    Group,
}

impl Log {
    /// Whether this user is in it.
    pub(crate) fn has(self, person: usize) -> bool {
        match self {
            Self::C2c(low, high) => person == low || person == high,
            Self::Group => true,
        }
    }

    /// The conversation as this user names it.
    pub(crate) fn seen_by(self, person: usize) -> ConversationId {
        match self {
            Self::C2c(low, high) => c2c(PEOPLE[if person == low { high } else { low }]),
            Self::Group => ConversationId::Group(group(GROUP)),
        }
    }

    /// The conversation as the hub names it in its own log.
    pub(crate) fn key(self) -> tim_store::LogKey {
        match self {
            Self::C2c(low, high) => tim_store::LogKey::c2c(user(PEOPLE[low]), user(PEOPLE[high])),
            Self::Group => tim_store::LogKey::Group(group(GROUP)),
        }
    }

    /// The index in [`LOGS`] of what this user calls so.
    pub(crate) fn index(person: usize, conversation: ConversationId) -> Option<usize> {
        logs_of(person).find(|&log| LOGS[log].seen_by(person) == conversation)
    }
}

/// The conversations of a user, as indices into [`LOGS`].
pub(crate) fn logs_of(person: usize) -> impl Iterator<Item = usize> {
    (0..LOGS.len()).filter(move |&log| LOGS[log].has(person))
}

/// An acknowledged message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) author: usize,
    pub(crate) lane: usize,
    pub(crate) number: u32,
    pub(crate) is_revoked: bool,
}

impl Said {
    /// Its text, which its numbers and the seed of the run determine.
    pub(crate) fn text(&self, seed: u64) -> String {
        let mut rng = Rng::new(seed ^ (self.lane as u64) << 40 ^ u64::from(self.number));
        let len = match rng.percent(4) {
            true => rng.within(2_000..7_000),
            false => rng.within(0..200),
        };
        let filler = (0..len).map(|_| char::from(b'a' + (rng.draw() % 26) as u8));
        let head = format!("{} {} {} ", PEOPLE[self.author], self.lane, self.number);
        head.chars().chain(filler).collect()
    }
}

/// What is known of one conversation.
#[derive(Debug, Clone, Default)]
pub(crate) struct LogLedger {
    /// The messages by sequence.
    pub(crate) said: BTreeMap<u64, Said>,
    /// How many revocations were acknowledged. Each is an entry, too.
    pub(crate) revocations: u64,
    /// Up to where each user has read.
    pub(crate) marks: [u64; PEOPLE.len()],
}

impl LogLedger {
    /// How many messages a user has not read.
    pub(crate) fn unread(&self, log: Log, person: usize) -> u64 {
        let behind = self.said.range(self.marks[person] + 1..);
        let messages = behind.filter(|(_, said)| said.author != person && !said.is_revoked);
        let creation = u64::from(log == Log::Group && self.marks[person] < CREATION);
        messages.count() as u64 + creation
    }
}

/// What was acknowledged in a run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger {
    pub(crate) logs: [LogLedger; LOGS.len()],
    pub(crate) reads: u64,
}

impl Ledger {
    pub(crate) fn messages(&self) -> u64 {
        self.logs.iter().map(|log| log.said.len() as u64).sum()
    }

    pub(crate) fn revocations(&self) -> u64 {
        self.logs.iter().map(|log| log.revocations).sum()
    }
}
