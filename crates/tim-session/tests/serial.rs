//! Both ends on a raw serial line, which flips, inserts and drops bytes and never says so.

use std::time::Duration;

use tim_session::proto::ErrorCode;
use tim_session::proto::UserId;
use tim_session::proto::message::{Message, Payload, SendOptions};
use tim_session::proto::request::{Failure, Send, SendResponse};
use tim_session::proto::wire::{FrameKind, Hello, LEAST_MAX_FRAME, serial_decode};
use tim_session::{
    ClientConfig, ClientSession, CloseReason, Event, Framing, HubConfig, HubEvent, HubOutput, HubSession,
    Instant, Output,
};
use tim_testkit::ends::{Client, Hub, client_with, config, let_in, memory, text};

const SECOND: Duration = Duration::from_secs(1);
const ROOM: usize = 1024;

/// Both ends and the line between them.
struct Line {
    client: Client,
    hub: Hub,
    now: Instant,
    /// What the client's application and the hub were told.
    seen: Vec<String>,
    closed: Vec<CloseReason>,
    logins: usize,
    stored: Vec<String>,
    /// Whether requests are stored and not answered yet, and which.
    hub_is_slow: bool,
    unanswered: Vec<u32>,
}

impl Line {
    fn new() -> Self {
        let now = Instant::from_millis(5000);
        Self {
            client: new_client(),
            hub: new_hub(now),
            now,
            seen: Vec::new(),
            closed: Vec::new(),
            logins: 0,
            stored: Vec::new(),
            hub_is_slow: false,
            unanswered: Vec::new(),
        }
    }

    /// Logged in, with nothing more to say.
    fn quiet() -> Self {
        let mut line = Self::new();
        line.client.login(line.now);
        line.carry();
        assert!(line.client.is_ready(), "{:?}", line.seen);
        line.wait(2 * SECOND);
        line.seen.clear();
        line.closed.clear();
        line
    }

    fn poll_client(&mut self) -> Option<Instant> {
        loop {
            let connect = match self.client.poll(self.now) {
                Output::Wait(until) => return until,
                Output::Connect => true,
                Output::Disconnect => {
                    self.seen.push("Disconnect".to_owned());
                    false
                }
                Output::Event(event) => {
                    self.seen.push(match event {
                        Event::Delivered(deliver) => match deliver.message().payload {
                            Payload::Text(text) => text.text.to_owned(),
                            _ => String::new(),
                        },
                        Event::NetState(state) => format!("{state:?}"),
                        event => format!("{event:?}").split([' ', '(']).next().unwrap().to_owned(),
                    });
                    false
                }
            };
            if connect {
                self.client.connected(self.now);
            }
        }
    }

    fn poll_hub(&mut self) -> Option<Instant> {
        enum Do {
            Accept,
            Store(u32, String),
            Again,
        }
        loop {
            let what = match self.hub.poll(self.now) {
                HubOutput::Wait(until) => return until,
                HubOutput::Close(reason) => {
                    self.closed.push(reason);
                    Do::Again
                }
                HubOutput::Event(HubEvent::Login(_)) => Do::Accept,
                HubOutput::Event(HubEvent::Request { id, request }) => {
                    let text = request.decode::<Send<'_>>().unwrap().content.payload;
                    Do::Store(id, String::from_utf8_lossy(&text[1..]).into_owned())
                }
                HubOutput::Event(HubEvent::More) => continue,
                HubOutput::Event(other) => panic!("{other:?}"),
            };
            match what {
                Do::Again => self.hub.begin_again(self.now),
                Do::Accept => {
                    self.logins += 1;
                    let_in(&mut self.hub);
                }
                Do::Store(id, text) => {
                    let duplicate = self.stored.contains(&text);
                    if !duplicate {
                        self.stored.push(text);
                    }
                    if self.hub_is_slow {
                        self.unanswered.push(id);
                        continue;
                    }
                    let answer = SendResponse::new(self.stored.len() as u64, 2).with_duplicate(duplicate);
                    self.hub.respond::<Send<'_>>(id, &answer).unwrap();
                }
            }
        }
    }

