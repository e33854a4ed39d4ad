//! Clients that hold idle connections, in a process of their own: they log in, answer keepalives, and take deliveries.
//!
//! They come from several addresses of the loopback interface, as one has ports for about 28,000 connections only.

use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use std::io::{BufRead as _, BufReader};
use tim_bench::Latency;
use tokio::io::AsyncBufReadExt as _;
use tokio::net::TcpSocket;
use tokio::task::JoinSet;

use crate::hub::Target;
use crate::member::Member;
use crate::{Failure, Result};

/// Concurrent logins.
const AT_ONCE: usize = 64;
/// Connections from one address.
const FROM_ONE_ADDRESS: u32 = 500;

/// The name of an idle user.
pub(crate) fn name(number: u32) -> String {
    format!("bench-idle-{number}")
}

/// What logging in took.
#[derive(Debug, Serialize, Deserialize)]
struct LoggedIn {
    took_us: u64,
    latency: Vec<(u64, u64)>,
}

/// What the connections have seen until now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// Connections that are open and were refused nothing.
    pub(crate) connected: u64,
    /// Messages that arrived.
    pub(crate) delivered: u64,
    /// Keepalives of the hub that were answered.
    pub(crate) keepalives: u64,
}

#[derive(Debug, Default)]
struct Counts {
    connected: AtomicU64,
    delivered: AtomicU64,
    keepalives: AtomicU64,
}

/// The address that a client connects from, to a hub on the loopback interface.
fn source(number: u32, hub: SocketAddr) -> Option<SocketAddr> {
    if !matches!(hub.ip(), IpAddr::V4(ip) if ip.is_loopback()) {
        return None;
    }
    let address = 1 + number / FROM_ONE_ADDRESS;
    let [.., high, low] = address.to_be_bytes();
    Some((Ipv4Addr::new(127, 1, high, low), 0).into())
}

/// Holds connections of so many users to the hub, until stdin closes. Says on stdout what logging in took, and for each line of
/// stdin what was seen.
pub(crate) async fn hold(target: Target, first: u32, connections: u32) -> Result<()> {
    let target = Arc::new(target);
    let counts = Arc::new(Counts::default());
    let mut latency = Latency::new();
    let mut logins = JoinSet::new();
    let start = Instant::now();
    for number in first..first + connections {
        if logins.len() >= AT_ONCE
            && let Some(took) = logins.join_next().await
        {
            latency.record(took??);
        }
        logins.spawn(log_in(Arc::clone(&target), number, Arc::clone(&counts)));
    }
    while let Some(took) = logins.join_next().await {
        latency.record(took??);
    }
    let logged_in = LoggedIn {
        took_us: start.elapsed().as_micros() as u64,
        latency: latency.classes(),
    };
    writeln!(io::stdout(), "{}", serde_json::to_string(&logged_in)?)?;
    let mut lines = tokio::io::BufReader::new(tokio::io::stdin()).lines();
    while lines.next_line().await?.is_some() {
        let seen = Seen {
            connected: counts.connected.load(Ordering::Acquire),
            delivered: counts.delivered.load(Ordering::Acquire),
            keepalives: counts.keepalives.load(Ordering::Acquire),
        };
        writeln!(io::stdout(), "{}", serde_json::to_string(&seen)?)?;
    }
    Ok(())
}

/// Logs in, and leaves the connection to a task of its own. Returns how long it took from connecting until the session was ready.
async fn log_in(target: Arc<Target>, number: u32, counts: Arc<Counts>) -> Result<Duration> {
    let socket = TcpSocket::new_v4()?;
    if let Some(source) = source(number, target.socket()?) {
        socket.bind(source)?;
    }
    let began = Instant::now();
    let stream = socket.connect(target.socket()?).await?;
    let mut member = Member::login_on(stream, &target, &name(number)).await?;
    let took = began.elapsed();
    counts.connected.fetch_add(1, Ordering::AcqRel);
    tokio::spawn(async move {
        let mut seen = (0, member.raw.keepalives);
        while member.turn().await.is_ok() {
            let now = (member.raw.delivered, member.raw.keepalives);
            counts.delivered.fetch_add(now.0 - seen.0, Ordering::AcqRel);
            counts
                .keepalives
                .fetch_add(u64::from(now.1 - seen.1), Ordering::AcqRel);
            seen = now;
        }
        counts.connected.fetch_sub(1, Ordering::AcqRel);
    });
    Ok(took)
}

/// A process that holds connections; it ends when this is dropped.
pub(crate) struct Holder {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    pub(crate) took: Duration,
    pub(crate) latency: Latency,
}

impl Holder {
    /// Logs in so many users, from this number on. Blocks until all are.
    pub(crate) fn start(
        address: SocketAddr,
        data: Option<&std::path::Path>,
        first: u32,
        connections: u32,
    ) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["--hold", &address.to_string()])
            .args(["--first", &first.to_string()])
            .args(["--connections", &connections.to_string()])
            .env_remove("TIM_DATA")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if let Some(data) = data {
            command.arg("--data").arg(data);
        }
        let mut child = command.spawn()?;
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().ok_or("the clients have no output")?);
        let mut holder = Self {
            child,
            stdin,
            stdout,
            took: Duration::ZERO,
            latency: Latency::new(),
        };
        let logged_in: LoggedIn = holder.line()?;
        holder.took = Duration::from_micros(logged_in.took_us);
        holder.latency = Latency::of_classes(&logged_in.latency);
        Ok(holder)
    }

    /// What its connections have seen until now.
    pub(crate) fn seen(&mut self) -> Result<Seen> {
        let stdin = self.stdin.as_mut().ok_or("the clients have no input")?;
        writeln!(stdin)?;
        self.line()
    }

    fn line<T: serde::de::DeserializeOwned>(&mut self) -> Result<T> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        serde_json::from_str(&line).map_err(|_| Failure::from("the clients have failed"))
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.stdin.take());
        // Nothing of it is worth waiting for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_of_a_hub_here_come_from_many_addresses() {
        let here: SocketAddr = "127.0.0.1:7878".parse().expect("an address");
        let from = |number| source(number, here).map(|source| source.ip().to_string());
        assert_eq!(from(0).as_deref(), Some("127.1.0.1"));
        assert_eq!(from(499), from(0));
        assert_eq!(from(500).as_deref(), Some("127.1.0.2"));
        assert_eq!(from(130_000).as_deref(), Some("127.1.1.5"));
        for elsewhere in ["192.0.2.1:7878", "[::1]:7878"] {
            assert_eq!(source(0, elsewhere.parse().expect("an address")), None);
        }
    }
}
