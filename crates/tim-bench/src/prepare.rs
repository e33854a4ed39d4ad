//! Stores that are filled before a measurement, directly and not over the network, and counted after it.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tim_groups::{GroupPolicy, NewGroup, create};
use tim_proto::message::{Content, Text, to_vec};
use tim_proto::{ConversationId, GroupId, GroupType, MessageId, MessageKind, UserId};
use tim_store::{
    Append, EntryFlags, Fingerprint, LogKey, MAX_BATCH, PageRequest, Quota, StoreReader, StoreWriter as _,
    Write, WriteError, Written,
};
use tim_store_sqlite::{self as sqlite, SqliteWriter};

use crate::{Result, stop};

/// The user of the prepared history; `short` and `long` are the peers.
pub(crate) const READER: &str = "bench-reader";
/// The owner of the prepared group.
pub(crate) const OWNER: &str = "bench-owner";
/// Accounts per commit.
pub(crate) const ACCOUNTS: usize = 1_000;

pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as u64
}

/// The members of the prepared groups.
pub(crate) fn member(number: u32) -> String {
    format!("bench-member-{number}")
}

/// A group that exists before the hub starts.
pub(crate) struct Prepared {
    pub(crate) data: tempfile::TempDir,
    pub(crate) group: GroupId,
    /// How long it took to create it.
    pub(crate) took: Duration,
    /// The number of entries in all logs.
    pub(crate) entries: u64,
}

/// Creates a group of [`OWNER`] and this many members, with their accounts. An AVChatRoom starts without members.
pub(crate) fn group(group_type: GroupType, members: u32) -> Result<Prepared> {
    let data = tempfile::tempdir()?;
    let (mut store, reader) = sqlite::open(data.path())?;
    let user = |name: &str| UserId::new(name);
    let owner = user(OWNER)?;
    let members: Result<Vec<UserId>, _> = (0..members).map(|number| user(&member(number))).collect();
    let members = members?;
    commit(&mut store, Write::EnsureAccount(owner))?;
    for part in members.chunks(ACCOUNTS) {
        commit(&mut store, Write::EnsureAccounts(part.to_vec()))?;
    }
    let id = GroupId::new("bench")?;
    let is_room = group_type == GroupType::AV_CHAT_ROOM;
    let wish = NewGroup {
        name: "bench".to_owned(),
        members: if is_room { Vec::new() } else { members },
        random: 1,
        ..NewGroup::new(id, group_type, owner)
    };
    let policy = GroupPolicy {
        max_members: u32::MAX,
        max_community: u32::MAX,
        max_admins: 10,
        max_groups: u32::MAX,
    };
    let start = Instant::now();
    let made = create(wish, &policy, now_ms(), &std::collections::BTreeMap::new())?;
    commit(&mut store, Write::CreateGroup(Box::new(made)))?;
    let took = start.elapsed();
    let entries = reader.head_change()?;
    Ok(Prepared {
        data,
        group: id,
        took,
        entries,
    })
}

/// The number of entries in all logs of a stopped hub.
pub(crate) fn entries(data: &Path) -> Result<u64> {
    let (_store, reader) = sqlite::open(data)?;
    Ok(reader.head_change()?)
}

pub(crate) fn commit(store: &mut SqliteWriter, write: Write) -> Result<Written> {
    stop::check()?;
    let done = store.commit(now_ms(), &[write])?;
    let result = done.results.into_iter().next();
    let result = result.ok_or("the store returned no result")?;
    Ok(result.map_err(WriteError::Refused)?)
}

/// A directory with a conversation of a thousand messages and one of `len`.
pub(crate) fn history(len: u64) -> Result<tempfile::TempDir> {
    let data = tempfile::tempdir()?;
    fill(data.path(), [("short", 1_000), ("long", len)])?;
    Ok(data)
}