    /// Answers what the hub has not answered yet.
    fn answer_late(&mut self) {
        for id in core::mem::take(&mut self.unanswered) {
            let answer = SendResponse::new(self.stored.len() as u64, 2);
            self.hub.respond::<Send<'_>>(id, &answer).unwrap();
        }
    }

    /// What goes up and down next.
    fn take(&mut self) -> (Vec<u8>, Vec<u8>) {
        self.poll_client();
        self.poll_hub();
        let (up, down) = (self.client.outgoing().to_vec(), self.hub.outgoing().to_vec());
        self.client.transmitted(up.len());
        self.hub.transmitted(down.len());
        (up, down)
    }

    /// Gives both what comes, as far as there is room, until all is taken.
    fn give(&mut self, mut up: &[u8], mut down: &[u8]) {
        while !up.is_empty() || !down.is_empty() {
            let taken = (
                self.hub.receive(self.now, up),
                self.client.receive(self.now, down),
            );
            assert!(taken != (0, 0), "both are blocked");
            (up, down) = (&up[taken.0..], &down[taken.1..]);
            self.poll_hub();
            self.poll_client();
        }
    }

    fn carry(&mut self) {
        loop {
            let (up, down) = self.take();
            if up.is_empty() && down.is_empty() {
                return;
            }
            self.give(&up, &down);
        }
    }

    /// Lets time pass, with a line that carries all; returns how many bytes it carried.
    fn wait(&mut self, time: Duration) -> usize {
        let (end, mut carried) = (self.now + time, 0);
        loop {
            loop {
                let (up, down) = self.take();
                if up.is_empty() && down.is_empty() {
                    break;
                }
                carried += up.len() + down.len();
                self.give(&up, &down);
            }
            let next = [self.poll_client(), self.poll_hub()].into_iter().flatten().min();
            match next.filter(|next| *next < end) {
                Some(next) => self.now = next,
                None => {
                    self.now = end;
                    self.carry();
                    return carried;
                }
            }
        }
    }

    fn send(&mut self, text: &str) {
        let sent = self.client.send(self.now, &message(text), SendOptions::default());
        sent.unwrap();
    }

    fn deliver(&mut self, text: &str) {
        let bytes = tim_session::proto::message::to_vec(&message(text));
        self.hub.deliver(&[2], 0, &bytes).unwrap();
    }
}

fn new_client() -> Client {
    let mut config = config();
    config.framing = Framing::Serial;
    client_with(config, [ROOM; 3])
}

fn new_hub(now: Instant) -> Hub {
    let mut config = HubConfig::default();
    config.framing = Framing::Serial;
    HubSession::new(config, memory(ROOM), memory(ROOM), now)
}

fn message(said: &str) -> Message<'_> {
    let mut message = text(said);
    message.id.client_time = said.len() as u64;
    message
}

/// The packets in what is outgoing: counter and content.
fn packets(line: &[u8]) -> Vec<(u16, Vec<u8>)> {
    line.split(|byte| *byte == 0)
        .filter(|packet| !packet.is_empty())
        .map(|packet| {
            let mut packet = packet.to_vec();
            let packet = serial_decode(&mut packet).expect("a whole packet");
            (u16::from_le_bytes([packet[0], packet[1]]), packet[2..].to_vec())
        })
        .collect()
}

#[test]
fn every_packet_is_counted_from_the_hello_on() {
    let mut line = Line::new();
    line.client.login(line.now);
    let (hello, nothing) = line.take();
    assert!(nothing.is_empty());
    assert_eq!(packets(&hello)[0].0, 0);
    assert_eq!(packets(&hello)[0].1.len(), Hello::LEN);
    line.give(&hello, &[]);
    let (_, answer) = line.take();
    assert_eq!(
        (packets(&answer)[0].0, packets(&answer)[0].1.len()),
        (0, Hello::LEN)
    );
    line.give(&[], &answer);
    let (login, _) = line.take();
    assert_eq!(
        (packets(&login)[0].0, packets(&login)[0].1[0]),
        (1, FrameKind::LOGIN.0)
    );
    line.give(&login, &[]);
    let (_, in_the_hub) = line.take();
    let numbers: Vec<_> = packets(&in_the_hub).iter().map(|packet| packet.0).collect();
    assert_eq!(numbers, [1, 2]);
    line.give(&[], &in_the_hub);
    assert_eq!(line.seen, ["Connecting", "LoggedIn", "Connected", "Ready"]);
}

