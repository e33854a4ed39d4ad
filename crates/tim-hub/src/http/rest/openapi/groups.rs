//! `group_open_http_svc`.

use tim_groups::fields::{
    MAX_ATTRIBUTE_NAME, MAX_ATTRIBUTE_VALUE, MAX_ATTRIBUTES, MAX_FIELD_NAME, MAX_GROUP_VALUE,
    MAX_MEMBER_VALUE,
};
use tim_groups::rules::{
    MAX_AVATAR, MAX_INTRODUCTION, MAX_MESSAGE, MAX_NAME, MAX_NAME_CARD, MAX_NOTICE, MAX_NOTIFICATION,
};
use tim_proto::{GroupType, InviteOption, JoinOption, Priority, ReceiveOption, Role};
use tim_store::MAX_MENTIONS;

use super::Description;
use super::elements::{body, callbacks, shown};
use super::shape::{
    Field, Shape, all, any_of, bytes, can, flag, group, integer, is_set, list, may, need, number, number32,
    object, one_number, part, pattern, rows, shown_name, some, some_text, text, user, without, word,
};
use crate::http::rest::groups::limits;

/// The names of the known values of a type.
macro_rules! names {
    ($type:ident) => {
        $type::KNOWN.iter().filter_map(|known| known.name())
    };
}

fn of_group() -> Field {
    need("GroupId", group())
}

/// The types of groups, with their newer names.
fn types() -> Shape {
    word(names!(GroupType).chain(["Work", "Meeting"]))
}

fn shown_type() -> Shape {
    word(names!(GroupType))
}

/// A field of a group or a member that the application has made, with its value; it goes with the empty one.
fn custom(longest: usize) -> Shape {
    let key = format!("^[A-Za-z0-9_]{{1,{MAX_FIELD_NAME}}}$");
    let item = object([need("Key", pattern(&key)), may("Value", bytes(0, longest))]);
    list(item, limits::FIELDS)
}

fn shown_custom() -> Shape {
    rows(object([need("Key", some_text()), need("Value", some_text())]))
}

/// The fields of a group that are set when it is made and changed later.
fn profile() -> [Field; 6] {
    [
        may("Introduction", bytes(0, MAX_INTRODUCTION)),
        may("Notification", bytes(0, MAX_NOTIFICATION)),
        may("FaceUrl", bytes(0, MAX_AVATAR)),
        can("ApplyJoinOption", word(names!(JoinOption))),
        can("InviteJoinOption", word(names!(InviteOption))),
        may("AppDefinedData", custom(MAX_GROUP_VALUE)),
    ]
}