/// Fills conversations of [`READER`] with these users.
fn fill<const N: usize>(data: &Path, conversations: [(&str, u64); N]) -> Result<()> {
    let (mut store, _reader) = sqlite::open(data)?;
    let (reader, now_ms) = (UserId::new(READER)?, now_ms());
    let mut batch = Batch::new(&mut store, TEXT);
    for (peer, len) in conversations {
        let pair = batch.pair(reader, UserId::new(peer)?)?;
        for _ in 0..len {
            batch.add(pair, now_ms)?;
        }
    }
    batch.commit(now_ms)
}

/// The sender and the receiver of a one-to-one conversation of the measurement of sends, by the number of the conversation.
pub(crate) fn pair(senders: u32, conversation: u32) -> Result<(UserId, UserId)> {
    let sender = UserId::new(&sender(conversation % senders))?;
    Ok((sender, UserId::new(&format!("bench-receiver-{conversation}"))?))
}

/// The name of a sender.
pub(crate) fn sender(number: u32) -> String {
    format!("bench-sender-{number}")
}

/// How many of `stored` messages are in a conversation: they are spread evenly, and each conversation has one at least.
pub(crate) fn messages_in(conversation: u32, conversations: u32, stored: u64) -> u64 {
    let (each, rest) = (
        stored / u64::from(conversations),
        stored % u64::from(conversations),
    );
    (each + u64::from(u64::from(conversation) < rest)).max(1)
}

/// Makes the conversations of these senders, and `stored` messages in them.
pub(crate) fn conversations(
    data: &Path,
    senders: u32,
    conversations: u32,
    stored: u64,
    text: &str,
) -> Result<()> {
    let (mut store, reader) = sqlite::open(data)?;
    let now_ms = now_ms();
    let mut batch = Batch::new(&mut store, text);
    let pairs: Result<Vec<(UserId, UserId)>> =
        (0..conversations).map(|number| pair(senders, number)).collect();
    let pairs = batch.pairs(&reader, &pairs?)?;
    let of = |number| messages_in(number, conversations, stored);
    // In turns, so that conversations lie beside each other as if they had been written at the same time.
    let most = of(0);
    for turn in (0..most).step_by(RUN as usize) {
        for (number, pair) in (0..).zip(&pairs) {
            for _ in turn..of(number).min(turn + RUN) {
                batch.add(*pair, now_ms)?;
            }
        }
    }
    batch.commit(now_ms)
}

/// A directory with these accounts.
pub(crate) fn accounts(names: impl Iterator<Item = String>) -> Result<tempfile::TempDir> {
    let data = tempfile::tempdir()?;
    let (mut store, _reader) = sqlite::open(data.path())?;
    let users: Result<Vec<UserId>, _> = names.map(|name| UserId::new(&name)).collect();
    for part in users?.chunks(ACCOUNTS) {
        commit(&mut store, Write::EnsureAccounts(part.to_vec()))?;
    }
    Ok(data)
}

/// Messages that grow old one after the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ageing {
    /// How many grow old each second.
    pub(crate) rate: u32,
    /// How many there are.
    pub(crate) messages: u64,
    /// In how many conversations.
    pub(crate) conversations: u32,
    /// The age of the first one, in seconds.
    pub(crate) age: u64,
}

impl Ageing {
    fn pair(conversation: u32) -> Result<(UserId, UserId)> {
        let user = |role: &str| UserId::new(&format!("bench-{role}-{conversation}"));
        Ok((user("old-sender")?, user("old-receiver")?))
    }

    /// How long after the first one a message was stored, in milliseconds.
    fn after_first(self, number: u64) -> u64 {
        number * 1_000 / u64::from(self.rate)
    }

    /// How many grow as old as the first one was within this time, the first one included.
    pub(crate) fn due_after(self, time: Duration) -> u64 {
        let due = time.as_millis() * u128::from(self.rate) / 1_000 + 1;
        u64::try_from(due).unwrap_or(u64::MAX).min(self.messages)
    }

