//! What an application's server costs chat that is asked about each message and told of it: one that answers, hangs, refuses connections, or
//! dies meanwhile, beside a hub that asks nobody. Durable one-to-one sends, which are read back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tim_bench::Latency;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::args::Args;
use crate::check;
use crate::hub::{Setup, Target};
use crate::report::{Column, Figure, Report, Value};
use crate::{Failure, Result, blocking, sends};

/// How long the hub waits for an answer, as any hub does, and in a short run.
const TIMEOUT: Duration = Duration::from_secs(2);
const SHORT_TIMEOUT: Duration = Duration::from_millis(100);
const SHORT: Duration = Duration::from_millis(300);
/// How long what waits may take to be told of at the end.
const SETTLED: Duration = Duration::from_secs(60);
/// By how much more memory a hub with an endpoint may have at the most than one without: what waits in the queue, and what is under way.
const MAX_MORE: u64 = 64 << 20;
/// How often the hub's memory is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// The longest request of the hub here.
const MAX_REQUEST: usize = 256 * 1024;
const ANSWER: &str = r#"{"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0}"#;
const TABLE: &[Column] = &[
    Column("state", "state"),
    Column("messages/s", "messages_per_second"),
    Column("p50 ms", "latency_p50_ms"),
    Column("p99 ms", "latency_p99_ms"),
    Column("max ms", "latency_max_ms"),
    Column("asked, told", "answered"),
    Column("failed", "failed"),
    Column("not asked", "skipped"),
    Column("not told", "dropped"),
    Column("most memory MiB", "memory_most_mib"),
];

/// What the application's server does. The table shows the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    None,
    Answers,
    Hangs,
    Refuses,
    /// It answers for half of the time.
    Dies,
}

/// What a hub has counted of callbacks.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) answered: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
    pub(crate) waiting: u64,
    pub(crate) dropped: u64,
}

impl Counts {
    /// What has become of all questions and events.
    const fn all(&self) -> u64 {
        self.answered + self.failed + self.skipped + self.waiting + self.dropped
    }
}

pub(crate) async fn measure(report: &mut Report, args: &Args) -> Result<()> {
    for mut load in args.loads() {
        let timeout = if args.quick { SHORT_TIMEOUT } else { TIMEOUT };
        if args.quick {
            load.time = SHORT;
        }
        let mut alone = None;
        for state in [
            State::None,
            State::Answers,
            State::Hangs,
            State::Refuses,
            State::Dies,
        ] {
            let memory = measure_one(report, &load, state, timeout).await?;
            let (Some(most), Some(alone)) = (memory, alone) else {
                alone = memory;
                continue;
            };
            if most > alone + MAX_MORE {
                let (most, alone) = (most >> 20, alone >> 20);
                return Err(format!(
                    "with an endpoint that {}, the hub had {most} MiB, and without one {alone} MiB",
                    state.name()
                )
                .into());
            }
        }
    }
    report.table("callbacks", TABLE)
}

/// Returns how much memory the hub had at the most.
async fn measure_one(
    report: &mut Report,
    load: &sends::Load,
    state: State,
    timeout: Duration,
) -> Result<Option<u64>> {
    report.begin(
        "callbacks",
        [
            ("state", state as u64),
            ("senders", load.senders.into()),
            ("payload_bytes", load.payload as u64),
            ("milliseconds", load.time.as_millis() as u64),
        ],
    );
    let endpoint = Endpoint::start(state).await?;
    let setup = Setup {
        callback_url: endpoint.as_ref().map_or_else(String::new, Endpoint::url),
        callback_timeout_ms: timeout.as_millis() as u64,
        ..Setup::default()
    };
    let mut target = Target::start_as(load.prepare().await?, setup)?;
    let memory = MostMemory::watch(&target);
    let senders = sends::log_in(&target, load).await?;
    if let (State::Dies, Some(endpoint)) = (state, &endpoint) {
        endpoint.die_after(load.time / 2);
    }
    let (senders, latency, took) = sends::send_all(senders, load).await?;
    let claims = senders.into_iter().map(sends::Sender::claim).collect();
    let sent = latency.count();
    let counts = match &endpoint {
        Some(_) => settle(&mut target, sent).await?,
        None => Counts::default(),
    };
    let memory = memory.most().await?;
    let checked = sends::read_back(&target, claims).await?;
    check::equal("messages that are there", checked, sent)?;
    if let Some(endpoint) = &endpoint {
        check_counts(state, sent, endpoint.seen(), &counts)?;
    }
    show(report, state, (&latency, took), (&counts, memory))?;
    Ok(memory)
}

