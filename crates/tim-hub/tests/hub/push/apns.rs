//! Apple's push service, as a local server: what it is asked, and what follows from its answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey,
};
use serde_json::Value;
use tim_hub::tls::{ClientTls, HubTls, TlsProtocol};
use tim_hub::{Apns, ApnsKey, ApnsOptions, Clock, PushOptions, PushRoutes};
use tim_proto::ErrorCode;
use tim_proto::message::OfflinePush;
use tim_proto::request::{PushPlatform, RegisterPush};
use tim_testkit::certificates::{Age, Authority};

use super::super::support::{Answer, Device, PushService, Pushed, TestHub, c2c};
use super::{DEADLINE, TestSink, offline, send_with, timeout_for};

const TOKEN: &str = "00fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f0";
const IPHONE: &[(PushPlatform, &str)] = &[(PushPlatform::IOS, TOKEN)];

/// A key, and what verifies its signatures.
pub(super) struct TestKey {
    pub(super) pem: String,
    public: Vec<u8>,
}

impl TestKey {
    pub(super) fn new() -> Self {
        let random = SystemRandom::new();
        let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.as_ref(), &random).unwrap();
        let text = BASE64_STANDARD.encode(der);
        Self {
            pem: format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n"),
            public: pair.public_key().as_ref().to_vec(),
        }
    }

    /// The header and the claims of a token that this key has signed.
    pub(super) fn verify(&self, jwt: &str) -> Option<(Value, Value)> {
        let (signed, signature) = jwt.rsplit_once('.')?;
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &self.public);
        public.verify(signed.as_bytes(), &signature).ok()?;
        let (header, claims) = signed.split_once('.')?;
        let json = |part| serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
        Some((json(header), json(claims)))
    }

    fn apns(&self, id: &str) -> ApnsKey {
        ApnsKey::new(&self.pem, id, "TEAM123456").unwrap()
    }
}

/// A hub that sends to this service, and its clock in seconds.
struct World {
    hub: TestHub,
    apns: Arc<Apns>,
    key: TestKey,
    seconds: Arc<AtomicU64>,
}

fn start(url: &str) -> World {
    start_with(url, |_| ())
}

fn start_with(url: &str, change: impl FnOnce(&mut PushOptions)) -> World {
    let key = TestKey::new();
    let mut options = ApnsOptions::new(key.apns("KEY1234567"), "com.example.chat");
    options.url = url.to_owned();
    start_on(options, key, change)
}

fn start_on(options: ApnsOptions, key: TestKey, change: impl FnOnce(&mut PushOptions)) -> World {
    let seconds = Arc::new(AtomicU64::new(1_700_000_000));
    let clock = Arc::clone(&seconds);
    let clock = Clock::new(move || clock.load(Ordering::SeqCst) * 1000, || 0);
    let apns = Arc::new(Apns::new(options, clock).unwrap());
    let routes = PushRoutes::new().with(PushPlatform::IOS, apns.clone());
    let mut push = PushOptions::with_routes(routes);
    change(&mut push);
    let hub = TestHub::start_with(|hub| hub.push = Some(push));
    World {
        hub,
        apns,
        key,
        seconds,
    }
}

fn answer(status: u16, reason: &str) -> Answer {
    Answer::Status(status, "", format!("{{\"reason\":\"{reason}\"}}"))
}

fn taken() -> Answer {
    Answer::ok("")
}

fn text(asked: &Pushed) -> String {
    let payload: Value = serde_json::from_slice(&asked.body).unwrap();
    payload["aps"]["alert"]["body"].as_str().unwrap().to_owned()
}

fn bearer(asked: &Pushed) -> &str {
    asked.header("authorization").strip_prefix("bearer ").unwrap()
}