/// Whatever single byte of a whole conversation is lost, changed or one too many: everything arrives, once.
#[test]
fn no_single_byte_can_be_missed() {
    for fault in 0..3 {
        let mut at = 0;
        loop {
            let mut line = Line::quiet();
            line.send("up");
            line.deliver("down");
            let (mut up, mut down) = line.take();
            let upwards = at < up.len();
            let (bytes, index) = match upwards {
                true => (&mut up, at),
                false => {
                    let index = at - up.len();
                    (&mut down, index)
                }
            };
            if index >= bytes.len() {
                assert!(at > 60, "the conversation is longer than that");
                break;
            }
            match fault {
                0 => bytes[index] ^= 0x41,
                1 => drop(bytes.remove(index)),
                _ => bytes.insert(index, 0x41),
            }
            line.give(&up, &down);
            line.wait(20 * SECOND);
            assert_eq!(line.stored, ["up"], "fault {fault} at {at}");
            let answers = line.seen.iter().filter(|seen| *seen == "Response").count();
            assert_eq!(answers, 1, "fault {fault} at {at}: {:?}", line.seen);
            // This hub does not deliver again; it is enough that a loss was noticed.
            let delivered = line.seen.iter().filter(|seen| *seen == "down").count();
            let noticed = line.seen.contains(&"Disconnected".to_owned());
            assert!(
                delivered == 1 || (delivered == 0 && noticed),
                "fault {fault} at {at}: {:?}",
                line.seen
            );
            assert!(line.client.is_ready());
            at += 1;
        }
    }
}

#[test]
fn a_lost_last_packet_is_noticed_soon_whoever_sent_it() {
    for from_client in [true, false] {
        let mut line = Line::quiet();
        match from_client {
            true => line.send("up"),
            false => line.deliver("down"),
        }
        drop(line.take()); // and with it the packet
        let at = line.now;
        while line.logins < 2 {
            assert!(line.now.since(at) < 3 * SECOND, "noticed too late");
            line.wait(Duration::from_millis(100));
        }
        let found_by_hub = CloseReason::LineLost;
        let found_by_client = CloseReason::Superseded;
        assert_eq!(
            line.closed,
            [if from_client {
                found_by_hub
            } else {
                found_by_client
            }]
        );
        line.wait(2 * SECOND);
        assert!(line.client.is_ready() && line.hub.is_online());
        assert_eq!(line.stored.len(), usize::from(from_client));
    }
}

#[test]
fn a_quiet_line_carries_nothing_but_the_usual_signs_of_life() {
    let mut line = Line::quiet();
    let carried = line.wait(600 * SECOND);
    // One PING and one PONG in 30 s.
    assert!(carried > 0 && carried <= 20 * 2 * 16, "{carried} bytes");
    assert_eq!((line.seen.len(), line.closed.len()), (0, 0));
}

#[test]
fn noise_is_no_sign_of_life_and_a_dead_line_is_noticed_by_both_ends() {
    let mut line = Line::quiet();
    let noise = [0x55; 7];
    for _ in 0..600 {
        drop(line.take());
        line.give(&noise, &noise);
        line.now = line.now + SECOND / 5;
        line.poll_client();
        line.poll_hub();
    }
    assert!(line.seen.contains(&"Disconnected".to_owned()));
    assert_eq!(line.closed, [CloseReason::TimedOut]);
    line.wait(60 * SECOND);
    assert!(line.client.is_ready() && line.hub.is_online());
}

