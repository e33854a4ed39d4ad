//! Open enumerations, placeholders, revoked texts, capabilities and limits.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use proptest::prelude::*;
use tim_proto::kind::{GroupType, MessageKind, Priority, Role, UnknownPriority};
use tim_proto::message::NoticeOperation;
use tim_proto::message::TipOperation;
use tim_proto::message::{Custom, File, Payload, Text};
use tim_proto::render::{Revoker, revoked_text};
use tim_proto::render::{UnknownWords, Words};
use tim_proto::render::{last_message_text, placeholder};
use tim_proto::vendor::capability::{
    Capabilities, FEATURES, MANUAL_VERSION, PROFILES, Platform, UnsupportedPlatform, Version,
    compatible_version,
};
use tim_proto::vendor::limits::{self, Limits};
use tim_proto::wire::{Extensions, decode_body, encode_body, encoded_len};
use tim_proto::{ConversationId, GroupId, IdError, ShownNameError, UnknownName, UserId, check_shown_name};
use tim_testkit::{Border, borders};

const SENDABLE: [MessageKind; 7] = [
    MessageKind::TEXT,
    MessageKind::IMAGE,
    MessageKind::AUDIO,
    MessageKind::VIDEO,
    MessageKind::FILE,
    MessageKind::CUSTOM,
    MessageKind::FACE,
];

fn survives_printing<T>(values: impl Iterator<Item = T>)
where
    T: Display + FromStr<Err = UnknownName> + PartialEq + Debug + Copy,
{
    for value in values {
        assert_eq!(value.to_string().parse::<T>(), Ok(value));
    }
}

#[test]
fn every_value_known_or_not_survives_printing_and_parsing() {
    survives_printing((0..=u16::MAX).map(MessageKind));
    survives_printing((0..=u8::MAX).map(Priority));
    survives_printing((0..=u8::MAX).map(GroupType));
    survives_printing((0..=u8::MAX).map(Role));
    survives_printing((0..=u8::MAX).map(Platform));
    survives_printing((0..=300).chain([u32::MAX]).map(NoticeOperation));
    survives_printing((0..=300).chain([u32::MAX]).map(TipOperation));
}

#[test]
fn a_name_that_nobody_has_is_a_typed_error() {
    let error = "high".parse::<Priority>().unwrap_err(); // case counts
    assert_eq!(
        error.to_string(),
        "no Priority has this name; expected High, Normal, Low, Lowest, or a number"
    );
    for text in ["", "+1", "-1", "01", "1 ", "256", "Höchste"] {
        assert!(text.parse::<Priority>().is_err(), "{text}");
    }
    assert_eq!("3".parse(), Ok(Priority::LOW));
    assert_eq!("Work".parse(), Ok(GroupType::PRIVATE));
    assert_eq!("Meeting".parse(), Ok(GroupType::CHAT_ROOM));
    assert_eq!("latin".parse::<Words>(), Err(UnknownWords));
    for &words in Words::ALL {
        assert_eq!(words.to_string().parse(), Ok(words));
    }
    assert_eq!(Words::default(), Words::SEED);
}

#[test]
fn exactly_seven_kinds_can_be_sent() {
    let sendable: Vec<_> = (0..=u16::MAX)
        .map(MessageKind)
        .filter(|kind| kind.is_sendable())
        .collect();
    assert_eq!(sendable, SENDABLE);
}

#[test]
fn priorities_are_ordered_and_unknown_ones_gain_nothing() {
    assert!(Priority::HIGH > Priority::NORMAL);
    assert!(Priority::NORMAL > Priority::LOW);
    assert!(Priority::LOW > Priority::LOWEST);
    assert_eq!(Priority::default(), Priority::NORMAL);
    for unknown in [0, 5, 255].map(Priority) {
        assert!(!unknown.is_known());
        assert_eq!(unknown.checked(), Err(UnknownPriority(unknown.0)));
        assert!(unknown < Priority::HIGH && unknown > Priority::LOW);
    }
    for known in Priority::KNOWN {
        assert_eq!(known.checked(), Ok(*known));
    }
}

#[test]
fn only_owners_and_admins_manage() {
    let managers: Vec<_> = (0..=u8::MAX).map(Role).filter(|role| role.is_manager()).collect();
    assert_eq!(managers, [Role::OWNER, Role::ADMIN]);
}

