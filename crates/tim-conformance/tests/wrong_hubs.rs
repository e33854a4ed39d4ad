//! Hubs that are wrong on purpose: for each, the rows that must fail, and one beside them that must not. Last, a hub that is
//! not there, on which every row fails that is about a hub at all.

mod support;

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use support::{APP, Frame, KEY, Mangle, behind, number, put, skip_bytes, skip_to, target};
use tim_client::proto::request::PushPlatform;
use tim_client::transport::Connector;
use tim_conformance::{
    Boxed, HubFactory, HubSettings, Outcome, OwnHub, OwnHubs, Report, Selection, StartedHub, run,
};
use tim_hub::usersig::App;
use tim_hub::{HubOptions, Notification, PushRoutes, PushSink, Sending};
use tokio::task::JoinSet;

const DELIVER: u8 = 0x40;
const SEND: u8 = 0x10;
const RESPONSE: u8 = 0x80;

/// A row that waits in vain for what a wrong hub does not do need not wait for long.
const DEADLINE: Duration = Duration::from_secs(10);

fn hub(change: impl FnOnce(&mut HubOptions)) -> OwnHub {
    tim_testkit::deadline();
    OwnHub::start_with(|options| {
        options.app = App::new(APP, KEY);
        change(options);
    })
    .unwrap()
}

/// These rows fail, and this one does not.
fn check(name: &str, report: &Report, fails: &[u16], passes: u16) {
    for row in &report.rows {
        let expected = match fails.iter().any(|number| row.row == format!("S{number}")) {
            true => Outcome::Fail,
            false => Outcome::Pass,
        };
        assert_eq!(
            row.outcome, expected,
            "{name}: {} {}: {}",
            row.row, row.asks, row.reason
        );
    }
    assert_eq!(
        report.rows.len(),
        fails.len() + 1,
        "{name}: S{passes} and the others"
    );
}

fn rows(fails: &[u16], passes: u16) -> Selection {
    let all = fails.iter().copied().chain([passes]);
    Selection::rows(all).unwrap().with_deadline(DEADLINE)
}

/// Options of a hub, the rows that they break, and one that they do not.
type WrongOptions = (&'static str, fn(&mut HubOptions), &'static [u16], u16);

