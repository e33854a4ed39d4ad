//! Calls of the REST interface, as they come over a connection.
//!
//! The first line of an input is the service and the command, and maybe `?` with more of the query; the rest is the body. A line that
//! begins with `!` has the whole query, so that it is not signed.

use std::cell::RefCell;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tim_hub::usersig::{App, UserSig};
use tim_hub::{Clock, HttpOptions, Hub, HubOptions};
use tim_testkit::user;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

/// After so many inputs a hub has grown large: the next one is new.
const INPUTS: u32 = 500;
/// What fits into the first line of a request beside the signature.
const MAX_LINE: usize = 4_000;
const MAX_BODY: usize = 128 * 1024;
/// Far longer than any call takes.
const PATIENCE: Duration = Duration::from_secs(60);
const START_MS: u64 = 1_700_000_000_000;
const ADMINISTRATOR: &str = "administrator";
/// The codes for faults of the hub.
const INTERNAL: [u64; 3] = [91_000, 10_002, 70_500];

/// A hub whose REST interface is called.
struct World {
    runtime: Runtime,
    connections: mpsc::Sender<DuplexStream>,
    query: String,
    inputs: u32,
    /// After the runtime, whose tasks use the hub.
    _data: TempDir,
}

thread_local! {
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
}

/// Whatever is called, the answer is a JSON object that says whether it failed, why, and that it was not the hub's fault.
pub fn rest_calls(data: &[u8]) {
    WORLD.with_borrow_mut(|world| {
        if world.as_ref().is_none_or(|world| world.inputs >= INPUTS) {
            *world = None;
        }
        let world = world.get_or_insert_with(World::open);
        world.inputs += 1;
        world.check(data);
    });
}

impl World {
    fn open() -> Self {
        let data = tempfile::tempdir().expect("a directory");
        let app = App::new(1, "a key of the tests, long enough");
        let sig = UserSig::sign(&app, &user(ADMINISTRATOR), START_MS / 1000, 30 * 24 * 3600);
        let mut options = HubOptions::new(app);
        options.clock = Clock::new(|| START_MS, || 0);
        options.admins = vec![user(ADMINISTRATOR)];
        options.requests_per_second = 0;
        options.sends_per_second = 0;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let (connections, listener) = mpsc::channel(1);
        let hub = {
            let _entered = runtime.enter();
            Hub::open(data.path(), options).expect("a hub")
        };
        runtime.spawn(async move {
            let served = hub.serve_http(
                listener,
                HttpOptions::new("http://localhost"),
                std::future::pending(),
            );
            served.await.expect("these options are valid");
        });
        let query = format!(
            "sdkappid=1&identifier={ADMINISTRATOR}&usersig={}&random=1&contenttype=json",
            sig.replace('*', "%2A")
        );
        Self {
            runtime,
            connections,
            query,
            inputs: 0,
            _data: data,
        }
    }

    fn check(&self, data: &[u8]) {
        let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
        let (line, body) = data.split_at(end);
        let body = body.get(1..).unwrap_or_default();
        let line = &line[..line.len().min(MAX_LINE)];
        // What is no part of a URL does not reach the interface.
        let is_of_url = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~/?&=%+,:;@!$'()*".contains(byte);
        let line: String = line
            .iter()
            .filter(|byte| is_of_url(byte))
            .map(|byte| char::from(*byte))
            .collect();
        let target = match (line.strip_prefix('!'), line.split_once('?')) {
            (Some(whole), _) => whole.to_owned(),
            (None, Some((path, more))) => format!("{path}?{}&{more}", self.query),
            (None, None) => format!("{line}?{}", self.query),
        };
        let head = format!(
            "POST /v4/{target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let answer = self.runtime.block_on(async {
            tokio::time::timeout(PATIENCE, self.call(head.as_bytes(), body))
                .await
                .expect("an answer")
        });
        let (head, answer) = answer.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert!(
            head.to_ascii_lowercase()
                .contains("content-type: application/json"),
            "{head}"
        );
        let answer: Value = serde_json::from_str(answer).expect("JSON");
        let code = answer["ErrorCode"].as_u64().expect("a code");
        assert!(!INTERNAL.contains(&code), "{target} {answer}");
        assert!(
            !answer["ErrorInfo"].as_str().expect("words").is_empty() || code == 0,
            "{answer}"
        );
        match answer["ActionStatus"].as_str() {
            // A message that some of its receivers get is a success.
            Some("OK" | "SomeError") => assert_eq!(code, 0, "{answer}"),
            Some("FAIL") => assert_ne!(code, 0, "{answer}"),
            _ => panic!("{answer}"),
        }
        assert!(body.len() <= MAX_BODY || code != 0, "{answer}");
    }

    /// Everything that is answered on a connection of its own.
    async fn call(&self, head: &[u8], body: &[u8]) -> String {
        let (ours, theirs) = duplex(64 * 1024);
        self.connections.send(theirs).await.expect("the hub serves");
        let (mut reader, mut writer) = tokio::io::split(ours);
        let write = async {
            // What is refused by its head may be answered before its body is read.
            let _ = writer.write_all(head).await;
            let _ = writer.write_all(body).await;
        };
        let mut answer = Vec::new();
        let read = reader.read_to_end(&mut answer);
        let (read, ()) = tokio::join!(read, write);
        read.expect("an answer");
        String::from_utf8(answer).expect("text")
    }
}
