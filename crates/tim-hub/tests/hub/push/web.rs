//! The push services of browsers, as a local server: what it is asked, what the browser reads, and what follows from answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use ring::hkdf::{HKDF_SHA256, Salt};
use ring::rand::SystemRandom;
use serde_json::Value;
use tim_hub::tls::{ClientTls, HubTls, TlsProtocol};
use tim_hub::{Clock, PushOptions, PushRoutes, VapidKey, WebPush, WebPushOptions};
use tim_proto::ErrorCode;
use tim_proto::message::OfflinePush;
use tim_proto::request::{PushPlatform, RegisterPush, UnregisterPush};
use tim_testkit::certificates::{Age, Authority};

use super::super::support::{Answer, Device, PushService, Pushed, TestHub, c2c};
use super::apns::TestKey;
use super::{DEADLINE, TestSink, leave, offline, send_with, stats_once, timeout_for};

const AUTH: [u8; 16] = [7; 16];

/// A browser that can read one message.
struct Browser {
    private: EphemeralPrivateKey,
    public: Vec<u8>,
}

impl Browser {
    fn new() -> Self {
        let private = EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new()).unwrap();
        let public = private.compute_public_key().unwrap().as_ref().to_vec();
        Self { private, public }
    }

    fn subscription(&self, endpoint: &str) -> String {
        let (key, auth) = (
            BASE64_URL_SAFE_NO_PAD.encode(&self.public),
            BASE64_URL_SAFE_NO_PAD.encode(AUTH),
        );
        format!(
            "{{\"endpoint\":\"{endpoint}\",\"expirationTime\":null,\"keys\":{{\"p256dh\":\"{key}\",\"auth\":\"{auth}\"}}}}"
        )
    }

    /// What the service worker gets, as RFC 8291 says.
    fn read(self, body: &[u8]) -> Value {
        let (header, record) = body.split_at(86);
        assert_eq!(header[16..21], [0, 0, 16, 0, 65]);
        let sender = &header[21..];
        let shared = agree_ephemeral(
            self.private,
            &UnparsedPublicKey::new(&ECDH_P256, sender),
            <[u8]>::to_vec,
        );
        let agreed = Salt::new(HKDF_SHA256, &AUTH).extract(&shared.unwrap());
        let info = [b"WebPush: info\0".as_slice(), &self.public, sender];
        let mut secret = [0; 32];
        agreed
            .expand(&info, HKDF_SHA256)
            .unwrap()
            .fill(&mut secret)
            .unwrap();
        let key = Salt::new(HKDF_SHA256, &header[..16]).extract(&secret);
        let content = key
            .expand(&[b"Content-Encoding: aes128gcm\0"], &AES_128_GCM)
            .unwrap();
        let mut nonce = [0; 32];
        key.expand(&[b"Content-Encoding: nonce\0"], HKDF_SHA256)
            .unwrap()
            .fill(&mut nonce)
            .unwrap();
        let nonce = Nonce::try_assume_unique_for_key(&nonce[..12]).unwrap();
        let mut record = record.to_vec();
        let text =
            LessSafeKey::new(UnboundKey::from(content)).open_in_place(nonce, Aad::empty(), &mut record);
        let text = text.unwrap().strip_suffix(&[2]).unwrap();
        serde_json::from_slice(text).unwrap()
    }
}

/// A hub that sends to this push service, and its clock in seconds.
struct World {
    hub: TestHub,
    web: Arc<WebPush>,
    service: PushService,
    key: TestKey,
    seconds: Arc<AtomicU64>,
    others: Arc<TestSink>,
    _files: tempfile::TempDir,
}

fn start(answers: impl IntoIterator<Item = Answer>) -> World {
    start_with(DEADLINE, answers)
}

