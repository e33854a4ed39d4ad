//! What the client logs, and what it must not log.

use std::io;
use std::sync::{Arc, Mutex};

use tim_client::SendOptions;
use tim_client::proto::request::SendResponse;
use tim_client::proto::wire::FrameKind;
use tracing_subscriber::fmt::MakeWriter;

mod support;
use support::*;

/// Collects what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test(start_paused = true)]
async fn spans_name_the_client_its_connection_and_its_requests_and_a_malformed_push_is_counted() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let (client, _events, mut hub, _listener) = alice_online().await;

    let secret = "what the message says";
    let message = client.create_text_message(user("bob"), secret).unwrap();
    let sending = tokio::spawn({
        let client = client.clone();
        async move { client.send_message(&message, SendOptions::default()).await }
    });
    let asked = hub.next_request().await;
    let response = SendResponse::new(1, 1);
    hub.answer(&asked, &response).await;
    sending.await.unwrap().unwrap();
    hub.answer_list(&[listed(c2c("bob"), 1, 0)]).await;

    assert_eq!(client.stats().await.unwrap().malformed_frames, 0);
    hub.push(FrameKind::GAP, &[0xff_u8; 3].as_slice()).await;
    hub.settle().await;
    let stats = client.stats().await.unwrap();
    assert_eq!(stats.malformed_frames, 1);
    assert!(
        stats.frames_received > 0 && stats.bytes_sent > secret.len() as u64,
        "{stats:?}"
    );

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let wanted = [
        "client{user=alice device=7}:connection{user=alice device=7 number=1}",
        "request{kind=SEND",
        "response elapsed=",
        "connection state changed state=Connected",
    ];
    for wanted in wanted {
        assert!(log.contains(wanted), "{wanted} is missing in\n{log}");
    }
    let of_the_push: Vec<&str> = log.lines().filter(|line| line.contains("malformed")).collect();
    assert!(
        matches!(of_the_push[..], [line] if line.contains("malformed push ignored kind=GAP")),
        "logged once: {of_the_push:?}"
    );
    assert!(!log.contains(secret) && !log.contains("\"sig\""), "{log}");
}
