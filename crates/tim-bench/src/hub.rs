//! The hub under measurement: a running one, or a process of our own.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tim_bench::{Counters, Meter, memory_of};
use tim_hub::{CallbackCommand, CallbackOptions, Endpoint, HttpOptions, Hub, HubOptions};
use tim_proto::UserId;
use tim_proto::vendor::limits::Limits;
use tim_store_sqlite as sqlite;
use tim_transport_std::{Address, AnyConnector, ConnectOptions, Connector as _};
use tim_usersig::{App, UserSig};
use tokio::io::AsyncBufReadExt as _;
use tokio::net::TcpListener;

use crate::Result;
use crate::callbacks::Counts;
use crate::commits::{CommitTimes, Commits};

/// Connections that a hub of our own accepts, unless more are wanted.
const MAX_CONNECTIONS: u32 = 20_000;
/// Messages in its pages of history, so that much is read back quickly.
const PAGE: u32 = 200;
/// How long a hub may take to stop.
const STOP: Duration = Duration::from_secs(120);
/// The calls that make a file durable.
const SYNC_CALLS: &str = "fsync,fdatasync,sync,syncfs,sync_file_range,msync";
/// The key of hubs of our own. They live as long as a measurement, on the loopback interface, so it is no secret.
const KEY: &str = "a key for one measurement";
/// What a hub of our own is asked for on its input; it answers with a line.
const CLEAR: &str = "clear";
const COMMITS: &str = "commits";
const CALLBACKS: &str = "callbacks";

/// The app of hubs of our own.
pub(crate) fn own_app() -> App {
    App::new(1_400_000_000, KEY)
}

/// The administrator of the REST interface.
pub(crate) const ADMIN: &str = "administrator";

/// How a hub of our own differs from others.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Setup {
    /// Messages that each group accepts a second; 0 is no limit.
    pub(crate) group_rate: u32,
    /// How long it keeps messages, in seconds; 0: as long as any hub.
    pub(crate) retention: u64,
    /// How often it removes what is older, in milliseconds; 0: as often as any hub.
    pub(crate) retention_every: u64,
    /// Connections that it accepts, if they are more than usual.
    pub(crate) connections: u32,
    /// Whether it limits requests, logins and addresses as any hub does.
    pub(crate) limits_requests: bool,
    /// Whether it notes how long its commits take.
    pub(crate) notes_commits: bool,
    /// Whether it serves the REST interface, with [`ADMIN`] as its administrator.
    pub(crate) serves_rest: bool,
    /// The application's server that it asks about messages and tells of them; empty: none.
    pub(crate) callback_url: String,
    /// How long it waits for an answer, in milliseconds.
    pub(crate) callback_timeout_ms: u64,
    /// The program `tim` that is the hub, instead of this one. It knows none of the other settings but the group rate.
    #[serde(skip)]
    pub(crate) program: Option<PathBuf>,
}

/// Runs a hub on `data` until stdin closes, and prints its address: what [`Target::start`] starts.
pub(crate) async fn run(data: &Path, setup: &str) -> Result<()> {
    let setup: Setup = serde_json::from_str(setup)?;
    let mut options = HubOptions::new(own_app());
    options.max_account_bytes = 0;
    options.max_conversations = 0;
    if !setup.limits_requests {
        options.sends_per_second = 0;
        options.requests_per_second = 0;
        options.address_requests_per_second = 0;
        options.max_connections_per_address = 0;
        options.accounts_per_hour = 0;
    }
    options.max_connections = MAX_CONNECTIONS.max(setup.connections) as usize;
    options.limits = Limits::new()
        .with_group_messages_per_second(setup.group_rate)
        .with_page_messages(PAGE);
    if setup.retention > 0 {
        options.limits = options.limits.with_retention_seconds(setup.retention);
    }
    if setup.retention_every > 0 {
        options.purge_interval = Duration::from_millis(setup.retention_every);
    }
    if setup.serves_rest {
        options.admins = vec![UserId::new(ADMIN)?];
        options.rest_calls_per_second = 0;
    }
    if !setup.callback_url.is_empty() {
        let mut callbacks = CallbackOptions::new(Endpoint::new(setup.callback_url));
        callbacks.commands = vec![CallbackCommand::BeforeC2c, CallbackCommand::AfterC2c];
        callbacks.timeout = Duration::from_millis(setup.callback_timeout_ms);
        options.callbacks = Some(callbacks);
    }
    let commits = Commits::default();
    let hub = match setup.notes_commits {
        true => Hub::with_store(options, commits.watch(sqlite::open(data)?.into()))?,
        false => Hub::open(data, options)?,
    };
    let hub = Arc::new(hub);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    if !setup.serves_rest {
        writeln!(io::stdout(), "{address}")?;
        return Ok(hub.serve(listener, obey(&commits, &hub)).await?);
    }
    let http = TcpListener::bind("127.0.0.1:0").await?;
    writeln!(io::stdout(), "{address},{}", http.local_addr()?)?;
    let mut options = HttpOptions::new("http://localhost");
    (options.max_connections, options.max_connections_per_address) = (MAX_CONNECTIONS as usize, 0);
    // The hub stops when its input has ended, and ends this with it.
    let calls = hub.serve_http(http, options, std::future::pending());
    let (served, called) = tokio::join!(hub.serve(listener, obey(&commits, &hub)), calls);
    Ok(served.and(called)?)
}

