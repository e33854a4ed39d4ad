//! The store's conformance suite on the embedded engine, and what only that engine promises.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tim_proto::{MessageId, MessageKind, UserId};
use tim_store::suite::Engine;
use tim_store::{
    Append, EntryFlags, Fingerprint, Hooks, LogKey, Quota, Store, StoreError, StoreReader as _,
    StoreWriter as _, Write, Writer, WriterConfig, Written,
};
use tim_store_sqlite::{self as sqlite, OpenError};

/// A data directory of its own for each test.
struct Sqlite(tempfile::TempDir);

impl Sqlite {
    fn fresh() -> Box<dyn Engine> {
        Box::new(Self(tempfile::tempdir().unwrap()))
    }
}

impl Engine for Sqlite {
    fn open(&self) -> Store {
        sqlite::open(self.0.path()).unwrap().into()
    }

    fn copy(&self) -> Box<dyn Engine> {
        let to = tempfile::tempdir().unwrap();
        for file in fs::read_dir(self.0.path()).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), to.path().join(file.file_name())).unwrap();
        }
        Box::new(Self(to))
    }
}

tim_store::suite!(Sqlite::fresh);

#[test]
fn the_linked_sqlite_is_safe() {
    assert!(
        rusqlite::version_number() >= sqlite::OLDEST_SQLITE,
        "{}",
        rusqlite::version()
    );
}

#[test]
fn a_second_hub_is_kept_out_and_told_why() {
    let dir = tempfile::tempdir().unwrap();
    let first = sqlite::open(dir.path()).unwrap();
    let refused = sqlite::open(dir.path()).unwrap_err();
    assert!(matches!(refused, OpenError::InUse { pid: Some(pid), .. } if pid == std::process::id()));
    assert!(refused.to_string().contains("in use by another hub"), "{refused}");
    let (writer, reader) = first;
    drop(writer);
    assert!(
        sqlite::open(dir.path()).is_err(),
        "a reader holds the directory too"
    );
    drop(reader);
    assert!(sqlite::open(dir.path()).is_ok(), "free again");
}

#[cfg(unix)]
#[test]
fn a_second_hub_is_kept_out_though_the_lock_file_was_removed() {
    let dir = tempfile::tempdir().unwrap();
    let _first = sqlite::open(dir.path()).unwrap();
    fs::remove_file(dir.path().join("hub.lock")).unwrap();
    let refused = sqlite::open(dir.path()).unwrap_err();
    assert!(matches!(refused, OpenError::InUse { .. }), "{refused}");
}

#[test]
fn two_writers_on_one_database_are_noticed_at_the_next_commit() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, _reader) = sqlite::open(dir.path()).unwrap();
    let say = |name: &str| [Write::EnsureAccount(UserId::new(name).unwrap())];
    writer.commit(1, &say("alice")).unwrap();
    let other = rusqlite::Connection::open(dir.path().join("tim.sqlite3")).unwrap();
    other.busy_timeout(std::time::Duration::ZERO).unwrap();
    let begin = || other.execute("INSERT INTO epochs VALUES (1, 0)", []);
    assert!(begin().is_err(), "a generation is in progress");
    // This ends it.
    let profile = Write::SetUserProfile {
        user: UserId::new("alice").unwrap(),
        nick: Some("Alice".to_owned()),
        avatar: None,
    };
    writer.commit(1, &[profile]).unwrap();
    begin().unwrap();
    let refused = writer.commit(2, &say("bob")).unwrap_err();
    assert!(matches!(refused, StoreError::Fatal(_)), "{refused}");
}

#[test]
fn a_database_that_was_cut_to_nothing_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(sqlite::open(dir.path()).unwrap());
    let database = dir.path().join("tim.sqlite3");
    fs::write(&database, []).unwrap();
    let refused = sqlite::open(dir.path()).unwrap_err();
    assert!(matches!(refused, OpenError::Emptied { .. }), "{refused}");
    fs::remove_file(&database).unwrap();
    begin_anew(dir.path());
}

/// A directory whose database is gone is not taken for a new one, unless somebody says so.
fn begin_anew(dir: &std::path::Path) {
    let refused = sqlite::open(dir).unwrap_err();
    assert!(matches!(refused, OpenError::Lost { .. }), "{refused}");
    assert!(refused.to_string().contains("remove hub.lock"), "{refused}");
    fs::remove_file(dir.join("hub.lock")).unwrap();
    sqlite::open(dir).unwrap();
}

#[test]
fn a_database_that_was_cut_to_less_than_its_header_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(sqlite::open(dir.path()).unwrap());
    for len in [1, 99] {
        fs::write(dir.path().join("tim.sqlite3"), vec![b'S'; len]).unwrap();
        let refused = sqlite::open(dir.path()).unwrap_err();
        assert!(matches!(refused, OpenError::Emptied { .. }), "{len}: {refused}");
    }
}

#[test]
fn a_log_without_its_database_is_kept_and_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(sqlite::open(dir.path()).unwrap());
    fs::remove_file(dir.path().join("tim.sqlite3")).unwrap();
    let log = dir.path().join("tim.sqlite3-wal");
    fs::write(&log, "messages").unwrap();
    let refused = sqlite::open(dir.path()).unwrap_err();
    assert!(matches!(refused, OpenError::Missing { .. }), "{refused}");
    assert_eq!(fs::read(&log).unwrap(), b"messages");
    fs::remove_file(&log).unwrap();
    begin_anew(dir.path());
}

