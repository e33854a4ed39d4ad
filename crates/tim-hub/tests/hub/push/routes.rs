//! Several sinks: each works for itself.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tim_hub::{Notification, PushError, PushOptions, PushRoutes, PushSink, Sending};
use tim_proto::ErrorCode;
use tim_proto::request::{PushPlatform, RegisterPush, UnregisterPush};

use super::super::support::{Device, TestHub, c2c};
use super::{TestSink, leave, offline, stats_once};

/// iPhones go to the first, everything else to the second.
fn start() -> (TestHub, Arc<TestSink>, Arc<TestSink>) {
    let (phones, others) = (Arc::new(TestSink::default()), Arc::new(TestSink::default()));
    let routes = PushRoutes::new()
        .with(PushPlatform::IOS, phones.clone())
        .with_others(others.clone());
    let hub = TestHub::start_with(|hub| hub.push = Some(PushOptions::with_routes(routes)));
    (hub, phones, others)
}

const BOTH: &[(PushPlatform, &str)] = &[(PushPlatform::IOS, "iphone"), (PushPlatform::WEB, "browser")];

#[test]
fn each_token_goes_to_the_sink_of_its_platform() {
    let (hub, phones, others) = start();
    offline(&hub, "bob", 2, BOTH);
    offline(&hub, "carol", 3, &[(PushPlatform::OPPO, "oppo")]);
    let mut alice = Device::login(&hub, "alice", 1);
    alice.send(c2c("bob"), "to Bob");
    assert_eq!(
        (phones.texts(1), others.texts(1)),
        (vec!["to Bob".to_owned()], vec!["to Bob".to_owned()])
    );
    assert_eq!(
        (phones.last().token.as_str(), others.last().token.as_str()),
        ("iphone", "browser")
    );
    assert_eq!(others.last().expires, others.last().time + 24 * 3600);
    alice.send(c2c("carol"), "to Carol");
    assert_eq!(others.texts(2)[1], "to Carol");
    assert_eq!(phones.state.lock().unwrap().attempts, 1);
    assert_eq!(hub.shared().stats().push.users, 2);
    let metrics = || hub.shared().metrics();
    let start = std::time::Instant::now();
    while !metrics().contains("tim_push_total{sink=\"sink\",result=\"sent\"} 3\n") {
        assert!(start.elapsed() < super::DEADLINE, "{}", metrics());
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(metrics().contains("tim_push_down{sink=\"sink\"} 0\n"));
}

/// One of them is down, whatever the reason; and the hub is stopped and started again meanwhile.
#[test]
fn a_sink_that_is_down_holds_back_no_other_device_of_the_user() {
    let (hub, phones, others) = start();
    offline(&hub, "bob", 2, BOTH);
    let mut alice = Device::login(&hub, "alice", 1);
    phones.fail();
    let said: Vec<_> = (0..20).map(|n| format!("number {n}")).collect();
    for (n, text) in said.iter().enumerate() {
        alice.send(c2c("bob"), text);
        assert_eq!(others.texts(n + 1), said[..=n]);
    }
    drop(alice);
    let data = hub.stop();
    phones.set(None);
    let routes = PushRoutes::new()
        .with(PushPlatform::IOS, phones.clone())
        .with_others(others.clone());
    let hub = TestHub::start_on(data, |hub| hub.push = Some(PushOptions::with_routes(routes)));
    assert_eq!(phones.texts(20), said, "nothing is lost, and all is in order");
    // The position that is stored is that of the phones, so the browser gets all again: under the same ids.
    others.texts(40);
    let taken = others.state.lock().unwrap().taken.clone();
    let ids = |taken: &[Notification]| taken.iter().map(|it| it.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&taken[..20]), ids(&taken[20..]));
    drop(hub);
}

/// The time of a sink is limited, and its places are its own.
#[test]
fn a_sink_that_hangs_holds_back_no_other_user() {
    struct Hangs;
    impl PushSink for Hangs {
        fn send<'a>(&'a self, _: &'a Notification) -> Sending<'a> {
            Box::pin(std::future::pending())
        }
    }
    let others = Arc::new(TestSink::default());
    let routes = PushRoutes::new()
        .with(PushPlatform::IOS, Arc::new(Hangs))
        .with_others(others.clone());
    let mut options = PushOptions::with_routes(routes);
    (options.max_concurrent, options.timeout) = (2, Duration::from_secs(3600));
    let hub = TestHub::start_with(|hub| hub.push = Some(options));
    let mut alice = Device::login(&hub, "alice", 1);
    for n in 0..6_u64 {
        offline(
            &hub,
            &format!("user{n}"),
            10 + n,
            &[(PushPlatform::IOS, &format!("phone {n}"))],
        );
        alice.send(c2c(&format!("user{n}")), "hangs");
    }
    offline(&hub, "bob", 2, BOTH);
    alice.send(c2c("bob"), "comes");
    assert_eq!(others.texts(1), ["comes"]);
}

