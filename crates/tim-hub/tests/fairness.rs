//! What one account or one address cannot take from the others, in virtual time.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tim_hub::usersig::{App, UserSig};
use tim_hub::{Clock, Hub, HubOptions, Peer, Step, Steps};
use tim_proto::message::{Content, SendOptions, Text, to_vec};
use tim_proto::request::{Conversations, Done, Failure, Login, LoginResponse, Request, Resume, Send};
use tim_proto::wire::{Encode, End, Frame, FrameKind, Hello, Nested, Parsed, VERSION, decode_body};
use tim_proto::{ErrorCode, MessageId, MessageKind, Platform};
use tim_store_sqlite::OpenOptions;
use tim_testkit::{c2c, frame, hello, raw_frame, user};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::{Instant, sleep, timeout};

const START_MS: u64 = 1_700_000_000_000;
/// What a pipe holds on its way.
const PIPE: usize = 4 * 1024;
/// Long enough for everything that is not meant to wait.
const SOON: Duration = Duration::from_secs(1);

fn app() -> App {
    App::new(1, "a key of the tests, long enough")
}

struct World {
    hub: Hub,
    _directory: tempfile::TempDir,
}

impl World {
    fn open(change: impl FnOnce(&mut HubOptions)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let start = Instant::now();
        let elapsed = move || u64::try_from(start.elapsed().as_millis()).unwrap();
        let mut options = HubOptions::new(app());
        options.clock = Clock::new(move || START_MS + elapsed(), elapsed);
        change(&mut options);
        let store = OpenOptions::new()
            .now_ms(START_MS)
            .random(7)
            .open(directory.path());
        let (hub, steps) = Hub::stepped(options, store.unwrap()).unwrap();
        tokio::spawn(work(steps));
        Self {
            hub,
            _directory: directory,
        }
    }

    /// A connection from the address with this last part.
    fn connect(&self, address: u8) -> Client {
        let (stream, link) = tokio::io::duplex(PIPE);
        let address = SocketAddr::from(([192, 0, 2, address], 1));
        self.hub.spawn_from(link, Peer::from(address));
        Client {
            stream,
            received: Vec::new(),
            account: 0,
        }
    }

    async fn log_in(&self, address: u8, name: &str, device: u64) -> Client {
        let mut client = self.connect(address);
        client.begin_login(name, device).await;
        assert_eq!(
            client.next().await,
            Some((FrameKind::LOGIN.answer(), ErrorCode(0), 0))
        );
        client
    }
}

/// Does what waits, at once.
async fn work(steps: Steps) {
    loop {
        steps.wait_for_work().await;
        while !steps.waiting().is_empty() {
            for step in [
                Step::Commit(64),
                Step::FanOut,
                Step::Live,
                Step::Read(0),
                Step::Answer(0),
            ] {
                steps.step(step);
            }
        }
    }
}

struct Client {
    stream: DuplexStream,
    received: Vec<u8>,
    /// Its account, after the login.
    account: u64,
}

impl Client {
    async fn begin_login(&mut self, name: &str, device: u64) {
        let sig = UserSig::sign(&app(), &user(name), START_MS / 1000, 3600).to_string();
        self.begin_login_with(name, device, 1, &sig).await;
    }

    async fn begin_login_with(&mut self, name: &str, device: u64, attempt: u32, sig: &str) {
        let login = Login::new(1, user(name), sig, device, Platform::DESKTOP)
            .with_session(device)
            .with_attempt(attempt)
            .with_resume(Resume::START);
        let hello = hello(End::CLIENT, (VERSION, VERSION), 64 * 1024, 256);
        self.stream.write_all(&hello).await.unwrap();
        self.say(FrameKind::LOGIN, 0, &login).await;
        let mut answer = [0; Hello::LEN];
        self.stream.read_exact(&mut answer).await.unwrap();
    }

    async fn say(&mut self, kind: FrameKind, id: u32, body: &impl Encode) {
        self.stream.write_all(&frame(kind, id, body)).await.unwrap();
    }

