//! `tim serve` on serial lines: a pty, and lines behind TCP. alice is on the line, bob on TCP; whatever happens to the
//! line and to the hub, each message arrives once and in order.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::future::Future;
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use tim_client::{Client, ClientBuilder, ConversationId, Event, EventStream};
use tim_session::Framing;
use tim_testkit::user;
use tim_transport_std::Connector;
use tim_usersig::{App, UserSig};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::serve::Served;

const APP: u32 = 1_400_000_000;
const KEY: &str = "a key that is good enough for a test";
/// Long enough for anything; a test that waits for it has failed.
const PATIENCE: Duration = Duration::from_secs(60);
/// Without a zero, and with one.
const NOISE: [&[u8]; 2] = [&[0x55; 300], &[7, 0, 7, 7, 0, 0, 9]];

fn builder(name: &str, framing: Framing) -> ClientBuilder {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let sig = UserSig::sign(&App::new(APP, KEY), &user(name), now, 3600);
    Client::builder(APP, user(name), sig).session(|config| {
        config.framing = framing;
        config.backoff_min = Duration::from_millis(2);
        config.backoff_max = Duration::from_millis(50);
        config.request_timeout = PATIENCE;
        config.serial_retry = Duration::from_millis(200);
    })
}

/// alice and bob, and what comes to them.
struct Pair {
    clients: [Client; 2],
    events: [EventStream; 2],
    said: usize,
}

impl Pair {
    async fn meet(alice: Client, bob: Client) -> Self {
        let clients = [alice, bob];
        let events = clients.each_ref().map(Client::events);
        for client in &clients {
            timeout(PATIENCE, client.login()).await.unwrap().unwrap();
            timeout(PATIENCE, client.wait_until_ready())
                .await
                .unwrap()
                .unwrap();
        }
        Self {
            clients,
            events,
            said: 0,
        }
    }

    /// Each says something to the other, `count` times; `between` does what it likes to the line in between.
    async fn talk(&mut self, count: usize, mut between: impl FnMut(usize)) {
        for _ in 0..count {
            between(self.said);
            self.said += 1;
            let text = self.said.to_string();
            for (at, client) in self.clients.iter().enumerate() {
                let to = ConversationId::C2c(self.clients[1 - at].user());
                let message = client.create_text_message(to, &text).unwrap();
                let sent = timeout(PATIENCE, client.send_message(&message, Default::default())).await;
                sent.expect("an answer").expect("it is stored");
            }
            for events in &mut self.events {
                let next = timeout(PATIENCE, next_text(events)).await;
                assert_eq!(next.expect("it is delivered"), text);
            }
        }
    }
}

async fn next_text(events: &mut EventStream) -> String {
    loop {
        if let Event::MessageReceived(messages) = events.next().await.expect("the client goes on") {
            assert_eq!(messages.len(), 1);
            return messages[0].text().unwrap().to_owned();
        }
    }
}

fn serve(data: &Path, listen: &str, args: &[&str]) -> Served {
    Served::start_at(data, listen, &[&["--key", KEY], args].concat())
}

/// A pty: the device's end, and the hub's, which stays there when the hub goes.
struct Pty {
    device: File,
    hub: File,
    path: PathBuf,
}

impl Pty {
    fn new() -> Self {
        let device = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&device).unwrap();
        unlockpt(&device).unwrap();
        let name = ptsname(&device, Vec::new()).unwrap();
        let path = PathBuf::from(OsStr::from_bytes(name.to_bytes()));
        let hub = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        // As a real line: no echo, no lines, before anybody has it.
        let mut raw = tcgetattr(&hub).unwrap();
        raw.make_raw();
        tcsetattr(&hub, OptionalActions::Now, &raw).unwrap();
        Self {
            device: device.into(),
            hub,
            path,
        }
    }
}

impl Connector for Pty {
    type Link = tokio::io::Join<tokio::fs::File, tokio::fs::File>;

    fn connect(&mut self) -> impl Future<Output = io::Result<Self::Link>> + Send + 'static {
        let ends = [self.device.try_clone(), self.device.try_clone()];
        async move {
            let [reader, writer] = ends;
            Ok(tokio::io::join(
                tokio::fs::File::from_std(reader?),
                tokio::fs::File::from_std(writer?),
            ))
        }
    }
}

