//! The store's conformance suite on PostgreSQL, and what only this engine promises.

mod moving;
mod server;

use server::{Database, Server};
use tim_proto::{MessageId, MessageKind, UserId};
use tim_store::suite::Engine;
use tim_store::{
    Append, BusEvent, Change, ChangesRequest, Commit, Elsewhere, EntryFlags, Fingerprint, LogKey, Quota,
    Store, StoreError, StoreReader as _, StoreWriter as _, Write, Written,
};
use tim_store_postgres::{OpenError, OpenOptions, PostgresReader, PostgresWriter};

/// A database of its own for each test.
struct Postgres(Database);

impl Postgres {
    fn fresh() -> Box<dyn Engine> {
        Box::new(Self(Database::new()))
    }
}

impl Engine for Postgres {
    fn open(&self) -> Store {
        tim_store_postgres::open(&self.0.url()).unwrap().into()
    }

    fn copy(&self) -> Box<dyn Engine> {
        Box::new(Self(Database::of(&self.0.name)))
    }
}

tim_store::suite!(Postgres::fresh);

fn refused(url: &str) -> OpenError {
    tim_store_postgres::open(url).unwrap_err()
}

fn ensure(user: &str) -> [Write; 1] {
    [Write::EnsureAccount(UserId::new(user).unwrap())]
}

fn say(number: u64, random: u32) -> Write {
    Write::Append(Append {
        log: log(),
        sender: UserId::new("alice").unwrap(),
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
    })
}

fn log() -> LogKey {
    LogKey::c2c(UserId::new("alice").unwrap(), UserId::new("bob").unwrap())
}

/// A writer that knows alice and bob, and alice's number.
fn opened(database: &Database) -> (PostgresWriter, PostgresReader, u64) {
    let (mut writer, reader) = tim_store_postgres::open(&database.url()).unwrap();
    let both = [ensure("alice"), ensure("bob")].concat();
    let commit = writer.commit(1, &both).unwrap();
    match commit.results[0] {
        Ok(Written::Account { number }) => (writer, reader, number),
        ref other => panic!("{other:?}"),
    }
}

#[test]
fn a_second_hub_is_kept_out_and_told_why() {
    let database = Database::new();
    let (writer, _reader, _) = opened(&database);
    assert!(matches!(refused(&database.url()), OpenError::InUse { .. }));
    // Another app on the same database is not in the way, and sees nothing.
    let (_other, reader) = OpenOptions::new().schema("tim_2").open(&database.url()).unwrap();
    assert_eq!(reader.account(&UserId::new("alice").unwrap()), Ok(None));
    drop(writer);
    drop(opened(&database));
}

#[test]
fn what_would_lose_messages_is_refused() {
    let database = Database::new();
    let name = &database.name;
    for (setting, value) in [
        ("synchronous_commit", "off"),
        ("default_transaction_read_only", "on"),
    ] {
        database.sql(&format!("ALTER DATABASE {name} SET {setting} = {value}"));
        let text = refused(&database.url()).to_string();
        assert!(
            text.contains(&format!("ALTER DATABASE {name} RESET {setting}")),
            "{text}"
        );
        // Whoever is read-only cannot write that it is not.
        database.sql(&format!(
            "BEGIN READ WRITE; ALTER DATABASE {name} RESET {setting}; COMMIT"
        ));
    }
    // The same of a role, and of a role in a database.
    let user = format!("careless_{name}");
    database.sql(&format!(
        "CREATE ROLE {user} LOGIN; CREATE SCHEMA tim AUTHORIZATION {user}"
    ));
    for of in [format!("ROLE {user}"), format!("ROLE {user} IN DATABASE {name}")] {
        database.sql(&format!("ALTER {of} SET synchronous_commit = off"));
        let text = refused(&database.url_as(&user)).to_string();
        assert!(
            text.contains(&format!("ALTER {of} RESET synchronous_commit")),
            "{text}"
        );
        database.sql(&format!("ALTER {of} RESET synchronous_commit"));
    }
    let text = refused(&format!("{}?options=-csynchronous_commit%3Doff", database.url())).to_string();
    assert!(text.contains("out of the address"), "{text}");
    database.sql(&format!("DROP OWNED BY {user}; DROP ROLE {user}"));
    drop(opened(&database));
    database.sql("UPDATE tim.tim_schema SET version = 99");
    drop(opened(&database));
    database.sql("UPDATE tim.tim_schema SET usable_from = 99");
    assert!(matches!(
        refused(&database.url()),
        OpenError::NewerSchema { found: 99, .. }
    ));
}