#[test]
fn placeholders_are_the_vendors() {
    let table = [
        (MessageKind::IMAGE, "[图片]", "[Image]"),
        (MessageKind::LOCATION, "[位置]", "[Location]"),
        (MessageKind::AUDIO, "[语音]", "[Voice]"),
        (MessageKind::VIDEO, "[视频]", "[Video]"),
        (MessageKind::FILE, "[文件]", "[File]"),
        (MessageKind::CUSTOM, "[自定义消息]", "[Custom Messages]"),
        (MessageKind::GROUP_TIP, "[群提示消息]", "[Group Notification]"),
        (
            MessageKind::GROUP_SYSTEM_NOTICE,
            "[群系统通知]",
            "[Group System Message]",
        ),
        (MessageKind::FACE, "[动画表情]", "[Animated Sticker]"),
        (MessageKind::MERGER, "[聊天记录]", "[Chat Record]"),
    ];
    for kind in (0..=u16::MAX).map(MessageKind) {
        let row = table.iter().find(|row| row.0 == kind);
        let (chinese, english) = row.map_or(("", ""), |row| (row.1, row.2));
        assert_eq!(placeholder(kind, Words::SEED), chinese);
        assert_eq!(placeholder(kind, Words::FULL_WIDTH), chinese);
        assert_eq!(placeholder(kind, Words::ENGLISH), english);
        let shown = if kind == MessageKind::TEXT {
            "hello"
        } else {
            chinese
        };
        assert_eq!(last_message_text(kind, "hello", Words::SEED), shown);
    }
}

#[test]
fn revoked_messages_say_who_revoked_them() {
    let table = [
        (
            Revoker::Peer,
            "对方撤回了一条消息",
            "The other side revoked a message",
        ),
        (Revoker::Me, "你撤回了一条消息", "You revoked a message"),
        (
            Revoker::Member("张三"),
            "张三撤回了一条消息",
            "张三 revoked a message",
        ),
    ];
    for (revoker, chinese, english) in table {
        assert_eq!(revoked_text(revoker, Words::SEED).to_string(), chinese);
        assert_eq!(revoked_text(revoker, Words::FULL_WIDTH).to_string(), chinese);
        assert_eq!(revoked_text(revoker, Words::ENGLISH).to_string(), english);
    }
}

#[test]
fn each_platform_can_create_what_its_profile_says() {
    for &platform in Platform::KNOWN {
        let profile = Capabilities::of(platform);
        assert_eq!(profile.platform(), platform);
        for kind in SENDABLE {
            let refused = match kind {
                MessageKind::AUDIO => platform == Platform::WEB,         // S39
                MessageKind::FILE => platform == Platform::MINI_PROGRAM, // S55
                _ => false,                                              // S64 among others
            };
            assert_eq!(profile.can_create(kind), !refused, "{kind} on {platform}");
            let error = UnsupportedPlatform { platform, kind };
            assert_eq!(profile.check(kind), if refused { Err(error) } else { Ok(()) });
        }
        assert_eq!(
            profile.receives_push(),
            [Platform::ANDROID, Platform::IOS].contains(&platform)
        ); // S103
        assert!(
            !profile
                .with(MessageKind::GROUP_TIP)
                .can_create(MessageKind::GROUP_TIP)
        );
        assert!(
            !profile
                .with(MessageKind::LOCATION)
                .can_create(MessageKind::LOCATION)
        );
    }
    assert_eq!(PROFILES.len(), Platform::KNOWN.len());
}

#[test]
fn an_unknown_platform_can_what_all_named_ones_can() {
    let unknown = Capabilities::of(Platform(99));
    for kind in SENDABLE {
        let everywhere = PROFILES.iter().all(|profile| profile.can_create(kind));
        assert_eq!(unknown.can_create(kind), everywhere, "{kind}");
    }
    assert!(!unknown.receives_push());
    let error = unknown.check(MessageKind::FILE).unwrap_err();
    assert_eq!(
        error.to_string(),
        "messages of kind TIMFileElem cannot be made on platform 99"
    );
}

#[test]
fn a_profile_can_be_narrowed_and_widened() {
    let deaf = Capabilities::of(Platform::DEVICE).without(MessageKind::AUDIO);
    assert!(!deaf.can_create(MessageKind::AUDIO));
    assert!(deaf.can_create(MessageKind::TEXT));
    assert_eq!(deaf.with(MessageKind::AUDIO), Capabilities::of(Platform::DEVICE));
    assert_eq!(deaf.without(MessageKind::GROUP_TIP), deaf);
}

