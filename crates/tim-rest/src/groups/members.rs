//! Members of groups.

use serde::Deserialize;

use super::{GroupFilter, GroupInfo, NewMember};
use crate::values::{CustomField, Done, Flag, GroupType, Names, ReceiveOption, Role};

call! {
    /// A page of the members of a group; not of an AVChatRoom, which keeps none.
    request members = "group_open_http_svc", "get_group_member_info", again -> MemberPage;
    ListMembers::of {
        group: String = "GroupId",
        ;
        /// How many, at most 6,000; Tencent advises 100.
        limit: u32 = "Limit",
        /// How many to pass over.
        offset: u32 = "Offset",
        /// In a Community instead of an offset: `next` of the page before.
        next: String = "Next",
        /// Which fields, such as `Role`; all of them without it.
        filter: Names = "MemberInfoFilter",
        /// Those with these roles: `Owner`, `Admin`, `Member`.
        roles: Names = "MemberRoleFilter",
        /// Which fields of the application.
        custom_fields: Names = "AppDefinedDataFilter_GroupMember",
    }
}

answer! {
    /// A page of members.
    MemberPage {
        /// How many members the group has.
        total: u64 = "MemberNum",
        /// Those in the page.
        members: Vec<MemberInfo> = "MemberList",
        /// Where the next page of a Community begins; empty if this is the last one.
        next: String = "Next" with "crate::wire::text",
    }
}

answer! {
    /// What is known of a member. Fields that were not asked for are `None`.
    MemberInfo {
        /// The user.
        user: String = "Member_Account",
        /// What the user is in the group.
        role: Option<Role> = "Role",
        /// When the user has joined, in Unix seconds.
        join_time: Option<u64> = "JoinTime",
        /// Up to which message the user has read.
        read_sequence: Option<u64> = "MsgSeq",
        /// How the user receives messages.
        receive_option: Option<ReceiveOption> = "MsgFlag",
        /// When the user has sent the last message, in Unix seconds; a hub answers 0.
        last_send_time: Option<u64> = "LastSendMsgTime",
        /// Until when the user may not write, in Unix seconds; 0: the user may.
        muted_until: Option<u64> = "ShutUpUntil",
        /// The user's name in the group.
        name_card: Option<String> = "NameCard",
        /// Fields of the application.
        custom_fields: Vec<CustomField> = "AppMemberDefinedData",
    }
}

call! {
    /// Adds members to a group, at most 300. Nobody is asked.
    ///
    /// Each has a result of its own; if all fail for one reason, the call does. 10005: there are too many. 10014: the group is full. 10037:
    /// a user is in too many groups.
    request add_members = "group_open_http_svc", "add_group_member", once -> AddedMembers;
    AddMembers::new {
        group: String = "GroupId",
        users: Names = "MemberList" with "crate::wire::members",
        ;
        /// Whether nobody is told.
        silent: Flag = "Silence",
    }
}

answer! {
    /// What came of adding members.
    AddedMembers {
        /// One for each user of the request.
        members: Vec<AddedMember> = "MemberList",
    }
}

answer! {
    /// What came of adding a member.
    AddedMember {
        /// The user.
        user: String = "Member_Account",
        /// What came of it.
        outcome: Added = "Result",
    }
}

/// What came of adding a member.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "u32")]
#[non_exhaustive]
pub enum Added {
    /// The user is no member: there is no such account, or the group is full.
    #[default]
    Failed,
    /// The user is a member now.
    Added,
    /// The user was one before.
    AlreadyMember,
    /// The user has to consent.
    Pending,
    /// Another number.
    Other(u32),
}

impl From<u32> for Added {
    fn from(number: u32) -> Self {
        match number {
            0 => Self::Failed,
            1 => Self::Added,
            2 => Self::AlreadyMember,
            3 => Self::Pending,
            other => Self::Other(other),
        }
    }
}

call! {
    /// Removes members from a group, at most 100. Who is none is removed already.
    request remove_members = "group_open_http_svc", "delete_group_member", once -> Done;
    RemoveMembers::new {
        group: String = "GroupId",
        users: Names = "MemberToDel_Account",
        ;
        /// Whether nobody is told.
        silent: Flag = "Silence",
        /// Why.
        reason: String = "Reason",
    }
}