#[test]
fn wrong_addresses_and_missing_rights_are_explained() {
    let database = Database::new();
    for url in ["postgres://", "postgres://localhost", "no address"] {
        assert!(matches!(refused(url), OpenError::BadUrl(_)), "{url}");
    }
    // What may be of a password is not shown.
    for url in [
        "postgres://tim:se@cret@db/tim",
        "postgres://tim:se@cret:5432@db/tim",
        "postgres://tim:s@e/cret@db/tim",
        "postgres://tim:s@e?cret=1@db/tim",
        "host=se@cret user=tim dbname=tim",
    ] {
        let error = refused(url).to_string();
        assert!(error.contains("%40") && !error.contains("cret"), "{error}");
    }
    let nowhere = refused("postgres://tim@%2Fnowhere/tim");
    assert!(matches!(nowhere, OpenError::Unreachable { .. }), "{nowhere}");
    let missing = refused(&database.url().replace(&format!("/{}", database.name), "/missing"));
    assert!(matches!(missing, OpenError::Refused { .. }), "{missing}");
    let user = format!("user_{}", database.name);
    database.sql(&format!("CREATE ROLE {user} LOGIN"));
    let refused = refused(&database.url_as(&user));
    assert!(matches!(refused, OpenError::MissingRights { .. }), "{refused}");
    assert!(refused.to_string().contains("CREATE SCHEMA"), "{refused}");
    database.sql(&format!("CREATE SCHEMA tim AUTHORIZATION {user}"));
    drop(tim_store_postgres::open(&database.url_as(&user)).unwrap());
    let other = format!("other_{}", database.name);
    database.sql(&format!(
        "CREATE ROLE {other} LOGIN; GRANT USAGE, CREATE ON SCHEMA tim TO {other}"
    ));
    let not_owner = tim_store_postgres::open(&database.url_as(&other)).unwrap_err();
    assert!(
        matches!(not_owner, OpenError::MissingRights { .. }),
        "{not_owner}"
    );
    database.sql(&format!("DROP OWNED BY {other}; DROP ROLE {other}"));
    database.sql(&format!("DROP OWNED BY {user}; DROP ROLE {user}"));
}

#[test]
fn a_standby_and_a_server_that_does_not_sync_are_refused() {
    let odd = Server::standby();
    let url = odd.url("postgres", "postgres");
    assert_eq!(refused(&url), OpenError::Standby);
    assert_eq!(refused(&url.replace('@', "@%2Fnowhere,")), OpenError::Standby);
    let sql = |text: &str| assert!(odd.psql("postgres", text).status.success(), "{text}");
    sql("SELECT pg_promote()");
    for setting in ["fsync", "full_page_writes"] {
        sql(&format!("ALTER SYSTEM SET {setting} = off"));
        sql("SELECT pg_reload_conf()");
        let text = until(|| tim_store_postgres::open(&url).err()).to_string();
        assert!(
            text.contains(&format!("ALTER SYSTEM SET {setting} TO on")),
            "{text}"
        );
        sql(&format!("ALTER SYSTEM RESET {setting}"));
        sql("SELECT pg_reload_conf()");
        until(|| tim_store_postgres::open(&url).ok());
    }
}

