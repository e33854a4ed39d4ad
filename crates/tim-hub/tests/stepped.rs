//! A stepped hub: two devices and the hub on one thread in paused time, and every commit, fan-out and read where the test wants
//! it.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tim_hub::usersig::{App, UserSig};
use tim_hub::{
    Clock, Hub, HubOptions, Notification, PushError, PushOptions, PushSink, Sending, Step, Steps, Waiting,
};
use tim_proto::message::{SendOptions, Text};
use tim_proto::request::{
    CreateGroup, History, InviteMembers, PushPlatform, RegisterPush, RemoveMembers, Send,
};
use tim_proto::wire::List;
use tim_proto::{ConversationId, GroupId, GroupType, MessageId, Payload};
use tim_session::{ClientConfig, Event};
use tim_store::faults::{self, Faults};
use tim_store_sqlite::OpenOptions;
use tim_testkit::{c2c, messages, user};
use tim_transport_std::{ClientBuffers, ClientDriver, MemoryConnector, StdClientSession, memory_listener};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

const START_MS: u64 = 1_700_000_000_000;

fn app() -> App {
    App::new(1, "a key of the tests, long enough")
}

/// What has happened, in words.
#[derive(Clone)]
struct Trace {
    start: Instant,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Trace {
    fn note(&self, what: String) {
        let at = self.start.elapsed().as_micros();
        self.lines.lock().unwrap().push(format!("{at} {what}"));
    }

    /// The lines about somebody, without the times.
    fn of(&self, name: &str) -> Vec<String> {
        let lines = self.lines.lock().unwrap();
        let words = lines.iter().filter_map(|line| line.split_once(' '));
        let own = words.filter_map(|(_, what)| what.strip_prefix(name)?.strip_prefix(' '));
        own.map(str::to_owned).collect()
    }
}

struct World {
    hub: Arc<Hub>,
    steps: Steps,
    trace: Trace,
    connector: MemoryConnector,
    listener: tim_transport_std::MemoryListener,
}

impl World {
    fn open(directory: &Path) -> Self {
        Self::open_with(directory, |_| ()).0
    }

    fn open_with(directory: &Path, change: impl FnOnce(&mut HubOptions)) -> (Self, Faults) {
        let start = Instant::now();
        let elapsed = move || u64::try_from(start.elapsed().as_millis()).unwrap();
        let mut options = HubOptions::new(app());
        options.clock = Clock::new(move || START_MS + elapsed(), elapsed);
        options.sends_per_second = 0;
        options.requests_per_second = 0;
        change(&mut options);
        let store = OpenOptions::new().now_ms(START_MS).random(7).open(directory);
        let (store, faults) = faults::wrap(store.unwrap().into());
        let (hub, steps) = Hub::stepped(options, store).unwrap();
        let (connector, listener) = memory_listener();
        let world = Self {
            hub: Arc::new(hub),
            steps,
            trace: Trace {
                start,
                lines: Arc::default(),
            },
            connector,
            listener,
        };
        (world, faults)
    }

    /// Lets everything run that can.
    async fn settle(&mut self) {
        for _ in 0..3 {
            // Time passes only when nobody can do anything.
            let accepted = tokio::time::timeout(Duration::from_millis(1), self.listener.accept()).await;
            if let Ok(Some(link)) = accepted {
                self.hub.spawn(link);
            }
        }
    }

    fn device(&self, name: &str, number: u64) -> Device {
        self.started(name, number, number)
    }

    /// A device whose application has started with this seed.
    fn started(&self, name: &str, number: u64, seed: u64) -> Device {
        let mut config = ClientConfig::new(1, user(name), number);
        config.backoff_min = Duration::from_millis(1);
        let sig = UserSig::sign(&app(), &user(name), START_MS / 1000, 3600).to_string();
        let buffers = ClientBuffers::default();
        let driver = ClientDriver::new(config, sig, buffers, seed, self.connector.clone());
        let (commands, receiver) = unbounded_channel();
        let device = Device {
            name: name.to_owned(),
            commands,
        };
        tokio::spawn(run(name.to_owned(), driver, receiver, self.trace.clone()));
        device.tell(|session, now| session.login(now));
        device
    }

