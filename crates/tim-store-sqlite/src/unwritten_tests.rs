//! What is counted in memory, and who writes in groups as it is known, agree with the tables: whatever is written, taken back or lost.

use std::cell::Cell;
use std::collections::BTreeMap;

use rusqlite::Connection;
use rusqlite::types::Value;
use tempfile::TempDir;
use tim_groups::{Authority, GroupAction, GroupCommand, GroupPolicy, GroupUpdate, NewGroup, create};
use tim_proto::{GroupId, GroupType, Role, UserId};
use tim_store::{
    Append, EntryFlags, ImportMessages, ImportedMessage, LogKey, NotStored, Purge, StoreError,
    StoreReader as _, StoreWriter as _, Write, Written,
};

use super::log_tests::{ALICE, BOB, accounts, heads, killed, say};
use super::{DATABASE, SqliteReader, SqliteWriter, check, open};

thread_local! {
    /// Whether everything is written, and forgotten, after each write.
    pub(super) static AT_ONCE: Cell<bool> = const { Cell::new(false) };
}

const NAMES: [&str; 5] = ["alice", "bob", "carol", "dave", "erin"];
const GROUPS: [(&str, GroupType); 2] = [("public", GroupType::PUBLIC), ("open", GroupType::COMMUNITY)];

fn user(number: usize) -> UserId {
    UserId::new(NAMES[number % NAMES.len()]).unwrap()
}

fn group(number: usize) -> GroupId {
    GroupId::new(GROUPS[number % GROUPS.len()].0).unwrap()
}

/// Numbers of a sequence that its seed decides.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

/// A store that counts at once, or later.
struct Side {
    at_once: bool,
    dir: TempDir,
    store: Option<(SqliteWriter, SqliteReader)>,
}

impl Side {
    fn new(at_once: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Some(open(dir.path()).unwrap());
        Self { at_once, dir, store }
    }

    fn writer(&mut self) -> &mut SqliteWriter {
        &mut self.store.as_mut().unwrap().0
    }

    /// What is answered and published, as text.
    fn commit(&mut self, now_ms: u64, batch: &[Write]) -> String {
        AT_ONCE.set(self.at_once);
        let commit = self.writer().commit(now_ms, batch);
        AT_ONCE.set(false);
        match commit {
            Ok(commit) => format!("{:?} {:?}", commit.results, commit.published),
            Err(error) => format!("{error:?}"),
        }
    }

    fn crash(&mut self) {
        let copy = killed(self.dir.path());
        self.store = None;
        self.dir = copy;
        AT_ONCE.set(self.at_once);
        self.store = Some(open(self.dir.path()).unwrap());
        AT_ONCE.set(false);
    }

    /// All rows, after a clean stop.
    fn rows(mut self) -> Vec<Vec<Value>> {
        self.store = None;
        let report = check(self.dir.path()).unwrap();
        assert!(report.is_clean(), "{report:?}");
        let database = Connection::open(self.dir.path().join(DATABASE)).unwrap();
        let mut rows = Vec::new();
        for table in [
            "logs",
            "personal",
            "users",
            "recent",
            "groups",
            "restrictions",
            "sent",
            "entries",
        ] {
            let mut statement = database
                .prepare(&format!("SELECT * FROM {table} ORDER BY 1, 2, 3"))
                .unwrap();
            let columns = statement.column_count();
            let found = statement.query_map([], |row| (0..columns).map(|column| row.get(column)).collect());
            rows.extend(found.unwrap().map(Result::unwrap));
        }
        rows
    }
}

/// Makes writes.
struct Author {
    numbers: Numbers,
    accounts: Vec<u64>,
    random: u32,
    now_ms: u64,
}

impl Author {
    fn append(&mut self, log: LogKey, sender: usize) -> Append {
        self.random += 1;
        let Write::Append(append) = say(self.accounts[sender], self.random) else {
            unreachable!()
        };
        let flags = [
            EntryFlags::NONE,
            EntryFlags::NONE,
            EntryFlags::NO_UNREAD,
            EntryFlags::NO_LAST,
        ];
        Append {
            log,
            sender: user(sender),
            flags: flags[self.numbers.below(flags.len())],
            mention_all: self.numbers.below(8) == 0,
            ..append
        }
    }

    fn change(&mut self, group: GroupId, actor: UserId, action: GroupAction) -> Write {
        self.random += 10;
        Write::ChangeGroup(Box::new(GroupCommand {
            group,
            actor,
            random: self.random,
            authority: match self.numbers.below(4) {
                0 => Authority::Role,
                _ => Authority::Administrator,
            },
            silent: false,
            policy: GroupPolicy::default(),
            live_members: 0,
            action,
        }))
    }

