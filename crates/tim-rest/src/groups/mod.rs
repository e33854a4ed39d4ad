//! `group_open_http_svc`: groups, their members and messages.
//!
//! Common codes: 10002: the service has failed. 10004: a field is wrong. 10007: not allowed, or not in groups of this type. 10010: there
//! is no such group, or not any more. 10015: that is no id of a group. 10018: the answer would be too large; ask for less. 10019: there is
//! no such user.

mod members;
mod messages;

pub use members::*;
pub use messages::*;

use serde::{Deserialize, Serialize};

use crate::values::{CustomField, Done, GroupType, JoinOption, Names, OnOff, Role};

call! {
    /// A page of all groups of the application; at most one call a second at Tencent's.
    request groups = "group_open_http_svc", "get_appid_group_list", again -> GroupPage;
    ListGroups::all {
        ;
        /// How many, at most 10,000.
        limit: u32 = "Limit",
        /// Where the page begins: `next` of the page before.
        next: u64 = "Next",
        /// Those of one type.
        group_type: GroupType = "GroupType",
    }
}

answer! {
    /// A page of groups.
    GroupPage {
        /// How many groups there are, of the type that was asked for.
        total: u64 = "TotalCount",
        /// The ids of those in the page.
        groups: Vec<String> = "GroupIdList" with "crate::wire::group_ids",
        /// Where the next page begins; 0 if this is the last one.
        next: u64 = "Next",
    }
}

call! {
    /// Makes a group.
    ///
    /// 10019: there is no such owner. 10021, 10025: another group has the id, or one of the same owner. 10005: more than 100 members.
    request create_group = "group_open_http_svc", "create_group", once -> CreatedGroup;
    NewGroup::new {
        group_type: GroupType = "Type",
        name: String = "Name",
        ;
        /// The owner; without one, the group has none.
        owner: String = "Owner_Account",
        /// Its id; the service makes one without it.
        id: String = "GroupId",
        /// What it is for.
        introduction: String = "Introduction",
        /// What members should know.
        notification: String = "Notification",
        /// The address of its picture.
        avatar: String = "FaceUrl",
        /// How many members it may have.
        max_members: u32 = "MaxMemberCount",
        /// How users join.
        join_option: JoinOption = "ApplyJoinOption",
        /// How members invite others.
        invite_option: String = "InviteJoinOption",
        /// Fields of the application.
        custom_fields: Vec<CustomField> = "AppDefinedData",
        /// Its first members, at most 100.
        members: Vec<NewMember> = "MemberList",
    }
}

fields! {
    /// A member of a group from the beginning, or one that is imported.
    NewMember::new {
        user: String = "Member_Account",
        ;
        /// `Admin`, or nothing.
        role: Role = "Role",
        /// When the member has joined, in Unix seconds; when importing.
        join_time: u64 = "JoinTime",
        /// How many messages the member has not read; when importing.
        unread: u64 = "UnreadMsgNum",
    }
}

answer! {
    /// The group is made.
    CreatedGroup {
        /// Its id.
        group: String = "GroupId",
    }
}

call! {
    /// What is known of up to 50 groups. Each has a code of its own, whatever the answer as a whole says.
    request group_info = "group_open_http_svc", "get_group_info", again -> GroupInfos;
    @decides "GroupInfo";
    GetGroupInfo::of {
        groups: Names = "GroupIdList",
        ;
        /// Which fields; all of them, and the members, without it.
        filter: GroupFilter = "ResponseFilter",
    }
}

fields! {
    /// Which fields to answer, by their names on the wire, such as `MemberNum`.
    GroupFilter::nothing {
        ;
        /// Fields of groups.
        group: Names = "GroupBaseInfoFilter",
        /// Fields of members.
        members: Names = "MemberInfoFilter",
        /// The application's fields of groups.
        group_fields: Names = "AppDefinedDataFilter_Group",
        /// The application's fields of members.
        member_fields: Names = "AppDefinedDataFilter_GroupMember",
        /// The user's own fields in a list of joined groups: `Role`, `JoinTime`, `MsgFlag`, `MsgSeq`.
        own: Names = "SelfInfoFilter",
    }
}

answer! {
    /// What is known of some groups.
    GroupInfos {
        /// One for each group of the request.
        groups: Vec<GroupInfo> = "GroupInfo",
    }
}