#[test]
fn a_notification_is_a_request_with_a_signed_token() {
    let service = PushService::start([taken()]);
    let world = start(&service.url());
    // As an application may write it.
    offline(
        &world.hub,
        "bob",
        2,
        &[(PushPlatform::IOS, &TOKEN.to_uppercase())],
    );
    let mut alice = Device::login(&world.hub, "alice", 1);
    alice.send(c2c("bob"), "hello");
    let push = OfflinePush::new()
        .with_title("News")
        .with_description("\"Something\"\nnew")
        .with_extension("{\"a\": 1}")
        .with_ignore_ios_badge(true);
    service.asked(1);
    send_with(&mut alice, c2c("bob"), "the second", push);
    let asked = service.asked(2);
    assert_eq!(asked[0].connection, asked[1].connection);
    for request in &asked {
        assert_eq!(request.target, format!("/3/device/{TOKEN}"));
        assert_eq!(request.header("apns-topic"), "com.example.chat");
        assert_eq!(request.header("apns-push-type"), "alert");
        assert_eq!(request.header("apns-priority"), "10");
        let expires = 1_700_000_000 + 24 * 3600;
        assert_eq!(request.header("apns-expiration"), expires.to_string());
        let (header, claims) = world.key.verify(bearer(request)).unwrap();
        assert_eq!(header, serde_json::json!({"alg": "ES256", "kid": "KEY1234567"}));
        assert_eq!(
            claims,
            serde_json::json!({"iss": "TEAM123456", "iat": 1_700_000_000})
        );
    }
    assert_eq!(bearer(&asked[0]), bearer(&asked[1]), "signed once");
    let first: Value = serde_json::from_slice(&asked[0].body).unwrap();
    let message = first["message"].as_str().unwrap();
    let id = asked[0].header("apns-collapse-id");
    assert!(id.starts_with(message) && id.len() <= 64, "{id}");
    assert_eq!(
        first,
        serde_json::json!({
            "aps": {
                "alert": {"title": "alice", "body": "hello"},
                "badge": 1,
                "sound": "default",
                "mutable-content": 1,
                "thread-id": "C2Calice",
            },
            "ext": "",
            "conversation": "C2Calice",
            "sequence": 1,
            "message": message,
            "sender": "alice",
        })
    );
    let second: Value = serde_json::from_slice(&asked[1].body).unwrap();
    assert_eq!(second["aps"]["alert"]["title"], "News");
    assert_eq!(second["aps"]["alert"]["body"], "\"Something\"\nnew");
    assert_eq!(second["aps"].get("badge"), None);
    assert_eq!(second["ext"], "{\"a\": 1}");
    let uuid = |asked: &Pushed| {
        let parts: Vec<_> = asked.header("apns-id").split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
        asked.header("apns-id").to_owned()
    };
    assert_ne!(uuid(&asked[0]), uuid(&asked[1]));
}

/// What fails is asked again, with the same ids: on the same connection after an answer, on a new one without.
#[test]
fn what_is_not_available_is_asked_again_and_replaces_itself() {
    let later = |status, reason: &str| {
        Answer::Status(
            status,
            "retry-after: 1\r\n",
            format!("{{\"reason\":\"{reason}\"}}"),
        )
    };
    let faults = [
        (later(503, "Shutdown"), 1),
        (later(429, "TooManyProviderTokenUpdates"), 1),
        (answer(500, "InternalServerError"), 1),
        (Answer::Close, 2),
        (Answer::Hang, 2),
    ];
    // All at once: each takes a second.
    let worlds = faults.map(|(fault, connection)| {
        let timeout = timeout_for(&fault);
        let service = PushService::start([fault, taken()]);
        let world = start_with(&service.url(), |push| push.timeout = timeout);
        offline(&world.hub, "bob", 2, IPHONE);
        let mut alice = Device::login(&world.hub, "alice", 1);
        alice.send(c2c("bob"), "hello");
        (service, world, alice, connection)
    });
    for (service, world, mut alice, connection) in worlds {
        let asked = service.asked(2);
        assert_eq!(asked[1].body, asked[0].body);
        for name in ["apns-id", "apns-collapse-id", "authorization"] {
            assert_eq!(asked[1].header(name), asked[0].header(name));
        }
        alice.send(c2c("bob"), "and on");
        let asked = service.asked(3);
        let connections: Vec<_> = asked.iter().map(|asked| asked.connection).collect();
        assert_eq!(connections, [1, connection, connection]);
        assert_eq!(text(&asked[2]), "and on");
        assert_eq!(world.hub.shared().stats().push.failed, 1);
    }
}