#[test]
fn a_device_on_a_tty_outlives_noise_and_restarts_of_the_hub() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let pty = Pty::new();
        let line = format!("{}@230400", pty.path.display());
        let mut noise = [pty.device.try_clone().unwrap(), pty.hub.try_clone().unwrap()];
        let mut hub = serve(dir.path(), "127.0.0.1:0", &["--serial", &line]);
        let address = hub.address.clone();
        let alice = builder("alice", Framing::Serial).build(pty);
        let bob = builder("bob", Framing::Stream).build_tcp(&address);
        let mut pair = Pair::meet(alice, bob).await;
        pair.talk(20, |round| {
            let _ = noise[round % 2].write(NOISE[round / 2 % 2]).unwrap();
        })
        .await;
        for _ in 0..2 {
            assert_eq!(hub.stop(), Some(0));
            hub = serve(dir.path(), &address, &["--serial", &line]);
            pair.talk(5, |_| ()).await;
        }
        drop(hub); // SIGKILL
        let _hub = serve(dir.path(), &address, &["--serial", &line]);
        pair.talk(5, |_| ()).await;
    });
    runtime.shutdown_background(); // a read of the pty waits for ever
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn emulators_bring_their_lines_themselves() {
    let dir = tempfile::tempdir().unwrap();
    let mut hub = serve(dir.path(), "127.0.0.1:0", &["--serial-tcp-listen", "127.0.0.1:0"]);
    let address = hub.address.clone();
    let printed = hub.next_line();
    let line = printed
        .strip_prefix("serial ports at ")
        .expect(&printed)
        .trim_end()
        .to_owned();
    let alice = builder("alice", Framing::Serial).build_tcp(&line);
    let bob = builder("bob", Framing::Stream).build_tcp(&address);
    let mut pair = Pair::meet(alice, bob).await;
    pair.talk(20, |_| ()).await;
    assert_eq!(hub.stop(), Some(0));
    let _hub = serve(dir.path(), &address, &["--serial-tcp-listen", &line]);
    pair.talk(20, |_| ()).await;
}

/// A terminal server: whoever connects to it gets the line, and the device gets whoever connected.
struct TerminalServer {
    connected: mpsc::Receiver<TcpStream>,
}

impl Connector for TerminalServer {
    type Link = TcpStream;

    fn connect(&mut self) -> impl Future<Output = io::Result<TcpStream>> + Send + 'static {
        let newest = self.connected.try_recv();
        async move { newest.map_err(io::Error::other) }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_behind_a_terminal_server_is_connected_again() {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let line = listener.local_addr().unwrap().to_string();
    let (hand_over, connected) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            // A terminal server's banner, which is noise.
            tokio::io::AsyncWriteExt::write_all(&mut stream, b"Welcome\r\n")
                .await
                .unwrap();
            if hand_over.send(stream).await.is_err() {
                return;
            }
        }
    });
    let mut hub = serve(dir.path(), "127.0.0.1:0", &["--serial-tcp", &line]);
    let address = hub.address.clone();
    let alice = builder("alice", Framing::Serial).build(TerminalServer { connected });
    let bob = builder("bob", Framing::Stream).build_tcp(&address);
    let mut pair = Pair::meet(alice, bob).await;
    pair.talk(10, |_| ()).await;
    for _ in 0..2 {
        assert_eq!(hub.stop(), Some(0)); // and with it the connection
        hub = serve(dir.path(), &address, &["--serial-tcp", &line]);
        pair.talk(10, |_| ()).await;
    }
}

#[test]
fn a_device_that_is_not_there_is_no_reason_to_stop() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("ttyUSB7");
    let args = [
        "--serial",
        missing.to_str().unwrap(),
        "--serial-tcp",
        "127.0.0.1:1",
    ];
    let mut hub = serve(dir.path(), "127.0.0.1:0", &args);
    assert_eq!(hub.stop(), Some(0));
    let refused = super::run(["serve", "--serial", "/dev/ttyS0@fast"], "");
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains("invalid baud rate"), "{}", refused.err);
}