answer! {
    /// What is known of a group. Fields that were not asked for are `None`.
    GroupInfo {
        /// Its id.
        group: String = "GroupId",
        /// 0, or why nothing is known: 10010 if there is no such group.
        code: u32 = "ErrorCode",
        /// What went wrong.
        info: String = "ErrorInfo",
        /// Its type.
        group_type: Option<GroupType> = "Type",
        /// Its name.
        name: Option<String> = "Name",
        /// What it is for.
        introduction: Option<String> = "Introduction",
        /// What members should know.
        notification: Option<String> = "Notification",
        /// The address of its picture.
        avatar: Option<String> = "FaceUrl",
        /// Its owner; empty if it has none.
        owner: Option<String> = "Owner_Account",
        /// When it was made, in Unix seconds.
        create_time: Option<u64> = "CreateTime",
        /// How often its profile was changed.
        info_sequence: Option<u64> = "InfoSeq",
        /// When its profile was changed for the last time.
        last_info_time: Option<u64> = "LastInfoTime",
        /// When the last message was sent.
        last_message_time: Option<u64> = "LastMsgTime",
        /// The number of the next message; the first one has 1.
        next_sequence: Option<u64> = "NextMsgSeq",
        /// How many members it has.
        member_count: Option<u64> = "MemberNum",
        /// How many it may have.
        max_members: Option<u64> = "MaxMemberNum",
        /// How users join.
        join_option: Option<JoinOption> = "ApplyJoinOption",
        /// How members invite others.
        invite_option: Option<String> = "InviteJoinOption",
        /// Whether only the owner and administrators of the group may write.
        is_all_muted: Option<bool> = "ShutUpAllMember" with "crate::wire::on_off",
        /// Fields of the application.
        custom_fields: Vec<CustomField> = "AppDefinedData",
        /// The members, if they were asked for.
        members: Vec<MemberInfo> = "MemberList",
    }
}

call! {
    /// Changes the profile of a group. What is not given stays.
    request change_group = "group_open_http_svc", "modify_group_base_info", once -> Done;
    GroupChange::of {
        group: String = "GroupId",
        ;
        /// Its name.
        name: String = "Name",
        /// What it is for.
        introduction: String = "Introduction",
        /// What members should know.
        notification: String = "Notification",
        /// The address of its picture.
        avatar: String = "FaceUrl",
        /// How many members it may have.
        max_members: u32 = "MaxMemberNum",
        /// How users join.
        join_option: JoinOption = "ApplyJoinOption",
        /// How members invite others.
        invite_option: String = "InviteJoinOption",
        /// Whether only the owner and administrators of the group may write.
        mute_all: OnOff = "ShutUpAllMember",
        /// Fields of the application; an empty value removes one.
        custom_fields: Vec<CustomField> = "AppDefinedData",
    }
}

call! {
    /// Dismisses a group, for good.
    args dismiss_group = "group_open_http_svc", "destroy_group", once -> Done;
    DismissGroup::new {
        group: String = "GroupId",
    }
}

call! {
    /// Makes a member the owner. On a hub anybody with an account may become it.
    args change_owner = "group_open_http_svc", "change_group_owner", once -> Done;
    ChangeOwner::new {
        group: String = "GroupId",
        owner: String = "NewOwner_Account",
    }
}

call! {
    /// How many users are in an AVChatRoom now. 10007: it is a group of another type.
    args online_members = "group_open_http_svc", "get_online_member_num", again -> OnlineMembers;
    CountOnlineMembers::new {
        group: String = "GroupId",
    }
}

answer! {
    /// How many users are in an AVChatRoom.
    OnlineMembers {
        /// How many.
        count: u64 = "OnlineMemberNum",
    }
}

/// An attribute of a group: a name of at most 32 bytes with a value of at most 4,000, which its members share.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attribute {
    /// Its name.
    pub key: String,
    /// Its value.
    pub value: String,
}

impl Attribute {
    /// An attribute with a value.
    #[must_use]
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            value: value.into(),
        }
    }
}

call! {
    /// The attributes of a group. The service has another name than those of the two other commands about them.
    args attributes = "group_open_attr_http_svc", "get_group_attr", again -> Attributes;
    GetAttributes::new {
        group: String = "GroupId",
    }
}

answer! {
    /// The attributes of a group.
    Attributes {
        /// All of them.
        attributes: Vec<Attribute> = "GroupAttrAry",
    }
}

call! {
    /// Sets attributes of an AVChatRoom, and keeps the others. There are 16 at most, of 16,000 bytes together.
    ///
    /// 10045, 10046, 10047, 10048: a name or a value is too long, there are too many, or all are too long. 10049: more than five changes a
    /// second.
    args set_attributes = "group_open_http_svc", "modify_group_attr", once -> Done;
    SetAttributes::new {
        group: String = "GroupId",
        attributes: Vec<Attribute> = "GroupAttr",
    }
}

call! {
    /// Removes all attributes of an AVChatRoom. 10049: more than five changes a second.
    args clear_attributes = "group_open_http_svc", "clear_group_attr", once -> Done;
    ClearAttributes::new {
        group: String = "GroupId",
    }
}
