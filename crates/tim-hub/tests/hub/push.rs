//! Offline push: who is notified of what, and what crosses it.

use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use tim_hub::{
    Clock, Endpoint, Notification, PushError, PushLog, PushOptions, PushSink, PushStats, PushWebhook, Sending,
};
use tim_proto::message::{OfflinePush, SendOptions, Text};
use tim_proto::request::{MAX_PUSH_TOKEN, PushPlatform, RegisterPush, SetReceiveOption, UnregisterPush};
use tim_proto::{ConversationId, ErrorCode, ReceiveOption};

mod apns;
mod crossings;
mod faults;
mod routes;
mod web;

use super::rest::Rest;
use super::support::{Answer, Device, TestHub, TestServer, c2c, group, group_id, user};

/// Long enough for everything.
const DEADLINE: Duration = Duration::from_secs(30);

/// A sink that the test looks into.
#[derive(Default)]
struct TestSink {
    state: Mutex<SinkState>,
    changed: Condvar,
}

#[derive(Default)]
struct SinkState {
    taken: Vec<Notification>,
    /// What it answers instead.
    fault: Option<PushError>,
    /// Only the notifications of this user fail.
    failing: Option<tim_proto::UserId>,
    attempts: usize,
}

impl PushSink for TestSink {
    fn send<'a>(&'a self, notification: &'a Notification) -> Sending<'a> {
        let mut state = self.state.lock().unwrap();
        state.attempts += 1;
        let fails = state.failing.is_none_or(|user| user == notification.user);
        let answer = match state.fault.clone() {
            Some(fault) if fails => Err(fault),
            _ => {
                state.taken.push(notification.clone());
                Ok(())
            }
        };
        self.changed.notify_all();
        Box::pin(std::future::ready(answer))
    }
}

impl TestSink {
    fn set(&self, fault: Option<PushError>) {
        self.state.lock().unwrap().fault = fault;
    }

    fn fail(&self) {
        self.set(Some(PushError::Unavailable {
            what: "a test wants it so".to_owned(),
            retry_after: None,
        }));
    }

    fn wait(&self, until: impl Fn(&SinkState) -> bool) {
        let (start, mut state) = (Instant::now(), self.state.lock().unwrap());
        while !until(&state) {
            assert!(start.elapsed() < DEADLINE, "{:?}", state.taken);
            state = self
                .changed
                .wait_timeout(state, Duration::from_millis(50))
                .unwrap()
                .0;
        }
    }

    /// The texts of the notifications, once there are so many.
    fn texts(&self, count: usize) -> Vec<String> {
        self.wait(|state| state.taken.len() >= count);
        let state = self.state.lock().unwrap();
        state.taken.iter().map(|it| it.text.clone()).collect()
    }

    fn last(&self) -> Notification {
        self.state.lock().unwrap().taken.last().unwrap().clone()
    }

    /// Waits until another attempt has failed.
    fn one_more_attempt(&self) {
        let before = self.state.lock().unwrap().attempts;
        self.wait(|state| state.attempts > before);
    }
}

fn start() -> (TestHub, Arc<TestSink>) {
    let sink = Arc::new(TestSink::default());
    let options = PushOptions::new(sink.clone());
    let hub = TestHub::start_with(|hub| hub.push = Some(options));
    (hub, sink)
}

/// How long a push service may take that answers so: only one that hangs is to be given up soon.
fn timeout_for(answer: &Answer) -> Duration {
    match answer {
        Answer::Hang => Duration::from_secs(1),
        _ => DEADLINE,
    }
}

/// What the hub has counted, once it is this: a sink has taken a notification before the hub knows.
fn stats_once(hub: &TestHub, until: impl Fn(&PushStats) -> bool) -> PushStats {
    let start = Instant::now();
    loop {
        let stats = hub.shared().stats().push;
        if until(&stats) {
            return stats;
        }
        assert!(start.elapsed() < DEADLINE, "{stats:?}");
        std::thread::yield_now();
    }
}