    /// Takes steps in an order until nothing is left to do.
    async fn work(&mut self, order: Order) {
        self.settle().await;
        while let Some(step) = order(self.steps.waiting()) {
            assert!(self.steps.step(step), "{step:?}");
            self.trace.note(format!("hub {step:?}"));
            self.settle().await;
        }
        assert!(self.steps.waiting().is_empty());
    }
}

type Order = fn(Waiting) -> Option<Step>;

/// As the threads of an idle hub would do it.
fn at_once(waiting: Waiting) -> Option<Step> {
    match waiting {
        Waiting { commits: 1.., .. } => Some(Step::FanOut),
        Waiting { live: 1.., .. } => Some(Step::Live),
        Waiting { writes: 1.., .. } => Some(Step::Commit(usize::MAX)),
        Waiting { reads: 1.., .. } => Some(Step::Read(0)),
        _ => None,
    }
}

/// The newest read first, its result late, one write at a time, and the fan-out last.
fn backwards(waiting: Waiting) -> Option<Step> {
    match waiting {
        Waiting { reads: 1.., .. } => Some(Step::ReadAhead(waiting.reads - 1)),
        Waiting { writes: 1.., .. } => Some(Step::Commit(1)),
        Waiting { answers: 1.., .. } => Some(Step::Answer(waiting.answers - 1)),
        Waiting { live: 1.., .. } => Some(Step::Live),
        Waiting { commits: 1.., .. } => Some(Step::FanOut),
        _ => None,
    }
}

type Command = Box<dyn FnOnce(&mut StdClientSession, tim_session::Instant) + std::marker::Send>;

struct Device {
    name: String,
    commands: UnboundedSender<Command>,
}

impl Device {
    fn tell(
        &self,
        command: impl FnOnce(&mut StdClientSession, tim_session::Instant) + std::marker::Send + 'static,
    ) {
        self.commands.send(Box::new(command)).unwrap();
    }