    /// A change of a group, mostly about `other`.
    fn group_action(&mut self, other: UserId) -> GroupAction {
        let set = |role, mute_seconds| GroupAction::SetMember {
            user: other,
            role,
            mute_seconds,
            name_card: None,
        };
        match self.numbers.below(14) {
            0..3 => GroupAction::Join {
                message: String::new(),
            },
            3 => GroupAction::Quit,
            4..6 => GroupAction::Invite {
                users: vec![other],
                reason: String::new(),
            },
            6 => GroupAction::Remove {
                users: vec![other],
                reason: String::new(),
            },
            7 => set(Some(Role::ADMIN), None),
            8 => set(Some(Role::MEMBER), None),
            9 => set(None, Some(60)),
            10 => set(None, Some(0)),
            11 => GroupAction::ChangeOwner { owner: other },
            12 if self.numbers.below(4) == 0 => GroupAction::Dismiss,
            _ => GroupAction::Update(GroupUpdate {
                mute_all: Some(self.numbers.below(2) == 0),
                ..GroupUpdate::default()
            }),
        }
    }

    fn create(&mut self, number: usize) -> Write {
        let owner = self.numbers.below(NAMES.len());
        self.random += 10;
        let wish = NewGroup {
            members: vec![user(owner + 1), user(owner + 2)],
            random: self.random,
            ..NewGroup::new(group(number), GROUPS[number % GROUPS.len()].1, user(owner))
        };
        let new = create(wish, &GroupPolicy::default(), self.now_ms, &BTreeMap::new()).unwrap();
        Write::CreateGroup(Box::new(new))
    }

    /// Whom a change of a group is about writes there before it and after it.
    fn batch(&mut self) -> Vec<Write> {
        let mut batch = Vec::new();
        for _ in 0..=self.numbers.below(4) {
            let write = self.write();
            let Write::ChangeGroup(command) = &write else {
                batch.push(write);
                continue;
            };
            let user = match &command.action {
                GroupAction::SetMember { user, .. } => *user,
                GroupAction::Remove { users, .. } => users[0],
                _ => command.actor,
            };
            let sender = NAMES.iter().position(|name| *name == user.as_str()).unwrap();
            let [before, after] = [(); 2].map(|()| self.append(LogKey::Group(command.group), sender));
            batch.extend([Write::Append(before), write, Write::Append(after)]);
        }
        batch
    }

    fn write(&mut self) -> Write {
        let [one, other, number] =
            [NAMES.len(), NAMES.len(), GROUPS.len()].map(|most| self.numbers.below(most));
        let in_group = LogKey::Group(group(number));
        let log = match self.numbers.below(2) {
            0 => in_group,
            _ => LogKey::c2c(user(one), user(other)),
        };
        match self.numbers.below(24) {
            0..9 => Write::Append(self.append(in_group, one)),
            9..14 => Write::Append(self.append(LogKey::c2c(user(one), user(other)), one)),
            14..17 => {
                let action = self.group_action(user(other));
                self.change(group(number), user(one), action)
            }
            17 => Write::WithAccounts {
                users: vec![user(one), user(other)],
                write: Box::new(Write::Append(self.append(log, one))),
            },
            18 if other == 0 => Write::DeleteConversation { user: user(one), log },
            18 => Write::MarkRead {
                user: user(one),
                log,
                upto: None,
            },
            19..21 => self.create(number),
            21 => Write::ImportMessages(Box::new(self.import(number, one))),
            22 => Write::EnsureAccount(user(one)),
            _ => Write::Purge(Purge {
                older_than_ms: self.now_ms - 20_000,
                over_before_ms: self.now_ms,
                ..Purge::NONE
            }),
        }
    }

    fn import(&mut self, number: usize, sender: usize) -> ImportMessages {
        let append = self.append(LogKey::Group(group(number)), sender);
        let message = ImportedMessage {
            sender: append.sender,
            id: append.id,
            fingerprint: append.fingerprint,
            time_ms: self.now_ms,
            kind: append.kind,
            flags: append.flags,
            content: append.content,
        };
        ImportMessages {
            group: group(number),
            messages: vec![message],
        }
    }
}

#[test]
fn what_is_counted_later_agrees_with_what_is_counted_at_once() {
    for seed in 0..4 {
        let mut sides = [false, true].map(Side::new);
        let everybody = Write::EnsureAccounts((0..NAMES.len()).map(user).collect());
        let [later, at_once] = &mut sides;
        assert_eq!(
            later.commit(1, std::slice::from_ref(&everybody)),
            at_once.commit(1, &[everybody])
        );
        let reader = &at_once.store.as_ref().unwrap().1;
        let mut author = Author {
            numbers: Numbers(seed),
            accounts: (0..NAMES.len())
                .map(|number| reader.account(&user(number)).unwrap().unwrap().number)
                .collect(),
            random: 0,
            now_ms: 1_000_000,
        };
        for step in 0..50 {
            author.now_ms += 500;
            let batch = author.batch();
            let event = author.numbers.below(12);
            let found = sides.each_mut().map(|side| {
                // Where a block of the log finds no space, the batch is taken back.
                side.writer().with_log(|log| log.is_full_for_blocks = event == 0);
                let found = side.commit(author.now_ms, &batch);
                side.writer().with_log(|log| log.is_full_for_blocks = false);
                match event {
                    1 => side.crash(),
                    2 => side.writer().end_generation(),
                    _ => {}
                }
                found
            });
            assert_eq!(found[0], found[1], "seed {seed}, step {step}: {batch:?}");
        }
        let [later, at_once] = sides.map(Side::rows);
        assert_eq!(later, at_once, "seed {seed}");
    }
}

