//! The kiosk's firmware in QEMU, and its console.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::Notify;

use crate::build::{firmware, tools};
use crate::{Board, Cable};

/// A kiosk that runs; ends with the value.
pub struct Kiosk {
    child: Child,
    monitor: OwnedWriteHalf,
    /// What a person sees and types.
    pub console: Console,
    /// How often it was reset.
    resets: usize,
    /// The page of its flash with its number, for as long as QEMU may read it.
    number: Option<tempfile::NamedTempFile>,
}

impl Kiosk {
    /// Switches a kiosk on, whose line is this cable.
    pub async fn start(board: Board, cable: &Cable) -> Self {
        Self::start_with(board, cable, "", &[]).await
    }

    /// Switches on the kiosk with this number, one of several; its number also precedes what is printed of its console.
    pub async fn start_numbered(board: Board, cable: &Cable, number: u64) -> Self {
        let mut page = tempfile::NamedTempFile::new().expect("a temporary file");
        page.write_all(&number.to_le_bytes()).expect("it can be written");
        // As a file: QEMU does not write a bare number into what is read-only.
        let (path, at) = (page.path().display(), board.number_at());
        let written = format!("loader,file={path},addr={at:#x},force-raw=on");
        let mut kiosk = Self::start_with(board, cable, &number.to_string(), &["-device", &written]).await;
        kiosk.number = Some(page);
        kiosk
    }

    /// Switches a board on with this firmware.
    pub async fn start_firmware(board: Board, firmware: PathBuf, cable: &Cable) -> Self {
        Self::run(board, firmware, cable, "", &[]).await
    }

    async fn start_with(board: Board, cable: &Cable, name: &str, more: &[&str]) -> Self {
        let firmware = tokio::task::spawn_blocking(move || firmware(board))
            .await
            .expect("it was built");
        Self::run(board, firmware, cable, name, more).await
    }

    async fn run(board: Board, firmware: PathBuf, cable: &Cable, name: &str, more: &[&str]) -> Self {
        let (listener, console) = socket("console").await;
        let (monitor_listener, monitor) = socket("monitor").await;
        let child = command(board, firmware, [&console, &monitor], cable.address)
            .args(more)
            .stdin(Stdio::null())
            .spawn()
            .expect("QEMU starts");
        // QEMU connects to the console before it starts the machine, so nothing said there is lost.
        let (stream, _) = listener.accept().await.expect("QEMU connects");
        let (monitor, _) = monitor_listener.accept().await.expect("QEMU connects");
        Self {
            child,
            monitor: commands(monitor),
            console: Console::new(stream, name),
            resets: 0,
            number: None,
        }
    }

    /// Resets the board, between any two instructions. What is in flash stays; what was on its way to the screen is cut off.
    pub async fn reset(&mut self) {
        self.resets += 1;
        self.monitor
            .write_all(b"system_reset\n")
            .await
            .expect("QEMU runs");
    }

    /// It never started anew by itself, and QEMU still runs: a panic or a fault of the firmware is an end with 101.
    ///
    /// # Panics
    /// Otherwise.
    pub fn check_starts(&mut self) {
        let ended = self.child.try_wait().expect("its state is known");
        assert_eq!(ended, None, "{}", self.console.tail());
        let starts = self.console.all();
        let starts = starts.iter().filter(|line| line.contains("tim kiosk:")).count();
        assert_eq!(starts, 1 + self.resets, "the kiosk started anew");
    }

    /// How much processor time QEMU has used.
    #[must_use]
    pub fn processor_time(&self) -> Option<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()?)).ok()?;
        let ticks = stat.rsplit(')').next()?.split_whitespace().skip(11).take(2);
        let ticks: u64 = ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
        Some(Duration::from_millis(ticks * 10))
    }
}

/// A kiosk whose console is this program's terminal.
pub struct Terminal {
    child: Child,
    monitor: OwnedWriteHalf,
}

impl Terminal {
    /// Switches it on. Ctrl-C ends QEMU, which leaves the terminal as it was.
    pub async fn start(board: Board, firmware: PathBuf, cable: &Cable) -> Self {
        let (listener, monitor) = socket("monitor").await;
        let console = "stdio,id=console,signal=on";
        let child = command(board, firmware, [console, &monitor], cable.address)
            .spawn()
            .expect("QEMU starts");
        let (monitor, _) = listener.accept().await.expect("QEMU connects");
        Self {
            child,
            monitor: commands(monitor),
        }
    }

    /// Waits until QEMU has ended by itself.
    pub async fn ended(&mut self) {
        let _ = self.child.wait().await;
    }

