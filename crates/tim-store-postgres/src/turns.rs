//! What hubs tell each other of their commits: a row for each, with the number of its turn. The turns follow each other without gaps.
//!
//! A hub that takes its turn reads what others have written since its last one, and then writes. So every hub publishes all changes in
//! their one order, its own behind those of others that came before.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tim_proto::request::PushPlatform;
use tim_proto::{GroupId, IdError, MessageId, MessageKind, UserId};
use tim_store::{Change, Elsewhere, Entry, EntryFlags, LogKey, Pair, Published, PurgedLog, RosterChange};
use tracing::warn;

use super::db::{self, Connection};
use super::rows::{rows, sql, unsigned};
use super::value::params;

/// The form of a row. One of another form is not understood, and counts as missing.
const FORM: u8 = 1;
/// The most turns that are read at once. Whoever is further behind begins again from the store.
const MOST: usize = 4_096;
/// The most bytes of them.
const MOST_BYTES: i64 = 64 << 20;

/// How far a hub has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn {
    /// How many commits there were.
    pub(super) number: u64,
    /// Who made the last one, and the newest change then. Unknown at first.
    pub(super) made: Option<(u64, u64)>,
}

/// What was found of the turns after one.
pub(super) enum Found {
    /// What they have written, and the last of them.
    All(Vec<Elsewhere>, Turn),
    /// Some are not there any more.
    Missed,
    /// The turn after which they were to be is not one of this database.
    Other,
}

/// Reads the turns after this one, up to the one with this number.
pub(super) fn after(db: &Connection, turn: &Turn, upto: u64) -> db::Result<Found> {
    let behind = usize::try_from(upto.saturating_sub(turn.number)).unwrap_or(usize::MAX);
    if behind > MOST || size(db, turn.number, upto)? > MOST_BYTES {
        return Ok(Found::Missed);
    }
    let mut found = db
        .statement(
            "SELECT turn, hub, change, body FROM turns WHERE turn >= ?1 AND turn <= ?2 ORDER BY turn LIMIT ?3",
        )?
        .query(params![sql(turn.number), sql(upto), rows(MOST + 1)])?;
    let (mut at, mut all) = (*turn, Vec::new());
    while let Some(row) = found.next()? {
        let number = unsigned(row, 0)?;
        let made = (unsigned(row, 1)?, unsigned(row, 2)?);
        if number == turn.number {
            if turn.made.is_some_and(|known| known != made) {
                return Ok(Found::Other);
            }
            continue;
        }
        let Some(items) = decoded(row.bytes(3)?).filter(|_| number == at.number + 1) else {
            return Ok(Found::Missed);
        };
        all.extend(items);
        at = Turn {
            number,
            made: Some(made),
        };
    }
    Ok(match at.number == upto {
        true => Found::All(all, at),
        false => Found::Missed,
    })
}

fn size(db: &Connection, after: u64, upto: u64) -> db::Result<i64> {
    db.statement(
        "SELECT coalesce(sum(octet_length(body)), 0)::bigint FROM turns WHERE turn > ?1 AND turn <= ?2",
    )?
    .query_row(params![sql(after), sql(upto)], |row| row.get(0))
}

/// Writes a turn.
pub(super) fn insert(
    db: &Connection,
    turn: &Turn,
    published: &[Published],
    changes: &[Change],
) -> db::Result<()> {
    let (hub, change) = turn.made.unwrap_or_default();
    db.statement("INSERT INTO turns (turn, hub, change, body) VALUES (?1, ?2, ?3, ?4)")?
        .run(params![
            sql(turn.number),
            sql(hub),
            sql(change),
            encoded(published, changes)
        ])
}

/// The body of a row.
fn encoded(published: &[Published], changes: &[Change]) -> Vec<u8> {
    let published = published
        .iter()
        .map(|published| Item::Published(Box::new(published.into())));
    let items: Vec<Item> = published.chain(changes.iter().map(Item::from)).collect();
    // Nothing of it cannot be encoded; a row that could not be would count as missing.
    postcard::to_extend(&items, vec![FORM]).unwrap_or_default()
}

/// `None` for one of another form.
fn decoded(body: &[u8]) -> Option<Vec<Elsewhere>> {
    let (form, body) = body.split_first()?;
    let items: Vec<Item> = match *form {
        FORM => postcard::from_bytes(body).ok()?,
        _ => return None,
    };
    let items: Result<Vec<Elsewhere>, IdError> = items.into_iter().map(Elsewhere::try_from).collect();
    items
        .inspect_err(|error| warn!(%error, "a commit of another hub is not understood"))
        .ok()
}

/// One of the things that a commit has made.
#[derive(Debug, Serialize, Deserialize)]
enum Item {
    Published(Box<PublishedItem>),
    Read {
        user: String,
        log: Log,
        /// Read sequence, unread count, head, and through where it is hidden.
        numbers: [u64; 4],
    },
    Sessions {
        user: String,
        before_s: Option<u64>,
    },
    User(String),
    Permissions(String),
    Banned(String, Vec<String>),
    Dismissed(String),
    Counts(String),
    Purged {
        log: Log,
        through: u64,
        last: bool,
    },
    Push {
        user: String,
        platform: u8,
        pushed: u64,
    },
}

