//! What a measurement finds in the store, put there past the network, and what it leaves there.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tim_groups::{GroupPolicy, NewGroup, create};
use tim_proto::message::{Content, Text, to_vec};
use tim_proto::{
    ConversationId, GroupId, GroupType, InviteOption, JoinOption, MessageId, MessageKind, UserId,
};
use tim_store::{
    Append, EntryFlags, Fingerprint, LogKey, MAX_BATCH, StoreReader as _, StoreWriter as _, Write,
    WriteError, Written,
};
use tim_store_sqlite::{self as sqlite, SqliteWriter};

use crate::Result;

/// Whose conversations the prepared history is: `short` and `long` are the peers.
pub(crate) const READER: &str = "bench-reader";
/// Who owns the prepared group.
pub(crate) const OWNER: &str = "bench-owner";
/// How many accounts are made in one go.
const ACCOUNTS: usize = 1_000;

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as u64
}

/// The members of the prepared groups.
pub(crate) fn member(number: u32) -> String {
    format!("bench-member-{number}")
}

/// A group that is there before the hub starts.
pub(crate) struct Prepared {
    pub(crate) data: tempfile::TempDir,
    pub(crate) group: GroupId,
    /// How long its making took.
    pub(crate) took: Duration,
    /// How many entries there are in all logs.
    pub(crate) entries: u64,
}

/// Makes a group of [`OWNER`] with so many others, and their accounts. Nobody is put into an AVChatRoom.
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
        group: id,
        group_type,
        owner,
        name: "bench".to_owned(),
        introduction: String::new(),
        notification: String::new(),
        avatar: String::new(),
        join_option: JoinOption::AS_USUAL,
        invite_option: InviteOption::AS_USUAL,
        members: if is_room { Vec::new() } else { members },
        random: 1,
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

/// How many entries there are in all logs of a hub that has stopped.
pub(crate) fn entries(data: &Path) -> Result<u64> {
    let (_store, reader) = sqlite::open(data)?;
    Ok(reader.head_change()?)
}

fn commit(store: &mut SqliteWriter, write: Write) -> Result<Written> {
    let done = store.commit(now_ms(), &[write])?;
    let result = done.results.into_iter().next();
    let result = result.ok_or("the store returned no result")?;
    Ok(result.map_err(WriteError::Refused)?)
}

/// A directory with a conversation of a thousand messages and one of `len`.
pub(crate) fn history(len: u64) -> Result<tempfile::TempDir> {
    let data = tempfile::tempdir()?;
    fill_history(data.path(), len)?;
    Ok(data)
}

fn fill_history(data: &Path, len: u64) -> Result<()> {
    let (mut store, _reader) = sqlite::open(data)?;
    let user = |name| UserId::new(name);
    let (reader, short, long) = (user(READER)?, user("short")?, user("long")?);
    let now_ms = now_ms();
    let accounts = [reader, short, long].map(Write::EnsureAccount);
    let made = store.commit(now_ms, &accounts)?;
    let Some(Ok(Written::Account { number })) = made.results.first() else {
        return Err("the history's account was not made".into());
    };
    let account = *number;
    let mut random = 0;
    for (peer, len) in [(short, 1_000), (long, len)] {
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
            store.commit(now_ms, &batch)?;
            left -= batch.len() as u64;
        }
    }
    Ok(())
}

fn message(from: UserId, to: UserId, id: MessageId) -> Write {
    let payload = to_vec(&Text {
        text: "今天天气不错,我们去爬山吧[微笑]",
    });
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
