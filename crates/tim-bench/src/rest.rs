//! Durable one-to-one messages through the REST interface: each connection waits for the answer before it makes the next call. What was
//! answered with OK is read back through the protocol. Then the same load, sent by devices.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tim_bench::Latency;
use tim_proto::{ConversationId, UserId};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::args::Args;
use crate::bot::Bot;
use crate::check;
use crate::hub::{ADMIN, Setup, Target};
use crate::report::{Figure, Report, Value};
use crate::sends;
use crate::{Failure, Result};

/// The most users whom one call imports.
const IMPORTED: usize = 100;
/// The longest answer of the hub here.
const MAX_ANSWER: usize = 64 * 1024;

pub(crate) async fn measure(report: &mut Report, args: &Args) -> Result<()> {
    for load in args.loads() {
        measure_one(report, &load).await?;
    }
    Ok(())
}

async fn measure_one(report: &mut Report, load: &sends::Load) -> Result<()> {
    let connections = load.senders;
    report.begin(
        "rest",
        [
            ("connections", connections.into()),
            ("payload_bytes", load.payload as u64),
            ("seconds", load.time.as_secs()),
        ],
    );
    let setup = Setup {
        serves_rest: true,
        ..Setup::default()
    };
    let target = Target::start_as(tempfile::tempdir()?, setup)?;
    let run = run(&target, load).await?;
    let rate = run.latency.count() as f64 / run.took.as_secs_f64();
    let label = format!("durable messages by REST, {connections} connections");
    let note = format!(
        "{} bytes of text, keep-alive, one sendmsg at a time on each",
        load.payload
    );
    report.add(Figure::new("messages_per_second", &label, Value::Round(rate), "messages/s").note(note))?;
    report.add_latency("latency", "  until answered", &run.latency)?;
    let label = "  read back: there once, in sequence";
    report.add(Figure::new(
        "checked",
        label,
        Value::Count(run.checked),
        "messages",
    ))?;
    drop(target);
    let sessions = sends::Load {
        conversations: connections,
        rate: None,
        ..load.clone()
    };
    let by_sessions = sessions.rate_of_a_run().await?;
    let label = format!("  the same by {connections} devices");
    report.add(Figure::new(
        "sessions_per_second",
        &label,
        Value::Round(by_sessions),
        "messages/s",
    ))?;
    report.add(Figure::new(
        "rest_over_sessions",
        "  REST over devices",
        Value::Real(rate / by_sessions),
        "x",
    ))
}

/// What a run showed.
struct Run {
    latency: Latency,
    took: Duration,
    checked: u64,
}

async fn run(target: &Target, load: &sends::Load) -> Result<Run> {
    let pairs: Vec<_> = (0..load.senders).map(Pair::new).collect::<Result<_>>()?;
    let mut first = Caller::connect(target).await?;
    let users: Vec<_> = pairs
        .iter()
        .flat_map(|pair| [pair.sender, pair.receiver])
        .collect();
    for users in users.chunks(IMPORTED) {
        let names: Vec<_> = users.iter().map(UserId::as_str).collect();
        let body = serde_json::json!({ "Accounts": names });
        first
            .call("im_open_login_svc/multiaccount_import", &body.to_string())
            .await?;
    }
    let mut callers = Vec::new();
    for pair in pairs {
        callers.push((pair, Caller::connect(target).await?));
    }
    let text = tim_bench::text_of(load.payload);
    let start = Instant::now();
    let (end, at_least) = (start + load.time, load.at_least.div_ceil(u64::from(load.senders)));
    let mut tasks = JoinSet::new();
    for (pair, mut caller) in callers {
        let text = text.clone();
        tasks.spawn(async move {
            let mut latency = Latency::new();
            while Instant::now() < end || latency.count() < at_least {
                let body = pair.message(latency.count(), &text);
                let called = Instant::now();
                caller.call("openim/sendmsg", &body).await?;
                latency.record(called.elapsed());
            }
            Ok::<_, Failure>((pair, latency))
        });
    }
    let (mut latency, mut done) = (Latency::new(), Vec::new());
    while let Some(task) = tasks.join_next().await {
        let (pair, own) = task??;
        latency.add(&own);
        done.push((pair, own.count()));
    }
    let took = start.elapsed();
    let mut checked = 0;
    for (pair, count) in done {
        pair.read_back(target, count).await?;
        checked += count;
    }
    Ok(Run {
        latency,
        took,
        checked,
    })
}

