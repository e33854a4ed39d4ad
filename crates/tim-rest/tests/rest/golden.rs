//! The requests of the vendor's client for Python, written by this crate.

use serde_json::{Value, json};
use tim_rest::json::{Element, Json as _, Spelling};
use tim_rest::*;

use crate::support::path;

/// The requests of that client, by method: path and body.
pub(crate) fn requests() -> Vec<(String, String, Value)> {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tim-json/tests/golden/rest_requests.jsonl"
    );
    let lines = std::fs::read_to_string(file).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let lines = lines.lines().map(|line| {
        let call: Value = serde_json::from_str(line).unwrap();
        (text(&call["method"]), text(&call["path"]), call["body"].clone())
    });
    lines.collect()
}

/// The requests that have been written.
struct Written {
    administrator: Administrator,
    found: Vec<(String, Value)>,
}

impl Written {
    fn add<R: Request>(&mut self, request: R) -> &mut Self {
        let post = self.administrator.post(&request, 0, 7).unwrap();
        assert!(post.url.contains("&random=7&contenttype=json"), "{}", post.url);
        let body = serde_json::from_slice(&post.body).unwrap();
        self.found.push((path(&post), body));
        self
    }
}

fn two_elements() -> Vec<Element> {
    let file = json!({"MsgType": "TIMFileElem",
        "MsgContent": {"Url": "http://x/f", "FileSize": 3, "FileName": "f.txt", "Download_Flag": 2}});
    let text = json!({"MsgType": "TIMTextElem", "MsgContent": {"Text": "hi😀"}});
    Vec::from_value(json!([text, file]), Spelling::Rest).unwrap()
}

fn accounts_and_friends(written: &mut Written) {
    let friend = NewFriend::new("b", "AddSource_Type_web").remark("").list("");
    written
        .add(ImportAccount::new("u").nick("N").avatar("F"))
        .add(ImportAccounts::new(["u"]))
        .add(DeleteAccounts::new(["u"]))
        .add(CheckAccounts::new(["u"]))
        .add(Kick::new("u"))
        .add(QueryOnline::new(["u"]).with_devices(true))
        .add(AddFriends::new("a", [friend]).on(AddType::Both).force(true))
        .add(DeleteFriends::new("a", ["b"]).on(DeleteType::Both))
        .add(UpdateFriends::new(
            "a",
            [FriendUpdate::new("b", [Tag::new(Tag::REMARK, "r")])],
        ))
        .add(FriendsById::new("a", ["b"], [Tag::REMARK]))
        .add(ListFriends::new("a", 0))
        .add(AddFriendLists::new("a", ["g"]).friends(["b"]))
        .add(DeleteFriendLists::new("a", ["g"]))
        .add(ListFriendLists::of("a").with_friends(true));
}

fn messages(written: &mut Written) {
    written
        .add(
            Message::to("b")
                .from("a")
                .sync_to_sender(true)
                .random(1)
                .elements(two_elements())
                .cloud_custom_data("cd"),
        )
        .add(
            Broadcast::to(["b"])
                .from("a")
                .sync_to_sender(true)
                .random(1)
                .text("x"),
        )
        .add(
            ImportedMessage::live("a", "b", 1_600_000_000)
                .sync_to_sender(true)
                .random(1)
                .elements(two_elements())
                .cloud_custom_data("cd"),
        )
        .add(History::new("a", "b", 10, 1, 2))
        .add(RevokeMessage::new("a", "b", "1_2_3"))
        .add(SetRead::new("a", "b").up_to(5))
        .add(CountUnread::of("a").from(["b"]));
}

fn groups(written: &mut Written) {
    let member = NewMember::new("m").role(Role::Admin).join_time(5).unread(0);
    let filter = GroupFilter::nothing()
        .group(["Name"])
        .members(["Role"])
        .group_fields(["k"])
        .member_fields(["k2"]);
    written
        .add(
            ListGroups::all()
                .limit(1_000)
                .next(0)
                .group_type(GroupType::default()),
        )
        .add(
            NewGroup::new(GroupType::Public, "n")
                .owner("o")
                .max_members(500)
                .members([member.clone()])
                .custom_fields([CustomField::new("k", "v")])
                .id("gid"),
        )
        .add(GetGroupInfo::of(["g"]).filter(filter))
        .add(ListMembers::of("g").limit(100).offset(0))
        .add(
            GroupChange::of("g")
                .name("n")
                .introduction("i")
                .notification("no")
                .avatar("f")
                .max_members(9)
                .join_option(JoinOption::FreeAccess)
                .mute_all(true),
        )
        .add(AddMembers::new("g", ["m"]).silent(true))
        .add(RemoveMembers::new("g", ["m"]).silent(true))
        .add(
            MemberChange::of("g", "m")
                .role(Role::Admin)
                .name_card("card")
                .mute_seconds(60)
                .custom_fields([CustomField::new("k", "v")]),
        )
        .add(DismissGroup::new("g"))
        .add(ListJoinedGroups::of("u"))
        .add(GetRoles::new("g", ["m"]))
        .add(MuteMembers::new("g", ["m"], 60))
        .add(ListMutedMembers::new("g"))
        .add(
            GroupMessage::to("g")
                .random(1)
                .only_to(["m"])
                .from("a")
                .priority(Priority::High)
                .text("x"),
        )
        .add(GroupNotice::new("g", "c").to(["m"]))
        .add(ChangeOwner::new("g", "m"))
        .add(RevokeGroupMessages::new("g", [1, 2]))
        .add(ImportGroupMessages::new("g", [OldGroupMessage::new("a", 5).random(1).text("x")]).moves_up(true))
        .add(ImportMembers::new("g", [member]))
        .add(SetGroupUnread::new("g", "m", 3))
        .add(RevokeMessagesOf::new("g", "a"))
        .add(GroupHistory::new("g", 20).with_revoked(true))
        .add(CountOnlineMembers::new("g"))
        .add(GetAttributes::new("g"))
        .add(SetAttributes::new("g", [Attribute::new("k", "v")]))
        .add(ClearAttributes::new("g"));
}

#[test]
fn requests_are_those_of_the_vendors_client() {
    let administrator =
        Administrator::new("https://console.tim.qq.com/v4", 7, "administrator", "key").unwrap();
    let mut written = Written {
        administrator,
        found: Vec::new(),
    };
    accounts_and_friends(&mut written);
    messages(&mut written);
    groups(&mut written);
    let wanted = requests();
    assert_eq!((written.found.len(), wanted.len()), (47, 47));
    for ((found_path, found), (method, path, mut body)) in written.found.into_iter().zip(wanted) {
        // That client writes these numbers as texts.
        for item in body["MsgSeqList"].as_array_mut().into_iter().flatten() {
            item["MsgSeq"] = item["MsgSeq"].as_str().unwrap().parse::<u64>().unwrap().into();
        }
        if body["MsgSeqList"].is_null() {
            body.as_object_mut().unwrap().remove("MsgSeqList");
        }
        assert_eq!((&found_path, &found), (&path, &body), "{method}");
    }
}
