//! Notices and tips against the golden data, both spellings of every case (S146 to S170), and against plain references
//! on arbitrary input.

use std::fmt::{self, Write as _};

use proptest::prelude::*;
use serde_json::Value;
use tim_proto::UserId;
use tim_proto::message::TipOperation;
use tim_proto::message::{NoticeOperation, SystemNotice};
use tim_proto::render::Words;
use tim_proto::render::tip_text;
use tim_proto::render::{Revoker, revoked_text};

/// What the reading of a JSON payload misses; where the original throws, a reader must say this.
#[derive(Debug, PartialEq)]
struct Missing(&'static str);

/// A number that is missing or none of an operation's is no operation.
fn operation(payload: &Value) -> u32 {
    payload["operationType"]
        .as_u64()
        .and_then(|number| u32::try_from(number).ok())
        .unwrap_or(0)
}

/// Missing and `null` both read as empty (S161).
fn text_or_empty(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

fn read_notice(payload: &Value) -> Result<SystemNotice<'_>, Missing> {
    let fields = payload.as_object().ok_or(Missing("payload"))?;
    let profile = fields.get("groupProfile").filter(|profile| profile.is_object());
    let profile = profile.ok_or(Missing("groupProfile"))?;
    Ok(SystemNotice::new(NoticeOperation(operation(payload)))
        .with_operator_id(text_or_empty(&payload["operatorID"]))
        .with_group_id(text_or_empty(&profile["groupID"]))
        .with_group_name(text_or_empty(&profile["groupName"])))
}

struct Tip<'a> {
    operation: TipOperation,
    operator_id: &'a str,
    users: Vec<String>,
}

fn read_tip(payload: &Value) -> Result<Tip<'_>, Missing> {
    let operation = TipOperation(operation(payload));
    let shows_users = (TipOperation::JOIN..=TipOperation::CANCELED_ADMIN).contains(&operation);
    let users = match payload["userIDList"].as_array() {
        Some(list) => list
            .iter()
            .map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned))
            .collect(),
        None if shows_users => return Err(Missing("userIDList")),
        None => Vec::new(),
    };
    Ok(Tip {
        operation,
        operator_id: text_or_empty(&payload["operatorID"]),
        users,
    })
}

/// Where the golden output has a JavaScript accident (`undefined`, `null`) for an absent field, which is empty here.
const ACCIDENTS: &[(&str, &str)] = &[
    ("op 1 no groupName and no groupID", "undefined"),
    ("op 3 no groupName and no groupID", "undefined"),
    ("op 5 no groupName and no groupID", "undefined"),
    ("op 7 no groupName and no groupID", "undefined"),
    ("op 9 no groupName and no groupID", "undefined"),
    ("op 4 no operatorID", "undefined"),
    ("op 4 null operatorID", "null"),
    ("op 6 no operatorID", "undefined"),
    ("op 6 null operatorID", "null"),
    ("op 10 no operatorID", "undefined"),
    ("op 10 null operatorID", "null"),
    ("op 3 operator missing", "undefined"),
];

enum Expected {
    Text(String),
    NoText,
    Error,
}

/// What the golden data expect of a case in one spelling.
fn expected(case: &str, outcome: &Value) -> Expected {
    if outcome["returns_undefined"] == true {
        return Expected::NoText;
    }
    if outcome["throws"].is_string() {
        return Expected::Error;
    }
    let output = outcome["output"].as_str().expect("an output");
    match ACCIDENTS.iter().find(|(name, _)| *name == case) {
        None => Expected::Text(output.to_owned()),
        Some((_, accident)) => {
            assert_eq!(output.matches(accident).count(), 1, "{case}");
            Expected::Text(output.replace(accident, ""))
        }
    }
}

/// Each case with its name, payload, and what it shall give in the two Chinese profiles.
fn cases(golden: &Value) -> impl Iterator<Item = (&str, &Value, [(Words, Expected); 2])> {
    golden["cases"].as_array().expect("cases").iter().map(|case| {
        let name = case["name"].as_str().expect("a name");
        let seed = (Words::SEED, expected(name, case));
        let full_width = (Words::FULL_WIDTH, expected(name, &case["official"]));
        (name, &case["payload"], [seed, full_width])
    })
}

