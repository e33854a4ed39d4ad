//! The blocking client, on threads without a runtime, against a hub.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::ControlFlow;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tim_hub::usersig::{App, UserSig};
use tim_hub::{Hub, HubOptions};
use tim_proto::ErrorCode;
use tim_proto::message::Text;
use tim_proto::request::History;
use tim_session::{ClientConfig, Event};
use tim_testkit::{c2c, deadline, user};
use tim_transport_std::blocking::{
    BlockingClient, BlockingConnector, BlockingError, BlockingStream, TcpStreams,
};
use tokio::sync::oneshot;

const APP: u32 = 1_400_000_000;
const LIMIT: Duration = Duration::from_secs(60);

/// A hub on a thread of its own.
struct Running {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    directory: tempfile::TempDir,
}

impl Running {
    fn new() -> Self {
        deadline();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_owned();
        let (stop, stopped) = oneshot::channel();
        let (ready, address) = mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let hub = Hub::open(path.join("data"), HubOptions::new(app())).unwrap();
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                #[cfg(unix)]
                {
                    let unix = tokio::net::UnixListener::bind(path.join("socket")).unwrap();
                    ready.send(listener.local_addr().unwrap()).unwrap();
                    let (stop, stopped_too) = oneshot::channel::<()>();
                    let (one, other) = tokio::join!(
                        hub.serve(listener, async { drop((stopped.await, stop)) }),
                        hub.serve(unix, async { drop(stopped_too.await) }),
                    );
                    one.and(other).unwrap();
                }
                #[cfg(not(unix))]
                {
                    ready.send(listener.local_addr().unwrap()).unwrap();
                    hub.serve(listener, async { drop(stopped.await) }).await.unwrap();
                }
            });
        });
        Self {
            address: address.recv().unwrap(),
            stop: Some(stop),
            thread: Some(thread),
            directory,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn app() -> App {
    App::new(APP, "0123456789abcdef")
}

fn client<C: BlockingConnector>(name: &str, connector: C) -> BlockingClient<C> {
    client_with(name, connector, |_| {})
}

fn client_with<C: BlockingConnector>(
    name: &str,
    connector: C,
    change: impl FnOnce(&mut ClientConfig),
) -> BlockingClient<C> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let sig = UserSig::sign(&app(), &user(name), now, 3600);
    let mut config = ClientConfig::new(APP, user(name), 7);
    config.backoff_min = Duration::from_millis(10);
    config.backoff_max = Duration::from_millis(20);
    change(&mut config);
    BlockingClient::new(config, sig, connector, 0x5EED)
}

fn text_of(event: Event<'_>) -> Option<String> {
    match event {
        Event::Delivered(delivery) => delivery
            .header
            .payload::<Text<'_>>()
            .map(|text| text.text.to_owned()),
        _ => None,
    }
}

