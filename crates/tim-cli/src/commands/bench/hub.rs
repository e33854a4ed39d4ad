//! The hub under measurement: one that runs already, or a process of our own.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tim_hub::usersig::{App, UserSig};
use tim_proto::UserId;

use crate::error::Failure;
use crate::local::{DEFAULT_APP_ID, DataDir};

/// A hub to measure.
pub(super) struct Target {
    pub(super) address: SocketAddr,
    pub(super) app: App,
    process: Option<Process>,
}

/// A `tim serve` of our own, stopped when it is no longer needed.
struct Process {
    child: Child,
    /// Kept open: a program that cannot print any more may end.
    _out: BufReader<ChildStdout>,
    /// Until the process is gone.
    data: Option<tempfile::TempDir>,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has nothing worth keeping.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Target {
    /// A hub that runs already.
    pub(super) fn existing(address: SocketAddr, data: Option<PathBuf>) -> Result<Self, Failure> {
        let data = DataDir::new(data)?;
        let app_id = data
            .endpoint()?
            .map_or(DEFAULT_APP_ID, |endpoint| endpoint.app_id);
        let Some(key) = data.key()? else {
            return Err(Failure::credentials("the hub's app key is not here")
                .hint("name the hub's data directory with --data DIR: the senders' signatures are made with its key"));
        };
        Ok(Self {
            address,
            app: App::new(app_id, key),
            process: None,
        })
    }

    /// A hub of our own on an empty directory, whose groups take as much as comes.
    pub(super) fn own() -> Result<Self, Failure> {
        Self::start(directory()?, 0)
    }

    /// A hub of our own on this directory. Its groups take so many messages a second; 0 is no limit.
    pub(super) fn start(data: tempfile::TempDir, group_rate: u32) -> Result<Self, Failure> {
        let key = DataDir::new(Some(data.path().to_owned()))?.key_or_new()?.0;
        let program = std::env::current_exe().map_err(Failure::failed)?;
        let mut child = Command::new(program)
            .args(["serve", "--listen", "127.0.0.1:0", "--log", "error"])
            .args(["--send-rate", "0", "--group-rate", &group_rate.to_string()])
            .arg("--data")
            .arg(data.path())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(Failure::failed)?;
        let mut out = BufReader::new(
            child
                .stdout
                .take()
                .ok_or_else(|| Failure::failed("the hub has no output"))?,
        );
        let mut line = String::new();
        let read = out.read_line(&mut line);
        let process = Process {
            child,
            _out: out,
            data: Some(data),
        };
        read.map_err(Failure::failed)?;
        let address = line
            .strip_prefix("listening at ")
            .and_then(|rest| rest.split(',').next()?.parse().ok());
        let address = address.ok_or_else(|| Failure::failed("the hub did not start"))?;
        Ok(Self {
            address,
            app: App::new(DEFAULT_APP_ID, key),
            process: Some(process),
        })
    }

    /// Stops a hub of our own and gives back its directory.
    pub(super) fn stop(mut self) -> Option<tempfile::TempDir> {
        self.process.as_mut()?.data.take()
    }

    /// The same hub, for a task of its own; it is not stopped by this one.
    pub(super) const fn remote(address: SocketAddr, app: App) -> Self {
        Self {
            address,
            app,
            process: None,
        }
    }

    /// A UserSig for a user of the measurement.
    pub(super) fn sig(&self, user: &UserId) -> String {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        UserSig::sign(&self.app, user, now, 3600)
    }

    /// How much memory the hub's process holds, in bytes; `None` for a hub that is not ours, or without /proc.
    pub(super) fn memory(&self) -> Option<u64> {
        memory_of(&self.process.as_ref()?.child.id().to_string())
    }

    /// How long the hub's threads have had a core, all together; `None` as above.
    pub(super) fn core_time(&self) -> Option<Duration> {
        let id = self.process.as_ref()?.child.id();
        let mut time = Duration::ZERO;
        for thread in std::fs::read_dir(format!("/proc/{id}/task")).ok()? {
            let stat = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
            time += Duration::from_nanos(stat.split(' ').next()?.parse().ok()?);
        }
        Some(time)
    }
}

/// An empty directory that goes when it is no longer held.
pub(super) fn directory() -> Result<tempfile::TempDir, Failure> {
    tempfile::tempdir().map_err(Failure::failed)
}

/// How much memory a process holds, by its place in /proc.
pub(super) fn memory_of(process: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