/// A server takes a moment to read its settings.
fn until<T>(look: impl FnMut() -> Option<T>) -> T {
    let began = std::time::Instant::now();
    std::iter::repeat_with(look)
        .find(|found| found.is_some() || began.elapsed() > std::time::Duration::from_secs(60))
        .flatten()
        .unwrap()
}

/// Ends all sessions on the database but that of whoever says so.
fn end_sessions(database: &Database) {
    database.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
}

#[test]
fn whether_the_database_can_be_written_to_is_seen_without_a_write() {
    let database = Database::new();
    let (_writer, reader, _) = opened(&database);
    let checked = || {
        // A result is good for a moment.
        std::thread::sleep(std::time::Duration::from_millis(600));
        reader.check().unwrap()
    };
    assert_eq!(checked(), Ok(()));
    end_sessions(&database);
    assert_eq!(checked(), Ok(()), "on a new connection");
    let name = &database.name;
    database.sql(&format!(
        "ALTER DATABASE {name} SET default_transaction_read_only = on"
    ));
    end_sessions(&database);
    let refused = checked().unwrap_err().to_string();
    assert!(refused.contains("read-only"), "{refused}");
    database.sql(&format!(
        "BEGIN READ WRITE; ALTER DATABASE {name} RESET default_transaction_read_only; COMMIT"
    ));
    assert_eq!(checked(), Ok(()));
}

#[test]
fn a_server_that_does_not_answer_does_not_keep_the_hub_from_the_next_one() {
    // Connections are taken, and nothing answers: as by a server that is frozen.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let database = Database::new();
    let port = silent.local_addr().unwrap().port();
    let url = database.url().replace('@', &format!("@127.0.0.1:{port},"));
    let (mut writer, ..) = tim_store_postgres::open(&url).unwrap();
    writer.commit(1, &ensure("alice")).unwrap();
}

#[test]
fn a_lost_session_is_replaced_and_a_resend_is_stored_once() {
    let database = Database::new();
    let (mut writer, reader, number) = opened(&database);
    for random in 0..5 {
        end_sessions(&database);
        let first = writer.commit(2, &[say(number, random)]);
        assert!(
            !matches!(first, Err(StoreError::Fatal(_) | StoreError::Damaged(_))),
            "{first:?}"
        );
        let again = writer.commit(3, &[say(number, random)]).unwrap();
        assert!(matches!(
            again.results[0],
            Ok(Written::Stored(_) | Written::Duplicate(_))
        ));
        assert_eq!(reader.head_change(), Ok(u64::from(random) + 1));
        end_sessions(&database);
        let alice = UserId::new("alice").unwrap();
        let head = reader
            .conversation(&alice, &log())
            .unwrap()
            .unwrap()
            .head_sequence;
        assert_eq!(head, u64::from(random) + 1);
    }
}

#[test]
fn a_hub_that_was_replaced_while_its_session_was_lost_stores_nothing() {
    let database = Database::new();
    let (mut first, _reader, number) = opened(&database);
    first.commit(2, &[say(number, 1)]).unwrap();
    end_sessions(&database);
    let (mut second, _reader, _) = opened(&database);
    second.commit(3, &[say(number, 2)]).unwrap();
    let mut refused = first.commit(4, &[say(number, 3)]);
    if matches!(refused, Err(StoreError::NotStored(_))) {
        refused = first.commit(4, &[say(number, 3)]);
    }
    assert!(matches!(refused, Err(StoreError::Fatal(_))), "{refused:?}");
    second.commit(5, &[say(number, 4)]).unwrap();
}

