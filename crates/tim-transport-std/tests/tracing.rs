//! What the client's driver logs, and what it must not log.

use std::io::Write;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use tim_testkit::{ScriptedHub, user};
use tim_transport_std::session::proto::wire::FrameKind;
use tim_transport_std::session::{ClientConfig, Event};
use tim_transport_std::{ClientBuffers, ClientDriver, memory_listener};

const USER_SIG: &str = "eJw-a-secret";

/// A log in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn connections_are_spans_malformed_pushes_are_logged_and_user_sigs_are_not() {
    tim_testkit::deadline();
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let subscriber = tracing::subscriber::set_default(subscriber);

    let (connector, mut listener) = memory_listener();
    let config = ClientConfig::new(1, user("alice"), 7);
    let mut driver = ClientDriver::new(config, USER_SIG.into(), ClientBuffers::default(), 1, connector);
    let now = driver.now();
    driver.session().login(now);
    let hub = async {
        let mut hub = ScriptedHub::new(listener.accept().await.unwrap());
        hub.let_in().await;
        hub.session.push(FrameKind::GAP, &7_u8).unwrap();
        hub.flush().await;
    };
    let client = async {
        let (mut malformed, mut lost) = (0, false);
        while !lost {
            driver.poll_events(|event| {
                malformed += u32::from(matches!(event, Event::Malformed { .. }));
                ControlFlow::Continue(())
            });
            driver.progress().await;
            lost = driver.last_error().is_some();
        }
        (malformed, driver.session().stats())
    };
    let ((), (malformed, stats)) = tokio::join!(hub, client);
    drop(subscriber);

    assert_eq!((malformed, stats.malformed_frames), (1, 1));
    let log = log.text();
    let connection = "connection{user=alice device=7 number=1}";
    for line in ["malformed push ignored", "connection lost", "logged in"] {
        let found = log.lines().find(|logged| logged.contains(line));
        assert!(
            found.is_some_and(|found| found.contains(connection)),
            "{line}: {log}"
        );
    }
    assert!(log.contains("malformed_frames: 1"), "{log}");
    assert!(!log.contains(USER_SIG), "{log}");
}
