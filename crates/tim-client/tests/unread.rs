//! What each device says is unread, against what the hub says: two users with two devices each write to each other and in a
//! group, read (all, and up to a message), delete, take back and come again, all at the same time; when nothing is under way
//! any more, every number that a device has published must be the hub's: its last list event, its last total, and what it
//! answers when it is asked for the total.
//!
//! A hundred interleavings by default. Ten thousand take some minutes:
//! `TIM_UNREAD_PAIRS=50 TIM_UNREAD_ROUNDS=200 cargo test -p tim-client --test unread`. What is done follows from the seed
//! (`TIM_UNREAD_SEED`), which a failure names.

#[path = "support/world.rs"]
mod world;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tim_client::{
    Client, ClientBuilder, ConversationId, CreateGroup, Event, EventStream, GroupId, GroupType, Message,
    SendOptions, UserId,
};
use tokio::task::JoinSet;
use world::World;

/// How long numbers may take to settle: lists are told of once a second.
const PATIENCE: Duration = Duration::from_secs(60);

struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }
}

/// Hundreds of clients in one process have to wait for each other.
fn patient(builder: ClientBuilder) -> ClientBuilder {
    builder.session(|session| session.request_timeout = PATIENCE)
}

/// A device, and what it has published.
struct Device {
    client: Client,
    events: EventStream,
    list: BTreeMap<String, u32>,
    total: u64,
    sent: Vec<Message>,
}

impl Device {
    async fn new(world: &World, name: &str) -> Self {
        let (client, events) = world.log_in(name, patient).await;
        Self {
            client,
            events,
            list: BTreeMap::new(),
            total: 0,
            sent: Vec::new(),
        }
    }

    fn take_events(&mut self) {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        while let std::task::Poll::Ready(Some(event)) = self.events.poll_next_event(&mut context) {
            match event {
                Event::ConversationListUpdated(list) => {
                    let list = list.iter().map(|one| (one.id.to_string(), one.unread_count));
                    self.list = list.collect();
                }
                Event::TotalUnreadMessageCountUpdated(total) => self.total = total,
                _ => {}
            }
        }
    }

    fn published(&mut self) -> (BTreeMap<String, u32>, u64, u64) {
        self.take_events();
        let asked = self.client.get_total_unread_message_count();
        (self.list.clone(), self.total, asked)
    }
}

/// What the hub says: the list of a device that has just logged in.
async fn truth(observer: &Client) -> (BTreeMap<String, u32>, u64) {
    observer.logout().await.unwrap();
    observer.login().await.unwrap();
    observer.wait_until_ready().await.unwrap();
    let list = observer.get_conversation_list().await.unwrap().conversation_list;
    let numbers: BTreeMap<_, _> = list
        .iter()
        .map(|one| (one.id.to_string(), one.unread_count))
        .collect();
    let counting = list.iter().filter(|one| one.counts_in_total());
    let total = counting.map(|one| u64::from(one.unread_count)).sum();
    (numbers, total)
}

/// One thing that a device does. What is refused is no fault: a message may have been taken back already.
async fn act(
    client: Client,
    to: ConversationId,
    what: u64,
    upto: u64,
    mine: Option<Message>,
) -> Option<Message> {
    for _ in 0..upto % 4 {
        tokio::task::yield_now().await;
    }
    match what {
        0..=4 => {
            let message = client.create_text_message(to, "x").unwrap();
            let sent = client.send_message(&message, SendOptions::default()).await;
            return Some(sent.unwrap().message);
        }
        5 => drop(client.set_message_read(to).await.unwrap()),
        6 => drop(client.set_message_read_up_to(to, upto.max(1)).await.unwrap()),
        7 => drop(client.delete_conversation(to).await.unwrap()),
        _ => {
            if let Some(mine) = mine {
                let _ = client.revoke_message(&mine).await;
            }
        }
    }
    None
}

/// Two users, their devices, and another device of each to ask the hub with.
struct Pair {
    devices: Vec<Device>,
    observers: [Client; 2],
    group: GroupId,
    names: [UserId; 2],
}

impl Pair {
    async fn new(world: &World, number: u64) -> Self {
        let names = [format!("a{number}"), format!("b{number}")];
        let mut devices = Vec::new();
        for name in [&names[0], &names[0], &names[1], &names[1]] {
            devices.push(Device::new(world, name).await);
        }
        let observers = [
            world.log_in(&names[0], patient).await.0,
            world.log_in(&names[1], patient).await.0,
        ];
        let names = names.map(|name| UserId::new(&name).unwrap());
        let wanted = CreateGroup {
            members: vec![names[1]],
            ..CreateGroup::new(GroupType::PUBLIC, "Both")
        };
        let group = devices[0].client.create_group(wanted).await.unwrap().group_id;
        Self {
            devices,
            observers,
            group,
            names,
        }
    }

    async fn interleave(&mut self, random: &mut Random) {
        let mut acts = JoinSet::new();
        for _ in 0..4 + random.below(10) {
            let who = random.below(4) as usize;
            let peer = self.names[1 - who / 2];
            let to = match random.below(3) {
                0 => ConversationId::Group(self.group),
                _ => ConversationId::C2c(peer),
            };
            let device = &mut self.devices[who];
            let mine = match device.sent.len() as u64 {
                0 => None,
                len => Some(device.sent[random.below(len) as usize].clone()),
            };
            let newest = self.devices.iter().flat_map(|device| &device.sent);
            let newest = newest.map(Message::sequence).max();
            let newest = newest.unwrap_or(1);
            let (what, upto) = (random.below(11), newest.saturating_sub(random.below(4)));
            let client = self.devices[who].client.clone();
            acts.spawn(async move { (who, act(client, to, what, upto, mine).await) });
        }
        while let Some(done) = acts.join_next().await {
            let (who, sent) = done.unwrap();
            self.devices[who].sent.extend(sent);
        }
        if random.below(8) == 0 {
            let client = &self.devices[random.below(4) as usize].client;
            client.logout().await.unwrap();
            client.login().await.unwrap();
            client.wait_until_ready().await.unwrap();
        }
    }

    async fn compare(&mut self, context: &str) {
        for (user, observer) in self.observers.iter().enumerate() {
            let (list, total) = truth(observer).await;
            for which in [2 * user, 2 * user + 1] {
                let device = &mut self.devices[which];
                let began = Instant::now();
                loop {
                    let published = device.published();
                    if published == (list.clone(), total, total) {
                        break;
                    }
                    assert!(
                        began.elapsed() < PATIENCE,
                        "{context}: device {which} published {published:?}; the hub has {list:?}, {total}"
                    );
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        }
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect(name))
}

#[tokio::test]
async fn every_published_number_is_the_hubs_when_nothing_is_under_way() {
    let (pairs, rounds) = (setting("TIM_UNREAD_PAIRS", 20), setting("TIM_UNREAD_ROUNDS", 5));
    let seed = setting("TIM_UNREAD_SEED", 1);
    let world = World::new();
    tim_testkit::deadline_in(Duration::from_secs(120 + 20 * rounds));
    let mut set = JoinSet::new();
    for number in 0..pairs {
        let mut pair = Pair::new(&world, number).await;
        set.spawn(async move {
            let mut random = Random((seed + number).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
            for round in 0..rounds {
                pair.interleave(&mut random).await;
                pair.compare(&format!("seed {seed}, pair {number}, round {round}"))
                    .await;
            }
        });
    }
    while let Some(done) = set.join_next().await {
        done.unwrap();
    }
    world.end().await;
}