/// Answers what the parent asks for, until it has left.
async fn obey(commits: &Commits, hub: &Hub) {
    let mut lines = tokio::io::BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let answer = match &*line {
            CLEAR => {
                commits.clear();
                String::new()
            }
            CALLBACKS => {
                let counted = hub.stats().callbacks;
                let counts = Counts {
                    answered: counted.answered,
                    failed: counted.failed,
                    skipped: counted.skipped,
                    waiting: counted.waiting as u64,
                    dropped: counted.dropped,
                };
                serde_json::to_string(&counts).unwrap_or_default()
            }
            COMMITS => serde_json::to_string(&commits.times()).unwrap_or_default(),
            _ => return,
        };
        if writeln!(io::stdout(), "{answer}").is_err() {
            return;
        }
    }
}

/// A hub to measure.
pub(crate) struct Target {
    pub(crate) address: Address,
    /// Which hubs are trusted, for those with TLS.
    options: ConnectOptions,
    pub(crate) app: App,
    /// Where it serves HTTP, if it is a hub of our own that does.
    http: Option<SocketAddr>,
    process: Option<Process>,
    /// A running hub on this machine, and its data directory.
    local: Option<(u32, PathBuf)>,
}

/// A hub in a process of its own, stopped when dropped.
struct Process {
    child: Child,
    /// Our own program ends when this closes, also if this process is killed.
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    setup: Setup,
    /// What strace writes, if the process is strace with the hub as its child.
    trace: Option<tempfile::NamedTempFile>,
    /// What the data took on the disk before.
    allocated: u64,
    /// Outlives the process.
    data: Option<tempfile::TempDir>,
}

impl Process {
    /// Asks the hub to stop.
    fn ask_to_stop(&mut self) {
        drop(self.stdin.take());
        #[cfg(unix)]
        if self.setup.program.is_some() {
            use rustix::process::{Pid, Signal, kill_process};
            // One that has ended already is as good.
            let _ = kill_process(Pid::from_child(&self.child), Signal::INT);
        }
    }