    /// Stores them. Returns when the first one was stored, by its own time, Unix time in milliseconds. What is stored then has to be
    /// new: its time proves to the hub how late it is.
    pub(crate) fn store(self, data: &Path, text: &str) -> Result<u64> {
        let (mut store, reader) = sqlite::open(data)?;
        let first = now_ms().saturating_sub(self.age * 1_000);
        let mut batch = Batch::new(&mut store, text);
        let pairs: Result<Vec<(UserId, UserId)>> = (0..self.conversations).map(Self::pair).collect();
        let pairs = batch.pairs(&reader, &pairs?)?;
        let mut since = 0;
        for (number, pair) in (0..self.messages).zip(pairs.iter().cycle()) {
            let at = self.after_first(number);
            batch.add(*pair, first + at)?;
            if at >= since + COMMIT_EVERY || batch.writes.is_empty() {
                batch.commit(first + at)?;
                since = at + 1;
            }
        }
        batch.commit(first + self.after_first(self.messages))?;
        Ok(first)
    }

    /// How many a stopped hub has removed.
    pub(crate) fn removed(self, data: &Path) -> Result<u64> {
        let (_store, reader) = sqlite::open(data)?;
        let mut removed = 0;
        for conversation in 0..self.conversations {
            let (sender, receiver) = Self::pair(conversation)?;
            let page = reader.page(&PageRequest {
                log: LogKey::c2c(sender, receiver),
                before: None,
                after: 0,
                limit: 1,
                max_bytes: 1,
            })?;
            removed += page.first_kept.saturating_sub(1);
        }
        Ok(removed)
    }
}

/// The text of histories.
pub(crate) const TEXT: &str = "今天天气不错,我们去爬山吧[微笑]";
/// Messages that grow old are committed so often, by their own time, in milliseconds: those of a commit have the same age.
const COMMIT_EVERY: u64 = 50;
/// Messages of one conversation that are stored in a row.
const RUN: u64 = 64;

/// A sender with the account's number, and a receiver.
type Pair = (UserId, u64, UserId);

/// Messages on their way into a store.
struct Batch<'a> {
    store: &'a mut SqliteWriter,
    payload: Vec<u8>,
    writes: Vec<Write>,
    random: u32,
}

impl<'a> Batch<'a> {
    fn new(store: &'a mut SqliteWriter, text: &str) -> Self {
        Self {
            store,
            payload: to_vec(&Text::new(text)),
            writes: Vec::with_capacity(MAX_BATCH),
            random: 0,
        }
    }

    /// Two users with their accounts.
    fn pair(&mut self, sender: UserId, receiver: UserId) -> Result<Pair> {
        commit(self.store, Write::EnsureAccount(receiver))?;
        match commit(self.store, Write::EnsureAccount(sender))? {
            Written::Account { number } => Ok((sender, number, receiver)),
            _ => Err("an account was not made".into()),
        }
    }

    /// The same for many.
    fn pairs(&mut self, reader: &impl StoreReader, pairs: &[(UserId, UserId)]) -> Result<Vec<Pair>> {
        let users: Vec<UserId> = pairs
            .iter()
            .flat_map(|(sender, receiver)| [*sender, *receiver])
            .collect();
        for part in users.chunks(ACCOUNTS) {
            commit(self.store, Write::EnsureAccounts(part.to_vec()))?;
        }
        let mut numbers = HashMap::new();
        let with_account = pairs.iter().map(|(sender, receiver)| {
            let number = match numbers.get(sender) {
                Some(number) => *number,
                None => {
                    let account = reader.account(sender)?.ok_or("an account was not made")?;
                    numbers.insert(*sender, account.number);
                    account.number
                }
            };
            Ok((*sender, number, *receiver))
        });
        with_account.collect()
    }

    /// Adds a message, stored at this time.
    fn add(&mut self, (from, account, to): Pair, now_ms: u64) -> Result<()> {
        self.random += 1;
        let id = MessageId {
            sender: account,
            client_time: now_ms / 1_000,
            random: self.random,
        };
        self.writes.push(message(from, to, id, &self.payload));
        match self.writes.len() {
            MAX_BATCH => self.commit(now_ms),
            _ => Ok(()),
        }
    }

