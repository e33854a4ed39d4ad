//! A house with eight kiosks of one user, in which the power goes and comes back.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::time::{Duration, Instant};

use tim_client::Client;
use tim_kiosk_harness::{Board, Cable, Hub, Kiosk};

use super::{Random, whole};
use crate::{Ear, lobby, open_lobby};

const KIOSKS: u64 = 8;
/// Within what time all of them start.
const SPREAD: Duration = Duration::from_secs(1);
/// How many messages each of them is to say when its power goes.
const SAYS: &str = "nnnnnnnn";

/// What is needed until the kiosks have been looked at.
pub(crate) struct House {
    kiosks: Vec<Kiosk>,
    _cables: Vec<Cable>,
    _hub: Hub,
}

impl From<House> for Vec<Kiosk> {
    fn from(house: House) -> Self {
        house.kiosks
    }
}

impl House {
    /// Kiosks on both boards, each logged in as a device of the same user, at a hub with the limits that every hub has.
    async fn open() -> Self {
        let hub = Hub::start_with(&[]).await;
        let (mut kiosks, mut cables) = (Vec::new(), Vec::new());
        for number in 1..=KIOSKS {
            let board = [Board::Lm3s, Board::Mps2][number as usize % 2];
            let cable = Cable::new(hub.serial).await;
            kiosks.push(Kiosk::start_numbered(board, &cable, number).await);
            cables.push(cable);
        }
        let mut house = Self {
            kiosks,
            _cables: cables,
            _hub: hub,
        };
        house.all_ready().await;
        house
    }

    /// Waits until each has started and is ready.
    async fn all_ready(&mut self) {
        for kiosk in &mut self.kiosks {
            kiosk.console.shows("tim kiosk:").await;
            kiosk.console.shows("-- ready").await;
        }
    }

    /// Cuts the power of all, and returns when each is ready again, after the first of the cuts.
    async fn cut_power(&mut self, random: &mut Random) -> Duration {
        let mut moments: Vec<_> = (0..self.kiosks.len())
            .map(|kiosk| (random.below(SPREAD.as_millis() as u64), kiosk))
            .collect();
        moments.sort_unstable();
        let began = Instant::now();
        for (at, kiosk) in moments {
            tokio::time::sleep_until((began + Duration::from_millis(at)).into()).await;
            self.kiosks[kiosk].reset().await;
        }
        self.all_ready().await;
        began.elapsed()
    }
}