    /// Waits until the process has ended, and leaves its counters there to be read. Returns whether it did in time.
    fn wait_for_end(&mut self) -> Result<bool> {
        let start = Instant::now();
        while start.elapsed() < STOP {
            #[cfg(unix)]
            let has_ended = {
                use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
                let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
                waitid(WaitId::Pid(Pid::from_child(&self.child)), options)?.is_some()
            };
            #[cfg(not(unix))]
            let has_ended = self.child.try_wait()?.is_some();
            if has_ended {
                return Ok(true);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(false)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.trace.is_some() {
            // The hub is the tracer's child and would outlive it.
            self.ask_to_stop();
            let _ = self.wait_for_end();
        }
        // Nothing in it is worth keeping.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A hub of our own that was asked to stop and has stopped.
pub(crate) struct Stopped {
    pub(crate) data: tempfile::TempDir,
    /// Its counters at the end: what it wrote while it stopped is in them.
    pub(crate) counters: Option<Counters>,
    /// By how much its data have grown on the disk.
    pub(crate) grown: u64,
    setup: Setup,
    trace: Option<tempfile::NamedTempFile>,
}

impl Stopped {
    /// Starts the hub again, as it was but for strace.
    pub(crate) fn restart(self) -> Result<Target> {
        Target::start_as(self.data, self.setup)
    }

    /// The calls that strace has counted in all of the hub's life.
    pub(crate) fn sync_calls(&self) -> Result<u64> {
        count_calls(self.trace.as_ref())
    }
}

fn count_calls(trace: Option<&tempfile::NamedTempFile>) -> Result<u64> {
    let trace = trace.ok_or("the hub is not traced")?;
    let lines = fs::read_to_string(trace.path())?;
    // A call that another thread's interrupts has a second line, without its arguments.
    Ok(lines.lines().filter(|line| !line.contains(" resumed>")).count() as u64)
}

impl Target {
    /// A running hub with this data directory; `process` is its number, if it runs on this machine.
    pub(crate) fn existing(
        address: Address,
        options: ConnectOptions,
        data: &Path,
        process: Option<u32>,
    ) -> Result<Self> {
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
            options,
            app: App::new(endpoint.app_id, read("app.key")?.trim()),
            http: None,
            process: None,
            local: process.map(|process| (process, data.to_owned())),
        })
    }

    /// A hub of our own on this directory. Each group accepts `group_rate` messages per second; 0 is no limit.
    pub(crate) fn start(data: tempfile::TempDir, group_rate: u32) -> Result<Self> {
        let setup = Setup {
            group_rate,
            ..Setup::default()
        };
        Self::start_as(data, setup)
    }

    /// A hub of our own on this directory.
    pub(crate) fn start_as(data: tempfile::TempDir, setup: Setup) -> Result<Self> {
        let Some(tim) = &setup.program else {
            let command = Command::new(std::env::current_exe()?);
            return Self::spawn(command, None, data, setup);
        };
        let mut command = Command::new(tim);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TIM_") {
                command.env_remove(name);
            }
        }
        // Variables, because an older program ignores those that it does not know.
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(data.path())
            .env("TIM_KEY", KEY)
            .env("TIM_LOG", "error")
            .env("TIM_SEND_RATE", "0")
            .env("TIM_REQUEST_RATE", "0")
            .env("TIM_ADDRESS_RATE", "0")
            .env("TIM_ACCOUNT_RATE", "0")
            .env("TIM_MAX_ADDRESS_CONNECTIONS", "0")
            .env("TIM_GROUP_RATE", setup.group_rate.to_string());
        Self::spawn(command, None, data, setup)
    }

