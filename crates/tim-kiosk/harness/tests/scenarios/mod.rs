//! The scenarios.

mod boots;

use std::env;
use std::time::{Duration, Instant};

use tim_client::proto::request::FilePart;
use tim_client::{Event, Message, Payload, UserId};
use tim_kiosk_harness::{Board, KIOSK, next};

use super::{Lobby, lobby, say};

pub(super) use boots::boots_together;

/// Random enough, and the same every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| (self.next() >> 32) as u8).collect()
    }
}

/// Everything that the kiosk can do, on a good line.
pub(super) async fn talk(board: Board) -> Lobby {
    let mut it = Lobby::open(board).await;
    it.kiosk
        .console
        .shows("system #1 * alice invited you to the group The lobby")
        .await;
    it.say("Good morning [微笑] \x1b[31m[nothing]").await;
    // The emoji is one, what is none is text, and nobody steers the terminal.
    it.kiosk
        .console
        .shows("lobby #2 alice: Good morning <emoji_0.png> [31m[nothing]")
        .await;
    it.kiosk.console.shows("2 unread").await;
    it.kiosk.console.press('u').await;
    it.kiosk.console.shows(" = GROUPlobby The lobby: 2 unread").await;
    it.kiosk.console.shows(" = that is all").await;
    it.kiosk.console.press('m').await;
    it.kiosk.console.shows("   0 unread").await;

    for (key, text) in [('1', "Hello from the lobby [微笑]"), ('5', "Thank you [呲牙]")] {
        it.kiosk.console.press(key).await;
        assert_eq!(it.ear.next().await.text(), Some(text));
    }
    it.kiosk
        .console
        .shows("lobby #4 kiosk-1: Thank you <emoji_1.png>")
        .await;
    it.kiosk.console.press('f').await;
    assert!(matches!(it.ear.next().await.payload(), Payload::Face(face) if face.index == 1));
    it.kiosk.console.press('c').await;
    assert!(
        matches!(it.ear.next().await.payload(), Payload::Custom(custom) if custom.data == "{\"door\":1}")
    );
    it.kiosk
        .console
        .shows("lobby #6 kiosk-1: [Custom Messages] The doorbell of the lobby")
        .await;
    it.kiosk.console.press('r').await;
    let revoked = next(&mut it.ear.events, |event| match event {
        Event::MessageRevoked(messages) => messages.first().map(Message::sequence),
        _ => None,
    });
    assert_eq!(revoked.await, 6);
    it.kiosk.console.shows("lobby #7 * #6: ").await;
    it.kiosk.console.press('h').await;
    it.kiosk
        .console
        .shows(" : lobby #5 kiosk-1: [Animated Sticker] 1 lobby")
        .await;
    it.kiosk.console.shows(" : lobby #6 * ").await;
    it.kiosk.console.shows(" : h for older ones").await;
    it.kiosk.console.press('h').await;
    it.kiosk.console.shows(" : lobby #1 * Joined the group").await;

    let me = UserId::new(KIOSK).expect("a valid id");
    say(&it.alice, me.into(), "just to you").await;
    it.kiosk.console.shows("alice #1 alice: just to you").await;
    it.kiosk.console.press('?').await;
    it.kiosk.console.shows("1-5 say something").await;
    it
}

/// The cable is out while things are said, and nobody is told.
pub(super) async fn cable_pulls(board: Board) -> Lobby {
    let mut it = Lobby::open(board).await;
    for round in 0..3_u64 {
        it.cable.pull();
        it.say(&format!("while the cable was out {round}")).await;
        it.kiosk.console.press('2').await;
        // The kiosk has sent it into the void, asks for an answer, and gives the line up.
        it.kiosk.console.shows("-- connection lost").await;
        it.cable.plug();
        it.kiosk
            .console
            .shows(&format!("alice: while the cable was out {round}"))
            .await;
        assert_eq!(it.ear.next().await.text(), Some("A visitor is here"));
    }
    it.say("the end").await;
    it.kiosk.console.shows("alice: the end").await;
    let shown = it.kiosk.console.all();
    for round in 0..3 {
        let words = format!("alice: while the cable was out {round}");
        assert_eq!(
            shown.iter().filter(|line| line.contains(&words)).count(),
            1,
            "{words}"
        );
    }
    it
}

/// The hub is killed and starts again on the same data.
pub(super) async fn hub_restart(board: Board) -> Lobby {
    let mut it = Lobby::open(board).await;
    for round in 0..2 {
        it.say(&format!("before {round}")).await;
        it.kiosk.console.shows(&format!("alice: before {round}")).await;
        it.hub.stop().await;
        it.kiosk.console.press('3').await;
        it.hub.restart().await;
        assert_eq!(it.ear.next().await.text(), Some("A parcel has come"));
        it.say(&format!("after {round}")).await;
        it.kiosk.console.shows(&format!("alice: after {round}")).await;
    }
    it
}

