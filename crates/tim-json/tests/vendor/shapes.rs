//! tim's values as the vendor's objects: tips, notices, conversations, profiles, options.

use serde_json::{Value, json};
use tim_json::{
    Content, Conversation, Element, GroupProfile, Json, Message, OfflinePushInfo, OfflinePushOptions,
    SendOptions, Spelling, UserProfile,
};
use tim_proto::conversation as proto;
use tim_proto::message::{
    Envelope, GroupChange, GroupTip, MessageFlags, Muted, NoticeOperation, OfflinePush, Payload, Revocation,
    SystemNotice, Text, TipNames, TipOperation,
};
use tim_proto::wire::List;
use tim_proto::{
    AtKind, ConversationId, GroupId, GroupType, JoinOption, MessageId, MessageKind, ReceiveOption, Role,
    UserId, Words,
};

fn alice() -> UserId {
    UserId::new("alice").unwrap()
}

fn team() -> GroupId {
    GroupId::new("team").unwrap()
}

/// The payload in the SDK's spelling, and that reading it yields the payload again.
fn there_and_back(payload: &Payload<'_>) -> Value {
    let content = Content::of_payload(payload);
    let value = content.to_content_value(Spelling::Sdk).unwrap();
    let read = Content::of_type(content.msg_type(), value.clone(), Spelling::Sdk).unwrap();
    assert_eq!(read, content);
    assert_eq!(read.encode().unwrap().payload(), *payload);
    value
}

#[test]
fn tips_and_notices_are_the_payloads_of_the_sdk() {
    let names = [TipNames::new()
        .with_nick("Bob")
        .with_avatar("http://h/b")
        .with_name_card("B.")];
    let changes = [
        GroupChange::Name("Team"),
        GroupChange::Owner(alice()),
        GroupChange::JoinOption(JoinOption::NEED_PERMISSION),
        GroupChange::MuteAll(true),
    ];
    let muted = [Muted::new(UserId::new("bob").unwrap(), 60)];
    let tip = GroupTip::new(TipOperation::GROUP_PROFILE_UPDATED, team())
        .with_operator_id("alice")
        .with_users(List::from_slice(&["bob"]))
        .with_group_name("Team")
        .with_member_count(2)
        .with_changes(List::from_slice(&changes))
        .with_muted(List::from_slice(&muted))
        .with_operator(TipNames::new().with_nick("Alice"))
        .with_names(List::from_slice(&names));
    let value = there_and_back(&Payload::GroupTip(tip));
    let expected = json!({
        "operationType": 6, "operatorID": "alice", "userIDList": ["bob"], "memberNum": 2, "memberCount": 2, "reason": "",
        "memberList": [{"userID": "bob", "nick": "Bob", "avatar": "http://h/b", "nameCard": "B.", "muteTime": 60}],
        "groupProfile": {"groupID": "team", "groupName": "Team"},
        "newGroupProfile": {"groupName": "Team", "ownerID": "alice", "joinOption": "NeedPermission", "muteAllMembers": true},
        "operatorInfo": {"userID": "alice", "nick": "Alice", "avatar": ""},
    });
    assert_eq!(value, expected);

    let notice = SystemNotice::new(NoticeOperation::JOIN_REQUESTED)
        .with_operator_id("bob")
        .with_group_id("team")
        .with_group_name("Team")
        .with_handle_message("let me in")
        .with_authentication("token")
        .with_message_key(u64::MAX);
    let value = there_and_back(&Payload::SystemNotice(notice));
    let expected = json!({
        "operationType": 1, "operatorID": "bob", "handleMessage": "let me in", "authentication": "token",
        "groupProfile": {"groupID": "team", "groupName": "Team", "name": "Team"},
        "messageKey": u64::MAX, "userDefinedField": "",
    });
    assert_eq!(value, expected);
    // The wire's names of the same notice.
    let rest = Content::of_payload(&Payload::SystemNotice(notice))
        .to_content_value(Spelling::Rest)
        .unwrap();
    assert_eq!(
        (&rest["ReportType"], &rest["RemarkInfo"]),
        (&json!(1), &json!("let me in"))
    );
}

#[test]
fn payloads_without_a_name_at_the_vendor_are_kept() {
    let id = MessageId {
        sender: 1,
        client_time: 2,
        random: 3,
    };
    there_and_back(&Payload::Revocation(
        Revocation::new(7, id, alice(), alice()).with_reason("typo"),
    ));
    for unknown in [
        Payload::Unknown(MessageKind(4711), &[0, 0xab]),
        Payload::Unknown(MessageKind::TEXT, &[]),
        Payload::Unknown(MessageKind::LOCATION, &[0xff]),
    ] {
        there_and_back(&unknown);
    }
    let place = json!({"MsgType": "TIMLocationElem", "MsgContent": {"Desc": "here", "Latitude": 22.54, "Longitude": 113.94}});
    let element = Element::from_value(place.clone(), Spelling::Rest).unwrap();
    let encoded = element.content.encode().unwrap();
    assert!(matches!(
        encoded.payload(),
        Payload::Unknown(MessageKind::LOCATION, _)
    ));
    let back = Element::from(Content::of_payload(&encoded.payload()));
    assert_eq!(back.to_value(Spelling::Rest), place);
}