#[test]
fn a_sink_that_panics_has_failed() {
    struct Panics(Arc<TestSink>);
    impl PushSink for Panics {
        fn send<'a>(&'a self, notification: &'a Notification) -> Sending<'a> {
            let first = self.0.state.lock().unwrap().attempts == 0;
            let sent = self.0.send(notification);
            Box::pin(async move {
                assert!(!first, "a test wants it so");
                sent.await
            })
        }
    }
    let sink = Arc::new(TestSink::default());
    let options = PushOptions::new(Arc::new(Panics(sink.clone())));
    let hub = TestHub::start_with(|hub| hub.push = Some(options));
    offline(&hub, "bob", 2, super::PHONE);
    let mut alice = Device::login(&hub, "alice", 1);
    alice.send(c2c("bob"), "hello");
    assert_eq!(sink.texts(2), ["hello", "hello"], "again");
    alice.send(c2c("bob"), "and on");
    assert_eq!(sink.texts(3)[2], "and on");
}

/// A sink whose tokens are hexadecimal, with any case.
struct Hexadecimal;

impl PushSink for Hexadecimal {
    fn send<'a>(&'a self, notification: &'a Notification) -> Sending<'a> {
        Box::pin(std::future::ready(Err(match notification.token.as_str() {
            "0b" => PushError::TokenUnknown,
            _ => PushError::unavailable("this is another token"),
        })))
    }

    fn token<'a>(&self, _: PushPlatform, token: &'a str) -> Result<Cow<'a, str>, String> {
        match token.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            true => Ok(token.to_ascii_lowercase().into()),
            false => Err("a token is hexadecimal".to_owned()),
        }
    }
}

/// Takes any token until it knows that tokens are in lower case.
#[derive(Default)]
struct Learning {
    knows: AtomicBool,
    /// The tokens of all notifications.
    sent: Mutex<Vec<String>>,
}

impl PushSink for Learning {
    fn send<'a>(&'a self, notification: &'a Notification) -> Sending<'a> {
        self.sent.lock().unwrap().push(notification.token.clone());
        Box::pin(std::future::ready(Ok(())))
    }

    fn token<'a>(&self, _: PushPlatform, token: &'a str) -> Result<Cow<'a, str>, String> {
        Ok(match self.knows.load(Ordering::Relaxed) {
            true => token.to_ascii_lowercase().into(),
            false => token.into(),
        })
    }
}

#[test]
fn a_token_that_was_registered_before_its_form_was_known_is_the_same() {
    let sink = Arc::new(Learning::default());
    let options = PushOptions::new(sink.clone());
    let hub = TestHub::start_with(|hub| hub.push = Some(options));
    let mut bob = Device::login(&hub, "bob", 2);
    for token in ["0A", "0B"] {
        bob.ask(&RegisterPush::new(PushPlatform::IOS, token)).unwrap();
    }
    sink.knows.store(true, Ordering::Relaxed);
    bob.ask(&RegisterPush::new(PushPlatform::IOS, "0A")).unwrap();
    bob.ask(&UnregisterPush::new(PushPlatform::IOS, "0B")).unwrap();
    leave(&hub, bob);
    Device::login(&hub, "alice", 1).send(c2c("bob"), "hello");
    stats_once(&hub, |stats| stats.sent > 0 && stats.waiting == 0);
    assert_eq!(*sink.sent.lock().unwrap(), ["0a"]);
}

#[test]
fn a_sink_says_what_is_a_token_and_one_that_is_gone_is_unregistered() {
    let routes = PushRoutes::new().with(PushPlatform::IOS, Arc::new(Hexadecimal));
    let hub = TestHub::start_with(|hub| hub.push = Some(PushOptions::with_routes(routes)));
    let mut bob = Device::login(&hub, "bob", 2);
    let refused = bob.ask(&RegisterPush::new(PushPlatform::IOS, "xyz"));
    assert_eq!(refused.map(|_| ()), Err(ErrorCode::GROUP_INVALID_PARAMETERS));
    // Another platform has no sink, so nothing is known of its tokens.
    bob.ask(&RegisterPush::new(PushPlatform::OPPO, "xyz")).unwrap();
    bob.ask(&RegisterPush::new(PushPlatform::IOS, "0A")).unwrap();
    bob.ask(&UnregisterPush::new(PushPlatform::IOS, "0a")).unwrap();
    bob.ask(&UnregisterPush::new(PushPlatform::IOS, "xyz")).unwrap();
    bob.ask(&RegisterPush::new(PushPlatform::IOS, "0B")).unwrap();
    leave(&hub, bob);
    let mut alice = Device::login(&hub, "alice", 1);
    let stats = || hub.shared().stats().push;
    while stats().users > 0 {
        alice.send(c2c("bob"), "to nobody");
    }
    assert_eq!(stats().failed, 0, "only the token that is left was tried");
}
