//! The kiosk's firmware in QEMU, and its console.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

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
}

impl Kiosk {
    /// Switches a kiosk on, whose line is this cable.
    pub async fn start(board: Board, cable: &Cable) -> Self {
        let (listener, console) = socket("console").await;
        let (monitor_listener, monitor) = socket("monitor").await;
        let firmware = tokio::task::spawn_blocking(move || firmware(board))
            .await
            .expect("it was built");
        let child = command(
            board,
            firmware,
            &[
                "-chardev",
                &console,
                "-serial",
                "chardev:console",
                "-chardev",
                &monitor,
                "-mon",
                "chardev=monitor",
            ],
            cable.address,
        )
        .stdin(Stdio::null())
        .spawn()
        .expect("QEMU starts");
        // QEMU connects to the console before it starts the machine, so nothing said there is lost.
        let (stream, _) = listener.accept().await.expect("QEMU connects");
        let (monitor, _) = monitor_listener.accept().await.expect("QEMU connects");
        let (mut said, monitor) = monitor.into_split();
        // What it says must not fill the socket.
        tokio::spawn(async move { tokio::io::copy(&mut said, &mut tokio::io::sink()).await });
        Self {
            child,
            monitor,
            console: Console::new(stream),
        }
    }

    /// Resets the board, between any two instructions. What is in flash stays; what was on its way to the screen is cut off.
    pub async fn reset(&mut self) {
        self.monitor
            .write_all(b"system_reset\n")
            .await
            .expect("QEMU runs");
    }

    /// How QEMU ended, if it did: a panic or a fault of the firmware is an end with 101.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("its state is known")
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

/// QEMU with the firmware, the given console, and its line at `line`.
pub fn command(board: Board, firmware: PathBuf, console: &[&str], line: SocketAddr) -> Command {
    let line = format!(
        "socket,id=line,host={},port={},nodelay=on,reconnect=1",
        line.ip(),
        line.port()
    );
    let mut command = Command::new(&tools().expect("an emulator").qemu);
    command
        .args(["-M", board.machine(), "-display", "none", "-monitor", "none"])
        .args(["-semihosting-config", "enable=on,target=native"])
        .args(console)
        .args(["-chardev", &line, "-serial", "chardev:line", "-kernel"])
        .arg(firmware)
        .kill_on_drop(true);
    command
}

/// The console: a terminal of lines, and keys. What it shows is printed, too, for who looks into a failed test.
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
    fn new(stream: TcpStream) -> Self {
        let (screen, keys) = stream.into_split();
        let shared = Arc::new(Shown::default());
        tokio::spawn({
            let shared = shared.clone();
            async move {
                let mut screen = BufReader::new(screen);
                let mut line = Vec::new();
                while matches!(screen.read_until(b'\n', &mut line).await, Ok(1..)) {
                    let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                    line.clear();
                    println!("| {text}");
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
        self.keys
            .write_all(key.to_string().as_bytes())
            .await
            .expect("QEMU runs");
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
