//! The hub as a process: `tim serve`.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;

/// The app of the hubs. They listen at the loopback interface for as long as a run lasts.
pub(crate) const APP: u32 = 1_400_000_000;
/// How long a hub may take to start or to stop.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Where hubs listen. An address of its own, so that no other process takes the port between two starts.
const HOST: &str = if cfg!(target_os = "linux") {
    "127.113.7.19"
} else {
    "127.0.0.1"
};

/// How to start hubs on one data directory.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    /// The program `tim`.
    pub(crate) program: PathBuf,
    pub(crate) data: PathBuf,
    /// What the hubs write to stderr is appended to this file.
    pub(crate) log: PathBuf,
    /// Where they listen; port 0 before the first one has started.
    pub(crate) listen: String,
    /// The database, instead of the data directory.
    pub(crate) store: Option<String>,
    /// Where they say whether they are ready.
    pub(crate) metrics: Option<SocketAddr>,
}

/// A hub that may not listen yet. It is killed when dropped.
#[derive(Debug)]
pub(crate) struct Hub {
    child: Child,
    lines: Receiver<String>,
}

/// How the start of a hub ended.
#[derive(Debug)]
pub(crate) enum Started {
    /// It listens at this address.
    Listening(String),
    /// It has ended, with this exit code; none if a signal ended it.
    Ended(#[allow(dead_code)] Option<i32>), // shown in errors
    /// Neither.
    Hangs,
}

impl Setup {
    pub(crate) fn new(program: &Path, data: &Path, log: &Path) -> Self {
        Self {
            program: program.to_owned(),
            data: data.to_owned(),
            log: log.to_owned(),
            listen: format!("{HOST}:0"),
            store: None,
            metrics: None,
        }
    }

    /// On this database, with `/readyz` at a port that is free now.
    pub(crate) fn on_database(self, store: &str) -> Result<Self> {
        let free = TcpListener::bind((HOST, 0))?.local_addr()?;
        Ok(Self {
            store: Some(store.to_owned()),
            metrics: Some(free),
            ..self
        })
    }

    /// Starts a process and does not wait for it.
    pub(crate) fn spawn(&self) -> Result<Hub> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TIM_") {
                command.env_remove(name);
            }
        }
        command
            .args(["serve", "--listen", &self.listen, "--log", "warn"])
            // A slow machine must not make a revocation too late.
            .args([
                "--revoke-window",
                "1d",
                "--send-rate",
                "0",
                "--request-rate",
                "0",
                "--group-rate",
                "0",
                "--data",
            ])
            .arg(&self.data)
            .args(self.store.iter().flat_map(|store| ["--store", store]))
            .args(
                self.metrics
                    .iter()
                    .flat_map(|address| ["--metrics".to_owned(), address.to_string()]),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut child = command
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", self.program.display()))?;
        let out = child.stdout.take().ok_or("the hub has no output")?;
        Ok(Hub {
            child,
            lines: lines_of(out),
        })
    }

    /// Starts a hub and waits until it listens. Later ones listen at the same address.
    pub(crate) fn start(&mut self) -> Result<Hub> {
        let mut hub = self.spawn()?;
        match hub.wait_for_start()? {
            Started::Listening(address) => {
                self.listen = address;
                Ok(hub)
            }
            ended => Err(format!("the hub does not start ({ended:?}): {}", self.logged()).into()),
        }
    }

    /// Starts a hub again at the same address; again if it does not start, as while the database does not answer yet.
    pub(crate) fn start_again(&self) -> Result<Hub> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut hub = self.spawn()?;
            match hub.wait_for_start()? {
                Started::Listening(_) => return Ok(hub),
                Started::Ended(_) if Instant::now() < deadline => thread::sleep(Duration::from_millis(50)),
                ended => {
                    return Err(
                        format!("the hub does not start again ({ended:?}): {}", self.logged()).into(),
                    );
                }
            }
        }
    }

    /// Waits until `/readyz` says this.
    pub(crate) fn wait_for_readiness(&self, is_ready: bool) -> Result<()> {
        let address = self.metrics.ok_or("no address of /readyz")?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let response = ask(address, "/readyz");
            let status = if is_ready { "200" } else { "503" };
            let is_so = response
                .as_ref()
                .is_ok_and(|text| text.split(' ').nth(1) == Some(status));
            if is_so {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(format!("/readyz does not say {status}: {response:?}").into());
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// What hubs have written to stderr that no fault of these tests may cause.
    pub(crate) fn alarms(&self) -> Vec<String> {
        alarms_in(&self.logged())
    }

    /// What all hubs have written to stderr.
    pub(crate) fn logged(&self) -> String {
        fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }
}

/// The lines of a hub's log that no fault of these tests may cause.
pub(crate) fn alarms_in(log: &str) -> Vec<String> {
    let alarms = ["panicked", "damaged", "lost acknowledged"];
    let lines = log
        .lines()
        .filter(|line| alarms.iter().any(|alarm| line.contains(alarm)));
    lines.map(|line| format!("the hub's log: {line}")).collect()
}

/// The response of HTTP to a GET.
fn ask(address: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n"
    )?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    Ok(response)
}

