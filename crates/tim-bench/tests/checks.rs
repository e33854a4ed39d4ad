//! A hub that does not do what it acknowledges fails the run, whatever its figures.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tim_proto::message::Message;
use tim_proto::request::{Failure, History, HistoryResponse, Send, SendResponse};
use tim_proto::wire::{FrameKind, List};
use tim_proto::{ConversationId, ErrorCode, MessageId, UserId};
use tim_session::HubEvent;
use tim_testkit::{Incoming, ScriptedHub, messages};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

/// What the scripted hub does with the third message of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Third {
    Stored,
    Lost,
    Doubled,
    /// It has the sequence of the second.
    AnsweredAsDuplicate,
    /// A sequence is left out before it.
    BehindAHole,
    /// Its neighbours are read in another order than acknowledged.
    Swapped,
}

/// The conversations of a hub, from the sender's side.
#[derive(Debug, Default)]
struct Stored {
    logs: HashMap<(UserId, ConversationId), Vec<(u64, MessageId)>>,
    ids: HashSet<MessageId>,
    /// Messages whose id was there before.
    repeated: u32,
    /// It refuses every other page for now.
    is_busy: bool,
    pages: u32,
}

impl Stored {
    fn take(&mut self, third: Third, user: UserId, request: &Incoming) -> SendResponse<'static> {
        let send: Send<'_> = request.request();
        let (to, id) = (send.content.to, send.content.id);
        self.repeated += u32::from(!self.ids.insert(id));
        let log = self.logs.entry((user, to)).or_default();
        let last = log.last().map_or(0, |(sequence, _)| *sequence);
        let is_third = log.len() == 2;
        let mut sequence = last + 1;
        match third {
            Third::Lost if is_third => {}
            Third::AnsweredAsDuplicate if is_third => {
                return SendResponse::new(last, 1).with_duplicate(true);
            }
            Third::Doubled if is_third => log.extend([(sequence, id), (sequence + 1, id)]),
            Third::BehindAHole if is_third => {
                sequence += 1;
                log.push((sequence, id));
            }
            Third::Swapped if is_third => {
                let second = log.pop().expect("two").1;
                log.extend([(last, id), (sequence, second)]);
            }
            _ => log.push((sequence, id)),
        }
        SendResponse::new(sequence, 1)
    }

    /// A page: its messages, and where the next one ends.
    fn page(&self, user: UserId, request: &History<'_>) -> (Vec<Message<'static>>, Option<usize>) {
        let log = self
            .logs
            .get(&(user, request.conversation))
            .map(Vec::as_slice)
            .unwrap_or_default();
        let end = std::str::from_utf8(request.next).expect("our cursor");
        let end = end.parse().unwrap_or(log.len());
        let start = end.saturating_sub(usize::from(request.count).min(50));
        let page = log[start..end].iter().map(|(sequence, id)| {
            let mut message = messages::text(user, request.conversation, "x");
            (message.envelope.sequence, message.id) = (*sequence, *id);
            message
        });
        (page.collect(), Some(start).filter(|start| *start > 0))
    }
}

/// One connection of the hub.
async fn serve(stream: TcpStream, third: Third, stored: Arc<Mutex<Stored>>) {
    let mut hub = ScriptedHub::new(stream);
    let user = hub.login().await.user;
    hub.welcome();
    hub.synced().await;
    while let Some(request) = next_request(&mut hub).await {
        match request.kind {
            FrameKind::SEND => {
                let response = stored.lock().expect("no panic").take(third, user, &request);
                hub.answer(&request, &response).await;
            }
            FrameKind::HISTORY => {
                let (page, next, refuses) = {
                    let mut stored = stored.lock().expect("no panic");
                    stored.pages += 1;
                    let refuses = stored.is_busy && stored.pages % 2 == 1;
                    let (page, next) = stored.page(user, &request.request());
                    (page, next, refuses)
                };
                if refuses {
                    let failure = Failure::new(ErrorCode::OPEN_SERVICE_OVERLOAD_ERROR, "not now")
                        .with_retry_after_ms(1);
                    hub.fail_with(&request, &failure).await;
                    continue;
                }
                let cursor = next.map(|next| next.to_string()).unwrap_or_default();
                let response = HistoryResponse::new(List::from_slice(&page))
                    .with_next(cursor.as_bytes())
                    .with_completed(next.is_none());
                hub.answer(&request, &response).await;
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The next request; `None` when the client has left.
async fn next_request(hub: &mut ScriptedHub<TcpStream>) -> Option<Incoming> {
    let request = hub.next(|event| match event {
        HubEvent::Request { id, request } => Some(Incoming {
            id,
            kind: request.kind(),
            body: request.body().to_vec(),
        }),
        _ => None,
    });
    request.await
}

/// A scripted hub on a port of its own, and the directory with its key.
struct Hub {
    address: SocketAddr,
    data: tempfile::TempDir,
    stored: Arc<Mutex<Stored>>,
    _runtime: Runtime,
}

impl Hub {
    fn start(third: Third) -> Self {
        tim_testkit::deadline();
        let runtime = Runtime::new().expect("a runtime");
        let stored = Arc::new(Mutex::new(Stored::default()));
        let listener = runtime
            .block_on(TcpListener::bind("127.0.0.1:0"))
            .expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::clone(&stored);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, third, Arc::clone(&shared)));
            }
        });
        Self {
            address,
            data: data_of_hub("a key that nobody checks"),
            stored,
            _runtime: runtime,
        }
    }

    fn sends(&self, more: &[&str]) -> Output {
        run(
            self.address,
            &self.data,
            &[&["sends", "--senders", "2", "--seconds", "1"], more].concat(),
        )
    }
}