    /// A hub of our own under strace, which counts its calls that make files durable and stops it for no other call.
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
        Self::spawn(strace, Some(trace), data, Setup::default())
            .map_err(|error| format!("counting syncs needs strace, and the right to trace: {error}").into())
    }

    fn spawn(
        mut command: Command,
        trace: Option<tempfile::NamedTempFile>,
        data: tempfile::TempDir,
        setup: Setup,
    ) -> Result<Self> {
        if setup.program.is_none() {
            command.arg("--run-hub").arg(data.path());
            command.args(["--hub-setup", &serde_json::to_string(&setup)?]);
        }
        let allocated = tim_bench::allocated(data.path())?;
        let program = command.get_program().to_owned();
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.map_err(|error| format!("cannot run {}: {error}", program.display()))?;
        let stdin = child.stdin.take().ok_or("the hub has no input")?;
        let stdout = child.stdout.take().ok_or("the hub has no output")?;
        let mut process = Process {
            child,
            stdin: Some(stdin),
            stdout: BufReader::new(stdout),
            setup,
            trace,
            allocated,
            data: Some(data),
        };
        let mut line = String::new();
        process.stdout.read_line(&mut line)?;
        let address = address_in(&line).ok_or("the hub did not start")?;
        let http = line
            .trim()
            .split_once(',')
            .and_then(|(_, http)| http.parse().ok());
        Ok(Self {
            address: address.into(),
            options: ConnectOptions::new(),
            app: own_app(),
            http,
            process: Some(process),
            local: None,
        })
    }

    /// Kills a hub of our own and returns its directory.
    pub(crate) fn stop(mut self) -> Option<tempfile::TempDir> {
        self.process.as_mut()?.data.take()
    }

    /// Whether this value stops the hub.
    pub(crate) const fn is_own(&self) -> bool {
        self.process.is_some()
    }

    /// Whether the hub's data may be made before it starts: another program may be too old for data of this one.
    pub(crate) fn is_prepared(&self) -> bool {
        self.process
            .as_ref()
            .is_some_and(|process| process.setup.program.is_none())
    }

    /// Stops a hub of our own in order. It blocks until all that waits is written.
    pub(crate) fn stop_in_order(mut self) -> Result<Stopped> {
        let meter = self.meter();
        let process = self.process.as_mut().ok_or("this hub is not ours to stop")?;
        process.ask_to_stop();
        if !process.wait_for_end()? {
            return Err(format!("the hub did not stop within {} s", STOP.as_secs()).into());
        }
        let counters = meter.map(|meter| meter.read());
        let status = process.child.wait()?;
        if !status.success() {
            return Err(format!("the hub failed: {status}").into());
        }
        let data = process.data.take().ok_or("the hub has no data")?;
        let grown = tim_bench::allocated(data.path())?.saturating_sub(process.allocated);
        Ok(Stopped {
            data,
            counters,
            grown,
            setup: process.setup.clone(),
            trace: process.trace.take(),
        })
    }

    /// Begins to note how long commits take.
    pub(crate) fn clear_commits(&mut self) -> Result<()> {
        self.ask(CLEAR).map(drop)
    }

    /// How long commits took since [`clear_commits`](Self::clear_commits).
    pub(crate) fn commits(&mut self) -> Result<CommitTimes> {
        Ok(serde_json::from_str(&self.ask(COMMITS)?)?)
    }

    /// What it has counted of callbacks.
    pub(crate) fn callbacks(&mut self) -> Result<Counts> {
        Ok(serde_json::from_str(&self.ask(CALLBACKS)?)?)
    }

    fn ask(&mut self, question: &str) -> Result<String> {
        let process = self.process.as_mut().ok_or("this hub is not ours to ask")?;
        let stdin = process.stdin.as_mut().ok_or("the hub has no input")?;
        writeln!(stdin, "{question}")?;
        stdin.flush()?;
        let mut line = String::new();
        process.stdout.read_line(&mut line)?;
        Ok(line)
    }

    /// A hub that this value does not stop.
    pub(crate) fn remote(address: SocketAddr, app: App) -> Self {
        Self {
            address: address.into(),
            options: ConnectOptions::new(),
            app,
            http: None,
            process: None,
            local: None,
        }
    }

    /// The same hub, which the copy does not stop.
    pub(crate) fn share(&self) -> Self {
        Self {
            address: self.address.clone(),
            options: self.options.clone(),
            app: self.app.clone(),
            http: None,
            process: None,
            local: None,
        }
    }

    /// Where it serves HTTP.
    pub(crate) const fn http(&self) -> Option<SocketAddr> {
        self.http
    }

    /// A connector of its clients.
    pub(crate) fn connector(&self) -> Result<AnyConnector> {
        Ok(AnyConnector::new(&self.address, &self.options)?)
    }

    /// Connects once: a bot tries for as long as it takes, without a word.
    pub(crate) async fn reach(&self) -> Result<()> {
        let connection = self.connector()?.connect().await;
        connection.map_err(|error| format!("cannot reach a hub at {}: {error}", self.address))?;
        Ok(())
    }

    /// Where it listens, for what is measured over TCP alone.
    pub(crate) fn socket(&self) -> Result<SocketAddr> {
        let address = &self.address;
        match address {
            Address::Tcp(place) => {
                let found = std::net::ToSocketAddrs::to_socket_addrs(&place.to_string())?.next();
                found.ok_or_else(|| format!("there is no address for {address}").into())
            }
            _ => Err(format!("this is measured at tim:// addresses only, not at {address}").into()),
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
    pub(crate) fn process(&self) -> Option<u32> {
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

    /// The calls that strace has counted until now.
    pub(crate) fn sync_calls(&self) -> Result<u64> {
        count_calls(self.process.as_ref().and_then(|process| process.trace.as_ref()))
    }
}

/// The address in the first line of a hub, of this version or of one that names no kind of address.
fn address_in(line: &str) -> Option<SocketAddr> {
    let line = line
        .trim()
        .trim_start_matches("listening at ")
        .trim_start_matches("tim://");
    line.split(',').next()?.parse().ok()
}

/// Files that a hub, or this program, opens besides connections.
const SPARE_FILES: u32 = 100;

/// How many connections one process may have here; `None` for as many as it wants.
pub(crate) fn most_connections() -> Option<u32> {
    #[cfg(unix)]
    {
        let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum?;
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        Some(most.saturating_sub(SPARE_FILES).max(1))
    }
    #[cfg(not(unix))]
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_programs_say_where_they_listen() {
        let address: SocketAddr = "127.0.0.1:7878".parse().expect("an address");
        for line in [
            "127.0.0.1:7878\n",
            "listening at tim://127.0.0.1:7878, app 1400000000, data in /tmp/a, b\n",
            "listening at 127.0.0.1:7878, app 1400000000, data in /tmp/a, b\n",
        ] {
            assert_eq!(address_in(line), Some(address), "{line}");
        }
        for line in ["", "error: no\n", "listening at nowhere, app 1"] {
            assert_eq!(address_in(line), None, "{line}");
        }
    }
}
