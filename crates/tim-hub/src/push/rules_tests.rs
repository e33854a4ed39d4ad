//! The push matrix: online or offline, disabled, online-only, each kind, the rules of descriptions, each platform.

use tim_proto::message::{Audio, Custom, Face, File, Image, ImageFormat, OfflinePush, Text, Video, to_vec};
use tim_proto::request::PushPlatform;
use tim_proto::wire::List;
use tim_proto::{MessageKind, Payload, Words};

use super::rules::{Candidate, Why, decide, default_text};

fn candidate<'a>(payload: Payload<'a>, options: Option<OfflinePush<'a>>) -> Candidate<'a> {
    Candidate {
        kind: payload.kind(),
        payload,
        options,
        title: "Alice",
        is_own: false,
        is_blocked: false,
        is_read: false,
        is_revoked: false,
        is_imported: false,
        is_online_only: false,
        is_too_old: false,
        is_online: false,
        notifies: true,
    }
}

fn custom(description: &'static str) -> Payload<'static> {
    Payload::Custom(
        Custom::new()
            .with_data("data")
            .with_description(description)
            .with_extension("own ext"),
    )
}

/// What users can send, and what is shown of it in English and Chinese. `None`: nobody is notified of it.
fn kinds() -> Vec<(Payload<'static>, Option<[&'static str; 2]>)> {
    let unknown = |kind| Payload::Unknown(kind, b"");
    vec![
        (Payload::Text(Text::new("hello")), Some(["hello", "hello"])),
        (Payload::Text(Text::new("")), None),
        (
            Payload::Image(Image::new(ImageFormat::PNG, List::EMPTY)),
            Some(["[Image]", "[图片]"]),
        ),
        (Payload::Audio(Audio::default()), Some(["[Voice]", "[语音]"])),
        (Payload::Video(Video::default()), Some(["[Video]", "[视频]"])),
        (Payload::File(File::default()), Some(["[File]", "[文件]"])),
        (
            Payload::Face(Face::default()),
            Some(["[Animated Sticker]", "[动画表情]"]),
        ),
        (unknown(MessageKind::LOCATION), Some(["[Location]", "[位置]"])),
        (
            unknown(MessageKind::MERGER),
            Some(["[Chat Record]", "[聊天记录]"]),
        ),
        (custom("an order"), Some(["an order", "an order"])),
        (custom(""), None),
        (unknown(MessageKind::CUSTOM), None),
        (
            unknown(MessageKind(4711)),
            Some(["[Custom Messages]", "[自定义消息]"]),
        ),
    ]
}

#[test]
fn default_texts_by_kind() {
    for (payload, expected) in kinds() {
        for (words, at) in [(Words::ENGLISH, 0), (Words::SEED, 1)] {
            let text = default_text(payload.kind(), &payload, words);
            assert_eq!(text.as_deref(), expected.map(|texts| texts[at]), "{payload:?}");
        }
    }
    let long = "好".repeat(1000);
    let shown = default_text(
        MessageKind::TEXT,
        &Payload::Text(Text::new(&long)),
        Words::ENGLISH,
    )
    .unwrap();
    assert!(shown.len() <= 1024 && shown.starts_with("好好") && shown.ends_with("好…"));
}

#[test]
fn the_push_matrix() {
    let descriptions = [None, Some(""), Some("Something new")];
    let switches = || [false, true].into_iter();
    let mut cells = 0;
    for (payload, default) in kinds() {
        for description in descriptions {
            for (has_options, disabled) in [(false, false), (true, false), (true, true)] {
                for (is_online, is_online_only) in switches().flat_map(|a| switches().map(move |b| (a, b))) {
                    let mut options = OfflinePush::new().with_disable_push(disabled);
                    options.description = description;
                    let options = Some(options).filter(|_| has_options);
                    let found = decide(
                        &Candidate {
                            is_online,
                            is_online_only,
                            ..candidate(payload, options)
                        },
                        Words::ENGLISH,
                    );
                    let chosen = description.filter(|text| has_options && !text.is_empty());
                    let expected = if is_online_only {
                        Err(Why::NotMeant)
                    } else if is_online {
                        Err(Why::Online)
                    } else if disabled {
                        Err(Why::SwitchedOff)
                    } else {
                        let default = default.map(|texts| texts[0]);
                        chosen.or(default).ok_or(Why::NoText)
                    };
                    let text = found
                        .as_ref()
                        .map(|alert| alert.text.as_str())
                        .map_err(|why| *why);
                    assert_eq!(
                        text, expected,
                        "{payload:?} {options:?} {is_online} {is_online_only}"
                    );
                    cells += 1;
                }
            }
        }
    }
    assert_eq!(cells, kinds().len() * 3 * 3 * 4);
}

#[test]
fn who_is_not_notified() {
    type Change = fn(&mut Candidate<'_>);
    let cases: [(Change, Why); 9] = [
        (|it| it.is_own = true, Why::NotMeant),
        (|it| it.is_imported = true, Why::NotMeant),
        (|it| it.kind = MessageKind::GROUP_TIP, Why::NotMeant),
        (|it| it.kind = MessageKind::REVOCATION, Why::NotMeant),
        (|it| it.is_blocked = true, Why::Blocked),
        (|it| it.is_revoked = true, Why::Revoked),
        (|it| it.is_read = true, Why::Read),
        (|it| it.is_too_old = true, Why::TooOld),
        (|it| it.notifies = false, Why::SwitchedOff),
    ];
    for (change, why) in cases {
        let mut candidate = candidate(Payload::Text(Text::new("hi")), None);
        change(&mut candidate);
        assert_eq!(decide(&candidate, Words::ENGLISH), Err(why));
    }
}

/// Title, data for the application, and what differs by platform.
#[test]
fn each_field_on_each_platform() {
    let text = Payload::Text(Text::new("hi"));
    let plain = decide(&candidate(text, None), Words::ENGLISH).unwrap();
    assert_eq!((plain.title.as_str(), plain.extension.as_str()), ("Alice", ""));
    let options = OfflinePush::new()
        .with_title("News")
        .with_extension("{\"a\":\"\\u0000 é\"}")
        .with_ignore_ios_badge(true)
        .with_android_oppo_channel_id("channel");
    let alert = decide(&candidate(text, Some(options)), Words::ENGLISH).unwrap();
    assert_eq!(alert.title, "News");
    assert_eq!(alert.extension, "{\"a\":\"\\u0000 é\"}");
    for &platform in PushPlatform::KNOWN {
        assert_eq!(plain.badge(platform, 7), Some(7), "{platform}");
        assert_eq!(plain.channel(platform), None, "{platform}");
        let is_ios = platform == PushPlatform::IOS;
        assert_eq!(alert.badge(platform, 7), (!is_ios).then_some(7), "{platform}");
        let channel = (platform == PushPlatform::OPPO).then_some("channel");
        assert_eq!(alert.channel(platform), channel, "{platform}");
    }
    // A custom message says itself what the application gets, unless the sender says something of notifications.
    let own = decide(&candidate(custom("x"), None), Words::ENGLISH).unwrap();
    assert_eq!(own.extension, "own ext");
    let other = decide(&candidate(custom("x"), Some(OfflinePush::new())), Words::ENGLISH).unwrap();
    assert_eq!(other.extension, "");
}

/// The title, the text and the channel of the manual's example.
#[test]
fn the_six_fields_are_those_that_travel() {
    let fields = to_vec(&OfflinePush::new());
    assert_eq!(fields.len(), 6, "a byte for each");
}