#[derive(Debug, Serialize, Deserialize)]
struct PublishedItem {
    log: Log,
    entry: Option<EntryItem>,
    roster: Option<RosterItem>,
    revoked: Option<EntryItem>,
}

#[derive(Debug, Serialize, Deserialize)]
enum Log {
    C2c(String, String),
    Group(String),
    System(String),
}

#[derive(Debug, Serialize, Deserialize)]
struct EntryItem {
    /// Sequence, change, time, and the number of the device.
    numbers: [u64; 4],
    sender: String,
    /// The sender's number, the sender's time, and the random number.
    id: (u64, u64, u32),
    flags: u32,
    kind: u16,
    content: Bytes,
}

#[derive(Debug, Serialize, Deserialize)]
struct RosterItem {
    group: String,
    joined: Vec<String>,
    left: Vec<String>,
    dismissed: bool,
    sequence: u64,
}

fn user(name: &str) -> Result<UserId, IdError> {
    UserId::from_record(name)
}

fn names(users: &[UserId]) -> Vec<String> {
    users.iter().map(|user| user.as_str().to_owned()).collect()
}

fn users(names: &[String]) -> Result<Vec<UserId>, IdError> {
    names.iter().map(|name| user(name)).collect()
}

impl From<&LogKey> for Log {
    fn from(log: &LogKey) -> Self {
        match log {
            LogKey::C2c(pair) => {
                let (one, other) = pair.users();
                Self::C2c(one.as_str().to_owned(), other.as_str().to_owned())
            }
            LogKey::Group(group) => Self::Group(group.as_str().to_owned()),
            LogKey::System(user) => Self::System(user.as_str().to_owned()),
        }
    }
}

impl TryFrom<Log> for LogKey {
    type Error = IdError;

    fn try_from(log: Log) -> Result<Self, IdError> {
        Ok(match log {
            Log::C2c(one, other) => Self::C2c(Pair::new(user(&one)?, user(&other)?)),
            Log::Group(group) => Self::Group(GroupId::from_record(&group)?),
            Log::System(name) => Self::System(user(&name)?),
        })
    }
}

impl From<&Entry> for EntryItem {
    fn from(entry: &Entry) -> Self {
        Self {
            numbers: [entry.sequence, entry.change, entry.time_ms, entry.origin],
            sender: entry.sender.as_str().to_owned(),
            id: (entry.id.sender, entry.id.client_time, entry.id.random),
            flags: entry.flags.to_bits(),
            kind: entry.kind.0,
            content: entry.content.clone(),
        }
    }
}

impl TryFrom<EntryItem> for Entry {
    type Error = IdError;

    fn try_from(item: EntryItem) -> Result<Self, IdError> {
        let [sequence, change, time_ms, origin] = item.numbers;
        let (sender, client_time, random) = item.id;
        Ok(Self {
            sequence,
            change,
            time_ms,
            sender: user(&item.sender)?,
            id: MessageId {
                sender,
                client_time,
                random,
            },
            origin,
            flags: EntryFlags::from_bits(item.flags),
            kind: MessageKind(item.kind),
            content: item.content,
        })
    }
}

impl From<&Published> for PublishedItem {
    fn from(published: &Published) -> Self {
        Self {
            log: (&published.log).into(),
            entry: published.entry.as_ref().map(EntryItem::from),
            roster: published.roster.as_deref().map(|roster| RosterItem {
                group: roster.group.as_str().to_owned(),
                joined: names(&roster.joined),
                left: names(&roster.left),
                dismissed: roster.dismissed,
                sequence: roster.sequence,
            }),
            revoked: published.revoked.as_deref().map(EntryItem::from),
        }
    }
}

impl TryFrom<PublishedItem> for Published {
    type Error = IdError;

    fn try_from(item: PublishedItem) -> Result<Self, IdError> {
        let roster = item.roster.map(|roster| {
            Ok(Box::new(RosterChange {
                group: GroupId::from_record(&roster.group)?,
                joined: users(&roster.joined)?,
                left: users(&roster.left)?,
                dismissed: roster.dismissed,
                sequence: roster.sequence,
            }))
        });
        Ok(Self {
            log: item.log.try_into()?,
            entry: item.entry.map(Entry::try_from).transpose()?,
            roster: roster.transpose()?,
            revoked: item.revoked.map(Entry::try_from).transpose()?.map(Box::new),
        })
    }
}