/// Waits until each message was asked about and told of, or was not for a reason that is counted.
async fn settle(target: &mut Target, sent: u64) -> Result<Counts> {
    let start = Instant::now();
    loop {
        let counts = target.callbacks()?;
        if counts.all() == 2 * sent {
            return Ok(counts);
        }
        if start.elapsed() > SETTLED || counts.all() > 2 * sent {
            let what = format!("{sent} messages should be asked about and told of once each: {counts:?}");
            return Err(what.into());
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Checks what has become of the questions and events about so many messages, of which so many have come.
fn check_counts(state: State, sent: u64, [asked, told]: [u64; 2], counts: &Counts) -> Result<()> {
    match state {
        State::None => return Ok(()),
        State::Answers => {
            check::equal(
                "questions that were not answered",
                counts.failed + counts.skipped,
                0,
            )?;
        }
        State::Hangs | State::Refuses => {
            check::equal("requests that were answered", counts.answered, 0)?;
        }
        // What comes when it dies is seen or not.
        State::Dies => {
            if counts.answered == 0 {
                return Err(format!("an endpoint that dies should answer first: {counts:?}").into());
            }
            return Ok(());
        }
    }
    if state == State::Refuses {
        return check::equal("requests that have come", asked + told, 0);
    }
    check::equal(
        "questions that have come, or were not asked",
        asked + counts.skipped,
        sent,
    )?;
    check::equal(
        "events that have come, or were dropped",
        told + counts.dropped,
        sent,
    )?;
    check::equal(
        "requests that have come",
        asked + told,
        counts.answered + counts.failed,
    )
}

fn show(
    report: &mut Report,
    state: State,
    (latency, took): (&Latency, Duration),
    (counts, memory): (&Counts, Option<u64>),
) -> Result<()> {
    let rate = latency.count() as f64 / took.as_secs_f64();
    let label = format!("durable sends, {}", state.label());
    report.add(Figure::new(
        "messages_per_second",
        &label,
        Value::Round(rate),
        "messages/s",
    ))?;
    report.add_latency("latency", "  until answered", latency)?;
    for (key, label, count) in [
        ("answered", "  asked or told, and answered", counts.answered),
        ("failed", "  asked or told, without an answer", counts.failed),
        ("skipped", "  not asked about", counts.skipped),
        ("dropped", "  not told of", counts.dropped),
    ] {
        let figure = Figure::new(key, label, Value::Count(count), "requests");
        match state {
            State::None => report.add_unseen(figure),
            _ => report.add(figure)?,
        }
    }
    let most = memory.map_or(Value::Unknown, |bytes| Value::Round(bytes as f64 / 1048576.0));
    report.add(Figure::new(
        "memory_most_mib",
        "  the hub's memory, at the most",
        most,
        "MiB",
    ))?;
    let label = "  read back: there once, in sequence";
    report.add(Figure::new(
        "checked",
        label,
        Value::Count(latency.count()),
        "messages",
    ))
}

impl State {
    const fn name(self) -> &'static str {
        match self {
            Self::None => "is not there",
            Self::Answers => "answers",
            Self::Hangs => "hangs",
            Self::Refuses => "refuses connections",
            Self::Dies => "dies",
        }
    }

    fn label(self) -> String {
        match self {
            Self::None => "no endpoint".to_owned(),
            _ => format!("an endpoint that {}", self.name()),
        }
    }
}

/// How many questions and events have come, and how many of both were answered.
#[derive(Default)]
struct Seen([AtomicU64; 2], AtomicU64);

/// The application's server.
struct Endpoint {
    address: SocketAddr,
    seen: Arc<Seen>,
    /// Whether it is dead.
    dead: watch::Sender<bool>,
}

impl Endpoint {
    async fn start(state: State) -> Result<Option<Self>> {
        if state == State::None {
            return Ok(None);
        }
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = Self {
            address: listener.local_addr()?,
            seen: Arc::default(),
            dead: watch::Sender::new(false),
        };
        // Otherwise nobody listens there any more.
        if state != State::Refuses {
            let (seen, dead) = (Arc::clone(&endpoint.seen), endpoint.dead.subscribe());
            tokio::spawn(serve(listener, state, seen, dead));
        }
        Ok(Some(endpoint))
    }

    fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// How many questions and events have come.
    fn seen(&self) -> [u64; 2] {
        [0, 1].map(|kind| self.seen.0[kind].load(Ordering::Relaxed))
    }

    /// It dies after this time, and not before it has answered something.
    fn die_after(&self, time: Duration) {
        let (dead, seen) = (self.dead.clone(), Arc::clone(&self.seen));
        tokio::spawn(async move {
            tokio::time::sleep(time).await;
            while seen.1.load(Ordering::Relaxed) == 0 {
                tokio::time::sleep(LOOK).await;
            }
            dead.send_replace(true);
        });
    }
}

/// Accepts connections until it is dead; then it listens no more, and they end.
async fn serve(listener: TcpListener, state: State, seen: Arc<Seen>, mut dead: watch::Receiver<bool>) {
    loop {
        let stream = tokio::select! {
            biased;
            _ = dead.wait_for(|dead| *dead) => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(_) => return,
            },
        };
        let (seen, mut dead) = (Arc::clone(&seen), dead.clone());
        tokio::spawn(async move {
            tokio::select! {
                biased;
                _ = dead.wait_for(|dead| *dead) => {}
                _ = answer(stream, state, &seen) => {}
            }
        });
    }
}

/// Answers the requests of a connection.
async fn answer(stream: TcpStream, state: State, seen: &Seen) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    let (mut line, mut body) = (String::new(), Vec::new());
    loop {
        let (mut len, mut kind) = (0, 1);
        loop {
            line.clear();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            if line.starts_with("POST ") && line.contains("CallbackBefore") {
                kind = 0;
            }
            match line.split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    len = value.trim().parse()?;
                }
                None if line.trim().is_empty() => break,
                _ => {}
            }
        }
        body.resize(std::cmp::min(len, MAX_REQUEST), 0);
        stream.read_exact(&mut body).await?;
        seen.0[kind].fetch_add(1, Ordering::Relaxed);
        if state == State::Hangs {
            // Until the hub gives up.
            while stream.read(&mut body).await? > 0 {}
            return Ok(());
        }
        let len = ANSWER.len();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {len}\r\n\r\n{ANSWER}");
        stream.get_mut().write_all(answer.as_bytes()).await?;
        seen.1.fetch_add(1, Ordering::Relaxed);
    }
}

/// Looks at the memory of a hub again and again.
struct MostMemory {
    done: watch::Sender<bool>,
    looking: tokio::task::JoinHandle<Result<Option<u64>>>,
}

impl MostMemory {
    fn watch(target: &Target) -> Self {
        let (done, process) = (watch::Sender::new(false), target.process());
        let mut over = done.subscribe();
        let looking = tokio::spawn(async move {
            let mut most = None;
            let Some(process) = process.map(|process| process.to_string()) else {
                return Ok(None);
            };
            while !*over.borrow_and_update() {
                let process = process.clone();
                let now = blocking(move || Ok(tim_bench::memory_of(&process))).await?;
                most = most.max(now);
                let _ = tokio::time::timeout(LOOK, over.changed()).await;
            }
            Ok::<_, Failure>(most)
        });
        Self { done, looking }
    }

    /// What it was at the most until now.
    async fn most(self) -> Result<Option<u64>> {
        self.done.send_replace(true);
        self.looking.await?
    }
}
