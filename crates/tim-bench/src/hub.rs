//! The hub under measurement: a running one, or a process of our own.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tim_bench::{Meter, memory_of};
use tim_hub::{Hub, HubOptions};
use tim_proto::UserId;
use tim_proto::vendor::limits::Limits;
use tim_usersig::{App, UserSig};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use crate::Result;

/// Connections that a hub of our own accepts.
const MAX_CONNECTIONS: usize = 20_000;
/// Messages in its pages of history, so that much is read back quickly.
const PAGE: u32 = 200;
/// How long a hub under strace may take to stop.
const STOP: Duration = Duration::from_secs(10);
/// The calls that make a file durable.
const SYNC_CALLS: &str = "fsync,fdatasync,sync,syncfs,sync_file_range,msync";

/// The app of hubs of our own. They live as long as a measurement, on the loopback interface, so the key is no secret.
pub(crate) fn own_app() -> App {
    App::new(1_400_000_000, "a key for one measurement")
}

/// Runs a hub on `data` until stdin closes, and prints its address: what [`Target::start`] starts.
pub(crate) async fn run(data: &Path, group_rate: u32) -> Result<()> {
    let mut options = HubOptions::new(own_app());
    options.sends_per_second = 0;
    options.requests_per_second = 0;
    options.max_connections = MAX_CONNECTIONS;
    options.limits = Limits::new()
        .with_group_messages_per_second(group_rate)
        .with_page_messages(PAGE);
    let hub = Arc::new(Hub::open(data, options)?);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    writeln!(io::stdout(), "{}", listener.local_addr()?)?;
    let parent_left = async { drop(tokio::io::stdin().read(&mut [0]).await) };
    Ok(hub.serve(listener, parent_left).await?)
}

/// A hub to measure.
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) app: App,
    process: Option<Process>,
    /// A running hub on this machine, and its data directory.
    local: Option<(u32, PathBuf)>,
}

/// A hub in a process of its own, stopped when dropped.
struct Process {
    child: Child,
    /// The hub ends when this closes, also if this process is killed.
    stdin: Option<ChildStdin>,
    /// What strace writes, if the process is strace with the hub as its child.
    trace: Option<tempfile::NamedTempFile>,
    /// Outlives the process.
    data: Option<tempfile::TempDir>,
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.trace.is_some() {
            // The hub is the tracer's child and would outlive it.
            drop(self.stdin.take());
            let start = Instant::now();
            while start.elapsed() < STOP && matches!(self.child.try_wait(), Ok(None)) {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        // Nothing in it is worth keeping.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Target {
    /// A running hub with this data directory; `process` is its number, if it runs on this machine.
    pub(crate) fn existing(address: SocketAddr, data: &Path, process: Option<u32>) -> Result<Self> {
        #[derive(serde::Deserialize)]
        struct Endpoint {
            app_id: u32,
        }
        let read = |name: &str| {
            let path = data.join(name);
            fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))
        };
        let endpoint: Endpoint = toml::from_str(&read("endpoint.toml")?)?;
        Ok(Self {
            address,
            app: App::new(endpoint.app_id, read("app.key")?.trim()),
            process: None,
            local: process.map(|process| (process, data.to_owned())),
        })
    }

    /// A hub of our own on this directory. Each group accepts `group_rate` messages per second; 0 is no limit.
    pub(crate) fn start(data: tempfile::TempDir, group_rate: u32) -> Result<Self> {
        Self::spawn(Command::new(std::env::current_exe()?), None, data, group_rate)
    }

    /// The same under strace, which counts its calls that make files durable and stops it for no other call.
    pub(crate) fn start_traced(data: tempfile::TempDir) -> Result<Self> {
        let trace = tempfile::NamedTempFile::new()?;
        let mut strace = Command::new("strace");
        strace
            .args(["-f", "-qq", "--seccomp-bpf", "-e"])
            .arg(format!("trace={SYNC_CALLS}"))
            .args(["-e", "signal=none", "-o"])
            .arg(trace.path())
            .arg("--")
            .arg(std::env::current_exe()?);
        Self::spawn(strace, Some(trace), data, 0)
            .map_err(|error| format!("counting syncs needs strace, and the right to trace: {error}").into())
    }

    fn spawn(
        mut command: Command,
        trace: Option<tempfile::NamedTempFile>,
        data: tempfile::TempDir,
        group_rate: u32,
    ) -> Result<Self> {
        let mut child = command
            .arg("--run-hub")
            .arg(data.path())
            .args(["--group-rate", &group_rate.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdin = child.stdin.take().ok_or("the hub has no input")?;
        let stdout = child.stdout.take().ok_or("the hub has no output")?;
        let process = Process {
            child,
            stdin: Some(stdin),
            trace,
            data: Some(data),
        };
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line.trim().parse().map_err(|_| "the hub did not start")?;
        Ok(Self {
            address,
            app: own_app(),
            process: Some(process),
            local: None,
        })
    }

    /// Stops a hub of our own and returns its directory.
    pub(crate) fn stop(mut self) -> Option<tempfile::TempDir> {
        self.process.as_mut()?.data.take()
    }

    /// A hub that this value does not stop.
    pub(crate) const fn remote(address: SocketAddr, app: App) -> Self {
        Self {
            address,
            app,
            process: None,
            local: None,
        }
    }

    /// A UserSig for a user of the measurement.
    pub(crate) fn sig(&self, user: &UserId) -> String {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        UserSig::sign(&self.app, user, now, 3600)
    }

    /// The hub's process, if it is known.
    fn process(&self) -> Option<u32> {
        let own = self.process.as_ref().map(|process| process.child.id());
        own.or_else(|| self.local.as_ref().map(|(process, _)| *process))
    }

    /// The hub's data directory, if it is on this machine.
    pub(crate) fn directory(&self) -> Option<&Path> {
        let own = self.process.as_ref().and_then(|process| process.data.as_ref());
        own.map(tempfile::TempDir::path)
            .or_else(|| self.local.as_ref().map(|(_, data)| &**data))
    }

    /// What the hub costs this machine; `None` for a hub that may be on another one.
    pub(crate) fn meter(&self) -> Option<Meter> {
        Some(Meter::new(self.process()?, self.directory()?))
    }

    /// Resident memory of the hub's process in bytes; `None` as above, or without /proc.
    pub(crate) fn memory(&self) -> Option<u64> {
        memory_of(&self.process()?.to_string())
    }

    /// The calls that strace has counted.
    pub(crate) fn sync_calls(&self) -> Result<u64> {
        let trace = self.process.as_ref().and_then(|process| process.trace.as_ref());
        let trace = trace.ok_or("the hub is not traced")?;
        let lines = fs::read_to_string(trace.path())?;
        // A call that another thread's interrupts has a second line, without its arguments.
        Ok(lines.lines().filter(|line| !line.contains(" resumed>")).count() as u64)
    }
}