impl From<&Change> for Item {
    fn from(change: &Change) -> Self {
        let text = |group: &GroupId| group.as_str().to_owned();
        match change {
            Change::Read {
                user,
                log,
                read_sequence,
                unread,
                counted,
                deleted_through,
            } => Self::Read {
                user: user.as_str().to_owned(),
                log: log.into(),
                numbers: [*read_sequence, *unread, *counted, *deleted_through],
            },
            Change::Sessions { user, before_s } => Self::Sessions {
                user: user.as_str().to_owned(),
                before_s: *before_s,
            },
            Change::User(user) => Self::User(user.as_str().to_owned()),
            Change::Permissions(group) => Self::Permissions(text(group)),
            Change::Banned(group, users) => Self::Banned(text(group), names(users)),
            Change::Dismissed(group) => Self::Dismissed(text(group)),
            Change::Counts(group) => Self::Counts(text(group)),
            Change::Purged(purged) => Self::Purged {
                log: (&purged.log).into(),
                through: purged.through,
                last: purged.last,
            },
            Change::Push {
                user,
                platform,
                pushed,
            } => Self::Push {
                user: user.as_str().to_owned(),
                platform: platform.0,
                pushed: *pushed,
            },
        }
    }
}

impl TryFrom<Item> for Elsewhere {
    type Error = IdError;

    fn try_from(item: Item) -> Result<Self, IdError> {
        Ok(Self::Changed(match item {
            Item::Published(published) => return Ok(Self::Published((*published).try_into()?)),
            Item::Read {
                user: name,
                log,
                numbers: [read_sequence, unread, counted, deleted_through],
            } => Change::Read {
                user: user(&name)?,
                log: log.try_into()?,
                read_sequence,
                unread,
                counted,
                deleted_through,
            },
            Item::Sessions { user: name, before_s } => Change::Sessions {
                user: user(&name)?,
                before_s,
            },
            Item::User(name) => Change::User(user(&name)?),
            Item::Permissions(group) => Change::Permissions(GroupId::from_record(&group)?),
            Item::Banned(group, names) => Change::Banned(GroupId::from_record(&group)?, users(&names)?),
            Item::Dismissed(group) => Change::Dismissed(GroupId::from_record(&group)?),
            Item::Counts(group) => Change::Counts(GroupId::from_record(&group)?),
            Item::Purged { log, through, last } => Change::Purged(PurgedLog {
                log: log.try_into()?,
                through,
                last,
            }),
            Item::Push {
                user: name,
                platform,
                pushed,
            } => Change::Push {
                user: user(&name)?,
                platform: PushPlatform(platform),
                pushed,
            },
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> UserId {
        UserId::new(name).unwrap()
    }

    fn entry(sender: UserId, content: &'static [u8]) -> Entry {
        Entry {
            sequence: 7,
            change: u64::MAX,
            time_ms: 3,
            sender,
            id: MessageId {
                sender: 1,
                client_time: 2,
                random: 3,
            },
            origin: 9,
            flags: EntryFlags::SYSTEM,
            kind: MessageKind::TEXT,
            content: Bytes::from_static(content),
        }
    }

    #[test]
    fn what_another_hub_is_told_is_what_was_committed() {
        let (group, alice, bob) = (GroupId::new("g").unwrap(), id("alice"), id("bob"));
        let published = vec![
            Published {
                log: LogKey::c2c(bob, alice),
                entry: Some(entry(alice, b"text")),
                roster: None,
                revoked: Some(Box::new(entry(bob, b""))),
            },
            Published {
                log: LogKey::Group(group),
                entry: Some(entry(UserId::SYSTEM, b"tip")),
                roster: Some(Box::new(RosterChange {
                    joined: vec![alice],
                    left: vec![bob],
                    dismissed: true,
                    sequence: 6,
                    ..RosterChange::of(group)
                })),
                revoked: None,
            },
        ];
        let log = LogKey::System(alice);
        let changes = vec![
            Change::Read {
                user: alice,
                log,
                read_sequence: 1,
                unread: 2,
                counted: 3,
                deleted_through: 4,
            },
            Change::Sessions {
                user: bob,
                before_s: Some(5),
            },
            Change::Sessions {
                user: bob,
                before_s: None,
            },
            Change::User(alice),
            Change::Permissions(group),
            Change::Banned(group, vec![alice, bob]),
            Change::Dismissed(group),
            Change::Counts(group),
            Change::Purged(PurgedLog {
                log,
                through: 8,
                last: true,
            }),
            Change::Push {
                user: bob,
                platform: PushPlatform::IOS,
                pushed: 10,
            },
        ];
        let body = encoded(&published, &changes);
        let expected: Vec<_> = published
            .into_iter()
            .map(Elsewhere::Published)
            .chain(changes.into_iter().map(Elsewhere::Changed))
            .collect();
        assert_eq!(decoded(&body), Some(expected));
        // Of another form, cut short, or not of this program at all.
        assert_eq!(decoded(&[]), None);
        assert_eq!(decoded(&[FORM + 1, 0]), None);
        for len in 1..body.len() {
            assert_eq!(decoded(&body[..len]), None, "{len}");
        }
    }
}
