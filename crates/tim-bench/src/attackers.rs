//! Hostile clients, in a process of their own: each kind does one thing that could cost others something, until stdin closes.
//!
//! On the network an attacker has computers of its own. Here attackers share the cores with the hub, so they run at the lowest
//! priority, and wait between their writes: what is measured is what the hub does about them, not the fight for the cores.

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::io::{BufRead as _, BufReader};
use tim_proto::message::to_vec;
use tim_proto::request::{Conversations, Done, Failure, Login, LoginResponse, MarkRead, Resume};
use tim_proto::wire::{End, Frame, FrameKind, Hello, Parsed, VERSION, decode_body};
use tim_proto::{ConversationId, ErrorCode, Platform, UserId};
use tim_testkit::{frame, hello};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, timeout};

use crate::hub::Target;
use crate::prepare::READER;
use crate::{Result, blocking, hostile_writers};

/// The largest frame that clients take.
const MAX_FRAME: usize = 1 << 20;
/// How long a login may wait for its answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// Connections that are opened at a time.
const AT_ONCE: usize = 64;

/// What hostile clients do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Attack {
    /// One account with very many conversations asks for its list on 16 connections.
    Readers,
    /// 6 accounts mark conversations as read, on 16 devices each.
    Marks,
    /// Very many connections say nothing.
    HalfOpen,
    /// Very many connections send a byte a second.
    SlowWriters,
    /// Many logins a second.
    Logins,
    /// One account sends PINGs on 16 connections.
    Pings,
    /// One account joins and leaves 500 groups, on 16 connections.
    Changers,
    /// One account removes tokens of push services that it has not registered, on 16 connections.
    Tokens,
    /// One account revokes what it has just sent, on 16 connections.
    Revokers,
    /// One account with very many conversations logs in on 16 connections, to read everything from its beginning.
    Resumers,
}

impl Attack {
    pub(crate) const ALL: [Self; 10] = [
        Self::Readers,
        Self::Marks,
        Self::HalfOpen,
        Self::SlowWriters,
        Self::Logins,
        Self::Pings,
        Self::Changers,
        Self::Tokens,
        Self::Revokers,
        Self::Resumers,
    ];

    /// Its key in the report.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Readers => "readers",
            Self::Marks => "marks",
            Self::HalfOpen => "half_open",
            Self::SlowWriters => "slow_writers",
            Self::Logins => "logins",
            Self::Pings => "pings",
            Self::Changers => "changers",
            Self::Tokens => "tokens",
            Self::Revokers => "revokers",
            Self::Resumers => "resumers",
        }
    }
}

/// How many there are of each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) conversations: u32,
    pub(crate) devices: u64,
    pub(crate) half_open: u32,
    pub(crate) slow_writers: u32,
    pub(crate) logins_per_second: u32,
}

impl Size {
    pub(crate) const fn of(is_quick: bool) -> Self {
        match is_quick {
            true => Self {
                conversations: 200,
                devices: 4,
                half_open: 200,
                slow_writers: 50,
                logins_per_second: 50,
            },
            false => Self {
                conversations: 100_000,
                devices: 16,
                half_open: 10_000,
                slow_writers: 4_000,
                logins_per_second: 1_000,
            },
        }
    }
}

/// What became of the logins of an attack.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Logins {
    pub(crate) admitted: u64,
    /// With a reason and a time.
    pub(crate) refused: u64,
    pub(crate) unanswered: u64,
}

#[derive(Debug, Default)]
struct Counts {
    admitted: AtomicU64,
    refused: AtomicU64,
    unanswered: AtomicU64,
}