#[test]
fn every_version_gate_of_the_manual_is_in_the_table() {
    let gates = [(2, 2, 0), (2, 3, 1), (2, 4, 0), (2, 4, 2), (2, 6, 0), (2, 6, 4)];
    let mut versions: Vec<Version> = FEATURES.iter().map(|feature| feature.since).collect();
    assert!(versions.is_sorted());
    versions.dedup();
    assert_eq!(
        versions,
        gates.map(|(major, minor, patch)| Version::new(major, minor, patch))
    );
    assert!(FEATURES.iter().all(|feature| MANUAL_VERSION.has(feature)));
    let old: Vec<_> = FEATURES
        .iter()
        .filter(|feature| Version::new(2, 3, 0).has(feature))
        .collect();
    assert_eq!(
        old.iter().map(|feature| feature.name).collect::<Vec<_>>(),
        ["createVideoMessage"]
    );
    assert_eq!(MANUAL_VERSION.to_string(), "2.6.4");
}

#[test]
fn only_features_that_exist_are_claimed() {
    let here = FEATURES
        .iter()
        .filter(|feature| feature.is_here)
        .map(|feature| feature.name);
    assert_eq!(
        here.collect::<Vec<_>>(),
        [
            "createVideoMessage",
            "createImageMessage from a File",
            "createFileMessage from a File",
            "createFaceMessage",
            "files of 100 MB",
            "revokeMessage",
            "MESSAGE_REVOKED",
            "priority",
            "createVideoMessage on the Web",
            "onlineUserOnly"
        ]
    );
    assert_eq!(
        compatible_version(),
        Some(Version::new(2, 6, 0)),
        "offlinePushInfo of 2.6.4 is missing"
    );
}

#[test]
fn limits_are_the_documented_ones_and_can_be_set() {
    assert_eq!(limits::MAX_MESSAGE_BYTES, 12 * 1024);
    assert_eq!(limits::MAX_FILE_BYTES, 100 * 1024 * 1024); // S54
    assert_eq!(limits::MAX_VIDEO_BYTES, 104_857_600);
    assert_eq!(
        (limits::MAX_IMAGE_BYTES, limits::MAX_SOUND_BYTES),
        (20_971_520, 20_971_520)
    );
    assert_eq!(limits::MAX_SOUND_MILLIS, 600_000); // S42
    assert_eq!(limits::MAX_CONVERSATIONS, 100); // S188
    assert_eq!(limits::REVOKE_WINDOW_SECONDS, 120); // S112
    assert_eq!(limits::MANAGER_REVOKE_WINDOW_SECONDS, 0, "as long as it is kept");
    assert_eq!(limits::RETENTION_SECONDS, 604_800); // S192
    let limits = Limits::new().with_file_bytes(7).with_group_messages_per_second(3);
    assert_eq!((limits.file_bytes(), limits.group_messages_per_second()), (7, 3));
    assert_eq!(
        limits
            .with_file_bytes(limits::MAX_FILE_BYTES)
            .with_group_messages_per_second(40),
        Limits::default()
    );
}

#[test]
fn each_kind_is_refused_one_above_its_limit_and_not_at_it() {
    let limits = Limits::new();
    for Border { most, payload, code } in borders() {
        let check = |much| {
            let payload = payload(much);
            let checked = limits.check_message(&payload, encoded_len(&payload), Extensions::NONE);
            checked.map_err(|over| (over.code, over.is - over.most))
        };
        assert_eq!((check(most - 1), check(most)), (Ok(()), Ok(())), "{code}");
        assert_eq!(check(most + 1), Err((code, 1)), "{code}");
    }
}

#[test]
fn extensions_of_the_sender_count_as_part_of_a_message() {
    let limits = Limits::new().with_message_bytes(10);
    let text = Payload::Text(Text::new("12345"));
    let extensions = Extensions::new(&[1, 2, 0, 0]).unwrap();
    assert_eq!(
        limits.check_message(&text, encoded_len(&text), extensions),
        Ok(())
    );
    let limits = limits.with_message_bytes(9);
    let over = limits
        .check_message(&text, encoded_len(&text), extensions)
        .unwrap_err();
    assert_eq!(
        over.to_string(),
        "bytes of the message: 10, at most 9 can be sent"
    );
}