#[cfg(unix)]
#[test]
fn nobody_else_reads_the_files_though_the_directory_was_there_before() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let open_to_all = |path: &std::path::Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    open_to_all(dir.path(), 0o755);
    for _ in 0..2 {
        let (mut writer, _reader) = sqlite::open(dir.path()).unwrap();
        let alice = UserId::new("alice").unwrap();
        writer.commit(1, &[Write::EnsureAccount(alice)]).unwrap();
        for file in fs::read_dir(dir.path()).unwrap() {
            let file = file.unwrap();
            let mode = file.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{:?}", file.file_name());
        }
        drop(writer);
        for name in ["tim.sqlite3", "hub.lock"] {
            open_to_all(&dir.path().join(name), 0o644); // as an older hub left them
        }
    }
}

#[test]
fn a_schema_that_is_not_known_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(sqlite::open(dir.path()).unwrap());
    drop(sqlite::open(dir.path()).unwrap());
    let open_as = |version: u32| {
        let database = rusqlite::Connection::open(dir.path().join("tim.sqlite3")).unwrap();
        database.pragma_update(None, "user_version", version).unwrap();
        drop(database);
        sqlite::open(dir.path()).unwrap_err()
    };
    assert!(matches!(
        open_as(1000),
        OpenError::NewerSchema { found: 1000, .. }
    ));
    assert!(matches!(open_as(8), OpenError::OldSchema { found: 8, .. }));
}

#[test]
fn a_file_that_is_no_database_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("tim.sqlite3"), vec![7; 8192]).unwrap();
    assert!(sqlite::open(dir.path()).is_err());
}

const KILLED_DIR: &str = "TIM_STORE_TEST_DIR";

#[test]
fn what_was_answered_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = Vec::new();
    for round in 1..=3 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["writes_until_killed", "--exact", "--ignored", "--nocapture"])
            .env(KILLED_DIR, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let goal = acknowledged.len() + 200 * round;
        // After the kill, what is still in the pipe was answered too.
        for line in output.lines().map(Result::unwrap) {
            let Some(answer) = line.strip_prefix("stored ") else {
                continue;
            };
            let (sequence, random) = answer.split_once(' ').unwrap();
            acknowledged.push((sequence.parse::<u64>().unwrap(), random.parse::<u32>().unwrap()));
            if acknowledged.len() == goal {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(acknowledged.len() >= goal, "the child was killed, it did not end");
        let (_writer, reader) = sqlite::open(dir.path()).unwrap();
        let log = killed_log();
        for (sequence, random) in &acknowledged {
            let entry = reader.entry(&log, *sequence).unwrap().unwrap();
            assert_eq!(entry.id.random, *random);
        }
        let alice = UserId::new("alice").unwrap();
        let head = reader.conversation(&alice, &log).unwrap().unwrap().head_sequence;
        assert_eq!(reader.head_change(), Ok(head));
        assert!(
            (1..=head).all(|sequence| reader.entry(&log, sequence).unwrap().is_some()),
            "no gap"
        );
    }
}

fn killed_log() -> LogKey {
    LogKey::c2c(UserId::new("alice").unwrap(), UserId::new("bob").unwrap())
}

/// The child of the test above: eight clients that tell of every answer, for ever.
#[test]
#[ignore = "runs as a child of what_was_answered_survives_a_kill"]
fn writes_until_killed() {
    let Some(dir) = std::env::var_os(KILLED_DIR).map(PathBuf::from) else {
        return;
    };
    let (mut store, reader) = sqlite::open(&dir).unwrap();
    let [alice, bob] = ["alice", "bob"].map(|name| UserId::new(name).unwrap());
    store
        .commit(1, &[Write::EnsureAccount(alice), Write::EnsureAccount(bob)])
        .unwrap();
    let number = reader.account(&alice).unwrap().unwrap().number;
    let head = u32::try_from(reader.head_change().unwrap()).unwrap();
    let writer = Writer::start(store, WriterConfig::default(), Hooks::clock(|| 1)).unwrap();
    std::thread::scope(|scope| {
        for client in 0..8 {
            let writer = &writer;
            scope.spawn(move || {
                for count in 0.. {
                    let random = head * 1000 + count * 8 + client;
                    let append = Append {
                        log: killed_log(),
                        sender: alice,
                        id: MessageId {
                            sender: number,
                            client_time: 1,
                            random,
                        },
                        fingerprint: Fingerprint::of(&[]),
                        origin: 0,
                        kind: MessageKind::TEXT,
                        flags: EntryFlags::NONE,
                        content: vec![1; 300].into(),
                        require_membership: true,
                        mentions: Vec::new(),
                        mention_all: false,
                        quota: Quota::NONE,
                        files: Vec::new(),
                    };
                    match writer.write_blocking(Write::Append(append)) {
                        Ok(Written::Stored(at)) => {
                            let mut out = std::io::stdout().lock();
                            if writeln!(out, "stored {} {random}", at.sequence).is_err() {
                                return;
                            }
                        }
                        other => panic!("{other:?}"),
                    }
                }
            });
        }
    });
}