/// A connection without a session: frames as they are.
pub(crate) struct Line {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Line {
    /// Connects from this address of the loopback interface.
    pub(crate) async fn open(from: [u8; 4], hub: SocketAddr) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((Ipv4Addr::from(from), 0)))?;
        let stream = socket.connect(hub).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            received: Vec::new(),
        })
    }

    /// Logs in. Returns the account, or why the hub refused.
    pub(crate) async fn log_in(
        &mut self,
        app: u32,
        name: &str,
        sig: &str,
        device: u64,
    ) -> Result<Result<u64, ErrorCode>> {
        self.say(&login_bytes(app, name, sig, device)?).await?;
        self.skip_hello().await?;
        self.next(|frame| match frame.kind {
            kind if kind == FrameKind::LOGIN.answer() => {
                let login = decode_body::<LoginResponse<'_>>(frame.body).ok()?;
                Some(Ok(login.account))
            }
            FrameKind::ERROR | FrameKind::GOODBYE => {
                let failure = decode_body::<Failure<'_>>(frame.body).ok()?;
                Some(Err(failure.code))
            }
            _ => None,
        })
        .await
    }

    pub(crate) async fn skip_hello(&mut self) -> io::Result<()> {
        let mut answer = [0; Hello::LEN];
        self.stream.read_exact(&mut answer).await?;
        Ok(())
    }

    pub(crate) async fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// What `take` makes of the next frame that it wants. Others are passed over.
    pub(crate) async fn next<T>(&mut self, mut take: impl FnMut(&Frame<'_>) -> Option<T>) -> Result<T> {
        loop {
            let mut at = 0;
            let mut taken = None;
            while let Parsed::Frame(frame, len) = Frame::parse(&self.received[at..], MAX_FRAME)? {
                at += len;
                taken = take(&frame);
                if taken.is_some() {
                    break;
                }
            }
            self.received.drain(..at);
            if let Some(taken) = taken {
                return Ok(taken);
            }
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err("the hub has closed the connection".into());
            }
        }
    }

    /// Whether the hub has closed it. What has come is passed over.
    fn is_closed(&self) -> bool {
        let mut bytes = [0; 1024];
        match self.stream.try_read(&mut bytes) {
            Ok(len) => len == 0,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }
}

fn login_bytes(app: u32, name: &str, sig: &str, device: u64) -> Result<Vec<u8>> {
    login_bytes_from(app, name, sig, device, device, Resume::NOW)
}

/// The first bytes of a session that deliveries are to begin like this for.
pub(crate) fn login_bytes_from(
    app: u32,
    name: &str,
    sig: &str,
    device: u64,
    session: u64,
    resume: Resume,
) -> Result<Vec<u8>> {
    let login = Login::new(app, UserId::new(name)?, sig, device, Platform::DESKTOP)
        .with_resume(resume)
        .with_session(session)
        .with_attempt(1);
    let hello = hello(End::CLIENT, (VERSION, VERSION), MAX_FRAME as u32, 64);
    Ok([&hello[..], &frame(FrameKind::LOGIN, 1, &login)].concat())
}

/// An address of the loopback interface for the `number`-th of many clients.
pub(crate) const fn source(class: u8, number: u32) -> [u8; 4] {
    [127, 0, class, 1 + (number % 10) as u8]
}

/// Attacks until stdin closes. Says on stdout when it has begun, and what became of its logins.
pub(crate) async fn run(target: Target, attack: Attack, size: Size) -> Result<()> {
    #[cfg(unix)]
    rustix::process::nice(19)?;
    let (target, counts) = (Arc::new(target), Arc::new(Counts::default()));
    let mut tasks = JoinSet::new();
    match attack {
        Attack::Readers => {
            for device in 0..size.devices {
                tasks.spawn(read_lists(Arc::clone(&target), device));
            }
        }
        Attack::Marks => {
            for (account, device) in
                (0..6).flat_map(|account| (0..size.devices).map(move |device| (account, device)))
            {
                tasks.spawn(mark(Arc::clone(&target), account, device));
            }
        }
        Attack::HalfOpen => half_open(&mut tasks, target.socket()?, size.half_open).await?,
        Attack::SlowWriters => {
            for number in 0..size.slow_writers {
                tasks.spawn(write_slowly(target.socket()?, number));
            }
        }
        Attack::Logins => {
            tasks.spawn(log_in_often(target, size.logins_per_second, Arc::clone(&counts)));
        }
        Attack::Pings => {
            for device in 0..size.devices {
                tasks.spawn(ping(Arc::clone(&target), device));
            }
        }
        Attack::Changers => {
            for device in 0..size.devices {
                tasks.spawn(hostile_writers::change_groups(
                    Arc::clone(&target),
                    device,
                    size.devices,
                ));
            }
        }
        Attack::Tokens => {
            for device in 0..size.devices {
                tasks.spawn(hostile_writers::unregister(Arc::clone(&target), device));
            }
        }
        Attack::Revokers => {
            for device in 0..size.devices {
                tasks.spawn(hostile_writers::revoke(Arc::clone(&target), device));
            }
        }
        Attack::Resumers => {
            for device in 0..size.devices {
                tasks.spawn(hostile_writers::resume(Arc::clone(&target), device));
            }
        }
    }
    sleep(Duration::from_millis(500)).await;
    writeln!(io::stdout(), "begun")?;
    blocking(|| Ok(io::copy(&mut io::stdin(), &mut io::sink())?)).await?;
    let logins = Logins {
        admitted: counts.admitted.load(Ordering::Acquire),
        refused: counts.refused.load(Ordering::Acquire),
        unanswered: counts.unanswered.load(Ordering::Acquire),
    };
    writeln!(io::stdout(), "{}", serde_json::to_string(&logins)?)?;
    Ok(())
}