    /// Stores what waits.
    fn commit(&mut self, now_ms: u64) -> Result<()> {
        stop::check()?;
        if self.writes.is_empty() {
            return Ok(());
        }
        let done = self.store.commit(now_ms, &self.writes)?;
        self.writes.clear();
        for result in done.results {
            result.map_err(WriteError::Refused)?;
        }
        Ok(())
    }
}

pub(crate) fn message(from: UserId, to: UserId, id: MessageId, payload: &[u8]) -> Write {
    let content =
        Content::new(ConversationId::C2c(to), id, MessageKind::TEXT, payload).with_client_sequence(1);
    Write::Append(Append {
        log: LogKey::c2c(from, to),
        sender: from,
        id,
        fingerprint: Fingerprint::of_message(&content),
        origin: 0,
        kind: MessageKind::TEXT,
        flags: EntryFlags::NONE,
        content: to_vec(&content).into(),
        require_membership: false,
        mentions: Vec::new(),
        mention_all: false,
        quota: Quota::NONE,
        files: Vec::new(),
    })
}

/// A message, of no matter whom.
#[cfg(test)]
pub(crate) fn any_message() -> Write {
    let (from, to) = pair(1, 0).expect("valid names");
    let id = MessageId {
        sender: 1,
        client_time: 1,
        random: 1,
    };
    message(from, to, id, &to_vec(&Text::new(TEXT)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_spread_over_all_conversations() {
        let spread = |conversations: u32, stored| {
            let of = |number| messages_in(number, conversations, stored);
            (0..conversations).map(of).collect::<Vec<u64>>()
        };
        assert_eq!(spread(4, 10), [3, 3, 2, 2]);
        assert_eq!(spread(3, 0), [1, 1, 1]);
        assert_eq!(spread(1, 7), [7]);
        assert_eq!(spread(64, 1_000_000).iter().sum::<u64>(), 1_000_000);
    }

    #[test]
    fn what_is_stored_before_is_there() {
        let data = tempfile::tempdir().expect("a directory");
        conversations(data.path(), 2, 3, 200, "x").expect("a store");
        let (_store, reader) = sqlite::open(data.path()).expect("a store");
        for number in 0..3 {
            let (sender, receiver) = pair(2, number).expect("valid names");
            let log = LogKey::c2c(sender, receiver);
            let last = messages_in(number, 3, 200);
            assert!(reader.entry(&log, last).expect("a read").is_some(), "{number}");
            assert!(
                reader.entry(&log, last + 1).expect("a read").is_none(),
                "{number}"
            );
        }
    }

    #[test]
    fn messages_grow_old_one_after_the_other() {
        let ageing = Ageing {
            rate: 1_000,
            messages: 700,
            conversations: 7,
            age: 100,
        };
        let due = |millis| ageing.due_after(Duration::from_millis(millis));
        assert_eq!([due(0), due(1), due(250), due(9_000)], [1, 2, 251, 700]);
        let data = tempfile::tempdir().expect("a directory");
        let first = ageing.store(data.path(), "x").expect("a store");
        conversations(data.path(), 1, 1, 1, "x").expect("a store");
        assert_eq!(ageing.removed(data.path()).expect("a count"), 0);
        let (mut store, reader) = sqlite::open(data.path()).expect("a store");
        let newest = reader.newest_time_ms().expect("a read").expect("a time");
        assert!(newest >= first + 100_000, "one message is new");
        // Each commit has the time of its last message, here of 51.
        let purge = Write::Purge(tim_store::Purge {
            older_than_ms: first + 300,
            forget_ids_before_ms: 0,
            over_before_ms: 0,
            budget: 100_000,
            ..tim_store::Purge::NONE
        });
        commit(&mut store, purge).expect("a purge");
        drop((store, reader));
        assert_eq!(ageing.removed(data.path()).expect("a count"), 5 * 51);
    }
}