    /// Ends QEMU, by force if it takes longer than this.
    pub async fn end(mut self, patience: Duration) {
        let _ = self.monitor.write_all(b"quit\n").await;
        if tokio::time::timeout(patience, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }
}

/// Takes QEMU's commands; what it says to them must not fill the socket.
fn commands(monitor: TcpStream) -> OwnedWriteHalf {
    let (mut said, monitor) = monitor.into_split();
    tokio::spawn(async move { tokio::io::copy(&mut said, &mut tokio::io::sink()).await });
    monitor
}

/// A socket for QEMU to connect to, and QEMU's argument for it.
async fn socket(id: &str) -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let (host, port) = (address.ip(), address.port());
    (
        listener,
        format!("socket,id={id},host={host},port={port},nodelay=on"),
    )
}

/// QEMU with the firmware, its console and its monitor there, and its line at `line`.
fn command(board: Board, firmware: PathBuf, [console, monitor]: [&str; 2], line: SocketAddr) -> Command {
    let line = format!(
        "socket,id=line,host={},port={},nodelay=on,reconnect=1",
        line.ip(),
        line.port()
    );
    let mut command = Command::new(&tools().expect("an emulator").qemu);
    command
        .args(["-M", board.machine(), "-display", "none"])
        .args(["-semihosting-config", "enable=on,target=native"])
        .args(["-chardev", console, "-serial", "chardev:console"])
        .args(["-chardev", monitor, "-mon", "chardev=monitor"])
        .args(["-chardev", &line, "-serial", "chardev:line", "-kernel"])
        .arg(firmware)
        .kill_on_drop(true);
    command
}

/// The console: a terminal of lines, and keys. What it shows is printed, too, with the time, for who looks into a failed test.
pub struct Console {
    shared: Arc<Shown>,
    keys: OwnedWriteHalf,
    /// How many lines have been looked at.
    seen: usize,
}

#[derive(Default)]
struct Shown {
    lines: Mutex<(Vec<String>, bool)>,
    more: Notify,
}

impl Console {
    fn new(stream: TcpStream, name: &str) -> Self {
        let name = name.to_owned();
        let (screen, keys) = stream.into_split();
        let shared = Arc::new(Shown::default());
        let began = Instant::now();
        tokio::spawn({
            let shared = shared.clone();
            async move {
                let mut screen = BufReader::new(screen);
                let mut line = Vec::new();
                while matches!(screen.read_until(b'\n', &mut line).await, Ok(1..)) {
                    let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                    line.clear();
                    println!("{name}|{:7.2} {text}", began.elapsed().as_secs_f64());
                    shared.lines.lock().expect("nobody panics with it").0.push(text);
                    shared.more.notify_waiters();
                }
                shared.lines.lock().expect("nobody panics with it").1 = true;
                shared.more.notify_waiters();
            }
        });
        Self {
            shared,
            keys,
            seen: 0,
        }
    }

    /// Presses a key.
    pub async fn press(&mut self, key: char) {
        self.type_in(&key.to_string()).await;
    }

    /// Presses these keys.
    pub async fn type_in(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).await.expect("QEMU runs");
    }

    /// The next line that `pick` takes, of those that were not looked at yet; those before it count as looked at.
    ///
    /// # Panics
    /// If the kiosk goes off before, with what it had said.
    pub async fn line<T>(&mut self, mut pick: impl FnMut(&str) -> Option<T>) -> T {
        loop {
            let more = self.shared.more.notified();
            {
                let shown = self.shared.lines.lock().expect("nobody panics with it");
                while let Some(line) = shown.0.get(self.seen) {
                    self.seen += 1;
                    if let Some(picked) = pick(line) {
                        return picked;
                    }
                }
                assert!(!shown.1, "the kiosk went off; it had said:\n{}", tail(&shown.0));
            }
            more.await;
        }
    }

    /// Waits for a line with these words.
    pub async fn shows(&mut self, words: &str) -> String {
        self.line(|line| line.contains(words).then(|| line.to_owned()))
            .await
    }

    /// Every line so far.
    #[must_use]
    pub fn all(&self) -> Vec<String> {
        self.shared.lines.lock().expect("nobody panics with it").0.clone()
    }

    /// The last lines, for a person to see what went wrong.
    #[must_use]
    pub fn tail(&self) -> String {
        tail(&self.shared.lines.lock().expect("nobody panics with it").0)
    }
}

fn tail(lines: &[String]) -> String {
    lines[lines.len().saturating_sub(25)..].join("\n")
}
