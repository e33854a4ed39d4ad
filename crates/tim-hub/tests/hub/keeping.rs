//! Housekeeping: what is removed, when, and for whichever way connections come.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tim_hub::usersig::{App, UserSig};
use tim_hub::{Clock, Hub, HubError, HubOptions};
use tim_proto::ErrorCode;
use tim_proto::wire::FrameKind;
use tim_session::{self as session, ClientConfig, ClientSession, GrowBuffer, Output};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{mpsc, oneshot};

use super::support::{Device, Observed, Reply, START_MS, TestHub, app, c2c, user};

const DAY_MS: u64 = 24 * 3600 * 1000;

fn eventually(mut done: impl FnMut() -> bool, what: &str) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn a_clock_that_is_ahead_for_a_while_removes_nothing() {
    let hub = TestHub::start_with(|options| options.purge_interval = Duration::from_millis(2));
    let mut alice = Device::login(&hub, "alice", 1);
    alice.send(c2c("bob"), "do not lose me");
    let rounds = |hub: &TestHub| {
        // The hub looks many times.
        for _ in 0..50 {
            hub.advance(Duration::from_millis(2));
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    rounds(&hub);
    hub.set_clock(START_MS + 8 * DAY_MS);
    rounds(&hub);
    alice.send(c2c("bob"), "in the week to come, it says");
    rounds(&hub);
    hub.set_clock(START_MS + 1000);
    assert_eq!(alice.conversations().len(), 1);
    alice.send(c2c("bob"), "back");
    hub.set_clock(START_MS + 8 * DAY_MS);
    rounds(&hub);
    let sequences = |alice: &mut Device| match alice.page(c2c("bob"), &[], 10) {
        Ok(Reply::Page { sequences, .. }) => sequences,
        other => panic!("{other:?}"),
    };
    assert_eq!(sequences(&mut alice), [1, 2, 3]);
    // The time that really passes counts.
    hub.set_clock(START_MS);
    hub.advance(Duration::from_millis(16 * DAY_MS));
    eventually(|| sequences(&mut alice).is_empty(), "all of it is old now");
}

#[test]
fn who_is_online_is_told_that_what_was_unread_is_removed() {
    let hub = TestHub::start_with(|options| options.purge_interval = Duration::from_millis(2));
    let mut bob = Device::login(&hub, "bob", 2);
    let mut carol = Device::login(&hub, "carol", 3);
    let mut alice = Device::login(&hub, "alice", 1);
    bob.send(c2c("alice"), "old, the first");
    bob.send(c2c("alice"), "old, the second");
    carol.send(c2c("alice"), "the only one");
    alice.until_texts(3);
    // Bob's is followed by a newer one; carol's leaves the list.
    hub.advance(Duration::from_millis(4 * DAY_MS));
    bob.send(c2c("alice"), "new");
    alice.until_texts(4);
    hub.advance(Duration::from_millis(4 * DAY_MS));
    let told = |conversation: &str, unread, deleted| {
        let change = Observed::Conversation {
            conversation: c2c(conversation).to_string(),
            unread,
            deleted,
        };
        move |device: &Device| device.observed.contains(&change)
    };
    alice.until(told("bob", 1, false));
    alice.until(told("carol", 0, true));
    assert_eq!(alice.conversations().len(), 1);
    // Carol had nothing unread; her list loses the conversation too.
    carol.until(told("alice", 0, true));
    assert!(
        !told("alice", 0, false)(&bob),
        "his list and his count are as before"
    );
}

struct Clocks {
    wall: Arc<AtomicU64>,
    steady: Arc<AtomicU64>,
}

impl Clocks {
    fn new() -> Self {
        Self {
            wall: Arc::new(AtomicU64::new(START_MS)),
            steady: Arc::default(),
        }
    }

    fn clock(&self) -> Clock {
        let (wall, steady) = (Arc::clone(&self.wall), Arc::clone(&self.steady));
        Clock::new(
            move || wall.load(Ordering::SeqCst),
            move || steady.load(Ordering::SeqCst),
        )
    }

    fn advance(&self, ms: u64) {
        self.steady.fetch_add(ms, Ordering::SeqCst);
        self.wall.fetch_add(ms, Ordering::SeqCst);
    }
}

fn entries(dir: &Path) -> u32 {
    let database = rusqlite::Connection::open(dir.join("tim.sqlite3")).unwrap();
    let count = database.query_row("SELECT count(*) FROM entries", [], |row| row.get(0));
    count.unwrap()
}

/// The data of a hub that has stopped, with three messages in it.
fn three_messages() -> Arc<tempfile::TempDir> {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    for text in ["one", "two", "three"] {
        alice.send(c2c("bob"), text);
    }
    drop(alice);
    hub.stop()
}

#[test]
fn a_hub_without_a_listener_keeps_house_too() {
    let dir = three_messages();
    let clocks = Clocks::new();
    let mut options = HubOptions::new(app());
    options.clock = clocks.clock();
    options.purge_interval = Duration::from_millis(2);
    let hub = Hub::open(dir.path(), options).unwrap();
    assert_eq!(entries(dir.path()), 3);
    eventually(
        || {
            clocks.advance(DAY_MS);
            entries(dir.path()) == 0
        },
        "what is old goes",
    );
    drop(hub);
}

/// Whether any file in the directory has this in it.
fn is_in_files(dir: &Path, text: &[u8]) -> bool {
    let mut files = std::fs::read_dir(dir)
        .unwrap()
        .map(|file| std::fs::read(file.unwrap().path()).unwrap_or_default());
    files.any(|bytes| bytes.windows(text.len()).any(|part| part == text))
}

#[test]
fn a_hub_whose_clock_is_behind_wipes_what_was_revoked() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    alice.send(c2c("bob"), "my password is hunter2");
    alice.revoke(c2c("bob"), 1).unwrap();
    // As if the hub were killed now.
    let killed = tempfile::tempdir().unwrap();
    for file in ["tim.sqlite3", "tim.sqlite3-wal", "tim.log"] {
        std::fs::copy(hub.data_dir().join(file), killed.path().join(file)).unwrap();
    }
    assert!(is_in_files(killed.path(), b"hunter2"));
    let clocks = Clocks::new();
    clocks.wall.store(START_MS - 8 * DAY_MS, Ordering::SeqCst);
    let mut options = HubOptions::new(app());
    options.clock = clocks.clock();
    options.purge_interval = Duration::from_millis(2);
    let _hub = Hub::open(killed.path(), options).unwrap();
    eventually(
        || !is_in_files(killed.path(), b"hunter2"),
        "what was revoked goes, whatever the clock says",
    );
}

#[test]
fn a_hub_without_a_listener_stops_when_its_store_fails() {
    let dir = three_messages();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let hub = Hub::open(dir.path(), HubOptions::new(app())).unwrap();
        let (mut near, far) = tokio::io::duplex(64 * 1024);
        hub.spawn(far);
        near.write_all(&hello()).await.unwrap();
        near.read_exact(&mut [0; 20]).await.unwrap();
        // Another hub got into the same directory.
        let database = rusqlite::Connection::open(dir.path().join("tim.sqlite3")).unwrap();
        database
            .execute("INSERT INTO epochs VALUES (?1, 3)", [i64::MAX])
            .unwrap();
        hub.reclaim_group(super::support::group_id("any"))
            .await
            .unwrap_err();
        let reason = tokio::time::timeout(Duration::from_secs(20), hub.failed());
        let reason = reason.await.unwrap();
        assert!(reason.contains("another hub"), "{reason}");
        assert!(hub.is_stopping());
        let mut farewell = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(20), near.read_to_end(&mut farewell));
        read.await.unwrap().unwrap();
        assert_eq!(farewell.first(), Some(&FrameKind::GOODBYE.0));
    });
}

