//! What happens to a connection in the middle of its work.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use tim_proto::Platform;
use tim_proto::request::{ConversationChange, Login};
use tim_proto::wire::{End, FrameKind, VERSION};
use tim_testkit::{frame, hello, user};
use tim_usersig::{App, UserSig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};

use crate::hub::Hub;
use crate::options::HubOptions;
use crate::steps::Step;
use crate::threads::lock;

/// What is done each time that the hub reads from a connection, and what is done the next time.
type Meddling = Box<dyn FnMut(&Context<'_>) + Send>;
type MeddlingOnce = Arc<Mutex<Option<Box<dyn FnOnce() + Send>>>>;

/// A stream in whose reading something else happens.
struct Meddled(DuplexStream, Meddling);

impl AsyncRead for Meddled {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        (self.1)(context);
        Pin::new(&mut self.0).poll_read(context, bytes)
    }
}

impl AsyncWrite for Meddled {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_while_it_runs_breaks_off() {
    let data = tempfile::tempdir().unwrap();
    let app = App::new(1, "a key of the tests, long enough");
    let hub = Hub::open(data.path(), HubOptions::new(app.clone())).unwrap();
    let (mut client, link) = tokio::io::duplex(64 * 1024);
    let meddling = MeddlingOnce::default();
    let next = Arc::clone(&meddling);
    let meddle = move |_: &Context<'_>| {
        let meddling = lock(&next).take();
        meddling.into_iter().for_each(|meddling| meddling());
    };
    hub.spawn(Meddled(link, Box::new(meddle)));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let user_sig = UserSig::sign(&app, &user("alice"), now.unwrap().as_secs(), 3600).to_string();
    let login = Login::new(1, user("alice"), &user_sig, 4711, Platform::DESKTOP)
        .with_session(1)
        .with_attempt(1);
    let hello = hello(End::CLIENT, (VERSION, VERSION), 64 * 1024, 16);
    client.write_all(&hello).await.unwrap();
    client
        .write_all(&frame(FrameKind::LOGIN, 6, &login))
        .await
        .unwrap();
    let services = Arc::clone(hub.services());
    let mut bytes = [0; 4096];
    let mut read = async || {
        let reading = tokio::time::timeout(Duration::from_millis(500), client.read(&mut bytes)).await;
        reading.map(Result::unwrap)
    };
    while read().await.is_ok() {}
    let device = services.presence.devices(&user("alice")).remove(0);
    let cut = Arc::clone(&device);
    *lock(&meddling) = Some(Box::new(move || {
        services.backlog.report(&cut, cut.backlog(), 1_000_000);
        cut.shed();
    }));
    // The connection is woken, and cut before it says how it is to be woken next.
    device.change(ConversationChange::new(tim_proto::ConversationId::System));
    while read().await.expect("it breaks off") > 0 {}
    while hub.stats().backlog > 0 {
        tokio::task::yield_now().await;
    }
}

/// A client that leaves while its login is read from the store leaves nothing behind, however far that has come.
#[tokio::test(start_paused = true)]
async fn a_login_that_nobody_waits_for_any_more_leaves_nothing() {
    let app = App::new(1, "a key of the tests, long enough");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let user_sig = UserSig::sign(&app, &user("alice"), now.unwrap().as_secs(), 3600).to_string();
    let login = Login::new(1, user("alice"), &user_sig, 4711, Platform::DESKTOP)
        .with_session(1)
        .with_attempt(1);
    let hello = hello(End::CLIENT, (VERSION, VERSION), 64 * 1024, 16);
    let bytes = [hello.to_vec(), frame(FrameKind::LOGIN, 6, &login)].concat();
    // In each of the steps that a login takes, and before their results arrive.
    let mut is_over = false;
    let mut leaves_after = 0;
    while !is_over {
        let data = tempfile::tempdir().unwrap();
        let store = tim_store_sqlite::OpenOptions::new().open(data.path()).unwrap();
        let (hub, steps) = Hub::stepped(HubOptions::new(app.clone()), store).unwrap();
        let (mut client, link) = tokio::io::duplex(64 * 1024);
        hub.spawn_from(link, std::net::SocketAddr::from(([192, 0, 2, 1], 1)));
        client.write_all(&bytes).await.unwrap();
        for taken in 0.. {
            settle().await;
            is_over = steps.waiting().is_empty();
            if taken == leaves_after || is_over {
                break;
            }
            assert!(
                steps.step(Step::Answer(0)) || steps.step(Step::ReadAhead(0)) || steps.step(Step::Commit(1))
            );
        }
        drop(client);
        settle().await;
        while [Step::Commit(9), Step::FanOut, Step::Read(0), Step::Answer(0)].map(|step| steps.step(step))
            != [false; 4]
        {
            settle().await;
        }
        let services = hub.services();
        assert_eq!(
            (hub.connections(), services.presence.all().len()),
            (0, 0),
            "{leaves_after}"
        );
        assert_eq!(hub.stats().backlog, 0);
        assert_eq!(Arc::strong_count(services), 1, "{leaves_after}");
        leaves_after += 1;
    }
    assert!(leaves_after > 5, "{leaves_after}");
}

/// Lets all tasks run until none can.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_brings_bytes_and_no_data_is_read_more_slowly() {
    let app = App::new(1, "a key of the tests, long enough");
    let data = tempfile::tempdir().unwrap();
    let store = tim_store_sqlite::OpenOptions::new().open(data.path()).unwrap();
    let (hub, _steps) = Hub::stepped(HubOptions::new(app), store).unwrap();
    let drips = Arc::<AtomicU32>::default();
    let (_client, link) = tokio::io::duplex(64);
    // As a TLS record that comes byte by byte.
    let dripping = Arc::clone(&drips);
    let drip = move |context: &Context<'_>| {
        let drips = dripping.fetch_add(1, Ordering::Relaxed);
        assert!(drips < 1_000_000, "the connection never rests");
        context.waker().wake_by_ref();
    };
    hub.spawn(Meddled(link, Box::new(drip)));
    tokio::time::sleep(Duration::from_secs(9)).await;
    let drips = drips.load(Ordering::Relaxed);
    assert_eq!(hub.connections(), 1);
    assert!((500..4_000).contains(&drips), "{drips}");
}