#[test]
fn a_reader_skips_nothing_of_a_slow_transaction() {
    let database = Database::new();
    let (mut writer, reader, number) = opened(&database);
    writer.commit(2, &[say(number, 0)]).unwrap();
    // A transaction that has the next change and is not committed.
    let url = database.url();
    let slow = std::thread::scope(|scope| {
        let slow = scope.spawn(|| {
            database.sql("BEGIN; SELECT change FROM tim.meta FOR UPDATE; SELECT pg_sleep(0.5); COMMIT");
        });
        let mut seen = 1;
        for random in 1..20 {
            writer.commit(2, &[say(number, random)]).unwrap();
            let request = ChangesRequest {
                user: UserId::new("bob").unwrap(),
                cursor: seen,
                limit: 100,
                max_bytes: 1 << 20,
            };
            let changes = reader.changes_since(&request).unwrap();
            let numbers: Vec<u64> = changes.entries.iter().map(|change| change.entry.change).collect();
            assert_eq!(numbers, [seen + 1], "{url}");
            seen = changes.cursor;
        }
        slow.join()
    });
    slow.unwrap();
}

/// A hub that shares the database with others.
struct Sharing {
    store: Store,
    wrote: std::sync::mpsc::Receiver<()>,
}

impl Sharing {
    fn open(database: &Database) -> Self {
        let store = OpenOptions::new().open_shared(&database.url()).unwrap();
        let (sender, wrote) = std::sync::mpsc::channel();
        let sender = std::sync::Mutex::new(sender);
        store.bus.as_ref().unwrap().receive(Box::new(move |event| {
            if matches!(event, BusEvent::Wrote) {
                let _ = sender.lock().unwrap().send(());
            }
        }));
        Self { store, wrote }
    }

    fn commit(&mut self, batch: &[Write]) -> Commit {
        self.store.writer.commit(1, batch).unwrap()
    }

    /// What others have written.
    fn look(&mut self) -> Vec<Elsewhere> {
        self.commit(&[]).elsewhere
    }
}

fn changes(elsewhere: &[Elsewhere]) -> Vec<u64> {
    let entries = elsewhere.iter().filter_map(|one| match one {
        Elsewhere::Published(published) => published.entry.as_ref(),
        _ => None,
    });
    entries.map(|entry| entry.change).collect()
}

fn published(commit: &Commit) -> Vec<u64> {
    let entries = commit.published.iter().filter_map(|one| one.entry.as_ref());
    entries.map(|entry| entry.change).collect()
}

#[test]
fn two_hubs_write_to_one_log_and_each_sees_all_changes_in_their_order() {
    let database = Database::new();
    let (mut one, mut other) = (Sharing::open(&database), Sharing::open(&database));
    assert!(matches!(refused(&database.url()), OpenError::InUse { .. }));
    let accounts = one.commit(&[ensure("alice"), ensure("bob")].concat());
    let Ok(Written::Account { number }) = accounts.results[0] else {
        panic!("{accounts:?}");
    };
    // One hub writes twice; what it wrote comes before what the other one writes.
    one.commit(&[say(number, 1)]);
    one.commit(&[say(number, 2), say(number, 3)]);
    let fourth = other.commit(&[say(number, 4)]);
    assert_eq!(
        (changes(&fourth.elsewhere), published(&fourth)),
        (vec![1, 2, 3], vec![4])
    );
    assert_eq!(changes(&one.look()), [4]);
    assert_eq!(one.look(), []);
    // The same message at both.
    let again = one.commit(&[say(number, 4)]);
    assert!(matches!(again.results[0], Ok(Written::Duplicate(_))), "{again:?}");
    assert_eq!(other.look(), []);
    // Other changes than entries.
    let bob = UserId::new("bob").unwrap();
    let read = Write::MarkRead {
        user: bob,
        log: log(),
        upto: None,
    };
    other.commit(&[
        read,
        Write::VoidUserSigs {
            user: bob,
            before_s: 7,
        },
    ]);
    let seen = one.look();
    assert!(
        matches!(seen[..], [
            Elsewhere::Changed(Change::Read { user, read_sequence: 4, unread: 0, counted: 4, .. }),
            Elsewhere::Changed(Change::Sessions { before_s: Some(7), .. }),
        ] if user == bob),
        "{seen:?}"
    );
    // A hint comes, and no hub is left out of the cursors of the other.
    one.wrote
        .recv_timeout(std::time::Duration::from_secs(60))
        .unwrap();
    let epochs = [&one, &other].map(|hub| hub.store.reader.epochs().current());
    assert_eq!(epochs[0], epochs[1]);
    // One goes; the other one writes on, alone.
    drop(other);
    one.commit(&[say(number, 5)]);
    assert_eq!(database.sql("SELECT hubs FROM tim.meta"), "1");
    let mut third = Sharing::open(&database);
    one.commit(&[say(number, 6)]);
    assert_eq!(
        changes(&third.look()),
        [6],
        "what was before it came is read from the log"
    );
}