fn data_of_hub(key: &str) -> tempfile::TempDir {
    let data = tempfile::tempdir().expect("a directory");
    fs::write(data.path().join("endpoint.toml"), "app_id = 1400000000\n").expect("a file");
    fs::write(data.path().join("app.key"), key).expect("a file");
    data
}

/// Measures the hub at this address.
fn run(address: SocketAddr, data: &tempfile::TempDir, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tim-bench"));
    command.args(args).arg("--json");
    command
        .args(["--hub", &address.to_string()])
        .arg("--data")
        .arg(data.path());
    command.output().expect("the program runs")
}

fn document(ran: &Output) -> Value {
    serde_json::from_slice(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}

#[track_caller]
fn figure(document: &Value, key: &str) -> f64 {
    let value = &document["measurements"][0]["figures"][key]["value"];
    value.as_f64().unwrap_or_else(|| panic!("{key} in {document:#}"))
}

#[test]
fn a_hub_that_keeps_its_word_passes_again_and_again() {
    let hub = Hub::start(Third::Stored);
    let mut total = 0;
    for more in [&[][..], &["--conversations", "5", "--payload", "10"], &[]] {
        let ran = hub.sends(more);
        assert!(ran.status.success(), "{ran:?}");
        let document = document(&ran);
        assert_eq!(document["error"], Value::Null);
        let checked = figure(&document, "checked");
        assert!(
            checked > 0.0 && figure(&document, "duplicates") == 0.0,
            "{document:#}"
        );
        total += checked as usize;
        // The messages that make the conversations are not measured.
        total += if more.is_empty() { 2 } else { 5 };
        // A hub that may be on another machine has no cost that can be seen from here, and this is said.
        for key in [
            "hub_cpu_us_per_message",
            "written_bytes_per_message",
            "disk_written_bytes_per_message",
            "disk_flushes_per_message",
        ] {
            let figure = &document["measurements"][0]["figures"][key];
            assert_eq!(figure["value"], Value::Null, "{key}");
            assert!(
                figure["note"]
                    .as_str()
                    .is_some_and(|note| note.contains("--hub-pid")),
                "{figure}"
            );
        }
    }
    let stored = hub.stored.lock().expect("no panic");
    assert_eq!(
        (stored.ids.len(), stored.repeated),
        (total, 0),
        "each id is drawn once in all runs"
    );
}

#[test]
fn at_a_rate_no_more_is_sent_than_is_due() {
    let hub = Hub::start(Third::Stored);
    let ran = hub.sends(&["--rate", "20"]);
    assert!(ran.status.success(), "{ran:?}");
    let document = document(&ran);
    assert_eq!(figure(&document, "checked"), 20.0);
    assert_eq!(document["measurements"][0]["parameters"]["rate"], 20);
}

#[test]
fn a_hub_that_is_busy_is_read_again() {
    let hub = Hub::start(Third::Stored);
    hub.stored.lock().expect("no panic").is_busy = true;
    let ran = hub.sends(&[]);
    assert!(ran.status.success(), "{ran:?}");
}

#[test]
fn a_hub_that_does_something_else_than_it_acknowledges_fails_the_run() {
    for (third, words) in [
        (Third::Lost, "lost"),
        (Third::Doubled, "stored more than once"),
        (
            Third::AnsweredAsDuplicate,
            "acknowledged at a sequence of another",
        ),
        (Third::BehindAHole, "missing in the sequence"),
        (Third::Swapped, "at another sequence than acknowledged"),
    ] {
        let ran = Hub::start(third).sends(&[]);
        assert_eq!(ran.status.code(), Some(1), "{third:?}: {ran:?}");
        let error = document(&ran)["error"].as_str().expect("an error").to_owned();
        assert!(error.contains(words), "{third:?}: {error}");
        let stderr = String::from_utf8_lossy(&ran.stderr);
        assert!(
            stderr.starts_with("error: C2Cbench-receiver-") && stderr.contains(words),
            "{stderr}"
        );
    }
}

/// A hub on this machine that the program did not start, measured twice.
#[cfg(target_os = "linux")]
#[test]
fn a_running_hub_is_measured_from_its_process() {
    tim_testkit::deadline();
    let data = data_of_hub("a key for one measurement");
    let mut hub = Command::new(env!("CARGO_BIN_EXE_tim-bench"))
        .arg("--run-hub")
        .arg(data.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the hub runs");
    let mut line = String::new();
    let stdout = hub.stdout.take().expect("its output");
    BufReader::new(stdout).read_line(&mut line).expect("its address");
    let address = line.trim().parse().expect("an address");
    let process = hub.id().to_string();
    for _ in 0..2 {
        let args = ["sends", "group", "--quick", "--hub-pid", &process];
        let ran = run(address, &data, &args);
        assert!(ran.status.success(), "{ran:?}");
        let document = document(&ran);
        assert!(figure(&document, "hub_cpu_us_per_message") > 0.0, "{document:#}");
        assert!(
            figure(&document, "raw_single_syncs_per_second") > 0.0,
            "{document:#}"
        );
        assert_eq!(figure(&document, "duplicates"), 0.0);
        assert_eq!(document["measurements"][1]["figures"]["checked"]["value"], 50);
    }
    drop(hub.stdin.take());
    hub.wait().expect("its end");
}