/// What a client says first.
fn hello() -> Vec<u8> {
    let buffers = || GrowBuffer::new(4096);
    let config = ClientConfig::new(super::support::APP, user("alice"), 1);
    let mut session = ClientSession::new(config, String::new(), buffers(), buffers(), buffers(), 1);
    session.login(session::Instant::ZERO);
    while let Output::Event(_) = session.poll(session::Instant::ZERO) {}
    session.connected(session::Instant::ZERO);
    session.outgoing().to_vec()
}

async fn greets(mut link: impl AsyncRead + AsyncWrite + Unpin) {
    link.write_all(&hello()).await.unwrap();
    let mut answer = [0; 20];
    link.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer[..4], hello()[..4], "the magic");
}

#[test]
fn connections_come_from_any_listener() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let hub = Arc::new(Hub::open(dir.path().join("data"), HubOptions::new(app())).unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        let (send, receive) = mpsc::channel(1);
        let serving = Arc::clone(&hub);
        let in_memory =
            tokio::spawn(async move { serving.serve(receive, async move { drop(stopped.await) }).await });
        let (near, far) = tokio::io::duplex(4096);
        send.send(far).await.unwrap();
        greets(near).await;
        #[cfg(unix)]
        {
            let path = dir.path().join("hub.sock");
            let listener = tokio::net::UnixListener::bind(&path).unwrap();
            let serving = Arc::clone(&hub);
            tokio::spawn(async move { serving.serve(listener, std::future::pending()).await });
            greets(tokio::net::UnixStream::connect(&path).await.unwrap()).await;
        }
        drop(stop);
        in_memory.await.unwrap().unwrap();
        assert!(hub.is_stopping());
    });
}

