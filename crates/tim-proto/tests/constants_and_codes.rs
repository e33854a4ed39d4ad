//! The SDK's constants and error codes against the golden tables.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tim_proto::kind::{
    AtKind, GroupType, InviteOption, JoinOption, JoinStatus, MessageKind, Priority, ReceiveOption, Role,
};
use tim_proto::message::TipOperation;
use tim_proto::vendor::code::ErrorCode;
use tim_proto::vendor::constants::{event, types};
use tim_proto::{ConversationType, UserId};

/// Beginnings of the names in `TIM.TYPES` that this project deliberately does without, and why.
const ABSENT_TYPES: &[(&str, &str)] = &[
    ("ALLOW_TYPE_", "friends"),
    ("FORBID_TYPE_", "friends"),
    ("SNS_", "friends"),
    ("GENDER_", "profiles"),
    ("USER_STATUS_", "presence"),
    ("CONV_TOPIC", "topics"),
    ("CONV_MARK_TYPE_", "marks of conversations"),
    (
        "RECEIVE_WITH_OFFLINE_PUSH_EXCEPT_AT",
        "how to be told of messages",
    ),
    ("NOT_RECEIVE_", "how to be told of messages"),
    ("READ_ALL_", "marking everything read at once"),
    ("IOS_OFFLINE_PUSH_", "sounds of notifications"),
    ("GRP_PROFILE_", "administration of groups"),
    ("GRP_MBR_ROLE_CUSTOM", "administration of groups"),
    ("GRP_ROOM", "later types of group"),
    ("GRP_LIVE", "later types of group"),
];

/// Names in `TIM.EVENT` that this project deliberately does without.
const ABSENT_EVENTS: &[&str] = &[
    "SDK_DESTROY",
    "SDK_RELOAD",
    "MESSAGE_MODIFIED",
    "MESSAGE_READ_BY_PEER",
    "MESSAGE_READ_RECEIPT_RECEIVED",
    "GROUP_SYSTEM_NOTICE_RECEIVED",
    "BLACKLIST_UPDATED",
    "ERROR",
    "MESSAGE_EXTENSIONS_UPDATED",
    "MESSAGE_EXTENSIONS_DELETED",
    "MESSAGE_REACTIONS_UPDATED",
    "CONVERSATION_GROUP_LIST_UPDATED",
    "CONVERSATION_IN_GROUP_UPDATED",
    "GROUP_ATTRIBUTES_UPDATED",
    "GROUP_COUNTER_UPDATED",
    "TOPIC_CREATED",
    "TOPIC_DELETED",
    "TOPIC_UPDATED",
    "USER_STATUS_UPDATED",
    "FRIEND_LIST_UPDATED",
    "FRIEND_GROUP_LIST_UPDATED",
    "FRIEND_APPLICATION_LIST_UPDATED",
    "MY_FOLLOWERS_LIST_UPDATED",
    "MY_FOLLOWING_LIST_UPDATED",
    "MUTUAL_FOLLOWERS_LIST_UPDATED",
    "ROOM_CUSTOM_DATA_RECEIVED",
    "ALL_RECEIVE_MESSAGE_OPT_UPDATED",
    "SERVER_CONFIG_UPDATED",
    "PINNED_GROUP_MESSAGE_UPDATED",
];

/// One table (`TYPES` or `EVENT`) of all golden SDK versions; they must not contradict each other.
fn golden_table(which: &str) -> BTreeMap<String, Value> {
    let golden: Value = serde_json::from_str(include_str!("golden/constants.json")).unwrap();
    let mut all = BTreeMap::new();
    for sdk in golden.as_object().unwrap().values() {
        for (name, value) in sdk[which].as_object().unwrap() {
            let before = all.insert(name.clone(), value.clone());
            assert!(before.is_none_or(|before| before == *value), "{name}");
        }
    }
    all
}