#[test]
fn a_revoked_message_has_no_payload() {
    let envelope = Envelope::new(alice()).with_flags(MessageFlags::REVOKED | MessageFlags::NO_UNREAD);
    let id = MessageId {
        sender: 1,
        client_time: 2,
        random: 3,
    };
    let message = tim_proto::Message::new(
        envelope,
        team().into(),
        id,
        Payload::Unknown(MessageKind::TEXT, &[]),
    );
    let shown = Message::seen_by(&UserId::new("bob").unwrap(), &message).to_value(Spelling::Sdk);
    assert_eq!(
        (&shown["type"], &shown["payload"], &shown["isRevoked"]),
        (&json!("TIMTextElem"), &Value::Null, &json!(true))
    );
    assert_eq!(shown["_isExcludedFromUnreadCount"], true);
    assert_eq!(
        (&shown["conversationID"], &shown["flow"]),
        (&json!("GROUPteam"), &json!("in"))
    );
    let read = Message::from_value(shown.clone(), Spelling::Sdk).unwrap();
    assert_eq!(read.to_value(Spelling::Sdk), shown);
}

#[test]
fn conversations_and_profiles() {
    let id = MessageId {
        sender: 1,
        client_time: 2,
        random: 3,
    };
    let message = tim_proto::Message::new(
        Envelope::new(alice()).with_sequence(9).with_time(100),
        team().into(),
        id,
        Payload::Text(Text::new("hi")),
    );
    let last = message.to_encoded();
    let at = [proto::AtInfo::new(9, alice(), AtKind::AT_ALL_AT_ME)];
    let conversation = proto::Conversation::new(ConversationId::Group(team()))
        .with_unread(3)
        .with_name("Team")
        .with_group_type(GroupType::PUBLIC)
        .with_receive_option(ReceiveOption::ACCEPT_NOT_NOTIFY)
        .with_last_message(last.as_bytes())
        .with_at(List::from_slice(&at));
    let bob = UserId::new("bob").unwrap();
    let shown = Conversation::of(&bob, &conversation, Words::ENGLISH);
    assert_eq!(shown.at.as_ref().unwrap()[0].kind(), Some(AtKind::AT_ALL_AT_ME));
    let value = shown.to_value(Spelling::Sdk);
    let expected = json!({
        "conversationID": "GROUPteam", "type": "GROUP", "subType": "Public", "unreadCount": 3,
        "messageRemindType": "AcceptNotNotify",
        "groupProfile": {"groupID": "team", "name": "Team", "avatar": "", "type": "Public",
            "selfInfo": {"userID": "bob", "messageRemindType": "AcceptNotNotify"}},
        "groupAtInfoList": [{"from": "alice", "groupID": "team", "messageSequence": 9, "atTypeArray": [3]}],
        "lastMessage": {"lastTime": 100, "lastSequence": 9, "fromAccount": "alice", "messageForShow": "hi",
            "type": "TIMTextElem", "payload": {"text": "hi"}, "isRevoked": false, "cloudCustomData": "",
            "onlineOnlyFlag": false, "nick": "", "nameCard": "", "version": 0},
    });
    assert_eq!(value, expected);
    assert_eq!(Conversation::from_value(value, Spelling::Sdk).unwrap(), shown);

    // A conversation without a last message, as the SDK has it.
    let empty = json!({"conversationID": "C2Cbob", "type": "C2C", "lastMessage": {"lastTime": 0, "type": "", "payload": null}});
    let read = Conversation::from_value(empty.clone(), Spelling::Sdk).unwrap();
    assert_eq!(read.last_message.as_ref().unwrap().content, None);
    assert_eq!(read.to_value(Spelling::Sdk), empty);

    let group = proto::GroupProfile::new(team(), GroupType::PUBLIC, alice())
        .with_role(Role::ADMIN)
        .with_name("Team");
    let value = GroupProfile::of(&bob, &group).to_value(Spelling::Sdk);
    assert_eq!(
        (&value["ownerID"], &value["selfInfo"]["role"]),
        (&json!("alice"), &json!("Admin"))
    );
    let user = UserProfile::of(&proto::UserProfile::new(alice()).with_nick("Alice")).to_value(Spelling::Sdk);
    assert_eq!(user, json!({"userID": "alice", "nick": "Alice", "avatar": ""}));
}

#[test]
fn offline_pushes_in_both_forms() {
    let push = OfflinePush::new()
        .with_disable_push(true)
        .with_title("t")
        .with_description("d")
        .with_extension("{}")
        .with_ignore_ios_badge(true)
        .with_android_oppo_channel_id("c");
    let rest = OfflinePushInfo::of(&push);
    assert_eq!(rest.to_push(), push);
    let expected = json!({"PushFlag": 1, "Title": "t", "Desc": "d", "Ext": "{}",
        "AndroidInfo": {"OPPOChannelID": "c"}, "ApnsInfo": {"BadgeMode": 1}});
    assert_eq!(rest.to_value(Spelling::Rest), expected);
    assert_eq!(serde_json::to_value(&rest).unwrap(), expected);
    let sdk = OfflinePushOptions::of(&push);
    assert_eq!(sdk.to_push(), push);
    let options = SendOptions::from_value(
        json!({"onlineUserOnly": true, "offlinePushInfo": sdk.to_value(Spelling::Sdk), "messageControlInfo": {}}),
        Spelling::Sdk,
    )
    .unwrap();
    assert!(options.to_options().online_user_only);
    assert_eq!(options.to_options().offline_push, Some(push));
    assert!(options.other.contains_key("messageControlInfo"));

    // Every field of the documents, and one that nobody knows.
    let all = json!({"PushFlag": 0, "Title": "t", "Desc": "d", "Ext": "e", "New": [1],
        "AndroidInfo": {"Sound": "s", "HuaWeiChannelID": "1", "XiaoMiChannelID": "2", "OPPOChannelID": "3", "GoogleChannelID": "4",
            "VIVOClassification": "1", "HuaWeiImportance": "LOW", "ExtAsHuaweiIntentParam": 1},
        "ApnsInfo": {"BadgeMode": 0, "Title": "t", "SubTitle": "s", "Image": "i", "MutableContent": 1}});
    let read: OfflinePushInfo = serde_json::from_value(all.clone()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), all);
}