/// The lines of the output, read on a thread of its own so that one can wait for them with a time limit.
fn lines_of(out: ChildStdout) -> Receiver<String> {
    let (sender, lines) = channel();
    thread::spawn(move || {
        for line in BufReader::new(out).lines().map_while(std::result::Result::ok) {
            // Read on even if nobody wants the lines any more: a full pipe would block the hub.
            let _ = sender.send(line);
        }
    });
    lines
}

impl Hub {
    pub(crate) fn wait_for_start(&mut self) -> Result<Started> {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    let rest = line.strip_prefix("listening at tim://");
                    if let Some(address) = rest.and_then(|rest| rest.split(',').next()) {
                        return Ok(Started::Listening(address.to_owned()));
                    }
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Ok(match self.wait(PATIENCE)? {
                        Some(code) => Started::Ended(code),
                        None => Started::Hangs,
                    });
                }
                Err(RecvTimeoutError::Timeout) => return Ok(Started::Hangs),
            }
        }
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) -> Result<()> {
        #[cfg(unix)]
        if let Some(id) = rustix::process::Pid::from_raw(i32::try_from(self.child.id())?) {
            rustix::process::kill_process(id, rustix::process::Signal::TERM)?;
        }
        Ok(())
    }

    /// SIGSTOP: returns when no thread of the process runs any more, though some may still be inside a system call.
    pub(crate) fn freeze(&self) -> Result<()> {
        #[cfg(unix)]
        if let Some(id) = rustix::process::Pid::from_raw(i32::try_from(self.child.id())?) {
            rustix::process::kill_process(id, rustix::process::Signal::STOP)?;
        }
        let deadline = Instant::now() + PATIENCE;
        while self.is_running()? {
            if Instant::now() >= deadline {
                return Err("the hub does not stop at SIGSTOP".into());
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Whether a thread of the process is neither stopped nor in a system call that cannot be interrupted (Linux).
    fn is_running(&self) -> Result<bool> {
        let mut is_running = false;
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let stat = fs::read_to_string(task?.path().join("stat"))?;
            // The state follows the name, which is in parentheses.
            let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
            is_running |= !matches!(state, Some('T' | 't' | 'D' | 'Z' | 'X'));
        }
        Ok(is_running)
    }

    /// SIGTERM, and waits for the end.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.terminate()?;
        match self.wait(PATIENCE)? {
            Some(Some(0)) => Ok(()),
            other => Err(format!("the hub does not stop as it should: {other:?}").into()),
        }
    }

    /// Waits for the end of the process; `None` if it goes on. Inside: the exit code, none after a signal.
    pub(crate) fn wait(&mut self, patience: Duration) -> Result<Option<Option<i32>>> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status.code()));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
