//! Groups: making, joining, managing and looking them up. Who may do what is the hub's to say.

use crate::conversation::GroupProfile;
use crate::message::GroupChange;
use crate::wire::{List, wire};
use crate::{
    GroupId, GroupType, InviteOption, JoinOption, JoinStatus, MemberResult, ReceiveOption, Role, UserId,
};

/// CREATE_GROUP: make a group with these members.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CreateGroup<'a> {
    /// Its id, or none for one that the hub makes up.
    pub group: Option<GroupId>,
    /// Its type.
    pub group_type: GroupType,
    /// Its name.
    pub name: &'a str,
    /// What it is about.
    pub introduction: &'a str,
    /// What its members are told.
    pub notification: &'a str,
    /// Where its picture is.
    pub avatar: &'a str,
    /// Its members besides the maker.
    pub members: List<'a, UserId>,
    /// A random number that makes a repeated request the same request.
    pub random: u32,
    /// Who may join; [`JoinOption::AS_USUAL`] for what its type has.
    pub join_option: JoinOption,
    /// Who may invite; [`InviteOption::AS_USUAL`] for what its type has.
    pub invite_option: InviteOption,
}
wire!(CreateGroup<'a> {
    group,
    group_type,
    name,
    introduction,
    notification,
    avatar,
    members,
    random,
    join_option,
    invite_option,
});

/// CREATE_GROUP answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreateGroupAnswer {
    /// The group's id.
    pub group: GroupId,
}
wire!(CreateGroupAnswer { group });

/// QUIT_GROUP, DISMISS_GROUP, GROUP_PROFILE: this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OneGroup {
    /// Which one.
    pub group: GroupId,
}
wire!(OneGroup { group });

/// JOIN_GROUP: let me in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JoinGroup<'a> {
    /// Which group.
    pub group: GroupId,
    /// What those who decide are to read; may be empty.
    pub message: &'a str,
}
wire!(JoinGroup<'a> { group, message });

/// JOIN_GROUP answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JoinGroupAnswer {
    /// Whether the user is a member now, or has to wait.
    pub status: JoinStatus,
}
wire!(JoinGroupAnswer { status });

/// HANDLE_APPLICATION: who applied may join, or may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandleApplication<'a> {
    /// Which group.
    pub group: GroupId,
    /// Who applied.
    pub applicant: UserId,
    /// Whether to let them in.
    pub accept: bool,
    /// What the applicant is to read; may be empty.
    pub message: &'a str,
    /// Which application: `message_key` of the notice that told of it; 0 for the applicant's newest.
    pub key: u64,
}
wire!(HandleApplication<'a> { group, applicant, accept, message, key });

/// HANDLE_INVITATION: I join, as I was invited to, or I do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandleInvitation<'a> {
    /// Which group.
    pub group: GroupId,
    /// Whether to join.
    pub accept: bool,
    /// What the inviter is to read; may be empty.
    pub message: &'a str,
}
wire!(HandleInvitation<'a> { group, accept, message });

/// INVITE_MEMBERS, REMOVE_MEMBERS: these users.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MemberList<'a> {
    /// Which group.
    pub group: GroupId,
    /// Whom.
    pub users: List<'a, UserId>,
    /// Why; may be empty.
    pub reason: &'a str,
}
wire!(MemberList<'a> { group, users, reason });

/// BAN_MEMBERS: these users stay out of an AVChatRoom for a while.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BanMembers<'a> {
    /// Which group.
    pub group: GroupId,
    /// Whom.
    pub users: List<'a, UserId>,
    /// For how many seconds; 0 lets them in again.
    pub seconds: u32,
    /// Why; may be empty.
    pub reason: &'a str,
}
wire!(BanMembers<'a> { group, users, seconds, reason });

/// INVITE_MEMBERS, REMOVE_MEMBERS and BAN_MEMBERS answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MembersAnswer<'a> {
    /// What became of each user, in the order asked for.
    pub results: List<'a, MemberOutcome>,
}
wire!(MembersAnswer<'a> { results });

/// What became of one user of a [`MemberList`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberOutcome {
    /// Who.
    pub user: UserId,
    /// What became of them.
    pub result: MemberResult,
}
wire!(MemberOutcome { user, result });