#[test]
fn a_hub_that_was_restarted_asks_for_the_hello() {
    let mut line = Line::quiet();
    line.hub = new_hub(line.now);
    line.send("up");
    line.wait(SECOND);
    assert_eq!(
        line.seen,
        [
            "Disconnected",
            "Disconnect",
            "Connecting",
            "LoggedIn",
            "Connected",
            "Response"
        ]
    );
    assert_eq!(
        (line.stored.as_slice(), line.closed.len()),
        (&["up".to_owned()][..], 0)
    );
}

#[test]
fn a_device_that_was_reset_supersedes_its_own_session() {
    let mut line = Line::quiet();
    line.deliver("lost with the device");
    line.client = new_client();
    line.client.login(line.now);
    line.wait(SECOND);
    assert_eq!(line.closed, [CloseReason::Superseded]);
    assert!(line.client.is_ready() && line.hub.is_online());
    assert!(!line.seen.contains(&"lost with the device".to_owned()));
}

#[test]
fn the_hello_is_repeated_until_the_hub_is_there_and_repetitions_do_no_harm() {
    let mut line = Line::new();
    line.client.login(line.now);
    let mut hellos = Vec::new();
    let start = line.now;
    while line.now.since(start) < 4 * SECOND {
        let until = line.poll_client().unwrap();
        hellos.extend_from_slice(line.client.outgoing());
        line.client.transmitted(ROOM);
        line.now = until;
    }
    assert_eq!(packets(&hellos).len(), 4, "one a second");
    assert!(packets(&hellos).iter().all(|(counter, _)| *counter == 0));
    line.give(&hellos, &[]); // all at once, late
    line.wait(SECOND);
    assert!(
        line.client.is_ready() && line.closed.is_empty(),
        "{:?}",
        line.closed
    );
    assert_eq!(line.logins, 1);
}

#[test]
fn packets_of_any_length_do_not_block_a_small_buffer() {
    let mut line = Line::quiet();
    for len in [10, ROOM - 1, ROOM, ROOM + 1, 5 * ROOM] {
        for end in [&[][..], &[0]] {
            let noise = [&vec![0xAA; len][..], end].concat();
            line.give(&noise, &noise);
        }
        line.send(&"x".repeat(len % 500));
        line.wait(5 * SECOND);
        assert_eq!(line.closed, [], "noise alone is no loss");
        assert_eq!(line.stored.last().unwrap().len(), len % 500);
    }
    assert!(!line.client.space(ROOM).is_empty() && line.hub.receive_capacity() == ROOM);
}

#[test]
fn an_echo_or_another_hub_is_left_in_peace() {
    let now = Instant::from_millis(1);
    let (mut one, mut other) = (new_hub(now), new_hub(now));
    // A frame without a session makes the first one ask for a hello.
    let mut line = Line::quiet();
    line.send("up");
    let (up, _) = line.take();
    assert_eq!(one.receive(now, &up), up.len());
    assert!(matches!(one.poll(now), HubOutput::Wait(None)));
    let goodbye = one.outgoing().to_vec();
    one.transmitted(goodbye.len());
    assert_eq!(packets(&goodbye)[0].1[0], FrameKind::GOODBYE.0);
    for hub in [&mut one, &mut other] {
        assert_eq!(hub.receive(now, &goodbye), goodbye.len());
        assert!(matches!(hub.poll(now), HubOutput::Wait(None)));
        assert!(hub.outgoing().is_empty());
    }
}

#[test]
fn a_farewell_or_a_loss_while_logging_out_is_the_end_of_it() {
    for lost in [true, false] {
        let mut line = Line::quiet();
        line.client.logout(line.now);
        if lost {
            drop(line.take());
        }
        line.wait(30 * SECOND);
        assert_eq!(
            line.seen.iter().filter(|seen| *seen == "NotReady").count(),
            1,
            "{:?}",
            line.seen
        );
        assert!(!line.seen.contains(&"Connecting".to_owned()), "{:?}", line.seen);
        assert!(!line.client.is_ready() && !line.hub.is_online());
    }
}

