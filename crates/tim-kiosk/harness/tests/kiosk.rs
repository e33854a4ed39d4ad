//! The kiosk against a real hub, on both boards: what it shows, what it says, and what becomes of it on a bad line.
//!
//! Each scenario has a hub, a kiosk and a cable of its own, waits for what must happen, and has a deadline for the whole.
//! `KIOSK_RESETS` is how often the power is cut (default 12), `KIOSK_NOISE` how many bytes of noise the line gets (default 100,000; QEMU takes some 7,000 to 15,000 a second).

mod scenarios;
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
    /// How often the kiosk was reset.
    resets: usize,
}

impl Lobby {
    /// A kiosk that is logged in, and a lobby in which it and alice are.
    async fn open(board: Board) -> Self {
        let hub = Hub::start().await;
        let cable = Cable::new(hub.serial).await;
        let mut kiosk = Kiosk::start(board, &cable).await;
        kiosk.console.shows("tim kiosk: kiosk-1 in lobby").await;
        kiosk.console.shows("-- ready").await;
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
        kiosk
            .console
            .shows("lobby #1 * Joined the group: alice,kiosk-1")
            .await;
        Self {
            hub,
            cable,
            kiosk,
            alice,
            ear: Ear {
                events,
                heard: VecDeque::new(),
            },
            resets: 0,
        }
    }

    /// Alice says something in the lobby.
    async fn say(&self, text: &str) {
        say(&self.alice, lobby(), text).await;
    }

    /// The kiosk never started anew by itself, and QEMU still runs.
    fn check_starts(&mut self) {
        assert_eq!(self.kiosk.ended(), None, "{}", self.kiosk.console.tail());
        let starts = self
            .kiosk
            .console
            .all()
            .iter()
            .filter(|line| line.contains("tim kiosk:"))
            .count();
        assert_eq!(starts, 1 + self.resets, "the kiosk started anew");
    }
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
fn play<F: Future<Output = Lobby>>(
    name: &str,
    board: Board,
    seconds: u64,
    scenario: impl FnOnce(Board) -> F,
) {
    if let Err(reason) = tools() {
        let _ = writeln!(io::stdout(), "kiosk: {name} on {board:?} SKIPPED: {reason}");
        return;
    }
    firmware(board); // building is not the scenario's time
    // On this thread alone, so that a failed test shows what the console showed.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let began = Instant::now();
    let mut lobby = runtime
        .block_on(async { tokio::time::timeout(Duration::from_secs(seconds), scenario(board)).await })
        .unwrap_or_else(|_| panic!("{name} on {board:?} is not over after {seconds} s"));
    lobby.check_starts();
    // Past the test runner, which would show it for failures only.
    let took = began.elapsed().as_secs_f64();
    let busy = lobby.kiosk.processor_time().unwrap_or_default().as_secs_f64();
    let board = board.machine();
    let _ = writeln!(
        io::stdout(),
        "kiosk: {board:12} {name:20} {took:6.1} s, QEMU's processor {busy:5.1} s"
    );
}

macro_rules! scenarios {
    ($($name:ident within $seconds:literal s;)+) => {
        mod mps2 {
            $(#[test]
            fn $name() {
                super::play(stringify!($name), super::Board::Mps2, $seconds, super::scenarios::$name);
            })+
        }
        mod lm3s {
            $(#[test]
            fn $name() {
                super::play(stringify!($name), super::Board::Lm3s, $seconds, super::scenarios::$name);
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