#[test]
fn notices_are_as_golden_in_both_spellings() {
    let golden: Value = serde_json::from_str(include_str!("golden/system_notice.json")).unwrap();
    let (mut texts, mut without, mut errors) = (0, 0, 0);
    for (name, payload, spellings) in cases(&golden) {
        let notice = read_notice(payload);
        for (words, expected) in spellings {
            let text = notice
                .as_ref()
                .map(|notice| notice.text(words).map(|text| text.to_string()));
            match expected {
                Expected::Text(wanted) => {
                    texts += 1;
                    assert_eq!(text, Ok(Some(wanted)), "{name} in {words}");
                }
                Expected::NoText => {
                    without += 1;
                    assert_eq!(text, Ok(None), "{name} in {words}");
                }
                Expected::Error => {
                    errors += 1;
                    let field = if payload.is_null() {
                        "payload"
                    } else {
                        "groupProfile"
                    };
                    assert_eq!(text, Err(&Missing(field)), "{name} in {words}");
                }
            }
        }
        let english = notice.map(|notice| notice.text(Words::ENGLISH).is_some());
        let seed = read_notice(payload).map(|notice| notice.text(Words::SEED).is_some());
        assert_eq!(english, seed, "{name} in English");
    }
    assert_eq!((texts, without, errors), (90, 32, 4));
}

#[test]
fn tips_are_as_golden_in_both_spellings() {
    let golden: Value = serde_json::from_str(include_str!("golden/group_tip.json")).unwrap();
    let (mut texts, mut errors) = (0, 0);
    for (name, payload, spellings) in cases(&golden) {
        let tip = read_tip(payload);
        for (words, expected) in spellings {
            let text = tip
                .as_ref()
                .map(|tip| tip_text(tip.operation, tip.operator_id, &tip.users, words).to_string());
            match expected {
                Expected::Text(wanted) => {
                    texts += 1;
                    assert_eq!(text, Ok(wanted), "{name} in {words}");
                }
                Expected::NoText => panic!("a tip always has a text: {name}"),
                Expected::Error => {
                    errors += 1;
                    assert_eq!(text, Err(&Missing("userIDList")), "{name} in {words}");
                }
            }
        }
    }
    assert_eq!((texts, errors), (84, 14));
}

#[test]
fn a_tip_takes_any_list_that_can_be_walked_again() {
    let ids = [UserId::new("alice").unwrap(), UserId::new("bob").unwrap()];
    let text = tip_text(TipOperation::KICKED_OUT, "carol", ids, Words::FULL_WIDTH);
    assert_eq!(text.to_string(), "群成员：alice,bob，被carol踢出群组");
    assert_eq!(text.to_string(), text.to_string());
    let english = tip_text(TipOperation::KICKED_OUT, "carol", ids, Words::ENGLISH);
    assert_eq!(english.to_string(), "Removed from the group by carol: alice,bob");
    let unknown = tip_text(TipOperation(8), "carol", ids, Words::ENGLISH);
    assert_eq!(unknown.to_string(), "[Group Notification]");
}

#[test]
fn english_reads_well_when_nobody_is_named() {
    let notice = |operation| {
        let notice = SystemNotice::new(NoticeOperation(operation)).with_group_id("g");
        notice.text(Words::ENGLISH).unwrap().to_string()
    };
    let told: Vec<String> = (1..=10).map(notice).collect();
    assert_eq!(
        told,
        [
            "Somebody applies to join the group g",
            "You joined the group g",
            "Your application to join the group g was refused",
            "Somebody removed you from the group g",
            "The group g was dismissed by somebody",
            "Somebody created the group g",
            "Somebody invited you to the group g",
            "You left the group g",
            "Somebody made you an admin of the group g",
            "Somebody withdrew your role as an admin of the group g",
        ]
    );
    let kicked = tip_text(TipOperation::KICKED_OUT, "", ["alice"], Words::ENGLISH);
    assert_eq!(kicked.to_string(), "Removed from the group by somebody: alice");
    let revoked = revoked_text(Revoker::Member(""), Words::ENGLISH);
    assert_eq!(revoked.to_string(), "Somebody revoked a message");
    // The Chinese texts are the original's, which shows nothing there.
    let kicked = tip_text(TipOperation::KICKED_OUT, "", ["alice"], Words::SEED);
    assert_eq!(kicked.to_string(), "群成员:alice,被踢出群组");
}

