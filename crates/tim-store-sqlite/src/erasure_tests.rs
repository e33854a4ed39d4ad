//! What is removed is nowhere in the files any more, whatever was stored, revoked and removed before.

use std::collections::{BTreeMap, BTreeSet};

use tim_groups::tips;
use tim_groups::{Authority, GroupAction, GroupCommand, GroupPolicy, NewGroup, create};
use tim_proto::message::Text;
use tim_proto::{ConversationId, FileId, GroupId, GroupType, MessageId, MessageKind, UserId};
use tim_store::{
    AddFile, Append, EntryFlags, File, FileQuota, Fingerprint, LogKey, PageRequest, Purge, Quota,
    RemoveFiles, Revoke, StoreReader as _, StoreWriter as _, Write, Written,
};

use super::*;

const NAMES: [&str; 4] = ["alice", "bob", "carol", "dave"];
/// A mark is `<`, this many digits, and `>`.
const DIGITS: usize = 7;
const KEEP_MS: u64 = 60_000;
/// The longest content, about.
const LONGEST: usize = 30_000;

/// Numbers from a seed (xorshift).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % most as u64).unwrap()
    }

    /// Of a content. Some have pages of their own.
    fn len(&mut self) -> usize {
        match self.below(100) {
            0..50 => self.below(200),
            50..75 => self.below(1_500),
            75..90 => self.below(5_000),
            _ => self.below(LONGEST),
        }
    }
}

/// A message that was stored.
struct Said {
    log: LogKey,
    sequence: u64,
    sender: usize,
    mark: u32,
    len: usize,
    is_revoked: bool,
    /// The file that it names.
    file: Option<FileId>,
}

/// A store with random messages. Each is full of its own mark.
struct Talk {
    dir: tempfile::TempDir,
    store: Option<(SqliteWriter, SqliteReader)>,
    numbers: Numbers,
    now_ms: u64,
    accounts: [u64; 4],
    logs: Vec<LogKey>,
    said: Vec<Said>,
    /// What was uploaded: each file's owner, and the mark that its media type is full of.
    files: BTreeMap<FileId, (usize, u32)>,
    /// Marks of messages of dismissed groups: they are kept until they are old.
    ended: BTreeSet<u32>,
    marks: u32,
}

fn user(number: usize) -> UserId {
    UserId::new(NAMES[number]).unwrap()
}

fn text(mark: u32, len: usize) -> String {
    let mark = format!("<{mark:0DIGITS$}>");
    mark.repeat(1 + len / mark.len())
}

fn content(mark: u32, len: usize) -> bytes::Bytes {
    let id = MessageId {
        sender: 0,
        client_time: 1,
        random: mark,
    };
    let text = text(mark, len);
    tips::content(
        ConversationId::C2c(user(0)),
        id,
        MessageKind::TEXT,
        &Text::new(&text),
    )
}

fn group(number: usize) -> LogKey {
    LogKey::Group(GroupId::new(&format!("group{number}")).unwrap())
}

impl Talk {
    fn new(seed: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Some(open(dir.path()).unwrap());
        let mut talk = Self {
            dir,
            store,
            numbers: Numbers(seed),
            now_ms: 1_000_000,
            accounts: [0; 4],
            logs: Vec::new(),
            said: Vec::new(),
            files: BTreeMap::new(),
            ended: BTreeSet::new(),
            marks: 0,
        };
        for (number, name) in NAMES.iter().enumerate() {
            let account = talk.commit(&[Write::EnsureAccount(UserId::new(name).unwrap())]);
            let [Written::Account { number: account }] = account[..] else {
                panic!("{account:?}")
            };
            talk.accounts[number] = account;
            talk.logs
                .extend((number..NAMES.len()).map(|peer| LogKey::c2c(user(number), user(peer))));
        }
        for number in 0..3 {
            talk.make_group(number);
        }
        talk
    }