/// A connection that is logged in, however often that takes.
pub(crate) async fn insist(target: &Target, name: &str, device: u64, from: [u8; 4]) -> Line {
    loop {
        let (Ok(user), Ok(address)) = (UserId::new(name), target.socket()) else {
            return std::future::pending().await;
        };
        if let Ok(mut line) = Line::open(from, address).await
            && let Ok(Ok(_)) = line.log_in(target.app.id, name, &target.sig(&user), device).await
        {
            return line;
        }
        sleep(Duration::from_millis(200)).await;
    }
}

async fn read_lists(target: Arc<Target>, device: u64) {
    let list = frame(FrameKind::CONVERSATIONS, 1, &Conversations::new().with_count(100));
    loop {
        let mut line = insist(&target, READER, device + 1, source(3, 0)).await;
        let answered = |frame: &Frame<'_>| (frame.kind != FrameKind::SYNCED).then_some(());
        while line.say(&list).await.is_ok() && line.next(answered).await.is_ok() {}
    }
}

async fn mark(target: Arc<Target>, account: u32, device: u64) {
    let name = format!("hostile-marker-{account}");
    let peer = UserId::new(&format!("hostile-marker-{}", account + 1));
    let Ok(peer) = peer else { return };
    let marks: Vec<u8> = (0..8)
        .flat_map(|id| {
            frame(
                FrameKind::MARK_READ,
                id,
                &MarkRead::new(ConversationId::C2c(peer)),
            )
        })
        .collect();
    loop {
        let mut line = insist(&target, &name, device + 1, source(4, account)).await;
        let mut answered = 0;
        while line.say(&marks).await.is_ok() {
            let all = line.next(|frame| {
                answered += usize::from(frame.kind != FrameKind::SYNCED);
                (answered % 8 == 0).then_some(())
            });
            if all.await.is_err() {
                break;
            }
        }
    }
}

/// Opens connections, and opens others for those that the hub closes.
async fn half_open(tasks: &mut JoinSet<()>, hub: SocketAddr, connections: u32) -> Result<()> {
    let mut lines: Vec<Option<Line>> = Vec::new();
    let mut opening: JoinSet<io::Result<Line>> = JoinSet::new();
    for number in 0..connections {
        if opening.len() >= AT_ONCE
            && let Some(line) = opening.join_next().await
        {
            lines.push(line?.ok());
        }
        opening.spawn(Line::open(source(5, number), hub));
    }
    while let Some(line) = opening.join_next().await {
        lines.push(line?.ok());
    }
    tasks.spawn(async move {
        loop {
            let mut reopened = 0;
            for (number, line) in (0..).zip(&mut lines) {
                if reopened < 200 && line.as_ref().is_none_or(Line::is_closed) {
                    *line = Line::open(source(5, number), hub).await.ok();
                    reopened += 1;
                }
            }
            sleep(Duration::from_millis(100)).await;
        }
    });
    Ok(())
}

