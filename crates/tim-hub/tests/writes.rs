//! How many writes to its stream a connection makes: each is a system call, and wakes the client.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use tim_hub::usersig::{App, UserSig};
use tim_hub::{Hub, HubOptions, Step, Steps};
use tim_proto::message::Text;
use tim_proto::request::{Login, LoginResponse, SendMessage};
use tim_proto::wire::{End, Frame, FrameKind, Hello, Parsed, decode_body};
use tim_proto::{MessageId, Payload, Platform};
use tim_store_sqlite::OpenOptions;
use tim_testkit::{c2c, frame, hello, messages, user};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex};

const START_MS: u64 = 1_700_000_000_000;
const DEVICE: u64 = 7;

/// The hub's end of a connection, and what each write to it had.
struct Recorded {
    link: DuplexStream,
    writes: Writes,
}

type Writes = Arc<Mutex<Vec<Vec<u8>>>>;

impl AsyncRead for Recorded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.link).poll_read(context, bytes)
    }
}

impl AsyncWrite for Recorded {
    /// The client is not needed: this is all that it would read.
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.writes.lock().unwrap().push(bytes.to_vec());
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

struct World {
    hub: Hub,
    steps: Steps,
}

struct Client {
    name: &'static str,
    link: DuplexStream,
    writes: Writes,
    account: u64,
    sent: u32,
}

impl World {
    fn open(directory: &Path) -> Self {
        let store = OpenOptions::new().now_ms(START_MS).random(7).open(directory);
        let mut options = HubOptions::new(app());
        options.sends_per_second = 0;
        options.requests_per_second = 0;
        let (hub, steps) = Hub::stepped(options, store.unwrap()).unwrap();
        Self { hub, steps }
    }

    /// Takes all steps, the fan-out of a commit behind the rest.
    async fn work(&self) {
        loop {
            // Time passes only when no connection can do anything.
            tokio::time::sleep(Duration::from_millis(1)).await;
            let steps = [Step::Read(0), Step::Commit(usize::MAX), Step::FanOut];
            if !steps.into_iter().any(|step| self.steps.step(step)) {
                return;
            }
        }
    }

    async fn login(&self, name: &'static str) -> Client {
        let (hub, link) = duplex(1 << 16);
        let writes = Writes::default();
        self.hub.spawn(Recorded {
            link: hub,
            writes: Arc::clone(&writes),
        });
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let sig = UserSig::sign(&app(), &user(name), now.unwrap().as_secs(), 3600).to_string();
        let login = Login::new(app().id, user(name), &sig, DEVICE, Platform::DESKTOP)
            .with_session(1)
            .with_attempt(1);
        let mut client = Client {
            name,
            link,
            writes,
            account: 0,
            sent: 0,
        };
        client.say(&hello(End::CLIENT, (1, 1), 1 << 16, 64)).await;
        client.say(&frame(FrameKind::LOGIN, 0, &login)).await;
        self.work().await;
        let all = client.writes.lock().unwrap().split_off(0).concat();
        let answer = all.split_at(Hello::LEN).1;
        let Ok(Parsed::Frame(answer, _)) = Frame::parse(answer, 1 << 16) else {
            panic!("no answer to the login");
        };
        client.account = decode_body::<LoginResponse<'_>>(answer.body).unwrap().account;
        client
    }
}

impl Client {
    async fn say(&mut self, bytes: &[u8]) {
        self.link.write_all(bytes).await.unwrap();
    }

    /// Sends so many messages in one write.
    async fn send(&mut self, to: &str, count: u32) {
        let mut frames = Vec::new();
        for number in self.sent + 1..=self.sent + count {
            let text = Payload::Text(Text::new("hello"));
            let mut message = messages::message(user(self.name), c2c(to), text);
            message.envelope.sequence = 0;
            message.envelope.origin = DEVICE;
            message.id = MessageId {
                sender: self.account,
                client_time: 1,
                random: number,
            };
            frames.extend(frame(FrameKind::SEND, number, &SendMessage::new(&message)));
        }
        self.sent += count;
        self.say(&frames).await;
    }

    /// The kinds of the frames in each write since the last call.
    fn take(&self) -> Vec<Vec<FrameKind>> {
        let writes = self.writes.lock().unwrap().split_off(0);
        writes.iter().map(|bytes| kinds(bytes)).collect()
    }
}

fn kinds(mut bytes: &[u8]) -> Vec<FrameKind> {
    let mut kinds = Vec::new();
    while let Ok(Parsed::Frame(frame, len)) = Frame::parse(bytes, 1 << 16) {
        kinds.push(frame.kind);
        bytes = &bytes[len..];
    }
    assert!(bytes.is_empty(), "a write ends with a frame");
    kinds
}

fn app() -> App {
    App::new(1, "a key of the tests, long enough")
}

#[tokio::test(start_paused = true)]
async fn what_a_commit_has_for_a_device_is_one_write_and_its_answers_have_one_cursor() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::open(directory.path());
    let [mut alice, bob] = [world.login("alice").await, world.login("bob").await];
    let answer = FrameKind::SEND.answer();
    // For the first message, it is read that the peer is there.
    for count in [1, 5] {
        alice.send("bob", count).await;
        world.work().await;
        // The cursor that names what is answered comes before the answers, and costs no write of its own.
        let mut expected = vec![FrameKind::SYNCED];
        expected.extend(vec![answer; count as usize]);
        assert_eq!(alice.take(), [expected]);
        assert_eq!(bob.take(), [vec![FrameKind::DELIVER; count as usize]]);
    }
}

#[tokio::test(start_paused = true)]
async fn answers_that_wait_when_the_hub_stops_have_their_cursor_too() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::open(directory.path());
    let [mut alice, _bob] = [world.login("alice").await, world.login("bob").await];
    alice.send("bob", 1).await;
    world.work().await;
    alice.take();
    alice.send("bob", 3).await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(world.steps.waiting().writes, 3);
    assert!(world.steps.step(Step::Commit(usize::MAX)));
    world.hub.shut_down().await;
    let said = alice.take().concat();
    let answer = FrameKind::SEND.answer();
    assert_eq!(
        said,
        [FrameKind::SYNCED, answer, answer, answer, FrameKind::GOODBYE]
    );
}