/// Who writes to whom.
struct Pair {
    sender: UserId,
    receiver: UserId,
}

impl Pair {
    fn new(number: u32) -> Result<Self> {
        Ok(Self {
            sender: UserId::new(&format!("sender-{number}"))?,
            receiver: UserId::new(&format!("receiver-{number}"))?,
        })
    }

    /// The body of a call that sends a message.
    fn message(&self, number: u64, text: &str) -> String {
        serde_json::json!({
            "From_Account": self.sender.as_str(),
            "To_Account": self.receiver.as_str(),
            "MsgRandom": number,
            "MsgBody": [{ "MsgType": "TIMTextElem", "MsgContent": { "Text": text } }],
        })
        .to_string()
    }

    /// Checks that the conversation has so many messages, each at a place of its own, and none is missing.
    async fn read_back(&self, target: &Target, count: u64) -> Result<()> {
        let mut bot = Bot::login(target, self.sender.as_str(), 0).await?;
        let conversation = ConversationId::C2c(self.receiver);
        let mut found = check::read(&mut bot, conversation, 0).await?;
        found.sort_unstable_by_key(|place| place.sequence);
        let is_in_sequence = (1..)
            .zip(&found)
            .all(|(sequence, place)| place.sequence == sequence);
        if found.len() as u64 != count || !is_in_sequence {
            let stored = found.len();
            return Err(
                format!("{conversation}: {count} messages were acknowledged, {stored} are there").into(),
            );
        }
        Ok(())
    }
}

/// A connection to the REST interface.
struct Caller {
    stream: BufReader<TcpStream>,
    query: String,
}

impl Caller {
    async fn connect(target: &Target) -> Result<Self> {
        let address: SocketAddr = target.http().ok_or("the hub serves no HTTP")?;
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let admin = UserId::new(ADMIN)?;
        let sig = target.sig(&admin).replace('*', "%2A");
        let app = target.app.id;
        Ok(Self {
            stream: BufReader::new(stream),
            query: format!("sdkappid={app}&identifier={ADMIN}&usersig={sig}&random=1&contenttype=json"),
        })
    }

    /// Makes a call, which must work.
    async fn call(&mut self, command: &str, body: &str) -> Result<()> {
        let (query, len) = (&self.query, body.len());
        let request = format!(
            "POST /v4/{command}?{query} HTTP/1.1\r\nHost: hub\r\nContent-Length: {len}\r\n\r\n{body}"
        );
        self.stream.get_mut().write_all(request.as_bytes()).await?;
        let answer = self.answer().await?;
        let answer: serde_json::Value = serde_json::from_slice(&answer)?;
        match answer.get("ErrorCode").and_then(serde_json::Value::as_u64) {
            Some(0) => Ok(()),
            _ => Err(format!("{command} failed: {answer}").into()),
        }
    }

    /// The body of a response.
    async fn answer(&mut self) -> Result<Vec<u8>> {
        let (mut len, mut line) = (0, String::new());
        loop {
            line.clear();
            if self.stream.read_line(&mut line).await? == 0 {
                return Err("the hub has closed a connection".into());
            }
            let Some((name, value)) = line.split_once(':') else {
                if line.trim().is_empty() {
                    break;
                }
                continue;
            };
            if name.eq_ignore_ascii_case("content-length") {
                len = value.trim().parse()?;
            }
        }
        if len > MAX_ANSWER {
            return Err("the hub's answer is too long".into());
        }
        let mut body = vec![0; len];
        self.stream.read_exact(&mut body).await?;
        Ok(body)
    }
}