#[test]
fn hubs_that_write_at_once_take_turns() {
    let database = Database::new();
    let mut hubs = [
        Sharing::open(&database),
        Sharing::open(&database),
        Sharing::open(&database),
    ];
    let accounts = hubs[0].commit(&[ensure("alice"), ensure("bob")].concat());
    let Ok(Written::Account { number }) = accounts.results[0] else {
        panic!("{accounts:?}");
    };
    let seen = std::thread::scope(|scope| {
        let writers = hubs.iter_mut().zip([0, 100, 200]).map(|(hub, first)| {
            scope.spawn(move || {
                let mut seen = Vec::new();
                for random in first..first + 40 {
                    let commit = hub.commit(&[say(number, random)]);
                    seen.extend(changes(&commit.elsewhere));
                    seen.extend(published(&commit));
                }
                seen
            })
        });
        let writers: Vec<_> = writers.collect();
        writers
            .into_iter()
            .map(|writer| writer.join().unwrap())
            .collect::<Vec<_>>()
    });
    for (hub, mut seen) in hubs.iter_mut().zip(seen) {
        seen.extend(changes(&hub.look()));
        assert_eq!(seen, (1..=120).collect::<Vec<u64>>());
    }
}

#[test]
fn a_hub_that_was_taken_for_gone_begins_again() {
    let database = Database::new();
    let (mut one, mut other) = (Sharing::open(&database), Sharing::open(&database));
    let accounts = one.commit(&[ensure("alice"), ensure("bob")].concat());
    let Ok(Written::Account { number }) = accounts.results[0] else {
        panic!("{accounts:?}");
    };
    other.look();
    // The other one shows no sign of life for long, so nothing is written down for it.
    database
        .sql("DELETE FROM tim.hubs WHERE id = (SELECT max(id) FROM tim.hubs); UPDATE tim.meta SET hubs = 1");
    one.commit(&[say(number, 1)]);
    let seen = other.commit(&[say(number, 2)]);
    assert_eq!(seen.elsewhere, [Elsewhere::Missed]);
    assert_eq!(published(&seen), [2]);
}

#[test]
fn a_session_that_is_lost_while_others_write_misses_nothing() {
    let database = Database::new();
    let (mut one, mut other) = (Sharing::open(&database), Sharing::open(&database));
    let accounts = one.commit(&[ensure("alice"), ensure("bob")].concat());
    let Ok(Written::Account { number }) = accounts.results[0] else {
        panic!("{accounts:?}");
    };
    let mut seen = Vec::new();
    for random in 0..6 {
        end_sessions(&database);
        let _ = one.store.writer.commit(1, &[say(number, random)]);
        // The same message again, if it is not known whether it was stored.
        let commit = one.commit(&[say(number, random)]);
        assert!(matches!(
            commit.results[0],
            Ok(Written::Stored(_) | Written::Duplicate(_))
        ));
        let commit = match other.store.writer.commit(1, &[]) {
            Ok(commit) => commit,
            Err(StoreError::NotStored(_)) => other.commit(&[]),
            Err(error) => panic!("{error}"),
        };
        seen.extend(changes(&commit.elsewhere));
    }
    assert_eq!(seen, [1, 2, 3, 4, 5, 6]);
}