call! {
    /// Changes a member of a group. What is not given stays.
    request change_member = "group_open_http_svc", "modify_group_member_info", once -> Done;
    MemberChange::of {
        group: String = "GroupId",
        user: String = "Member_Account",
        ;
        /// Administrator of the group, or not.
        role: Role = "Role",
        /// How the member receives messages.
        receive_option: ReceiveOption = "MsgFlag",
        /// The member's name in the group.
        name_card: String = "NameCard",
        /// For how many seconds the member may not write; 0 ends that.
        mute_seconds: u32 = "ShutUpTime",
        /// Fields of the application; an empty value removes one.
        custom_fields: Vec<CustomField> = "AppMemberDefinedData",
    }
}

call! {
    /// The groups of a user. Without a filter it has only their ids.
    request joined_groups = "group_open_http_svc", "get_joined_group_list", again -> JoinedGroups;
    ListJoinedGroups::of {
        user: String = "Member_Account",
        ;
        /// How many, at most 5,000.
        limit: u32 = "Limit",
        /// How many to pass over.
        offset: u32 = "Offset",
        /// Those of one type.
        group_type: GroupType = "GroupType",
        /// Whether AVChatRooms are among them.
        with_av_chat_rooms: Flag = "WithHugeGroups",
        /// Whether groups for colleagues are among them in which nothing was written yet.
        with_inactive: Flag = "WithNoActiveGroups",
        /// Which fields.
        filter: GroupFilter = "ResponseFilter",
    }
}

answer! {
    /// Groups of a user.
    JoinedGroups {
        /// How many groups the user is in, of the type that was asked for.
        total: u64 = "TotalCount",
        /// Those that were asked for.
        groups: Vec<JoinedGroup> = "GroupIdList",
    }
}

/// A group of a user.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct JoinedGroup {
    /// The group.
    #[serde(flatten)]
    pub group: GroupInfo,
    /// The user in it, if that was asked for.
    #[serde(rename = "SelfInfo")]
    pub own: Option<MemberInfo>,
}

call! {
    /// What up to 500 users are in a group.
    args roles = "group_open_http_svc", "get_role_in_group", again -> Roles;
    GetRoles::new {
        group: String = "GroupId",
        users: Names = "User_Account",
    }
}

answer! {
    /// What users are in a group.
    Roles {
        /// One for each user of the request.
        users: Vec<UserRole> = "UserIdList",
    }
}

answer! {
    /// What a user is in a group.
    UserRole {
        /// The user.
        user: String = "Member_Account",
        /// The role; [`Role::NotMember`] of others.
        role: Role = "Role",
    }
}

call! {
    /// Up to 500 members may not write for so many seconds; 0 ends that, and `u32::MAX` is for ever. Not in groups for colleagues (10007).
    args mute_members = "group_open_http_svc", "forbid_send_msg", once -> Done;
    MuteMembers::new {
        group: String = "GroupId",
        users: Names = "Members_Account",
        seconds: u32 = "ShutUpTime",
    }
}

call! {
    /// Who may not write in a group.
    args muted_members = "group_open_http_svc", "get_group_shutted_uin", again -> MutedMembers;
    ListMutedMembers::new {
        group: String = "GroupId",
    }
}

answer! {
    /// Who may not write in a group.
    MutedMembers {
        /// All of them.
        members: Vec<MutedMember> = "ShuttedUinList",
    }
}

answer! {
    /// A user who may not write.
    MutedMember {
        /// The user.
        user: String = "Member_Account",
        /// Until when, in Unix seconds.
        until: u64 = "ShuttedUntil",
    }
}

call! {
    /// Adds members of another system to a group, at most 300. Nobody is told. Each has a result of its own: a time of joining before the
    /// group was made, or in the future, fails.
    args import_members = "group_open_http_svc", "import_group_member", once -> AddedMembers;
    ImportMembers::new {
        group: String = "GroupId",
        members: Vec<NewMember> = "MemberList",
    }
}

call! {
    /// How many messages of a group a member has not read; no more than there are.
    args set_group_unread = "group_open_http_svc", "set_unread_msg_num", once -> Done;
    SetGroupUnread::new {
        group: String = "GroupId",
        user: String = "Member_Account",
        count: u32 = "UnreadMsgNum",
    }
}