/// The seed's function, written down plainly.
fn plain_notice(operation: u32, operator: &str, group: &str, colon: &str) -> Option<String> {
    Some(match operation {
        1 => format!("{operator} 申请加入群组{colon}{group}"),
        2 => format!("成功加入群组{colon}{group}"),
        3 => format!("申请加入群组{colon}{group}被拒绝"),
        4 => format!("被管理员{operator}踢出群组{colon}{group}"),
        5 => format!("群{colon}{group} 已被{operator}解散"),
        6 => format!("{operator}创建群{colon}{group}"),
        7 => format!("{operator}邀请你加群{colon}{group}"),
        8 => format!("你退出群组{colon}{group}"),
        9 => format!("你被{operator}设置为群{colon}{group}的管理员"),
        10 => format!("你被{operator}撤销群{colon}{group}的管理员身份"),
        255 => "自定义群系统通知".to_owned(),
        _ => return None,
    })
}

fn plain_tip(operation: u32, operator: &str, users: &[String], colon: &str, comma: &str) -> String {
    let what = match operation {
        1 => "加入群组".to_owned(),
        2 => "退出群组".to_owned(),
        3 => format!("被{operator}踢出群组"),
        4 => "成为管理员".to_owned(),
        5 => "被撤销管理员".to_owned(),
        _ => return "[群提示消息]".to_owned(),
    };
    format!("群成员{colon}{}{comma}{what}", users.join(","))
}

/// A buffer of limited size, as a device has it: refuses what does not fit.
struct Limited(usize);

impl fmt::Write for Limited {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = self.0.checked_sub(text.len()).ok_or(fmt::Error)?;
        Ok(())
    }
}

fn operations() -> impl Strategy<Value = u32> {
    prop_oneof![4 => 0_u32..24, 1 => Just(255_u32), 1 => any::<u32>()]
}

proptest! {
    #[test]
    fn notices_agree_with_the_plain_reference(
        operation in operations(), operator in any::<String>(), id in any::<String>(), name in any::<String>(),
    ) {
        let notice = SystemNotice::new(NoticeOperation(operation))
            .with_operator_id(&operator)
            .with_group_id(&id)
            .with_group_name(&name);
        let group = if name.is_empty() { &id } else { &name };
        let text = |words| notice.text(words).map(|text| text.to_string());
        prop_assert_eq!(text(Words::SEED), plain_notice(operation, &operator, group, ":"));
        prop_assert_eq!(text(Words::FULL_WIDTH), plain_notice(operation, &operator, group, "："));
        prop_assert_eq!(text(Words::ENGLISH).is_some(), text(Words::SEED).is_some());
    }

    #[test]
    fn tips_agree_with_the_plain_reference(
        operation in operations(), operator in any::<String>(), users in proptest::collection::vec(any::<String>(), 0..9),
    ) {
        let text = |words| tip_text(TipOperation(operation), &operator, &users, words).to_string();
        prop_assert_eq!(text(Words::SEED), plain_tip(operation, &operator, &users, ":", ","));
        prop_assert_eq!(text(Words::FULL_WIDTH), plain_tip(operation, &operator, &users, "：", "，"));
        let default = text(Words::ENGLISH) == "[Group Notification]";
        prop_assert_eq!(default, text(Words::SEED) == "[群提示消息]");
    }

    #[test]
    fn every_profile_shows_the_same_parameters(operation in operations()) {
        let notice = SystemNotice::new(NoticeOperation(operation))
            .with_operator_id("<op>")
            .with_group_name("<group>");
        for shown in ["<op>", "<group>"] {
            let has = |words| notice.text(words).map(|text| text.to_string().matches(shown).count());
            prop_assert_eq!(has(Words::ENGLISH), has(Words::SEED));
            prop_assert_eq!(has(Words::FULL_WIDTH), has(Words::SEED));
        }
        for shown in ["<op>", "<a>,<b>"] {
            let tip = |words| tip_text(TipOperation(operation), "<op>", ["<a>", "<b>"], words).to_string();
            let has = |words| tip(words).matches(shown).count();
            prop_assert_eq!(has(Words::ENGLISH), has(Words::SEED));
            prop_assert_eq!(has(Words::FULL_WIDTH), has(Words::SEED));
        }
    }

    #[test]
    fn a_buffer_that_is_too_small_is_an_error_and_no_panic(operation in operations(), room in 0_usize..64) {
        for &words in Words::ALL {
            let text = tip_text(TipOperation(operation), "carol", ["alice", "bob"], words);
            let fits = text.to_string().len() <= room;
            prop_assert_eq!(write!(Limited(room), "{text}").is_ok(), fits);
        }
    }
}