/// One of two fields, of which the first one counts; the other one is its newer name.
fn either(names: [&'static str; 2], shape: fn() -> Shape) -> Shape {
    let [old, new] = names;
    any_of([
        object([need(old, shape())]),
        object([need(new, shape()), without(old)]),
    ])
}

fn on_off() -> Shape {
    word(["On", "Off"])
}

/// The result of one of the members of a call.
fn member_results() -> Field {
    let result = object([
        need("Member_Account", user()),
        need("Result", one_number([0, 1, 2])),
    ]);
    need("MemberList", rows(result))
}

pub(in crate::http::rest) fn list_all() -> Description {
    let takes = [
        can("Limit", number()),
        can("Next", number()),
        can("GroupType", types()),
    ];
    let answers = [
        need("TotalCount", integer()),
        need("GroupIdList", list(object([of_group()]), limits::LISTED)),
        need("Next", integer()),
    ];
    Description::new("All groups, a page at a time", takes, answers)
}

pub(in crate::http::rest) fn create() -> Description {
    let member = object([need("Member_Account", user()), may("Role", text())]);
    let fields = [
        need("Type", types()),
        need("Name", shown_name(1, MAX_NAME)),
        can("GroupId", group()),
        can("Owner_Account", user()),
        may("MemberList", list(member, limits::CREATED_WITH)),
        can("MaxMemberCount", number32()),
    ];
    let takes = fields.into_iter().chain(profile());
    Description::new("Makes a group", takes, [of_group()])
}

/// The fields of a group in answers, with the newer names beside the older ones.
fn group_fields() -> impl Iterator<Item = Field> {
    let texts = ["Name", "Introduction", "Notification", "FaceUrl", "Owner_Account"];
    let numbers = [
        "Appid",
        "CreateTime",
        "InfoSeq",
        "LastInfoTime",
        "LastMsgTime",
        "NextMsgSeq",
        "MemberNum",
        "MaxMemberNum",
        "MaxMemberCount",
    ];
    let words = [
        part("Type", shown_type()),
        part("ApplyJoinOption", word(names!(JoinOption).chain([""]))),
        part("InviteJoinOption", word(names!(InviteOption).chain([""]))),
        part("ShutUpAllMember", on_off()),
        part("MuteAllMember", on_off()),
        part("AppDefinedData", shown_custom()),
    ];
    let texts = texts.into_iter().map(|name| part(name, text()));
    let numbers = numbers.into_iter().map(|name| part(name, integer()));
    words.into_iter().chain(texts).chain(numbers)
}

fn member_fields() -> Shape {
    let numbers = [
        "JoinTime",
        "MsgSeq",
        "LastSendMsgTime",
        "ShutUpUntil",
        "MuteUntil",
    ];
    let fields = [
        need("Member_Account", user()),
        part("Role", roles()),
        part("MsgFlag", word(names!(ReceiveOption).chain([""]))),
        part("NameCard", text()),
        part("AppMemberDefinedData", shown_custom()),
    ];
    let numbers = numbers.into_iter().map(|name| part(name, integer()));
    object(fields.into_iter().chain(numbers))
}

fn roles() -> Shape {
    word(names!(Role))
}

fn filter(names: &[&'static str]) -> impl Iterator<Item = Field> {
    let fields = names.iter().map(|name| may(name, list(text(), limits::FILTER)));
    fields.collect::<Vec<_>>().into_iter()
}

pub(in crate::http::rest) fn info() -> Description {
    let names = [
        "GroupBaseInfoFilter",
        "MemberInfoFilter",
        "AppDefinedDataFilter_Group",
        "AppDefinedDataFilter_GroupMember",
    ];
    let takes = [
        need("GroupIdList", some(text(), limits::ASKED)),
        may("ResponseFilter", object(filter(&names))),
    ];
    let fields = [
        need("GroupId", text()),
        need("ErrorCode", integer()),
        need("ErrorInfo", text()),
        part("MemberList", rows(member_fields())),
    ];
    let found = object(fields.into_iter().chain(group_fields()));
    Description::new(
        "What is known of some groups",
        takes,
        [need("GroupInfo", list(found, limits::ASKED))],
    )
}

pub(in crate::http::rest) fn modify() -> Description {
    let fields = [
        of_group(),
        can("Name", shown_name(0, MAX_NAME)),
        can("ShutUpAllMember", on_off()),
        can("MaxMemberNum", number32()),
    ];
    let mute_all = any_of([
        object([need("ShutUpAllMember", on_off())]),
        object([can("MuteAllMember", on_off()), without("ShutUpAllMember")]),
    ]);
    let takes = all([object(fields.into_iter().chain(profile())), mute_all]);
    Description::new("Changes a group", [], []).taking(takes)
}

pub(in crate::http::rest) fn dismiss() -> Description {
    Description::new("Dismisses a group", [of_group()], [])
}

pub(in crate::http::rest) fn hand_over() -> Description {
    let takes = [of_group(), need("NewOwner_Account", user())];
    Description::new("Gives a group another owner", takes, [])
}

pub(in crate::http::rest) fn count_online() -> Description {
    let answers = [need("OnlineMemberNum", integer())];
    Description::new("How many are in an AVChatRoom", [of_group()], answers)
}

pub(in crate::http::rest) fn members() -> Description {
    let filters = filter(&["MemberInfoFilter", "AppDefinedDataFilter_GroupMember"]);
    let takes = [
        of_group(),
        can("Limit", number()),
        can("Offset", number()),
        can("Next", pattern("^[0-9a-f]{1,16}-[0-9a-f]{1,16}$")),
        may("MemberRoleFilter", list(roles(), limits::ROLES)),
    ];
    let answers = [
        need("MemberNum", integer()),
        need("MemberList", list(member_fields(), limits::MEMBERS)),
        part("Next", text()),
    ];
    let takes = takes.into_iter().chain(filters);
    Description::new("The members of a group", takes, answers)
}

pub(in crate::http::rest) fn add_members() -> Description {
    let member = object([need("Member_Account", user())]);
    let takes = [
        of_group(),
        need("MemberList", some(member, limits::ADDED)),
        can("Silence", flag()),
    ];
    Description::new("Adds members to a group", takes, [member_results()])
}

pub(in crate::http::rest) fn import_members() -> Description {
    let member = object([
        need("Member_Account", user()),
        can("Role", word(["Admin", "Member"])),
        can("JoinTime", number32()),
        can("UnreadMsgNum", number()),
    ]);
    let takes = [of_group(), need("MemberList", some(member, limits::ADDED))];
    Description::new("Imports members of another system", takes, [member_results()])
}

pub(in crate::http::rest) fn remove_members() -> Description {
    let takes = [
        of_group(),
        need("MemberToDel_Account", some(user(), limits::REMOVED)),
        can("Silence", flag()),
        may("Reason", bytes(0, MAX_MESSAGE)),
    ];
    Description::new("Removes members of a group", takes, [])
}

pub(in crate::http::rest) fn modify_member() -> Description {
    let fields = object([
        of_group(),
        need("Member_Account", user()),
        can("Role", word(["Admin", "Member"])),
        may("NameCard", shown_name(0, MAX_NAME_CARD)),
        can("MsgFlag", word(names!(ReceiveOption))),
        may("AppMemberDefinedData", custom(MAX_MEMBER_VALUE)),
    ]);
    let mute = any_of([
        object([need("ShutUpTime", number32())]),
        object([can("MuteTime", number32()), without("ShutUpTime")]),
    ]);
    Description::new("Changes a member of a group", [], []).taking(all([fields, mute]))
}

pub(in crate::http::rest) fn joined() -> Description {
    let names = [
        "GroupBaseInfoFilter",
        "AppDefinedDataFilter_Group",
        "SelfInfoFilter",
    ];
    let takes = [
        need("Member_Account", user()),
        can("GroupType", types()),
        can("WithHugeGroups", flag()),
        can("Offset", number()),
        can("Limit", number()),
        may("ResponseFilter", object(filter(&names))),
    ];
    let own = object([
        part("Role", roles()),
        part("JoinTime", integer()),
        part("MsgFlag", word(names!(ReceiveOption).chain([""]))),
        part("MsgSeq", integer()),
    ]);
    let fields = [of_group(), part("SelfInfo", own)];
    let found = object(fields.into_iter().chain(group_fields()));
    let answers = [
        need("TotalCount", integer()),
        need("GroupIdList", list(found, limits::JOINED)),
    ];
    Description::new("The groups of a user", takes, answers)
}

pub(in crate::http::rest) fn role_of() -> Description {
    let takes = [of_group(), need("User_Account", some(user(), limits::ROLES_OF))];
    let role = word(names!(Role).chain(["NotMember"]));
    let found = object([need("Member_Account", user()), need("Role", role)]);
    let answers = [need("UserIdList", list(found, limits::ROLES_OF))];
    Description::new("The roles of users in a group", takes, answers)
}

pub(in crate::http::rest) fn mute() -> Description {
    let fields = object([of_group(), need("Members_Account", some(user(), limits::MUTED))]);
    let takes = all([fields, either(["ShutUpTime", "MuteTime"], number32)]);
    Description::new("Mutes members of a group, or ends that", [], []).taking(takes)
}

pub(in crate::http::rest) fn muted() -> Description {
    let found = |until| {
        let found = object([need("Member_Account", user()), need(until, integer())]);
        list(found, limits::MUTED_LISTED)
    };
    let answers = [
        of_group(),
        need("ShuttedUinList", found("ShuttedUntil")),
        need("MutedAccountList", found("MutedUntil")),
    ];
    Description::new("The muted members of a group", [of_group()], answers)
}

pub(in crate::http::rest) fn set_unread() -> Description {
    let takes = [
        of_group(),
        need("Member_Account", user()),
        need("UnreadMsgNum", number()),
    ];
    Description::new("Sets how much a member has not read", takes, [])
}

/// A mentioned user, or everybody.
fn mention() -> Shape {
    let everybody = word([tim_proto::message::MENTION_ALL]);
    any_of([
        object([need("GroupAtAllFlag", is_set())]),
        object([
            can("GroupAtAllFlag", flag()),
            need("GroupAt_Account", any_of([user(), everybody])),
        ]),
    ])
}

pub(in crate::http::rest) fn send() -> Description {
    let fields = [
        of_group(),
        need("Random", number32()),
        may("From_Account", user()),
        can("MsgPriority", word(names!(Priority))),
        can("OnlineOnlyFlag", flag()),
        may("GroupAtInfo", list(mention(), MAX_MENTIONS)),
        without("To_Account"),
        callbacks(),
    ];
    let answers = [need("MsgTime", integer()), need("MsgSeq", integer())];
    Description::new(
        "Sends a message to a group",
        fields.into_iter().chain(body()),
        answers,
    )
}

pub(in crate::http::rest) fn import() -> Description {
    let fields = [
        need("From_Account", user()),
        need("SendTime", number32()),
        can("Random", number32()),
    ];
    let message = object(fields.into_iter().chain(body()));
    let takes = [
        of_group(),
        need("MsgList", some(message, limits::IMPORTED)),
        can("RecentContactFlag", flag()),
    ];
    let result = object([
        need("MsgSeq", integer()),
        need("MsgTime", integer()),
        need("Result", integer()),
    ]);
    let answers = [need("ImportMsgResult", list(result, limits::IMPORTED))];
    Description::new("Imports messages of another system", takes, answers)
}

pub(in crate::http::rest) fn history() -> Description {
    let takes = [
        of_group(),
        need("ReqMsgNumber", number()),
        can("ReqMsgSeq", number()),
        can("WithRecalledMsg", flag()),
    ];
    let row = object([
        need("From_Account", text()),
        need("IsPlaceMsg", one_number([0, 2])),
        need("IsSystemMsg", one_number([0, 1])),
        need("MsgBody", shown()),
        need("MsgPriority", integer()),
        need("MsgRandom", integer()),
        need("MsgSeq", integer()),
        need("MsgTimeStamp", integer()),
        need("CloudCustomData", text()),
    ]);
    let answers = [
        of_group(),
        need("IsFinished", one_number([0, 1, 2])),
        need("RspMsgList", list(row, limits::HISTORY)),
    ];
    Description::new("The messages of a group, a part at a time", takes, answers)
}

pub(in crate::http::rest) fn notify() -> Description {
    let takes = [
        of_group(),
        need("Content", bytes(1, MAX_NOTICE)),
        may("ToMembers_Account", list(user(), limits::RECEIVERS)),
    ];
    Description::new("Sends a notice of the application", takes, [])
}

pub(in crate::http::rest) fn recall() -> Description {
    let item = object([need("MsgSeq", number())]);
    let takes = [
        of_group(),
        need("MsgSeqList", some(item, limits::RECALLED)),
        may("Reason", bytes(0, limits::REASON)),
    ];
    let result = object([need("MsgSeq", integer()), need("RetCode", integer())]);
    let answers = [need("RecallRetList", list(result, limits::RECALLED))];
    Description::new("Revokes messages of a group", takes, answers)
}

pub(in crate::http::rest) fn revoke_of_sender() -> Description {
    let takes = [of_group(), need("Sender_Account", user())];
    Description::new("Revokes the messages of a user in a group", takes, [])
}

pub(in crate::http::rest) fn attributes() -> Description {
    let found = object([need("key", some_text()), need("value", text())]);
    let answers = [need("GroupAttrAry", list(found, MAX_ATTRIBUTES))];
    Description::new("The attributes of a group", [of_group()], answers)
}

pub(in crate::http::rest) fn modify_attributes() -> Description {
    let item = object([
        need("key", bytes(1, MAX_ATTRIBUTE_NAME)),
        may("value", bytes(0, MAX_ATTRIBUTE_VALUE)),
    ]);
    let takes = [of_group(), need("GroupAttr", some(item, limits::ATTRIBUTES))];
    Description::new("Sets attributes of a group", takes, [])
}

pub(in crate::http::rest) fn clear_attributes() -> Description {
    Description::new("Removes the attributes of a group", [of_group()], [])
}