#[test]
fn types_are_the_sdks_or_deliberately_absent() {
    let golden = golden_table("TYPES");
    let strings = types::ALL.iter().map(|&(name, value)| (name, Value::from(value)));
    let numbers = types::ALL_NUMBERS
        .iter()
        .map(|&(name, value)| (name, Value::from(value)));
    let ours: BTreeMap<&str, Value> = strings.chain(numbers).collect();
    for (name, value) in &ours {
        assert_eq!(golden.get(*name), Some(value), "{name}");
    }
    for name in golden.keys() {
        let absent = ABSENT_TYPES
            .iter()
            .any(|(beginning, _)| name.starts_with(beginning));
        assert_ne!(absent, ours.contains_key(name.as_str()), "{name}");
    }
    for (beginning, why) in ABSENT_TYPES {
        assert!(
            golden.keys().any(|name| name.starts_with(beginning)),
            "{beginning} ({why}) is no name of the SDK"
        );
    }
}

#[test]
fn events_are_the_sdks_or_deliberately_absent() {
    let golden = golden_table("EVENT");
    let names = |table: &[(&'static str, &str)]| table.iter().map(|entry| entry.0).collect::<BTreeSet<_>>();
    for (name, value) in event::ALL {
        assert_eq!(golden.get(*name), Some(&Value::from(*value)), "{name}");
    }
    let absent: BTreeSet<&str> = ABSENT_EVENTS.iter().copied().collect();
    let covered: BTreeSet<&str> = names(event::ALL).union(&absent).copied().collect();
    assert_eq!(covered, golden.keys().map(String::as_str).collect());
    assert!(names(event::ALL).is_disjoint(&absent));
    // S212
    assert_eq!(event::SDK_READY, "sdkStateReady");
    assert_eq!(event::SDK_NOT_READY, "sdkStateNotReady");
    assert_eq!(event::MESSAGE_RECEIVED, "onMessageReceived");
    assert_eq!(event::MESSAGE_REVOKED, "onMessageRevoked");
}

#[test]
fn open_enumerations_have_the_sdks_names() {
    let kinds = [
        (MessageKind::TEXT, types::MSG_TEXT),
        (MessageKind::IMAGE, types::MSG_IMAGE),
        (MessageKind::AUDIO, types::MSG_AUDIO),
        (MessageKind::VIDEO, types::MSG_VIDEO),
        (MessageKind::FILE, types::MSG_FILE),
        (MessageKind::CUSTOM, types::MSG_CUSTOM),
        (MessageKind::FACE, types::MSG_FACE),
        (MessageKind::LOCATION, types::MSG_LOCATION),
        (MessageKind::MERGER, types::MSG_MERGER),
        (MessageKind::GROUP_TIP, types::MSG_GRP_TIP),
        (MessageKind::GROUP_SYSTEM_NOTICE, types::MSG_GRP_SYS_NOTICE),
    ];
    for (kind, name) in kinds {
        assert_eq!(kind.sdk_name(), Some(name));
        assert_eq!(MessageKind::from_sdk_name(name), Some(kind));
    }
    assert_eq!(MessageKind::REVOCATION.sdk_name(), None);
    assert_eq!(MessageKind::from_sdk_name("Revocation"), None);
    let names = [
        (Priority::HIGH.name(), types::MSG_PRIORITY_HIGH),
        (Priority::NORMAL.name(), types::MSG_PRIORITY_NORMAL),
        (Priority::LOW.name(), types::MSG_PRIORITY_LOW),
        (Priority::LOWEST.name(), types::MSG_PRIORITY_LOWEST),
        (GroupType::WORK.name(), types::GRP_WORK),
        (GroupType::PRIVATE.name(), types::GRP_PRIVATE),
        (GroupType::PUBLIC.name(), types::GRP_PUBLIC),
        (GroupType::MEETING.name(), types::GRP_MEETING),
        (GroupType::CHAT_ROOM.name(), types::GRP_CHATROOM),
        (GroupType::AV_CHAT_ROOM.name(), types::GRP_AVCHATROOM),
        (GroupType::COMMUNITY.name(), types::GRP_COMMUNITY),
        (Role::OWNER.name(), types::GRP_MBR_ROLE_OWNER),
        (Role::ADMIN.name(), types::GRP_MBR_ROLE_ADMIN),
        (Role::MEMBER.name(), types::GRP_MBR_ROLE_MEMBER),
        (JoinOption::FREE_ACCESS.name(), types::JOIN_OPTIONS_FREE_ACCESS),
        (
            JoinOption::NEED_PERMISSION.name(),
            types::JOIN_OPTIONS_NEED_PERMISSION,
        ),
        (
            JoinOption::DISABLE_APPLY.name(),
            types::JOIN_OPTIONS_DISABLE_APPLY,
        ),
        (
            InviteOption::FREE_ACCESS.name(),
            types::INVITE_OPTIONS_FREE_ACCESS,
        ),
        (
            InviteOption::NEED_PERMISSION.name(),
            types::INVITE_OPTIONS_NEED_PERMISSION,
        ),
        (
            InviteOption::DISABLE_INVITE.name(),
            types::INVITE_OPTIONS_DISABLE_INVITE,
        ),
        (JoinStatus::JOINED.name(), types::JOIN_STATUS_SUCCESS),
        (
            JoinStatus::ALREADY_IN_GROUP.name(),
            types::JOIN_STATUS_ALREADY_IN_GROUP,
        ),
        (JoinStatus::WAIT_APPROVAL.name(), types::JOIN_STATUS_WAIT_APPROVAL),
        (
            ReceiveOption::ACCEPT_AND_NOTIFY.name(),
            types::MSG_REMIND_ACPT_AND_NOTE,
        ),
        (
            ReceiveOption::ACCEPT_NOT_NOTIFY.name(),
            types::MSG_REMIND_ACPT_NOT_NOTE,
        ),
        (ReceiveOption::DISCARD.name(), types::MSG_REMIND_DISCARD),
    ];
    for (name, constant) in names {
        assert_eq!(name, Some(constant));
    }
    for &(name, number) in types::ALL_NUMBERS {
        let ours = match u8::try_from(number).map(AtKind) {
            Ok(kind) if name.starts_with("CONV_AT_") => kind.name(),
            _ => TipOperation(number).name(),
        };
        assert_eq!(ours, Some(name));
    }
    let numbers = TipOperation::KNOWN.len() + AtKind::KNOWN.len();
    assert_eq!(numbers, types::ALL_NUMBERS.len());
    assert_eq!(tim_proto::MENTION_ALL, types::MSG_AT_ALL);
    assert_eq!(ConversationType::C2c.as_str(), types::CONV_C2C);
    assert_eq!(ConversationType::Group.as_str(), types::CONV_GROUP);
    assert_eq!(ConversationType::System.as_str(), types::CONV_SYSTEM);
    assert_eq!(UserId::SYSTEM.as_str(), types::CONV_SYSTEM);
}

/// All names of each golden code, the preferred one first: web 2, native, web 3.
fn golden_codes() -> BTreeMap<u32, Vec<String>> {
    let golden: Value = serde_json::from_str(include_str!("golden/error_codes.json")).unwrap();
    let mut codes: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for source in ["web2", "native", "web3"] {
        for (code, names) in golden[source].as_object().unwrap() {
            let names = names
                .as_array()
                .unwrap()
                .iter()
                .map(|name| name.as_str().unwrap().to_owned());
            codes.entry(code.parse().unwrap()).or_default().extend(names);
        }
    }
    codes
}

#[test]
fn every_golden_code_has_its_name_and_nothing_else_has_one() {
    let golden = golden_codes();
    assert_eq!(golden.len(), 445);
    let constants: BTreeMap<u32, &str> = ErrorCode::NAMED
        .iter()
        .map(|(code, name)| (code.0, *name))
        .collect();
    for code in 0..=210_000 {
        let name = ErrorCode(code).name();
        match golden.get(&code) {
            Some(names) => assert_eq!(name, Some(names[0].as_str())),
            None => assert_eq!(name, constants.get(&code).copied()),
        }
    }
    assert_eq!(ErrorCode(u32::MAX).name(), None);
}

#[test]
fn constants_are_named_as_their_codes_are() {
    /// Codes that TIM documents without publishing a name.
    const UNNAMED: &[ErrorCode] = &[ErrorCode::MSG_MODIFY_CONFLICT, ErrorCode::MSG_INVALID_MSGKEY];
    let golden = golden_codes();
    for &(code, name) in ErrorCode::NAMED {
        match golden.get(&code.0) {
            Some(names) => {
                let prefixes = ["", "ERR_", "ERR_SVR_", "ERR_SDK_"];
                let fits = names
                    .iter()
                    .any(|golden| prefixes.iter().any(|p| *golden == format!("{p}{name}")));
                assert!(fits || code == ErrorCode::SUCC, "{code} is {names:?}, not {name}");
                assert!(!code.is_own(), "{code} collides with {names:?}");
            }
            None => assert_ne!(code.is_own(), UNNAMED.contains(&code), "{code} {name}"),
        }
    }
    assert!(golden.keys().all(|&code| !ErrorCode(code).is_own()));
}

#[test]
fn where_the_sources_disagree_the_native_meaning_counts() {
    assert_eq!(ErrorCode::ACCOUNT_NOT_FOUND, ErrorCode(70107));
    assert_eq!(ErrorCode::ACCOUNT_SEC_RSTR, ErrorCode(70114));
    assert_eq!(ErrorCode::ACCOUNT_INTERNAL_TIMEOUT, ErrorCode(70169));
}

#[test]
fn tables_are_sorted_and_every_code_has_a_text() {
    assert!(ErrorCode::NAMED.windows(2).all(|pair| pair[0].0 < pair[1].0));
    let mut texts = BTreeSet::new();
    for &(code, name) in ErrorCode::NAMED {
        let text = code.text();
        texts.insert(text);
        assert!(text.ends_with('.') && !text.contains("  "), "{name}: {text}");
        assert_eq!(code.explain().to_string().matches(text).count(), 1, "{name}");
    }
    assert!(
        texts.len() > 140,
        "constants have texts of their own: {}",
        texts.len()
    );
    for code in (0..=210_000).chain([u32::MAX]).map(ErrorCode) {
        assert!(!code.text().is_empty());
        assert_eq!(code.to_string().parse(), Ok(code));
    }
    assert!(ErrorCode::SUCC.is_success() && ErrorCode::default().is_success());
    assert!(!ErrorCode::MESSAGE_SEND_FAIL.is_success());
    assert_eq!(ErrorCode(10_150).text(), ErrorCode(120_001).text());
    assert_ne!(ErrorCode(10_099).text(), ErrorCode(10_100).text());
    assert_eq!(format!("{:?}", ErrorCode(2100)), "ErrorCode(2100)");
}

/// Texts that tell to wait or to try again, and codes that do so of themselves.
#[test]
fn codes_are_transient_where_repeating_the_same_request_can_cure_them() {
    const TRANSIENT: &[u32] = &[
        2041, 2100, 2110, 2111, 2112, 2300, 2350, 2400, 2452, 2660, 2800, 2801, 2805, 2996, 10002, 10006,
        10023, 20004, 20005, 20018, 60007, 60008, 60022, 70050, 70169, 200_005, 200_006, 200_007, 200_008,
        200_011, 200_012, 200_013, 200_028, 200_035, 200_036,
    ];
    let transient = |code: &ErrorCode| code.is_transient();
    let named: Vec<u32> = ErrorCode::NAMED
        .iter()
        .map(|(code, _)| *code)
        .filter(transient)
        .map(u32::from)
        .collect();
    assert_eq!(named, TRANSIENT);
    // What an application reads agrees with it.
    for (code, name) in ErrorCode::NAMED {
        let text = code.text();
        let says_so = ["try again", "wait a moment", "in a moment", "resend"]
            .iter()
            .any(|words| text.to_lowercase().contains(words));
        let told_otherwise = [
            ErrorCode::NO_NETWORK,
            ErrorCode::STORAGE_FULL,
            ErrorCode::OUTBOX_FULL,
            ErrorCode::TOO_MANY_REQUESTS_PENDING,
        ];
        assert_eq!(
            says_so,
            code.is_transient() && !told_otherwise.contains(code),
            "{code} {name}: {text}"
        );
    }
    // A number that nobody knows may mean anything.
    assert!(!ErrorCode(123_456_789).is_transient() && !ErrorCode::SUCC.is_transient());
    const _: () =
        assert!(ErrorCode::RATE_LIMITED.is_transient() && !ErrorCode::SESSION_REPLACED.is_transient());
}