/// SET_MEMBER: this member is to be like this. What is absent stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetMember<'a> {
    /// In which group.
    pub group: GroupId,
    /// Who; may be oneself.
    pub user: UserId,
    /// Admin or plain member. The owner changes by [`ChangeOwner`].
    pub role: Option<Role>,
    /// For how many seconds the member may not write; 0 ends that.
    pub mute_seconds: Option<u32>,
    /// The name shown in this group; may be empty.
    pub name_card: Option<&'a str>,
}
wire!(SetMember<'a> { group, user, role, mute_seconds, name_card });

/// CHANGE_OWNER: the group is this member's from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeOwner {
    /// Which group.
    pub group: GroupId,
    /// Whose.
    pub owner: UserId,
}
wire!(ChangeOwner { group, owner });

/// UPDATE_GROUP: the group is to be like this. What is absent stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpdateGroup<'a> {
    /// Which group.
    pub group: GroupId,
    /// Its name.
    pub name: Option<&'a str>,
    /// What it is about.
    pub introduction: Option<&'a str>,
    /// What its members are told.
    pub notification: Option<&'a str>,
    /// Where its picture is.
    pub avatar: Option<&'a str>,
    /// Who may join.
    pub join_option: Option<JoinOption>,
    /// Who may invite.
    pub invite_option: Option<InviteOption>,
    /// Whether nobody but owner and admins may write.
    pub mute_all: Option<bool>,
}
wire!(UpdateGroup<'a> {
    group,
    name,
    introduction,
    notification,
    avatar,
    join_option,
    invite_option,
    mute_all,
});

impl<'a> UpdateGroup<'a> {
    /// An update of `group` that changes nothing.
    #[must_use]
    pub const fn new(group: GroupId) -> Self {
        Self {
            group,
            name: None,
            introduction: None,
            notification: None,
            avatar: None,
            join_option: None,
            invite_option: None,
            mute_all: None,
        }
    }

    /// What is to change, as the tip about it says it.
    pub fn changes(&self) -> impl Iterator<Item = GroupChange<'a>> + use<'a> {
        [
            self.name.map(GroupChange::Name),
            self.introduction.map(GroupChange::Introduction),
            self.notification.map(GroupChange::Notification),
            self.avatar.map(GroupChange::Avatar),
            self.join_option.map(GroupChange::JoinOption),
            self.invite_option.map(GroupChange::InviteOption),
            self.mute_all.map(GroupChange::MuteAll),
        ]
        .into_iter()
        .flatten()
    }
}

/// SET_RECEIVE_OPTION: tell me of this group's messages like this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetReceiveOption {
    /// Which group.
    pub group: GroupId,
    /// How.
    pub option: ReceiveOption,
}
wire!(SetReceiveOption { group, option });

/// GROUP_MEMBERS: a page of the members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupMembers<'a> {
    /// Of which group.
    pub group: GroupId,
    /// `next` of the page before; empty for the first page.
    pub next: &'a [u8],
    /// How many at the most; 0 means the default.
    pub count: u16,
    /// Only those with this role.
    pub role: Option<Role>,
}
wire!(GroupMembers<'a> { group, next, count, role });

/// GROUP_MEMBERS answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GroupMembersAnswer<'a> {
    /// What to ask for next.
    pub next: &'a [u8],
    /// Whether there are no more.
    pub completed: bool,
    /// The members, in an order that does not change between pages.
    pub members: List<'a, GroupMember<'a>>,
}
wire!(GroupMembersAnswer<'a> { next, completed, members });

/// A member of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupMember<'a> {
    /// Who.
    pub user: UserId,
    /// What they are in it.
    pub role: Role,
    /// Since when, Unix time in seconds.
    pub joined: u64,
    /// Until when they may not write, Unix time in seconds; what lies in the past means nothing.
    pub muted_until: u64,
    /// The name shown; may be empty.
    pub nick: &'a str,
    /// Where the picture is; may be empty.
    pub avatar: &'a str,
    /// The name shown in this group; may be empty.
    pub name_card: &'a str,
}
wire!(GroupMember<'a> { user, role, joined, muted_until, nick, avatar, name_card });

/// GROUPS: a page of the groups that I am in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Groups<'a> {
    /// `next` of the page before; empty for the first page.
    pub next: &'a [u8],
    /// How many at the most; 0 means the default.
    pub count: u16,
}
wire!(Groups<'a> { next, count });

/// GROUPS answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GroupsAnswer<'a> {
    /// What to ask for next.
    pub next: &'a [u8],
    /// Whether there are no more.
    pub completed: bool,
    /// The groups, in an order that does not change between pages.
    pub groups: List<'a, GroupProfile<'a>>,
}
wire!(GroupsAnswer<'a> { next, completed, groups });
