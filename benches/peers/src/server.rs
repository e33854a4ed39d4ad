//! A server as a child process, on a free port of the loopback interface, with a temporary directory.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command as StdCommand, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tempfile::TempDir;
use tim_bench::{Counters, Meter};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::{Failure, Result};

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long it may take to stop.
const STOP: Duration = Duration::from_secs(20);
const RETRY: Duration = Duration::from_millis(20);

/// A process that is asked to stop when dropped, and waited for.
pub(crate) struct Process(pub(crate) Child);

impl Process {
    /// Starts it.
    pub(crate) fn spawn(command: &mut Command) -> Result<Self> {
        Ok(Self(command.stdin(Stdio::null()).kill_on_drop(true).spawn()?))
    }
}

impl Process {
    /// Asks it to stop and waits until it has, without taking its counters away. Returns whether it did in time.
    fn stop(&mut self) -> bool {
        // All of ours stop at SIGINT, whatever their clients do. One that is killed may leave files or shared memory behind.
        let process = self
            .0
            .id()
            .and_then(|process| Pid::from_raw(process.cast_signed()));
        let Some(process) = process.filter(|process| kill_process(*process, Signal::INT).is_ok()) else {
            return true;
        };
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let end = Instant::now() + STOP;
        while matches!(waitid(WaitId::Pid(process), options), Ok(None)) {
            if Instant::now() >= end {
                return false;
            }
            std::thread::sleep(RETRY);
        }
        true
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // What still runs is killed with the child.
        self.stop();
        let _ = self.0.try_wait();
    }
}

/// A running server. It is stopped when dropped, and its directory removed.
pub(crate) struct Server {
    process: Process,
    pub(crate) port: u16,
    /// What is in it goes after the process.
    pub(crate) directory: TempDir,
}

impl Server {
    /// Starts a server; `directory` has its files.
    pub(crate) fn start(mut command: Command, directory: TempDir, port: u16) -> Result<Self> {
        let log = fs::File::create(directory.path().join("bench.log"))?;
        let process = Process::spawn(command.stdout(log.try_clone()?).stderr(log))?;
        Ok(Self {
            process,
            port,
            directory,
        })
    }

    /// What the server costs.
    pub(crate) fn meter(&self) -> Result<Meter> {
        let process = self.process.0.id().ok_or("the server has ended")?;
        Ok(Meter::new(process, self.directory.path()))
    }

    /// Stops the server and returns its counters at the end: what it wrote while it stopped is in them.
    pub(crate) fn stop_in_order(mut self) -> Result<Counters> {
        let meter = self.meter()?;
        match self.process.stop() {
            true => Ok(meter.read()),
            false => Err(format!("it did not stop within {} s", STOP.as_secs()).into()),
        }
    }

    /// What `connect` returns, once the server is ready.
    pub(crate) async fn connected<T>(&mut self, connect: impl AsyncFn(u16) -> Result<T>) -> Result<T> {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.process.0.try_wait()? {
                return Err(self.failed(&format!("it ended: {status}")));
            }
            match tokio::time::timeout_at(end, connect(self.port)).await {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(error)) if Instant::now() >= end => return Err(self.failed(&error.to_string())),
                Ok(Err(_)) => tokio::time::sleep(RETRY).await,
                Err(_) => return Err(self.failed("it does not answer")),
            }
        }
    }

    /// Why the server did not start, with the end of its log.
    fn failed(&self, reason: &str) -> Failure {
        let log = fs::read_to_string(self.directory.path().join("bench.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(5).collect();
        let end: Vec<&str> = lines.into_iter().rev().collect();
        format!("the server did not start: {reason}\n{}", end.join("\n")).into()
    }
}

/// A port that nothing listens on now.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// A program of this name, also where only root's PATH leads.
pub(crate) fn find(program: &str, more: &[PathBuf]) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(usual)
        .chain(more.iter().cloned())
        .map(|directory| directory.join(program))
        .find(|program| program.is_file())
        .ok_or_else(|| format!("{program} is not installed").into())
}

/// What a program says about its version.
pub(crate) fn version(program: &Path) -> String {
    let ran = StdCommand::new(program).arg("--version").output();
    let text = ran
        .map(|ran| [ran.stdout, ran.stderr].concat())
        .unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    text.lines().next().unwrap_or_default().trim().to_owned()
}

/// A user that a server runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl User {
    /// The user of this name in the text of `/etc/passwd`.
    fn find(passwd: &str, name: &str) -> Option<Self> {
        let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut numbers = line.split(':').skip(2);
        Some(Self {
            uid: numbers.next()?.parse().ok()?,
            gid: numbers.next()?.parse().ok()?,
        })
    }

    /// Whether this process is root's.
    pub(crate) fn is_root() -> Result<bool> {
        Ok(fs::metadata("/proc/self")?.uid() == 0)
    }

    /// Whom a server that refuses to run as root runs as: `name`, if this process is root's.
    pub(crate) fn instead_of_root(name: &str) -> Result<Option<Self>> {
        if !Self::is_root()? {
            return Ok(None);
        }
        let user = Self::find(&fs::read_to_string("/etc/passwd")?, name);
        Ok(Some(user.ok_or_else(|| format!("there is no user {name}"))?))
    }

    /// Gives it a directory.
    pub(crate) fn give(self, directory: &Path) -> Result<()> {
        Ok(chown(directory, Some(self.uid), Some(self.gid))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_their_whole_name() {
        let passwd =
            "postgresql:x:1:2::/:/bin/sh\npostgres:x:104:110:PostgreSQL,,,:/var/lib/postgresql:/bin/bash\n";
        assert_eq!(User::find(passwd, "postgres"), Some(User { uid: 104, gid: 110 }));
        assert_eq!(User::find(passwd, "post"), None);
    }

    #[tokio::test]
    async fn a_server_that_ends_says_why() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such option; exit 3"]);
        let directory = tempfile::tempdir().expect("a directory");
        let mut server = Server::start(command, directory, 1).expect("a shell");
        let never = async |_| -> Result<()> { Err("refused".into()) };
        let error = server.connected(never).await.expect_err("it ended").to_string();
        assert!(
            error.contains("exit status: 3") && error.contains("no such option"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_server_is_asked_to_stop_before_its_directory_goes() {
        let mut command = Command::new("sh");
        let directory = tempfile::tempdir().expect("a directory");
        let kept = tempfile::NamedTempFile::new().expect("a file");
        command
            .args([
                "-c",
                r#"trap 'echo stopped >"$0"; exit' INT; echo ready >"$1"; while :; do sleep 0.01; done"#,
            ])
            .arg(kept.path())
            .arg(directory.path().join("ready"));
        let (path, ready) = (directory.path().to_owned(), directory.path().join("ready"));
        let mut server = Server::start(command, directory, 1).expect("a shell");
        let is_ready = async |_| match fs::read_to_string(&ready)?.trim() {
            "ready" => Ok(()),
            other => Err(other.into()),
        };
        server.connected(is_ready).await.expect("it starts");
        let end = server.stop_in_order().expect("its end");
        assert!(end.since(&end).cpu.is_some(), "it can be read after its end");
        assert_eq!(fs::read_to_string(kept.path()).expect("a file"), "stopped\n");
        assert!(!path.exists());
    }

    #[test]
    fn what_is_not_installed_is_said() {
        let error = find("a-server-of-no-name", &[]).expect_err("no such program");
        assert_eq!(error.to_string(), "a-server-of-no-name is not installed");
    }
}