#[test]
fn a_kick_ends_the_session_and_the_line_waits_for_the_next_one() {
    let mut line = Line::quiet();
    line.hub
        .goodbye(&Failure::new(ErrorCode::KICKED_OUT_MULT_DEVICE, ""));
    line.wait(60 * SECOND);
    assert_eq!(
        line.closed,
        [CloseReason::Goodbye(ErrorCode::KICKED_OUT_MULT_DEVICE)]
    );
    assert!(line.seen.contains(&"KickedOut".to_owned()) && !line.seen.contains(&"Connecting".to_owned()));
    line.client.login(line.now);
    line.wait(SECOND);
    assert!(line.client.is_ready() && line.hub.is_online());
}

#[test]
fn a_buffer_holds_the_frame_that_it_was_made_for() {
    for len in 0..2000 {
        assert_eq!(Framing::Stream.buffer_len(len), len);
        let buffer = Framing::Serial.buffer_len(len);
        assert!(buffer >= len + 9 && buffer <= len + 9 + (len + 6) / 254);
        if len < LEAST_MAX_FRAME as usize {
            continue;
        }
        let mut config = ClientConfig::new(1, UserId::new("alice").unwrap(), 7);
        config.framing = Framing::Serial;
        let mut client = ClientSession::new(config, "", memory(buffer), memory(100), memory(0), 1);
        client.login(Instant::ZERO);
        while let Output::Event(_) = client.poll(Instant::ZERO) {}
        client.connected(Instant::ZERO);
        let hello = &packets(client.outgoing())[0].1;
        let hello = Hello::from_bytes(hello.as_slice().try_into().unwrap()).unwrap();
        assert_eq!(hello.max_frame as usize, len, "announced with {buffer} bytes");
    }
}

/// A line that is slower than the client is patient: what an earlier connection was sent is still on its way when the next
/// one says hello, and looks like an answer to it. What it delivers would come again.
#[test]
fn what_was_on_its_way_to_an_earlier_connection_is_passed_over() {
    let mut line = Line::new();
    line.client.login(line.now);
    // Two hellos, of which one is answered at once, and the other one late.
    let (hello, _) = line.take();
    line.give(&hello, &[]);
    let (_, first) = line.take();
    line.give(&hello, &[]);
    let (_, late) = line.take();
    line.give(&[], &first);
    let (login, _) = line.take();
    line.give(&login, &[]);
    assert_eq!(line.logins, 1);
    line.deliver("once");
    let late = [late, line.take().1].concat();

    // The client gives up and says hello again, and only then the rest of the earlier connection comes.
    let hello = loop {
        line.now = line.poll_client().expect("it does not wait for ever");
        let (up, _) = line.take();
        if up.windows(4).any(|bytes| bytes == &hello[4..8]) && up.len() == hello.len() {
            break up;
        }
    };
    line.give(&[], &late);
    assert!(!line.seen.contains(&"Connected".to_owned()), "{:?}", line.seen);
    assert!(!line.seen.contains(&"once".to_owned()), "{:?}", line.seen);

    // Its own answers let it in.
    line.give(&hello, &[]);
    line.carry();
    assert_eq!(line.logins, 2);
    line.deliver("once");
    line.carry();
    assert_eq!(
        line.seen.iter().filter(|seen| *seen == "once").count(),
        1,
        "{:?}",
        line.seen
    );
}

/// What an isolated message costs on the line, itself included: packets, bytes, and wake-ups of the client after the exchange.
fn cost_of(exchange: impl FnMut(&mut Line)) -> (u32, u64, u32) {
    cost_on(Line::quiet(), exchange)
}

