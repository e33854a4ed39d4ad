//! What the log says of a connection. In a program of its own: which spans exist is noted once for all threads.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tim_hub::usersig::{App, UserSig};
use tim_hub::{Hub, HubOptions};
use tim_proto::message::Text;
use tim_proto::request::{Login, Request, SendMessage};
use tim_proto::wire::{End, FrameKind, VERSION};
use tim_proto::{Payload, Platform};
use tim_testkit::{c2c, frame, hello, raw_frame, user};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tracing_subscriber::fmt::format::FmtSpan;

/// Where the log goes.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
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