/// With a limit for the time of an answer.
fn start_with(timeout: Duration, answers: impl IntoIterator<Item = Answer>) -> World {
    let files = tempfile::tempdir().unwrap();
    let authority = Authority::new(files.path(), "authority");
    let certificate = authority.sign("service", &["127.0.0.1"], Age::Valid);
    let tls = HubTls::from_files(&certificate.certificate, &certificate.key).unwrap();
    let service = PushService::start_tls(answers, tls, TlsProtocol::Http);
    let key = TestKey::new();
    let mut options = WebPushOptions::new(VapidKey::new(&key.pem, "mailto:operator@example.com").unwrap());
    options.hosts.push(service.address.to_string());
    options.tls = ClientTls::new().with_roots_from(&authority.file).unwrap();
    let seconds = Arc::new(AtomicU64::new(1_700_000_000));
    let clock = Arc::clone(&seconds);
    let clock = Clock::new(move || clock.load(Ordering::SeqCst) * 1000, || 0);
    let web = Arc::new(WebPush::new(options, clock).unwrap());
    let others = Arc::new(TestSink::default());
    let routes = PushRoutes::new()
        .with(PushPlatform::WEB, web.clone())
        .with_others(others.clone());
    let mut push = PushOptions::with_routes(routes);
    push.timeout = timeout;
    let hub = TestHub::start_with(|hub| hub.push = Some(push));
    World {
        hub,
        web,
        service,
        key,
        seconds,
        others,
        _files: files,
    }
}

impl World {
    fn endpoint(&self, path: &str) -> String {
        format!("https://{}{path}", self.service.address)
    }

    /// A user with a browser, who is offline.
    fn offline(&self, name: &str, number: u64) -> Browser {
        let browser = Browser::new();
        let token = browser.subscription(&self.endpoint(&format!("/wpush/{name}?a=1")));
        offline(&self.hub, name, number, &[(PushPlatform::WEB, &token)]);
        browser
    }

    /// The claims of a signed token, and the key in it.
    fn claims(&self, asked: &Pushed) -> Option<Value> {
        let value = asked.header("authorization").strip_prefix("vapid t=").unwrap();
        let (jwt, key) = value.split_once(", k=").unwrap();
        assert_eq!(key, self.web.application_server_key());
        let (header, claims) = self.key.verify(jwt)?;
        assert_eq!(header, serde_json::json!({"typ": "JWT", "alg": "ES256"}));
        Some(claims)
    }
}

fn taken() -> Answer {
    Answer::Status(201, "", String::new())
}

#[test]
fn a_browser_reads_what_it_is_sent_and_nobody_else_does() {
    let world = start([taken()]);
    let browser = world.offline("bob", 2);
    let mut alice = Device::login(&world.hub, "alice", 1);
    let push = OfflinePush::new()
        .with_title("News")
        .with_description("Something new")
        .with_extension("{\"a\": 1}");
    send_with(&mut alice, c2c("bob"), "hello", push);
    let asked = world.service.asked(1).pop().unwrap();
    assert_eq!(asked.target, "/wpush/bob?a=1");
    for (name, value) in [
        ("content-encoding", "aes128gcm"),
        ("content-type", "application/octet-stream"),
        ("ttl", "86400"),
        ("urgency", "normal"),
    ] {
        assert_eq!(asked.header(name), value, "{name}");
    }
    assert_eq!(asked.header("topic").len(), 32);
    assert_eq!(
        world.claims(&asked).unwrap(),
        serde_json::json!({
            "aud": world.endpoint(""),
            "exp": 1_700_000_000 + 12 * 3600,
            "sub": "mailto:operator@example.com",
        })
    );
    let shown = browser.read(&asked.body);
    assert_eq!(
        shown,
        serde_json::json!({
            "id": shown["id"],
            "title": "News",
            "text": "Something new",
            "ext": "{\"a\": 1}",
            "badge": 1,
            "conversation": "C2Calice",
            "sequence": 1,
            "message": shown["message"],
            "sender": "alice",
            "time": 1_700_000_000,
        })
    );
    assert!(
        shown["id"]
            .as_str()
            .unwrap()
            .starts_with(shown["message"].as_str().unwrap())
    );
}