/// Rows whose numbers grow need pages, and a message that was answered is counted.
#[test]
fn a_database_at_its_limit_counts_what_it_has_stored() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, reader, number) = accounts(dir.path());
    let peers: Vec<UserId> = (0..400)
        .map(|n| UserId::new(&format!("peer{n}")).unwrap())
        .collect();
    writer.commit(1, &[Write::EnsureAccounts(peers.clone())]).unwrap();
    let mut random = 0;
    let mut round = |writer: &mut SqliteWriter| {
        let mut stored = Ok(0);
        for some in peers.chunks(20) {
            let batch: Vec<Write> = some
                .iter()
                .map(|peer| {
                    random += 1;
                    let Write::Append(append) = say(number, random) else {
                        unreachable!()
                    };
                    Write::Append(Append {
                        log: LogKey::c2c(ALICE, *peer),
                        content: Vec::new().into(),
                        ..append
                    })
                })
                .collect();
            stored = writer.commit(1, &batch).map(|_| random);
            if stored.is_err() {
                break;
            }
        }
        stored
    };
    round(&mut writer).unwrap();
    writer.end_generation();
    let pages: i64 = writer
        .connection()
        .query_row("PRAGMA page_count", [], |row| row.get(0))
        .unwrap();
    writer
        .turn()
        .database
        .as_mut()
        .unwrap()
        .limit_pages(pages + 40)
        .unwrap();
    let full = StoreError::NotStored(NotStored::DiskFull);
    while let Ok(random) = round(&mut writer) {
        assert!(random < 100_000, "the limit holds");
    }
    assert_eq!(round(&mut writer), Err(full));
    let change = reader.head_change().unwrap();
    let list = reader.conversations(&ALICE, None, 1).unwrap();
    assert_eq!(list.conversations[0].last.as_ref().unwrap().change, change);
    writer.end_generation();
    drop((writer, reader));
    assert!(check(dir.path()).unwrap().is_clean());
    let (_writer, reader) = open(dir.path()).unwrap();
    assert_eq!(reader.head_change(), Ok(change));
}

fn fail_at(writer: &SqliteWriter, what: &str, how: &str) {
    let trigger = format!(
        "CREATE TEMP TRIGGER fails BEFORE UPDATE OF {what} BEGIN SELECT RAISE({how}, 'it fails'); END"
    );
    writer.connection().execute_batch(&trigger).unwrap();
}

#[test]
fn a_row_that_cannot_be_counted_in_refuses_the_first_message_of_a_generation() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, reader, number) = accounts(dir.path());
    writer.commit(1, &[say(number, 1)]).unwrap();
    writer.end_generation();
    fail_at(&writer, "own_total ON personal", "ABORT");
    for _ in 0..2 {
        assert!(matches!(
            writer.commit(1, &[say(number, 2)]),
            Err(StoreError::NotStored(_))
        ));
        assert_eq!(heads(&reader), [1, 0]);
    }
    writer.connection().execute_batch("DROP TRIGGER fails").unwrap();
    let commit = writer.commit(1, &[say(number, 2), say(number, 3)]).unwrap();
    assert!(matches!(commit.results[1], Ok(Written::Stored(stored)) if stored.sequence == 3));
    drop((writer, reader));
    assert!(check(dir.path()).unwrap().is_clean());
}

#[test]
fn a_read_for_which_nothing_can_be_written_fails_and_loses_nothing() {
    for how in ["ABORT", "ROLLBACK"] {
        let dir = tempfile::tempdir().unwrap();
        let (mut writer, reader, number) = accounts(dir.path());
        writer.commit(1, &[say(number, 1), say(number, 2)]).unwrap();
        fail_at(&writer, "sequence ON logs", how);
        // What is rolled back takes the trigger along.
        assert!(reader.conversations(&BOB, None, 10).is_err());
        writer.commit(1, &[say(number, 3)]).unwrap();
        writer
            .connection()
            .execute_batch("DROP TRIGGER IF EXISTS fails")
            .unwrap();
        assert_eq!(reader.conversations(&BOB, None, 10).unwrap().total_unread, 3);
        writer.commit(1, &[say(number, 4)]).unwrap();
        let killed = killed(dir.path());
        drop((writer, reader));
        for dir in [dir, killed] {
            let (writer, reader) = open(dir.path()).unwrap();
            assert_eq!(heads(&reader), [4, 0], "{how}");
            assert_eq!(reader.conversations(&BOB, None, 10).unwrap().total_unread, 4);
            drop((writer, reader));
            assert!(check(dir.path()).unwrap().is_clean());
        }
    }
}