fn cost_on(mut line: Line, mut exchange: impl FnMut(&mut Line)) -> (u32, u64, u32) {
    let sent = |line: &Line| {
        let (client, hub) = (line.client.stats(), line.hub.stats());
        let packets = client.frames_sent + hub.frames_sent;
        (packets, client.bytes_sent + hub.bytes_sent)
    };
    let before = sent(&line);
    exchange(&mut line);
    line.carry();
    let (end, mut wakeups) = (line.now + 10 * SECOND, 0);
    loop {
        let until = line.poll_client().into_iter().chain(line.poll_hub()).min();
        let Some(until) = until.filter(|until| *until < end) else {
            break;
        };
        line.now = until;
        let before = sent(&line);
        line.carry();
        wakeups += u32::from(sent(&line) != before);
    }
    assert_eq!(line.logins, 1);
    let after = sent(&line);
    (after.0 - before.0, after.1 - before.1, wakeups)
}

/// Without this, each of the two costs four more packets of 12 bytes, and a wake-up.
#[test]
fn an_answer_and_an_acknowledgement_prove_the_line() {
    const TEXT: &str = "23 bytes, as text goes.";
    assert_eq!(cost_of(|line| line.send(TEXT)), (2, 66, 0));
    assert_eq!(cost_of(|line| line.deliver(TEXT)), (2, 73, 0));
    // The responses to all requests, in the order in which they came.
    let (packets, _, wakeups) = cost_of(|line| (0..3).for_each(|number| line.send(&number.to_string())));
    assert_eq!((packets, wakeups), (6, 0));
    // Both ways at once: of what crosses, one thing or the other is proved by a PING.
    let (packets, _, wakeups) = cost_of(|line| {
        line.deliver("down");
        line.send("up");
    });
    assert!(
        packets <= 8 && wakeups <= 2,
        "{packets} packets, {wakeups} wake-ups"
    );
}

/// A line whose client asks for compact deliveries, logged in and behind its first SYNCED with a cursor.
fn line_of(compact: bool) -> Line {
    let mut line = Line::new();
    let mut config = config();
    (config.framing, config.compact) = (Framing::Serial, compact);
    line.client = client_with(config, [ROOM; 3]);
    line.client.login(line.now);
    line.carry();
    line.hub.synced(&CURSOR).unwrap();
    line.carry();
    line.wait(2 * SECOND);
    line
}

/// As the hub's are: eight bytes of an epoch, and a change.
const CURSOR: [u8; 10] = [1, 0x93, 0x5a, 0xc0, 0x11, 0x7e, 0x20, 9, 0x21, 0x33];

/// Numbers of the size of a real hub's, where the reader's own message is smaller.
fn deliver_real(line: &mut Line, said: &str) {
    let user = line.client.config().user;
    let mut message = message(said);
    message.envelope = message
        .envelope
        .with_sequence(300)
        .with_time(1_764_230_000)
        .with_origin(1 << 60);
    message.envelope.from = UserId::new("alice").unwrap();
    message.to = user.into();
    message.id.sender = 144_115_200_000_000_017;
    message.id.client_time = 1_764_230_000;
    message.id.random = 0xdead_beef;
    message.client_sequence = 1_230_150_001;
    let mut cursor = CURSOR;
    cursor[9] += 1;
    let bytes = tim_session::proto::message::to_vec(&message);
    line.hub.deliver_to(&user, 7, &cursor, 0, &bytes).unwrap();
}

/// `cargo test -p tim-session --features alloc --test serial an_isolated -- --nocapture` prints the table of docs/transports.md.
#[test]
#[allow(clippy::print_stdout)] // the table
fn an_isolated_text_of_23_bytes_costs_little() {
    const TEXT: &str = "23 bytes, as text goes.";
    let sent = cost_on(line_of(false), |line| line.send(TEXT));
    let full = cost_on(line_of(false), |line| deliver_real(line, TEXT));
    let compact = cost_on(line_of(true), |line| deliver_real(line, TEXT));
    // PUBLISH with a topic of 5 bytes at QoS 1, and PUBACK, in the same packets.
    let mqtt = (2 + 2 + 5 + 2 + TEXT.len()) + 9 + 4 + 9;
    println!("| 23 bytes of text | packets | bytes both ways | wake-ups afterwards |");
    println!("|---|--:|--:|--:|");
    for (name, (packets, bytes, wakeups)) in [
        ("sent", sent),
        ("delivered", full),
        ("delivered, compact", compact),
    ] {
        println!("| {name} | {packets} | {bytes} | {wakeups} |");
    }
    println!("| MQTT 3.1.1 QoS 1, either way, in the same packets (computed) | 2 | {mqtt} | 0 |");
    assert!(full.1 > 100, "{full:?}");
    assert!(compact.0 == 2 && compact.1 <= 75 && compact.2 == 0, "{compact:?}");
}