    fn make_group(&mut self, number: usize) {
        let log = group(number);
        let LogKey::Group(id) = log else { panic!("{log}") };
        let wish = NewGroup {
            members: (1..NAMES.len()).map(user).collect(),
            ..NewGroup::new(id, GroupType::PUBLIC, user(0))
        };
        let policy = GroupPolicy::default();
        let made = create(wish, &policy, 1, &BTreeMap::new()).unwrap();
        self.commit(&[Write::CreateGroup(Box::new(made))]);
        self.logs.push(log);
    }

    fn commit(&mut self, batch: &[Write]) -> Vec<Written> {
        let (writer, _) = self.store.as_mut().unwrap();
        let results = writer.commit(self.now_ms, batch).unwrap().results;
        results.into_iter().map(Result::unwrap).collect()
    }

    /// Stores some messages in one commit.
    fn say(&mut self) {
        let count = 1 + self.numbers.below(20);
        let (mut batch, mut new) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let log = self.logs[self.numbers.below(self.logs.len())];
            let sender = match log {
                LogKey::C2c(pair) => {
                    let (low, high) = pair.users();
                    let sender = if self.numbers.below(2) == 0 { low } else { high };
                    (0..NAMES.len()).find(|number| user(*number) == sender).unwrap()
                }
                _ => self.numbers.below(NAMES.len()),
            };
            let file = self.file_to_send(sender);
            self.marks += 1;
            let (mark, len) = (self.marks, self.numbers.len());
            batch.push(Write::Append(Append {
                log,
                sender: user(sender),
                id: MessageId {
                    sender: self.accounts[sender],
                    client_time: self.now_ms / 1000,
                    random: mark,
                },
                fingerprint: Fingerprint::of(&[&mark.to_le_bytes()]),
                origin: 0,
                kind: MessageKind::TEXT,
                flags: EntryFlags::NONE,
                content: content(mark, len),
                require_membership: true,
                mentions: Vec::new(),
                mention_all: false,
                quota: Quota::NONE,
                files: file.into_iter().collect(),
            }));
            new.push(Said {
                log,
                sequence: 0,
                sender,
                mark,
                len,
                is_revoked: false,
                file,
            });
        }
        let written = self.commit(&batch);
        for (mut said, written) in new.into_iter().zip(written) {
            let Written::Stored(stored) = written else {
                panic!("{written:?}")
            };
            said.sequence = stored.sequence;
            self.said.push(said);
        }
    }

    /// Now and then, a file for a message: a new one, or one that the sender has.
    fn file_to_send(&mut self, sender: usize) -> Option<FileId> {
        match self.numbers.below(12) {
            0 => {}
            1 => {
                let own = self.files.iter().filter(|(_, (owner, _))| *owner == sender);
                let own: Vec<FileId> = own.map(|(id, _)| *id).collect();
                return (!own.is_empty()).then(|| own[self.numbers.below(own.len())]);
            }
            _ => return None,
        }
        self.marks += 1;
        let id = FileId::from_bytes(u128::from(self.numbers.next()).to_be_bytes());
        let file = File {
            id,
            owner: user(sender),
            kind: MessageKind::FILE,
            size: 1,
            sha256: [0; 32].map(|_: u8| u8::try_from(self.numbers.below(256)).unwrap()),
            media_type: text(self.marks, self.numbers.below(200)),
            format: 0,
            images: Vec::new(),
            created_ms: 0,
        };
        let quota = FileQuota::NONE;
        self.commit(&[Write::AddFile(Box::new(AddFile { file, quota }))]);
        self.files.insert(id, (sender, self.marks));
        Some(id)
    }

    /// Removes the files that no message names.
    fn remove_files(&mut self) {
        let step = RemoveFiles {
            unsent_before_ms: u64::MAX,
            most: u32::MAX,
        };
        let removed = self.commit(&[Write::RemoveFiles(step)]);
        let [Written::FilesRemoved { files, more: false }] = &removed[..] else {
            panic!("{removed:?}")
        };
        for id in files {
            self.files.remove(id);
        }
        let named = self.said.iter().filter(|said| !said.is_revoked);
        let named: BTreeSet<FileId> = named.filter_map(|said| said.file).collect();
        assert_eq!(self.files.keys().copied().collect::<BTreeSet<_>>(), named);
    }

    /// Revokes a message, most often one of the last.
    fn revoke_any(&mut self) {
        let span = match self.numbers.below(3) {
            0 => self.said.len(),
            _ => self.said.len().min(40),
        };
        if span > 0 {
            let back = 1 + self.numbers.below(span);
            self.revoke(self.said.len() - back);
        }
    }

    fn revoke(&mut self, at: usize) {
        let said = &mut self.said[at];
        if std::mem::replace(&mut said.is_revoked, true) {
            return;
        }
        let revoke = Write::Revoke(Revoke {
            log: said.log,
            sequence: said.sequence,
            by: user(said.sender),
            as_administrator: false,
            window_ms: u64::MAX,
            manager_window_ms: 0,
            reason: "because ".repeat(self.numbers.below(20)),
            origin: 0,
            id: MessageId::default(),
            content: content(0, 0),
        });
        self.commit(&[revoke]);
    }

    fn purge(&mut self) {
        let purge = Write::Purge(Purge {
            older_than_ms: self.now_ms.saturating_sub(KEEP_MS),
            forget_ids_before_ms: self.now_ms.saturating_sub(KEEP_MS),
            over_before_ms: 0,
            budget: 50 + u32::try_from(self.numbers.below(200)).unwrap(),
            ..Purge::NONE
        });
        for _ in 0..1_000_000 {
            // A long write-ahead log is moved by another thread.
            std::thread::yield_now();
            if let [Written::Purged { more: false, .. }] = self.commit(std::slice::from_ref(&purge))[..] {
                let (_, reader) = self.store.as_ref().unwrap();
                self.said
                    .retain(|said| page(reader, said.log, 0).first_kept <= said.sequence);
                return;
            }
        }
        panic!("the purge does not end");
    }

    /// Dismisses a group and makes another one.
    fn change_groups(&mut self) {
        let at = self.logs.len() - 1 - self.numbers.below(3);
        let LogKey::Group(group) = self.logs.remove(at) else {
            panic!("no group")
        };
        self.commit(&[Write::ChangeGroup(Box::new(GroupCommand {
            group,
            actor: user(0),
            random: 9,
            authority: Authority::Role,
            silent: false,
            policy: GroupPolicy::default(),
            live_members: 0,
            action: GroupAction::Dismiss,
        }))]);
        let (ended, said) = std::mem::take(&mut self.said)
            .into_iter()
            .partition::<Vec<_>, _>(|said| said.log == LogKey::Group(group));
        self.said = said;
        let kept = ended.iter().filter(|said| !said.is_revoked);
        self.ended.extend(kept.map(|said| said.mark));
        self.make_group(1_000 + usize::try_from(self.now_ms).unwrap());
    }

    fn hide(&mut self) {
        let log = self.logs[self.numbers.below(self.logs.len())];
        let user = user(self.numbers.below(NAMES.len()));
        self.commit(&[Write::DeleteConversation { user, log }]);
    }

    fn step(&mut self) {
        self.now_ms += self.numbers.below(700) as u64;
        match self.numbers.below(100) {
            0..70 => self.say(),
            70..90 => self.revoke_any(),
            90..94 => self.hide(),
            94..97 => self.purge(),
            97..98 => self.change_groups(),
            // The system's clock is set.
            98 => self.now_ms = self.now_ms.saturating_sub(self.numbers.below(20_000) as u64),
            _ => {
                self.store = None;
                self.store = Some(open(self.dir.path()).unwrap());
            }
        }
    }

    /// All marks in all files.
    fn marks_in_files(&self) -> BTreeSet<u32> {
        let mut found = BTreeSet::new();
        for file in fs::read_dir(self.dir.path()).unwrap() {
            let bytes = fs::read(file.unwrap().path()).unwrap();
            for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == b'<') {
                let digits = bytes.get(at + 1..at + 1 + DIGITS).unwrap_or_default();
                if digits.iter().all(u8::is_ascii_digit)
                    && let Ok(mark) = std::str::from_utf8(digits).unwrap().parse()
                {
                    found.insert(mark);
                }
            }
        }
        found
    }

    /// What was not removed is intact, and of what was removed nothing is in the files.
    fn judge(&mut self) {
        self.purge();
        self.remove_files();
        // Without a revocation since the last time, the write-ahead log stays.
        self.say();
        self.revoke(self.said.len() - 1);
        self.remove_files();
        self.purge();
        let (_, reader) = self.store.as_ref().unwrap();
        for said in &self.said {
            let entry = reader.entry(&said.log, said.sequence).unwrap().unwrap();
            assert_eq!(entry.is_revoked(), said.is_revoked);
            assert!(said.is_revoked || entry.content == content(said.mark, said.len));
        }
        let kept = self.said.iter().filter(|said| !said.is_revoked);
        let of_files = self.files.values().map(|(_, mark)| *mark);
        let kept: BTreeSet<u32> = kept.map(|said| said.mark).chain(of_files).collect();
        let found = self.marks_in_files();
        assert!(kept.is_subset(&found));
        let is_left = |mark: &&u32| **mark != 0 && !kept.contains(*mark) && !self.ended.contains(*mark);
        let left: Vec<_> = found.iter().filter(is_left).collect();
        assert!(left.is_empty(), "{left:?} of {} are in the files", self.marks);
    }

    fn count(&self, sql: &str) -> u32 {
        let (writer, _) = self.store.as_ref().unwrap();
        writer.connection().query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

fn page(reader: &SqliteReader, log: LogKey, before: u64) -> tim_store::Page {
    let request = PageRequest {
        log,
        before: Some(before),
        after: 0,
        limit: 1,
        max_bytes: usize::MAX,
    };
    reader.page(&request).unwrap()
}

fn talk(seed: u64) {
    let mut talk = Talk::new(seed);
    for round in 0..480 {
        talk.step();
        if round % 40 == 39 {
            talk.judge();
        }
    }
    assert!(talk.marks > 2_000, "{}", talk.marks);
    // Everything becomes old, and its space becomes free.
    let pages = talk.count("PRAGMA page_count");
    talk.ended.clear();
    talk.now_ms += 10 * KEEP_MS;
    talk.judge();
    assert!(talk.said.len() <= 20);
    let free = talk.count("PRAGMA freelist_count");
    assert!(free * 10 > pages * 7, "{free} of {pages} pages");
    drop(talk.store);
    assert!(check(talk.dir.path()).unwrap().is_clean());
}

#[test]
fn what_is_removed_is_nowhere_in_the_files() {
    for seed in 1..=2_u64 {
        talk(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    }
}

#[test]
fn much_that_is_removed_is_wiped_beside_the_writer_and_then_nowhere() {
    let mut talk = Talk::new(3);
    let wal = |talk: &Talk| {
        fs::metadata(talk.dir.path().join(format!("{DATABASE}-wal")))
            .unwrap()
            .len()
    };
    while wal(&talk) < 6 << 20 {
        (0..20).for_each(|_| talk.say());
        talk.store.as_ref().unwrap().0.end_generation();
    }
    talk.revoke(0);
    let removed = talk.commit(&[Write::Purge(Purge::NONE)]);
    assert!(
        matches!(removed[..], [Written::Purged { more: true, .. }]),
        "{removed:?}"
    );
    talk.say();
    talk.judge();
    assert_eq!(wal(&talk), 0);
}
