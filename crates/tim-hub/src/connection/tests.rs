//! What the log says of a connection, and what happens to it in the middle of its work.

use std::io::{self, Write};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use tim_proto::message::Text;
use tim_proto::request::{ConversationChange, Login, Request, SendMessage};
use tim_proto::wire::{End, FrameKind, VERSION};
use tim_proto::{Payload, Platform};
use tim_testkit::{c2c, frame, hello, raw_frame, user};
use tim_usersig::{App, UserSig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tracing_subscriber::fmt::format::FmtSpan;

use crate::hub::Hub;
use crate::options::HubOptions;
use crate::steps::Step;
use crate::threads::lock;

/// Where the log goes.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(lock(&self.0).clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        lock(&self.0).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn spans_name_connections_and_requests_and_no_credential_or_content_is_logged() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(FmtSpan::NEW | FmtSpan::CLOSE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _default = tracing::subscriber::set_default(subscriber);
    let data = tempfile::tempdir().unwrap();
    let app = App::new(1, "a key of the tests, long enough");
    let hub = Hub::open(data.path(), HubOptions::new(app.clone())).unwrap();
    let (mut client, link) = tokio::io::duplex(64 * 1024);
    hub.spawn_from(link, "a test".to_owned());

    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let user_sig = UserSig::sign(&app, &user("alice"), now.unwrap().as_secs(), 3600).to_string();
    let login = Login::new(1, user("alice"), &user_sig, 4711, Platform::DESKTOP)
        .with_session(1)
        .with_attempt(1);
    let text = "nobody reads this in a log";
    let message = tim_testkit::messages::message(user("alice"), c2c("bob"), Payload::Text(Text::new(text)));
    let send = SendMessage::new(&message);
    let malformed = raw_frame(FrameKind::HISTORY, 8, &[0xff]);
    for bytes in [
        hello(End::CLIENT, (VERSION, VERSION), 64 * 1024, 16).to_vec(),
        frame(FrameKind::LOGIN, 6, &login),
        frame(SendMessage::<Payload<'_>>::KIND, 7, &send),
        malformed,
    ] {
        client.write_all(&bytes).await.unwrap();
    }
    let mut read = [0; 4096];
    while hub.stats().malformed_requests == 0 {
        let reading = tokio::time::timeout(Duration::from_millis(20), client.read(&mut read)).await;
        assert!(!matches!(reading, Ok(Ok(0))), "the hub hung up: {}", log.text());
    }
    let text_of_log = log.text();
    let connection = "connection{peer=\"a test\" user=alice device=4711}";
    for kind in ["id=7 kind=SEND", "id=8 kind=HISTORY"] {
        let request = format!("{connection}:request{{{kind}}}");
        assert!(
            text_of_log.contains(&request),
            "{request} is not in {text_of_log}"
        );
    }
    assert!(!text_of_log.contains(&user_sig), "{text_of_log}");
    assert!(!text_of_log.contains(text), "{text_of_log}");
}

/// What is done the next time that the hub reads from a connection.
type Meddling = Arc<Mutex<Option<Box<dyn FnOnce() + Send>>>>;

/// A stream in whose reading something else happens.
struct Meddled(DuplexStream, Meddling);

impl AsyncRead for Meddled {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let meddling = lock(&self.1).take();
        if let Some(meddling) = meddling {
            meddling();
        }
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
    let meddling = Meddling::default();
    hub.spawn(Meddled(link, Arc::clone(&meddling)));
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