/// Random bytes, and packets that look right until they do not, into the kiosk's port.
pub(super) async fn noise(board: Board) -> Lobby {
    let mut it = Lobby::open(board).await;
    let bytes = env::var("KIOSK_NOISE")
        .ok()
        .and_then(|bytes| bytes.parse().ok())
        .unwrap_or(100_000);
    let mut random = Random(0x5EED);
    let mut sent = 0;
    while sent < bytes {
        let noise = match random.below(3) {
            // A packet of the right form, whose content makes no sense.
            0 => packet(&mut random),
            // Nothing but zeros, or one enormous packet.
            1 => {
                let byte = random.next() as u8 & 1;
                vec![byte; random.below(2000) as usize]
            }
            _ => {
                let len = random.below(2000) as usize;
                random.bytes(len)
            }
        };
        sent += noise.len();
        it.cable.noise(noise).await;
    }
    it.kiosk.check_starts();
    it.say("is anybody there").await;
    it.kiosk.console.shows("alice: is anybody there").await;
    it.kiosk.console.press('1').await;
    assert_eq!(it.ear.next().await.text(), Some("Hello from the lobby [微笑]"));
    let shown = it.kiosk.console.all();
    assert_eq!(
        shown
            .iter()
            .filter(|line| line.contains("is anybody there"))
            .count(),
        1,
        "{shown:?}"
    );
    it
}

/// COBS and CRC-32 around random bytes that begin with a small counter, now and then with the kind of a real frame.
fn packet(random: &mut Random) -> Vec<u8> {
    let len = random.below(400) as usize;
    let mut content = vec![
        random.below(16) as u8,
        0,
        random.below(64) as u8,
        random.below(4) as u8,
    ];
    content.extend(random.bytes(len));
    let mut line = vec![0; tim_client::proto::wire::serial_encoded_max_len(content.len())];
    let len = tim_client::proto::wire::serial_encode(&content, &mut line).expect("there is room");
    line.truncate(len);
    line
}

/// A thousand messages from the kiosk and a thousand to it, with twenty cuts of all kinds in between.
pub(super) async fn a_thousand_each_way(board: Board) -> Lobby {
    const MESSAGES: u64 = 1000;
    const CUTS: u64 = 20;
    /// Where the numbers of device 1 begin.
    const FIRST: u64 = 1_000_000;
    let mut it = Lobby::open(board).await;
    for _ in 0..MESSAGES / 100 {
        it.kiosk.console.press('b').await;
    }
    let alice = it.alice.clone();
    let speaking = tokio::spawn(async move {
        for number in 0..MESSAGES {
            say(&alice, lobby(), &format!("to the kiosk {number}")).await;
        }
    });

    // Between two cuts some messages get through each way, or the cuts would hit one try to log in after the other.
    let mut random = Random(u64::from(board == Board::Mps2) + 77);
    let mut cuts = 0;
    let mut heard = 0;
    let mut shown = 0;
    while heard < MESSAGES || shown < MESSAGES {
        tokio::select! {
            message = it.ear.next(), if heard < MESSAGES => {
                assert_eq!(message.text(), Some(&*format!("numbered {}", FIRST + heard)));
                heard += 1;
            }
            number = it.kiosk.console.line(number_shown), if shown < MESSAGES => {
                assert_eq!(number, shown, "{}", it.kiosk.console.tail());
                shown += 1;
            }
        }
        if cuts < CUTS && heard + shown > (cuts + 1) * 2 * MESSAGES / (CUTS + 2) {
            cuts += 1;
            match random.below(3) {
                0 => it.cable.hang_up(),
                1 => it
                    .cable
                    .lose(1 + random.below(300) as usize, 1 + random.below(300) as usize),
                _ => {
                    let len = 1 + random.below(50) as usize;
                    let noise = random.bytes(len);
                    it.cable.noise(noise).await;
                    it.cable.lose(0, 1 + random.below(40) as usize);
                }
            }
        }
    }
    speaking.await.expect("alice said it all");
    assert_eq!(cuts, CUTS);
    it
}

/// The number in a line that shows one of alice's thousand messages.
fn number_shown(line: &str) -> Option<u64> {
    line.split_once(" alice: to the kiosk ")?.1.parse().ok()
}