#[test]
fn a_token_that_is_gone_is_unregistered_and_what_is_refused_is_dropped() {
    for (status, reason) in [(410, "Unregistered"), (400, "BadDeviceToken")] {
        let service = PushService::start([answer(status, reason)]);
        let world = start(&service.url());
        offline(&world.hub, "bob", 2, IPHONE);
        let mut alice = Device::login(&world.hub, "alice", 1);
        let stats = || world.hub.shared().stats().push;
        let start = Instant::now();
        alice.send(c2c("bob"), "to nobody");
        service.asked(1);
        while stats().users > 0 {
            assert!(start.elapsed() < DEADLINE, "the token stays");
            alice.send(c2c("bob"), "to nobody");
        }
    }
    let refusals = [
        (400, "DeviceTokenNotForTopic"),
        (413, "PayloadTooLarge"),
        (404, "BadPath"),
    ];
    let refused = refusals.map(|(status, reason)| answer(status, reason));
    let service = PushService::start(refused.into_iter().chain([taken()]));
    let world = start(&service.url());
    offline(&world.hub, "bob", 2, IPHONE);
    let mut alice = Device::login(&world.hub, "alice", 1);
    for n in 0..4 {
        alice.send(c2c("bob"), &format!("number {n}"));
    }
    let asked = service.asked(4);
    let texts: Vec<_> = asked.iter().map(text).collect();
    assert_eq!(texts, ["number 0", "number 1", "number 2", "number 3"]);
    let (start, stats) = (Instant::now(), || world.hub.shared().stats().push);
    while stats().sent == 0 {
        assert!(start.elapsed() < DEADLINE);
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!((stats().refused, stats().failed, stats().users), (3, 0, 1));
}

/// A token is signed anew before it is too old, when the server finds it so, and with another key.
#[test]
fn tokens_are_renewed_and_keys_replaced() {
    let service = PushService::start([taken()]);
    let world = start(&service.url());
    offline(&world.hub, "bob", 2, IPHONE);
    let mut alice = Device::login(&world.hub, "alice", 1);
    let mut count = 0;
    let mut next = |alice: &mut Device, requests: usize| {
        alice.send(c2c("bob"), "hello");
        count += requests;
        service.asked(count).split_off(count - requests)
    };
    let claims = |asked: &Pushed| {
        world.key.verify(bearer(asked)).unwrap().1["iat"]
            .as_u64()
            .unwrap()
    };
    assert_eq!(claims(&next(&mut alice, 1)[0]), 1_700_000_000);
    world.seconds.fetch_add(44 * 60, Ordering::SeqCst);
    assert_eq!(claims(&next(&mut alice, 1)[0]), 1_700_000_000);
    world.seconds.fetch_add(60, Ordering::SeqCst);
    let renewed = 1_700_000_000 + 45 * 60;
    assert_eq!(claims(&next(&mut alice, 1)[0]), renewed);
    // The server finds it too old: signed anew at once, if the last signature is 20 minutes old.
    world.seconds.fetch_add(20 * 60, Ordering::SeqCst);
    service.set([answer(403, "ExpiredProviderToken"), taken()]);
    let asked = next(&mut alice, 2);
    assert_eq!(
        (claims(&asked[0]), claims(&asked[1])),
        (renewed, renewed + 20 * 60)
    );
    assert_eq!(asked[0].body, asked[1].body);
    // Another key.
    let other = TestKey::new();
    world.apns.set_key(other.apns("KEY7654321"));
    let asked = next(&mut alice, 1).remove(0);
    assert!(world.key.verify(bearer(&asked)).is_none());
    assert_eq!(other.verify(bearer(&asked)).unwrap().0["kid"], "KEY7654321");
    assert_eq!(world.hub.shared().stats().push.failed, 0);
}

/// Nothing is lost while the operator corrects the settings.
#[test]
fn a_key_that_is_refused_is_no_fault_of_the_notification() {
    let service = PushService::start([answer(403, "InvalidProviderToken")]);
    let world = start(&service.url());
    offline(&world.hub, "bob", 2, IPHONE);
    let mut alice = Device::login(&world.hub, "alice", 1);
    alice.send(c2c("bob"), "hello");
    service.asked(1);
    let (start, stats) = (Instant::now(), || world.hub.shared().stats().push);
    while stats().failed == 0 {
        assert!(start.elapsed() < DEADLINE);
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!((stats().refused, stats().users, stats().waiting), (0, 1, 1));
    let data = world.hub.stop();
    service.set([taken()]);
    let routes = PushRoutes::new().with(PushPlatform::IOS, world.apns.clone());
    let hub = TestHub::start_on(data, |hub| hub.push = Some(PushOptions::with_routes(routes)));
    assert_eq!(text(&service.asked(2)[1]), "hello");
    drop(hub);
}

#[test]
fn what_is_too_long_is_cut_and_what_is_no_token_not_registered() {
    let service = PushService::start([taken()]);
    let world = start(&service.url());
    let mut bob = Device::login(&world.hub, "bob", 2);
    for token in ["phone", "abc", "../../x", &"a".repeat(258)] {
        let refused = bob.ask(&RegisterPush::new(PushPlatform::IOS, token));
        assert_eq!(
            refused.map(|_| ()),
            Err(ErrorCode::GROUP_INVALID_PARAMETERS),
            "{token}"
        );
    }
    drop(bob);
    offline(&world.hub, "bob", 2, IPHONE);
    let mut alice = Device::login(&world.hub, "alice", 1);
    // Of each of these, six bytes are written.
    let text_of = |len: usize| "\u{1}".repeat(len);
    for (title, description) in [(1, 3071), (400, 2000), (1, 1)] {
        let (title, description) = (text_of(title), text_of(description));
        let push = OfflinePush::new()
            .with_title(title.as_str())
            .with_description(description.as_str());
        send_with(&mut alice, c2c("bob"), "hello", push);
    }
    let asked = service.asked(3);
    for (request, is_cut) in asked.iter().zip([true, true, false]) {
        assert!(request.body.len() <= 4096);
        assert_eq!(text(request).ends_with('…'), is_cut);
    }
    assert!(
        asked[0].body.len() > 3000,
        "as much as fits: {}",
        asked[0].body.len()
    );
    let title = text_of(3000);
    let push = OfflinePush::new().with_title(title.as_str());
    send_with(&mut alice, c2c("bob"), "hello", push);
    alice.send(c2c("bob"), "the next");
    assert_eq!(text(&service.asked(4)[3]), "the next");
    assert_eq!(world.hub.shared().stats().push.refused, 1);
}

#[test]
fn a_server_that_hangs_holds_back_no_other_device_of_the_user() {
    let service = PushService::start([Answer::Hang]);
    let (key, others) = (TestKey::new(), Arc::new(TestSink::default()));
    let mut options = ApnsOptions::new(key.apns("KEY1234567"), "com.example.chat");
    options.url = service.url();
    let apns = Arc::new(Apns::new(options, Clock::system()).unwrap());
    let routes = PushRoutes::new()
        .with(PushPlatform::IOS, apns)
        .with_others(others.clone());
    let hub = TestHub::start_with(|hub| hub.push = Some(PushOptions::with_routes(routes)));
    offline(&hub, "bob", 2, &[IPHONE[0], (PushPlatform::VIVO, "vivo")]);
    let mut alice = Device::login(&hub, "alice", 1);
    let said: Vec<_> = (0..10).map(|n| format!("number {n}")).collect();
    for text in &said {
        alice.send(c2c("bob"), text);
    }
    assert_eq!(others.texts(10), said);
    assert!(!service.asked(1).is_empty());
}

#[test]
fn over_tls_it_speaks_http2_with_a_server_that_is_trusted() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new(directory.path(), "authority");
    let files = authority.sign("service", &["127.0.0.1"], Age::Valid);
    let tls = HubTls::from_files(&files.certificate, &files.key).unwrap();
    let service = PushService::start_tls([taken()], tls, TlsProtocol::Http2);
    let key = TestKey::new();
    let mut options = ApnsOptions::new(key.apns("KEY1234567"), "com.example.chat");
    options.url = format!("https://{}", service.address);
    options.tls = ClientTls::new().with_roots_from(&authority.file).unwrap();
    let world = start_on(options, key, |_| ());
    offline(&world.hub, "bob", 2, IPHONE);
    let mut alice = Device::login(&world.hub, "alice", 1);
    alice.send(c2c("bob"), "hello");
    assert_eq!(text(&service.asked(1)[0]), "hello");
}

#[test]
fn options_are_checked_and_secrets_not_shown() {
    let key = TestKey::new();
    for (pem, id, expected) in [
        ("nothing", "KEY1234567", "-----BEGIN PRIVATE KEY-----"),
        (key.pem.as_str(), "", "ten letters and digits"),
        (key.pem.as_str(), "a b", "ten letters and digits"),
    ] {
        let error = ApnsKey::new(pem, id, "TEAM123456").unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    let options = |topic: &str, url: &str| {
        let mut options = ApnsOptions::new(key.apns("KEY1234567"), topic);
        url.clone_into(&mut options.url);
        options
    };
    let shown = format!("{:?}", options("com.example.chat", Apns::SANDBOX));
    let secret = key.pem.lines().nth(1).unwrap();
    assert!(shown.contains("sandbox") && !shown.contains(secret), "{shown}");
    for (topic, url, expected) in [("", Apns::SANDBOX, "bundle id"), ("a\n", "api", "http://HOST")] {
        let error = Apns::new(options(topic, url), Clock::system()).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}