    /// The next frame but SYNCED: its kind, and code and time of a failure. `None` when the hub has closed.
    async fn next(&mut self) -> Option<(FrameKind, ErrorCode, u32)> {
        loop {
            if let Parsed::Frame(frame, len) = Frame::parse(&self.received, 1 << 20).unwrap() {
                let kind = frame.kind;
                let failure = decode_body::<Failure<'_>>(frame.body).ok();
                let failure = failure.filter(|_| matches!(kind, FrameKind::ERROR | FrameKind::GOODBYE));
                let (code, wait) = failure.map_or((ErrorCode(0), 0), |failure| {
                    (failure.code, failure.retry_after_ms)
                });
                if let (true, Ok(login)) = (
                    kind == FrameKind::LOGIN.answer(),
                    decode_body::<LoginResponse<'_>>(frame.body),
                ) {
                    self.account = login.account;
                }
                self.received.drain(..len);
                if kind != FrameKind::SYNCED {
                    return Some((kind, code, wait));
                }
            } else if self.stream.read_buf(&mut self.received).await.unwrap() == 0 {
                return None;
            }
        }
    }

    /// Repeats a frame as fast as the hub takes it for so long. Returns the frames that came back.
    async fn flood(mut self, bytes: Vec<u8>, for_so_long: Duration) -> Flood {
        let until = Instant::now() + for_so_long;
        let (mut reader, mut writer) = tokio::io::split(self.stream);
        let writing = tokio::spawn(async move {
            let mut said = 0;
            while let Ok(Ok(len)) =
                tokio::time::timeout_at(until, writer.write(&bytes[said % bytes.len()..])).await
            {
                said += len;
            }
            said
        });
        let mut flood = Flood::default();
        while let Ok(Ok(len)) = tokio::time::timeout_at(until, reader.read_buf(&mut self.received)).await {
            assert!(len > 0, "the hub has closed");
            let mut at = 0;
            while let Parsed::Frame(frame, len) = Frame::parse(&self.received[at..], 1 << 20).unwrap() {
                at += len;
                flood.answered += usize::from(frame.kind != FrameKind::SYNCED);
                flood.refused += usize::from(frame.kind == FrameKind::ERROR);
            }
            self.received.drain(..at);
        }
        flood.said = writing.await.unwrap();
        flood
    }
}

#[derive(Debug, Default)]
struct Flood {
    /// Bytes that were written.
    said: usize,
    answered: usize,
    refused: usize,
}

const FOR: Duration = Duration::from_secs(10);