/// Alice says numbered things until she is told to stop; what she says is shown at eight places.
async fn speak(alice: &Client, stop: &Cell<bool>) {
    let mut said = 0;
    while !stop.get() {
        super::say(alice, lobby(), &format!("to the kiosk {said}")).await;
        said += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    super::say(alice, lobby(), "the end").await;
}

/// The power of all kiosks is cut within a second, while each of them says something and alice speaks to all. What a kiosk has taken for
/// sending is in the history once; what others say is shown by each once, or again from flash if the cut came before the screen had it.
pub(crate) async fn boots_together() -> House {
    let boots = env::var("KIOSK_BOOTS").map_or(2, |boots| boots.parse().expect("a number of boots"));
    let mut house = House::open().await;
    let (alice, mut ear) = open_lobby(&house._hub).await;
    for kiosk in &mut house.kiosks {
        kiosk.console.shows("lobby #1 * Joined the group").await;
    }
    let stop = Cell::new(false);
    let speaking = speak(&alice, &stop);
    let booting = async {
        let mut random = Random(0xB007);
        let mut slowest = Duration::ZERO;
        for boot in 0..boots {
            for kiosk in &mut house.kiosks {
                kiosk.console.type_in(SAYS).await;
            }
            let took = house.cut_power(&mut random).await;
            println!("boot {boot}: the last is ready after {took:.1?}");
            slowest = slowest.max(took);
        }
        crate::tell(format_args!(
            "kiosk: {boots} boots of {KIOSKS}, the last is ready after at most {slowest:.1?}"
        ));
        for kiosk in &mut house.kiosks {
            kiosk.console.press('1').await;
            kiosk.console.shows("kiosk-1: Hello from the lobby").await;
        }
        stop.set(true);
        for kiosk in &mut house.kiosks {
            kiosk.console.shows("alice: the end").await;
        }
    };
    let ((), (), history) = tokio::join!(speaking, booting, history(&mut ear));
    let consoles: Vec<_> = house.kiosks.iter().map(|kiosk| kiosk.console.all()).collect();
    check_said(&history, &consoles);
    check_shown(&history, &consoles);
    house
}

/// What the kiosks have said, by sequence, until each has said its last.
async fn history(ear: &mut Ear) -> BTreeMap<u64, String> {
    let (mut history, mut left) = (BTreeMap::new(), KIOSKS);
    while left > 0 {
        let message = ear.next().await;
        let text = message.text().unwrap_or_default().to_owned();
        left -= u64::from(text.starts_with("Hello"));
        history.insert(message.sequence(), text);
    }
    history
}

/// What was taken was said, and nothing was said twice.
fn check_said(history: &BTreeMap<u64, String>, consoles: &[Vec<String>]) {
    let mut counts = BTreeMap::<_, u32>::new();
    for text in history.values() {
        *counts.entry(text.as_str()).or_default() += 1;
    }
    let (mut taken, mut lost) = (0, Vec::new());
    for console in consoles {
        let texts = whole(console).filter_map(|line| line.strip_prefix(" > "));
        for text in texts.filter(|text| text.starts_with("numbered ")) {
            taken += 1;
            if !counts.contains_key(text) {
                lost.push(text.to_owned());
            }
        }
    }
    let is_doubled = |(text, count): &(&&str, &u32)| text.starts_with("numbered ") && **count > 1;
    let doubled: Vec<_> = counts.iter().filter(is_doubled).collect();
    crate::tell(format_args!(
        "kiosk: {taken} messages taken, {} said, lost {}, doubled {}",
        history.len(),
        lost.len(),
        doubled.len()
    ));
    assert!(
        lost.is_empty() && doubled.is_empty(),
        "lost {lost:?}, doubled {doubled:?}"
    );
    assert!(taken > 0, "no kiosk has said anything");
}

/// Each kiosk has shown what the others said, when it came or at the next start; and nothing twice when it came.
fn check_shown(history: &BTreeMap<u64, String>, consoles: &[Vec<String>]) {
    let (mut shown, mut only_again, mut twice, mut never) = (0, 0, Vec::new(), Vec::new());
    for (number, console) in (1_u64..).zip(consoles) {
        let (mut new, mut again) = (BTreeMap::<_, u32>::new(), BTreeSet::new());
        for line in whole(console) {
            if let Some(sequence) = line.strip_prefix(" < ").and_then(sequence) {
                again.insert(sequence);
            } else if let Some(sequence) = sequence(line) {
                *new.entry(sequence).or_default() += 1;
            }
        }
        let mine = |sequence: &u64| is_of(history.get(sequence).map_or("", String::as_str), number);
        let last = *new.keys().last().expect("it has shown the end");
        never.extend((1..=last).filter_map(|sequence| {
            let is_shown = new.contains_key(&sequence) || again.contains(&sequence) || mine(&sequence);
            (!is_shown).then_some((number, sequence))
        }));
        twice.extend(
            new.iter()
                .filter(|(_, times)| **times > 1)
                .map(|(sequence, _)| (number, *sequence)),
        );
        shown += new.len();
        only_again += again
            .iter()
            .filter(|sequence| !new.contains_key(sequence))
            .count();
    }
    crate::tell(format_args!(
        "kiosk: {shown} entries shown, {only_again} only at the next start, never {}, twice {}",
        never.len(),
        twice.len()
    ));
    assert!(
        never.is_empty() && twice.is_empty(),
        "never {never:?}, twice {twice:?}"
    );
}

/// The sequence in the lobby of the entry that a line shows.
fn sequence(line: &str) -> Option<u64> {
    line.strip_prefix("lobby #")?.split(' ').next()?.parse().ok()
}

/// Whether the kiosk with this number has made this text; each begins with a million of its own.
fn is_of(text: &str, kiosk: u64) -> bool {
    let number = text
        .strip_prefix("numbered ")
        .and_then(|number| number.parse::<u64>().ok());
    number.is_some_and(|number| number / 1_000_000 == kiosk)
}