#[test]
fn after_a_clean_stop_the_database_file_alone_is_whole() {
    let dir = three_messages();
    let alone = tempfile::tempdir().unwrap();
    std::fs::copy(dir.path().join("tim.sqlite3"), alone.path().join("tim.sqlite3")).unwrap();
    assert_eq!(entries(alone.path()), 3);
    for log in ["tim.sqlite3-wal", "tim.log"] {
        let log = std::fs::metadata(dir.path().join(log));
        assert_eq!(log.map_or(0, |log| log.len()), 0);
    }
}

#[test]
fn options_that_cannot_be_right_refuse_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |change: &dyn Fn(&mut HubOptions)| {
        let mut options = HubOptions::new(app());
        change(&mut options);
        match Hub::open(dir.path(), options) {
            Err(HubError::Options(why)) => why,
            other => panic!("{other:?}"),
        }
    };
    for key in ["", "short", "fifteen bytes!!"] {
        let why = refused(&|options| options.app = App::new(1, key));
        assert!(why.contains("app key"), "{why}");
    }
    assert!(refused(&|options| options.max_devices = 0).contains("max_devices"));
    assert!(refused(&|options| options.max_connections = 0).contains("max_connections"));
    assert!(refused(&|options| options.max_half_open = 0).contains("max_half_open"));
    assert!(refused(&|options| options.max_backlog = 1000).contains("max_backlog"));
    let no_retention = |options: &mut HubOptions| options.limits = options.limits.with_retention_seconds(0);
    assert!(refused(&no_retention).contains("retention"));
}

#[test]
fn what_is_reloaded_holds_from_now_on_and_sessions_go_on() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    alice.send(c2c("bob"), "one");
    let new_key = "another key of the same application";
    hub.tell(async |hub| {
        let mut options = HubOptions::new(App::new(super::support::APP, new_key));
        options.limits = options.limits.with_revoke_window_seconds(0);
        hub.reload(&options).unwrap();
        options.app = App::new(super::support::APP, "");
        hub.reload(&options).unwrap_err();
    });
    hub.advance(Duration::from_secs(1));
    alice.revoke(c2c("bob"), 1).unwrap_err();
    assert_eq!(alice.send(c2c("bob"), "two"), 2);
    let mut bob = Device::new(&hub, "bob", 2);
    bob.session.set_user_sig(UserSig::sign(
        &App::new(super::support::APP, new_key),
        &user("bob"),
        START_MS / 1000,
        3600,
    ));
    bob.log_in();
    let mut carol = Device::new(&hub, "carol", 3);
    carol.session.login(session::Instant::ZERO);
    carol.until(|device| {
        device
            .observed
            .contains(&Observed::LoginFailed(ErrorCode(70_009)))
    });
}
