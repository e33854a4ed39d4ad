//! The hub under measurement: a running one, or a process of our own.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tim_hub::{Hub, HubOptions};
use tim_proto::UserId;
use tim_proto::vendor::limits::Limits;
use tim_usersig::{App, UserSig};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use crate::Result;

/// Connections that a hub of our own accepts.
const MAX_CONNECTIONS: usize = 20_000;

/// The app of hubs of our own. They live as long as a measurement, on the loopback interface, so the key is no secret.
pub(crate) fn own_app() -> App {
    App::new(1_400_000_000, "a key for one measurement")
}

/// Runs a hub on `data` until stdin closes, and prints its address: what [`Target::start`] starts.
pub(crate) async fn run(data: &Path, group_rate: u32) -> Result<()> {
    let mut options = HubOptions::new(own_app());
    options.sends_per_second = 0;
    options.max_connections = MAX_CONNECTIONS;
    options.limits = Limits::new().with_group_messages_per_second(group_rate);
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
}

/// A hub in a process of its own, stopped when dropped.
struct Process {
    child: Child,
    /// The hub ends when this closes, also if this process is killed.
    _stdin: ChildStdin,
    /// Outlives the process.
    data: Option<tempfile::TempDir>,
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing in it is worth keeping.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Target {
    /// A running hub with this data directory.
    pub(crate) fn existing(address: SocketAddr, data: &Path) -> Result<Self> {
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
        })
    }

    /// A hub of our own on this directory. Each group accepts `group_rate` messages per second; 0 is no limit.
    pub(crate) fn start(data: tempfile::TempDir, group_rate: u32) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
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
            _stdin: stdin,
            data: Some(data),
        };
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line.trim().parse().map_err(|_| "the hub did not start")?;
        Ok(Self {
            address,
            app: own_app(),
            process: Some(process),
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

    /// Resident memory of the hub's process in bytes; `None` for a hub that is not ours, or without /proc.
    pub(crate) fn memory(&self) -> Option<u64> {
        memory_of(&self.process.as_ref()?.child.id().to_string())
    }

    /// CPU time of all threads of the hub; `None` as above.
    pub(crate) fn core_time(&self) -> Option<Duration> {
        let id = self.process.as_ref()?.child.id();
        let mut time = Duration::ZERO;
        for thread in fs::read_dir(format!("/proc/{id}/task")).ok()? {
            let stat = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
            time += Duration::from_nanos(stat.split(' ').next()?.parse().ok()?);
        }
        Some(time)
    }
}

/// Resident memory of a process, by its name in /proc.
pub(crate) fn memory_of(process: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
