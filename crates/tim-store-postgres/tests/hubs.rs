//! Several hubs on one database, and clients of each.

mod server;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use server::Database;
use tim_client::transport::{MemoryConnector, memory_listener};
use tim_client::{
    Client, ClientBuilder, ConversationId, CreateGroup, Event, EventStream, GroupId, GroupType, ImError,
    Message, SendOptions, UserId,
};
use tim_hub::usersig::{App, UserSig};
use tim_hub::{Hub, HubOptions};
use tim_store_postgres::OpenOptions;

const APP: u32 = 1_400_000_000;

/// Hubs that share a database.
struct World {
    app: App,
    hubs: Vec<(Arc<Hub>, MemoryConnector)>,
    database: Database,
}

impl World {
    async fn new(hubs: usize) -> Self {
        tim_testkit::deadline();
        let database = tokio::task::spawn_blocking(Database::new).await.unwrap();
        let mut world = Self {
            app: App::new(APP, "a key of the tests, long enough"),
            hubs: Vec::new(),
            database,
        };
        for _ in 0..hubs {
            world.start().await;
        }
        world
    }

    /// Starts one more.
    async fn start(&mut self) {
        let mut options = HubOptions::new(self.app.clone());
        options.sends_per_second = 0;
        options.requests_per_second = 0;
        options.limits = options.limits.with_group_messages_per_second(0);
        let url = self.database.url();
        let runtime = tokio::runtime::Handle::current();
        let opening = tokio::task::spawn_blocking(move || {
            let _entered = runtime.enter();
            Hub::with_store(options, OpenOptions::new().open_shared(&url).unwrap()).unwrap()
        });
        let hub = Arc::new(opening.await.unwrap());
        let (connector, mut listener) = memory_listener();
        let serving = Arc::clone(&hub);
        tokio::spawn(async move {
            while let Some(link) = listener.accept().await {
                serving.spawn(link);
            }
        });
        self.hubs.push((hub, connector));
    }

    fn builder(&self, name: &str) -> ClientBuilder {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let sig = UserSig::sign(&self.app, &user(name), now - 60, 3600);
        Client::builder(APP, user(name), sig)
    }

    /// A client of one of the hubs.
    async fn at(&self, hub: usize, name: &str) -> Person {
        self.at_with(hub, self.builder(name)).await
    }

    async fn at_with(&self, hub: usize, builder: ClientBuilder) -> Person {
        let client = builder.build(self.hubs[hub].1.clone());
        let events = client.events();
        in_time(client.login()).await.unwrap();
        in_time(client.wait_until_ready()).await.unwrap();
        Person {
            client,
            events,
            inbox: Vec::new(),
        }
    }

    async fn end(self) {
        for (hub, _) in &self.hubs {
            hub.shut_down().await;
        }
        tokio::task::spawn_blocking(move || drop(self)).await.unwrap();
    }
}

struct Person {
    client: Client,
    events: EventStream,
    inbox: Vec<Message>,
}

impl Person {
    /// The next message that `pick` wants; those before it are kept for later.
    async fn next<T>(&mut self, pick: impl Fn(&Message) -> Option<T>) -> T {
        in_time(async {
            loop {
                if let Some(at) = self.inbox.iter().position(|message| pick(message).is_some()) {
                    return pick(&self.inbox.remove(at)).unwrap();
                }
                if let Event::MessageReceived(messages) = self.events.next().await.unwrap() {
                    self.inbox.extend(messages);
                }
            }
        })
        .await
    }

    async fn text(&mut self, text: &str) -> Message {
        self.next(|message| (message.text() == Some(text)).then(|| message.clone()))
            .await
    }

    async fn until(&mut self, is_it: impl Fn(&Event) -> bool) {
        in_time(async {
            loop {
                let event = self.events.next().await.unwrap();
                if is_it(&event) {
                    return;
                }
                if let Event::MessageReceived(messages) = event {
                    self.inbox.extend(messages);
                }
            }
        })
        .await;
    }

    async fn say(
        &self,
        to: impl Into<ConversationId>,
        text: &str,
        options: SendOptions,
    ) -> Result<Message, ImError> {
        let message = self.client.create_text_message(to, text)?;
        Ok(in_time(self.client.send_message(&message, options))
            .await?
            .message)
    }

    async fn tell(&self, to: impl Into<ConversationId>, text: &str) -> Message {
        self.say(to, text, SendOptions::default()).await.unwrap()
    }
}

async fn in_time<T>(wanted: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), wanted)
        .await
        .expect("in time")
}

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn c2c(name: &str) -> ConversationId {
    ConversationId::C2c(user(name))
}