    fn send(&self, to: ConversationId, random: u32, options: SendOptions<'static>) {
        let from = user(&self.name);
        self.tell(move |session, now| {
            let text = format!("{from} {random}");
            let mut message = messages::message(from, to, Payload::Text(Text::new(&text)));
            message.envelope.sequence = 0;
            message.envelope.origin = session.config().device;
            message.id = MessageId {
                sender: session.account(),
                client_time: 1,
                random,
            };
            session.send(now, &message, options).unwrap();
        });
    }
}

/// Drives a device and notes what happens to it.
async fn run(
    name: String,
    mut driver: ClientDriver<MemoryConnector>,
    mut commands: UnboundedReceiver<Command>,
    trace: Trace,
) {
    loop {
        driver.poll_events(|event| {
            let what = match &event {
                Event::LoggedIn(_) => "is in".to_owned(),
                Event::Delivered(delivered) => match delivered.message().payload {
                    Payload::Text(Text { text, .. }) => {
                        format!("gets {text} {}", delivered.message().envelope.sequence)
                    }
                    _ => "gets something".to_owned(),
                },
                Event::Response { response, .. } if response.kind() == SEND => {
                    let sent = response.decode::<Send<'_>>().unwrap();
                    format!("has sent {}", sent.sequence)
                }
                Event::Response { response, .. } => format!("is answered {}", response.kind()),
                Event::ConversationChanged(change) if change.counted == 0 => {
                    "is to ask for the list".to_owned()
                }
                Event::Failed { failure, .. } => format!("is refused {}", failure.code),
                _ => return ControlFlow::Continue(()),
            };
            trace.note(format!("{name} {what}"));
            ControlFlow::Continue(())
        });
        tokio::select! {
            biased;
            command = commands.recv() => {
                let Some(command) = command else { return };
                let now = driver.now();
                command(driver.session(), now);
            }
            () = driver.progress() => {}
        }
    }
}

const SEND: tim_proto::wire::FrameKind = <Send<'static> as tim_proto::request::Request>::KIND;

fn on_one_thread<T>(test: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(test)
}

/// Two devices log in, write to each other at the same time, stored and unstored, and read.
async fn exchange(order: Order) -> (Vec<String>, Vec<String>, Vec<String>) {
    let data = tempfile::tempdir().unwrap();
    let mut world = World::open(data.path());
    let (alice, bob) = (world.device("alice", 1), world.device("bob", 2));
    world.work(order).await;
    let mut online_only = SendOptions::default();
    online_only.online_user_only = true;
    for random in 1..=3 {
        alice.send(c2c("bob"), random, SendOptions::default());
        bob.send(c2c("alice"), random, SendOptions::default());
    }
    alice.send(c2c("bob"), 4, online_only);
    bob.tell(|session, now| {
        let history = History::new(c2c("alice"));
        session.request(now, &history).unwrap();
    });
    world.work(order).await;
    world.hub.shut_down().await;
    let all = world.trace.lines.lock().unwrap().clone();
    (all, world.trace.of("alice"), world.trace.of("bob"))
}

/// Whoever changed the members of a group sends, as soon as that is answered, to those who are online.
async fn change_and_send(order: Order) -> Vec<String> {
    let data = tempfile::tempdir().unwrap();
    let mut world = World::open(data.path());
    let (alice, _bob) = (world.device("alice", 1), world.device("bob", 2));
    world.work(order).await;
    let group = GroupId::new("g").unwrap();
    let changes: [fn(&mut StdClientSession, tim_session::Instant); 3] = [
        |session, now| {
            let members = [user("bob")];
            let create = CreateGroup::new(GroupType::WORK, "g", 1)
                .with_group(GroupId::new("g").unwrap())
                .with_members(List::from_slice(&members));
            session.request(now, &create).unwrap();
        },
        |session, now| {
            let members = [user("bob")];
            let remove = RemoveMembers::new(GroupId::new("g").unwrap(), List::from_slice(&members));
            session.request(now, &remove).unwrap();
        },
        |session, now| {
            let members = [user("bob")];
            let invite = InviteMembers::new(GroupId::new("g").unwrap(), List::from_slice(&members));
            session.request(now, &invite).unwrap();
        },
    ];
    let mut online_only = SendOptions::default();
    online_only.online_user_only = true;
    for (answered, change) in (1..).zip(changes) {
        alice.tell(change);
        world.settle().await;
        let is_answered = |line: &String| line.contains("is answered");
        while world
            .trace
            .of("alice")
            .iter()
            .filter(|line| is_answered(line))
            .count()
            < answered
        {
            let step =
                order(world.steps.waiting()).unwrap_or_else(|| panic!("{:?}", world.trace.of("alice")));
            assert!(world.steps.step(step), "{step:?}");
            world.settle().await;
        }
        let random = answered.try_into().unwrap();
        alice.send(ConversationId::Group(group), random, online_only);
        world.work(order).await;
    }
    world.hub.shut_down().await;
    world.trace.of("bob")
}

#[test]
fn what_is_sent_behind_an_answered_change_reaches_the_members_that_there_are_then() {
    for order in [at_once, backwards] {
        let bob = on_one_thread(change_and_send(order));
        let texts = bob.iter().filter_map(|line| line.strip_prefix("gets alice "));
        assert_eq!(texts.collect::<Vec<_>>(), ["1 0", "3 0"], "{bob:#?}");
    }
}

/// What somebody got of what is stored, in order, without the numbers, which depend on who was first.
fn texts(lines: &[String]) -> Vec<&str> {
    let got = lines.iter().filter_map(|line| line.strip_prefix("gets "));
    got.map(|line| line.rsplit_once(' ').unwrap().0).collect()
}

#[test]
fn an_exchange_ends_the_same_in_every_order_of_steps() {
    for order in [at_once, backwards] {
        let (all, alice, bob) = on_one_thread(exchange(order));
        let stored = |lines: &[String]| lines.iter().filter(|line| line.starts_with("has sent")).count();
        assert_eq!((stored(&alice), stored(&bob)), (4, 3), "{all:#?}");
        assert_eq!(texts(&alice), ["bob 1", "bob 2", "bob 3"], "{all:#?}");
        let (mut live, stored): (Vec<_>, Vec<_>) =
            texts(&bob).into_iter().partition(|text| *text == "alice 4");
        assert_eq!(stored, ["alice 1", "alice 2", "alice 3"], "{all:#?}");
        assert_eq!(live.pop(), Some("alice 4"), "{all:#?}");
        assert_eq!(bob.iter().filter(|line| line.contains("is answered")).count(), 1);
    }
}

#[test]
fn the_same_steps_give_the_same_run() {
    for order in [at_once, backwards] {
        let [(one, ..), (other, ..)] = [(), ()].map(|()| on_one_thread(exchange(order)));
        assert_eq!(one, other);
        assert!(one.len() > 30, "{one:#?}");
    }
    assert_ne!(
        on_one_thread(exchange(at_once)).0,
        on_one_thread(exchange(backwards)).0
    );
}

#[test]
fn a_crash_loses_exactly_what_was_not_committed() {
    let data = tempfile::tempdir().unwrap();
    on_one_thread(async {
        let mut world = World::open(data.path());
        let (alice, _bob) = (world.device("alice", 1), world.device("bob", 2));
        world.work(at_once).await;
        for random in 1..=5 {
            alice.send(c2c("bob"), random, SendOptions::default());
        }
        world.settle().await;
        // The first message has a read before it, whether bob has an account.
        while world.steps.waiting().reads > 0 {
            world.steps.step(Step::Read(0));
            world.settle().await;
        }
        assert_eq!(world.steps.waiting().writes, 5);
        assert!(world.steps.step(Step::Commit(2)));
        world.settle().await;
        assert_eq!(world.steps.waiting().writes, 3);
        world.steps.crash();
        assert!(world.steps.waiting().is_empty() && !world.steps.step(Step::Commit(1)));
        world.settle().await;
        let sent: Vec<_> = world
            .trace
            .of("alice")
            .into_iter()
            .filter(|line| line.contains("sent"))
            .collect();
        assert_eq!(sent, ["has sent 1", "has sent 2"], "and nothing of the others");
        assert_eq!(
            texts(&world.trace.of("bob")),
            [""; 0],
            "the fan-out had not come to them"
        );
    });
    on_one_thread(async {
        let mut world = World::open(data.path());
        let bob = world.device("bob", 2);
        bob.tell(|session, _| session.resume_from_start());
        world.work(at_once).await;
        assert_eq!(texts(&world.trace.of("bob")), ["alice 1", "alice 2"]);
    });
}

#[test]
fn a_full_fan_out_holds_commits_back_and_shutting_down_does_not_wait_for_it() {
    let data = tempfile::tempdir().unwrap();
    on_one_thread(async {
        let mut world = World::open(data.path());
        let (alice, _bob) = (world.device("alice", 1), world.device("bob", 2));
        world.work(at_once).await;
        for random in 1..=16 {
            alice.send(c2c("bob"), random, SendOptions::default());
        }
        world.work(at_once).await;
        let mut commits = 0;
        for round in 0..12 {
            for random in 0..10 {
                alice.send(c2c("bob"), 100 + round * 10 + random, SendOptions::default());
            }
            world.settle().await;
            while world.steps.step(Step::Commit(1)) {
                commits += 1;
                world.settle().await;
            }
        }
        assert_eq!(commits, 64, "as many as the fan-out holds");
        assert_eq!(
            (world.steps.waiting().writes, world.steps.waiting().commits),
            (0, 64)
        );
        assert!(world.steps.step(Step::FanOut));
        assert!(world.steps.waiting().writes > 0 && world.steps.step(Step::Commit(1)));
        world.settle().await;
        let sent = world
            .trace
            .of("alice")
            .iter()
            .filter(|line| line.contains("has sent"))
            .count();
        assert_eq!(sent, 16 + 65);
        world.hub.shut_down().await;
    });
    on_one_thread(async {
        let mut world = World::open(data.path());
        let bob = world.device("bob", 2);
        bob.tell(|session, _| session.resume_from_start());
        world.work(at_once).await;
        let got = texts(&world.trace.of("bob")).len();
        assert!(got > 16 + 65, "what waited is stored as well: {got}");
    });
}

#[test]
fn a_crash_behind_a_commit_loses_its_answers_only() {
    let data = tempfile::tempdir().unwrap();
    on_one_thread(async {
        let (mut world, faults) = World::open_with(data.path(), |_| ());
        let (alice, _bob) = (world.device("alice", 1), world.device("bob", 2));
        world.work(at_once).await;
        let steps = world.steps.clone();
        faults.after_commits(move || steps.crash());
        alice.send(c2c("bob"), 1, SendOptions::default());
        world.work(at_once).await;
        let told = |name| {
            world
                .trace
                .of(name)
                .into_iter()
                .filter(|line| line != "is in")
                .count()
        };
        assert_eq!((told("alice"), told("bob")), (0, 0), "{:#?}", world.trace.lines);
    });
    on_one_thread(async {
        let mut world = World::open(data.path());
        let bob = world.device("bob", 2);
        bob.tell(|session, _| session.resume_from_start());
        world.work(at_once).await;
        assert_eq!(texts(&world.trace.of("bob")), ["alice 1"]);
    });
}

#[test]
fn commits_can_come_between_the_reads_of_one_job() {
    let data = tempfile::tempdir().unwrap();
    on_one_thread(async {
        let (mut world, faults) = World::open_with(data.path(), |_| ());
        let alice = world.device("alice", 1);
        world.work(at_once).await;
        alice.send(c2c("bob"), 1, SendOptions::default());
        world.work(at_once).await;
        let _bob = world.device("bob", 2);
        world.settle().await;
        assert!(world.steps.step(Step::Read(0)), "the account");
        world.settle().await;
        alice.send(c2c("bob"), 2, SendOptions::default());
        world.settle().await;
        assert!(world.steps.step(Step::Read(1)), "whether alice may write");
        world.settle().await;
        assert_eq!(
            (world.steps.waiting().reads, world.steps.waiting().writes),
            (1, 1)
        );
        let (steps, trace) = (world.steps.clone(), world.trace.clone());
        faults.before_reads(move |method| {
            // The device has entered; it starts behind the newest change.
            if method == "head_change" {
                let taken = [Step::Commit(1), Step::FanOut, Step::Commit(1)].map(|step| steps.step(step));
                assert_eq!(taken, [true, true, false]);
                trace.note("between".to_owned());
            }
        });
        world.work(backwards).await;
        let lines = world.trace.lines.lock().unwrap().clone();
        assert_eq!(lines.iter().filter(|line| line.ends_with("between")).count(), 1);
        assert_eq!(texts(&world.trace.of("bob")).len(), 0, "{lines:#?}");
    });
}

/// The mailboxes hold one delivery. More come while the log is being read, behind what the reading finds.
#[test]
fn what_an_ended_login_has_sent_is_told_to_the_next_login_of_the_device() {
    /// Everything but commits.
    fn reads(waiting: Waiting) -> Option<Step> {
        (waiting.reads > 0).then_some(Step::Read(0))
    }
    let data = tempfile::tempdir().unwrap();
    on_one_thread(async {
        let mut world = World::open(data.path());
        let (alice, _bob) = (world.device("alice", 1), world.device("bob", 2));
        world.work(at_once).await;
        let _other = world.device("alice", 3);
        world.work(at_once).await;
        alice.send(c2c("bob"), 1, SendOptions::default());
        world.settle().await;
        while let Some(step) = reads(world.steps.waiting()) {
            world.steps.step(step);
            world.settle().await;
        }
        assert_eq!(world.steps.waiting().writes, 1);
        // The application ends before the message is stored, and starts again.
        drop(alice);
        world.settle().await;
        let _again = world.started("alice", 1, 9);
        world.settle().await;
        while let Some(step) = reads(world.steps.waiting()) {
            world.steps.step(step);
            world.settle().await;
        }
        let told = |world: &World| {
            let alice = world.trace.of("alice");
            let count = |what: &str| alice.iter().filter(|line| *line == what).count();
            let got = texts(&alice).len();
            (count("is in"), count("is to ask for the list"), got)
        };
        assert_eq!((world.steps.waiting().writes, told(&world)), (1, (3, 0, 0)));
        world.work(at_once).await;
        // The other device is delivered the message.
        assert_eq!(told(&world), (3, 1, 1));
    });
}

#[test]
fn what_is_dropped_while_the_log_is_read_is_read_again() {
    let data = tempfile::tempdir().unwrap();
    on_one_thread(async {
        let (mut world, _) = World::open_with(data.path(), |options| options.max_live = 1);
        let (alice, _bob) = (world.device("alice", 1), world.device("bob", 2));
        world.work(at_once).await;
        alice.send(c2c("bob"), 1, SendOptions::default());
        world.work(at_once).await;
        for numbers in [[2, 3], [4, 5]] {
            for random in numbers {
                alice.send(c2c("bob"), random, SendOptions::default());
            }
            world.settle().await;
            assert!(world.steps.step(Step::Commit(2)) && world.steps.step(Step::FanOut));
            world.settle().await;
            if numbers == [2, 3] {
                let readings = [0, 0].map(|index| world.steps.step(Step::ReadAhead(index)));
                assert_eq!(readings, [true; 2], "both devices read on");
            }
        }
        assert_eq!(
            (world.steps.waiting().reads, world.steps.waiting().answers),
            (0, 2)
        );
        assert_eq!(
            [0, 0].map(|index| world.steps.step(Step::Answer(index))),
            [true; 2]
        );
        world.work(at_once).await;
        let all = ["alice 1", "alice 2", "alice 3", "alice 4", "alice 5"];
        assert_eq!(texts(&world.trace.of("bob")), all);
    });
}

#[test]
fn retention_is_a_step() {
    let data = tempfile::tempdir().unwrap();
    on_one_thread(async {
        let retention = |options: &mut HubOptions| options.limits = options.limits.with_retention_seconds(60);
        let (mut world, _) = World::open_with(data.path(), retention);
        let (alice, bob) = (world.device("alice", 1), world.device("bob", 2));
        world.work(at_once).await;
        alice.send(c2c("bob"), 1, SendOptions::default());
        world.work(at_once).await;
        for (seconds, left) in [(0, 1), (59, 1), (2, 0)] {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            assert!(world.steps.waiting().is_empty(), "nothing goes by itself");
            assert!(world.steps.step(Step::Retention));
            world.work(at_once).await;
            let before = texts(&world.trace.of("bob")).len();
            bob.tell(|session, now| {
                session.logout(now);
            });
            world.settle().await;
            bob.tell(|session, now| {
                session.resume_from_start();
                session.login(now);
            });
            world.work(at_once).await;
            assert_eq!(
                texts(&world.trace.of("bob")).len() - before,
                left,
                "after {seconds} s more"
            );
        }
    });
}

/// A sink that keeps what it gets.
#[derive(Default)]
struct Taken(Mutex<Vec<Notification>>);

impl Taken {
    fn texts(&self) -> Vec<String> {
        let taken = self.0.lock().unwrap();
        taken.iter().map(|it| it.text.clone()).collect()
    }
}

impl PushSink for Taken {
    fn send<'a>(&'a self, notification: &'a Notification) -> Sending<'a> {
        self.0.lock().unwrap().push(notification.clone());
        Box::pin(std::future::ready(Ok(())))
    }
}

#[test]
fn a_kill_between_a_commit_and_its_notification_only_delays_it() {
    let (data, taken) = (tempfile::tempdir().unwrap(), Arc::new(Taken::default()));
    let open = || {
        let sink = Arc::clone(&taken);
        World::open_with(data.path(), |options| options.push = Some(PushOptions::new(sink)))
    };
    on_one_thread(async {
        let (mut world, faults) = open();
        let (alice, bob) = (world.device("alice", 1), world.device("bob", 2));
        world.work(at_once).await;
        bob.tell(|session, now| {
            let request = RegisterPush::new(PushPlatform::IOS, "token");
            session.request(now, &request).unwrap();
        });
        world.work(at_once).await;
        bob.tell(|session, now| session.logout(now));
        world.work(at_once).await;
        alice.send(c2c("bob"), 1, SendOptions::default());
        world.work(at_once).await;
        assert_eq!(taken.texts(), ["alice 1"]);
        let steps = world.steps.clone();
        faults.after_commits(move || steps.crash());
        alice.send(c2c("bob"), 2, SendOptions::default());
        world.work(at_once).await;
        assert_eq!(taken.texts(), ["alice 1"], "it was stored, and that was all");
    });
    on_one_thread(async {
        let (mut world, _) = open();
        world.work(at_once).await;
    });
    // What was sent last comes again, under its id, as it was not stored yet that it was sent.
    assert_eq!(taken.texts(), ["alice 1", "alice 1", "alice 2"]);
    let taken = taken.0.lock().unwrap();
    assert_eq!(taken[0].id, taken[1].id);
    assert_ne!(taken[1].id, taken[2].id);
}

/// Of two tokens, takes nothing for one.
#[derive(Default)]
struct Choosy(Mutex<Vec<(String, String)>>);

impl Choosy {
    /// The texts that a token was tried with, each once in a row.
    fn texts(&self, token: &str) -> Vec<String> {
        let seen = self.0.lock().unwrap();
        let own = seen.iter().filter(|(it, _)| it == token);
        let mut texts: Vec<_> = own.map(|(_, text)| text.clone()).collect();
        texts.dedup();
        texts
    }
}

impl PushSink for Choosy {
    fn send<'a>(&'a self, notification: &'a Notification) -> Sending<'a> {
        let Notification { token, text, .. } = notification;
        self.0.lock().unwrap().push((token.clone(), text.clone()));
        let sent = match token.as_str() {
            "bad" => Err(PushError::NotTaken {
                what: "a test wants it so".to_owned(),
                retry_after: None,
            }),
            _ => Ok(()),
        };
        Box::pin(std::future::ready(sent))
    }
}

#[test]
fn a_token_that_always_fails_holds_back_its_users_other_devices_once_and_not_for_long() {
    let (data, sink) = (tempfile::tempdir().unwrap(), Arc::new(Choosy::default()));
    let options = PushOptions::new(sink.clone());
    on_one_thread(async {
        let (mut world, _) = World::open_with(data.path(), |hub| hub.push = Some(options));
        let (alice, bob) = (world.device("alice", 1), world.device("bob", 2));
        world.work(at_once).await;
        bob.tell(|session, now| {
            for token in ["bad", "good"] {
                let request = RegisterPush::new(PushPlatform::IOS, token);
                session.request(now, &request).unwrap();
            }
        });
        world.work(at_once).await;
        bob.tell(|session, now| session.logout(now));
        world.work(at_once).await;
        for random in 1..=2 {
            alice.send(c2c("bob"), random, SendOptions::default());
            world.work(at_once).await;
        }
        let mut waited = 0;
        while sink.texts("good").len() < 2 {
            assert_eq!(sink.texts("bad"), ["alice 1"]);
            tokio::time::sleep(Duration::from_secs(1)).await;
            world.work(at_once).await;
            waited += 1;
        }
        assert!((590..=700).contains(&waited), "{waited} s");
        // What comes then is not held back any more.
        alice.send(c2c("bob"), 3, SendOptions::default());
        world.work(at_once).await;
        let all = ["alice 1", "alice 2", "alice 3"];
        assert_eq!(
            (sink.texts("good"), sink.texts("bad")),
            (all.map(str::to_owned).into(), all.map(str::to_owned).into())
        );
        let stats = world.hub.stats().push;
        assert_eq!((stats.sent, stats.given_up, stats.waiting), (3, 3, 0));
    });
}

/// The calls of an administrator, whose answers come when the hub's steps are taken.
fn call(world: &World, path: &str, body: serde_json::Value) -> tokio::task::JoinHandle<serde_json::Value> {
    let (hub, path) = (Arc::clone(&world.hub), path.to_owned());
    tokio::spawn(async move {
        let answer = hub
            .call_rest(user("administrator"), &path, body.to_string().as_bytes())
            .await;
        serde_json::from_str(&answer).unwrap()
    })
}

/// The ids of calls change every 300 seconds, and the hub starts 100 seconds before a change.
#[test]
fn calls_that_overlap_send_a_message_once_also_when_its_id_changes_between_them() {
    let data = tempfile::tempdir().unwrap();
    on_one_thread(async {
        let mut world = World::open(data.path());
        let (alice, bob) = (world.device("alice", 1), world.device("bob", 2));
        world.work(at_once).await;
        let text = serde_json::json!([{"MsgType": "TIMTextElem", "MsgContent": {"Text": "once"}}]);
        let new =
            serde_json::json!({"Type": "Public", "Name": "g", "GroupId": "g", "Owner_Account": "alice"});
        let created = call(&world, "/v4/group_open_http_svc/create_group", new);
        world.work(at_once).await;
        assert_eq!(created.await.unwrap()["ErrorCode"], 0);
        for (path, body) in [
            (
                "/v4/openim/sendmsg",
                serde_json::json!({"From_Account": "alice", "To_Account": "bob", "MsgRandom": 1, "MsgBody": text}),
            ),
            (
                "/v4/group_open_http_svc/send_group_msg",
                serde_json::json!({"GroupId": "g", "From_Account": "alice", "Random": 2, "MsgBody": text}),
            ),
        ] {
            let now_s = START_MS / 1000 + world.trace.start.elapsed().as_secs();
            tokio::time::sleep(Duration::from_secs(299 - now_s % 300)).await;
            let mut calls = Vec::new();
            for _ in 0..2 {
                calls.push(call(&world, path, body.clone()));
                world.settle().await;
                while world.steps.step(Step::Read(0)) {
                    world.settle().await;
                }
                tokio::time::sleep(Duration::from_secs(2)).await;
            }
            assert_eq!(world.steps.waiting().writes, 2, "{path}: neither is stored yet");
            world.work(at_once).await;
            let [first, second] = calls.try_into().unwrap();
            let (first, second) = (first.await.unwrap(), second.await.unwrap());
            assert_eq!((&first["ErrorCode"], &first), (&0.into(), &second));
            // Later it is found where it is.
            let third = call(&world, path, body);
            world.work(at_once).await;
            assert_eq!(third.await.unwrap(), first);
        }
        assert_eq!(
            world
                .trace
                .of("bob")
                .iter()
                .filter(|line| line.contains("once"))
                .count(),
            1
        );
        assert_eq!(
            world
                .trace
                .of("alice")
                .iter()
                .filter(|line| line.contains("once"))
                .count(),
            2
        );
        drop((alice, bob));
    });
}