#[test]
fn compact_deliveries_move_the_cursor_as_full_ones_do() {
    for compact in [true, false] {
        let mut line = line_of(compact);
        line.seen.clear();
        deliver_real(&mut line, "one");
        line.carry();
        line.wait(SECOND);
        let mut cursor = CURSOR;
        cursor[9] += 1;
        assert_eq!(line.client.cursor(), cursor, "compact {compact}");
        assert_eq!(line.seen, ["one"]);
        // A SYNCED whose cursor the hub's end does not know of, and an entry that is not stored.
        line.hub
            .push(
                FrameKind::SYNCED,
                &tim_session::proto::request::Synced::new().with_cursor(&[7, 7]),
            )
            .unwrap();
        line.deliver("full");
        let bytes = tim_session::proto::message::to_vec(&message("live"));
        let user = line.client.config().user;
        line.hub.deliver_to(&user, 7, &[], 0, &bytes).unwrap();
        line.carry();
        assert_eq!(line.client.cursor(), [2], "compact {compact}");
        assert_eq!(line.seen, ["one", "full", "live"]);
    }
}

/// Whether a loss is noticed within seconds: the next session is there then.
fn is_noticed(line: &mut Line, story: &str) {
    let at = line.now;
    while line.logins < 2 {
        assert!(line.now.since(at) < 4 * SECOND, "{story}: noticed too late");
        line.wait(Duration::from_millis(100));
    }
    line.wait(3 * SECOND);
    assert!(line.client.is_ready() && line.hub.is_online(), "{story}");
}

#[test]
fn a_lost_answer_or_acknowledgement_is_noticed_soon() {
    for (is_answer, is_late) in [(true, false), (true, true), (false, false), (false, true)] {
        let story = format!("answer {is_answer}, late {is_late}");
        let mut line = Line::quiet();
        match is_answer {
            true => line.send("up"),
            false => {
                line.client.hold_acknowledgements(is_late);
                line.deliver("down");
            }
        }
        let (up, down) = line.take();
        match is_answer {
            // The hub takes its time, and has given a PONG before it answers.
            true => {
                line.hub_is_slow = is_late;
                line.give(&up, &down);
            }
            false => line.give(&up, &down),
        }
        if is_late {
            line.wait(3 * SECOND);
            assert_eq!(line.logins, 1, "{story}");
            line.client.hold_acknowledgements(false);
            line.hub_is_slow = false;
            line.answer_late();
        }
        let lost = line.take();
        assert_eq!(
            (lost.1.is_empty(), lost.0.is_empty()),
            (!is_answer, is_answer),
            "{story}"
        );
        is_noticed(&mut line, &story);
        assert_eq!(line.stored.len(), usize::from(is_answer), "{story}");
    }
}

/// The response to a later request proves the line as it was; the client that waits for an earlier one asks all the same.
#[test]
fn a_line_that_dies_while_a_request_waits_is_noticed_soon() {
    let mut line = Line::quiet();
    line.hub_is_slow = true;
    line.send("first");
    line.send("second");
    line.carry();
    let first = line.unanswered.remove(0);
    line.answer_late();
    line.carry();
    line.unanswered.push(first);
    let at = line.now;
    while !line.seen.contains(&"Disconnected".to_owned()) {
        assert!(line.now.since(at) < 5 * SECOND, "noticed too late");
        line.now = line.now + SECOND / 10;
        drop(line.take()); // and with it all that the line carries
    }
}