/// 12 KB of text to a device that takes frames of 512 bytes: it gets a stub, and fetches the rest in pieces.
pub(super) async fn a_long_text(board: Board) -> Lobby {
    let mut it = Lobby::open(board).await;
    let mut text = String::new();
    while text.len() < 12_000 {
        text.push_str("Sehr geehrte Gäste, 大家好 [微笑] ");
    }
    let sum = text.bytes().fold(0x811C_9DC5_u32, |sum, byte| {
        (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    it.say(&text).await;
    it.say("and on").await;
    it.kiosk.console.shows("lobby #2 alice: ").await;
    it.kiosk
        .console
        .shows("  | Sehr geehrte Gäste, 大家好 <emoji_0.png>")
        .await;
    it.kiosk
        .console
        .shows(&format!("lobby #2 has {} bytes, sum {sum:08x}", text.len()))
        .await;
    let pieces = it
        .kiosk
        .console
        .all()
        .iter()
        .filter(|line| line.starts_with("  | "))
        .count();
    assert!(pieces > 20, "{pieces} pieces");
    it
}

/// A picture goes from flash to the hub in pieces of 400 bytes, over a cable that is pulled and a hub that is killed in the middle.
pub(super) async fn a_picture(board: Board) -> Lobby {
    let picture = include_bytes!("../../../src/lobby.png");
    let mut it = Lobby::open(board).await;
    let [before, _] = it.cable.passed();
    it.kiosk.console.press('p').await;
    it.cable.passed_from_kiosk(before + 3000).await;
    it.cable.pull();
    it.kiosk.console.shows("-- connection lost").await;
    it.cable.plug();
    it.cable.passed_from_kiosk(before + 7000).await;
    it.hub.restart().await;
    let message = it.ear.next().await;
    assert!(
        matches!(message.payload(), Payload::Image(image) if image.images.len() == 3),
        "{message:?}"
    );
    let file = it
        .alice
        .download(&message, FilePart::FILE)
        .expect("it has a file");
    let bytes = file.to_bytes(picture.len()).await.expect("it can be read");
    assert!(bytes == picture, "the picture arrives as it is");
    it.kiosk
        .console
        .shows(&format!("{0} of {0} bytes uploaded", picture.len()))
        .await;
    it
}

/// The power is cut at random moments while the kiosk says numbered things and alice says others. What the kiosk has taken for sending
/// is in the history once, and what alice has said is shown once, or again from flash if the cut came before the screen had it.
pub(super) async fn power_resets(board: Board) -> Lobby {
    let resets = env::var("KIOSK_RESETS").map_or(12, |resets| resets.parse().expect("a number of resets"));
    let mut it = Lobby::open(board).await;
    let mut random = Random(u64::from(board == Board::Mps2) + 4711);
    let (mut said, mut is_ready) = (0, true);
    for _ in 0..resets {
        // One cut in four falls into the start and the login.
        let is_early = random.below(4) == 0;
        if !is_early {
            if !is_ready {
                it.kiosk.console.shows("-- ready").await;
            }
            it.kiosk.console.press('b').await;
        }
        let until = Instant::now() + Duration::from_millis(random.below(if is_early { 300 } else { 1500 }));
        while Instant::now() < until {
            it.say(&format!("to the kiosk {said}")).await;
            said += 1;
            tokio::time::sleep(Duration::from_millis(random.below(80))).await;
        }
        is_ready = false;
        it.kiosk.reset().await;
        it.kiosk.console.shows("tim kiosk:").await;
    }
    it.kiosk.console.shows("-- ready").await;
    it.kiosk.console.press('1').await;
    it.say("the end").await;
    it.kiosk.console.shows("alice: the end").await;
    it.kiosk.console.shows("kiosk-1: Hello from the lobby").await;
    check_said(&mut it).await;
    check_shown(&it.kiosk.console.all(), said);
    it
}

/// What the kiosk has shown as taken (` > `) was said, and nothing was said twice.
async fn check_said(it: &mut Lobby) {
    let mut heard = Vec::new();
    while heard
        .last()
        .is_none_or(|last| last != "Hello from the lobby [微笑]")
    {
        heard.push(it.ear.next().await.text().unwrap_or_default().to_owned());
    }
    let lines = it.kiosk.console.all();
    let taken: Vec<_> = whole(&lines)
        .filter_map(|line| line.strip_prefix(" > numbered "))
        .collect();
    for number in &taken {
        let text = format!("numbered {number}");
        assert_eq!(heard.iter().filter(|heard| **heard == text).count(), 1, "{text}");
    }
    let mut once = heard.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), heard.len(), "something was said twice: {heard:?}");
    let left = lines.iter().filter(|line| line.contains(" was left and is sent"));
    let left = left.count();
    println!(
        "{} messages taken, {} said, {left} of them after a reset",
        taken.len(),
        heard.len()
    );
    assert!(!taken.is_empty() && left > 0, "no cut fell into a message");
}

/// Each of what alice has said was shown when it came at most once, and shown then or at the next start.
fn check_shown(lines: &[String], said: u64) {
    let mut new = vec![0; said as usize];
    let mut again = vec![0; said as usize];
    let mut next = 0;
    for line in whole(lines) {
        let Some(number) = number_shown(line) else {
            continue;
        };
        let shown = match line.starts_with(" < ") {
            true => &mut again,
            false => &mut new,
        };
        assert!(number <= next, "{number} is shown before {next}");
        next = next.max(number + 1);
        shown[number as usize] += 1;
    }
    assert_eq!(next, said, "the last are not shown");
    for (number, (new, again)) in new.iter().zip(&again).enumerate() {
        assert!(*new <= 1, "{number} is shown {new} times");
        assert!(new + again > 0, "{number} is never shown");
    }
    let only_again = new.iter().filter(|new| **new == 0).count();
    println!("{said} messages shown, {only_again} of them only at the next start");
}

/// The lines that no reset has cut off: a start is preceded by what is left of one, or by an empty line.
fn whole(lines: &[String]) -> impl Iterator<Item = &str> {
    lines.iter().enumerate().filter_map(|(at, line)| {
        let is_cut = lines.get(at + 1).is_some_and(|next| next.contains("tim kiosk:"));
        (!is_cut).then_some(line.as_str())
    })
}