const WRONG_OPTIONS: &[WrongOptions] = &[
    (
        "pages of 20 messages",
        |options| options.limits = options.limits.with_page_messages(20),
        &[173],
        175,
    ),
    (
        "messages of 100 bytes at most",
        |options| options.limits = options.limits.with_message_bytes(100),
        &[27, 28],
        26,
    ),
    (
        "recordings of ten seconds at most",
        |options| options.limits = options.limits.with_sound_millis(10_000),
        &[38, 42, 43],
        50,
    ),
    (
        "pictures of 1000 bytes at most",
        |options| options.limits = options.limits.with_image_bytes(1000),
        &[22, 29, 30, 31, 32, 33, 35],
        34,
    ),
    (
        "files of 100 bytes more than allowed",
        |options| options.limits = options.limits.with_file_bytes(100 * 1024 * 1024 + 100),
        &[54],
        55,
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn wrong_options_break_their_rows() {
    for (name, change, fails, passes) in WRONG_OPTIONS {
        let hub = hub(change);
        let report = run(&target(hub.connector()), &rows(fails, *passes)).await;
        check(name, &report, fails, *passes);
        hub.stop().await;
    }
}

/// A sink that sends everything twice.
struct Twice(Arc<dyn PushSink>);

impl PushSink for Twice {
    fn send<'a>(&'a self, push: &'a Notification) -> Sending<'a> {
        Box::pin(async move {
            self.0.send(push).await?;
            self.0.send(push).await
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn notifications_that_come_twice_break_the_rows_about_them() {
    tim_testkit::deadline();
    let hub = OwnHub::start_with(|options| {
        let push = options.push.as_mut().unwrap();
        let sink = push.routes.sink_of(PushPlatform::IOS).unwrap();
        push.routes = PushRoutes::new().with_others(Arc::new(Twice(Arc::clone(sink))));
    })
    .unwrap();
    let fails = [92, 93, 94, 95, 96, 98, 99, 100, 102, 104, 216];
    // S97: there is none to come twice.
    let report = run(&hub.target(), &rows(&fails, 97)).await;
    check("notifications twice", &report, &fails, 97);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rest_interface_that_only_says_yes_breaks_the_rows_about_it() {
    tim_testkit::deadline();
    let own = OwnHub::start().unwrap();
    let target = own.target().with_rest(|_, _| {
        let yes = serde_json::json!({"ActionStatus": "OK", "ErrorCode": 0, "ErrorInfo": ""});
        Box::pin(std::future::ready(Ok(yes)))
    });
    let fails = [117, 211];
    let report = run(&target, &rows(&fails, 108)).await;
    check("a REST interface that does nothing", &report, &fails, 108);
    own.stop().await;
}

/// A factory whose hubs have other settings than they were asked for.
struct Deaf;

impl HubFactory for Deaf {
    fn start(&self, _: HubSettings) -> Boxed<'_, io::Result<Box<dyn StartedHub>>> {
        let mut settings = HubSettings::default();
        settings.revoke_window_seconds = 300;
        settings.retention_seconds = 8 * 86_400;
        settings.group_messages_per_second = 0;
        OwnHubs.start(settings)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_are_not_kept_break_the_rows_about_them() {
    let hub = hub(|_| ());
    let fails = [20, 112, 113, 191, 192, 215];
    let report = run(&target(hub.connector()).with_factory(Deaf), &rows(&fails, 110)).await;
    check("settings that are not kept", &report, &fails, 110);
    hub.stop().await;
}

/// A hub that takes only who has logged in conforms too.
#[tokio::test(flavor = "multi_thread")]
async fn a_hub_without_open_registration_conforms() {
    let hub = hub(|options| options.open_registration = false);
    let report = run(&target(hub.connector()), &Selection::all()).await;
    assert!(report.is_conforming(), "{}", failed(&report));
    hub.stop().await;
}

fn failed(report: &Report) -> String {
    let failed = report.with_outcome(Outcome::Fail);
    let lines: Vec<_> = failed
        .map(|row| format!("{} {}: {}", row.row, row.asks, row.reason))
        .collect();
    lines.join("\n")
}

/// What a proxy does, the rows that it breaks, and one that it does not.
type WrongWords = (&'static str, Mangle, &'static [u16], u16);

/// A delivery from its message on: the place behind cursor and payload length.
fn message_at(body: &[u8]) -> usize {
    let mut at = 0;
    skip_bytes(body, &mut at);
    number(body, &mut at).unwrap();
    at
}

/// The flags of a delivered message.
fn flags(body: &[u8]) -> u64 {
    let mut at = message_at(body);
    let [_, _, flags] = [0; 3].map(|_| number(body, &mut at).unwrap());
    flags
}

/// The place of the priority in a SEND, or in a delivery.
fn priority_at(frame: &Frame) -> usize {
    let body = &frame.body;
    let mut at = 0;
    if frame.kind == SEND {
        skip_bytes(body, &mut at);
    } else {
        at = message_at(body);
        for _ in 0..4 {
            number(body, &mut at).unwrap();
        }
        skip_bytes(body, &mut at);
    }
    skip_to(body, &mut at);
    for _ in 0..4 {
        number(body, &mut at).unwrap();
    }
    at
}

fn delivered_kind(frame: &Frame) -> u64 {
    let mut at = priority_at(frame) + 1;
    number(&frame.body, &mut at).unwrap()
}

/// The items of the list that begins here, and the bytes before it.
fn list_at(body: &[u8], mut at: usize) -> (Vec<u8>, Vec<Vec<u8>>) {
    let before = body[..at].to_vec();
    let end = number(body, &mut at).unwrap() as usize + at;
    let mut items = Vec::new();
    while at < end {
        let len = number(body, &mut at).unwrap() as usize;
        items.push(body[at..at + len].to_vec());
        at += len;
    }
    (before, items)
}

/// A body with a list at its end.
fn with_list(mut before: Vec<u8>, items: &[Vec<u8>]) -> Vec<u8> {
    let mut list = Vec::new();
    for item in items {
        put(&mut list, item.len() as u64);
        list.extend(item);
    }
    put(&mut before, list.len() as u64);
    before.extend(list);
    before
}

fn reversed(body: &[u8], numbers_before: usize) -> Vec<u8> {
    let mut at = 0;
    skip_bytes(body, &mut at);
    at += 1;
    for _ in 0..numbers_before {
        number(body, &mut at).unwrap();
    }
    let (before, mut items) = list_at(body, at);
    items.reverse();
    with_list(before, &items)
}

const WRONG_WORDS: &[WrongWords] = &[
    (
        "texts are spelled otherwise",
        |mut frame| {
            if frame.kind == DELIVER {
                let hello = b"Hello";
                let found = frame.body.windows(hello.len()).position(|bytes| bytes == hello);
                if let Some(at) = found {
                    frame.body[at] = b'J';
                }
            }
            Some(frame)
        },
        &[26, 27],
        28,
    ),
    (
        "online-only messages are swallowed",
        |frame| (frame.kind != DELIVER || flags(&frame.body) & 2 == 0).then_some(frame),
        &[79, 90],
        86,
    ),
    (
        "online-only messages are stored",
        |mut frame| {
            if frame.to_hub && frame.kind == SEND {
                frame.body[1] = 0;
            }
            Some(frame)
        },
        &[87, 88, 89, 91],
        90,
    ),
    (
        "priorities are levelled",
        |mut frame| {
            if frame.kind == SEND || frame.kind == DELIVER {
                let at = priority_at(&frame);
                frame.body[at] = 2;
            }
            Some(frame)
        },
        &[15, 17, 18, 61],
        16,
    ),
    (
        "revocations are kept from clients",
        |frame| (frame.kind != DELIVER || delivered_kind(&frame) != 34).then_some(frame),
        &[110, 115, 118, 119, 120],
        114,
    ),
    (
        // The first delivery of a connection: the others get the message before.
        "a device is not told of what it revokes itself",
        |frame| (frame.kind != DELIVER || frame.id != 1 || delivered_kind(&frame) != 34).then_some(frame),
        &[118],
        119,
    ),
    (
        "deliveries have another time than the sender was told",
        |mut frame| {
            if frame.kind == DELIVER {
                let mut at = message_at(&frame.body);
                number(&frame.body, &mut at).unwrap();
                let (start, time) = (at, number(&frame.body, &mut at).unwrap());
                let mut other = Vec::new();
                put(&mut other, time + 3600);
                frame.body.splice(start..at, other);
            }
            Some(frame)
        },
        &[79, 80, 118],
        114,
    ),
    (
        "tips are kept from clients",
        |frame| (frame.kind != DELIVER || delivered_kind(&frame) != 32).then_some(frame),
        &[9, 131, 163, 164, 165, 166, 167, 170],
        150,
    ),
    (
        "notices are kept from clients",
        |frame| (frame.kind != DELIVER || delivered_kind(&frame) != 33).then_some(frame),
        &[149, 150, 151, 152, 153, 154, 155, 156, 157, 158, 161],
        164,
    ),
    (
        "pages are upside down",
        |mut frame| {
            if frame.kind == 0x12 | RESPONSE {
                frame.body = reversed(&frame.body, 0);
            }
            Some(frame)
        },
        &[114, 171, 174, 175, 176],
        173,
    ),
    (
        "every page is said to be the last",
        |mut frame| {
            if frame.kind == 0x12 | RESPONSE {
                let mut at = 0;
                skip_bytes(&frame.body, &mut at);
                frame.body[at] = 1;
            }
            Some(frame)
        },
        &[174, 175, 178],
        176,
    ),
    (
        "the list is upside down",
        |mut frame| {
            if frame.kind == 0x14 | RESPONSE {
                frame.body = reversed(&frame.body, 1);
            }
            Some(frame)
        },
        &[188],
        187,
    ),
    (
        "only the first message is marked as read",
        |mut frame| {
            if frame.to_hub && frame.kind == 0x13 {
                frame.body.pop();
                frame.body.push(1);
            }
            Some(frame)
        },
        &[181, 183],
        185,
    ),
    (
        "other devices are not told of what was read",
        |frame| (frame.kind != 0x43).then_some(frame),
        &[183],
        181,
    ),
    (
        "nothing is deleted, only read",
        |mut frame| {
            // As if the request had been to mark it as read; both have the same response.
            if frame.to_hub && frame.kind == 0x16 {
                frame.kind = 0x13;
                frame.body.push(0);
            } else if !frame.to_hub && frame.kind == 0x13 | RESPONSE {
                frame.kind = 0x16 | RESPONSE;
            }
            Some(frame)
        },
        &[202],
        203,
    ),
    (
        "a repeated message is said to be new",
        |mut frame| {
            if frame.kind == SEND | RESPONSE {
                let mut at = 0;
                number(&frame.body, &mut at).unwrap();
                number(&frame.body, &mut at).unwrap();
                frame.body[at] = 0;
            }
            Some(frame)
        },
        &[125],
        124,
    ),
    (
        "every refusal is an internal error",
        |mut frame| {
            if frame.kind == 0x07 {
                let mut code = Vec::new();
                put(&mut code, 10_002);
                code.extend([0, 0]);
                frame.body = code;
            }
            Some(frame)
        },
        &[25, 42, 54, 91, 125, 177],
        24,
    ),
    (
        "every message is said to be taken",
        |mut frame| {
            // Requests of raw clients only: the SDK's ids tell nothing, but a refusal is rare otherwise.
            if frame.kind == 0x07 {
                (frame.kind, frame.body) = (SEND | RESPONSE, vec![1, 1, 0]);
            }
            Some(frame)
        },
        &[1, 8, 10, 21, 42, 54, 80, 91],
        26,
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn wrong_words_break_their_rows() {
    // At once: most of the time, somebody waits in vain.
    let mut running = JoinSet::new();
    for (name, mangle, fails, passes) in WRONG_WORDS {
        let hub = hub(|_| ());
        running.spawn(async move {
            let report = run(&behind(&hub, *mangle), &rows(fails, *passes)).await;
            check(name, &report, fails, *passes);
            hub.stop().await;
        });
    }
    while let Some(ended) = running.join_next().await {
        ended.unwrap();
    }
}

/// A proxy that changes nothing breaks nothing: what the others break is their doing.
#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_alone_breaks_nothing() {
    let hub = hub(|_| ());
    let report = run(&behind(&hub, Some), &Selection::all()).await;
    assert!(report.is_conforming(), "{}", failed(&report));
    hub.stop().await;
}

/// Refuses every connection.
struct Nowhere;

impl Connector for Nowhere {
    type Link = tokio::io::DuplexStream;

    fn connect(&mut self) -> impl Future<Output = io::Result<Self::Link>> + Send + 'static {
        std::future::ready(Err(io::ErrorKind::ConnectionRefused.into()))
    }
}

/// The rows that are about the SDK alone.
const NO_HUB_NEEDED: &[u16] = &[
    63, 75, 103, 133, 134, 135, 136, 137, 138, 139, 140, 141, 142, 143, 144, 145, 146, 147, 148, 159, 160,
    162, 168, 169, 209, 210, 212,
];

#[tokio::test(flavor = "multi_thread")]
async fn without_a_hub_every_row_about_one_fails() {
    tim_testkit::deadline();
    let own = hub(|_| ());
    let on_a_hub = run(&own.target(), &Selection::all()).await;
    own.stop().await;
    let all = Selection::all()
        .with_deadline(Duration::from_secs(2))
        .with_concurrency(NonZeroUsize::new(220).unwrap());
    let report = run(&target(Nowhere).with_factory(NowhereElse), &all).await;
    let passed: Vec<&str> = report
        .with_outcome(Outcome::Pass)
        .map(|row| row.row.as_str())
        .collect();
    let expected: Vec<String> = NO_HUB_NEEDED.iter().map(|number| format!("S{number}")).collect();
    assert_eq!(passed, expected);
    // What passes on a hub, and is about one, fails without.
    let about_a_hub = on_a_hub.count(Outcome::Pass) - NO_HUB_NEEDED.len();
    assert!(report.count(Outcome::Fail) >= about_a_hub, "{}", report.summary());
}

/// Starts hubs that are not there.
struct NowhereElse;

impl HubFactory for NowhereElse {
    fn start(&self, _: HubSettings) -> Boxed<'_, io::Result<Box<dyn StartedHub>>> {
        Box::pin(async { Ok(Box::new(NoHub) as Box<dyn StartedHub>) })
    }
}

struct NoHub;

impl StartedHub for NoHub {
    fn target(&self) -> tim_conformance::Target {
        target(Nowhere)
    }

    fn advance(&self, _: Duration) {}
}
