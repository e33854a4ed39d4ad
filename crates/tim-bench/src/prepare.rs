//! Stores that are filled before a measurement, directly and not over the network, and counted after it.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tim_groups::{GroupPolicy, NewGroup, create};
use tim_proto::message::{Content, Text, to_vec};
use tim_proto::{ConversationId, GroupId, GroupType, MessageId, MessageKind, UserId};
use tim_store::{
    Append, EntryFlags, Fingerprint, LogKey, MAX_BATCH, StoreReader as _, StoreWriter as _, Write,
    WriteError, Written,
};
use tim_store_sqlite::{self as sqlite, SqliteWriter};

use crate::{Result, stop};

/// The user of the prepared history; `short` and `long` are the peers.
pub(crate) const READER: &str = "bench-reader";
/// The owner of the prepared group.
pub(crate) const OWNER: &str = "bench-owner";
/// Accounts per commit.
const ACCOUNTS: usize = 1_000;

fn now_ms() -> u64 {
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

fn commit(store: &mut SqliteWriter, write: Write) -> Result<Written> {
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

/// A directory with so many messages.
pub(crate) fn messages(len: u64) -> Result<tempfile::TempDir> {
    let data = tempfile::tempdir()?;
    fill(data.path(), [("long", len)])?;
    Ok(data)
}

/// Fills conversations of [`READER`] with these users.
fn fill<const N: usize>(data: &Path, conversations: [(&str, u64); N]) -> Result<()> {
    let (mut store, _reader) = sqlite::open(data)?;
    let (reader, now_ms) = (UserId::new(READER)?, now_ms());
    let Written::Account { number: account } = commit(&mut store, Write::EnsureAccount(reader))? else {
        return Err("the history's account was not made".into());
    };
    let mut random = 0;
    for (peer, len) in conversations {
        let peer = UserId::new(peer)?;
        commit(&mut store, Write::EnsureAccount(peer))?;
        let mut left = len;
        while left > 0 {
            let batch: Vec<Write> = (0..left.min(MAX_BATCH as u64))
                .map(|_| {
                    random += 1;
                    message(
                        reader,
                        peer,
                        MessageId {
                            sender: account,
                            client_time: 1,
                            random,
                        },
                    )
                })
                .collect();
            stop::check()?;
            store.commit(now_ms, &batch)?;
            left -= batch.len() as u64;
        }
    }
    Ok(())
}

fn message(from: UserId, to: UserId, id: MessageId) -> Write {
    let payload = to_vec(&Text::new("今天天气不错,我们去爬山吧[微笑]"));
    let content =
        Content::new(ConversationId::C2c(to), id, MessageKind::TEXT, &payload).with_client_sequence(1);
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
    })
}