fn online() -> SendOptions {
    SendOptions::online_only()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_on_different_hubs_talk_read_and_revoke() {
    let world = World::new(3).await;
    let (mut alice, mut tablet) = (world.at(0, "alice").await, world.at(1, "alice").await);
    let mut bob = world.at(2, "bob").await;
    let hello = alice.tell(c2c("bob"), "hello").await;
    let at_bob = bob.text("hello").await;
    assert_eq!(at_bob.id(), hello.id());
    tablet.text("hello").await;
    bob.tell(c2c("alice"), "hi").await;
    alice.text("hi").await;
    tablet.text("hi").await;
    // What one device has read, the other one on another hub shows as read.
    in_time(alice.client.set_message_read(c2c("bob"))).await.unwrap();
    tablet
        .until(|event| matches!(event, Event::ConversationListUpdated(list) if list[0].unread_count == 0))
        .await;
    in_time(alice.client.revoke_message(&hello)).await.unwrap();
    for person in [&mut bob, &mut tablet] {
        person
            .until(|event| matches!(event, Event::MessageRevoked(messages) if messages[0].id() == hello.id()))
            .await;
    }
    assert!(at_bob.is_revoked());
    // What is not stored crosses, too. Whether it gets there at once is not promised: nobody is online anywhere before it is known.
    bob.say(c2c("alice"), "are you there?", online()).await.unwrap();
    tablet.text("are you there?").await;
    alice.text("are you there?").await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_is_one_group_on_all_hubs() {
    let world = World::new(2).await;
    let (mut alice, mut bob) = (world.at(0, "alice").await, world.at(1, "bob").await);
    let group = GroupId::new("choir").unwrap();
    let wanted = CreateGroup {
        group_id: Some(group),
        ..CreateGroup::new(GroupType::MEETING, "choir")
    };
    in_time(alice.client.create_group(wanted)).await.unwrap();
    in_time(bob.client.join_group(group, "")).await.unwrap();
    alice.tell(group, "one").await;
    bob.text("one").await;
    bob.tell(group, "two").await;
    alice.text("two").await;
    // Muted at one hub, refused at the other.
    in_time(alice.client.set_group_member_mute_time(group, user("bob"), 600))
        .await
        .unwrap();
    assert!(bob.say(group, "no", SendOptions::default()).await.is_err());
    // Nor what is not stored, as soon as the other hub knows.
    in_time(async { while bob.say(group, "not yet", online()).await.is_ok() {} }).await;
    // Removed at one hub, gone from the list at the other.
    in_time(alice.client.delete_group_member(group, &[user("bob")], ""))
        .await
        .unwrap();
    bob.until(|event| matches!(event, Event::ConversationListUpdated(list) if list.iter().all(|one| one.id != ConversationId::Group(group))))
        .await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_on_another_hub_replaces_the_one_before() {
    let world = World::new(2).await;
    let mut before = world.at_with(0, world.builder("alice").device(7)).await;
    let mut bob = world.at(0, "bob").await;
    let after = world.at_with(1, world.builder("alice").device(7)).await;
    before.until(|event| matches!(event, Event::KickedOut(_))).await;
    after.tell(c2c("bob"), "it is me").await;
    bob.text("it is me").await;
    // Kicked at one hub, on the other one.
    let mut other = world.at(1, "alice").await;
    let kicked = in_time(world.hubs[0].0.kick(user("alice"))).await;
    assert!(kicked.is_ok());
    other.until(|event| matches!(event, Event::KickedOut(_))).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_has_members_on_all_hubs() {
    let world = World::new(2).await;
    let (mut alice, mut bob) = (world.at(0, "alice").await, world.at(1, "bob").await);
    let room = GroupId::new("room").unwrap();
    let wanted = CreateGroup {
        group_id: Some(room),
        ..CreateGroup::new(GroupType::AV_CHAT_ROOM, "room")
    };
    in_time(alice.client.create_group(wanted)).await.unwrap();
    in_time(bob.client.join_group(room, "")).await.unwrap();
    bob.tell(room, "from the other hub").await;
    alice.text("from the other hub").await;
    alice.tell(room, "and back").await;
    bob.text("and back").await;
    in_time(alice.client.dismiss_group(room)).await.unwrap();
    in_time(async { while bob.say(room, "not yet", SendOptions::default()).await.is_ok() {} }).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_ends_leaves_its_users_to_the_others() {
    let mut world = World::new(2).await;
    let (alice, mut bob) = (world.at(0, "alice").await, world.at(1, "bob").await);
    alice.tell(c2c("bob"), "one").await;
    bob.text("one").await;
    let (hub, _) = world.hubs.remove(0);
    hub.shut_down().await;
    drop(hub);
    let mut alice = world.at(0, "alice").await;
    bob.tell(c2c("alice"), "two").await;
    alice.text("two").await;
    // One that comes later is told of everything that comes after it.
    world.start().await;
    let carol = world.at(1, "carol").await;
    carol.tell(c2c("bob"), "three").await;
    bob.text("three").await;
    assert!(bob.client.is_ready());
    world.end().await;
}