async fn write_slowly(hub: SocketAddr, number: u32) {
    sleep(Duration::from_millis(u64::from(number % 1_000))).await;
    let hello = hello(End::CLIENT, (VERSION, VERSION), MAX_FRAME as u32, 64);
    loop {
        if let Ok(mut line) = Line::open(source(6, number), hub).await {
            for byte in hello.iter().cycle() {
                if line.say(&[*byte]).await.is_err() || line.is_closed() {
                    break;
                }
                sleep(Duration::from_secs(1)).await;
            }
        }
        sleep(Duration::from_secs(1)).await;
    }
}

async fn log_in_often(target: Arc<Target>, per_second: u32, counts: Arc<Counts>) {
    let mut sigs = Vec::new();
    for number in 0..per_second {
        let name = format!("hostile-login-{number}");
        if let Ok(user) = UserId::new(&name) {
            sigs.push((name, target.sig(&user)));
        }
    }
    let sigs = Arc::new(sigs);
    let mut due = interval(Duration::from_millis(20));
    for round in 0.. {
        due.tick().await;
        for number in 0..per_second / 50 {
            let number = (round * (per_second / 50) + number) % per_second.max(1);
            let (target, sigs, counts) = (Arc::clone(&target), Arc::clone(&sigs), Arc::clone(&counts));
            tokio::spawn(async move {
                let Some((name, sig)) = sigs.get(number as usize) else {
                    return;
                };
                let login = async {
                    let mut line = Line::open(source(7, number), target.socket()?).await?;
                    line.log_in(target.app.id, name, sig, u64::from(round) + 1).await
                };
                let count = match timeout(PATIENCE, login).await {
                    Ok(Ok(Ok(_))) => &counts.admitted,
                    Ok(Ok(Err(_))) => &counts.refused,
                    _ => &counts.unanswered,
                };
                count.fetch_add(1, Ordering::AcqRel);
            });
        }
    }
}

async fn ping(target: Arc<Target>, device: u64) {
    let pings = frame(FrameKind::PING, 0, &Done).repeat(1_000);
    loop {
        let line = insist(&target, "hostile-pinger", device + 1, source(8, 0)).await;
        let (mut reader, mut writer) = line.stream.into_split();
        let reading = tokio::spawn(async move { tokio::io::copy(&mut reader, &mut tokio::io::sink()).await });
        while writer.write_all(&pings).await.is_ok() {
            sleep(Duration::from_millis(2)).await;
        }
        reading.abort();
    }
}

/// The process of an attack; it ends when this is dropped.
pub(crate) struct Attackers {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Attackers {
    /// Blocks until the attack has begun.
    pub(crate) fn begin(hub: SocketAddr, attack: Attack, is_quick: bool) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let name = attack.to_possible_value().ok_or("an attack without a name")?;
        command
            .args(["--attack", name.get_name(), "--attacked", &hub.to_string()])
            .env_remove("TIM_DATA")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if is_quick {
            command.arg("--quick");
        }
        let mut child = command.spawn()?;
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().ok_or("the attackers have no output")?);
        let mut attackers = Self { child, stdin, stdout };
        let begun = attackers.line()?;
        match begun.trim() {
            "begun" => Ok(attackers),
            _ => Err("the attackers did not begin".into()),
        }
    }

    /// Ends the attack. Returns what became of its logins.
    pub(crate) fn end(mut self) -> Result<Logins> {
        drop(self.stdin.take());
        Ok(serde_json::from_str(&self.line()?)?)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        Ok(line)
    }
}

impl Drop for Attackers {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The bytes of a message to this user.
pub(crate) fn text(to: &UserId, id: tim_proto::MessageId, request: u32, bytes: usize) -> Vec<u8> {
    use tim_proto::message::{Content, SendOptions, Text};
    let text = tim_bench::text_of(bytes);
    let payload = to_vec(&Text::new(&text));
    let content = Content::new(
        ConversationId::C2c(*to),
        id,
        tim_proto::MessageKind::TEXT,
        &payload,
    );
    let send =
        tim_proto::request::Send::new(content).with_options(tim_proto::wire::Nested(SendOptions::new()));
    frame(FrameKind::SEND, request, &send)
}