#[tokio::test(start_paused = true)]
async fn pings_are_read_at_the_rate_of_their_account_and_no_faster() {
    let world = World::open(|options| options.requests_per_second = 100);
    let ping = frame(FrameKind::PING, 0, &Done);
    let mut floods = Vec::new();
    for device in 1..=4 {
        let client = world.log_in(1, "mallory", device).await;
        floods.push(tokio::spawn(client.flood(ping.clone(), FOR)));
    }
    // Nobody else waits.
    let mut alice = world.log_in(2, "alice", 9).await;
    alice.say(Conversations::KIND, 1, &Conversations::new()).await;
    let answer = timeout(SOON, alice.next()).await.unwrap().unwrap();
    assert_eq!(answer.0, Conversations::KIND.answer());
    let (mut answered, mut said) = (0, 0);
    for flood in floods {
        let flood = flood.await.unwrap();
        answered += flood.answered;
        said += flood.said;
    }
    // Two seconds' worth at once, less what the logins have cost, and what a round takes ahead of it.
    let most = 100 * 12 + 4 * 20;
    assert!((800..=most).contains(&answered), "{answered}");
    // What the hub has not handled is on its way: in the pipe, and in the buffer of the session.
    let held = said - answered * ping.len();
    assert!(held <= 4 * (PIPE + 64 * 1024 + PIPE), "{held}");
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_costs_too() {
    let world = World::open(|options| options.requests_per_second = 100);
    // A SEND that is admitted has a limit of its own, one that is none does not.
    let malformed = raw_frame(FrameKind::SEND, 1, &[0xFF]);
    let client = world.log_in(1, "mallory", 1).await;
    let flood = client.flood(malformed, FOR).await;
    assert_eq!(flood.answered, flood.refused);
    assert!((800..=100 * 12 + 20).contains(&flood.refused), "{flood:?}");
    // A page of conversations costs 10, and a refusal beyond the rate 1.
    let list = frame(Conversations::KIND, 1, &Conversations::new());
    let client = world.log_in(1, "mallet", 1).await;
    let flood = client.flood(list, FOR).await;
    let cost = (flood.answered - flood.refused) * 10 + flood.refused;
    assert!(flood.refused > 0 && cost <= 100 * 12 + 20, "{flood:?}");
}

#[tokio::test(start_paused = true)]
async fn an_address_has_a_rate_for_all_accounts_together_unless_it_is_trusted() {
    for is_trusted in [false, true] {
        let world = World::open(|options| {
            options.address_requests_per_second = 100;
            if is_trusted {
                options.trusted_addresses = vec![IpAddr::from([192, 0, 2, 1])];
            }
        });
        let ping = frame(FrameKind::PING, 0, &Done);
        let mut floods = Vec::new();
        for name in ["mallory", "mallet", "trudy"] {
            let client = world.log_in(1, name, 1).await;
            floods.push(tokio::spawn(client.flood(ping.clone(), FOR)));
        }
        let mut alice = world.log_in(2, "alice", 9).await;
        alice.say(Conversations::KIND, 1, &Conversations::new()).await;
        assert!(timeout(SOON, alice.next()).await.unwrap().is_some());
        let mut answered = 0;
        for flood in floods {
            answered += flood.await.unwrap().answered;
        }
        assert_eq!(answered > 10_000, is_trusted, "{answered}");
        assert!(is_trusted || answered <= 100 * 12 + 3 * 20, "{answered}");
    }
}

#[tokio::test(start_paused = true)]
async fn logins_of_an_address_wait_for_their_turn_or_are_told_when_to_come_back() {
    let world = World::open(|options| options.address_requests_per_second = 100);
    let begin = Instant::now();
    let mut clients = Vec::new();
    for number in 0..40 {
        let mut client = world.connect(1);
        let name = format!("user{number}");
        clients.push(tokio::spawn(async move {
            client.begin_login(&name, number).await;
            (client.next().await, begin.elapsed())
        }));
    }
    let (mut at_once, mut later, mut refused) = (0, 0, 0);
    for client in clients {
        let (answer, took) = client.await.unwrap();
        match answer.expect("every login is answered") {
            (FrameKind::ERROR, ErrorCode::RATE_LIMITED, wait) => {
                assert!(wait > 2_000);
                refused += 1;
            }
            (kind, ..) => {
                assert_eq!(kind, FrameKind::LOGIN.answer());
                assert!(took <= Duration::from_secs(5), "{took:?}");
                at_once += u32::from(took < Duration::from_millis(20));
                later += 1;
            }
        }
    }
    assert!((10..=11).contains(&at_once), "{at_once}");
    assert!(later >= 15 && refused >= 10, "{later} {refused}");
    // Somebody from elsewhere does not wait.
    timeout(SOON, world.log_in(2, "alice", 1)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn strangers_at_an_address_do_not_slow_down_those_who_have_a_user_sig() {
    let world = World::open(|options| options.address_requests_per_second = 100);
    let mut alice = world.log_in(1, "alice", 1).await;
    let mut strangers = VecDeque::new();
    for tick in 0..100 {
        // Some forge UserSigs, others say nothing.
        for n in 0..20 {
            let mut stranger = world.connect(1);
            if n % 2 == 0 {
                let sig = UserSig::sign(
                    &App::new(1, "another key, also long enough"),
                    &user("alice"),
                    0,
                    1,
                );
                let login = Login::new(1, user("alice"), sig.as_str(), n, Platform::DESKTOP);
                let hello = hello(End::CLIENT, (VERSION, VERSION), 64 * 1024, 256);
                stranger.stream.write_all(&hello).await.unwrap();
                stranger.say(FrameKind::LOGIN, 0, &login).await;
            }
            strangers.push_back(stranger);
        }
        while strangers.len() > 400 {
            strangers.pop_front();
        }
        sleep(Duration::from_millis(50)).await;
        alice.say(Conversations::KIND, tick, &Conversations::new()).await;
        let answer = timeout(Duration::from_millis(5), alice.next()).await.unwrap();
        let answer = answer.map(|(kind, ..)| kind);
        if tick % 10 == 0 {
            assert_eq!(answer, Some(Conversations::KIND.answer()), "{tick}");
        }
        sleep(Duration::from_millis(50)).await;
    }
    assert!(world.hub.stats().refused_logins > 100);
    // Who has a UserSig comes in, if after a pause.
    timeout(2 * SOON, world.log_in(1, "bob", 1)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn logins_that_wait_for_their_turn_keep_nobody_out() {
    let world = World::open(|options| {
        options.address_requests_per_second = 100;
        options.max_half_open = 10;
    });
    let mut waiting = Vec::new();
    for number in 0..60 {
        let mut client = world.connect(1 + number % 2);
        client.begin_login(&format!("user{number}"), 1).await;
        waiting.push(client);
    }
    let half_open = world.hub.stats().half_open;
    assert!((8..=10).contains(&half_open), "{half_open}");
    timeout(SOON, world.log_in(3, "alice", 1)).await.unwrap();
    // Those who came first still have their turn.
    let mut admitted = 0;
    for client in &mut waiting {
        let answer = timeout(3 * SOON, client.next()).await.unwrap();
        admitted += u32::from(answer.is_some_and(|(kind, ..)| kind == FrameKind::LOGIN.answer()));
    }
    assert!((28..=32).contains(&admitted), "{admitted}");
}

#[tokio::test(start_paused = true)]
async fn an_account_does_not_log_in_faster_than_it_may_ask() {
    let world = World::open(|options| options.requests_per_second = 100);
    let begin = Instant::now();
    let mut admitted = 0;
    while begin.elapsed() < FOR {
        let mut client = world.connect(1);
        client.begin_login("mallory", 1).await;
        admitted += u32::from(client.next().await.unwrap().0 == FrameKind::LOGIN.answer());
    }
    assert!((50..=62).contains(&admitted), "{admitted}");
}

#[tokio::test(start_paused = true)]
async fn silent_connections_keep_nobody_out_and_end() {
    let world = World::open(|options| options.max_half_open = 10);
    let silent: Vec<_> = (0..100).map(|n| world.connect(n % 3)).collect();
    assert_eq!(world.hub.stats().half_open, 10);
    assert_eq!(world.hub.stats().half_open_dropped, 90);
    let _alice = timeout(SOON, world.log_in(9, "alice", 1)).await.unwrap();
    let _bob = timeout(SOON, world.log_in(0, "bob", 1)).await.unwrap();
    // One that writes slowly has no more time than the others.
    let mut slow = world.connect(5);
    let hello = hello(End::CLIENT, (VERSION, VERSION), 64 * 1024, 16);
    let begin = Instant::now();
    for byte in hello.iter().cycle() {
        if slow.stream.write_all(&[*byte]).await.is_err() {
            break;
        }
        sleep(Duration::from_millis(900)).await;
    }
    assert!(
        begin.elapsed() <= Duration::from_secs(12),
        "{:?}",
        begin.elapsed()
    );
    assert_eq!((world.hub.stats().half_open, world.hub.connections()), (0, 2));
    drop(silent);
}

#[tokio::test(start_paused = true)]
async fn an_address_has_so_many_connections_and_is_told_so() {
    let world = World::open(|options| options.max_connections_per_address = 2);
    let _one = world.log_in(1, "alice", 1).await;
    let _two = world.log_in(1, "alice", 2).await;
    let mut three = world.connect(1);
    three.begin_login("alice", 3).await;
    let overload = ErrorCode::OPEN_SERVICE_OVERLOAD_ERROR;
    assert_eq!(three.next().await, Some((FrameKind::ERROR, overload, 5_000)));
    let _other = world.log_in(2, "alice", 3).await;
}

#[tokio::test(start_paused = true)]
async fn a_serial_port_that_anybody_can_connect_ends_when_it_is_silent() {
    let world = World::open(|options| {
        options.max_serial_ports = 2;
        options.max_connections = 1;
    });
    let address = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 1));
    let hub = &world.hub;
    let (_client, link) = tokio::io::duplex(PIPE);
    let (mut noisy, noise) = tokio::io::duplex(PIPE);
    let (_second, another) = tokio::io::duplex(PIPE);
    let (_third, refused) = tokio::io::duplex(PIPE);
    let begin = Instant::now();
    let silent = async {
        hub.serve_accepted_serial(link, address.into()).await.unwrap();
        assert!(
            (85..100).contains(&begin.elapsed().as_secs()),
            "{:?}",
            begin.elapsed()
        );
    };
    let own = async {
        let served = timeout(Duration::from_secs(1_000), hub.serve_serial(noise)).await;
        assert!(served.is_err(), "a port of the hub's own stays open");
    };
    let others = async {
        // Ports use up no place of a connection.
        let alice = world.log_in(1, "alice", 1).await;
        for _ in 0..200 {
            let _ = noisy.write_all(b"noise").await;
            sleep(Duration::from_secs(1)).await;
        }
        drop(alice);
        let refused = async {
            sleep(SOON / 2).await;
            hub.serve_serial(refused).await.unwrap_err().kind()
        };
        let (another, refused) = tokio::join!(timeout(SOON, hub.serve_serial(another)), refused);
        assert_eq!(
            (another.is_err(), refused),
            (true, std::io::ErrorKind::ResourceBusy)
        );
    };
    tokio::join!(silent, own, others);
}

#[tokio::test(start_paused = true)]
async fn an_address_that_takes_all_serial_ports_keeps_nobody_out() {
    let world = World::open(|options| options.max_serial_ports = 4);
    let hub = &world.hub;
    let port = |address: u8| {
        let (stream, link) = tokio::io::duplex(PIPE);
        let address = SocketAddr::from(([192, 0, 2, address], 1));
        (stream, hub.serve_accepted_serial(link, address.into()))
    };
    let ((_one, first), (_two, second), (_three, third), (_four, fourth)) =
        (port(1), port(1), port(1), port(1));
    let (_other, other) = port(2);
    // In this order.
    let (first, second, third, fourth, other) = tokio::join!(
        timeout(SOON, first),
        timeout(SOON, second),
        timeout(SOON, third),
        timeout(SOON, fourth),
        timeout(SOON, other)
    );
    assert!(other.is_err(), "it is served");
    assert!(first.is_ok(), "the oldest is dropped for it");
    assert!(second.is_err() && third.is_err() && fourth.is_err());
    assert_eq!(world.hub.stats().half_open_dropped, 1);
}

#[tokio::test(start_paused = true)]
async fn what_slow_readers_leave_unread_has_a_ceiling_and_comes_to_them_later() {
    const MESSAGES: usize = 100;
    const SLOW: usize = 5;
    let world = World::open(|options| {
        options.max_backlog = 300_000;
        options.max_outgoing = 128 * 1024;
        options.sends_per_second = 0;
    });
    let name = |number: usize| format!("slow{number}");
    let mut slow = Vec::new();
    for number in 0..SLOW {
        slow.push(world.log_in(1, &name(number), 1).await);
    }
    let mut alice = world.log_in(2, "alice", 1).await;
    let account = alice.account;
    let mut most = 0;
    for n in 0..MESSAGES {
        for number in 0..SLOW {
            let text = "x".repeat(3_000);
            let id = MessageId {
                sender: account,
                client_time: START_MS / 1_000,
                random: (n * SLOW + number) as u32,
            };
            let payload = to_vec(&Text::new(&text));
            let content = Content::new(c2c(&name(number)), id, MessageKind::TEXT, &payload);
            let send = Send::new(content).with_options(Nested(SendOptions::new()));
            alice.say(FrameKind::SEND, 1, &send).await;
            let answer = timeout(SOON, alice.next()).await.unwrap();
            assert_eq!(answer.map(|(kind, ..)| kind), Some(FrameKind::SEND.answer()));
            most = most.max(world.hub.stats().backlog);
        }
        sleep(Duration::from_millis(60)).await;
    }
    // The memory of all buffers: each may have doubled once since the last look.
    assert!((200_000..300_000 + SLOW * 64 * 1024).contains(&most), "{most}");
    assert!(world.hub.stats().shed > 0);
    drop(slow);
    sleep(SOON).await;
    assert_eq!(world.hub.stats().backlog, 0);
    // Nothing is lost.
    for number in 0..SLOW {
        let mut client = world.log_in(1, &name(number), 1).await;
        for _ in 0..MESSAGES {
            let delivery = timeout(SOON, client.next()).await.unwrap();
            assert_eq!(delivery.map(|(kind, ..)| kind), Some(FrameKind::DELIVER));
        }
    }
}

/// Sends a message, which is stored.
async fn send(from: &mut Client, to: &str, random: u32, text: &str) {
    let id = MessageId {
        sender: from.account,
        client_time: START_MS / 1_000,
        random,
    };
    let payload = to_vec(&Text::new(text));
    let content = Content::new(c2c(to), id, MessageKind::TEXT, &payload);
    let send = Send::new(content).with_options(Nested(SendOptions::new()));
    from.say(FrameKind::SEND, random, &send).await;
    let answer = timeout(SOON, from.next()).await.unwrap();
    assert_eq!(answer.map(|(kind, ..)| kind), Some(FrameKind::SEND.answer()));
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_sessions_that_have_ended_counts_until_they_are_gone() {
    const LIVES: u32 = 6;
    // What waits for a connection, at least.
    const EACH: usize = 64 * 1024;
    for max_backlog in [0, 4 * EACH] {
        let world = World::open(|options| {
            options.sends_per_second = 0;
            options.max_outgoing = 128 * 1024;
            options.max_backlog = max_backlog;
        });
        let mut alice = world.log_in(2, "alice", 1).await;
        for n in 0..50 {
            send(&mut alice, "mallory", n, &"x".repeat(3_000)).await;
        }
        // Each life takes over from the one before, and reads nothing.
        let mut lives = Vec::new();
        for attempt in 1..=LIVES {
            let mut mallory = world.connect(1);
            let sig = UserSig::sign(&app(), &user("mallory"), START_MS / 1000, 3600).to_string();
            mallory.begin_login_with("mallory", 1, attempt, &sig).await;
            sleep(Duration::from_millis(60)).await;
            lives.push(mallory);
        }
        // Those that have ended have some time to take their GOODBYE, and are cut if too much waits for all.
        let stats = world.hub.stats();
        if max_backlog == 0 {
            assert_eq!(stats.connections, 1 + LIVES as usize);
            assert!(stats.backlog > LIVES as usize * EACH, "{stats:?}");
        } else {
            assert!(
                stats.shed > 0 && stats.connections < 1 + LIVES as usize,
                "{stats:?}"
            );
            assert!(stats.backlog <= max_backlog + 2 * EACH, "{stats:?}");
        }
        drop(lives);
        sleep(15 * SOON).await;
        let stats = world.hub.stats();
        assert_eq!((stats.backlog, stats.connections), (0, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn an_address_and_an_account_open_so_many_accounts_an_hour() {
    let world = World::open(|options| options.accounts_per_hour = 2);
    let refused = |answer: Option<(FrameKind, ErrorCode, u32)>| {
        let (kind, code, wait) = answer.unwrap();
        assert_eq!((kind, code), (FrameKind::ERROR, ErrorCode::RATE_LIMITED));
        assert!((1_700_000..=1_800_000).contains(&wait), "{wait}");
    };
    for name in ["one", "two", "three", "four"] {
        world.log_in(1, name, 1).await;
    }
    let mut fifth = world.connect(1);
    fifth.begin_login("five", 1).await;
    refused(fifth.next().await);
    // Whoever has an account comes in, and so does whoever comes from elsewhere.
    let mut one = world.log_in(1, "one", 1).await;
    world.log_in(2, "five", 1).await;
    for n in 0..5 {
        let id = MessageId {
            sender: one.account,
            client_time: START_MS / 1_000,
            random: n,
        };
        let payload = to_vec(&Text::new("hello"));
        let content = Content::new(c2c(&format!("stranger{n}")), id, MessageKind::TEXT, &payload);
        let send = Send::new(content).with_options(Nested(SendOptions::new()));
        one.say(FrameKind::SEND, n, &send).await;
        let answer = one.next().await;
        match n {
            4 => refused(answer),
            _ => assert_eq!(answer.unwrap().0, FrameKind::SEND.answer()),
        }
    }
}