/// So many texts that arrive.
fn receive<C: BlockingConnector>(client: &mut BlockingClient<C>, count: usize) -> Vec<String> {
    let mut texts = Vec::new();
    client.run(LIMIT, |event| {
        texts.extend(text_of(event));
        match texts.len() < count {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    });
    texts
}

fn exchange<A: BlockingConnector, B: BlockingConnector>(
    alice: &mut BlockingClient<A>,
    bob: &mut BlockingClient<B>,
) {
    alice.login(LIMIT, |_| {}).unwrap();
    bob.login(LIMIT, |_| {}).unwrap();
    for n in 1..=3 {
        let text = format!("text {n}");
        let mut message = alice.create_message(user("bob"), Text::new(&text)).unwrap();
        let stored = alice.send_message(&mut message, |_| {}).unwrap();
        assert_eq!((message.envelope.sequence, stored.duplicate), (n, false));
        // Again: stored once.
        assert!(alice.send_message(&mut message, |_| {}).unwrap().duplicate);
        assert_eq!(receive(bob, 1), [text]);
    }
    let history = bob.request(
        &History::new(c2c("alice")),
        |_| {},
        |page| page.messages.iter().count(),
    );
    assert_eq!(history.unwrap(), 3);
    alice.logout(|_| {});
    assert!(alice.session().is_idle());
    // And in again.
    alice.login(LIMIT, |_| {}).unwrap();
}

#[test]
fn two_programs_without_a_runtime_exchange_texts() {
    let hub = Running::new();
    let mut alice = client("alice", TcpStreams::new(hub.address));
    let mut bob = client("bob", TcpStreams::new(hub.address));
    exchange(&mut alice, &mut bob);
}

#[cfg(unix)]
#[test]
fn unix_sockets_and_closures_do_as_well() {
    let hub = Running::new();
    let path = hub.directory.path().join("socket");
    let open = |_| std::os::unix::net::UnixStream::connect(&path);
    exchange(&mut client("alice", open), &mut client("bob", open));
}

#[test]
fn what_does_not_work_is_named() {
    let hub = Running::new();
    let mut config = ClientConfig::new(APP, user("alice"), 7);
    config.request_timeout = Duration::from_millis(200);
    let mut forged = BlockingClient::new(config, "forged", TcpStreams::new(hub.address), 1);
    assert!(matches!(
        forged.create_message(user("bob"), Text::new("x")),
        Err(BlockingError::Invalid(_))
    ));
    match forged.login(LIMIT, |_| {}) {
        Err(BlockingError::Refused { code, .. }) => assert!(code.ends_session(), "{code}"),
        other => panic!("{other:?}"),
    }
    // Nobody listens there.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nowhere = listener.local_addr().unwrap();
    drop(listener);
    let mut lost = client("alice", TcpStreams::new(nowhere));
    match lost.login(Duration::from_millis(100), |_| {}) {
        Err(BlockingError::TimedOut(Some(io::ErrorKind::ConnectionRefused))) => {}
        other => panic!("{other:?}"),
    }
    // The hub goes away.
    let mut alice = client("alice", TcpStreams::new(hub.address));
    alice.login(LIMIT, |_| {}).unwrap();
    drop(hub);
    let mut message = alice.create_message(user("bob"), Text::new("late")).unwrap();
    alice.session().logout(tim_session::Instant::ZERO);
    assert!(alice.send_message(&mut message, |_| {}).is_err());
}

#[test]
fn times_may_be_without_an_end() {
    let hub = Running::new();
    let mut alice = client_with("alice", TcpStreams::new(hub.address), |config| {
        (config.connect_timeout, config.request_timeout) = (Duration::MAX, Duration::MAX);
    });
    alice.login(Duration::MAX, |_| {}).unwrap();
    let mut message = alice.create_message(user("alice"), Text::new("note")).unwrap();
    alice.send_message(&mut message, |_| {}).unwrap();
    alice.logout(|_| {});
    assert!(alice.session().is_idle());
}

/// A stream in pieces, of which no more than so many bytes pass.
struct Frail {
    stream: TcpStream,
    piece: usize,
    left: usize,
}

impl Frail {
    fn part(&mut self, len: usize) -> io::Result<usize> {
        match self.left {
            0 => Err(io::ErrorKind::ConnectionReset.into()),
            left => Ok(len.min(self.piece).min(left)),
        }
    }
}

impl Read for Frail {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let len = self.part(bytes.len())?;
        let read = self.stream.read(&mut bytes[..len])?;
        self.left -= read;
        Ok(read)
    }
}

impl Write for Frail {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = self.part(bytes.len())?;
        let written = self.stream.write(&bytes[..len])?;
        self.left -= written;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl BlockingStream for Frail {
    fn limit(&mut self, limit: Duration) -> io::Result<()> {
        self.stream.limit(limit)
    }
}

/// In pieces of one byte, over connections that break at any byte: each text arrives once, in order.
#[test]
fn connections_that_break_at_any_byte_lose_nothing() {
    let hub = Running::new();
    let address = hub.address;
    // The first ones break before the login is done, later ones within a message.
    let mut breaks = 1..300;
    let mut next = move || breaks.next().unwrap_or(usize::MAX);
    let frail = move |limit: Duration| {
        let stream = TcpStreams::new(address).open(limit)?;
        let left = next();
        let piece = if left % 2 == 0 { 1 } else { 7 };
        Ok(Frail { stream, piece, left })
    };
    let mut bob = client("bob", TcpStreams::new(address));
    bob.login(LIMIT, |_| {}).unwrap();
    let mut alice = client("alice", frail);
    alice.login(LIMIT, |_| {}).unwrap();
    for n in 0..20 {
        let text = format!("text {n}");
        let mut message = alice.create_message(user("bob"), Text::new(&text)).unwrap();
        while let Err(error) = alice.send_message(&mut message, |_| {}) {
            match error {
                BlockingError::Refused { code, .. } => assert_ne!(code, ErrorCode::MESSAGE_ID_REUSED),
                BlockingError::Request(_) => drop(alice.login(LIMIT, |_| {})),
                other => panic!("{other}"),
            }
        }
        assert_eq!(receive(&mut bob, 1), [text]);
    }
    assert!(
        alice.session().stats().reconnects > 200,
        "{:?}",
        alice.session().stats()
    );
}

/// A hub that reads nothing for a while holds the client up, and no longer than the client says.
#[test]
fn a_hub_that_is_silent_is_given_up_in_time() {
    deadline();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut alice = client("alice", TcpStreams::new(listener.local_addr().unwrap()));
    let began = std::time::Instant::now();
    let error = alice.login(Duration::from_millis(300), |_| {}).unwrap_err();
    assert!(matches!(error, BlockingError::TimedOut(None)), "{error:?}");
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert!(
        alice
            .run(Duration::from_millis(20), |_| ControlFlow::<()>::Continue(()))
            .is_none()
    );
}