/// What fails comes again: encrypted anew, under the same topic.
#[test]
fn what_a_push_service_answers() {
    let later = Answer::Status(503, "retry-after: 1\r\n", String::new());
    let busy = Answer::Status(429, "", String::new());
    let faults = [later, busy, Answer::Close, Answer::Hang];
    let worlds = faults.map(|fault| {
        let world = start_with(timeout_for(&fault), [fault, taken()]);
        let browser = world.offline("bob", 2);
        let mut alice = Device::login(&world.hub, "alice", 1);
        alice.send(c2c("bob"), "hello");
        (world, browser)
    });
    for (world, browser) in worlds {
        let asked = world.service.asked(2);
        assert_eq!(asked[0].header("topic"), asked[1].header("topic"));
        assert_ne!(asked[0].body, asked[1].body);
        assert_eq!(browser.read(&asked[1].body)["text"], "hello");
        assert_eq!(world.hub.shared().stats().push.failed, 1);
    }
    let refusals = [400, 401, 403, 413, 301].map(|status| Answer::Status(status, "", String::new()));
    let world = start(refusals.into_iter().chain([taken()]));
    world.offline("bob", 2);
    let mut alice = Device::login(&world.hub, "alice", 1);
    for n in 0..6 {
        alice.send(c2c("bob"), &format!("number {n}"));
    }
    let asked = world.service.asked(6);
    assert!(asked.iter().all(|asked| asked.connection == 1), "kept");
    let (start, stats) = (Instant::now(), || world.hub.shared().stats().push);
    while stats().sent == 0 {
        assert!(start.elapsed() < DEADLINE);
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!((stats().refused, stats().failed, stats().users), (5, 0, 1));
}

#[test]
fn a_subscription_that_is_gone_is_unregistered() {
    for status in [404, 410] {
        let world = start([Answer::Status(status, "", String::new())]);
        world.offline("bob", 2);
        let mut alice = Device::login(&world.hub, "alice", 1);
        let start = Instant::now();
        alice.send(c2c("bob"), "to nobody");
        world.service.asked(1);
        while world.hub.shared().stats().push.users > 0 {
            assert!(start.elapsed() < DEADLINE, "the subscription stays");
            alice.send(c2c("bob"), "to nobody");
        }
    }
}

#[test]
fn signatures_are_renewed_and_keys_replaced() {
    let world = start([taken()]);
    world.offline("bob", 2);
    let mut alice = Device::login(&world.hub, "alice", 1);
    let mut count = 0;
    let mut next = |alice: &mut Device| {
        alice.send(c2c("bob"), "hello");
        count += 1;
        world.service.asked(count).pop().unwrap()
    };
    let expires = |asked: &Pushed| world.claims(asked).unwrap()["exp"].as_u64().unwrap();
    let first = expires(&next(&mut alice));
    world.seconds.fetch_add(11 * 3600, Ordering::SeqCst);
    assert_eq!(expires(&next(&mut alice)), first);
    world.seconds.fetch_add(1, Ordering::SeqCst);
    assert_eq!(expires(&next(&mut alice)), first + 11 * 3600 + 1);
    let other = TestKey::new();
    world
        .web
        .set_key(VapidKey::new(&other.pem, "https://example.com/contact").unwrap());
    let asked = next(&mut alice);
    assert_eq!(
        world.claims(&asked),
        None,
        "signed with the other key, which is in it"
    );
}

#[test]
fn only_subscriptions_at_push_services_are_registered() {
    let world = start([taken()]);
    let mut bob = Device::login(&world.hub, "bob", 2);
    let browser = Browser::new();
    for token in [
        "token".to_owned(),
        browser.subscription("https://127.0.0.1/x"),
        browser.subscription("https://169.254.169.254/latest/meta-data"),
        browser.subscription(&format!("http://{}/x", world.service.address)),
        browser.subscription("https://push.example/x"),
        browser.subscription(&world.endpoint(&format!("/{}", "a".repeat(1024)))),
        browser
            .subscription(&world.endpoint("/x"))
            .replace("p256dh", "key"),
    ] {
        let refused = bob.ask(&RegisterPush::new(PushPlatform::WEB, &token));
        assert_eq!(
            refused.map(|_| ()),
            Err(ErrorCode::GROUP_INVALID_PARAMETERS),
            "{token}"
        );
    }
    // The longest one; the same subscription, written otherwise, is the same token.
    let longest = world.endpoint(&format!("/{}", "a".repeat(1023 - world.endpoint("").len())));
    let token = browser.subscription(&longest);
    bob.ask(&RegisterPush::new(PushPlatform::WEB, &token)).unwrap();
    let other = token.replace("\"expirationTime\":null,", "");
    bob.ask(&RegisterPush::new(PushPlatform::WEB, &other)).unwrap();
    let gone = Browser::new().subscription(&world.endpoint("/gone"));
    bob.ask(&RegisterPush::new(PushPlatform::WEB, &gone)).unwrap();
    let gone = gone.replace("\"expirationTime\":null", "\"expirationTime\":1");
    bob.ask(&UnregisterPush::new(PushPlatform::WEB, &gone)).unwrap();
    leave(&world.hub, bob);
    let mut alice = Device::login(&world.hub, "alice", 1);
    alice.send(c2c("bob"), "hello");
    alice.send(c2c("bob"), "and on");
    let asked = world.service.asked(2);
    let targets: Vec<_> = asked.iter().map(|asked| asked.target.len()).collect();
    assert_eq!(targets, [longest.len() - world.endpoint("").len(); 2]);
    assert_eq!(browser.read(&asked[0].body)["text"], "hello");
}

#[test]
fn a_push_service_that_is_down_holds_back_no_phone_of_the_user() {
    let world = start_with(timeout_for(&Answer::Hang), [Answer::Hang]);
    let token = Browser::new().subscription(&world.endpoint("/bob"));
    let tokens = [
        (PushPlatform::WEB, token.as_str()),
        (PushPlatform::HUAWEI, "phone"),
    ];
    offline(&world.hub, "bob", 2, &tokens);
    let mut alice = Device::login(&world.hub, "alice", 1);
    let said: Vec<_> = (0..10).map(|n| format!("number {n}")).collect();
    for text in &said {
        alice.send(c2c("bob"), text);
    }
    assert_eq!(world.others.texts(10), said);
    // It comes back. What it has not got yet comes now, and the phone gets nothing twice.
    world.service.set([taken()]);
    stats_once(&world.hub, |stats| stats.sent == 20);
    alice.send(c2c("bob"), "the last");
    assert_eq!(world.others.texts(11)[10], "the last");
}

#[test]
fn what_is_too_long_is_cut_for_the_browser_too() {
    let world = start([taken()]);
    let browser = world.offline("bob", 2);
    let mut alice = Device::login(&world.hub, "alice", 1);
    let description = "\u{1}".repeat(3000);
    let push = OfflinePush::new().with_description(description.as_str());
    send_with(&mut alice, c2c("bob"), "hello", push);
    let asked = world.service.asked(1).pop().unwrap();
    assert!(
        asked.body.len() <= 4096 && asked.body.len() > 3000,
        "{}",
        asked.body.len()
    );
    assert!(browser.read(&asked.body)["text"].as_str().unwrap().ends_with('…'));
}

#[test]
fn options_are_checked() {
    let key = TestKey::new();
    for (pem, subject, expected) in [
        ("nothing", "mailto:a@example.com", "-----BEGIN PRIVATE KEY-----"),
        (key.pem.as_str(), "a@example.com", "mailto:ADDRESS"),
        (key.pem.as_str(), "mailto:nobody", "mailto:ADDRESS"),
    ] {
        let error = VapidKey::new(pem, subject).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    let vapid = VapidKey::new(&key.pem, "https://example.com").unwrap();
    let public = BASE64_URL_SAFE_NO_PAD
        .decode(vapid.application_server_key())
        .unwrap();
    assert_eq!((public.len(), public[0]), (65, 4));
    let mut options = WebPushOptions::new(vapid);
    options.hosts.push("https://push.example".to_owned());
    let error = WebPush::new(options, Clock::system()).unwrap_err();
    assert!(error.contains("*.DOMAIN"), "{error}");
}