#[test]
fn empty_custom_messages_and_files_have_nothing_to_send() {
    let custom = |data, description, extension| {
        Payload::Custom(
            Custom::new()
                .with_data(data)
                .with_description(description)
                .with_extension(extension),
        )
    };
    let with_content = [custom("d", "", ""), custom("", "d", ""), custom("", "", "e")];
    assert!(with_content.iter().all(Payload::has_content));
    assert!(!custom("", "", "").has_content());
    let file = |size| Payload::File(File::new().with_size(size));
    assert!(!file(0).has_content() && file(1).has_content());
    assert!(
        Payload::Text(Text::new("")).has_content(),
        "an empty text is a text (S27)"
    );
}

#[test]
fn a_page_is_15_messages_unless_fewer_are_asked_for() {
    let limits = Limits::new();
    let asked = [
        (None, Some(15)),
        (Some(15), Some(15)),
        (Some(16), Some(15)),
        (Some(1), Some(1)),
        (Some(0), None),
    ];
    for (count, page) in asked {
        assert_eq!(limits.page_len(count), page, "{count:?}"); // S173
    }
    assert_eq!(limits.with_page_messages(50).page_len(Some(40)), Some(40));
}

proptest! {
    #[test]
    fn no_string_makes_parsing_panic(text in any::<String>()) {
        for known in [text.parse::<MessageKind>().is_ok(), text.parse::<Priority>().is_ok()] {
            prop_assert!(!known || text.is_ascii());
        }
    }

    #[test]
    fn a_member_is_shown_under_any_name(name in any::<String>()) {
        let text = revoked_text(Revoker::Member(&name), Words::SEED).to_string();
        prop_assert_eq!(text, format!("{name}撤回了一条消息"));
    }

    #[test]
    fn priorities_have_a_total_order(a in any::<u8>(), b in any::<u8>(), c in any::<u8>()) {
        let (a, b, c) = (Priority(a), Priority(b), Priority(c));
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        prop_assert_eq!(a.cmp(&b).is_eq(), a == b);
        prop_assert!(!(a <= b && b <= c) || a <= c);
    }
}

#[test]
fn no_new_id_begins_or_ends_with_a_space_and_old_ones_are_read() {
    const LITERAL: Result<UserId, IdError> = UserId::new(" alice");
    assert_eq!(LITERAL, Err(IdError::OuterSpace));
    for text in [" alice", "alice ", " ", "   "] {
        assert_eq!(UserId::new(text), Err(IdError::OuterSpace), "{text:?}");
        assert_eq!(GroupId::new(text), Err(IdError::OuterSpace), "{text:?}");
        for prefix in ["C2C", "GROUP"] {
            let conversation = format!("{prefix}{text}").parse::<ConversationId>();
            assert_eq!(conversation, Err(IdError::OuterSpace), "{prefix}{text:?}");
        }
        let old = UserId::from_record(text).unwrap();
        assert!(!old.is_well_formed());
        let mut bytes = [0; 8];
        let len = encode_body(&old, &mut bytes).unwrap();
        assert_eq!(decode_body::<UserId>(&bytes[..len]), Ok(old));
    }
    assert!(UserId::new("a b").unwrap().is_well_formed());
}

#[test]
fn a_shown_name_steers_no_terminal_and_is_not_the_systems() {
    for good in [
        "",
        "Big Al",
        "阿丽 😁",
        "a\u{200d}b",
        "TIM#SYSTEM",
        "שלום\u{200f}",
    ] {
        assert_eq!(check_shown_name(good), Ok(()), "{good:?}");
    }
    for bad in [
        "a\r",
        "\n",
        "\u{1b}[2J",
        "\u{9b}",
        "\u{7f}",
        "\u{202e}x",
        "\u{2066}",
        "\u{2029}",
    ] {
        assert_eq!(check_shown_name(bad), Err(ShownNameError::Steers), "{bad:?}");
    }
    for bad in [
        "@TIM#SYSTEM",
        " @tim#system\u{3000}",
        "@TIM#SYSTEM\u{200b}",
        "\u{feff}@TIM\u{200d}#SYS TEM\u{3164}",
    ] {
        assert_eq!(check_shown_name(bad), Err(ShownNameError::System), "{bad:?}");
    }
}