fn register(device: &mut Device, platform: PushPlatform, token: &str) {
    device.ask(&RegisterPush::new(platform, token)).unwrap();
}

/// The device goes offline, and the hub has noticed it.
fn leave(hub: &TestHub, device: Device) {
    let (shared, start) = (hub.shared(), Instant::now());
    let before = shared.connections();
    drop(device);
    while shared.connections() >= before {
        assert!(start.elapsed() < DEADLINE, "the hub does not notice it");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A user who has registered a token and is offline.
fn offline(hub: &TestHub, name: &str, number: u64, tokens: &[(PushPlatform, &str)]) {
    let mut device = Device::login(hub, name, number);
    for (platform, token) in tokens {
        register(&mut device, *platform, token);
    }
    leave(hub, device);
}

const PHONE: &[(PushPlatform, &str)] = &[(PushPlatform::IOS, "phone")];

fn send_with(device: &mut Device, to: ConversationId, text: &str, push: OfflinePush<'_>) {
    let message = device.message(to, Text::new(text));
    let ticket = device.start_send(&message, SendOptions::new().with_offline_push(push));
    device.wait_for(ticket).unwrap();
}

#[test]
fn who_is_offline_is_notified_on_each_device_as_the_sender_wants_it() {
    let (hub, sink) = start();
    let tokens = [(PushPlatform::IOS, "iphone"), (PushPlatform::OPPO, "oppo")];
    offline(&hub, "bob", 2, &tokens);
    let mut alice = Device::login(&hub, "alice", 1);
    alice.send(c2c("bob"), "hello");
    assert_eq!(sink.texts(2), ["hello", "hello"]);
    let push = OfflinePush::new()
        .with_title("News")
        .with_description("Something new")
        .with_extension("{\"a\": 1}")
        .with_ignore_ios_badge(true)
        .with_android_oppo_channel_id("channel");
    send_with(&mut alice, c2c("bob"), "the second", push);
    sink.texts(4);
    send_with(
        &mut alice,
        c2c("bob"),
        "hidden",
        OfflinePush::new().with_disable_push(true),
    );
    let online_only = alice.message(c2c("bob"), Text::new("for those who are online"));
    let ticket = alice.start_send(&online_only, SendOptions::new().with_online_user_only(true));
    alice.wait_for(ticket).unwrap();
    alice.send(c2c("bob"), "the last");
    let expected = [
        "hello",
        "hello",
        "Something new",
        "Something new",
        "the last",
        "the last",
    ];
    assert_eq!(sink.texts(6), expected);
    let taken = sink.state.lock().unwrap().taken.clone();
    let shown: Vec<_> = taken[..4]
        .iter()
        .map(|it| {
            (
                it.token.as_str(),
                it.title.as_str(),
                it.badge,
                it.channel.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("iphone", "alice", Some(1), None),
            ("oppo", "alice", Some(1), None),
            ("iphone", "News", None, None),
            ("oppo", "News", Some(2), Some("channel")),
        ]
    );
    assert_eq!(taken[2].extension, "{\"a\": 1}");
    assert_eq!((taken[0].conversation, taken[0].sequence), (c2c("alice"), 1));
    let ids: std::collections::BTreeSet<_> = taken.iter().map(|it| &it.id).collect();
    assert_eq!(ids.len(), taken.len(), "each has an id of its own");
}

#[test]
fn nobody_is_notified_who_is_online_and_nobody_of_own_messages() {
    let (hub, sink) = start();
    let mut bob = Device::login(&hub, "bob", 2);
    register(&mut bob, PushPlatform::ANDROID, "phone");
    let mut alice = Device::login(&hub, "alice", 1);
    alice.send(c2c("bob"), "while online");
    bob.until_texts(1);
    leave(&hub, bob);
    alice.send(c2c("bob"), "while offline");
    assert_eq!(sink.texts(1), ["while offline"]);
    // Bob writes on another device.
    let mut tablet = Device::login(&hub, "bob", 3);
    tablet.send(c2c("alice"), "an answer");
    leave(&hub, tablet);
    alice.send(c2c("bob"), "and again");
    assert_eq!(sink.texts(2), ["while offline", "and again"]);
}

#[test]
fn a_group_notifies_those_who_want_it() {
    let (hub, sink) = start();
    let mut alice = Device::login(&hub, "alice", 1);
    let mut carol = Device::login(&hub, "carol", 3);
    offline(&hub, "bob", 2, PHONE);
    register(&mut carol, PushPlatform::VIVO, "silent");
    alice
        .create_group("hikers", &[user("bob"), user("carol")])
        .unwrap();
    let option = ReceiveOption::ACCEPT_NOT_NOTIFY;
    carol
        .ask(&SetReceiveOption::new(group_id("hikers"), option))
        .unwrap();
    leave(&hub, carol);
    alice.send(group("hikers"), "on Sunday");
    assert_eq!(sink.texts(1), ["on Sunday"]);
    assert_eq!(
        (sink.last().title.as_str(), sink.last().token.as_str()),
        ("周末去哪", "phone")
    );
    alice.send(c2c("carol"), "come too");
    assert_eq!(sink.texts(2), ["on Sunday", "come too"]);
}

#[test]
fn what_is_revoked_or_read_before_it_is_sent_is_dropped() {
    let (hub, sink) = start();
    offline(&hub, "bob", 2, PHONE);
    let mut alice = Device::login(&hub, "alice", 1);
    sink.fail();
    let sequence = alice.send(c2c("bob"), "revoked");
    sink.wait(|state| state.attempts > 0);
    alice.revoke(c2c("bob"), sequence).unwrap();
    alice.send(c2c("bob"), "kept");
    sink.set(None);
    assert_eq!(sink.texts(1), ["kept"]);
    sink.fail();
    alice.send(c2c("bob"), "read");
    sink.one_more_attempt();
    let mut bob = Device::login(&hub, "bob", 2);
    assert_eq!(bob.read(c2c("alice")), 0);
    leave(&hub, bob);
    alice.send(c2c("bob"), "new");
    sink.set(None);
    assert_eq!(sink.texts(2), ["kept", "new"]);
    let stats = stats_once(&hub, |stats| stats.sent >= 2);
    assert_eq!((stats.users, stats.sent), (1, 2));
    assert!(stats.failed > 0 && stats.suppressed > 0, "{stats:?}");
}

#[test]
fn a_device_that_comes_online_before_is_not_notified() {
    let (hub, sink) = start();
    offline(&hub, "bob", 2, PHONE);
    let mut alice = Device::login(&hub, "alice", 1);
    sink.fail();
    alice.send(c2c("bob"), "missed");
    sink.wait(|state| state.attempts > 0);
    let bob = Device::login(&hub, "bob", 2);
    sink.set(None);
    // By then it is settled what becomes of it.
    let settled = || hub.shared().stats().push.waiting == 0;
    let start = Instant::now();
    while !settled() {
        assert!(start.elapsed() < DEADLINE);
        std::thread::sleep(Duration::from_millis(5));
    }
    leave(&hub, bob);
    alice.send(c2c("bob"), "later");
    assert_eq!(sink.texts(1), ["later"]);
}

#[test]
fn a_token_that_moves_is_the_newer_users_only() {
    let (hub, sink) = start();
    offline(&hub, "bob", 2, PHONE);
    offline(&hub, "carol", 3, PHONE);
    let mut alice = Device::login(&hub, "alice", 1);
    alice.send(c2c("bob"), "for Bob");
    alice.send(c2c("carol"), "for Carol");
    assert_eq!(sink.texts(1), ["for Carol"]);
    assert_eq!(sink.last().user, user("carol"));
    let mut bob = Device::login(&hub, "bob", 2);
    register(&mut bob, PushPlatform::IOS, "tablet");
    let off = RegisterPush::new(PushPlatform::IOS, "tablet").with_enabled(false);
    bob.ask(&off).unwrap();
    leave(&hub, bob);
    alice.send(c2c("bob"), "switched off");
    let mut bob = Device::login(&hub, "bob", 2);
    register(&mut bob, PushPlatform::IOS, "tablet");
    leave(&hub, bob);
    alice.send(c2c("bob"), "switched on");
    assert_eq!(sink.texts(2), ["for Carol", "switched on"]);
    let mut bob = Device::login(&hub, "bob", 2);
    bob.ask(&UnregisterPush::new(PushPlatform::IOS, "tablet"))
        .unwrap();
    leave(&hub, bob);
    alice.send(c2c("bob"), "unregistered");
    alice.send(c2c("carol"), "the end");
    assert_eq!(sink.texts(3), ["for Carol", "switched on", "the end"]);
}

#[test]
fn a_sink_that_was_down_gets_what_is_not_too_old() {
    let (hub, sink) = start();
    offline(&hub, "bob", 2, PHONE);
    let mut alice = Device::login(&hub, "alice", 1);
    sink.fail();
    alice.send(c2c("bob"), "yesterday");
    sink.wait(|state| state.attempts > 0);
    hub.advance(Duration::from_secs(24 * 3600));
    for n in 0..100 {
        alice.send(c2c("bob"), &format!("today {n}"));
    }
    hub.advance(Duration::from_secs(1));
    sink.set(None);
    let texts = sink.texts(100);
    let expected: Vec<_> = (0..100).map(|n| format!("today {n}")).collect();
    assert_eq!(texts, expected);
    assert_eq!(hub.shared().stats().push.too_old, 1);
}

/// The sink answers for one user only that it is to be asked again in ten minutes.
#[test]
fn a_notification_that_fails_stalls_nobody_else() {
    let (hub, sink) = start();
    offline(&hub, "bob", 2, PHONE);
    offline(&hub, "carol", 3, &[(PushPlatform::IOS, "other")]);
    let mut alice = Device::login(&hub, "alice", 1);
    sink.state.lock().unwrap().failing = Some(user("bob"));
    sink.set(Some(PushError::Unavailable {
        what: "a test wants it so".to_owned(),
        retry_after: Some(Duration::from_secs(600)),
    }));
    alice.send(c2c("bob"), "fails");
    sink.wait(|state| state.attempts == 1);
    let said: Vec<_> = (0..5).map(|n| format!("comes {n}")).collect();
    for (n, text) in said.iter().enumerate() {
        alice.send(c2c("carol"), text);
        alice.send(c2c("bob"), "waits behind it");
        assert_eq!(sink.texts(n + 1), said[..=n]);
    }
    assert_eq!(sink.state.lock().unwrap().attempts, 6, "nothing more for Bob");
    let (stats, start) = (|| hub.shared().stats().push, Instant::now());
    while stats().waiting > 1 {
        assert!(start.elapsed() < DEADLINE, "{:?}", stats());
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!((stats().failed, stats().waiting), (1, 1), "Bob");
}

#[test]
fn a_hub_that_ends_before_it_has_notified_does_it_later() {
    let (hub, sink) = start();
    offline(&hub, "bob", 2, PHONE);
    let mut alice = Device::login(&hub, "alice", 1);
    alice.send(c2c("bob"), "sent");
    assert_eq!(sink.texts(1), ["sent"]);
    sink.fail();
    alice.send(c2c("bob"), "not sent");
    sink.one_more_attempt();
    let data = hub.stop();
    sink.set(None);
    let options = PushOptions::new(sink.clone());
    let _hub = TestHub::start_on(data, |hub| hub.push = Some(options));
    assert_eq!(sink.texts(2), ["sent", "not sent"]);
}

#[test]
fn a_refused_notification_is_dropped_and_an_unknown_token_unregistered() {
    let (hub, sink) = start();
    offline(&hub, "bob", 2, PHONE);
    let mut alice = Device::login(&hub, "alice", 1);
    sink.set(Some(PushError::Refused("no".to_owned())));
    alice.send(c2c("bob"), "refused");
    sink.wait(|state| state.attempts == 1);
    sink.set(None);
    alice.send(c2c("bob"), "taken");
    assert_eq!(sink.texts(1), ["taken"]);
    sink.set(Some(PushError::TokenUnknown));
    alice.send(c2c("bob"), "to nobody");
    sink.wait(|state| state.attempts == 3);
    sink.set(None);
    // The token is removed behind this message at the latest.
    let start = Instant::now();
    while hub.shared().stats().push.users > 0 {
        assert!(start.elapsed() < DEADLINE, "the token stays");
        alice.send(c2c("bob"), "to nobody");
    }
}

#[test]
fn what_is_not_registered() {
    let (hub, _sink) = start();
    let mut bob = Device::login(&hub, "bob", 2);
    let refused = Err(ErrorCode::GROUP_INVALID_PARAMETERS);
    let long = "t".repeat(MAX_PUSH_TOKEN + 1);
    for (platform, token) in [
        (PushPlatform::IOS, ""),
        (PushPlatform::IOS, long.as_str()),
        (PushPlatform(99), "t"),
    ] {
        assert_eq!(bob.ask(&RegisterPush::new(platform, token)).map(|_| ()), refused);
    }
    let title = "t".repeat(3073);
    let message = bob.message(c2c("alice"), Text::new("x"));
    let push = OfflinePush::new().with_title(title.as_str());
    let ticket = bob.start_send(&message, SendOptions::new().with_offline_push(push));
    assert_eq!(
        bob.wait_for(ticket).map(|_| ()),
        Err(ErrorCode::COMM_BODY_SIZE_LIMIT)
    );
}

fn start_with_webhook(server: &TestServer, token: &str) -> TestHub {
    let mut endpoint = Endpoint::new(server.url("/push?a=1"));
    token.clone_into(&mut endpoint.token);
    let clock = Clock::new(|| 1_669_872_112_000, || 0);
    let options = PushOptions::new(Arc::new(PushWebhook::new(endpoint, clock).unwrap()));
    TestHub::start_with(|hub| hub.push = Some(options))
}

#[test]
fn a_webhook_gets_json_with_a_key_and_a_signature_and_is_asked_again() {
    let busy = Answer::Status(503, "Retry-After: 1\r\n", "later".to_owned());
    let server = TestServer::start([
        busy,
        Answer::Close,
        Answer::ok(""),
        Answer::Status(204, "", String::new()),
    ]);
    let hub = start_with_webhook(&server, "xxxxyyyy");
    offline(&hub, "bob", 2, PHONE);
    let mut alice = Device::login(&hub, "alice", 1);
    alice.send(c2c("bob"), "\"hello\"\n");
    let asked = server.asked(3);
    alice.send(c2c("bob"), "again");
    let last = server.asked(4).pop().unwrap();
    let key = |head: &str| {
        head.lines()
            .find_map(|line| line.strip_prefix("idempotency-key: ").map(str::to_owned))
    };
    let first = serde_json::from_str::<serde_json::Value>(&asked[0].body).unwrap();
    let sign = "17773bc39a671d7b9aa835458704d2a6db81360a5940292b587d6d760d484061";
    for request in &asked {
        assert_eq!(
            request.target,
            format!("/push?a=1&Sign={sign}&RequestTime=1669872112")
        );
        assert_eq!(request.body, asked[0].body, "the same each time");
        assert_eq!(key(&request.head).as_deref(), first["id"].as_str());
        assert!(
            request.head.contains("content-type: application/json"),
            "{}",
            request.head
        );
    }
    assert_eq!(
        (
            &first["text"],
            &first["badge"],
            &first["platform"],
            &first["channel"]
        ),
        (
            &"\"hello\"\n".into(),
            &1.into(),
            &"ios".into(),
            &serde_json::Value::Null
        )
    );
    assert_ne!(key(&last.head), key(&asked[0].head));
    // A connection stays, unless the server closes it.
    let connections: Vec<_> = server.asked(4).iter().map(|it| it.connection).collect();
    assert_eq!(connections, [1, 1, 2, 2]);
}

#[test]
fn a_webhook_that_does_not_answer_is_given_up_and_asked_again() {
    let server = TestServer::start([Answer::Hang, Answer::ok("")]);
    let webhook = PushWebhook::new(Endpoint::new(server.url("/")), Clock::system()).unwrap();
    let mut options = PushOptions::new(Arc::new(webhook));
    options.timeout = Duration::from_millis(200);
    let hub = TestHub::start_with(|hub| hub.push = Some(options));
    offline(&hub, "bob", 2, PHONE);
    let mut alice = Device::login(&hub, "alice", 1);
    alice.send(c2c("bob"), "hello");
    let asked = server.asked(2);
    assert_eq!(asked[0].body, asked[1].body);
    assert_ne!(asked[0].connection, asked[1].connection);
}

#[test]
fn a_webhook_takes_a_notification_whatever_else_it_says() {
    let server = TestServer::start([
        Answer::ok("x".repeat(1_000_000)),
        Answer::ok("short"),
        Answer::ok(""),
    ]);
    let hub = start_with_webhook(&server, "");
    offline(&hub, "bob", 2, PHONE);
    let mut alice = Device::login(&hub, "alice", 1);
    for (n, text) in ["one", "two", "three"].into_iter().enumerate() {
        alice.send(c2c("bob"), text);
        let asked = server.asked(n + 1);
        assert!(asked[n].body.contains(text), "{}", asked[n].body);
    }
    // The connection with the rest of the long answer is closed.
    let connections: Vec<_> = server.asked(3).iter().map(|it| it.connection).collect();
    assert_eq!(connections, [1, 2, 2]);
    assert_eq!(hub.shared().stats().push.failed, 0);
}

#[test]
fn what_a_webhook_answers() {
    let refused = Answer::Status(400, "", "no".to_owned());
    let server = TestServer::start([refused, Answer::Status(410, "", String::new()), Answer::ok("")]);
    let hub = start_with_webhook(&server, "");
    offline(
        &hub,
        "bob",
        2,
        &[(PushPlatform::IOS, "gone"), (PushPlatform::IOS, "stays")],
    );
    let mut alice = Device::login(&hub, "alice", 1);
    // The first is refused, the second does not exist: then Bob has one token.
    alice.send(c2c("bob"), "one");
    let asked = server.asked(2);
    assert_eq!(asked[0].target, "/push?a=1");
    assert!(asked[1].body.contains("\"stays\""));
    alice.send(c2c("bob"), "two");
    let start = Instant::now();
    while !server.asked(3).last().unwrap().body.contains("the end") {
        assert!(start.elapsed() < DEADLINE);
        alice.send(c2c("bob"), "the end");
    }
    let stats = stats_once(&hub, |stats| stats.refused >= 2);
    assert_eq!((stats.refused, stats.users), (2, 1));
    for wrong in ["", "hub.example.org", "ftp://a/b", "http:///x", "https://a@b/"] {
        assert!(
            PushWebhook::new(Endpoint::new(wrong), Clock::system()).is_err(),
            "{wrong}"
        );
    }
}

#[test]
fn a_log_has_a_line_for_each_notification() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("push.jsonl");
    let log = PushLog::open(&path).unwrap();
    let hub = TestHub::start_with(|hub| hub.push = Some(PushOptions::new(Arc::new(log))));
    offline(&hub, "bob", 2, PHONE);
    let mut alice = Device::login(&hub, "alice", 1);
    alice.send(c2c("bob"), "one\ntwo");
    alice.send(c2c("bob"), "three");
    let start = Instant::now();
    let lines = loop {
        let text = std::fs::read_to_string(&path).unwrap();
        if text.lines().count() == 2 && text.ends_with('\n') {
            break text;
        }
        assert!(start.elapsed() < DEADLINE, "{text}");
        std::thread::sleep(Duration::from_millis(5));
    };
    let texts: Vec<_> = lines
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["text"].clone())
        .collect();
    assert_eq!(texts, ["one\ntwo", "three"]);
}

#[test]
fn a_message_of_the_rest_interface_says_how_users_are_notified() {
    let sink = Arc::new(TestSink::default());
    let options = PushOptions::new(sink.clone());
    let rest = Rest::start_with(|hub| hub.push = Some(options));
    let tokens = [(PushPlatform::IOS, "iphone"), (PushPlatform::OPPO, "oppo")];
    offline(&rest.hub, "bob", 2, &tokens);
    rest.accounts(&["alice"]);
    let message = |random: u32, push: serde_json::Value| {
        serde_json::json!({
            "From_Account": "alice", "To_Account": "bob", "MsgRandom": random, "OfflinePushInfo": push,
            "MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "hello"}}],
        })
    };
    let push = serde_json::json!({
        "PushFlag": 0, "Title": "News", "Desc": "Something new", "Ext": "{}",
        "AndroidInfo": {"OPPOChannelID": "channel"}, "ApnsInfo": {"BadgeMode": 1},
    });
    rest.ok("openim/sendmsg", message(1, push));
    sink.texts(2);
    rest.ok("openim/sendmsg", message(2, serde_json::json!({"PushFlag": 1})));
    rest.ok("openim/sendmsg", message(3, serde_json::Value::Null));
    assert_eq!(
        sink.texts(4),
        ["Something new", "Something new", "hello", "hello"]
    );
    let taken = sink.state.lock().unwrap().taken.clone();
    let shown = |it: &Notification| (it.title.clone(), it.badge, it.channel.clone());
    assert_eq!(shown(&taken[0]), ("News".to_owned(), None, None));
    assert_eq!(
        shown(&taken[1]),
        ("News".to_owned(), Some(1), Some("channel".to_owned()))
    );
    let long = serde_json::json!({"Desc": "x".repeat(3073)});
    assert_ne!(rest.code("openim/sendmsg", message(4, long)), 0);
}

/// Whether they count as unread or not, and whatever they say of notifications.
#[test]
fn nobody_is_notified_of_imported_messages() {
    let sink = Arc::new(TestSink::default());
    let options = PushOptions::new(sink.clone());
    let rest = Rest::start_with(|hub| hub.push = Some(options));
    offline(&rest.hub, "bob", 2, PHONE);
    rest.accounts(&["alice"]);
    let message = |random: u32, text: &str| {
        serde_json::json!({
            "From_Account": "alice", "To_Account": "bob", "MsgRandom": random,
            "OfflinePushInfo": {"PushFlag": 0, "Desc": text},
            "MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": text}}],
        })
    };
    for random in 1..=4_u32 {
        let mut body = message(random, "imported");
        body["SyncFromOldSystem"] = (random % 2 + 1).into();
        body["MsgTimeStamp"] = (1_500_000_000 + random).into();
        rest.ok("openim/importmsg", body);
    }
    rest.ok("openim/sendmsg", message(9, "sent"));
    assert_eq!(sink.texts(1), ["sent"]);
    let count = || serde_json::json!({"To_Account": "bob"});
    let unread = rest.ok("openim/get_c2c_unread_msg_num", count())["AllC2CUnreadMsgNum"].clone();
    assert_eq!(unread, 3, "two imported, and the one that was sent");
}
