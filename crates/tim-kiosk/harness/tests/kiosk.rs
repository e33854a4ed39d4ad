//! The kiosk against a real hub, on both boards: what it shows, what it says, and what becomes of it on a bad line.
//!
//! Each scenario has a hub, a kiosk and a cable of its own, waits for what must happen, and has a deadline for the whole.
//! `KIOSK_RESETS` is how often the power is cut (default 12), `KIOSK_BOOTS` how often that of eight kiosks at once (default 2), `KIOSK_NOISE` how many bytes of noise the line gets (default 100,000; QEMU takes some 7,000 to 15,000 a second).

mod scenarios;
#[cfg(target_os = "linux")]
mod signals;
#[path = "../../src/store.rs"]
mod store;
mod store_tests;

use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use tim_client::{
    Client, ConversationId, CreateGroup, Event, EventStream, GroupId, GroupType, Message, UserId,
};
use tim_kiosk_harness::{Board, Cable, Hub, KIOSK, Kiosk, LOBBY, firmware, tools};

/// Everything that a scenario needs; alice is the one on TCP.
struct Lobby {
    hub: Hub,
    cable: Cable,
    kiosk: Kiosk,
    alice: Client,
    ear: Ear,
}

impl Lobby {
    /// A kiosk that is logged in, and a lobby in which it and alice are.
    async fn open(board: Board) -> Self {
        let hub = Hub::start().await;
        let cable = Cable::new(hub.serial).await;
        let mut kiosk = Kiosk::start(board, &cable).await;
        kiosk.console.shows("tim kiosk: kiosk-1 in lobby").await;
        kiosk.console.shows("-- ready").await;
        let (alice, ear) = open_lobby(&hub).await;
        kiosk
            .console
            .shows("lobby #1 * Joined the group: alice,kiosk-1")
            .await;
        Self {
            hub,
            cable,
            kiosk,
            alice,
            ear,
        }
    }

    /// Alice says something in the lobby.
    async fn say(&self, text: &str) {
        say(&self.alice, lobby(), text).await;
    }
}

impl From<Lobby> for Vec<Kiosk> {
    fn from(lobby: Lobby) -> Self {
        vec![lobby.kiosk]
    }
}

/// Alice, and the lobby that she opens for herself and the kiosk's user.
async fn open_lobby(hub: &Hub) -> (Client, Ear) {
    let (alice, events) = hub.user("alice").await;
    let group = CreateGroup {
        group_id: Some(GroupId::new(LOBBY).expect("a valid id")),
        members: vec![UserId::new(KIOSK).expect("a valid id")],
        ..CreateGroup::new(GroupType::PUBLIC, "The lobby")
    };
    alice
        .create_group(group)
        .await
        .expect("there is no such group yet");
    let heard = VecDeque::new();
    (alice, Ear { events, heard })
}

fn lobby() -> ConversationId {
    ConversationId::Group(GroupId::new(LOBBY).expect("a valid id"))
}

/// What a user hears from the kiosk, one after the other.
struct Ear {
    events: EventStream,
    heard: VecDeque<Message>,
}

impl Ear {
    /// What the kiosk says next. Dropping this loses nothing.
    async fn next(&mut self) -> Message {
        loop {
            if let Some(message) = self.heard.pop_front() {
                return message;
            }
            match self.events.next().await.expect("the client goes on") {
                Event::MessageReceived(messages) => {
                    let from_kiosk = |message: &Message| message.sender().as_str() == KIOSK;
                    self.heard.extend(messages.into_iter().filter(from_kiosk));
                }
                Event::Gap(gap) => panic!("{gap:?}"),
                _ => {}
            }
        }
    }
}

async fn say(user: &Client, to: ConversationId, text: &str) {
    let message = user
        .create_text_message(to, text)
        .expect("a text that can be sent");
    user.send_message(&message, Default::default())
        .await
        .expect("the hub takes it");
}

/// Plays a scenario against the clock, and says how long it took.
fn play<F: Future<Output: Into<Vec<Kiosk>>>>(
    name: &str,
    boards: &[Board],
    seconds: u64,
    scenario: impl FnOnce() -> F,
) {
    if let Err(reason) = tools() {
        return tell(format_args!("kiosk: {name} on {boards:?} SKIPPED: {reason}"));
    }
    for &board in boards {
        firmware(board); // building is not the scenario's time
    }
    // On this thread alone, so that a failed test shows what the console showed.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let began = Instant::now();
    let played = async { tokio::time::timeout(Duration::from_secs(seconds), scenario()).await };
    let played = runtime
        .block_on(played)
        .unwrap_or_else(|_| panic!("{name} on {boards:?} is not over after {seconds} s"));
    let mut kiosks: Vec<Kiosk> = played.into();
    kiosks.iter_mut().for_each(Kiosk::check_starts);
    let took = began.elapsed().as_secs_f64();
    let busy = kiosks.iter().filter_map(Kiosk::processor_time).sum::<Duration>();
    let busy = busy.as_secs_f64();
    let machines: Vec<_> = boards.iter().map(|board| board.machine()).collect();
    let machines = machines.join(", ");
    tell(format_args!(
        "kiosk: {machines:12} {name:20} {took:6.1} s, QEMU's processor {busy:5.1} s"
    ));
}

/// Prints past the test runner, which would show it for failures only.
fn tell(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Plays a scenario with one kiosk.
fn play_on<F: Future<Output = Lobby>>(
    board: Board,
    name: &str,
    seconds: u64,
    scenario: impl FnOnce(Board) -> F,
) {
    play(name, &[board], seconds, || scenario(board));
}

macro_rules! scenarios {
    ($($name:ident within $seconds:literal s;)+) => {
        mod mps2 {
            $(#[test]
            fn $name() {
                super::play_on(super::Board::Mps2, stringify!($name), $seconds, super::scenarios::$name);
            })+
        }
        mod lm3s {
            $(#[test]
            fn $name() {
                super::play_on(super::Board::Lm3s, stringify!($name), $seconds, super::scenarios::$name);
            })+
        }
    };
}

scenarios! {
    talk within 60 s;
    cable_pulls within 120 s;
    hub_restart within 60 s;
    noise within 3000 s;
    a_thousand_each_way within 300 s;
    a_long_text within 60 s;
    a_picture within 120 s;
    power_resets within 600 s;
}

#[test]
fn boots_together() {
    let both = [Board::Mps2, Board::Lm3s];
    play("boots_together", &both, 3000, scenarios::boots_together);
}
